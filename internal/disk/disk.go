// Package disk is what Weir needs of a file system to keep things: files that are synced,
// renamed and locked. Everything that must survive a crash goes through FS, so that tests
// can take the power away at any operation (Mem).
//
// The protocol for a file that must be whole or absent: write it under another name, sync
// it, rename it, sync the directory. Appended data counts after Sync only.
package disk

import (
	"errors"
	"io"
	"time"
)

// FS is a directory and what is in it. Names are slash-separated paths below it, such as
// fs.ValidPath takes; no name, with "..", a link or otherwise, leads out of it. Errors of
// what is not there are fs.ErrNotExist. Several goroutines may use it.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create makes a file, or empties the one that is there, for reading and writing.
	Create(name string) (File, error)
	// Edit opens a file for reading and writing, and makes it if it is not there. Its
	// position is the start.
	Edit(name string) (File, error)
	// Rename moves a file over another one, at once for all who look.
	Rename(from, to string) error
	Remove(name string) error
	// MkdirAll makes a directory and those above it. Those that it makes are durable at once.
	MkdirAll(name string) error
	// ReadDir lists the files and directories of a directory in the order of names; "." is the
	// FS itself. Pipes, devices and links that lead out or nowhere are left out.
	ReadDir(name string) ([]Info, error)
	Stat(name string) (Info, error)
	// SyncDir makes the names in a directory durable: files made, renamed and removed.
	SyncDir(name string) error
	// Lock takes a lock that other processes respect, until it is closed or the process
	// ends. It does not wait: ErrLocked says that another one has it.
	Lock(name string) (io.Closer, error)
	// Sub is the FS of a directory, which is made if it is not there.
	Sub(name string) (FS, error)
	// Path is the path of a name for people and for other libraries.
	Path(name string) string
}

// File is an open file. Writes go to its position, as those of os.File do.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Sync makes what was written durable. After an error nothing that was written since
	// the last Sync can be relied on: the file must be closed, read again and rewritten.
	Sync() error
	Truncate(size int64) error
	Stat() (Info, error)
}

// Info is what a file is.
type Info struct {
	Name     string // the last part
	Size     int64
	Modified time.Time
	Dir      bool
	// ID stays when a file is renamed and differs between files that exist at a time; 0 if
	// the system has none.
	ID uint64
}

// ErrLocked is the error of a lock that another process has.
var ErrLocked = errors.New("locked by another process")

// ErrFull reports whether an error says that no space is left. It is an answer of FS
// methods and of writes to files; waiting may help.
var ErrFull = errors.New("no space left on the disk")
