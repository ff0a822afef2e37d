package file

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
	"weir/internal/connect/objects"
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
		{Name: "path", Type: connect.Path, Required: true, Doc: "The file, relative to the job file. An input may be a directory, for the files in it, or a pattern: * and ? within a name, ** for any directories. Reference data may have versions: {date} and {time} say from when on they hold."},
		{Name: "follow", Type: connect.Bool, Input: true, Default: "true", Doc: "Go on reading as files grow and new ones come. Otherwise every file is read to its end once, and then the input ends."},
		{Name: "order", Type: connect.Enum, Values: []string{"name", "modified"}, Input: true, Default: "name", Doc: "The order in which files are begun that are found at the same time."},
		{Name: "scan", Type: connect.Duration, Input: true, Default: "1s", Doc: "How often the directory is looked at for new and moved files. Growth of open files is seen within 5 ms."},
		{Name: "rotate_wait", Type: connect.Duration, Input: true, Default: "5s", Doc: "How long a file that was renamed or removed may still be written to."},
		{Name: "max_open", Type: connect.Int, Input: true, Default: "64", Doc: "How many files are open and watched for growth. Beyond it the one that has not grown for longest is read no further."},
		{Name: "date_format", Type: connect.Text, Input: true, Default: "yyyy/MM/dd", Doc: "Reference data: what {date} is in the path."},
		{Name: "time_format", Type: connect.Text, Input: true, Default: "HH", Doc: "Reference data: what {time} is in the path."},
		{Name: "refresh", Type: connect.Duration, Input: true, Doc: "Reference data: how often to look for what is new. With {date} or {time} in the path that is new versions, every 1m if it is not set. Other files are read anew when they have changed; if it is not set, when the job starts."},
	},
	Source: newSource,
	Sink:   newSink,
	Check:  check,
	Probe:  probe,
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
	if input && timed(p) {
		if _, _, err := versionsOf(c); err != nil {
			return []connect.Problem{{Field: "path", Text: err.Error()}}
		}
		if c.Has("refresh") && c.Duration("refresh") <= 0 {
			return []connect.Problem{{Field: "refresh", Text: "the time between two looks must be more than 0", Hint: "leave it out for 1m"}}
		}
		return nil
	}
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
		if c.Has("refresh") && c.Duration("refresh") <= 0 {
			list = append(list, connect.Problem{Field: "refresh", Text: "the time between two looks must be more than 0", Hint: "leave it out, and the files are read when the job starts"})
		}
		return list
	}
	if strings.ContainsAny(filepath.Base(p), "*?") {
		list = append(list, connect.Problem{Field: "path", Text: "an output is one file, not a pattern", Hint: "an output of type blob writes many"})
	}
	return list
}

func newSource(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	if timed(c.Text("path")) {
		if !env.Reference {
			return nil, connect.Permanent(errors.New("{date} and {time} are for reference data: to read a stream of files, write * in their place"))
		}
		root, s, err := versionsOf(c)
		if err != nil {
			return nil, connect.Permanent(err)
		}
		return objects.NewSource(objects.Directory(disk.View(root)), s, env)
	}
	p, err := newPattern(c.Text("path"))
	if err != nil {
		return nil, connect.Permanent(err)
	}
	s := settings{pattern: p, follow: c.Bool("follow") && !env.Reference, modified: c.Text("order") == "modified",
		scan: c.Duration("scan"), wait: c.Duration("rotate_wait"), open: int(c.Int("max_open"))}
	if every := c.Duration("refresh"); every > 0 && env.Reference {
		return newChanging(disk.View(p.root), s, every, env), nil
	}
	return openSource(disk.View(p.root), s, env)
}

// timed reports whether a path tells times.
func timed(path string) bool {
	path = strings.ToLower(path)
	return strings.Contains(path, "{date}") || strings.Contains(path, "{time}") || strings.Contains(path, "{datetime:")
}

// versionsOf are the directory and the settings of reference data with times in its path.
func versionsOf(c connect.Config) (root string, s objects.Settings, err error) {
	parts := strings.Split(filepath.ToSlash(c.Text("path")), "/")
	i := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "{*?") })
	root = strings.Join(parts[:i], "/")
	if root == "" || strings.HasSuffix(root, ":") {
		root += "/"
	}
	s = objects.Settings{Path: strings.Join(parts[i:], "/"), DateFormat: c.Text("date_format"), TimeFormat: c.Text("time_format"), Partitions: 1, Refresh: c.Duration("refresh")}
	if s.Refresh == 0 {
		s.Refresh = time.Minute
	}
	_, err = objects.ParsePattern(s.Path, s.DateFormat, s.TimeFormat, true)
	return filepath.FromSlash(root), s, err
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
