package message

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir/internal/connect"
	"weir/internal/vec"
)

// trays is a service that takes batches of a few messages, each of one key.
type trays struct {
	mu    sync.Mutex
	size  int
	sent  []string // batches
	fails map[int]bool
	calls int
	left  error
}

type tray struct {
	place string
	has   []string
}

func (s *trays) Place(dst []byte, m *Message) ([]byte, bool) {
	return append(dst, m.Key...), m.Key == nil
}

func (s *trays) Begin(_ context.Context, place string, free bool) (*tray, error) {
	if free {
		place = "*"
	}
	return &tray{place: place}, nil
}

func (s *trays) Add(b *tray, index int, m *Message) (int, error) {
	if len(b.has) == s.size {
		return 0, ErrFull
	}
	b.has = append(b.has, fmt.Sprint(index))
	return len(m.Body), nil
}

func (s *trays) Send(_ context.Context, b *tray) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.fails[s.calls] {
		return s.left
	}
	s.sent = append(s.sent, b.place+": "+strings.Join(b.has, " "))
	return nil
}

// spoolOf makes messages with these keys; "" is none.
func spoolOf(keys ...string) *Spool {
	s := &Spool{}
	for i, k := range keys {
		m := Message{Time: vec.Time(i), Body: []byte("{}")}
		if k != "" {
			m.Key = []byte(k)
		}
		s.add(frame{Message: m})
	}
	return s
}

func TestBatches(t *testing.T) {
	f := func(size int, keys string, want ...string) {
		t.Helper()
		s := &trays{size: size}
		var b Batches
		if err := Publish(t.Context(), &b, 1, spoolOf(strings.Split(keys, ",")...), s); err != nil {
			t.Fatal(err)
		}
		slices.Sort(s.sent)
		if !slices.Equal(s.sent, want) {
			t.Errorf("%q; want %q", s.sent, want)
		}
	}
	f(2, "a,b,a,a,,b,,a,", "*: 4 6", "*: 8", "a: 0 2", "a: 3 7", "b: 1 5")
	f(1, "a,a,a", "a: 0", "a: 1", "a: 2")
	f(9, ",,,", "*: 0 1 2 3")
}

// TestBatchesMany: more places than may be open, and more bytes.
func TestBatchesMany(t *testing.T) {
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprint("key ", i%3000))
	}
	s := &trays{size: 100}
	var b Batches
	if err := Publish(t.Context(), &b, 1, spoolOf(keys...), s); err != nil {
		t.Fatal(err)
	}
	last, n := map[string]int{}, 0
	for _, text := range s.sent {
		place, list, _ := strings.Cut(text, ": ")
		for index := range strings.SplitSeq(list, " ") {
			var i int
			fmt.Sscan(index, &i)
			if before, ok := last[place]; ok && before >= i || keys[i] != place {
				t.Fatalf("%s: %d behind %d", place, i, before)
			}
			last[place] = i
			n++
		}
	}
	if n != 5000 {
		t.Errorf("%d messages", n)
	}
}

// TestBatchesFail: a batch that fails is sent again, with those behind it, and no others.
func TestBatchesFail(t *testing.T) {
	var keys []string
	for i := range 400 {
		keys = append(keys, fmt.Sprint(i%7))
	}
	cut := errors.New("cut off")
	s := &trays{size: 3, fails: map[int]bool{4: true, 9: true, 30: true, 31: true, 77: true}, left: cut}
	var b Batches
	failed := 0
	for {
		err := Publish(t.Context(), &b, 5, spoolOf(keys...), s)
		if err == nil {
			break
		}
		if failed++; !errors.Is(err, cut) || failed > 5 {
			t.Fatal(err)
		}
	}
	last, seen := map[string]int{}, map[int]bool{}
	for _, text := range s.sent {
		place, list, _ := strings.Cut(text, ": ")
		for index := range strings.SplitSeq(list, " ") {
			var i int
			fmt.Sscan(index, &i)
			if before, ok := last[place]; ok && before >= i || seen[i] {
				t.Fatalf("%s: %d behind %d", place, i, before)
			}
			last[place], seen[i] = i, true
		}
	}
	if len(seen) != 400 || failed == 0 {
		t.Errorf("%d messages, %d errors", len(seen), failed)
	}
	// The next epoch has messages of the same indexes.
	s.sent = nil
	if err := Publish(t.Context(), &b, 6, spoolOf("a"), s); err != nil || len(s.sent) != 1 {
		t.Error(s.sent, err)
	}
}

// TestBatchesLarge: a message that no batch takes is an error, and not tried for ever.
func TestBatchesLarge(t *testing.T) {
	var b Batches
	if err := Publish(t.Context(), &b, 1, spoolOf("a"), &trays{size: 0}); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Publish(ctx, &b, 1, spoolOf("a"), &trays{size: 1}); !errors.Is(err, context.Canceled) || connect.IsPermanent(err) {
		t.Error(err)
	}
}
