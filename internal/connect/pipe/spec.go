package pipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/intake"
)

// The ways in which a program says that it has taken a row.
const (
	acknowledgeNone  = "none"
	acknowledgeLines = "lines"
)

type allowKey struct{}

// Allow lets the jobs that are started with a context run programs.
func Allow(ctx context.Context) context.Context { return context.WithValue(ctx, allowKey{}, true) }

// errNotAllowed is the error of a job that names a program where none may be run.
var errNotAllowed = errors.New(`jobs of this service may not run programs; start it with "weir serve --allow-commands" if all who can deploy jobs may`)

func allowed(ctx context.Context) bool { v, _ := ctx.Value(allowKey{}).(bool); return v }

var spec = &connect.Spec{
	Name:    "pipe",
	Summary: "Another program, such as Redpanda Connect: the JSON lines it prints are events, and it reads rows as JSON lines.",
	Source:  openSource,
	Sink:    openSink,
	In:      "as the pipe's: a line that was printed is in the log and counts once; what the program loses or prints twice when it ends is its own",
	Out:     "at least once with `acknowledge: lines`; else as the pipe's: what the program has read and not dealt with when it ends is lost",
	Check:   check,
	Probe:   probe,
	Example: `type: pipe
command: [redpanda-connect, run, connect.yaml]
`,
	Fields: append([]connect.Field{
		{Name: "command", Type: connect.List, Required: true, Doc: "The program and its arguments. No shell is between: `[sh, -c, \"...\"]` asks for one."},
		{Name: "directory", Type: connect.Path, Default: ".", Doc: "The folder that the program runs in; `.` is that of the job file."},
		{Name: "environment", Type: connect.Map, Doc: "Variables that the program gets beside those of Weir. Their values are not shown, also not in what the program says."},
		{Name: "restart", Type: connect.Duration, Default: "1s", Doc: "How long to wait before a program that has ended is started again. The wait doubles, to 30s, while it ends at once."},

		{Name: "max_line", Type: connect.Size, Default: "1MiB", Input: true, Doc: "The longest line that is an event; a longer one is a dead letter."},

		{Name: "acknowledge", Type: connect.Enum, Values: []string{acknowledgeNone, acknowledgeLines}, Default: acknowledgeNone, Output: true,
			Doc: "`lines`: the program prints a line, whatever is in it, for each row that it has dealt with, and the job waits for them. `none`: a row is done when the program has read it."},
		{Name: "timeout", Type: connect.Duration, Default: "1m", Output: true, Doc: "How long the program may take nothing, or acknowledge nothing, before it is ended and started again."},
	}, intake.Fields()...),
}

func init() { connect.Register(spec) }

func check(c connect.Config, input bool) (out []connect.Problem) {
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if list := c.List("command"); len(list) == 0 || strings.TrimSpace(list[0]) == "" {
		add("command", "no program is named", "command: [redpanda-connect, run, connect.yaml]")
	}
	if c.Duration("restart") <= 0 {
		add("restart", "\"restart\" must be more than 0", "write restart: 1s")
	}
	if input {
		if n := c.Int("max_line"); n < 1 || n > 16<<20 {
			add("max_line", "\"max_line\" is too small or too large", "it is 1 byte to 16MiB")
		}
		return append(out, intake.CheckFields(c)...)
	}
	if c.Duration("timeout") <= 0 {
		add("timeout", "\"timeout\" must be more than 0", "write timeout: 1m")
	}
	return out
}

// probe looks whether there is such a program; it is not started.
func probe(ctx context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
	if dir := c.Text("directory"); dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return []connect.Problem{{Field: "directory", Text: fmt.Sprintf("there is no directory %s", dir), Hint: "make it, or correct the path"}}
		}
	}
	if _, err := lookPath(c); err != nil {
		return []connect.Problem{{Field: "command", Text: err.Error(), Hint: "install it, or write its whole path"}}
	}
	return nil
}

// lookPath finds the program: one with a slash from the directory on, others on the PATH.
func lookPath(c connect.Config) (string, error) {
	name, dir := c.List("command")[0], c.Text("directory")
	path := name
	if dir != "" && strings.ContainsRune(name, os.PathSeparator) && !strings.HasPrefix(name, string(os.PathSeparator)) {
		path = dir + string(os.PathSeparator) + name
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("there is no program %s", name)
	}
	return found, nil
}
