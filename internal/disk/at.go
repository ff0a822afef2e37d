package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// At is the file system of a directory of this machine, for what only we read: its files
// are readable by their owner alone (0600, directories 0700). The directory is made if it
// is not there.
func At(dir string) (FS, error) { return at(dir, 0o600, 0o700) }

// Shared is At for files that others read too: their modes are what the umask leaves of
// 0666 and 0777.
func Shared(dir string) (FS, error) { return at(dir, 0o666, 0o777) }

func at(dir string, file, folder fs.FileMode) (FS, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeDirs(abs, folder); err != nil {
		return nil, wrap(err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, wrap(err)
	}
	return &real{root, file, folder}, nil
}

// makeDirs makes a directory of the machine and those above it, durably.
func makeDirs(dir string, mode fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("is a file, not a directory")}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrNotExist}
	}
	if err := makeDirs(parent, mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// real is a directory of the machine. os.Root keeps every name inside it.
type real struct {
	root         *os.Root
	file, folder fs.FileMode
}

// valid refuses names that are not plain paths below the root: os.Root keeps them inside
// as well, but not in the same words on every system.
func valid(op, name string) error {
	if !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// wrap marks errors that say that the disk is full.
func wrap(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (r *real) open(op, name string, flag int) (File, error) {
	if err := valid(op, name); err != nil {
		return nil, err
	}
	f, err := r.root.OpenFile(name, flag, r.file)
	if err != nil {
		return nil, wrap(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: op, Path: name, Err: errNotFile}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return realFile{f}, nil
}

var errNotFile = errors.New("is not a file")

func (r *real) Open(name string) (File, error) { return r.open("open", name, os.O_RDONLY|nonBlock) }

func (r *real) Create(name string) (File, error) {
	return r.open("create", name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (r *real) Edit(name string) (File, error) {
	return r.open("edit", name, os.O_RDWR|os.O_CREATE)
}

func (r *real) Rename(from, to string) error {
	if err := errors.Join(valid("rename", from), valid("rename", to)); err != nil {
		return err
	}
	return wrap(r.root.Rename(from, to))
}

func (r *real) Remove(name string) error {
	if err := valid("remove", name); err != nil {
		return err
	}
	return wrap(r.root.Remove(name))
}

func (r *real) MkdirAll(name string) error {
	if err := valid("mkdir", name); err != nil {
		return err
	}
	if info, err := r.root.Stat(name); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("is a file, not a directory")}
		}
		return nil
	}
	parent := path.Dir(name)
	if err := r.MkdirAll(parent); err != nil {
		return err
	}
	if err := r.root.Mkdir(name, r.folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return wrap(err)
	}
	return r.SyncDir(parent)
}

func (r *real) ReadDir(name string) ([]Info, error) {
	if err := valid("readdir", name); err != nil {
		return nil, err
	}
	d, err := r.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	out := make([]Info, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = r.root.Stat(path.Join(name, e.Name()))
		}
		// What vanished meanwhile, leads out, or is a pipe or device is not listed.
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

func infoOf(i fs.FileInfo) Info {
	return Info{Name: i.Name(), Size: i.Size(), Modified: i.ModTime(), Dir: i.IsDir(), ID: fileID(i)}
}

func (r *real) Stat(name string) (Info, error) {
	if err := valid("stat", name); err != nil {
		return Info{}, err
	}
	info, err := r.root.Stat(name)
	if err != nil {
		return Info{}, err
	}
	i := infoOf(info)
	i.Name = path.Base(name)
	return i, nil
}

func (r *real) SyncDir(name string) error {
	if err := valid("syncdir", name); err != nil {
		return err
	}
	d, err := r.root.Open(name)
	if err != nil {
		return err
	}
	return wrap(errors.Join(syncDir(d), d.Close()))
}

func (r *real) Lock(name string) (io.Closer, error) {
	if err := valid("lock", name); err != nil {
		return nil, err
	}
	f, err := lock(r.root, name, r.file)
	if err != nil {
		return nil, wrap(err)
	}
	return f, nil
}

func (r *real) Sub(name string) (FS, error) {
	if err := r.MkdirAll(name); err != nil {
		return nil, err
	}
	root, err := r.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &real{root, r.file, r.folder}, nil
}

func (r *real) Path(name string) string {
	return filepath.Join(r.root.Name(), filepath.FromSlash(name))
}

// realFile is a file of the machine.
type realFile struct{ *os.File }

// OSFile is the file as another process can be given it.
func (f realFile) OSFile() *os.File { return f.File }

func (f realFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, wrap(err)
}

func (f realFile) Sync() error { return wrap(f.File.Sync()) }

func (f realFile) Truncate(size int64) error { return wrap(f.File.Truncate(size)) }

func (f realFile) Stat() (Info, error) {
	i, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(i), nil
}
