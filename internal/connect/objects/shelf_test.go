package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain: no goroutine is left.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shelf is a store in memory, with faults and a clock of its own.
type shelf struct {
	mu      sync.Mutex
	objects map[string]*shelved
	names   []string // sorted; nil: to be sorted
	writes  int
	now     time.Time
	lists   int // that were begun
	listed  int // objects that were given
	opens   int
	// fail is asked before each operation, without the lock: "list", "stat" or "open".
	fail func(op, name string) error
	// gives, if set, hears the name of each object before a list gives it.
	gives func(name string)
	// broken is how many bytes a body gives before it breaks; 0 is all.
	broken int
}

type shelved struct {
	text     []byte
	etag     string
	modified time.Time
}

func newShelf() *shelf {
	return &shelf{objects: map[string]*shelved{}, now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
}

// put writes an object at the time of the shelf.
func (s *shelf) put(name string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.objects[name] == nil {
		s.names = nil
	}
	s.objects[name] = &shelved{text: text, etag: fmt.Sprint("e", s.writes), modified: s.now}
}

// grow appends to an object.
func (s *shelf) grow(name string, text []byte) {
	s.mu.Lock()
	o := s.objects[name]
	s.mu.Unlock()
	if o != nil {
		text = append(bytes.Clone(o.text), text...)
	}
	s.put(name, text)
}

func (s *shelf) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	s.names = nil
}

// set changes faults and the clock.
func (s *shelf) set(change func(s *shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shelf) begin(op, name string) error {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(op, name)
}

func (s *shelf) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := s.begin("list", prefix); err != nil {
			yield(Object{}, err)
			return
		}
		s.mu.Lock()
		if s.names == nil {
			s.names = slices.Sorted(maps.Keys(s.objects))
		}
		names := s.names
		s.lists++
		s.mu.Unlock()
		from, _ := slices.BinarySearch(names, max(prefix, after))
		for _, n := range names[from:] {
			if !strings.HasPrefix(n, prefix) {
				return
			}
			s.mu.Lock()
			o, gives := s.objects[n], s.gives
			s.listed++
			s.mu.Unlock()
			if gives != nil {
				gives(n)
			}
			if o != nil && n > after && !yield(o.object(n), ctx.Err()) {
				return
			}
		}
	}
}

func (o *shelved) object(name string) Object {
	return Object{Name: name, Size: int64(len(o.text)), Modified: o.modified, ETag: o.etag}
}

func (s *shelf) Stat(_ context.Context, name string) (Object, map[string]string, error) {
	if err := s.begin("stat", name); err != nil {
		return Object{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[name]
	if o == nil {
		return Object{}, nil, ErrNotExist
	}
	return o.object(name), nil, nil
}

func (s *shelf) Open(ctx context.Context, name string, offset int64, etag string) (io.ReadCloser, error) {
	if err := s.begin("open", name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	o := s.objects[name]
	if o == nil {
		return nil, ErrNotExist
	}
	if etag != "" && etag != o.etag {
		return nil, ErrChanged
	}
	return &body{ctx: ctx, s: s, r: bytes.NewReader(o.text[offset:]), left: s.broken}, nil
}

func (s *shelf) Where() string { return "mem://shelf" }

// body is a request that is answered.
type body struct {
	ctx  context.Context
	s    *shelf
	r    *bytes.Reader
	left int
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.s.broken == 0 {
		return b.r.Read(p)
	}
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (b *body) Close() error { return nil }
