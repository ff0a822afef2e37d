package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
)

// Spec declares the connector.
var Spec = &connect.Spec{
	Name:      "file",
	Summary:   "Reads a file, a directory or a pattern of files as they grow; appends rows to a file.",
	Reference: true,
	FormatsIn: connect.FileFormats,
	In:        "exactly once",
	Out:       "exactly once",
	Fields: []connect.Field{
		{Name: "path", Type: connect.Path, Required: true, Doc: "The file, relative to the job file. An input may be a directory, for the files in it, or a pattern: * and ? within a name, ** for any directories."},
		{Name: "follow", Type: connect.Bool, Input: true, Default: "true", Doc: "Go on reading as files grow and new ones come. Otherwise every file is read to its end once, and then the input ends."},
		{Name: "order", Type: connect.Enum, Values: []string{"name", "modified"}, Input: true, Default: "name", Doc: "The order in which files are begun that are found at the same time."},
		{Name: "scan", Type: connect.Duration, Input: true, Default: "1s", Doc: "How often the directory is looked at for new and moved files. Growth of open files is seen within 5 ms."},
		{Name: "rotate_wait", Type: connect.Duration, Input: true, Default: "5s", Doc: "How long a file that was renamed or removed may still be written to."},
		{Name: "max_open", Type: connect.Int, Input: true, Default: "64", Doc: "How many files are open and watched for growth. Beyond it the one that has not grown for longest is read no further."},
	},
	Source: newSource,
	Sink:   newSink,
	Check:  check,
	Claims: func(c connect.Config, _ string) []string {
		return []string{"the file " + filepath.Clean(c.Text("path"))}
	},
	Example: `type: file
path: data/*.jsonl
`,
}

func init() { connect.Register(Spec) }

func check(c connect.Config, input bool) []connect.Problem {
	var list []connect.Problem
	p := c.Text("path")
	if input {
		if _, err := newPattern(p); err != nil {
			list = append(list, connect.Problem{Field: "path", Text: err.Error(), Hint: "close the [ of the pattern"})
		}
		if c.Has("max_open") && c.Int("max_open") < 1 {
			list = append(list, connect.Problem{Field: "max_open", Text: "at least one file must be open", Hint: "leave it out for 64"})
		}
		if c.Has("scan") && c.Duration("scan") <= 0 {
			list = append(list, connect.Problem{Field: "scan", Text: "the time between two looks must be more than 0", Hint: "leave it out for 1s"})
		}
		return list
	}
	if strings.ContainsAny(filepath.Base(p), "*?") {
		list = append(list, connect.Problem{Field: "path", Text: "an output is one file, not a pattern", Hint: "an output of type blob writes many"})
	}
	return list
}

func newSource(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	p, err := newPattern(c.Text("path"))
	if err != nil {
		return nil, connect.Permanent(err)
	}
	s := settings{pattern: p, follow: c.Bool("follow") && !env.Reference, modified: c.Text("order") == "modified",
		scan: c.Duration("scan"), wait: c.Duration("rotate_wait"), open: int(c.Int("max_open"))}
	return openSource(disk.View(p.root), s, env)
}

func newSink(_ context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	p := filepath.Clean(c.Text("path"))
	if info, err := os.Stat(p); err == nil && info.IsDir() {
		return nil, connect.Permanent(fmt.Errorf("%s is a directory: give the name of a file, or use an output of type blob", p))
	}
	// The file is the one that the name leads to, also over links.
	if to, err := filepath.EvalSymlinks(p); err == nil {
		p = to
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	d, err := disk.Shared(filepath.Dir(p))
	if err != nil {
		return nil, err
	}
	return openSink(d, filepath.Base(p), env)
}
