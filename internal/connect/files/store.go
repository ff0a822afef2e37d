package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/objects"
)

const (
	// maxUploads is how many files are on their way to the store at a time.
	maxUploads = 4
	// firstPause and longestPause are how long an upload waits before it is tried again; each
	// pause is twice the one before.
	firstPause   = 20 * time.Millisecond
	longestPause = 10 * time.Second
	// repeatEvery is how often a failure that lasts is logged.
	repeatEvery = 30 * time.Second
	// lingering is how long a sink that is closed goes on with uploads that work.
	lingering = 5 * time.Second
)

// uploads puts complete files into a store in the background, those of one stem in their
// order. A file waits on the local disk until the store has it. The sink's mutex guards all
// fields below store.
type uploads struct {
	store objects.Store

	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup
	running int
	queue   []int64         // files that no worker has yet
	busy    map[string]bool // stems that workers have
	bytes   int64           // of files that the store does not have
	trouble map[int64]error // of files that are being tried again, their last errors
	tries   int             // that failed
	failed  error           // that no retry heals: nothing more is sent
	changed *sync.Cond      // of anything above
}

func newUploads(store objects.Store) *uploads {
	u := &uploads{store: store, busy: map[string]bool{}, trouble: map[int64]error{}}
	u.ctx, u.stop = context.WithCancel(context.Background())
	return u
}

// Ailing implements connect.Ailing: what does not work at the store now.
func (s *sink) Ailing() error {
	if s.up == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up.ailing()
}

func (u *uploads) ailing() error {
	for _, id := range slices.Sorted(maps.Keys(u.trouble)) {
		return u.trouble[id]
	}
	return nil
}

// enqueue gives complete files to the uploads, and those that a process before this one left.
func (s *sink) enqueue(ids []int64) error {
	if len(ids) > 0 {
		if err := s.begun(&record{Queue: ids}, ids); err != nil {
			return err
		}
	}
	if s.queued == len(s.ledger.Finish) {
		return nil
	}
	for _, id := range s.ledger.Finish {
		f := s.files[id]
		if f.queued {
			continue
		}
		f.queued = true
		s.queued++
		s.up.bytes += f.Size
		s.up.queue = append(s.up.queue, id)
	}
	s.spawn()
	return nil
}

// spawn starts workers for files that wait.
func (s *sink) spawn() {
	u := s.up
	for range min(len(u.queue), maxUploads-u.running) {
		u.running++
		u.workers.Add(1)
		go s.work()
	}
}

// work uploads files until there is none that it can take.
func (s *sink) work() {
	u := s.up
	defer u.workers.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		i := slices.IndexFunc(u.queue, func(id int64) bool { return !u.busy[s.ledger.files[id].Stem] })
		if i < 0 || u.failed != nil || u.ctx.Err() != nil {
			u.running--
			return
		}
		f := *s.ledger.files[u.queue[i]]
		u.queue = slices.Delete(u.queue, i, i+1)
		u.busy[f.Stem] = true
		s.mu.Unlock()
		err := s.insist(&f)
		s.mu.Lock()
		delete(u.busy, f.Stem)
		delete(u.trouble, f.ID)
		if err != nil && u.ctx.Err() == nil {
			u.failed = err
		}
		u.changed.Broadcast()
		s.spawn()
	}
}

// insist uploads a file until it is there. Its error is one that no retry heals, or the end.
func (s *sink) insist(f *fileState) error {
	u := s.up
	up := upload{s: s, f: f}
	var began, told time.Time
	for failures := 0; ; {
		err := up.try(u.ctx)
		if err == nil {
			if failures > 0 {
				s.env.Log.Info("the store takes files again", "store", u.store.Where(), "tries", failures, "waited", s.env.Now().Sub(began).Round(time.Millisecond))
			}
			return nil
		}
		if connect.IsPermanent(err) || u.ctx.Err() != nil {
			return err
		}
		now := s.env.Now()
		if failures++; failures == 1 {
			began = now
		}
		if told.IsZero() || now.Sub(told) >= repeatEvery {
			told = now
			s.env.Log.Warn("a file waits for the store, nothing is lost", "store", u.store.Where(), "file", f.Name, "error", err, "tries", failures)
		}
		s.mu.Lock()
		u.trouble[f.ID] = err
		u.tries++
		u.changed.Broadcast()
		s.mu.Unlock()
		pause := time.NewTimer(min(firstPause<<min(failures-1, 20), longestPause))
		select {
		case <-u.ctx.Done():
			pause.Stop()
			return u.ctx.Err()
		case <-pause.C:
		}
	}
}

// room waits until the uploads hold no more than they may, or nothing when all inputs have
// ended. When a try fails meanwhile it gives that error.
func (s *sink) room(ctx context.Context) error {
	u := s.up
	tries := u.tries
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		u.changed.Broadcast()
	})()
	for {
		switch over := u.bytes > s.s.maxStaged || s.queued > s.s.maxFiles; {
		case u.failed != nil:
			return u.failed
		case !over && (!s.ended() || s.queued == 0):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case u.tries == tries || u.ailing() == nil:
		case over:
			return fmt.Errorf("%d files with %d MiB wait for %s, and no more may (max_staged, max_files): %w", s.queued, u.bytes>>20, u.store.Where(), u.ailing())
		default:
			return u.ailing()
		}
		u.changed.Wait()
	}
}

// linger gives uploads that work some time at the end.
func (s *sink) linger() {
	u := s.up
	late := false
	t := time.AfterFunc(lingering, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		u.changed.Broadcast()
	})
	defer t.Stop()
	for s.queued > 0 && u.failed == nil && len(u.trouble) == 0 && !late {
		u.changed.Wait()
	}
}

// stop ends the uploads and waits for them.
func (s *sink) stop() {
	s.up.stop()
	s.mu.Unlock()
	s.up.workers.Wait()
	s.mu.Lock()
}

// upload is a file on its way.
type upload struct {
	s      *sink
	f      *fileState
	staged string // the file in our directory
	size   int64
	sum    string
	placed bool // the store has it, and the journal says so
}

// try does what is left to do. Each step can be done again.
func (p *upload) try(ctx context.Context) error {
	if p.staged == "" {
		if err := p.seal(); err != nil {
			return err
		}
	}
	if !p.placed {
		if err := p.put(ctx); err != nil {
			return err
		}
		if err := p.note(); err != nil {
			return err
		}
	}
	if err := p.s.own.Remove(p.staged); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// note says in the journal that the store has the file.
func (p *upload) note() error {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &record{Placed: p.f.ID}
	if err := s.put(r, true); err != nil {
		return err
	}
	s.ledger.apply(r)
	delete(s.files, p.f.ID)
	s.queued--
	s.up.bytes -= p.f.Size
	p.placed = true
	return nil
}

// seal ends and packs the file.
func (p *upload) seal() error {
	staged, err := p.s.closed(p.f)
	if err != nil {
		return err
	}
	if staged == "" {
		return connect.Permanent(fmt.Errorf("%s is gone, and so are the rows that were to be in %s: put it back, or begin anew with --discard-state",
			p.s.own.Path(partName(p.f.ID)), p.f.Name))
	}
	if p.size, p.sum, err = digest(p.s.own, staged); err == nil {
		p.staged = staged
	}
	return err
}

// The names of metadata of objects.
const (
	metaJob      = "job"
	metaOutput   = "output"
	metaInstance = "instance"
	metaFile     = "file"
	metaRows     = "rows"
	metaSum      = "sha256"
)

// put gives the store the file under its name, or under the next that is free.
func (p *upload) put(ctx context.Context) error {
	s, f := p.s, p.f
	h, err := s.own.Open(p.staged)
	if err != nil {
		return err
	}
	defer h.Close()
	o := objects.PutOptions{ContentType: s.p.content, IfAbsent: true, Metadata: map[string]string{
		metaJob: escape(s.env.Job), metaOutput: escape(s.env.Output), metaInstance: escape(s.env.Instance),
		metaFile: strconv.FormatInt(f.ID, 10), metaRows: strconv.FormatInt(f.Rows, 10), metaSum: p.sum}}
	numbered := strings.ContainsRune(f.Stem, hole)
	for {
		if err := s.up.store.Put(ctx, f.Name, h, p.size, o); !errors.Is(err, objects.ErrExists) {
			return err
		}
		there, meta, err := s.up.store.Stat(ctx, f.Name)
		if err != nil {
			return err // it may just have gone: the next try will see
		}
		state := meta[metaJob] == o.Metadata[metaJob] && meta[metaOutput] == o.Metadata[metaOutput] && meta[metaInstance] == o.Metadata[metaInstance]
		mine := state && meta[metaFile] == o.Metadata[metaFile]
		equal := there.Size == p.size && meta[metaSum] == p.sum
		switch {
		case equal && (mine || !numbered && !state):
			return nil
		case mine, s.s.replace && !state:
			o.IfAbsent = false
		case numbered:
			if err := p.rename(ctx); err != nil {
				return err
			}
		default:
			return connect.Permanent(fmt.Errorf("%s is in %s already, and finished files are not overwritten: move it away, put {n} in the path, or set exists: replace",
				f.Name, s.up.store.Where()))
		}
	}
}

// rename finds the next number that is free, and notes it before it is used.
func (p *upload) rename(ctx context.Context) error {
	s, f := p.s, p.f
	taken := func(n int64) (bool, error) {
		text, err := name(f.Stem, n, s.s.manifest)
		if err != nil {
			return false, connect.Permanent(err)
		}
		_, _, err = s.up.store.Stat(ctx, text)
		if errors.Is(err, objects.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	used, free := f.N, f.N+1
	for step := int64(1); ; step *= 2 {
		is, err := taken(free)
		if err != nil {
			return err
		}
		if !is {
			break
		}
		used, free = free, free+step
	}
	for used+1 < free {
		n := used + (free-used)/2
		is, err := taken(n)
		if err != nil {
			return err
		}
		if is {
			used = n
		} else {
			free = n
		}
	}
	text, err := name(f.Stem, free, s.s.manifest)
	if err != nil {
		return connect.Permanent(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &record{Named: &named{ID: f.ID, N: free, Name: text}}
	if err := s.put(r, true); err != nil {
		return err
	}
	s.ledger.apply(r)
	other := *s.ledger.files[f.ID]
	*f = other
	return nil
}
