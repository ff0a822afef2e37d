package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// probe is a sink under test and what it says.
type probe struct {
	t        testing.TB
	b        *base
	sink     *Sink
	env      connect.SinkEnv
	refused  []connect.RowError
	veto     error // of Reject, once it has been called more often than patience
	patience int
	log      *strings.Builder
	now      time.Time
}

// output is the settings of a sink under test.
type output struct {
	more  map[string]any
	cols  []string // names; nil: rows have their own
	types []vec.Kinds
	name  string
	wrap  func(driver.Connector) driver.Connector
	job   string
}

// start opens a sink and asks for its last epoch, as the runner does.
func (b *base) start(t testing.TB, o output) *probe {
	t.Helper()
	p := b.opened(t, o)
	if _, err := p.sink.Committed(context.Background()); err != nil {
		t.Fatal(err)
	}
	return p
}

// opened opens a sink.
func (b *base) opened(t testing.TB, o output) *probe {
	t.Helper()
	p := &probe{t: t, b: b, log: &strings.Builder{}, now: time.Unix(1_700_000_000, 0)}
	if o.name == "" {
		o.name = "out"
	}
	if o.job == "" {
		o.job = t.Name()
	}
	types := o.types
	if types == nil {
		for range o.cols {
			types = append(types, vec.AnyKind)
		}
	}
	p.env = connect.SinkEnv{Job: o.job, Output: o.name, Instance: "i",
		Columns: connect.Columns{Names: o.cols, Types: types, Row: o.cols == nil},
		State:   disk.NewMem(1).Boot(),
		Reject: func(e connect.RowError) error {
			if p.veto != nil && p.patience == 0 {
				return p.veto
			}
			p.patience = max(0, p.patience-1)
			e.Row = append([]byte(nil), e.Row...)
			p.refused = append(p.refused, e)
			return nil
		},
		Log: slog.New(slog.NewTextHandler(p.log, nil)),
		Now: func() time.Time { return p.now },
	}
	if o.cols == nil {
		p.env.Columns.Names, p.env.Columns.Types = []string{"*"}, []vec.Kinds{vec.KindsOf(vec.Record)}
	}
	s, err := open(b.dialect, b.conf(o.more), p.env, o.wrap)
	if err != nil {
		t.Fatal(err)
	}
	p.sink = s
	t.Cleanup(func() { s.Close() })
	return p
}

// val makes a value of what Go has.
func val(x any) vec.Value {
	switch x := x.(type) {
	case nil:
		return vec.NullValue()
	case int:
		return vec.IntValue(int64(x))
	case int64:
		return vec.IntValue(x)
	case float64:
		return vec.FloatValue(x)
	case string:
		return vec.StringValue(x)
	case bool:
		return vec.BitValue(x)
	case vec.Time:
		return vec.TimeValue(x)
	case vec.Value:
		return x
	}
	panic(fmt.Sprintf("no value of %T", x))
}

// rec makes a record of names and values by turns.
func rec(pairs ...any) vec.Value {
	r := &vec.Rec{Names: []string{}}
	for i := 0; i < len(pairs); i += 2 {
		r.Names = append(r.Names, pairs[i].(string))
		r.Vals = append(r.Vals, val(pairs[i+1]))
	}
	return vec.RecordValue(r)
}

// arr makes an array.
func arr(items ...any) vec.Value {
	r := &vec.Rec{}
	for _, x := range items {
		r.Vals = append(r.Vals, val(x))
	}
	return vec.ArrayValue(r)
}

// batchOf makes a batch of rows.
func batchOf(rows ...[]any) *vec.Batch {
	b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, len(rows[0]))}
	for i, r := range rows {
		b.Time = append(b.Time, vec.Time(i))
		for c, x := range r {
			b.Cols[c].Append(val(x))
		}
	}
	return b
}

// write gives rows to the sink.
func (p *probe) write(epoch int64, rows ...[]any) {
	p.t.Helper()
	if err := p.sink.Write(context.Background(), epoch, batchOf(rows...)); err != nil {
		p.t.Fatal(err)
	}
}

// epoch writes and commits an epoch.
func (p *probe) epoch(n int64, rows ...[]any) {
	p.t.Helper()
	p.write(n, rows...)
	p.prepare(n)
	p.commit(n)
}

func (p *probe) prepare(n int64) {
	p.t.Helper()
	if err := p.sink.Prepare(context.Background(), n, 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *probe) commit(n int64) {
	p.t.Helper()
	if err := p.sink.Commit(context.Background(), n); err != nil {
		p.t.Fatal(err)
	}
}

// refusals are the rows that were refused, and forgets them: "name column row".
func (p *probe) refusals() []string {
	var out []string
	for _, e := range p.refused {
		out = append(out, strings.TrimPrefix(e.Name, "OutputDataConversionError.")+" "+e.Column+" "+string(e.Row))
	}
	p.refused = nil
	return out
}

// check compares the rows that a query of the test finds, each as one text.
func (b *base) check(t testing.TB, text string, want ...string) {
	t.Helper()
	got, err := b.texts(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != len(want) {
		t.Errorf("%s\n got %q\nwant %q", text, got, want)
	}
}

// texts gives the rows of a query, each as one text with bars between.
func (b *base) texts(text string) ([]string, error) {
	var out []string
	rows, err := b.db.Query(text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		cells := make([]any, len(names))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		var parts []string
		for _, c := range cells {
			switch x := (*c.(*any)).(type) {
			case nil:
				parts = append(parts, "NULL")
			case []byte:
				parts = append(parts, string(x))
			case time.Time:
				parts = append(parts, x.UTC().Format("2006-01-02T15:04:05.999999999Z"))
			default:
				parts = append(parts, fmt.Sprint(x))
			}
		}
		out = append(out, strings.Join(parts, "|"))
	}
	return out, rows.Err()
}

// permanentWith checks that an error is permanent and has all texts.
func permanentWith(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil || !connect.IsPermanent(err) {
		t.Fatalf("the error is %v; it must be permanent", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error %q does not say %q", err, text)
		}
	}
}

// passingError checks that an error is one that a retry may heal.
func passingError(t testing.TB, err error) {
	t.Helper()
	if err == nil || connect.IsPermanent(err) || errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v; it must be one that may go away", err)
	}
}

// speed writes rows of four columns and logs how many a second.
func (b *base) speed(t *testing.T) {
	for _, mode := range []string{modeInsert, modeUpsert} {
		b.drop("t")
		b.exec(t, b.sql(`CREATE TABLE t (k <bigint> PRIMARY KEY, s <text>, f <double>, d <time>)`))
		more := map[string]any{"table": "t", "mode": mode}
		if mode == modeUpsert {
			more["key"] = []string{"k"}
		}
		p := b.start(t, output{more: more, cols: []string{"k", "s", "f", "d"}, name: mode})
		const epochs, rows = 10, 5000
		took := time.Duration(0)
		for e := range epochs {
			var list [][]any
			for i := range rows {
				list = append(list, []any{e*rows + i, "a text of usual length", 1.5, vec.FromCivil(2026, 1, 1) + vec.Time(i)*vec.Second})
			}
			batch := batchOf(list...)
			start := time.Now()
			if err := p.sink.Write(context.Background(), int64(e)+1, batch); err != nil {
				t.Fatal(err)
			}
			p.prepare(int64(e) + 1)
			p.commit(int64(e) + 1)
			took += time.Since(start)
		}
		b.check(t, "SELECT COUNT(*) FROM t", fmt.Sprint(epochs*rows))
		t.Logf("%s %s: %.0f rows/s, %.1f ms an epoch of %d rows", b.dialect.name, mode, epochs*rows/took.Seconds(), took.Seconds()*1000/epochs, rows)
	}
}
