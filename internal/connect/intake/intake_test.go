package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/vec"
)

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// TestSourceSuite: records that are lines, and payloads that a cutter brings onto lines.
func TestSourceSuite(t *testing.T) {
	f := func(name string, o Options, payload func(line []byte, i int) []byte) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
				var l *Log
				opened := false
				f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
				f.Add = func(rows []connecttest.Row) error {
					for some := range slices.Chunk(rows, 7) {
						var list []Record
						for i, r := range some {
							line, err := json.Marshal(event(r))
							if err != nil {
								return err
							}
							list = append(list, Record{Value: payload(line, i)})
						}
						if _, _, err := l.Append(list); err != nil {
							return err
						}
					}
					return nil
				}
				f.Open = func(env connect.SourceEnv) (connect.Source, error) {
					var err error
					if l, err = Open(env, o); err == nil && !opened {
						opened = true
						err = f.Add(f.Rows)
					}
					return l, err
				}
				return f
			}}.Run(t)
		})
	}
	f("lines", Options{}, func(line []byte, _ int) []byte { return line })
	f("payloads", Options{Cutter: func() *message.Cutter { return message.NewCutter(connect.Format{}, "") }}, func(line []byte, i int) []byte {
		if i%3 == 1 {
			return fmt.Appendf(nil, " [\n%s\n] \r\n", line)
		}
		return line
	})
}

// open opens a log over a disk in memory.
func open(t testing.TB, fs disk.FS, o Options, logs *strings.Builder) *Log {
	t.Helper()
	env := connect.SourceEnv{State: fs}
	if logs != nil {
		env.Log = slog.New(slog.NewTextHandler(logs, nil))
	}
	l, err := Open(env, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func lines(texts ...string) (list []Record) {
	for _, s := range texts {
		list = append(list, Record{Value: []byte(s)})
	}
	return list
}

// read gives the text of all chunks from a position on, and the last one.
func read(t testing.TB, l *Log, after connect.Position) (text string, last connect.Chunk) {
	t.Helper()
	r, err := l.Open(context.Background(), "0", after)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := r.Read(context.Background(), 1<<20, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Data), c
}

// TestMeta: a record's own properties become metadata of its message, and of no other.
func TestMeta(t *testing.T) {
	l := open(t, disk.NewMem(1).Boot(), Options{Meta: func(r *Record) map[string]vec.Value {
		if len(r.Properties) == 0 {
			return nil
		}
		return map[string]vec.Value{r.Properties[0].Name: vec.StringValue(r.Properties[0].Value)}
	}}, nil)
	_, at, err := l.Append([]Record{{Value: []byte("{}"), Properties: []Property{{Name: "topic", Value: "a/b"}}}, {Value: []byte("[]")}})
	if err != nil {
		t.Fatal(err)
	}
	text, c := read(t, l, "")
	if text != "{}\n[]\n" || len(c.Marks) != 2 || c.Marks[0].Properties["topic"].Str != "a/b" || c.Marks[1].Properties != nil {
		t.Errorf("%q %v", text, c.Marks)
	}
	if c.Marks[0].Arrival != toTime(at) || c.Marks[1].End != len(text) || c.Marks[1].Offset != 1 {
		t.Errorf("%v", c.Marks)
	}
}

// TestSurvives: what Append has returned for is there after a loss of power, under its number.
func TestSurvives(t *testing.T) {
	d := disk.NewMem(1)
	l := open(t, d.Boot(), Options{}, nil)
	for i := range 5 {
		if first, _, err := l.Append(lines(fmt.Sprint(2*i), fmt.Sprint(2*i+1))); err != nil || first != int64(2*i) {
			t.Fatal(first, err)
		}
	}
	d.Crash()
	l = open(t, d.Boot(), Options{}, nil)
	if text, c := read(t, l, "3"); text != "3\n4\n5\n6\n7\n8\n9\n" || c.Next != "10" {
		t.Errorf("%q %s", text, c.Next)
	}
	var got []string
	err := l.Each(time.Time{}, func(first int64, _ time.Time, records []Record) error {
		got = append(got, fmt.Sprint(first, len(records)))
		return nil
	})
	if want := []string{"0 2", "2 2", "4 2", "6 2", "8 2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v", got, err)
	}
	if n, ok := l.Waiting("0", "3"); n != 7 || !ok {
		t.Errorf("%d, %v wait", n, ok)
	}
	if _, ok := l.Waiting("0", "x"); ok {
		t.Error("a position of another source was taken")
	}
}

// TestFull: a full log takes nothing until the job is done with a part of it; who waits goes
// on then, and nothing is lost or doubled.
func TestFull(t *testing.T) {
	var logs strings.Builder
	l := open(t, disk.NewMem(1).Boot(), Options{MaxLog: 1 << 20}, &logs)
	big := strings.Repeat("x", 100<<10)
	n := 0
	for {
		_, _, err := l.Append(lines(big))
		if errors.Is(err, ErrFull) {
			break
		}
		if n++; err != nil || n > 100 {
			t.Fatal(n, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Keep(ctx, lines(big)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full log: %v", err)
	}
	if _, err := l.Keep(context.Background(), lines(strings.Repeat(big, 4))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an append that will never fit: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if first, err := l.Keep(context.Background(), lines("the last")); err != nil || first != int64(n) {
			t.Errorf("%d %v", first, err)
		}
	})
	if err := l.Done(context.Background(), "0", message.Position(int64(n))); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if text, _ := read(t, l, message.Position(int64(n))); text != "the last\n" {
		t.Errorf("%.40q", text)
	}
	if got := strings.Count(logs.String(), "cannot be kept yet"); got != 1 {
		t.Errorf("%d warnings\n%s", got, logs.String())
	}
}

// TestGone: positions that were given free, or are of another log.
func TestGone(t *testing.T) {
	l := open(t, disk.NewMem(1).Boot(), Options{MaxLog: 1 << 20}, nil)
	for i := range 40 {
		if _, err := l.Keep(context.Background(), lines(strings.Repeat("x", 60<<10))); err != nil {
			t.Fatal(err)
		}
		if err := l.Done(context.Background(), "0", message.Position(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Open(context.Background(), "0", "1"); !errors.Is(err, connect.ErrGone) {
		t.Errorf("a place that was given free: %v", err)
	}
	r, err := l.Open(context.Background(), "0", "39")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, 1, "40"); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped run: %v", err)
	}
	if c, err := r.Read(context.Background(), 1, "40"); err != nil || c.Next != "40" {
		t.Errorf("%v %v", c.Next, err)
	}
	if _, err := r.Read(context.Background(), 1, "41"); err == nil || !strings.Contains(err.Error(), "ends before event 41") {
		t.Errorf("a place that is not there: %v", err)
	}
}

func TestCheckFields(t *testing.T) {
	f := func(max int64, want int) {
		t.Helper()
		if got := CheckFields(connect.Config{Values: map[string]any{"max_log": max}}); len(got) != want {
			t.Errorf("%d: %v", max, got)
		}
	}
	f(1<<20, 0)
	f(1<<20-1, 1)
}
