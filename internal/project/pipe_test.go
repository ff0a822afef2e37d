//go:build unix

package project

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe: a pipe that nobody writes to is an empty file, and holds nobody.
func TestPipe(t *testing.T) {
	dir := write(t, "weir.yaml", "version: 1\njob: {query: q.saql}\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "q.saql"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Load(dir, Options{})
	if err != nil || j.Query != "" {
		t.Errorf("%+v, %v", j, err)
	}
}
