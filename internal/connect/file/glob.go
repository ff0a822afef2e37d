package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/disk"
)

// maxEntries is how many directory entries a pattern may lead through.
const maxEntries = 100_000

// found is a file that a pattern matches.
type found struct {
	name string // below the root
	info disk.Info
}

// pattern is a path with wildcards, below a directory.
type pattern struct {
	root  string   // the directory before the first wildcard
	parts []string // the rest; empty: all files of the directory
}

// newPattern takes a path of the machine apart.
func newPattern(p string) (pattern, error) {
	p = filepath.Clean(p)
	parts := strings.Split(filepath.ToSlash(p), "/")
	i := slices.IndexFunc(parts, func(s string) bool { return strings.ContainsAny(s, "*?[") })
	if i < 0 {
		i = len(parts) - 1
	}
	for _, s := range parts[i:] {
		if _, err := path.Match(s, ""); err != nil {
			return pattern{}, fmt.Errorf("%q is no pattern: %w", s, err)
		}
	}
	rest := slices.CompactFunc(slices.Clone(parts[i:]), func(a, b string) bool { return a == "**" && b == "**" })
	if rest[len(rest)-1] == "**" {
		rest = append(rest, "*")
	}
	root := strings.Join(parts[:i], "/")
	switch {
	case root == "" && strings.HasPrefix(filepath.ToSlash(p), "/"):
		root = "/"
	case root == "":
		root = "."
	case strings.HasSuffix(root, ":"): // a drive of Windows: its root
		root += "/"
	}
	return pattern{root: filepath.FromSlash(root), parts: rest}, nil
}

// text is the pattern below its root, for people.
func (p pattern) text() string { return strings.Join(p.parts, "/") }

// list finds the files that match. A path without wildcards that is a directory stands for
// the files in it whose names do not begin with "." or "_".
func (p pattern) list(d disk.Viewer) ([]found, error) {
	if last := p.parts[len(p.parts)-1]; len(p.parts) == 1 && !strings.ContainsAny(last, "*?[") {
		info, err := d.Stat(last)
		if err != nil || !info.Dir {
			if err != nil {
				return nil, err
			}
			return []found{{last, info}}, nil
		}
		w := walk{d: d, plain: true}
		err = w.dir(last, []string{"*"})
		return w.files, err
	}
	w := walk{d: d}
	err := w.dir(".", p.parts)
	slices.SortFunc(w.files, func(a, b found) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(w.files, func(a, b found) bool { return a.name == b.name }), err
}

// walk is one listing.
type walk struct {
	d     disk.Viewer
	plain bool // no names that begin with "_"
	seen  int
	files []found
}

func (w *walk) dir(name string, parts []string) error {
	entries, err := w.d.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) && name != "." {
		return nil // it has just been removed
	}
	if err != nil {
		return err
	}
	if w.seen += len(entries); w.seen > maxEntries {
		return fmt.Errorf("%s has more than %d entries: use a narrower path", w.d.Path("."), maxEntries)
	}
	for _, e := range entries {
		if err := w.entry(path.Join(name, e.Name), e, parts); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(name string, e disk.Info, parts []string) error {
	hidden := strings.HasPrefix(e.Name, ".") || w.plain && strings.HasPrefix(e.Name, "_")
	if hidden && !strings.HasPrefix(parts[0], ".") {
		return nil
	}
	if parts[0] == "**" {
		if e.Dir {
			if err := w.dir(name, parts); err != nil {
				return err
			}
		}
		return w.entry(name, e, parts[1:])
	}
	if ok, _ := path.Match(parts[0], e.Name); !ok {
		return nil
	}
	switch {
	case e.Dir && len(parts) > 1:
		return w.dir(name, parts[1:])
	case !e.Dir && len(parts) == 1:
		w.files = append(w.files, found{name, e})
	}
	return nil
}
