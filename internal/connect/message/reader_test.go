package message

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// service is what a feed brings, as a script: each step is one Next.
type service struct {
	begun  chan int64 // numbers that feeds were begun at
	steps  chan step
	closed atomic.Int64
	wants  func(from int64) error // of Begin
}

type step struct {
	list  []Incoming
	clock vec.Time
	end   int64
	err   error
	done  chan struct{} // closed when the feed has it
}

func newService() *service {
	return &service{begun: make(chan int64, 100), steps: make(chan step, 100)}
}

func (s *service) begin(_ context.Context, from int64) (Feed, error) {
	s.begun <- from
	if s.wants != nil {
		if err := s.wants(from); err != nil {
			return nil, err
		}
	}
	return &scripted{s}, nil
}

type scripted struct{ s *service }

func (f *scripted) Next(ctx context.Context) ([]Incoming, vec.Time, int64, error) {
	select {
	case s := <-f.s.steps:
		if s.done != nil {
			close(s.done)
		}
		return s.list, s.clock, s.end, s.err
	case <-ctx.Done():
		return nil, 0, 0, ctx.Err()
	}
}

func (f *scripted) Close() error { f.s.closed.Add(1); return nil }

// gives has the feed give messages of these numbers; each arrives at its number.
func (s *service) gives(seqs ...int64) { s.steps <- step{list: numbered(seqs...)} }

func numbered(seqs ...int64) (list []Incoming) {
	for _, n := range seqs {
		list = append(list, Incoming{Seq: n, Offset: 10 * n, Arrival: vec.Time(n), Body: fmt.Appendf(nil, `{"a":%d}`, n)})
	}
	return list
}

func reading(t *testing.T, s *service, from int64, f connect.Format) *Reader {
	t.Helper()
	r := NewReader(from, s.begin, NewCutter(f, ""), map[string]vec.Value{"PartitionId": vec.IntValue(3)})
	t.Cleanup(func() { r.Close() })
	return r
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// shown is a chunk as text: the numbers of its messages, and where it ends.
func shown(c connect.Chunk) string {
	var b strings.Builder
	for _, m := range c.Marks {
		fmt.Fprint(&b, m.Offset, " ")
	}
	return fmt.Sprintf("%s> %s", b.String(), c.Next)
}

// reads reads until something comes, or an error.
func reads(t *testing.T, r *Reader, most int) (connect.Chunk, error) {
	t.Helper()
	ctx := soon(t)
	for {
		c, err := r.Read(ctx, most, "")
		if err != nil || len(c.Data) > 0 {
			return c, err
		}
		select {
		case <-r.Ready():
		case <-ctx.Done():
			t.Fatal("nothing came")
		}
	}
}

func wants(t *testing.T, r *Reader, most int, want string) connect.Chunk {
	t.Helper()
	c, err := reads(t, r, most)
	if err != nil {
		t.Fatalf("%v; want %s", err, want)
	}
	if got := shown(c); got != want {
		t.Fatalf("%s; want %s", got, want)
	}
	return c
}

// idle reads until there is nothing, and the clock is as said.
func idle(t *testing.T, r *Reader, clock vec.Time) {
	t.Helper()
	ctx := soon(t)
	for {
		c, err := r.Read(ctx, 100, "")
		if err != nil || len(c.Data) > 0 {
			t.Fatalf("%s, %v; want nothing", shown(c), err)
		}
		if c.Clock == clock {
			return
		}
		select {
		case <-r.Ready():
		case <-ctx.Done():
			t.Fatalf("the clock is %d; want %d", c.Clock, clock)
		}
	}
}

func TestReaderGaps(t *testing.T) {
	s := newService()
	r := reading(t, s, 4, connect.Format{})
	s.gives(4, 7, 8, 12)
	c := wants(t, r, 16, "4 7 > 8")
	if c.Clock != 8 || c.Offset != 40 || c.Line != 5 || string(c.Data) != "{\"a\":4}\n{\"a\":7}\n" {
		t.Errorf("clock %d, offset %d, line %d, %q", c.Clock, c.Offset, c.Line, c.Data)
	}
	if c.Marks[0].End != 8 || c.Marks[1].Arrival != 7 || c.Properties["PartitionId"].Int != 3 {
		t.Errorf("%+v", c)
	}
	wants(t, r, 1000, "8 12 > 13")
	if from := <-s.begun; from != 4 {
		t.Errorf("begun at %d", from)
	}
}

// TestReaderUntil: the same messages again, up to numbers behind which there is a gap.
func TestReaderUntil(t *testing.T) {
	f := func(from int64, until, want, fails string, steps ...step) {
		t.Helper()
		s := newService()
		r := reading(t, s, from, connect.Format{})
		for _, x := range steps {
			s.steps <- x
		}
		c, err := r.Read(soon(t), 1, connect.Position(until))
		if err != nil || fails != "" {
			if fails == "" || err == nil || !strings.Contains(err.Error(), fails) {
				t.Errorf("%v; want %q", err, fails)
			}
			return
		}
		if got := shown(c); got != want || c.Clock != 0 {
			t.Errorf("%s, clock %d; want %s", got, c.Clock, want)
		}
	}
	all := step{list: numbered(0, 1, 5, 6, 9)}
	f(0, "2", "0 1 > 2", "", all)
	f(0, "6", "0 1 5 > 6", "", all)
	f(0, "9", "0 1 5 6 > 9", "", all)                                            // 7 and 8 are not used
	f(0, "0", "> 0", "")                                                         // nothing is nothing
	f(2, "5", "> 5", "", all)                                                    // no message at all before it
	f(0, "9", "0 1 > 9", "", step{list: numbered(0, 1)}, step{end: 9})           // told by the feed
	f(0, "9", "0 1 > 9", "", step{list: numbered(0, 1), end: 5}, step{end: 100}) // and later
	f(0, "2", "0 1 > 2", "", step{list: numbered(0)}, step{clock: 7}, step{list: numbered(1)})
	f(3, "2", "", "is not behind 3")
	f(0, "x", "", "is not behind 0")
	f(0, "9", "", "broken", step{list: numbered(0)}, step{err: errors.New("broken")})
	f(0, "9", "0 1 > 9", "", step{list: numbered(0)}, step{list: numbered(0, 1), end: 9}) // given twice
}

// TestReaderUntilOnceMore: what was received before an error is not lost for the next try.
func TestReaderUntilOnceMore(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	for i := range int64(5) {
		s.gives(i)
		s.steps <- step{err: errors.New("cut off")}
	}
	failed := 0
	for {
		c, err := r.Read(soon(t), 1, "5")
		if err == nil {
			if got := shown(c); got != "0 1 2 3 4 > 5" {
				t.Fatal(got)
			}
			break
		}
		if failed++; failed > 5 || err.Error() != "cut off" {
			t.Fatal(failed, err)
		}
	}
	if failed == 0 {
		t.Error("no error was seen")
	}
}

// TestReaderError: messages that came before an error are given before it, so that a service
// that breaks off now and then is read all the same; the feed goes on behind them.
func TestReaderError(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	s.gives(0, 1)
	done := make(chan struct{})
	s.steps <- step{err: errors.New("cut off"), done: done}
	if _, err := r.Read(soon(t), 1000, ""); err != nil {
		t.Fatal(err)
	}
	<-done
	wants(t, r, 1000, "0 1 > 2")
	if _, err := reads(t, r, 1000); err == nil || err.Error() != "cut off" {
		t.Fatal(err)
	}
	s.gives(2)
	wants(t, r, 1000, "2 > 3")
	if a, b := <-s.begun, <-s.begun; a != 0 || b != 2 {
		t.Errorf("begun at %d and %d", a, b)
	}
	r.Close()
	if n := s.closed.Load(); n != 2 {
		t.Errorf("%d feeds closed", n)
	}
}

func TestReaderGone(t *testing.T) {
	s := newService()
	s.wants = func(int64) error { return fmt.Errorf("partition 3: %w", connect.ErrGone) }
	r := reading(t, s, 0, connect.Format{})
	if _, err := reads(t, r, 1000); !errors.Is(err, connect.ErrGone) {
		t.Fatal(err)
	}
}

// TestReaderClock: with messages that wait it is their time, else what the feed says, which
// never goes back.
func TestReaderClock(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	s.steps <- step{list: numbered(5, 6), clock: 100}
	if c := wants(t, r, 1, "5 > 6"); c.Clock != 6 {
		t.Errorf("clock %d", c.Clock)
	}
	if c := wants(t, r, 1, "6 > 7"); c.Clock != 100 {
		t.Errorf("clock %d", c.Clock)
	}
	s.steps <- step{clock: 120}
	idle(t, r, 120)
	s.steps <- step{clock: 110}
	s.steps <- step{err: errors.New("cut off")}
	if _, err := reads(t, r, 10); err == nil {
		t.Fatal("no error")
	}
	idle(t, r, 120)
}

// TestReaderFull: no more is received than there is room for, and all of it is read.
func TestReaderFull(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	big := []byte(`{"a":"` + strings.Repeat("x", 100_000) + `"}`)
	var list []Incoming
	for i := range int64(400) { // 40 MB, in one go
		list = append(list, Incoming{Seq: i, Arrival: 1, Body: big})
	}
	s.steps <- step{list: list}
	n := 0
	for n < 400 {
		c, err := reads(t, r, 300_000)
		if err != nil {
			t.Fatal(err)
		}
		n += len(c.Marks)
		r.mu.Lock()
		if r.bytes > maxWaiting+len(big)+perMessage {
			t.Fatalf("%d bytes wait", r.bytes)
		}
		r.mu.Unlock()
	}
	// The same again in one chunk, which is more than what may wait.
	again := newService()
	again.steps <- step{list: list}
	r = reading(t, again, 0, connect.Format{})
	c, err := r.Read(soon(t), 1, "400")
	if err != nil || len(c.Marks) != 400 {
		t.Fatal(len(c.Marks), err)
	}
}

// TestReaderClose: closing ends a feed that waits for messages, one that waits for room, and a
// Read that waits for the feed.
func TestReaderClose(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	idle(t, r, 0)
	<-s.begun // it waits in Next
	if err := r.Close(); err != nil || s.closed.Load() != 1 {
		t.Error(err, s.closed.Load())
	}
	if _, err := r.Read(soon(t), 10, ""); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	full := newService()
	r = reading(t, full, 0, connect.Format{})
	big := make([]byte, maxWaiting+1)
	done := make(chan struct{})
	full.steps <- step{list: []Incoming{{Seq: 0, Body: big}, {Seq: 1, Body: big}}, done: done}
	idle(t, r, 0)
	<-done
	r.Close()
	if _, err := r.Read(soon(t), 10, ""); !errors.Is(err, errClosed) {
		t.Error(err)
	}

	waits := newService()
	r = reading(t, waits, 0, connect.Format{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := r.Read(ctx, 1, "5")
		ended <- err
	}()
	<-waits.begun
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	waits.gives(0, 1, 2, 3, 4) // and afterwards it reads
	if c, err := r.Read(soon(t), 1, "5"); err != nil || shown(c) != "0 1 2 3 4 > 5" {
		t.Error(shown(c), err)
	}
}

// TestReaderCSV: a chunk that failed begins with the same header row when it is made again.
func TestReaderCSV(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{Type: "csv"})
	row := func(seq int64, text string) step { return step{list: []Incoming{{Seq: seq, Body: []byte(text)}}} }
	s.steps <- row(0, "a,b\n1,2\n")
	s.steps <- step{err: errors.New("cut off")}
	s.steps <- row(1, "a,b\n3,4\n")
	if _, err := r.Read(soon(t), 1, "2"); err == nil {
		t.Fatal("no error")
	}
	c, err := r.Read(soon(t), 1, "2")
	if err != nil || !c.Fresh || string(c.Head) != "a,b\n" || string(c.Data) != "1,2\n3,4\n" {
		t.Fatalf("%v fresh %v head %q data %q", err, c.Fresh, c.Head, c.Data)
	}
	// A message of a header row alone begins no text.
	s.steps <- row(2, "b,a\n")
	s.steps <- step{clock: 9}
	idle(t, r, 9)
	s.steps <- row(3, "b,a\n5,6\n")
	c, err = reads(t, r, 100)
	if err != nil || !c.Fresh || string(c.Head) != "b,a\n" || string(c.Data) != "5,6\n" {
		t.Fatalf("%v fresh %v head %q data %q", err, c.Fresh, c.Head, c.Data)
	}
}

// TestReaderCSVBehind: a chunk that ends with a row without end is read again, also if numbers
// behind it are not used.
func TestReaderCSVBehind(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{Type: "csv"})
	s.steps <- step{list: []Incoming{{Seq: 0, Body: []byte("a,b\n1,\"2\n")}}, end: 3}
	c, err := reads(t, r, 100)
	if err != nil || !c.Last || c.Next != "3" {
		t.Fatalf("%v last %v next %s", err, c.Last, c.Next)
	}
	text := string(c.Data)
	s = newService()
	r = reading(t, s, 0, connect.Format{Type: "csv"})
	s.steps <- step{list: []Incoming{{Seq: 0, Body: []byte("a,b\n1,\"2\n")}}, end: 3}
	if c, err = r.Read(soon(t), 100, "3"); err != nil || !c.Last || c.Next != "3" || string(c.Data) != text {
		t.Fatalf("%v last %v next %s data %q", err, c.Last, c.Next, c.Data)
	}
}

// TestReaderStopped: messages without text do not keep a job from being stopped.
func TestReaderStopped(t *testing.T) {
	s := newService()
	r := reading(t, s, 0, connect.Format{})
	done := make(chan struct{})
	s.steps <- step{list: []Incoming{{Seq: 0}, {Seq: 1}}, clock: 5, done: done}
	idle(t, r, 5)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, 10, ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.gives(2)
	if c := wants(t, r, 10, "2 > 3"); c.Line != 3 {
		t.Errorf("line %d", c.Line)
	}
}

func BenchmarkReader(b *testing.B) {
	body := []byte(`{"id":"device-000001","temperature":21.5,"humidity":7,"site":"site 12","note":"nothing to say here"}`)
	list := make([]Incoming, 500)
	b.ReportAllocs()
	for b.Loop() {
		next := int64(0)
		r := NewReader(0, func(context.Context, int64) (Feed, error) {
			return feedFunc(func(context.Context) ([]Incoming, vec.Time, int64, error) {
				for i := range list {
					list[i] = Incoming{Seq: next, Arrival: 1, Body: body}
					next++
				}
				return list, 0, 0, nil
			}), nil
		}, NewCutter(connect.Format{}, ""), nil)
		for n := 0; n < 500_000; {
			c, err := r.Read(context.Background(), 2<<20, "")
			if err != nil {
				b.Fatal(err)
			}
			if n += len(c.Marks); len(c.Marks) == 0 {
				<-r.Ready()
			}
		}
		r.Close()
	}
	b.ReportMetric(500_000*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type feedFunc func(context.Context) ([]Incoming, vec.Time, int64, error)

func (f feedFunc) Next(ctx context.Context) ([]Incoming, vec.Time, int64, error) { return f(ctx) }
func (f feedFunc) Close() error                                                  { return nil }
