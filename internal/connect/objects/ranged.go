package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"weir/internal/disk"
)

// stallAfter is how long a service may give nothing while we wait for it.
const stallAfter = time.Minute

var errStalled = errors.New("the service gives nothing any more")

// headBytes is how much of the start of an object is kept: how its text lies in it is found
// out there.
const headBytes = 64 << 10

// ranged is an object as a file: what the object is has been listed, and its ETag says that it
// is that one still. Reads that follow each other are one request, from where they begin to
// the end of the object.
type ranged struct {
	ctx   context.Context // of the requests
	store Viewer
	obj   Object

	body io.ReadCloser
	stop context.CancelCauseFunc // of the request that body is of
	at   int64                   // of the next byte of body
	gave bool                    // body has given something
	head []byte
	// failed is the error of a request. What unpacks the bytes may take it for damage of theirs.
	failed error
}

// Stat implements text.File.
func (r *ranged) Stat() (disk.Info, error) {
	return disk.Info{Name: r.obj.Name, Size: r.obj.Size, Modified: r.obj.Modified}, nil
}

// Close implements text.File.
func (r *ranged) Close() error {
	r.rest()
	r.head = nil
	return nil
}

// rest ends the request at hand.
func (r *ranged) rest() {
	if r.body != nil {
		r.stop(nil)
		r.body.Close() // what it has not given is not wanted
		r.body = nil
	}
}

// begin makes a request for the object from an offset on.
func (r *ranged) begin(off int64) error {
	ctx, stop := context.WithCancelCause(r.ctx)
	watch := time.AfterFunc(stallAfter, func() { stop(errStalled) })
	defer watch.Stop()
	body, err := r.store.Open(ctx, r.obj.Name, off, r.obj.ETag)
	if err != nil {
		err = stalled(ctx, err)
		stop(nil)
		return err
	}
	r.body, r.stop, r.at, r.gave = &watched{body, ctx, watch}, stop, off, false
	return nil
}

// watched is the answer to a request. It ends if it gives nothing for long while it is read.
type watched struct {
	io.ReadCloser
	ctx   context.Context
	watch *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	w.watch.Reset(stallAfter)
	n, err := w.ReadCloser.Read(p)
	w.watch.Stop()
	return n, stalled(w.ctx, err)
}

// stalled is the error of a request, which we have ended if it stalled.
func stalled(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

// ReadAt implements text.File.
func (r *ranged) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < headBytes && off < r.obj.Size {
		if r.head == nil {
			b := make([]byte, min(headBytes, r.obj.Size))
			if _, err := r.stream(b, 0); err != nil {
				return 0, err
			}
			r.head = b
		}
		n = copy(p, r.head[min(off, int64(len(r.head))):])
	}
	left := min(int64(len(p)-n), r.obj.Size-off-int64(n))
	if left > 0 {
		got, err := r.stream(p[n:n+int(left)], off+int64(n))
		if n += got; err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// stream fills p.
func (r *ranged) stream(p []byte, off int64) (int, error) {
	n, err := r.request(p, off)
	if err != nil {
		r.failed = err
	}
	return n, err
}

// request fills p. A request that breaks after it has given something is made once more: the
// service need not wait for ever until we read on.
func (r *ranged) request(p []byte, off int64) (int, error) {
	if r.body != nil && r.at != off {
		r.rest()
	}
	n := 0
	for {
		if r.body == nil {
			if err := r.begin(off + int64(n)); err != nil {
				return n, err
			}
		}
		got, err := io.ReadFull(r.body, p[n:])
		n += got
		r.at += int64(got)
		if err == nil {
			r.gave = true
			return n, nil
		}
		again := (r.gave || got > 0) && r.ctx.Err() == nil
		r.rest()
		if again {
			continue
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%s: the service gave %d bytes less than it had said", r.obj.Name, len(p)-n)
		}
		return n, err
	}
}
