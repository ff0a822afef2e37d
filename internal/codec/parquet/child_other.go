//go:build !linux

package parquet

import (
	"io"
	"os"
)

// Verb is the word by which the program decodes a file and does nothing else.
const Verb = "decode-parquet"

// Program is not used where the memory of a process cannot be limited.
var Program string

// Self is this program.
const Self = ""

// ChildMemory is not used either.
var ChildMemory int64 = 512 << 20

// Main says that there is no child here.
func Main([]string) int { return 2 }

func spawn(*os.File, Options) (io.ReadCloser, bool, error) { return nil, false, nil }
