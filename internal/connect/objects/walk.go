package objects

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/text"
	"weir/internal/disk"
	"weir/internal/vec"
)

// printBytes is how much of the start of an object tells whether it was only appended to.
const printBytes = 1 << 10

// walk reads the objects of a partition one after the other. It waits for the service. One
// goroutine uses it at a time.
type walk struct {
	p     *part
	ctx   context.Context // of requests
	at    place
	texts map[int64]*opened
	last  int64 // object that the chunk before is of; 0 if there is none
	turn  int64 // counts chunks
	// strict: an object that cannot be read whole is an error, and not given up.
	strict bool
}

// opened is an object that is being read.
type opened struct {
	*text.Text
	k     *known
	f     *ranged
	props map[string]vec.Value
	turn  int64 // when it last gave a chunk
	stuck string
}

func newWalk(p *part, at place) *walk {
	return &walk{p: p, ctx: context.Background(), at: at, texts: map[int64]*opened{}}
}

// close ends all requests.
func (w *walk) close() {
	for n := range w.texts {
		w.shut(n)
	}
}

func (w *walk) shut(n int64) {
	if t := w.texts[n]; t != nil {
		t.Close()
		delete(w.texts, n)
	}
}

// use has requests made under a context from now on.
func (w *walk) use(ctx context.Context) {
	w.ctx = ctx
	for _, t := range w.texts {
		t.f.rest()
		t.f.ctx = ctx
	}
}

// next gives the next chunk of about max bytes; false if there is none for now. It looks for
// new objects when that is due.
func (w *walk) next(max int) (connect.Chunk, bool, error) {
	for {
		if c, ok, err := w.known(max); ok || err != nil {
			return c, ok, err
		}
		if w.p.wait() > 0 {
			return connect.Chunk{}, false, nil
		}
		if news, err := w.p.look(w.ctx, w.at.from); news == 0 || err != nil {
			return connect.Chunk{}, false, err
		}
	}
}

// known gives the next chunk of the objects that are known.
func (w *walk) known(max int) (connect.Chunk, bool, error) {
	for _, o := range w.at.Open {
		if o.Ended {
			continue
		}
		if c, ok, err := w.object(w.p.files.find(o.N), o.N, max); ok || err != nil {
			return c, ok, err
		}
	}
	for k := w.p.files.after(w.at.Started); k != nil; k = w.p.files.after(w.at.Started) {
		w.at.Started = k.N - 1 // numbers between are of nothing
		if c, ok, err := w.object(k, k.N, max); ok || err != nil {
			return c, ok, err
		}
	}
	return connect.Chunk{}, false, nil
}

// object gives the next chunk of an object. It is false if there is none; the object may have
// ended then.
func (w *walk) object(k *known, n int64, max int) (connect.Chunk, bool, error) {
	if err := w.ctx.Err(); err != nil {
		return connect.Chunk{}, false, err
	}
	spot, _ := w.at.Spot(n)
	switch {
	case k == nil:
		w.end(n)
		return connect.Chunk{}, false, nil
	case k.Modified < w.at.from:
		w.end(n)
		return connect.Chunk{}, false, nil
	}
	last := !w.p.s.Append || w.over(k)
	if t := w.texts[n]; t != nil && !last && t.Spot == spot && t.stuck == k.latest.ETag {
		return connect.Chunk{}, false, nil
	}
	t, c, ok, err := w.try(k, spot, max, last)
	var bad *codec.InputError
	switch {
	case err != nil && w.strict:
		w.shut(n)
		return connect.Chunk{}, false, fmt.Errorf("%s: %s: %w", w.p.s.store.Where(), k.Name, err)
	case errors.Is(err, ErrChanged) && w.p.s.Append, errors.Is(err, ErrChanged) && spot == text.StartOf(n):
		return connect.Chunk{}, false, w.renew(k)
	case errors.Is(err, ErrChanged):
		w.give(n, k.Name, "it was replaced while it was read; the rest of what it was is lost")
		return connect.Chunk{}, false, nil
	case errors.Is(err, errReplaced):
		now := *k
		now.Gone = true
		w.give(n, k.Name, "it was replaced: it is read anew from its start")
		return connect.Chunk{}, false, w.p.files.change(now)
	case errors.Is(err, ErrNotExist):
		w.give(n, k.Name, "it is gone; what was not read of it is lost")
		return connect.Chunk{}, false, nil
	case errors.As(err, &bad):
		w.give(n, k.Name, "it cannot be read on: "+err.Error())
		return connect.Chunk{}, false, nil
	case err != nil:
		w.shut(n)
		return connect.Chunk{}, false, fmt.Errorf("%s: %w", w.p.s.store.Where(), err)
	case ok:
		return w.complete(t, c), true, nil
	case last:
		if t.CutOff() {
			w.warn(k.Name, "the packed data is cut off; its last events may be missing")
		}
		w.end(n)
	default:
		t.stuck = k.latest.ETag
		w.at.Position = w.at.Begin(n)
	}
	return connect.Chunk{}, false, nil
}

// try opens an object at a spot, if it is not open there, and reads on.
func (w *walk) try(k *known, spot text.Spot, max int, last bool) (*opened, connect.Chunk, bool, error) {
	t, err := w.open(k, spot)
	if err != nil {
		return nil, connect.Chunk{}, false, err
	}
	if w.last != k.N {
		t.Enter(w.last != 0)
	}
	c, ok, err := t.Chunk(max, last)
	if t.f.failed != nil {
		err = t.f.failed
	}
	return t, c, ok && err == nil, err
}

// open opens an object at a spot.
func (w *walk) open(k *known, spot text.Spot) (*opened, error) {
	t := w.texts[k.N]
	if t != nil && t.Spot != spot {
		w.shut(k.N)
		t = nil
	}
	if t != nil && (!w.p.s.Append || t.f.obj.ETag == k.latest.ETag) {
		return t, nil
	}
	o := Object{Name: k.Name, Size: k.Size, ETag: k.ETag}
	if w.p.s.Append {
		if k.latest.Modified.IsZero() { // it has not been listed yet
			var err error
			if k.latest, _, err = w.p.s.store.Stat(w.ctx, k.Name); err != nil {
				return nil, err
			}
		}
		o = k.latest
	}
	f := &ranged{ctx: w.ctx, store: w.p.s.store, obj: o}
	if w.p.s.Append {
		if err := w.recognize(k, f); err != nil {
			f.Close()
			return nil, err
		}
	}
	if t != nil { // it has grown
		t.f.rest()
		t.f.obj, t.f.head = f.obj, f.head
		f.rest()
		return t, nil
	}
	x, err := text.Open(f, k.Name, w.p.s.env.Format, isCSV(w.p.s.env.Format, k.Name), spot)
	if f.failed != nil {
		err = f.failed
	}
	if err != nil {
		if x != nil {
			x.Close()
		}
		return nil, err
	}
	t = &opened{Text: x, k: k, f: f, props: map[string]vec.Value{
		"BlobName": vec.StringValue(k.Name), "BlobLastModifiedUtcTime": vec.TimeValue(k.Modified), "PartitionId": vec.IntValue(w.p.number)}}
	w.texts[k.N] = t
	w.crowd(k.N)
	return t, nil
}

// errReplaced is the error of an object that was not only appended to.
var errReplaced = errors.New("its start is another one than it was")

// recognize tells by its start that an object is the one that it was, and notes more of it.
func (w *walk) recognize(k *known, f *ranged) error {
	if k.Bytes > 0 {
		if n, sum, err := fingerprint(f, k.Bytes); err != nil || n != k.Bytes || sum != k.Print {
			if err == nil {
				err = errReplaced
			}
			return err
		}
	}
	if k.Bytes == printBytes || f.obj.Size <= int64(k.Bytes) {
		return nil
	}
	n, sum, err := fingerprint(f, printBytes)
	if err != nil {
		return err
	}
	now := *k
	now.Bytes, now.Print = n, sum
	return w.p.files.change(now)
}

// fingerprint is the checksum of the first bytes of an object, of which there may be less.
func fingerprint(f io.ReaderAt, bytes int) (int, uint32, error) {
	b := make([]byte, bytes)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return n, crc32.Checksum(b[:n], disk.Castagnoli), err
}

// over reports whether an object will not be appended to any more, as far as we wait for it.
func (w *walk) over(k *known) bool {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := p.wholes > 0 && k.seen > 0 && k.seen < p.wholes && p.count <= fewObjects
	old := !k.latest.Modified.IsZero() && p.s.env.Now().Sub(k.latest.Modified) > p.s.LookBack
	return gone || old
}

// crowd keeps the number of objects in bounds that are read on.
func (w *walk) crowd(keep int64) {
	for len(w.texts) > max(w.p.s.MaxOpen, 1) {
		oldest := int64(0)
		for n, t := range w.texts {
			if n != keep && (oldest == 0 || t.turn < w.texts[oldest].turn || t.turn == w.texts[oldest].turn && n < oldest) {
				oldest = n
			}
		}
		if rest, _ := w.texts[oldest].Behind(); rest > 0 {
			w.warn(w.texts[oldest].k.Name, "more objects are appended to than max_open allows: it is read no further, though its last line has no end")
		}
		w.end(oldest)
	}
}

// renew takes note of what an object has become of which nothing was read yet, or that is
// appended to.
func (w *walk) renew(k *known) error {
	w.shut(k.N)
	o, _, err := w.p.s.store.Stat(w.ctx, k.Name)
	if errors.Is(err, ErrNotExist) {
		w.give(k.N, k.Name, "it is gone; what was not read of it is lost")
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.p.s.store.Where(), err)
	}
	now := *k
	now.latest = o
	if !w.p.s.Append {
		now.Size, now.ETag, now.Modified = o.Size, o.ETag, ticks(o.Modified)
	}
	return w.p.files.change(now)
}

// end says that an object will not be read any more.
func (w *walk) end(n int64) {
	w.at.Position = w.at.End(n)
	w.shut(n)
}

// give gives an object up, with a warning.
func (w *walk) give(n int64, name, why string) {
	w.warn(name, why)
	w.end(n)
}

func (w *walk) warn(name, what string) {
	w.p.s.env.Log.Warn("an input object: "+what, "in", w.p.s.store.Where(), "object", name)
}

// complete says what a chunk is, and moves on.
func (w *walk) complete(t *opened, c connect.Chunk) connect.Chunk {
	w.turn++
	t.turn = w.turn
	w.at.Position = w.at.Touch(t.Spot)
	w.last = t.k.N
	c.Next, c.Properties = w.at.text(), t.props
	if !w.p.s.Append {
		c.Arrival = t.k.Modified
	}
	if t.Ended {
		w.shut(t.k.N)
	}
	return c
}

// upTo reads an object from one spot to another one.
func (w *walk) upTo(k *known, from, to text.Spot) (*opened, connect.Chunk, error) {
	t, err := w.open(k, from)
	if err != nil {
		return nil, connect.Chunk{}, err
	}
	if w.last != k.N {
		t.Enter(w.last != 0)
	}
	c, err := t.UpTo(to)
	if t.f.failed != nil {
		err = t.f.failed
	}
	return t, c, err
}

// again reads what was read before, up to a position.
func (w *walk) again(until connect.Position) (connect.Chunk, error) {
	end, err := parsePlace(until)
	if err != nil {
		return connect.Chunk{}, connect.Permanent(err)
	}
	if until == w.at.text() || len(end.Open) == 0 {
		w.at = end
		return connect.Chunk{Next: until}, nil
	}
	to := end.Open[0]
	from, ok := w.at.Spot(to.N)
	if to == from { // others have ended
		w.at = end
		return connect.Chunk{Next: until}, nil
	}
	if !ok || to.Off < from.Off {
		return connect.Chunk{}, connect.Permanent(fmt.Errorf("position %q does not come behind %q", string(until), string(w.at.text())))
	}
	k := w.p.files.find(to.N)
	if k == nil {
		return connect.Chunk{}, fmt.Errorf("object %d of the registry is gone: %w", to.N, connect.ErrGone)
	}
	t, c, err := w.upTo(k, from, to)
	if errors.Is(err, ErrChanged) && w.p.s.Append { // it has grown since it was listed
		if err = w.renew(k); err == nil {
			t, c, err = w.upTo(k, from, to)
		}
	}
	if err != nil {
		w.shut(k.N)
		if errors.Is(err, ErrNotExist) || errors.Is(err, errReplaced) || errors.Is(err, ErrChanged) && !w.p.s.Append {
			err = fmt.Errorf("%w: %w", err, connect.ErrGone)
		}
		return connect.Chunk{}, fmt.Errorf("%s: %s: %w", w.p.s.store.Where(), k.Name, err)
	}
	c = w.complete(t, c)
	w.at, c.Next = end, until
	for n := range w.texts {
		if _, ok := end.Spot(n); !ok {
			w.shut(n)
		}
	}
	return c, nil
}
