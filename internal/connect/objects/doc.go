// Package objects is what stores of objects share, whatever the service: Azure Blob Storage, S3.
package objects

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Object is an object of a store.
type Object struct {
	Name     string // from the root of the container or bucket, with slashes
	Size     int64  // bytes
	Modified time.Time
	ETag     string // changes with the content
}

// The errors of stores.
var (
	ErrNotExist = errors.New("there is no such object")
	ErrExists   = errors.New("there is an object of this name")
	ErrChanged  = errors.New("the object has changed")
)

// PutOptions say how an object is written.
type PutOptions struct {
	ContentType string
	Metadata    map[string]string // names are lower-case letters and digits
	IfAbsent    bool              // ErrExists if there is one of the name
}

// Viewer reads a container or bucket. Many goroutines may use it. Its errors carry no secrets.
type Viewer interface {
	// List gives the objects whose names begin with a prefix and come behind a name, in the
	// order of their names, page by page as they are asked for.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	Stat(ctx context.Context, name string) (Object, map[string]string, error)
	// Open reads an object from an offset on. With etag, ErrChanged says that it is another one.
	Open(ctx context.Context, name string, offset int64, etag string) (io.ReadCloser, error)
	// Where names the store for people: "https://account.blob.core.windows.net/container".
	Where() string
}

// Store is a Viewer that writes too.
type Store interface {
	Viewer
	// Put writes an object, whole or not at all; one of the name is replaced.
	Put(ctx context.Context, name string, body io.ReaderAt, size int64, o PutOptions) error
	Delete(ctx context.Context, name string) error
}
