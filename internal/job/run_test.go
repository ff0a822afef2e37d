package job

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// rowsOf runs a query over inputs and gives the rows as JSON lines, and what was dropped.
func rowsOf(t *testing.T, query string, o Options, inputs ...Input) (string, []string, Result) {
	t.Helper()
	p := compile(t, query)
	var out []byte
	var encoders []*codec.Encoder
	for _, w := range p.Outputs {
		var names []string
		for _, c := range w.Node.Cols {
			names = append(names, c.Name)
		}
		encoders = append(encoders, codec.NewEncoder(codec.JSONLines, names, w.Node.Op.(*plan.Write).Row))
	}
	o.OnRows = func(i int, b *vec.Batch) error {
		if err := b.Check(); err != nil {
			return err
		}
		out = encoders[i].Encode(out, b)
		return nil
	}
	var dropped []string
	o.OnBad = func(d Dropped) {
		dropped = append(dropped, fmt.Sprintf("%s:%d@%d %s %s", d.Input, d.Line, d.Offset, d.Name, d.Text))
	}
	res, err := Run(context.Background(), p, inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), dropped, res
}

func text(s string) Input { return Input{Name: "e", Reader: strings.NewReader(s)} }

// many makes n events, 10 a second, each up to 2 s behind, with a pad that makes the text
// span many blocks.
func many(n int) string {
	var b strings.Builder
	x := uint32(1)
	for i := range n {
		x = x*1664525 + 1013904223
		ms := i*100 - int(x>>8%2000)
		at := time.Date(2020, 1, 1, 0, 0, 10, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
		fmt.Fprintf(&b, `{"k":"k%d","at":"%s","n":%d,"pad":%q}`+"\n", x>>16%7, at.Format("2006-01-02T15:04:05.000Z"), i, strings.Repeat("x", i%200))
	}
	return b.String()
}

func pack(s string) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(s))
	z.Close()
	return packed.Bytes()
}

const countQuery = `SELECT k, System.Timestamp() AS t, COUNT(*) AS c, SUM(n) AS s FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 5)`

// TestRunSameRows: however the text is read, the rows are the same.
func TestRunSameRows(t *testing.T) {
	events := many(20_000)
	file := filepath.Join(t.TempDir(), "e.jsonl")
	if err := os.WriteFile(file, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	packed := pack(events)
	array := "[" + strings.ReplaceAll(strings.TrimSpace(events), "\n", ",\n") + "]"
	policy := Options{OutOfOrder: 2 * time.Second, Late: -1, Workers: 1}
	want, _, res := rowsOf(t, countQuery, policy, text(events))
	if res.Events != 20_000 || res.DroppedTotal() != 0 || res.Bytes != int64(len(events)) {
		t.Fatalf("result %+v", res)
	}
	if got := strings.Count(want, "\n"); got != 7*400+7 && got < 2800 {
		t.Fatalf("%d rows", got)
	}
	f := func(name string, in Input, o Options) {
		t.Helper()
		if got, _, _ := rowsOf(t, countQuery, o, in); got != want {
			t.Errorf("%s: other rows", name)
		}
	}
	for workers := 1; workers <= 4; workers++ {
		o := policy
		o.Workers = workers
		f(fmt.Sprint("file, workers ", workers), Input{Name: "e", Path: file}, o)
		f(fmt.Sprint("gzip, workers ", workers), Input{Name: "e", Reader: bytes.NewReader(packed)}, o)
		f(fmt.Sprint("array, workers ", workers), text(array), o)
		f(fmt.Sprint("no last line end, workers ", workers), text(strings.TrimSpace(events)), o)
		o.Sample = true
		f(fmt.Sprint("sample, workers ", workers), text(events), o)
		f(fmt.Sprint("sample of a file, workers ", workers), Input{Name: "e", Path: file}, o)
		o.Shards = 3
		f(fmt.Sprint("shards, workers ", workers), text(events), o)
	}
}

// TestRunBadEvents: bad events are told with their places, and the rest is counted.
func TestRunBadEvents(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(many(9_000)), "\n")
	bad := map[int]string{0: `{"k":`, 4_000: `[1]`, 4_001: `{"k":"a","at":"never"}`, 8_999: `nonsense`}
	var want []string
	offset := 0
	for i := range lines {
		if text, ok := bad[i]; ok {
			lines[i] = text
			name := codec.InvalidData
			if i == 4_001 {
				name = "InvalidInputTimeStamp"
			}
			want = append(want, fmt.Sprintf("e:%d@%d %s %s", i+1, offset, name, text))
		}
		offset += len(lines[i]) + 1
	}
	for workers := 1; workers <= 3; workers++ {
		_, dropped, res := rowsOf(t, countQuery, Options{OutOfOrder: 2 * time.Second, Late: -1, Workers: workers},
			text(strings.Join(lines, "\n")))
		if strings.Join(dropped, "\n") != strings.Join(want, "\n") {
			t.Errorf("workers %d: dropped\n%s\nwant\n%s", workers, strings.Join(dropped, "\n"), strings.Join(want, "\n"))
		}
		if res.Bad != 3 || res.DroppedTotal() != 4 || res.Counts.Dropped[exec.NoTime] != 1 {
			t.Errorf("workers %d: %+v", workers, res)
		}
	}
}

// TestRunLongLine: a line beyond all limits is one bad event and is not held in memory.
func TestRunLongLine(t *testing.T) {
	good := `{"k":"a","at":"2020-01-01T00:00:01Z","n":1}` + "\n"
	long := `{"k":"` + strings.Repeat("x", 5<<20) + `"}` + "\n"
	for workers := 1; workers <= 2; workers++ {
		rows, dropped, res := rowsOf(t, countQuery, Options{Late: -1, OutOfOrder: -1, Workers: workers}, text(good+long+good))
		if res.Bad != 1 || len(dropped) != 1 || !strings.Contains(rows, `"c":2`) {
			t.Errorf("workers %d: %d bad, rows %s", workers, res.Bad, rows)
		}
		if !strings.HasPrefix(dropped[0], "e:2@44 ") {
			t.Errorf("workers %d: %.60s", workers, dropped[0])
		}
	}
}

// TestRunArrival: a file that carries arrival times is judged by them.
func TestRunArrival(t *testing.T) {
	const events = `{"id":1,"at":"2020-01-01T00:00:10Z","EventEnqueuedUtcTime":"2020-01-01T00:00:10Z"}
{"id":2,"at":"2020-01-01T00:00:01Z","EventEnqueuedUtcTime":"2020-01-01T00:00:11Z"}
{"id":3,"at":"2020-01-01T00:09:00Z","EventEnqueuedUtcTime":"2020-01-01T00:00:12Z"}
`
	const q = `SELECT id, System.Timestamp() AS t FROM e TIMESTAMP BY at`
	f := func(query string, o Options, want string, drops int) {
		t.Helper()
		o.Workers = 1
		rows, dropped, _ := rowsOf(t, query, o, text(events))
		if rows != want || len(dropped) != drops {
			t.Errorf("rows\n%s\nwant\n%s\ndropped %v", rows, want, dropped)
		}
	}
	f(q, Options{Late: 5 * time.Second, OutOfOrder: 10 * time.Second}, `{"id":1,"t":"2020-01-01T00:00:10.0000000Z"}
{"id":2,"t":"2020-01-01T00:00:06.0000000Z"}
`, 1)
	f(q, Options{Late: 5 * time.Second, OutOfOrder: 10 * time.Second, Drop: true}, `{"id":1,"t":"2020-01-01T00:00:10.0000000Z"}
`, 2)
	f(q, Options{Sample: true}, `{"id":2,"t":"2020-01-01T00:00:01.0000000Z"}
{"id":1,"t":"2020-01-01T00:00:10.0000000Z"}
{"id":3,"t":"2020-01-01T00:09:00.0000000Z"}
`, 0)
	f(`SELECT id, System.Timestamp() AS t FROM e`, Options{Sample: true}, `{"id":1,"t":"2020-01-01T00:00:10.0000000Z"}
{"id":2,"t":"2020-01-01T00:00:11.0000000Z"}
{"id":3,"t":"2020-01-01T00:00:12.0000000Z"}
`, 0)
}

// TestRunSeveralInputs: inputs are read so that a union comes out in order without
// holding either of them whole.
func TestRunSeveralInputs(t *testing.T) {
	const q = `SELECT 'e' AS src, n, System.Timestamp() AS t FROM e TIMESTAMP BY at UNION SELECT 'f' AS src, n, System.Timestamp() AS t FROM f TIMESTAMP BY at`
	o := Options{Sample: true, Workers: 2}
	rows, _, res := rowsOf(t, q, o, text(many(3_000)), Input{Name: "F", Reader: strings.NewReader(many(3_000))})
	lines := strings.Split(strings.TrimSpace(rows), "\n")
	if len(lines) != 6_000 || res.Events != 6_000 {
		t.Fatalf("%d rows, %d events", len(lines), res.Events)
	}
	last := ""
	for _, l := range lines {
		at := l[strings.Index(l, `"t":`):]
		if at < last {
			t.Fatalf("%s comes after %s", at, last)
		}
		last = at
	}
}

func TestRunErrors(t *testing.T) {
	p := compile(t, countQuery)
	f := func(want string, inputs ...Input) {
		t.Helper()
		_, err := Run(context.Background(), p, inputs, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	f(`input "e": no file given`)
	f(`input "e": open /nowhere/e.jsonl: no such file or directory`, Input{Name: "e", Path: "/nowhere/e.jsonl"})
	packed := pack(many(100))
	f(`the gzip data is cut off`, Input{Name: "e", Reader: bytes.NewReader(packed[:len(packed)/2])})
	_, err := Run(context.Background(), compile(t, `SELECT CAST(n AS bigint) AS x FROM e`), []Input{text(`{"n":"no"}`)}, Options{})
	var q *exec.QueryError
	if !errors.As(err, &q) || q.Span.End == 0 {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, p, []Input{text(many(10))}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after cancel", err)
	}
	stop := errors.New("the disk is full")
	if _, err := Run(context.Background(), p, []Input{text(many(100))},
		Options{Sample: true, OnRows: func(int, *vec.Batch) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("error %v of the output", err)
	}
}

// TestRunLivePipe: rows come out while the writer of a pipe still waits, and an event may
// come in pieces.
func TestRunLivePipe(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		in, out := io.Pipe()
		seen := make(chan int, 100)
		done := make(chan error)
		p := compile(t, `SELECT n FROM e TIMESTAMP BY at`)
		go func() {
			_, err := Run(context.Background(), p, []Input{{Name: "e", Reader: in}}, Options{OutOfOrder: time.Second, Workers: workers,
				OnRows: func(_ int, b *vec.Batch) error { seen <- b.N; return nil }})
			done <- err
		}()
		write := func(s string) {
			if _, err := out.Write([]byte(s)); err != nil {
				t.Error(err)
			}
		}
		for i := range 5 {
			write(fmt.Sprintf(`{"at":"2020-01-01T00:00:0%dZ",`, i))
			write(fmt.Sprintf("\"n\":%d}\n", i))
			if n := <-seen; n != 1 {
				t.Errorf("%d rows after event %d", n, i)
			}
		}
		out.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// compile gives the plan of a query that is right.
func compile(t testing.TB, query string) *plan.Plan {
	script, list := saql.Parse(query)
	if list.HasErrors() {
		t.Fatal(list)
	}
	p, list := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() {
		t.Fatal(list)
	}
	return p
}
