package twin

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// base is the time that events stand around: a whole multiple of the window sizes in use.
var base = ticks(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))

// gen makes a random job. All that it makes is valid by construction; what can fail on a
// row is made now and then only.
type gen struct {
	*rand.Rand
	risky   bool // make expressions that may fail on a row
	sources []namedSource
	block   blockGen
	union   bool // the query at work may become a union
	// oneCase writes a name in one way: with several stars, k of the right one may stand
	// beside K of the left one.
	oneCase bool
	perKey  bool // TIMESTAMP BY .. OVER everywhere
}

// newGen is a generator whose jobs depend on the seed only.
func newGen(seed uint64) *gen {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 20240101))}
	g.risky = g.chance(4)
	return g
}

// chance is true in percent of all cases.
func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *gen, list ...T) T { return list[g.IntN(len(list))] }

// column kinds of the generator say what is in a column, so that expressions over it do
// not fail.
const (
	numberCol = 'n' // bigint, float or NULL
	wordCol   = 's' // text or NULL
	mixedCol  = 'm' // anything that a cell of an event can be
	keyCol    = 'k' // small set of values of several kinds
	recordCol = 'r' // record with p, q.z and s, or NULL
	listCol   = 'l' // array or NULL
	isoCol    = 't' // ISO text, sometimes nothing
	timeCol   = 'd' // datetime or NULL
	opaqueCol = 'o' // may only be projected: its last digits are not promised
)

// eventColumns are the columns of every input.
var eventColumns = []col{{"id", numberCol}, {"t", isoCol}, {"k", keyCol}, {"n", numberCol}, {"s", wordCol},
	{"m", mixedCol}, {"r", recordCol}, {"l", listCol}, {"w", numberCol}}

// events makes the events of an input. Times are small whole numbers of seconds, so that
// they hit each other and the bounds of windows.
func (g *gen) events(name string, sample bool, most int) Input {
	in := Input{Name: name}
	n := min(most, pick(g, 1, 2, 3, 6, 10, 10, 20, 20, 40, 40))
	if g.chance(7) {
		n = 0
	}
	span := pick(g, 3, 10, 30, 100)
	at := base
	for i := range n {
		e := base + int64(g.IntN(span+1))*second
		if !sample {
			at += int64(g.IntN(4)) * second
			in.Arrival = append(in.Arrival, at)
			e = at - int64(g.IntN(20)-6)*second
			if g.chance(2) {
				e = at + int64(pick(g, 299, 300, 301))*second
			}
		}
		if g.chance(10) {
			e += second / 2
		}
		in.Events = append(in.Events, g.event(i, e))
	}
	if !sample && in.Arrival == nil {
		in.Arrival = []int64{}
	}
	return in
}

func (g *gen) event(id int, t int64) string {
	cells := []string{fmt.Sprintf(`"id":%d`, id)}
	cell := func(name, value string) {
		switch {
		case g.chance(6):
			value = "null"
		case g.chance(6):
			return
		}
		cells = append(cells, fmt.Sprintf("%q:%s", name, value))
	}
	if g.chance(3) {
		cell("t", pick(g, `"soon"`, `5`, `null`))
	} else {
		cells = append(cells, `"t":`+quoted(timeText(t)))
	}
	key := pick(g, "k", "k", "k", "k", "k", "k", "K")
	if g.oneCase {
		key = "k"
	}
	cell(key, pick(g, `"x"`, `"x"`, `"y"`, `"z"`, `1`, `1.0`, `"1"`))
	cell("n", g.numberText())
	cell("s", pick(g, `"a"`, `"ab"`, `"B"`, `""`, `"a%"`, `"10"`, `"2.5"`, `"é x "`, `"_b"`))
	cell("m", pick(g, g.numberText(), `"a"`, `"7"`, `true`, `false`, `"2.5"`, `""`, `"2024-01-01T00:00:05Z"`))
	cell("r", pick(g, g.record(), g.record(), g.record(), `5`, `{}`))
	cell("l", pick(g, "[]", "["+g.numberText()+"]", "["+g.numberText()+","+g.numberText()+"]", `[null,"a",[1]]`))
	cell("w", g.numberText())
	return "{" + strings.Join(cells, ",") + "}"
}

func (g *gen) record() string {
	return fmt.Sprintf(`{"p":%s,"q":{"z":%s},"s":%s}`, g.numberText(), g.numberText(), pick(g, `"a"`, `"b"`, `null`))
}

// numberText is a whole number or one with a half, so that equal numbers are of one kind
// and sums are exact.
func (g *gen) numberText() string {
	if g.chance(30) {
		return fmt.Sprintf("%d.5", g.IntN(9))
	}
	return fmt.Sprint(g.IntN(12) - 3)
}

// referenceRows makes the rows of a reference input.
func (g *gen) referenceRows(name string) Input {
	in := Input{Name: name, Events: []string{}}
	for i := range g.IntN(6) {
		in.Events = append(in.Events, fmt.Sprintf(`{"id":%d,"k":%s,"n":%s,"s":%s}`, i,
			pick(g, `"x"`, `"y"`, `1`, `"1"`, `null`), g.numberText(), pick(g, `"a"`, `"ab"`, `null`)))
	}
	return in
}
