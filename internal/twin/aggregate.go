package twin

import (
	"math"
	"math/big"
	"slices"
	"sort"
	"strings"

	"weir/internal/saql"
)

// aggregates are the aggregate functions that the twin knows (saql.md 7.6).
var aggregates = map[string]bool{
	"COUNT": true, "SUM": true, "AVG": true, "MIN": true, "MAX": true, "STDEV": true, "STDEVP": true,
	"VAR": true, "VARP": true, "COLLECT": true, "TOPONE": true, "COLLECTTOP": true,
	"PERCENTILE_CONT": true, "PERCENTILE_DISC": true,
}

// aggregate is an aggregate over the rows of the group.
func (x *env) aggregate(name string, c *saql.Call) Value {
	if x.group == nil {
		panic("twin: " + name + " without a group")
	}
	return x.block.over(name, c, x.group.rows)
}

// over is an aggregate over rows of the block, in order.
func (b *block) over(name string, c *saql.Call, rows []int) Value {
	switch name {
	case "COUNT":
		return b.count(c, rows)
	case "COLLECT":
		return arrayValue(b.each(c, 0, rows))
	case "TOPONE":
		vals := b.each(c, 0, b.ranked(c.Over.OrderBy, rows))
		if len(vals) == 0 {
			return null
		}
		return vals[0]
	case "COLLECTTOP":
		return b.collectTop(c, rows)
	case "PERCENTILE_CONT", "PERCENTILE_DISC":
		return b.percentile(name, c, rows)
	}
	var vals []Value
	for _, at := range rows {
		if v := b.row(at).value(c.Args[0]); !v.isNull() {
			vals = append(vals, v)
		}
	}
	switch name {
	case "MIN", "MAX":
		return extreme(name, vals, b.static(c.Args[0]) == Text)
	case "SUM":
		return sum(vals)
	case "AVG":
		return mean(vals)
	}
	return spread(name, vals)
}

func (b *block) count(c *saql.Call, rows []int) Value {
	if c.Star || len(c.Args) == 0 {
		return intValue(int64(len(rows)))
	}
	n := int64(0)
	seen := map[string]bool{}
	for _, at := range rows {
		v := b.row(at).argument("COUNT", c.Args[0])
		if v.isNull() || c.Distinct && seen[v.key()] {
			continue
		}
		seen[v.key()] = true
		n++
	}
	return intValue(n)
}

// each has argument i of each row, or the whole rows if it is not written.
func (b *block) each(c *saql.Call, i int, rows []int) []Value {
	var out []Value
	for _, at := range rows {
		if i < len(c.Args) {
			out = append(out, b.row(at).value(c.Args[i]))
		} else {
			out = append(out, b.row(at).record())
		}
	}
	return out
}

// record is the whole row: as * would give it, or with several sources a property for
// each (saql.md 7.6).
func (x *env) record() Value {
	if len(x.block.sources) == 1 {
		return x.whole(0)
	}
	var fields []Field
	for i, s := range x.block.sources {
		fields = append(fields, Field{s.alias, x.whole(i)})
	}
	return recordValue(fields)
}

// ranked sorts rows by the keys of ORDER BY, ties in their order: NULL is the smallest.
func (b *block) ranked(by []saql.OrderItem, rows []int) []int {
	rows = slices.Clone(rows)
	keys := map[int][]Value{}
	for _, at := range rows {
		for _, k := range by {
			v := b.row(at).value(k.Expr)
			if !v.isNull() && v.Kind != Time && (!v.isNumber() || v.Kind == Bit) {
				fail("cannot order by %s", v.Kind)
			}
			keys[at] = append(keys[at], v)
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return before(by, keys[rows[i]], keys[rows[j]]) })
	return rows
}

// before compares the values of two rows key by key.
func before(by []saql.OrderItem, a, b []Value) bool {
	for i := range by {
		c := place(a[i], b[i])
		if by[i].Desc {
			c = -c
		}
		if c != 0 {
			return c < 0
		}
	}
	return false
}

// place orders any two values: NULL first, then by type from low to high precedence, then
// by value (saql.md 5.10).
func place(a, b Value) int {
	if ra, rb := rank(a.Kind), rank(b.Kind); ra != rb {
		return int(order(ra, rb))
	}
	if a.isNull() {
		return 0
	}
	c, _, _ := compare(a, b)
	return c
}

func rank(k Kind) int64 {
	switch k {
	case Null:
		return 0
	case Text:
		return 1
	case Bit, Int, Float:
		return 2
	case Time:
		return 3
	}
	return 4
}

func (b *block) collectTop(c *saql.Call, rows []int) Value {
	vals := b.each(c, 1, b.ranked(c.Over.OrderBy, rows))
	n := literal(saql.Unparen(c.Args[0]).(*saql.Literal)).Int
	out := Value{Kind: Array}
	for i, v := range vals[:min(n, int64(len(vals)))] {
		out.Items = append(out.Items, recordValue([]Field{{"rank", intValue(int64(i) + 1)}, {"value", v}}))
	}
	return out
}

func (b *block) percentile(name string, c *saql.Call, rows []int) Value {
	key := c.Over.OrderBy[0]
	var vals []Value
	for _, at := range rows {
		if v := b.row(at).value(key.Expr); !v.isNull() {
			vals = append(vals, v)
		}
	}
	sort.SliceStable(vals, func(i, j int) bool {
		if place(vals[i], vals[j]) == 0 {
			return preference(vals[i]) < preference(vals[j])
		}
		return before(c.Over.OrderBy, vals[i:i+1], vals[j:j+1])
	})
	if len(vals) == 0 {
		return null
	}
	p := literal(saql.Unparen(c.Args[0]).(*saql.Literal)).float()
	n := float64(len(vals))
	if name == "PERCENTILE_DISC" {
		for i, v := range vals {
			upTo := i + 1 // with those that equal it
			for upTo < len(vals) && place(vals[upTo], v) == 0 {
				upTo++
			}
			if float64(upTo)/n >= p {
				return v
			}
		}
	}
	r := p * (n - 1)
	lo := math.Floor(r)
	l, h := vals[int(lo)].float(), vals[int(math.Ceil(r))].float()
	return floatValue(l + (r-lo)*(h-l))
}

// extreme is MIN or MAX. Text counts as numbers unless it is text in every row.
func extreme(name string, vals []Value, texts bool) Value {
	best := null
	for _, v := range vals {
		if v.Kind >= Record {
			fail("%s of a %s", name, v.Kind)
		}
		if v.Kind == Text && !texts {
			x, ok := parseFloat(v.Text)
			if !ok {
				fail("%s: '%s' is no number", name, v.Text)
			}
			v = x
		}
		if best.isNull() {
			best = v
			continue
		}
		c, _, ok := compare(v, best)
		if !ok {
			fail("%s of %s and %s", name, v.Kind, best.Kind)
		}
		if name == "MAX" {
			c = -c
		}
		if c < 0 || c == 0 && preference(v) < preference(best) {
			best = v
		}
	}
	return best
}

// preference chooses among equal numbers of different types, so that the order of rows
// does not count; saql.md leaves it open.
func preference(v Value) int { return map[Kind]int{Int: 0, Float: 1, Bit: 2}[v.Kind] }

// total adds numbers without rounding; floats tells if one is no bigint. Text is parsed
// to float.
func total(vals []Value) (s *big.Rat, floats bool) {
	s = new(big.Rat)
	for _, v := range vals {
		if v.Kind == Text {
			x, ok := parseFloat(v.Text)
			if !ok {
				fail("'%s' is no number", v.Text)
			}
			v = x
		}
		if !v.isNumber() {
			fail("an aggregate of numbers got a %s", v.Kind)
		}
		floats = floats || v.Kind == Float
		s.Add(s, v.exact())
	}
	return s, floats
}

func sum(vals []Value) Value {
	if len(vals) == 0 {
		return null
	}
	s, floats := total(vals)
	if floats {
		return ratFloat(s)
	}
	return bigint(s.Num())
}

func mean(vals []Value) Value {
	if len(vals) == 0 {
		return null
	}
	s, _ := total(vals)
	return ratFloat(s.Quo(s, big.NewRat(int64(len(vals)), 1)))
}

// spread is VAR, VARP, STDEV or STDEVP.
func spread(name string, vals []Value) Value {
	n := int64(len(vals))
	s, _ := total(vals)
	if !strings.HasSuffix(name, "P") {
		n--
	}
	if n <= 0 {
		return null
	}
	m := s.Quo(s, big.NewRat(int64(len(vals)), 1))
	squares := new(big.Rat)
	for _, v := range vals {
		one, _ := total([]Value{v})
		d := one.Sub(one, m)
		squares.Add(squares, d.Mul(d, d))
	}
	x, _ := squares.Quo(squares, big.NewRat(n, 1)).Float64()
	if strings.HasPrefix(name, "STDEV") {
		x = math.Sqrt(x)
	}
	return floatValue(x)
}
