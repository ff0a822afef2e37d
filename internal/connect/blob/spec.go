package blob

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
)

// Spec declares the connector.
var Spec = &connect.Spec{
	Name:    "blob",
	Summary: "Writes finished files with predictable names to a directory: a file appears when it is complete.",
	Out:     "exactly once",
	Fields: []connect.Field{
		{Name: "directory", Type: connect.Path, Required: true, Output: true, Doc: "Where the files go, relative to the job file. It is made if it is not there."},
		{Name: "path", Type: connect.Text, Output: true, Default: "{date}/{time}/{output}-{n}{ext}", Doc: "The names of the files below the directory: text and tokens, see below."},
		{Name: "date_format", Type: connect.Text, Output: true, Default: "yyyy/MM/dd", Doc: "What {date} is."},
		{Name: "time_format", Type: connect.Text, Output: true, Default: "HH", Doc: "What {time} is."},
		{Name: "max_rows", Type: connect.Int, Output: true, Doc: "A file of this many rows is complete. {n} must be in the path."},
		{Name: "max_size", Type: connect.Size, Output: true, Doc: "A file of this size is complete, to the next commit. {n} must be in the path."},
		{Name: "max_age", Type: connect.Duration, Output: true, Doc: "A file is complete when the watermark is this far behind the time of its first row. {n} must be in the path."},
		{Name: "exists", Type: connect.Enum, Values: []string{"fail", "replace"}, Output: true, Default: "fail", Doc: "What to do about a file that is there already, from another run, if the path has no {n}."},
		{Name: "manifest", Type: connect.Text, Output: true, Default: "_manifest.jsonl", Doc: "The file that gets a line for every finished file, or none. Each output needs its own."},
		{Name: "max_files", Type: connect.Int, Output: true, Default: "8000", Doc: "How many files may be unfinished. Beyond it the oldest are finished early if {n} is in the path; else rows for new ones are rejected."},
		{Name: "max_open", Type: connect.Int, Output: true, Default: "256", Doc: "How many of them are open at a time."},
	},
	Sink:   newSink,
	Check:  check,
	Claims: claims,
	Example: `type: blob
directory: out
path: "{date}/{time}/{n}{ext}"
`,
}

func init() { connect.Register(Spec) }

// extension is what {ext} stands for.
func extension(f connect.Format) string {
	ext := ".json"
	if f.Type == "csv" {
		ext = ".csv"
	}
	switch f.Compression {
	case "gzip":
		ext += ".gz"
	case "zstd":
		ext += ".zst"
	}
	return ext
}

func check(c connect.Config, _ bool) []connect.Problem {
	var list []connect.Problem
	problem := func(field, text, hint string) {
		list = append(list, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	t, err := parseTemplate(c.Text("path"), names{output: "o", job: "j", ext: ".json", dateFormat: c.Text("date_format"), timeFormat: c.Text("time_format")})
	if err != nil {
		problem("path", err.Error(), "")
		return list
	}
	for _, field := range []string{"max_rows", "max_size"} {
		if c.Has(field) && c.Int(field) <= 0 {
			problem(field, "must be more than 0", "leave it out for no limit")
		}
	}
	if c.Has("max_age") && c.Duration("max_age") <= 0 {
		problem("max_age", "must be more than 0", "leave it out for no limit")
	}
	limited := c.Has("max_rows") || c.Has("max_size") || c.Has("max_age")
	switch {
	case limited && !t.sequence:
		problem("path", "several files would have the same name", "put {n} in it, a number that counts")
	case t.unit == noTime && !t.sequence:
		problem("path", "nothing in it says when a file is complete", "put {date} and {time} in it, or {n} with max_rows, max_size or max_age")
	case t.unit == noTime && !limited:
		problem("path", "nothing says when a file is complete", "add max_rows, max_size or max_age, or put {date} and {time} in the path")
	}
	for _, field := range []string{"max_files", "max_open"} {
		if c.Has(field) && c.Int(field) < 1 {
			problem(field, "must be at least 1", "leave it out for the default")
		}
	}
	if m := c.Text("manifest"); m != "" && !manifestName(m) {
		problem("manifest", "is no name of a file below the directory", "_manifest.jsonl, for example")
	}
	return list
}

// claims are the names of the files and the manifest.
func claims(c connect.Config, output string) []string {
	d := filepath.Clean(c.Text("directory"))
	list := []string{fmt.Sprintf("files named %s in %s", outputToken.ReplaceAllLiteralString(c.Text("path"), escape(output)), d)}
	if m := c.Text("manifest"); !strings.EqualFold(m, "none") {
		list = append(list, fmt.Sprintf("the manifest %s (manifest: another-name.jsonl, or none)", filepath.Join(d, m)))
	}
	return list
}

var outputToken = regexp.MustCompile(`(?i)\{output\}`)

func manifestName(m string) bool {
	bad := func(p string) bool {
		return p == "" || p == "." || p == ".." || isReserved(p) || strings.ContainsAny(p, "\\:*?\"<>|\x00")
	}
	return !slices.ContainsFunc(strings.Split(m, "/"), bad) && path.Clean(m) == m
}

func newSink(_ context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	n := names{output: env.Output, job: env.Job, ext: extension(env.Format), dateFormat: c.Text("date_format"), timeFormat: c.Text("time_format"),
		column: func(name string) (int, bool) { return findColumn(env.Columns, name) }}
	t, err := parseTemplate(c.Text("path"), n)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	s := settings{template: t, manifest: c.Text("manifest"), replace: c.Text("exists") == "replace", maxRows: c.Int("max_rows"),
		maxSize: c.Int("max_size"), maxAge: c.Duration("max_age"), maxFiles: int(c.Int("max_files")), maxOpen: int(c.Int("max_open"))}
	if strings.EqualFold(s.manifest, "none") {
		s.manifest = ""
	}
	d, err := disk.Shared(filepath.Clean(c.Text("directory")))
	if err != nil {
		return nil, err
	}
	return openSink(d, s, env)
}

// findColumn finds a column for a name: the exact one, else the first that is equal without
// case. Rows that are records may have any.
func findColumn(c connect.Columns, name string) (int, bool) {
	if c.Row {
		return -1, true
	}
	if i := slices.Index(c.Names, name); i >= 0 {
		return i, true
	}
	i := slices.IndexFunc(c.Names, func(n string) bool { return strings.EqualFold(n, name) })
	return i, i >= 0
}
