package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/vec"
)

// defaultPath is the default of the setting path.
const defaultPath = "{date}/{time}/{output}-{n}{ext}"

// Fields are the settings of an output of files, of every place where files go.
func Fields() []connect.Field {
	return []connect.Field{
		{Name: "path", Type: connect.Text, Output: true, Default: defaultPath, Doc: "The names of the files: text, {date}, {time}, {datetime:yyyy}, {window.start}, {window.end}, {n}, {output}, {job}, {partition}, {ext}, and columns by their names in braces."},
		{Name: "naming", Type: connect.Enum, Values: []string{"path", "azure"}, Output: true, Default: "path", Doc: "`path`: as the path says. `azure`: as Azure names them, below the path: `<schema hash>_<guid>_<number><ext>`. The path is a folder then, {date}/{time} by default."},
		{Name: "date_format", Type: connect.Text, Output: true, Default: "yyyy/MM/dd", Doc: "What {date} is."},
		{Name: "time_format", Type: connect.Text, Output: true, Default: "HH", Doc: "What {time} is."},
		{Name: "window", Type: connect.Duration, Output: true, Doc: "How long the window of the query is, for {window.start}."},
		{Name: "max_rows", Type: connect.Int, Output: true, Doc: "A file of this many rows is complete. {n} must be in the path."},
		{Name: "max_size", Type: connect.Size, Output: true, Doc: "A file of this size is complete, to the next commit. {n} must be in the path."},
		{Name: "max_age", Type: connect.Duration, Output: true, Doc: "A file is complete when the watermark is this far behind the time of its first row. {n} must be in the path."},
		{Name: "exists", Type: connect.Enum, Values: []string{"fail", "replace"}, Output: true, Default: "fail", Doc: "What to do about a file that is there already, from another run, if the path has no {n}."},
		{Name: "max_files", Type: connect.Int, Output: true, Default: "8000", Doc: "How many files may be unfinished. Beyond it the oldest are finished early if {n} is in the path; else rows for new ones are rejected."},
		{Name: "max_open", Type: connect.Int, Output: true, Default: "256", Doc: "How many of them are open at a time."},
	}
}

// StoreFields are the settings of an output of files that goes to a store.
func StoreFields() []connect.Field {
	return append(Fields(),
		connect.Field{Name: "max_staged", Type: connect.Size, Output: true, Default: "1GiB", Doc: "How many bytes of complete files may wait on the local disk while the store does not take them. Beyond it the job waits."})
}

// patternOf is the template of a configuration.
func patternOf(c connect.Config, guid string, columns connect.Columns) string {
	text := c.Text("path")
	if c.Text("naming") != "azure" {
		return text
	}
	if text == defaultPath {
		text = "{date}/{time}"
	}
	sum := sha256.Sum256([]byte(strings.Join(columns.Names, "\x00")))
	if text = strings.TrimSuffix(text, "/"); text != "" {
		text += "/"
	}
	return text + hex.EncodeToString(sum[:8]) + "_" + guid + "_{n}{ext}"
}

// guidOf is a GUID for a state of an output: the same as long as the state is.
func guidOf(env connect.SinkEnv) string {
	sum := sha256.Sum256([]byte(env.Job + "\x00" + env.Output + "\x00" + env.Instance))
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func namesOf(c connect.Config) names {
	return names{dateFormat: c.Text("date_format"), timeFormat: c.Text("time_format"), window: vec.Time(c.Duration("window") / 100)}
}

// Check finds what is wrong with the settings of an output.
func Check(c connect.Config) []connect.Problem {
	var list []connect.Problem
	problem := func(field, text, hint string) {
		list = append(list, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	n := namesOf(c)
	n.output, n.job, n.ext = "o", "j", ".json"
	t, err := parseTemplate(patternOf(c, guidOf(connect.SinkEnv{}), connect.Columns{}), n)
	if err != nil {
		problem("path", err.Error(), "")
		return list
	}
	for _, field := range []string{"max_rows", "max_size", "max_staged"} {
		if c.Has(field) && c.Int(field) <= 0 {
			problem(field, "must be more than 0", "leave it out for no limit")
		}
	}
	if c.Has("max_age") && c.Duration("max_age") <= 0 {
		problem("max_age", "must be more than 0", "leave it out for no limit")
	}
	if c.Has("window") && c.Duration("window") <= 0 {
		problem("window", "must be more than 0", "write the length of the window: 5m")
	}
	limited := c.Has("max_rows") || c.Has("max_size") || c.Has("max_age")
	switch {
	case limited && !t.sequence:
		problem("path", "several files would have the same name", "put {n} in it, a number that counts")
	case !t.timed() && !t.sequence:
		problem("path", "nothing in it says when a file is complete", "put {date} and {time} in it, or {n} with max_rows, max_size or max_age")
	case !t.timed() && !limited:
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

// Claims are the names of the files of an output in a place that is named for people.
func Claims(c connect.Config, output, where string) string {
	text := c.Text("path")
	if c.Text("naming") == "azure" {
		text = patternOf(c, guidOf(connect.SinkEnv{Output: output}), connect.Columns{})
	}
	return fmt.Sprintf("files named %s in %s", outputToken.ReplaceAllLiteralString(text, escape(output)), where)
}

var outputToken = regexp.MustCompile(`(?i)\{output\}`)

func manifestName(m string) bool {
	bad := func(p string) bool {
		return p == "" || p == "." || p == ".." || isReserved(p) || strings.ContainsAny(p, "\\:*?\"<>|\x00")
	}
	return !slices.ContainsFunc(strings.Split(m, "/"), bad) && path.Clean(m) == m
}

// settingsOf are the settings of an output.
func settingsOf(c connect.Config, env connect.SinkEnv) (settings, error) {
	p, err := packingOf(env.Format, env.Columns)
	if err != nil {
		return settings{}, connect.Permanent(err)
	}
	n := namesOf(c)
	n.output, n.job, n.ext = env.Output, env.Job, p.ext
	n.column = func(name string) (int, bool) { return findColumn(env.Columns, name) }
	t, err := parseTemplate(patternOf(c, guidOf(env), env.Columns), n)
	if err != nil {
		return settings{}, connect.Permanent(err)
	}
	s := settings{template: t, manifest: c.Text("manifest"), replace: c.Text("exists") == "replace", maxRows: c.Int("max_rows"),
		maxSize: c.Int("max_size"), maxAge: c.Duration("max_age"), maxFiles: int(c.Int("max_files")), maxOpen: int(c.Int("max_open")),
		maxStaged: c.Int("max_staged")}
	if strings.EqualFold(s.manifest, "none") {
		s.manifest = ""
	}
	return s, nil
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
