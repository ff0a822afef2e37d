package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/text"
	"weir/internal/disk"
	"weir/internal/vec"
)

// maxTurn is how much is read of a file before others that have grown have their turn.
const maxTurn = 8 << 20

// reader reads all files of a source.
type reader struct {
	s     *source
	pos   text.Position
	texts map[int64]*opened // that are open
	turn  int64             // bytes read of the first spot's file in a row
	began time.Time
	last  int64 // file that the chunk before is of; 0 if there is none
	grown map[int64]time.Time

	ready   chan struct{}
	watched *watched
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Close implements connect.Reader.
func (r *reader) Close() error {
	if r.watched != nil {
		r.watched.end()
	}
	for _, t := range r.texts {
		t.Close()
	}
	r.texts = nil
	return nil
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if r.texts == nil {
		return connect.Chunk{}, fs.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return connect.Chunk{}, err
	}
	if until != "" {
		return r.again(until)
	}
	if r.s.due() {
		if err := r.s.scan(); err != nil {
			return connect.Chunk{}, err
		}
	}
	for _, n := range r.order() {
		if err := ctx.Err(); err != nil {
			return connect.Chunk{}, err
		}
		c, ok, err := r.file(n, max)
		if err != nil || ok {
			return c, err
		}
	}
	r.turn = 0
	return connect.Chunk{Next: r.pos.Text(), End: !r.s.s.follow}, nil
}

// order are the files in the order in which they have their turn: the one at hand, the
// others that were begun, new ones.
func (r *reader) order() []int64 {
	var list []int64
	for _, o := range r.pos.Open {
		if !o.Ended {
			list = append(list, o.N)
		}
	}
	if r.turn >= maxTurn && len(list) > 1 {
		list = append(list[1:], list[0])
		r.turn = 0
	}
	if !r.s.s.follow {
		slices.Sort(list) // one after the other
	}
	from, _ := slices.BinarySearchFunc(r.s.files.files, r.pos.Started+1, func(k *known, n int64) int { return int(k.N - n) })
	for _, k := range r.s.files.files[from:] {
		list = append(list, k.N)
	}
	return list
}

// file reads the next chunk of a file. It is false if there is none; the file may have
// ended then.
func (r *reader) file(n int64, max int) (connect.Chunk, bool, error) {
	k := r.s.files.find(n)
	if k == nil {
		r.give(n, "", "it is not known any more")
		return connect.Chunk{}, false, nil
	}
	if k.ID != 0 && r.s.files.byID[k.ID] != k {
		r.finish(n) // it is another one by now
		return connect.Chunk{}, false, nil
	}
	at, _ := r.pos.Spot(n)
	last := !r.s.s.follow || r.over(k)
	t, err := r.open(k, at)
	if errors.Is(err, connect.ErrGone) || errors.Is(err, fs.ErrNotExist) {
		if last {
			r.give(n, k.Name, "it is gone; what it had behind what was read is lost, if there was any")
		}
		return connect.Chunk{}, false, nil
	}
	if err != nil {
		return connect.Chunk{}, false, err
	}
	if cut, err := r.truncated(t); err != nil || cut {
		return connect.Chunk{}, false, err
	}
	r.enter(t)
	c, ok, err := t.Chunk(max, last)
	var bad *codec.InputError
	if err != nil && !errors.As(err, &bad) {
		return connect.Chunk{}, false, err
	}
	if err != nil {
		r.warn(n, k.Name, "it cannot be read on: "+err.Error())
		last, ok = true, false
	}
	if ok {
		r.turn += int64(len(c.Data))
		return r.complete(t, c), true, nil
	}
	if last {
		if t.CutOff() {
			r.warn(n, k.Name, "the packed data is cut off; its last events may be missing")
		}
		r.finish(n)
	}
	return connect.Chunk{}, false, nil
}

// enter readies a text for a decoder that has seen another one before.
func (r *reader) enter(t *opened) {
	if r.last != t.k.N {
		t.Enter(r.last != 0)
	}
}

// over reports whether a followed file will not grow any more: it has been moved away or
// removed, some time ago, or its content has been replaced.
func (r *reader) over(k *known) bool {
	if k.name != "" {
		return false
	}
	moved := r.s.moved[k.N]
	if moved.IsZero() {
		moved = r.began // it was so when we came
	}
	return r.s.env.Now().Sub(moved) >= r.s.s.wait
}

// open opens a file at a spot, if it is not open there.
func (r *reader) open(k *known, at text.Spot) (*opened, error) {
	t := r.texts[k.N]
	if t != nil && t.Spot == at {
		return t, nil
	}
	if t != nil {
		t.Close()
		delete(r.texts, k.N)
	}
	name, err := r.s.locate(k)
	if err != nil {
		return nil, err
	}
	if t, err = r.s.text(k, name, at); err != nil {
		return nil, err
	}
	info, err := t.f.Stat()
	if err == nil && k.ID != 0 && info.ID != k.ID {
		err = fs.ErrNotExist // replaced a moment ago
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	r.texts[k.N] = t
	r.crowd(k.N)
	r.changed()
	return t, nil
}

// crowd keeps the number of files in bounds that are open and watched: the one that has not
// grown for longest is read no further if it grows.
func (r *reader) crowd(keep int64) {
	for len(r.texts) > r.s.s.open {
		oldest := int64(0)
		for n := range r.texts {
			if _, end := r.texts[n].Behind(); n != keep && end && (oldest == 0 || r.grown[n].Before(r.grown[oldest]) || r.grown[n].Equal(r.grown[oldest]) && n < oldest) {
				oldest = n
			}
		}
		if oldest == 0 {
			return
		}
		t := r.texts[oldest]
		if rest, _ := t.Behind(); rest > 0 {
			r.warn(oldest, t.k.Name, "more files are open than max_open allows: it is read no further, though its last line has no end")
		}
		r.finish(oldest)
	}
}

// truncated notices that a file was emptied, to be written anew: it ends for us, and comes
// again as a new one.
func (r *reader) truncated(t *opened) (bool, error) {
	if !r.s.s.follow {
		return false, nil
	}
	info, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	if !t.Truncated(info.Size) {
		return false, nil
	}
	if r.s.files.byID[t.k.ID] == t.k {
		delete(r.s.files.byID, t.k.ID)
		r.s.looked = time.Time{}
	}
	r.finish(t.k.N)
	return true, nil
}

// finish says that a file will not be read any more.
func (r *reader) finish(n int64) {
	r.pos = r.pos.End(n)
	if t := r.texts[n]; t != nil {
		t.Close()
		delete(r.texts, n)
	}
	r.changed()
}

// give gives a file up. It is worth a warning if some of it was read, or could have been.
func (r *reader) give(n int64, name, why string) {
	if at, _ := r.pos.Spot(n); at.Off > 0 || !r.s.moved[n].IsZero() {
		r.warn(n, name, why)
	}
	r.finish(n)
}

func (r *reader) warn(n int64, name, what string) {
	if r.s.warned[n] {
		return
	}
	r.s.warned[n] = true
	r.s.env.Log.Warn("an input file: "+what, "file", name)
}

// complete says what a chunk is, and moves on.
func (r *reader) complete(t *opened, c connect.Chunk) connect.Chunk {
	r.pos = r.pos.Touch(t.Spot)
	c.Next = r.pos.Text()
	r.last = t.k.N
	r.grown[t.k.N] = r.s.env.Now()
	modified := timeOf(time.Unix(0, t.k.Modified))
	c.Object = r.s.object(t.k)
	if !r.s.s.follow {
		c.Arrival = modified
	}
	c.Properties = map[string]vec.Value{"BlobName": vec.StringValue(t.k.Name), "BlobLastModifiedUtcTime": vec.TimeValue(modified)}
	if t.Ended {
		t.Close()
		delete(r.texts, t.k.N)
		r.changed()
	}
	return c
}

// again reads what was read before, up to a position.
func (r *reader) again(until connect.Position) (connect.Chunk, error) {
	end, err := text.ParsePosition(until)
	if err != nil {
		return connect.Chunk{}, connect.Permanent(err)
	}
	if until == r.pos.Text() || len(end.Open) == 0 {
		r.pos = end
		return connect.Chunk{Next: until}, nil
	}
	to := end.Open[0]
	from, ok := r.pos.Spot(to.N)
	k := r.s.files.find(to.N)
	if k == nil {
		return connect.Chunk{}, fmt.Errorf("file %d of the registry is gone: %w", to.N, connect.ErrGone)
	}
	if to == from { // others have ended
		r.pos = end
		return connect.Chunk{Next: until}, nil
	}
	if !ok || to.Off < from.Off {
		return connect.Chunk{}, connect.Permanent(fmt.Errorf("position %q does not come behind %q", string(until), string(r.pos.Text())))
	}
	t, err := r.open(k, from)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is gone: %w", r.s.object(k), connect.ErrGone)
	}
	if err != nil {
		return connect.Chunk{}, err
	}
	r.enter(t)
	c, err := t.UpTo(to)
	if err != nil {
		t.Close()
		delete(r.texts, k.N)
		return connect.Chunk{}, err
	}
	c = r.complete(t, c)
	r.pos, c.Next = end, until
	for n := range r.texts {
		if _, ok := end.Spot(n); !ok {
			r.texts[n].Close()
			delete(r.texts, n)
		}
	}
	r.changed()
	return c, nil
}

// watched is what a goroutine looks at to tell that files have grown.
type watched struct {
	mu    sync.Mutex
	files map[disk.File]int64
	stop  chan struct{}
	done  chan struct{}
}

// watchEvery is how often the sizes of open files are looked at.
const watchEvery = 5 * time.Millisecond

// watch starts the goroutine.
func (r *reader) watch() {
	r.ready = make(chan struct{}, 1)
	w := &watched{stop: make(chan struct{}), done: make(chan struct{})}
	r.watched = w
	go func() {
		defer close(w.done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		scan := time.NewTicker(r.s.s.scan)
		defer scan.Stop()
		for {
			news := false
			select {
			case <-w.stop:
				return
			case <-scan.C:
				news = true
			case <-tick.C:
				news = w.look()
			}
			if news {
				select {
				case r.ready <- struct{}{}:
				default:
				}
			}
		}
	}()
}

// look reports whether a file has changed its size.
func (w *watched) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := false
	for f, size := range w.files {
		if info, err := f.Stat(); err == nil && info.Size != size {
			w.files[f] = info.Size
			news = true
		}
	}
	return news
}

func (w *watched) end() {
	close(w.stop)
	<-w.done
}

// changed tells the goroutine which files are open. It must not look at one that is closed,
// but that would only be an error to it.
func (r *reader) changed() {
	if r.watched == nil {
		return
	}
	files := map[disk.File]int64{}
	for _, t := range r.texts {
		if info, err := t.f.Stat(); err == nil {
			files[t.f] = info.Size
		}
	}
	r.watched.mu.Lock()
	r.watched.files = files
	r.watched.mu.Unlock()
}
