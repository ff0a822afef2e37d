package exec_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

var pastRounds = flag.Int("past.rounds", 800, "rounds of TestHistoryTwin")

// pastCall is a random call of an analytic function, as text and as what its slow
// evaluation needs (saql.md 8, 11).
type pastCall struct {
	fn     string // LAG, LAST, ISFIRST, SPIKE, CHANGE; else an aggregate
	col    string
	offset int
	def    string // column, or ""
	agg    *twinAgg
	keys   []string
	limit  vec.Time
	when   *twinCond
	size   int
	conf   int
	mode   string
}

func randomPast(r *rand.Rand) *pastCall {
	c := &pastCall{col: pick(r, "v", "g", "k"), offset: 1, limit: vec.Second * pick[vec.Time](r, 1, 2, 5, 20, 5000)}
	c.keys = pick(r, nil, nil, []string{"k"}, []string{"g"}, []string{"k"}, []string{"g", "k"})
	if r.IntN(3) == 0 {
		c.when = &twinCond{"v", int64(r.IntN(3) - 1)}
	}
	c.fn = pick(r, "LAG", "LAG", "LAG", "LAST", "LAST", "ISFIRST", "AGG", "AGG", "AGG", "SPIKE", "CHANGE")
	switch c.fn {
	case "LAG", "LAST":
		c.offset = pick(r, 1, 1, 2, 3, 7, 100)
		c.def = pick(r, "", "", "v", "g")
	case "SPIKE", "CHANGE":
		c.col, c.size, c.conf, c.mode = "v", pick(r, 1, 2, 4, 10), pick(r, 50, 80, 95, 100), pick(r, "spikes", "dips", "SpikesAndDips")
	case "AGG":
		c.agg = &twinAgg{fn: pick(r, "COUNT", "SUM", "AVG", "MIN", "MAX", "Collect", "TopOne", "CollectTop"), col: "v", n: 1 + r.IntN(3)}
		switch {
		case c.agg.fn == "COUNT" && r.IntN(2) == 0:
			c.agg.col = ""
		case c.agg.fn == "Collect":
			c.agg.col = pick(r, "v", "g", "k")
		case c.agg.fn[0] == 'T' || c.agg.fn == "CollectTop":
			c.agg.order = []twinSort{{pick(r, "v", "t"), r.IntN(2) == 0}}
		}
	}
	return c
}

func (c *pastCall) text() string {
	var over []string
	if len(c.keys) > 0 {
		over = append(over, "PARTITION BY "+strings.Join(c.keys, ", "))
	}
	if c.agg != nil && len(c.agg.order) > 0 {
		over = append(over, "ORDER BY "+c.agg.order[0].text())
	}
	seconds := int(c.limit / vec.Second)
	if c.fn != "ISFIRST" {
		over = append(over, fmt.Sprintf("LIMIT DURATION(second, %d)", seconds))
	}
	if c.when != nil {
		over = append(over, fmt.Sprintf("WHEN %s > %d", c.when.col, c.when.than))
	}
	var call string
	switch c.fn {
	case "LAG":
		call = fmt.Sprintf("LAG(%s, %d%s)", c.col, c.offset, c.defText())
	case "LAST":
		call = fmt.Sprintf("LAST(%s%s)", c.col, c.defText())
	case "ISFIRST":
		call = fmt.Sprintf("ISFIRST(second, %d)", seconds)
	case "SPIKE":
		call = fmt.Sprintf("AnomalyDetection_SpikeAndDip(%s, %d, %d, '%s')", c.col, c.conf, c.size, c.mode)
	case "CHANGE":
		call = fmt.Sprintf("AnomalyDetection_ChangePoint(%s, %d, %d)", c.col, c.conf, c.size)
	default:
		call = c.agg.text()
		if c.agg.fn == "CollectTop" {
			call = fmt.Sprintf("CollectTop(%d, %s)", c.agg.n, c.agg.col)
		}
		if c.agg.fn == "TopOne" {
			call = "TopOne(" + c.agg.col + ")"
		}
	}
	return call + " OVER (" + strings.Join(over, " ") + ")"
}

func (c *pastCall) defText() string {
	if c.def == "" {
		return ""
	}
	return ", " + c.def
}

// counts reports whether a row may be seen.
func (c *pastCall) counts(r twinRow) bool { return c.when == nil || c.when.holds(r.cols) }

// of computes the call on row i of all.
func (c *pastCall) of(rows []twinRow, i int) vec.Value {
	now := rows[i]
	var seen []twinRow // with the row itself
	for _, r := range rows[:i+1] {
		if r.t > now.t-c.limit && twinKeys(r, c.keys) == twinKeys(now, c.keys) && c.counts(r) {
			seen = append(seen, r)
		}
	}
	earlier := seen
	if c.counts(now) {
		earlier = seen[:len(seen)-1]
	}
	value := func(r twinRow, col string) vec.Value {
		if v, ok := r.cols[col]; ok && v.Kind != vec.Missing {
			return v
		}
		return vec.NullValue()
	}
	switch c.fn {
	case "LAG":
		if n := len(earlier) - c.offset; n >= 0 {
			return value(earlier[n], c.col)
		}
	case "LAST":
		if n := len(seen); n > 0 {
			return value(seen[n-1], c.col)
		}
	case "ISFIRST":
		return c.isFirst(rows, i)
	case "SPIKE", "CHANGE":
		return c.anomaly(rows, i)
	default:
		if c.agg.fn == "TopOne" && len(seen) == 0 {
			return vec.NullValue()
		}
		return c.agg.of(seen)
	}
	if c.def == "" {
		return vec.NullValue()
	}
	return value(now, c.def)
}

// isFirst: intervals are (k*d, (k+1)*d] (saql.md 8.4).
func (c *pastCall) isFirst(rows []twinRow, i int) vec.Value {
	interval := func(t vec.Time) vec.Time { return (t + c.limit - 1) / c.limit }
	if !c.counts(rows[i]) {
		return vec.IntValue(0)
	}
	for _, r := range rows[:i] {
		if interval(r.t) == interval(rows[i].t) && c.counts(r) && twinKeys(r, c.keys) == twinKeys(rows[i], c.keys) {
			return vec.IntValue(0)
		}
	}
	return vec.IntValue(1)
}

// anomaly is saql.md 11.1, the share above x by the distribution function.
func (c *pastCall) anomaly(rows []twinRow, i int) vec.Value {
	learned := func(r twinRow) bool { return c.counts(r) && !r.cols[c.col].Kind.IsNull() }
	if !learned(rows[i]) {
		return vec.NullValue()
	}
	bet := func(i int) (up, bet float64, n int) {
		var h []float64
		for j := i - 1; j >= 0 && len(h) < c.size; j-- {
			if r := rows[j]; learned(r) && r.t > rows[i].t-c.limit && twinKeys(r, c.keys) == twinKeys(rows[i], c.keys) {
				h = append(h, floatOf(r.cols[c.col]))
			}
		}
		up = 0.5
		if n = len(h); n > 0 {
			up = twinUpper(h, floatOf(rows[i].cols[c.col]))
		}
		q := math.Min(math.Max(2*math.Min(up, 1-up), 1e-8), 1-1e-8)
		bet = math.Log(q*math.Log(q)-q+1) - 2*math.Log(-math.Log(q)) - math.Log(q)
		if q > 0.999 {
			bet = math.Log(0.5)
		}
		return up, bet, n
	}
	up, sum, n := bet(i)
	trained := float64(n) >= max(2, float64(c.size)/2)
	score := map[string]float64{"spikes": up, "dips": 1 - up, "SpikesAndDips": min(up, 1-up)}[c.mode]
	odd := score <= 1-float64(c.conf)/100
	if c.fn == "CHANGE" {
		for j, left := i-1, c.size-1; j >= 0 && left > 0; j-- {
			if r := rows[j]; learned(r) && r.t > rows[i].t-c.limit && twinKeys(r, c.keys) == twinKeys(rows[i], c.keys) {
				_, b, _ := bet(j)
				sum += b
				left--
			}
		}
		score = math.Exp(sum)
		odd = score >= 1/(1-float64(c.conf)/100)
	}
	flag := vec.IntValue(0)
	if trained && odd && c.conf < 100 {
		flag = vec.IntValue(1)
	}
	return vec.RecordValue(&vec.Rec{Names: []string{"IsAnomaly", "Score"}, Vals: []vec.Value{flag, vec.FloatValue(score)}})
}

func twinUpper(h []float64, x float64) float64 {
	sigma := 1.0
	if n := float64(len(h)); n > 1 {
		mean, spread := 0.0, 0.0
		for _, v := range h {
			mean += v / n
		}
		for _, v := range h {
			spread += (v - mean) * (v - mean) / n
		}
		sigma = math.Max(math.Sqrt(spread), 1e-6)
	}
	up := 0.0
	for _, v := range h {
		up += (1 - 0.5*(1+math.Erf((x-v)/sigma/math.Sqrt2))) / float64(len(h))
	}
	return math.Min(math.Max(up, 1e-8), 1-1e-8)
}

func floatOf(v vec.Value) float64 {
	switch v.Kind {
	case vec.Float:
		return v.Float
	case vec.String:
		return twinRead(v).Float
	}
	return float64(v.Int)
}

// modest is an event whose v is a small number: sums of large ones and the distribution
// function lose digits where the plain formulas above are written down.
func modest(r *rand.Rand, e twinEvent) {
	switch r.IntN(6) {
	case 0:
		e.cols["v"] = pick(r, vec.NullValue(), vec.Value{}, vec.BitValue(true), vec.StringValue("2.5"))
	case 1:
		e.cols["v"] = vec.FloatValue(float64(r.IntN(20)-5) / 4)
	default:
		e.cols["v"] = vec.IntValue(int64(r.IntN(9) - 2))
	}
}

// TestHistoryTwin compares analytic functions with their evaluation over the list of all
// rows, on random calls and events, in all ways.
func TestHistoryTwin(t *testing.T) {
	for i := range *pastRounds / slow {
		seed := uint64(i)
		r := rand.New(rand.NewPCG(seed, 21))
		var calls []*pastCall
		query := "SELECT k, v, System.Timestamp() AS t"
		for j := range 1 + r.IntN(5) {
			c := randomPast(r)
			if j > 0 && r.IntN(2) == 0 { // calls that share what is kept
				c.keys, c.when = calls[j-1].keys, calls[j-1].when
			}
			calls = append(calls, c)
			query += fmt.Sprintf(", %s AS c%d", c.text(), j)
		}
		policy := twinPolicy{late: -1, outOfOrder: pick(r, 0, vec.Second, 3*vec.Second), sample: r.IntN(2) == 0, start: base}
		events := randomEvents(r, r.IntN(60), policy, randomKey)
		for _, e := range events {
			modest(r, e)
		}
		query += " FROM a TIMESTAMP BY at"
		where := &twinCond{"v", 1}
		if r.IntN(3) == 0 {
			query += " WHERE v > 1" // it has no part in what the functions see
		} else {
			where = nil
		}
		rows, _, _ := twinStamp(&twinQuery{}, policy, events, false)
		rows = twinOrder([][]twinRow{rows})
		var want []twinResult
		for j, row := range rows {
			if where != nil && !where.holds(row.cols) {
				continue
			}
			out := twinResult{t: row.t, vals: []vec.Value{row.cols["k"], row.cols["v"], vec.TimeValue(row.t)}}
			for _, c := range calls {
				out.vals = append(out.vals, c.of(rows, j))
			}
			want = append(want, out)
		}
		for range 3 {
			w := twinWay{cut: pick(r, 0, 1, 3, -1), snapshot: pick(r, 0, 0, 1, 3), shards: pick(r, 0, 2),
				measured: true, small: r.IntN(2) == 0, seed: r.Uint64()}
			got := runPast(t, query, policy, events, w)
			if d := diffPast(want, got); d != "" {
				t.Fatalf("seed %d: %s\n%v\n%s", seed, query, w, d)
			}
		}
	}
}

// runPast runs a query over events of input a.
func runPast(t *testing.T, query string, policy twinPolicy, events []twinEvent, w twinWay) []twinResult {
	t.Helper()
	p := compile(t, query)
	rd := &twinRound{q: &twinQuery{inputs: []string{"a"}}, policy: policy, events: [][]twinEvent{events}}
	out, err := rd.engine(p, w)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out.rows
}

func diffPast(want, got []twinResult) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return fmt.Sprintf("row %d is too many: %v", i, rowTexts(got[i:i+1]))
		case i >= len(got):
			return fmt.Sprintf("row %d is missing: %v", i, rowTexts(want[i:i+1]))
		case want[i].t != got[i].t || !slices.EqualFunc(want[i].vals, got[i].vals, nearValue):
			return fmt.Sprintf("row %d is\n%v, want\n%v", i, rowTexts(got[i:i+1]), rowTexts(want[i:i+1]))
		}
	}
	return ""
}

// nearValue compares floats to 9 digits; the score of a record to 6, as saql.md 11.1 has it.
func nearValue(a, b vec.Value) bool {
	if a.Kind == vec.Missing {
		a.Kind = vec.Null
	}
	if b.Kind == vec.Missing {
		b.Kind = vec.Null
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case vec.Float:
		return a.Float == b.Float || math.Abs(a.Float-b.Float) <= 1e-6*math.Max(math.Abs(a.Float), math.Abs(b.Float))
	case vec.Record, vec.Array:
		return slices.Equal(a.Rec.Names, b.Rec.Names) && slices.EqualFunc(a.Rec.Vals, b.Rec.Vals, nearValue)
	}
	return valueText(a) == valueText(b)
}
