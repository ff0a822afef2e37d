package job

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"testing"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/vec"
)

// bigTable is a source of many rows that are made as they are read.
type bigTable struct {
	memVersionSource
	rows  int
	row   func(dst []byte, i int) []byte
	chunk func() // called before each
}

func (s *bigTable) Open(context.Context, string, connect.Position) (connect.Reader, error) {
	return &bigReader{s: s}, nil
}

type bigReader struct {
	memVersionReader
	s    *bigTable
	at   int
	data []byte
}

func (r *bigReader) Read(_ context.Context, most int, _ connect.Position) (connect.Chunk, error) {
	r.s.chunk()
	c := connect.Chunk{Fresh: r.at == 0}
	r.data = r.data[:0]
	for ; len(r.data) < most && r.at < r.s.rows; r.at++ {
		r.data = append(r.s.row(r.data, r.at), '\n')
	}
	c.Data, c.End, c.Last, c.Next = r.data, r.at == r.s.rows, r.at == r.s.rows, connect.Position(strconv.Itoa(r.at))
	return c, nil
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestReferenceMemory: a million rows of reference data with their index are in less than 100
// MiB, and while they are loaded it is less than twice as much.
func TestReferenceMemory(t *testing.T) {
	if raceEnabled {
		t.Log("not measured with the race detector")
		return
	}
	const limit = 100 << 20 // of a million rows
	f := func(name string, rows int64, query, event string, row func(dst []byte, i int) []byte) {
		t.Helper()
		p := joinPlan(t, query)
		before := heap()
		peak, chunks := int64(0), 0
		src := &bigTable{rows: int(rows), row: row, chunk: func() {
			if chunks++; chunks%5 == 0 {
				peak = max(peak, heap()-before)
			}
		}}
		l := &Live{log: slog.New(slog.DiscardHandler)}
		r := &liveReference{spec: LiveInput{Name: "r"}, of: &LiveSpec{Plan: p}, index: 1}
		table := newReferenceTable(l, r)
		if err := table.readSource(t.Context(), src, "", io.Discard); err != nil {
			t.Fatal(err)
		}
		found := 0
		g, err := exec.Build(p, exec.Options{Late: -1, OnRows: func(_ int, b *vec.Batch) error { found += b.N; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		b := table.rows.Table()
		peak = max(peak, heap()-before)
		g.LoadReference(1, vec.MinTime, b, nil)
		table, b = nil, nil
		d := newDecoder(layout{fields: p.Inputs[0].Fields, chosen: usedFields(p, 0)})
		if _, err := d.next([]byte(event+"\n"), true); err != nil {
			t.Fatal(err)
		}
		if err := g.Push(0, &d.out); err != nil {
			t.Fatal(err)
		}
		if err := g.Close(0); err != nil || found != 1 {
			t.Fatalf("%s: %d rows, error %v", name, found, err)
		}
		after := heap() - before
		t.Logf("%s: %d MB, %d MB at most while it is loaded", name, after/1e6, peak/1e6)
		if most := rows * limit / 1_000_000; after > most || peak > 2*after {
			t.Errorf("%s: %d bytes, %d while it is loaded", name, after, peak)
		}
		runtime.KeepAlive(g)
	}
	f("a number and a text", 200_000, `SELECT e.n, r.name FROM e TIMESTAMP BY at JOIN r ON e.n = r.id`, `{"at":"2020-01-01T00:00:00Z","n":100000}`,
		func(dst []byte, i int) []byte { return fmt.Appendf(dst, `{"id":%d,"name":"machine number %d"}`, i, i) })
	f("two texts", 1_000_000, `SELECT e.n, r.name FROM e TIMESTAMP BY at JOIN r ON e.k = r.k`, `{"at":"2020-01-01T00:00:00Z","n":1,"k":"key-00500000"}`,
		func(dst []byte, i int) []byte {
			return fmt.Appendf(dst, `{"k":"key-%08d","name":"machine number %d"}`, i, i)
		})
	f("five columns", 200_000, `SELECT e.n, r.name, r.hall, r.since, r.power FROM e TIMESTAMP BY at JOIN r ON e.n = r.id`, `{"at":"2020-01-01T00:00:00Z","n":100000}`,
		func(dst []byte, i int) []byte {
			return fmt.Appendf(dst, `{"id":%d,"name":"machine %d","hall":"hall %d","since":%d,"power":%d.5}`, i, i, i%50, i/7, i%900)
		})
}
