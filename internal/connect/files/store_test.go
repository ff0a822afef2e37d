package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/objects"
	"weir/internal/disk"
	"weir/internal/vec"
)

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	objects map[string]object
	order   []string // of the first Put of each
	// before and after are asked in each Put, without the lock: an error of after is an answer
	// that got lost.
	before, after func(name string) error
	puts, stats   int
}

type object struct {
	text []byte
	meta map[string]string
}

func newShelf() *shelf { return &shelf{objects: map[string]object{}} }

func (s *shelf) List(_ context.Context, prefix, after string) iter.Seq2[objects.Object, error] {
	return func(yield func(objects.Object, error) bool) {
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.objects))
		s.mu.Unlock()
		for _, n := range names {
			if strings.HasPrefix(n, prefix) && n > after && !yield(objects.Object{Name: n}, nil) {
				return
			}
		}
	}
}

func (s *shelf) Stat(_ context.Context, name string) (objects.Object, map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats++
	o, ok := s.objects[name]
	if !ok {
		return objects.Object{}, nil, objects.ErrNotExist
	}
	return objects.Object{Name: name, Size: int64(len(o.text))}, o.meta, nil
}

func (s *shelf) Open(_ context.Context, name string, offset int64, _ string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return io.NopCloser(bytes.NewReader(s.objects[name].text[offset:])), nil
}

func (s *shelf) Put(ctx context.Context, name string, body io.ReaderAt, size int64, o objects.PutOptions) error {
	s.mu.Lock()
	before, after := s.before, s.after
	s.puts++
	s.mu.Unlock()
	if before != nil {
		if err := before(name); err != nil {
			return err
		}
	}
	b := make([]byte, size)
	if n, err := body.ReadAt(b, 0); err != nil && (err != io.EOF || int64(n) != size) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	_, there := s.objects[name]
	if o.IfAbsent && there {
		s.mu.Unlock()
		return objects.ErrExists
	}
	if !there {
		s.order = append(s.order, name)
	}
	s.objects[name] = object{b, o.Metadata}
	s.mu.Unlock()
	if after != nil {
		return after(name)
	}
	return nil
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

func (s *shelf) Where() string { return "mem://shelf" }

func (s *shelf) set(before, after func(name string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// names are those of all objects, in order.
func (s *shelf) names() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(s.objects)), " ")
}

// rows are those of all objects, whose metadata must tell the truth.
func (s *shelf) rows(format connect.Format) (rows []connecttest.Row, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(s.objects)) {
		o := s.objects[n]
		list, err := rowsIn(o.text, format)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		sum := sha256.Sum256(o.text)
		if o.meta[metaSum] != hex.EncodeToString(sum[:]) || o.meta[metaRows] != strconv.Itoa(len(list)) {
			return nil, fmt.Errorf("%s has the metadata %v", n, o.meta)
		}
		rows = append(rows, list...)
	}
	return rows, nil
}

// patient commits until it works, as the runner does.
type patient struct{ connect.Sink }

func (p patient) Commit(ctx context.Context, epoch int64) (err error) {
	for range 20 {
		if err = p.Sink.Commit(ctx, epoch); err == nil || connect.IsPermanent(err) || errors.Is(err, disk.ErrPower) {
			break
		}
	}
	return err
}

// TestStoreSuite runs the conformance suite over a store, a calm one and one that fails before
// and after it has done what it was told.
func TestStoreSuite(t *testing.T) {
	f := func(name, text string, stride int, format connect.Format, flaky bool, change func(*settings)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connecttest.Sinks{Format: format, Delayed: true, Unordered: true, Stride: stride, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
				m, store := disk.NewMem(11), newShelf()
				if flaky {
					n := 0
					every := func(k int) func(string) error {
						return func(string) error {
							store.mu.Lock()
							defer store.mu.Unlock()
							if n++; n%k == 0 {
								return errors.New("no answer")
							}
							return nil
						}
					}
					store.before, store.after = every(7), every(11)
				}
				cfg := config(t, text, format, connecttest.Columns())
				cfg.manifest, cfg.maxStaged = "", 3000
				if change != nil {
					change(&cfg)
				}
				var last *uploads
				end := func() { // the process has ended
					if last != nil {
						last.stop()
					}
				}
				t.Cleanup(end)
				return &connecttest.Target{Disk: m,
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						end()
						last = newUploads(store)
						s, err := openSink(nil, last, cfg, env)
						return patient{s}, err
					},
					Rows: func() ([]connecttest.Row, error) { return store.rows(format) },
				}
			}}.Run(t)
		})
	}
	f("seconds", "{date}/{datetime:HHmmss}.json", 31, connect.Format{}, false, nil)
	f("array", "{date}/{time}/{output}{ext}", 5, connect.Format{Type: "json", Array: true}, false, nil)
	f("rows", "{n}{ext}", 11, connect.Format{Type: "csv"}, false, func(s *settings) { s.maxRows = 7 })
	f("flaky", "{date}/{n}{ext}", 31, connect.Format{}, true, func(s *settings) { s.maxRows = 9 })
	f("early", "{text}/{date}/{n}{ext}", 31, connect.Format{Compression: "zstd"}, false, func(s *settings) { s.maxSize = 500; s.maxFiles = 4 })
}

// newStored is an output over a shelf, driven by hand.
func newStored(t *testing.T, text string, change func(*settings)) (*output, *shelf) {
	o := newOutput(t, text, func(s *settings) {
		s.manifest, s.maxStaged = "", 1<<20
		if change != nil {
			change(s)
		}
	})
	o.store = newShelf()
	t.Cleanup(func() {
		if o.up != nil {
			o.up.stop()
		}
	})
	return o, o.store
}

// await waits until something holds.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come to be that " + what)
		}
	}
}

// TestStoreOrder sends the files of a stem in their order, though four are sent at a time.
func TestStoreOrder(t *testing.T) {
	o, store := newStored(t, "{text}/{n}", func(s *settings) { s.maxRows = 2 })
	ok(t, o.open())
	for i := range 30 {
		ok(t, o.epoch(second(i), rows(string(rune('a'+i%2)), i, i, i)))
	}
	ok(t, o.epoch(vec.MaxTime, nil))
	last := map[string]int{}
	for _, n := range store.order {
		stem, text, _ := strings.Cut(n, "/")
		number, err := strconv.Atoi(text)
		ok(t, err)
		if number != last[stem] {
			t.Errorf("%s came after %d of its kind", n, last[stem])
		}
		last[stem]++
	}
	if got, err := store.rows(o.format); err != nil || len(got) != 90 {
		t.Error(len(got), err)
	}
	if list, err := o.sink.(*sink).own.ReadDir("."); err != nil || len(list) != 1 {
		t.Error("something is left on the disk", list, err)
	}
}

// TestStoreDown has a store that takes nothing for long: the job goes on until max_staged, waits
// then, and loses nothing.
func TestStoreDown(t *testing.T) {
	o, store := newStored(t, "{date}/{datetime:HHmmss}", func(s *settings) { s.maxStaged = 300 })
	ok(t, o.open())
	down := errors.New("503 SlowDown")
	store.set(func(string) error { return down }, nil)
	var err error
	n := 0
	for err == nil && n < 1000 {
		n++
		err = o.epoch(second(n), rows("x", n))
	}
	if n < 3 || n > 30 || !errors.Is(err, down) || connect.IsPermanent(err) || !strings.Contains(err.Error(), "max_staged") || !strings.Contains(err.Error(), "mem://shelf") {
		t.Fatal(n, err)
	}
	if ail := o.sink.(connect.Ailing).Ailing(); !errors.Is(ail, down) {
		t.Error(ail)
	}
	// The process ends; another one goes on with what waits.
	o.m.Kill()
	ok(t, o.open())
	if err := o.sink.Commit(context.Background(), o.n); !errors.Is(err, down) {
		t.Error(err)
	}
	store.set(nil, nil)
	await(t, "the store has all", func() bool { return len(strings.Fields(store.names())) == n-1 })
	ok(t, o.sink.Commit(context.Background(), o.n))
	ok(t, o.epoch(vec.MaxTime, rows("x", 5000)))
	if got, err := store.rows(o.format); err != nil || len(got) != n+1 {
		t.Error(len(got), n, err)
	}
	if ail := o.sink.(connect.Ailing).Ailing(); ail != nil {
		t.Error(ail)
	}
	if !strings.Contains(o.log.String(), "nothing is lost") {
		t.Error(o.log.String())
	}
	ok(t, o.sink.Close())
}

// TestStoreUnclear has answers that get lost: what was sent is found and not sent twice under
// another name.
func TestStoreUnclear(t *testing.T) {
	for _, text := range []string{"{date}/{datetime:HHmmss}", "{date}/{n}"} {
		o, store := newStored(t, text, func(s *settings) {
			if s.template.sequence {
				s.maxRows = 1
			}
		})
		ok(t, o.open())
		lost := errors.New("connection reset")
		store.set(nil, func(string) error { return lost })
		ok(t, o.epoch(second(5), rows("x", 1, 2, 3)))
		await(t, "an object is there", func() bool { return store.names() != "" })
		o.m.Kill()
		ok(t, o.open())
		store.set(nil, nil)
		ok(t, o.epoch(vec.MaxTime, nil))
		if got, err := store.rows(o.format); err != nil || len(got) != 3 || len(strings.Fields(store.names())) != 3 {
			t.Error(store.names(), got, err)
		}
	}
}

// TestStoreExists has objects that are there from before.
func TestStoreExists(t *testing.T) {
	theirs := object{text: []byte("theirs\n")}
	text := func(store *shelf, name string) string {
		store.mu.Lock()
		defer store.mu.Unlock()
		return string(store.objects[name].text)
	}
	o, store := newStored(t, "{date}/x", nil)
	store.objects["2024/02/29/x"] = theirs
	ok(t, o.open())
	if err := o.epoch(vec.MaxTime, rows("x", 1)); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "exists: replace") {
		t.Error(err)
	}
	ok(t, o.sink.Close())
	if text(store, "2024/02/29/x") != string(theirs.text) {
		t.Error("it was overwritten")
	}
	// The rows are still there: what was in the way is moved away, and the job started again.
	delete(store.objects, "2024/02/29/x")
	ok(t, o.open())
	ok(t, o.repeat(vec.MaxTime, nil))
	if got, err := store.rows(o.format); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	ok(t, o.sink.Close())
	// Another state with the same rows has nothing to add.
	o2, _ := newStored(t, "{date}/x", nil)
	o2.store, o2.inst = store, "j"
	ok(t, o2.open())
	ok(t, o2.epoch(vec.MaxTime, rows("x", 1)))
	ok(t, o2.sink.Close())

	o, store = newStored(t, "{date}/x", func(s *settings) { s.replace = true })
	store.objects["2024/02/29/x"] = theirs
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rows("x", 1)))
	if got, err := store.rows(o.format); err != nil || len(got) != 1 {
		t.Error(got, err)
	}

	o, store = newStored(t, "{date}/x{n}", func(s *settings) { s.maxRows = 1 })
	for n := range 37 {
		store.objects[fmt.Sprint("2024/02/29/x", n)] = theirs
	}
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rows("x", 1, 2, 3)))
	for n := range 40 {
		if is := text(store, fmt.Sprint("2024/02/29/x", n)) == string(theirs.text); is != (n < 37) {
			t.Error(n, is)
		}
	}
	if names := strings.Fields(store.names()); len(names) != 40 {
		t.Error(names)
	}
	if store.stats > 60 {
		t.Errorf("the store was asked %d times", store.stats)
	}
}

// TestReplaceNumbers has exists: replace with several files in a span of time: the second one
// does not replace the first.
func TestReplaceNumbers(t *testing.T) {
	change := func(s *settings) { s.replace, s.maxRows = true, 2 }
	f := func(o *output, read func() ([]connecttest.Row, error)) {
		t.Helper()
		ok(t, o.open())
		for i := range 5 {
			ok(t, o.epoch(second(i), rows("x", i)))
			o.m.Kill()
			ok(t, o.open())
		}
		ok(t, o.epoch(vec.MaxTime, nil))
		if got, err := read(); err != nil || len(got) != 5 {
			t.Error(len(got), err)
		}
	}
	o := newOutput(t, "{date}/{n}", change)
	f(o, func() ([]connecttest.Row, error) { return rowsOf(o.d, o.format) })
	o, store := newStored(t, "{date}/{n}", change)
	f(o, func() ([]connecttest.Row, error) { return store.rows(o.format) })
}

// TestStoreLost has a staged file that somebody removed.
func TestStoreLost(t *testing.T) {
	o, store := newStored(t, "{date}/x", nil)
	ok(t, o.open())
	store.set(func(string) error { return errors.New("down") }, nil)
	if err := o.epoch(vec.MaxTime, rows("x", 1)); err == nil {
		t.Fatal("no error of a store that is down")
	}
	o.m.Kill()
	ok(t, o.m.Boot().Remove("state/staged/1.part"))
	ok(t, o.open())
	if err := o.sink.Commit(context.Background(), o.n); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "is gone") {
		t.Error(err)
	}
}

// TestStoreCancelled ends a Commit that waits for a store that does not answer.
func TestStoreCancelled(t *testing.T) {
	o, store := newStored(t, "{date}/x", nil)
	ok(t, o.open())
	hold := make(chan struct{})
	store.set(func(string) error { <-hold; return nil }, nil)
	ctx, cancel := context.WithCancel(context.Background())
	o.n = 1
	ok(t, o.sink.Write(ctx, 1, rows("x", 1)))
	ok(t, o.sink.Prepare(ctx, 1, vec.MaxTime))
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := o.sink.Commit(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(hold)
	ok(t, o.sink.Commit(context.Background(), 1))
	if store.names() != "2024/02/29/x" {
		t.Error(store.names())
	}
	ok(t, o.sink.Close())
}
