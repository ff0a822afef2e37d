package exec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// lookupPlan compiles a query whose input r is reference data.
func lookupPlan(t testing.TB, query string) *plan.Plan {
	t.Helper()
	script, list := saql.Parse(query)
	p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true, Inputs: []plan.InputDecl{{Name: "r", Reference: true}}})
	if list.HasErrors() || more.HasErrors() {
		t.Fatal(query, list, more)
	}
	return p
}

// lookupRows is n rows of reference data: k is "key-0" and so on, v the number.
func lookupRows(p *plan.Plan, input, n int) *vec.Batch {
	b := &vec.Batch{N: n, Cols: make([]vec.Vec, len(p.Inputs[input].Fields))}
	for c, f := range p.Inputs[input].Fields {
		for i := range n {
			if f.Path[0] == "k" {
				b.Cols[c].Append(vec.StringValue(fmt.Sprintf("key-%d", i)))
			} else {
				b.Cols[c].Append(vec.IntValue(int64(i)))
			}
		}
	}
	return b
}

// lookupGraph builds a graph with n rows of reference data.
func lookupGraph(t testing.TB, query string, n int, rows *int) (*exec.Graph, *plan.Plan, int) {
	t.Helper()
	p := lookupPlan(t, query)
	g, err := exec.Build(p, exec.Options{Late: -1, OnRows: func(_ int, b *vec.Batch) error { *rows += b.N; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	stream := 0
	for i, in := range p.Inputs {
		if in.Reference {
			g.SetReference(i, vec.MinTime, lookupRows(p, i, n))
		} else {
			stream = i
		}
	}
	return g, p, stream
}

// lookups are queries that look up, by text in a dictionary, by number, and by both.
var lookups = []string{
	`SELECT a.v, r.v AS w FROM a TIMESTAMP BY at JOIN r ON a.k = r.k`,
	`SELECT a.v, r.k FROM a TIMESTAMP BY at LEFT JOIN r ON a.v = r.v`,
	`SELECT a.v, r.v AS w FROM a TIMESTAMP BY at LEFT JOIN r ON a.k = r.k AND a.v = r.v`,
	`SELECT a.v, r.v AS w FROM a TIMESTAMP BY at JOIN r ON a.k = r.k AND a.v < r.v`,
}

// streamPlan is p with the stream as its only input, for a stream to make batches of.
func streamPlan(p *plan.Plan, stream int) *plan.Plan {
	return &plan.Plan{Inputs: p.Inputs[stream : stream+1]}
}

// TestLookupAllocatesNothing: once the index is there, a batch costs no allocation.
func TestLookupAllocatesNothing(t *testing.T) {
	for _, query := range lookups {
		rows := 0
		g, p, stream := lookupGraph(t, query, 1000, &rows)
		p = streamPlan(p, stream)
		s := streamOf(p)
		push := func() {
			if err := g.Push(stream, s.next(p)); err != nil {
				t.Fatal(err)
			}
		}
		for range 50 {
			push()
		}
		rows = 0
		if n := testing.AllocsPerRun(50, push); n > 0 {
			t.Errorf("%s: %v allocations a batch", query, n)
		}
		if rows == 0 {
			t.Errorf("%s: no rows", query)
		}
	}
}

// TestManyVersions: a row sees the version of its time, of a few years of versions by the
// hour that are there from the beginning.
func TestManyVersions(t *testing.T) {
	p := lookupPlan(t, `SELECT a.v, r.v AS w FROM a TIMESTAMP BY at JOIN r ON a.k = r.k`)
	var got []string
	g, err := exec.Build(p, exec.Options{Late: -1, OnRows: onTexts(&got)})
	if err != nil {
		t.Fatal(err)
	}
	stream := slices.IndexFunc(p.Inputs, func(in plan.Input) bool { return !in.Reference })
	const versions = 20_000
	for i := range versions {
		b := lookupRows(p, 1-stream, 1)
		for c, f := range p.Inputs[1-stream].Fields {
			if f.Path[0] == "v" {
				b.Cols[c] = vec.Ints(int64(i))
			}
		}
		g.SetReference(1-stream, base+vec.Time(i)*vec.Hour, b)
	}
	b := &vec.Batch{N: 5, Cols: make([]vec.Vec, len(p.Inputs[stream].Fields))}
	for c, f := range p.Inputs[stream].Fields {
		for i, at := range []int{-100, 0, 1, versions / 2, 2 * versions} {
			switch f.Path[0] {
			case "at":
				b.Cols[c].Append(vec.TimeValue(base + vec.Time(at)*vec.Hour + vec.Minute))
			case "k":
				b.Cols[c].Append(vec.StringValue("key-0"))
			default:
				b.Cols[c].Append(vec.IntValue(int64(i)))
			}
		}
	}
	if err := g.Push(stream, b); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(stream); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, row := range got {
		_, text, _ := strings.Cut(row, " ")
		values = append(values, text)
	}
	if want := []string{"0 0", "1 0", "2 1", "3 10000", "4 19999"}; !slices.Equal(values, want) {
		t.Errorf("%q, want %q", values, want)
	}
}

func streamOf(p *plan.Plan) *stream {
	s := &stream{keys: 1000, gap: 100}
	s.init(p)
	return s
}

// TestReferenceIsNoStream: an operator over streams says so when its input is reference data.
func TestReferenceIsNoStream(t *testing.T) {
	mixed := lookupPlan(t, lookups[0])
	for _, n := range mixed.Nodes {
		if l, ok := n.Op.(*plan.Lookup); ok {
			n.Op = &plan.Join{Keys: l.Keys, Out: l.Out}
		}
	}
	if _, err := exec.Build(mixed, exec.Options{}); err == nil || !strings.Contains(err.Error(), "reads reference data, which is no stream") {
		t.Errorf("a join of streams with reference data gives %v", err)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, query := range lookups {
		b.Run(query[strings.Index(query, " ON ")+4:], func(b *testing.B) {
			rows := 0
			g, p, stream := lookupGraph(b, query, 100_000, &rows)
			p = streamPlan(p, stream)
			s := streamOf(p)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := s.next(p)
				b.StartTimer()
				if err := g.Push(stream, batch); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/streamRows, "ns/row")
		})
	}
}
