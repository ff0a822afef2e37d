package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// input is a source over a shelf, read by hand.
type input struct {
	t     *testing.T
	s     *shelf
	set   Settings
	f     connect.Format
	state *disk.Mem
	ahead atomic.Int64 // nanoseconds that the clock is ahead
	log   lockedBuffer
	src   connect.Source
	r     connect.Reader
	at    connect.Position
	text  []byte
	steps []step
}

type step struct {
	after, next connect.Position
	text        string
}

type lockedBuffer struct {
	mu chan struct{}
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu <- struct{}{}
	defer func() { <-l.mu }()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu <- struct{}{}
	defer func() { <-l.mu }()
	return l.b.String()
}

func newInput(t *testing.T, change func(*Settings)) *input {
	t.Helper()
	i := &input{t: t, s: newShelf(), set: settings(change), f: connect.Format{Type: "json"}, state: disk.NewMem(5)}
	i.log.mu = make(chan struct{}, 1)
	i.s.now = time.Now().Truncate(time.Second)
	i.reopen()
	t.Cleanup(func() { i.r.Close(); i.src.Close() })
	return i
}

// reopen goes on in another process.
func (i *input) reopen() {
	i.t.Helper()
	if i.r != nil {
		i.r.Close()
		i.src.Close()
		i.state.Kill()
	}
	state, err := i.state.Boot().Sub("state")
	ok(i.t, err)
	i.src, err = NewSource(i.s, i.set, connect.SourceEnv{Format: i.f, State: state, Log: slog.New(slog.NewTextHandler(&i.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(i.ahead.Load())) }})
	ok(i.t, err)
	i.begin()
}

func (i *input) begin() {
	i.t.Helper()
	var err error
	i.r, err = i.src.Open(context.Background(), "0", i.at)
	ok(i.t, err)
}

// tick lets time pass at the store.
func (i *input) tick() { i.s.set(func(s *shelf) { s.now = s.now.Add(time.Second) }) }

// want reads until the lines are there, and no more comes. Errors are taken as they come, as
// the runner does.
func (i *input) want(lines ...string) {
	i.t.Helper()
	want := ""
	for _, l := range lines {
		want += l + "\n"
	}
	i.read(func() bool { return len(i.text) >= len(want) }, 10*time.Second)
	i.read(func() bool { return false }, 30*time.Millisecond)
	if string(i.text) != want {
		i.t.Fatalf("read\n%.2000s\nand must be\n%.2000s", i.text, want)
	}
	i.text = i.text[:0]
}

// read reads until something holds, or for a time.
func (i *input) read(until func() bool, long time.Duration) {
	i.t.Helper()
	for end := time.Now().Add(long); !until() && time.Now().Before(end); {
		c, err := i.r.Read(context.Background(), 1<<20, "")
		if connect.IsPermanent(err) {
			i.t.Fatal(err)
		}
		if err != nil {
			i.r.Close()
			i.begin()
			continue
		}
		if c.Next != i.at {
			i.steps = append(i.steps, step{i.at, c.Next, string(c.Data)})
		}
		i.at = c.Next
		i.text = append(i.text, c.Data...)
		if len(c.Data) == 0 {
			select {
			case <-i.r.Ready():
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
}

// again reads every chunk again, in another process.
func (i *input) again() {
	i.t.Helper()
	end := i.at
	if len(i.steps) == 0 {
		return
	}
	i.at = i.steps[0].after
	i.reopen()
	for _, s := range i.steps {
		c, err := i.r.Read(context.Background(), 1, s.next)
		if err != nil || string(c.Data) != s.text || c.Next != s.next {
			i.t.Fatalf("from %q to %q: %q at %q, %v, and it was %q", s.after, s.next, c.Data, c.Next, err, s.text)
		}
	}
	i.at = end
	i.r.Close()
	i.begin()
}

func line(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }

func content(n ...int) (b []byte) {
	for _, n := range n {
		b = append(append(b, line(n)...), '\n')
	}
	return b
}

// TestOrder has objects that come in any order: dates first, then times of change or names;
// what comes later is read later, whatever its name and time.
func TestOrder(t *testing.T) {
	f := func(byName bool, want ...string) {
		t.Helper()
		i := newInput(t, func(s *Settings) { s.Path, s.ByName = "in/{date}", byName })
		put := func(name string, n int) { i.s.put(name, content(n)) }
		put("in/2024/05/02/a", 5)
		i.tick()
		put("in/2024/05/01/c", 1)
		put("in/2024/05/01/b", 2)
		i.tick()
		put("in/2024/05/01/a", 3)
		put("other/2024/05/01/a", 100)
		put("in/nothing", 101)
		i.want(want...)
		put("in/2024/04/30/a", 6) // an older date
		i.want(line(6))
		i.s.set(func(s *shelf) {
			s.objects["in/2024/05/01/0"] = &shelved{content(7), "x", s.objects["in/2024/05/01/c"].modified}
			s.names = nil
		})
		i.want(line(7)) // an older time of change
		i.again()
		i.reopen()
		i.want()
	}
	f(false, line(2), line(1), line(3), line(5))
	f(true, line(3), line(2), line(1), line(5))
}

// TestOnce: an object is read once, as it is when its reading begins.
func TestOnce(t *testing.T) {
	i := newInput(t, nil)
	i.s.put("empty", nil)
	i.s.put("a", content(1))
	i.want(line(1))
	i.s.grow("a", content(2)) // not seen
	i.s.grow("empty", content(3))
	i.want(line(3))
	i.reopen()
	i.want()
	i.steps = nil // they are gone
	// Changed between listing and reading: it is what it has become.
	i.s.put("b", content(4))
	var once atomic.Bool
	i.s.set(func(s *shelf) {
		s.fail = func(op, name string) error {
			if op == "open" && once.CompareAndSwap(false, true) {
				s.put("b", content(5, 6))
			}
			return nil
		}
	})
	i.want(line(5), line(6))
	i.again()
}

// TestReplaced: an object that is replaced or removed in the midst of being read gives no event
// of two contents, and what comes behind it is read.
func TestReplaced(t *testing.T) {
	f := func(change func(s *shelf), says string) {
		t.Helper()
		i := newInput(t, nil)
		var big []byte
		for n := range 20_000 {
			big = append(big, content(n)...)
		}
		i.s.put("a", big)
		c, err := i.r.Read(context.Background(), 1000, "")
		for ; err == nil && len(c.Data) == 0; c, err = i.r.Read(context.Background(), 1000, "") {
			<-i.r.Ready()
		}
		ok(t, err)
		i.at = c.Next
		got := len(bytes.Fields(c.Data))
		i.r.Close()
		change(i.s)
		i.s.put("b", content(77))
		i.begin()
		i.want(line(77))
		if got == 0 || !strings.Contains(i.log.String(), says) {
			t.Errorf("%d lines, and the log says %s", got, i.log.String())
		}
		// What was read of it cannot be read again.
		r, err := i.src.Open(context.Background(), "0", "")
		ok(t, err)
		defer r.Close()
		if _, err := r.Read(context.Background(), 1, c.Next); !errors.Is(err, connect.ErrGone) {
			t.Errorf("read again: %v", err)
		}
	}
	f(func(s *shelf) { s.put("a", content(-1)) }, "it was replaced while it was read")
	f(func(s *shelf) { s.remove("a") }, "it is gone")
}

// TestFaults has a service that fails at random, in all forms that objects may have: no event is
// lost, none comes twice, and none is made of a broken answer.
func TestFaults(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			i := newInput(t, func(s *Settings) { s.Path = "in/{date}" })
			if name == "csv" {
				i.f.Type = "csv"
			}
			i.reopen()
			rnd := rand.New(rand.NewPCG(1, 2))
			i.s.set(func(s *shelf) {
				s.broken = 3000
				s.fail = func(string, string) error {
					s.mu.Lock()
					defer s.mu.Unlock()
					if rnd.IntN(6) == 0 {
						return errors.New("503 the service is busy")
					}
					return nil
				}
			})
			want := 0
			for k := range 6 {
				i.s.put(fmt.Sprintf("in/2024/05/%02d/x", k+1), form(connecttest.Rows(1+40*k, 40)))
				want += 40
			}
			i.read(func() bool { return idsIn(i.text) >= want }, 20*time.Second)
			i.read(func() bool { return false }, 30*time.Millisecond)
			if got := idsIn(i.text); got != want {
				t.Errorf("%d rows, and must be %d; %.300s", got, want, i.log.String())
			}
			i.s.set(func(s *shelf) { s.fail = nil })
			i.again()
			if i.log.String() != "" {
				t.Error(i.log.String())
			}
		})
	}
}

var rowStart = regexp.MustCompile(`(?mi)"id": ?\d+|^\d+,`)

// idsIn is how many rows a text has.
func idsIn(text []byte) int { return len(rowStart.FindAll(text, -1)) }

// TestSeek has the places of times: objects that were changed then or later are read.
func TestSeek(t *testing.T) {
	i := newInput(t, nil)
	base := i.s.now
	for n := range 5 {
		i.s.set(func(s *shelf) { s.now = base.Add(time.Duration(n) * time.Hour) })
		i.s.put(fmt.Sprint("o", n), content(n))
	}
	f := func(at vec.Time, want ...string) {
		t.Helper()
		pos, err := i.src.Seek(context.Background(), "0", at)
		ok(t, err)
		i.r.Close()
		i.at = pos
		i.begin()
		i.want(want...)
		i.reopen()
		i.want()
	}
	f(ticks(base.Add(2*time.Hour)), line(2), line(3), line(4))
	f(ticks(base.Add(2*time.Hour+1)), line(2), line(3), line(4)) // times of rows have 100 ns
	f(ticks(base.Add(2*time.Hour+time.Second)), line(3), line(4))
	f(vec.MaxTime)
	i.s.set(func(s *shelf) { s.objects["late"] = &shelved{content(9), "x", s.objects["o4"].modified}; s.names = nil })
	i.want(line(9)) // at the time of the newest, and not there when it was asked
	// Those that were found first are read first.
	f(vec.MinTime, line(2), line(3), line(4), line(0), line(1), line(9))
	f(-5, line(2), line(3), line(4), line(0), line(1), line(9))
}

// TestPartitions: each partition has the objects with its number.
func TestPartitions(t *testing.T) {
	i := newInput(t, func(s *Settings) { s.Path, s.Partitions = "in/{partition}/{date}", 3 })
	for n := range 12 {
		i.s.put(fmt.Sprintf("in/%d/2024/05/01/%d", n%4, n), content(n))
	}
	names, err := i.src.Partitions(context.Background())
	ok(t, err)
	got := ""
	for _, name := range names {
		r, err := i.src.Open(context.Background(), name, "")
		ok(t, err)
		got += name + ":"
		for n := 0; n < 3; {
			c, err := r.Read(context.Background(), 1<<20, "")
			ok(t, err)
			if len(c.Data) == 0 {
				<-r.Ready()
				continue
			}
			n++
			got += strings.TrimSpace(string(c.Data))
			if c.Properties["PartitionId"].String() != name || c.Arrival != ticks(i.s.now) {
				t.Error(c.Properties, c.Arrival)
			}
		}
		ok(t, r.Close())
	}
	if got != `0:{"n":0}{"n":4}{"n":8}1:{"n":1}{"n":5}{"n":9}2:{"n":10}{"n":2}{"n":6}` {
		t.Error(got)
	}
}

// TestAppended has objects that grow: whole lines are read as they come, a line without end
// waits, and what is replaced is read anew.
func TestAppended(t *testing.T) {
	i := newInput(t, func(s *Settings) { s.Append, s.MaxOpen = true, 3 })
	i.s.put("a", content(1))
	i.s.put("b", []byte(`{"n":2`))
	i.want(line(1))
	i.s.grow("b", []byte("}\n"))
	i.want(line(2))
	i.again()
	i.s.grow("a", content(3, 4))
	i.want(line(3), line(4))
	i.reopen()
	i.want()
	i.s.put("b", content(5, 6)) // another one
	i.want(line(5), line(6))
	if !strings.Contains(i.log.String(), "it was replaced") {
		t.Error(i.log.String())
	}
	for n := range 6 { // more than max_open
		i.s.put(fmt.Sprint("m", n), content(10+n))
		i.want(line(10 + n))
	}
	i.s.grow("m5", content(20))
	i.want(line(20))
	i.s.grow("m5", []byte(`{"n":21}`)) // without an end
	i.want()
	i.ahead.Store(int64(48 * time.Hour)) // behind look_back
	i.read(func() bool { return len(i.text) > 0 }, 10*time.Second)
	i.text = append(i.text, '\n')
	i.want(line(21))
}

// TestAppendedUnlisted: objects are not gone because listing them has failed.
func TestAppendedUnlisted(t *testing.T) {
	i := newInput(t, func(s *Settings) { s.Append = true })
	i.s.put("a", content(1))
	i.want(line(1))
	var failed atomic.Int64
	i.s.set(func(s *shelf) {
		s.fail = func(op, _ string) error {
			if op != "list" || failed.Load() == 3 {
				return nil
			}
			failed.Add(1)
			return errors.New("the store is out")
		}
	})
	i.read(func() bool { return failed.Load() == 3 }, 10*time.Second)
	i.s.grow("a", content(2))
	i.want(line(2))
}

// TestAppendedSeek: of objects that are appended to, what was there before is left out.
func TestAppendedSeek(t *testing.T) {
	i := newInput(t, func(s *Settings) { s.Append = true })
	i.s.put("a", append(content(1, 2), `{"n":`...))
	i.s.set(func(s *shelf) { s.now = s.now.Add(time.Hour) })
	i.s.put("b", content(3))
	pos, err := i.src.Seek(context.Background(), "0", ticks(i.s.now))
	ok(t, err)
	i.at = pos
	i.r.Close()
	i.begin()
	i.want(line(3))
	i.s.grow("a", []byte("4}\n"))
	i.want(line(4))
}

// TestCareful: what was read ahead is read again in smaller pieces when they are asked for.
func TestCareful(t *testing.T) {
	i := newInput(t, nil)
	var want []int
	for n := range 5000 {
		want = append(want, n)
	}
	i.s.put("a", content(want...))
	i.s.put("b", content(7))
	first, err := i.r.Read(context.Background(), 20_000, "")
	for ; err == nil && len(first.Data) == 0; first, err = i.r.Read(context.Background(), 20_000, "") {
		<-i.r.Ready()
	}
	ok(t, err)
	for range 20 {
		c, err := i.r.Read(context.Background(), 1, "")
		for ; err == nil && len(c.Data) == 0; c, err = i.r.Read(context.Background(), 1, "") {
			<-i.r.Ready()
		}
		ok(t, err)
		if len(c.Data) > 20 {
			t.Fatalf("%d bytes when one was asked for", len(c.Data))
		}
	}
}

// TestAhead: what is read ahead has a limit.
func TestAhead(t *testing.T) {
	i := newInput(t, nil)
	i.s.put("a", bytes.Repeat(content(1234567), 2_000_000)) // 28 MB
	c, err := i.r.Read(context.Background(), 1<<20, "")
	ok(t, err)
	r := i.r.(*reader)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		r.mu.Lock()
		bytes := r.bytes
		r.mu.Unlock()
		if bytes > maxAhead {
			t.Fatalf("%d bytes wait", bytes)
		}
		if bytes > maxAhead-2<<20 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for n := len(c.Data); n < 28_000_000; n += len(c.Data) {
		c, err = i.r.Read(context.Background(), 1<<20, "")
		ok(t, err)
		if len(c.Data) == 0 {
			<-i.r.Ready()
		}
	}
}
