package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	nonBlock = 0

	errorSharingViolation = syscall.Errno(32)
	errorHandleDiskFull   = syscall.Errno(39)
	errorDiskFull         = syscall.Errno(112)
)

func isFull(err error) bool {
	return errors.Is(err, errorDiskFull) || errors.Is(err, errorHandleDiskFull)
}

// fileID is 0: the number of a file is not part of what Stat finds out here.
func fileID(fs.FileInfo) uint64 { return 0 }

// syncDir does nothing: the system keeps names durable on its own and has no call for it.
func syncDir(*os.File) error { return nil }

// lock opens the file so that nobody else may: the system ends that with the process.
func lock(root *os.Root, name string, mode fs.FileMode) (io.Closer, error) {
	made, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, mode)
	if errors.Is(err, errorSharingViolation) {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	if err != nil {
		return nil, err
	}
	made.Close()
	path := filepath.Join(root.Name(), filepath.FromSlash(name))
	p, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(p, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_EXISTING, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		err = ErrLocked
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}
