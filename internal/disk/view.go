package disk

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Viewer reads a directory. Every FS is one.
type Viewer interface {
	Open(name string) (File, error)
	ReadDir(name string) ([]Info, error)
	Stat(name string) (Info, error)
	Path(name string) string
}

// View is a directory of this machine for reading, with all that links in it lead to: the
// files belong to whoever runs us and chose the path. The directory need not be there yet.
func View(dir string) Viewer { return viewer(dir) }

type viewer string

// Path implements Viewer.
func (v viewer) Path(name string) string { return filepath.Join(string(v), filepath.FromSlash(name)) }

// Open implements Viewer.
func (v viewer) Open(name string) (File, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(v.Path(name), os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotFile}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return realFile{f}, nil
}

// ReadDir implements Viewer.
func (v viewer) ReadDir(name string) ([]Info, error) {
	if err := valid("list", name); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(v.Path(name))
	if err != nil {
		return nil, err
	}
	out := make([]Info, 0, len(entries))
	for _, e := range entries {
		info, err := os.Stat(v.Path(path.Join(name, e.Name())))
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		i := infoOf(info)
		i.Name = e.Name()
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Stat implements Viewer.
func (v viewer) Stat(name string) (Info, error) {
	if err := valid("stat", name); err != nil {
		return Info{}, err
	}
	info, err := os.Stat(v.Path(name))
	if err != nil {
		return Info{}, err
	}
	i := infoOf(info)
	i.Name = path.Base(name)
	return i, nil
}
