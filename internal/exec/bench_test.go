package exec_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// stream makes batches for benchmarks: dictionary-coded keys, a datetime column, numbers.
// Time goes on from batch to batch; the memory is used again.
type stream struct {
	keys   int
	jitter vec.Time // how far an event may lie behind
	gap    vec.Time // between events
	mixed  bool     // some numbers are NULL
	arrive bool     // events arrive two seconds after their time

	now  vec.Time
	r    *rand.Rand
	dict *vec.Dict
	b    vec.Batch
}

const streamRows = 4096

func (s *stream) init(p *plan.Plan) {
	s.now, s.r, s.dict = base, rand.New(rand.NewPCG(1, 2)), &vec.Dict{}
	for i := range s.keys {
		s.dict.Vals = append(s.dict.Vals, fmt.Sprintf("key-%d", i))
	}
	s.b = vec.Batch{N: streamRows, Cols: make([]vec.Vec, len(p.Inputs[0].Fields))}
	for c, f := range p.Inputs[0].Fields {
		v := &s.b.Cols[c]
		switch f.Path[0] {
		case "k":
			*v = vec.Vec{N: streamRows, Kind: vec.String, Dict: s.dict, Code: make([]uint32, streamRows)}
		case "at":
			v.Fixed(vec.Datetime, streamRows)
		default:
			v.Fixed(vec.Int, streamRows)
			if s.mixed {
				v.Untype()
			}
		}
	}
	s.next(p)
}

// next fills the batch with the next rows.
func (s *stream) next(p *plan.Plan) *vec.Batch {
	for c, f := range p.Inputs[0].Fields {
		v := &s.b.Cols[c]
		switch f.Path[0] {
		case "k":
			for i := range v.Code {
				v.Code[i] = uint32(s.r.IntN(s.keys))
			}
		case "at":
			for i := range v.Int {
				t := s.now + s.gap*vec.Time(i)
				if s.jitter > 0 {
					t -= vec.Time(s.r.Int64N(int64(s.jitter)))
				}
				v.Int[i] = int64(t)
			}
		default:
			for i := range v.Int {
				v.Int[i] = int64(s.r.IntN(1000))
				if s.mixed {
					v.Tag[i] = vec.Int
					if i%16 == 0 {
						v.Tag[i], v.Int[i] = vec.Null, 0
					}
				}
			}
		}
	}
	if s.arrive {
		s.b.Arrival = s.b.Arrival[:0]
		for i := range streamRows {
			s.b.Arrival = append(s.b.Arrival, s.now+s.gap*vec.Time(i)+2*vec.Second)
		}
	}
	s.now += s.gap * streamRows
	return &s.b
}

// benchmarks are the queries of BenchmarkOperator, an operator each as far as that goes.
var benchmarks = []struct {
	name, query string
	s           stream
	o           exec.Options
}{
	{"stamp", `SELECT v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"stamp/jitter", `SELECT v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, jitter: vec.Second}, exec.Options{OutOfOrder: vec.Second}},
	{"stamp/drop", `SELECT v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, jitter: 2 * vec.Second}, exec.Options{OutOfOrder: vec.Second, Drop: true}},
	{"stamp/over", `SELECT k, v FROM a TIMESTAMP BY at OVER k`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"stamp/arrival", `SELECT v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, jitter: vec.Second, arrive: true}, exec.Options{OutOfOrder: vec.Second}},
	{"typed", `CREATE TABLE a (at datetime, k nvarchar(max), v bigint); SELECT k, v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"typed/nulls", `CREATE TABLE a (at datetime, k nvarchar(max), v bigint); SELECT k, v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, mixed: true}, exec.Options{}},
	{"filter", `SELECT k, v FROM a TIMESTAMP BY at WHERE v >= 500`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"arith", `SELECT v * 2 + 1 AS w FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/100", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/100k", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100_000, gap: 100}, exec.Options{}},
	{"tumbling/jitter", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100, jitter: 2 * vec.Second}, exec.Options{OutOfOrder: 2 * vec.Second}},
	{"tumbling/tiny", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(millisecond, 1)`, stream{keys: 100, gap: vec.Second}, exec.Options{}},
	{"tumbling/nulls", `SELECT k, SUM(v) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100, mixed: true}, exec.Options{}},
	{"tumbling/two keys", `SELECT k, v, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, v, TumblingWindow(second, 1)`, stream{keys: 10, gap: 100}, exec.Options{}},
	{"hopping/avg", `SELECT k, AVG(v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"hopping/100k", `SELECT k, AVG(v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, stream{keys: 100_000, gap: 100}, exec.Options{}},
	{"hopping/max", `SELECT k, MAX(v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 600, 1)`, stream{keys: 100, gap: 100 * vec.Microsecond}, exec.Options{}},
	{"sliding/count", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"sliding/max", `SELECT k, MAX(v) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/topone", `SELECT k, TopOne(v) OVER (ORDER BY at DESC) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/percentile", `SELECT k, PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/collect", `SELECT k, Collect(v) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"tumbling/collecttop", `SELECT k, CollectTop(5, v) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"hopping/percentile", `SELECT k, PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"hopping/collect", `SELECT k, Collect(v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"hopping/collecttop", `SELECT k, CollectTop(5, v) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"sliding/topone", `SELECT k, TopOne(v) OVER (ORDER BY v DESC) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 1000}, exec.Options{}},
	{"sliding/percentile", `SELECT k, PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 1000}, exec.Options{}},
	{"sliding/collect", `SELECT k, Collect(v) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 1000}, exec.Options{}},
	{"sliding/collecttop", `SELECT k, CollectTop(5, v) OVER (ORDER BY v) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 10)`, stream{keys: 100, gap: 1000}, exec.Options{}},
	{"session/partition", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 1, 60) OVER (PARTITION BY k)`, stream{keys: 100, gap: 20 * vec.Millisecond}, exec.Options{}},
	{"session/long", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 1, 60)`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"snapshot", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, System.Timestamp()`, stream{keys: 100, gap: 100}, exec.Options{}},
	{"join/self", `SELECT a.k, a.at AS t1, b.at AS t2 FROM a TIMESTAMP BY at JOIN a b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.v < 70 AND b.v >= 500`,
		stream{keys: 300, gap: 100 * vec.Microsecond, jitter: 2 * vec.Second}, exec.Options{OutOfOrder: 2 * vec.Second}},
	{"join/few", `SELECT a.k, b.v FROM a TIMESTAMP BY at JOIN a b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(millisecond, a, b) BETWEEN -20 AND 20 WHERE a.v < 500`,
		stream{keys: 300, gap: 100 * vec.Microsecond}, exec.Options{}},
	{"join/outer", `SELECT a.k, b.v FROM a TIMESTAMP BY at LEFT JOIN a b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 1 AND a.v < b.v WHERE b.v IS NULL`,
		stream{keys: 3000, gap: 100 * vec.Microsecond}, exec.Options{}},
	{"order/jitter", `SELECT k, v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, jitter: 2 * vec.Second}, exec.Options{Sample: true, Disorder: []vec.Time{2 * vec.Second}}},
	{"order/sorted", `SELECT k, v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100}, exec.Options{Sample: true, Disorder: []vec.Time{0}}},
	{"order/nulls", `SELECT k, v FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 100, jitter: vec.Second, mixed: true}, exec.Options{Sample: true, Disorder: []vec.Time{vec.Second}}},
}

func BenchmarkOperator(b *testing.B) {
	for _, x := range benchmarks {
		b.Run(x.name, func(b *testing.B) { benchmarkQuery(b, x.query, x.s, x.o) })
	}
}

// benchmarkQuery runs a query over a stream and tells the time per row.
func benchmarkQuery(b *testing.B, query string, s stream, o exec.Options) {
	p := compile(b, query)
	rows := int64(0)
	o.Late = -1
	o.OnRows = func(_ int, b *vec.Batch) error { rows += int64(b.N); return nil }
	g, err := exec.Build(p, o)
	if err != nil {
		b.Fatal(err)
	}
	s.init(p)
	for range 300 { // windows fill, memory is taken
		if err := g.Push(0, s.next(p)); err != nil {
			b.Fatal(err)
		}
	}
	rows = 0
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		b.StopTimer()
		batch := s.next(p)
		b.StartTimer()
		if err := g.Push(0, batch); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/streamRows, "ns/row")
	b.ReportMetric(float64(rows)/float64(n)/streamRows, "results/row")
	b.ReportMetric(0, "ns/op")
}
