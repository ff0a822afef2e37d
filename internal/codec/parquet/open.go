package parquet

import (
	"errors"
	"io"
	"os"
)

// Open reads a file as lines of JSON, as Decode writes them, in a child process if there can be
// one. It does not close the file. Read gives whole lines up to the error; Close ends the child.
func Open(f *os.File, o Options) (io.ReadCloser, error) {
	if r, ok, err := spawn(f, o); ok || err != nil {
		return r, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// The pipe's other side is a goroutine that Close ends.
	r, w := io.Pipe()
	p := &inProcess{PipeReader: r, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		w.CloseWithError(Decode(w, f, info.Size(), o))
	}()
	return p, nil
}

// inProcess is a file that is decoded by a goroutine.
type inProcess struct {
	*io.PipeReader
	done chan struct{}
}

var errClosed = errors.New("the file is closed")

// Close waits for the goroutine.
func (p *inProcess) Close() error {
	err := p.CloseWithError(errClosed)
	<-p.done
	return err
}
