package fn

import (
	"fmt"
	"testing"

	"weir/internal/vec"
)

// scalarRows is the size of a batch.
const scalarRows = 4096

// benchArgs is columns for the benchmarks, made from a template of one row: texts vary a
// little from row to row, dict puts the first text into a dictionary.
func benchArgs(args []vec.Value, dict bool) []*vec.Vec {
	var cols []*vec.Vec
	for j, a := range args {
		v := &vec.Vec{}
		switch {
		case a.Kind == vec.String && j == 0 && dict:
			d := &vec.Dict{}
			for i := range 100 {
				d.Vals = append(d.Vals, fmt.Sprint(a.Str, i))
			}
			v = &vec.Vec{N: scalarRows, Kind: vec.String, Dict: d, Code: make([]uint32, scalarRows)}
			for i := range v.Code {
				v.Code[i] = uint32(i % 100)
			}
		default:
			v.Fixed(a.Kind, scalarRows)
			for i := range scalarRows {
				if a.Kind == vec.String && j == 0 {
					v.Str[i] = fmt.Sprint(a.Str, i%1000)
				} else if a.Kind == vec.Datetime && j == 0 {
					v.Int[i] = a.Int + int64(i)*int64(vec.Minute)
				} else {
					v.Set(i, a)
				}
			}
		}
		cols = append(cols, v)
	}
	return cols
}

var benchCalls = []struct {
	name string
	part Part
	args []vec.Value
}{
	{"ABS", 0, []vec.Value{vfloat(-2.5)}},
	{"ROUND", 0, []vec.Value{vfloat(2.34567), vint(2)}},
	{"POWER", 0, []vec.Value{vint(3), vint(7)}},
	{"YEAR", 0, []vec.Value{vtime(638500000000000000)}},
	{"DATEPART", Hour, []vec.Value{vtime(638500000000000000)}},
	{"DATEADD", Minute, []vec.Value{vint(5), vtime(638500000000000000)}},
	{"DATEADD", Month, []vec.Value{vint(5), vtime(638500000000000000)}},
	{"DATEDIFF", Second, []vec.Value{vtime(638500000000000000), vtime(638500001000000000)}},
	{"LEN", 0, []vec.Value{vtext("sensor-")}},
	{"UPPER", 0, []vec.Value{vtext("sensor-")}},
	{"SUBSTRING", 0, []vec.Value{vtext("sensor-"), vint(3), vint(4)}},
	{"REPLACE", 0, []vec.Value{vtext("sensor-"), vtext("-"), vtext("/")}},
	{"CONCAT", 0, []vec.Value{vtext("sensor-"), vtext("x")}},
	{"REGEXMATCH", 0, []vec.Value{vtext("sensor-"), vtext(`or-\d+5`)}},
	{"REGEXMATCH", 0, []vec.Value{vtext("sensor-"), vtext(`(\d)(?!\1)5`)}},
}

func BenchmarkScalar(b *testing.B) {
	for _, call := range benchCalls {
		for _, dict := range []bool{false, true} {
			if dict && call.args[0].Kind != vec.String {
				continue
			}
			s, _ := LookupScalar(call.name)
			args := benchArgs(call.args, dict)
			name := call.name
			if s.Part {
				name += "_" + call.part.String()
			}
			if dict {
				name += "_dict"
			}
			b.Run(name, func(b *testing.B) {
				c := &Call{Part: call.part}
				scratch := make([]vec.Vec, len(args))
				var out vec.Vec
				b.ReportAllocs()
				for b.Loop() {
					s.Run(c, &out, args, scratch, scalarRows)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/scalarRows, "ns/row")
			})
		}
	}
}

// TestScalarAllocs asserts that a batch costs no memory in functions that make no text.
func TestScalarAllocs(t *testing.T) {
	for _, call := range benchCalls {
		want := 0.0
		switch call.name {
		case "UPPER", "REPLACE": // a text a row
			continue
		case "CONCAT": // one piece of memory a batch
			want = 1
		}
		for _, dict := range []bool{false, true} {
			s, _ := LookupScalar(call.name)
			args := benchArgs(call.args, dict)
			c := &Call{Part: call.part}
			scratch := make([]vec.Vec, len(args))
			var out vec.Vec
			run := func() { s.Run(c, &out, args, scratch, scalarRows) }
			run()
			if s.Name == "REGEXMATCH" && !dict {
				continue // Go's regexp has pools of its own, and positions come in slices
			}
			if got := testing.AllocsPerRun(10, run); got > want {
				t.Errorf("%s, dictionary %v: %v allocations a batch", call.name, dict, got)
			}
		}
	}
}
