package fn

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"weir/internal/vec"
)

// benchRows is a batch of rows of a benchmark.
const benchRows = 1024

// benchColumns are the columns that aggregates are measured on.
func benchColumns() map[string]*vec.Vec {
	r := rand.New(rand.NewPCG(1, 1))
	ints, floats := make([]int64, benchRows), make([]float64, benchRows)
	d := &vec.Dict{}
	for j := range 100 {
		d.Vals = append(d.Vals, "visitor-"+strconv.Itoa(j))
	}
	texts, codes := make([]string, benchRows), make([]uint32, benchRows)
	mixed := make([]vec.Value, benchRows)
	for j := range benchRows {
		ints[j] = int64(r.IntN(100))
		floats[j] = r.NormFloat64() * 100
		codes[j] = uint32(ints[j])
		texts[j] = d.Vals[codes[j]]
		mixed[j] = vec.FloatValue(floats[j])
		if j%2 == 0 {
			mixed[j] = vec.IntValue(ints[j])
		}
	}
	m := vec.Values(mixed...)
	i, f, s := vec.Ints(ints...), vec.Floats(floats...), vec.Strings(texts...)
	return map[string]*vec.Vec{"int": &i, "float": &f, "text": &s, "mixed": &m,
		"dict": {N: benchRows, Kind: vec.String, Dict: d, Code: codes}}
}

// BenchmarkAggAdd is the time of a row.
func BenchmarkAggAdd(b *testing.B) {
	columns := benchColumns()
	for _, c := range []struct{ agg, column string }{
		{"COUNT", "int"}, {"COUNT", "mixed"}, {"SUM", "int"}, {"SUM", "float"}, {"SUM", "mixed"},
		{"AVG", "float"}, {"MAX", "int"}, {"MAX", "float"}, {"MAX", "mixed"}, {"MAX", "text"},
		{"STDEV", "int"}, {"STDEV", "float"},
		{"COUNT_DISTINCT", "int"}, {"COUNT_DISTINCT", "text"}, {"COUNT_DISTINCT", "dict"},
	} {
		for _, slots := range []int{100, 100_000} {
			b.Run(fmt.Sprintf("%s/%s/%d", c.agg, c.column, slots), func(b *testing.B) {
				v := columns[c.column]
				static := Any
				if c.column == "text" {
					static = Text
				}
				a := newAcc(b, c.agg, static)
				a.Grow(slots)
				r := rand.New(rand.NewPCG(2, 2))
				of := make([][]int32, 64)
				for j := range of {
					of[j] = make([]int32, benchRows)
					for k := range of[j] {
						of[j][k] = int32(r.IntN(slots))
					}
					a.Add(of[j], []*vec.Vec{v})
				}
				args := []*vec.Vec{v}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; b.Loop(); n++ {
					a.Add(of[n%len(of)], args)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
			})
		}
	}
}

// BenchmarkAggResult is the time of a result.
func BenchmarkAggResult(b *testing.B) {
	columns := benchColumns()
	for _, c := range []struct{ agg, column string }{
		{"COUNT", "int"}, {"SUM", "int"}, {"SUM", "float"}, {"AVG", "int"}, {"AVG", "float"},
		{"MAX", "float"}, {"STDEV", "int"}, {"STDEV", "float"}, {"VAR", "float"},
	} {
		b.Run(c.agg+"/"+c.column, func(b *testing.B) {
			a := newAcc(b, c.agg, Any)
			a.Grow(100)
			slots := make([]int32, benchRows)
			for j := range slots {
				slots[j] = int32(j % 100)
			}
			a.Add(slots, []*vec.Vec{columns[c.column]})
			var out vec.Vec
			call := &Call{}
			b.ReportAllocs()
			for b.Loop() {
				a.Result(call, slots[:100], &out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/slot")
		})
	}
}

// TestAggAllocs: adding, merging and resetting slots that exist allocates nothing.
func TestAggAllocs(t *testing.T) {
	for name, v := range benchColumns() {
		for _, agg := range liveAggs {
			static := Any
			if v.Kind == vec.String {
				static = Text
				if agg != "MIN" && agg != "MAX" && agg != "COUNT" && agg != "COUNT_DISTINCT" {
					continue
				}
			}
			a := newAcc(t, agg, static)
			a.Grow(8)
			slots := make([]int32, benchRows)
			for j := range slots {
				slots[j] = int32(j % 4)
			}
			args := []*vec.Vec{v}
			dst, src, used := []int32{4, 5}, []int32{0, 1}, []int32{4, 5}
			if strings.HasPrefix(agg, "PERCENTILE") { // which grow with every row
				used = []int32{0, 1, 2, 3, 4, 5}
			}
			run := func() {
				a.Add(slots, args)
				a.Merge(dst, src)
				a.Reset(used)
			}
			run()
			if n := testing.AllocsPerRun(10, run); n != 0 {
				t.Errorf("%s of %s: %v allocations", agg, name, n)
			}
		}
	}
}
