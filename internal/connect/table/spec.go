// Package table keeps rows as documents by key, and every change of them as a feed.
//
// A table is one SQLite file. A document is a row as a JSON object; its id comes from the
// key columns. Every write of a document is an entry of the feed, with a position that
// counts from 1 without gaps, and the document as it was then. The entry of the last write
// of a document is the document: nothing is stored twice.
//
// The entries of an epoch, the documents and the number of the epoch are one transaction,
// which is on the disk when it ends. So an epoch is there once, and nobody reads a change
// that a loss of power takes back. One process writes at a time; any number read meanwhile,
// in this process or others.
//
// The feed is a source too: positions, replay and start times work as for any other.
package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
)

// The modes of writing.
const (
	modeUpsert = "upsert"
	modeMerge  = "merge"
	modeInsert = "insert"
)

// The limits of documents.
const (
	// MaxDocument is the size of a document as text, in bytes; it is that of Cosmos DB.
	MaxDocument = 2 << 20
	// MaxID is the size of an id and of the value of a partition, in bytes.
	MaxID = 1023
)

// DefaultFile is the table of an output without a path, in its state directory.
const DefaultFile = "table.db"

var spec = &connect.Spec{
	Name:    "table",
	Aliases: []string{"documents"},
	Summary: "Documents by key in an embedded table, and its changes as a feed.",
	Source:  openSource,
	Sink:    openSink,
	In:      "exactly once: positions of the feed stay",
	Out:     "exactly once: the number of the epoch is part of the transaction",
	Check:   check,
	Probe:   probe,
	Example: `type: table
path: ./teams.db
key: [TeamId, Minute]
`,
	Fields: []connect.Field{
		{Name: "path", Type: connect.Path, Input: true, Required: true, Doc: "The file of the table whose changes are read. It is made if it is not there yet."},
		{Name: "path", Type: connect.Path, Output: true, Doc: "The file of the table. It is made if it is not there. Without it the table lies in the state directory of the output."},
		{Name: "key", Type: connect.List, Output: true,
			Doc: "The columns that make the id of a document. Without it every row is a new document: its id is the field `id` if the row has one, else it is made of the epoch and the number of the row."},
		{Name: "partition", Type: connect.Text, Output: true, Doc: "A column whose value, as text, is the partition of the document: ids differ within a partition."},
		{Name: "mode", Type: connect.Enum, Values: []string{modeUpsert, modeMerge, modeInsert}, Output: true,
			Doc: "`upsert` replaces the document of the same id, or adds it. `merge` lays the fields of the row over it; arrays are replaced whole. `insert` adds, and rejects rows whose id is there. With a key it is `upsert`, else `insert`."},
		{Name: "retention", Type: connect.Duration, Default: "0s", Output: true,
			Doc: "How long the feed keeps changes that later ones have replaced; 0s is for ever. Documents stay."},
	},
}

func init() { connect.Register(spec) }

// probe looks whether the file of a table is there or can be made.
func probe(_ context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
	path := c.Text("path")
	if path == "" { // it lies in the state of the job
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		f.Close()
		return nil
	}
	if errors.Is(err, os.ErrNotExist) {
		err = disk.Reach(filepath.Dir(path))
	}
	if err != nil {
		return []connect.Problem{{Field: "path", Text: err.Error(), Hint: "who runs the job has to be able to write the file"}}
	}
	return nil
}

func check(c connect.Config, input bool) []connect.Problem {
	if input {
		return nil
	}
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	key := c.List("key")
	for i, k := range key {
		if slices.ContainsFunc(key[:i], func(o string) bool { return strings.EqualFold(o, k) }) {
			add("key", fmt.Sprintf("%q stands twice", k), "remove one of them")
		}
	}
	if m := c.Text("mode"); len(key) == 0 && (m == modeUpsert || m == modeMerge) {
		add("mode", fmt.Sprintf("%s needs a key", m), "set key: to the columns that tell documents apart")
	}
	if c.Duration("retention") < 0 {
		add("retention", "\"retention\" is negative", "write retention: 24h, or 0s for ever")
	}
	return out
}

// settings are a checked Config of an output.
type settings struct {
	path      string
	key       []string
	partition string
	mode      string
	retention time.Duration
}

func settingsOf(c connect.Config, state disk.FS) settings {
	s := settings{path: PathOf(c, state), key: c.List("key"), partition: c.Text("partition"), mode: c.Text("mode"), retention: c.Duration("retention")}
	if s.mode == "" {
		s.mode = modeInsert
		if len(s.key) > 0 {
			s.mode = modeUpsert
		}
	}
	return s
}

// PathOf is the file of a table output with these settings and this state directory.
func PathOf(c connect.Config, state disk.FS) string {
	if p := c.Text("path"); p != "" || state == nil {
		return p
	}
	return state.Path(DefaultFile)
}
