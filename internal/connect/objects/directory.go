package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
)

// Directory has the files of a directory as objects, for reading. Names that begin with a point
// are left out.
func Directory(d disk.Viewer) Viewer { return directory{d} }

type directory struct{ d disk.Viewer }

// maxEntries is how many directory entries a listing may lead through.
const maxEntries = 200_000

// Where implements Viewer.
func (d directory) Where() string { return d.d.Path(".") }

// List implements Viewer.
func (d directory) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var list []Object
		left := maxEntries
		err := d.walk(ctx, ".", prefix, &left, func(o Object) {
			if strings.HasPrefix(o.Name, prefix) && o.Name > after {
				list = append(list, o)
			}
		})
		if err != nil {
			yield(Object{}, err)
			return
		}
		slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// walk goes through the directories in which names may begin with prefix.
func (d directory) walk(ctx context.Context, dir, prefix string, left *int, found func(Object)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := d.d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it may come, or has just been removed
	}
	if err != nil {
		return err
	}
	if *left -= len(entries); *left < 0 {
		return connect.Permanent(fmt.Errorf("%s has more than %d entries: use a narrower path", d.Where(), maxEntries))
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		switch {
		case strings.HasPrefix(e.Name, "."):
		case !e.Dir:
			found(objectOf(name, e))
		case strings.HasPrefix(name+"/", prefix), strings.HasPrefix(prefix, name+"/"):
			if err := d.walk(ctx, name, prefix, left, found); err != nil {
				return err
			}
		}
	}
	return nil
}

func objectOf(name string, i disk.Info) Object {
	return Object{Name: name, Size: i.Size, Modified: i.Modified, ETag: fmt.Sprintf("%d-%d-%d", i.ID, i.Size, i.Modified.UnixNano())}
}

// Stat implements Viewer.
func (d directory) Stat(_ context.Context, name string) (Object, map[string]string, error) {
	i, err := d.d.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && i.Dir {
		return Object{}, nil, ErrNotExist
	}
	return objectOf(name, i), nil, err
}

// Open implements Viewer.
func (d directory) Open(_ context.Context, name string, offset int64, etag string) (io.ReadCloser, error) {
	f, err := d.d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	i, err := f.Stat()
	if err == nil && etag != "" && objectOf(name, i).ETag != etag {
		err = ErrChanged
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
