package disk

import (
	"errors"
	"io/fs"
	"path"
)

// WriteWhole writes a file that has, after a crash at any moment, all of data or what it had
// before; it is durable when WriteWhole returns no error. Its directory must be there. The name
// with ".new" behind it is used meanwhile, and gone after an error.
func WriteWhole(f FS, name string, data []byte) error {
	temp := name + ".new"
	w, err := f.Create(temp)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		// What is left of it is in the way when the disk is full.
		if e := f.Remove(temp); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		return err
	}
	if err := f.Rename(temp, name); err != nil {
		return err
	}
	return f.SyncDir(path.Dir(name))
}
