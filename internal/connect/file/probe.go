package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/internal/connect"
	"weir/internal/disk"
)

// probe looks for the files of an input, and whether the file of an output can be written.
func probe(_ context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	path := c.Text("path")
	problem := func(text, hint string) []connect.Problem {
		return []connect.Problem{{Field: "path", Text: text, Hint: hint}}
	}
	if !env.Input {
		return probeOutput(filepath.Clean(path), problem)
	}
	if timed(path) {
		root, _, err := versionsOf(c)
		if err == nil {
			_, err = os.ReadDir(root)
		}
		if err != nil {
			return problem(err.Error(), "the directory before the first {date} or {time} has to be there")
		}
		return nil
	}
	p, err := newPattern(path)
	if err != nil {
		return problem(err.Error(), "close the [ of the pattern")
	}
	d := disk.View(p.root)
	list, err := p.list(d)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(list) == 0:
		hint := "the job waits for one"
		if env.Reference || !c.Bool("follow") {
			hint = "it has to be there when the job starts"
		}
		return problem("no file matches "+d.Path(p.text())+" yet", hint)
	case err != nil:
		return problem(err.Error(), "")
	}
	for _, f := range list {
		file, err := d.Open(f.name)
		if err != nil {
			return problem(err.Error(), "who runs the job has to be able to read it")
		}
		file.Close()
	}
	return nil
}

func probeOutput(path string, problem func(text, hint string) []connect.Problem) []connect.Problem {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return problem(path+" is a directory", "give the name of a file, or use an output of type blob")
	}
	if err == nil {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return problem(fmt.Sprintf("the file cannot be written: %v", err), "who runs the job has to be able to write it")
		}
		f.Close()
		return nil
	}
	if err := disk.Reach(filepath.Dir(path)); err != nil {
		return problem(err.Error(), "who runs the job has to be able to write there")
	}
	return nil
}
