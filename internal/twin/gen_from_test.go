package twin

import (
	"slices"
	"strings"
)

// from makes the FROM of a block and fills in what its expressions may read. star is what
// may stand before .* or "*".
func (g *gen) from() (text string, stars []string, open bool) {
	g.block = blockGen{history: true}
	switch {
	case g.perKey:
	case g.chance(16):
		return g.join()
	case g.chance(9):
		return g.apply()
	case g.chance(8):
		return g.match(), []string{"*"}, false
	case g.chance(8):
		return g.derived()
	}
	s, text := g.source("")
	alias := s.name
	if g.chance(25) && !strings.Contains(text, "TIMESTAMP") {
		alias = "q"
		text += " AS q"
	}
	prefix := pick(g, "", "", "", alias+".")
	for _, c := range s.columns {
		g.block.columns = append(g.block.columns, col{prefix + c.name, c.kind})
	}
	g.block.whole = []string{alias}
	if k := g.of("k"); k != "" && g.chance(8) && !g.union && !g.perKey {
		text += " PARTITION BY " + k
		g.block.key = k
	}
	if g.perKey {
		g.block.key, g.block.always = prefix+"k", true
	}
	return text, []string{"*", alias + ".*"}, s.open
}

// source is a source that drives an output, as FROM names it.
func (g *gen) source(alias string) (namedSource, string) {
	var may []namedSource
	for _, s := range g.sources {
		if !s.reference {
			may = append(may, s)
		}
	}
	s := pick(g, may...)
	if last := may[len(may)-1]; g.chance(30) {
		s = last // so that steps are read
	}
	text := s.name
	if alias != "" {
		text += pick(g, " AS ", " ") + alias
	}
	switch {
	case g.perKey:
		text += " TIMESTAMP BY t OVER k"
	case s.stream && g.chance(95):
		text += " TIMESTAMP BY " + pick(g, "t", "t", "t", "t", "t", "t", "DATEADD(second, id, t)", "CASE WHEN id % 3 > 0 THEN t END")
	}
	return s, text
}

func (g *gen) derived() (string, []string, bool) {
	was := g.block
	make := func() (string, []col, bool) { return g.selectBlock(nil) }
	if g.chance(30) && !g.union {
		make = g.query
	}
	text, columns, open := make()
	g.block = was
	g.block.columns = nil
	for _, c := range columns {
		g.block.columns = append(g.block.columns, col{"d." + c.name, c.kind})
	}
	return "(" + text + ") AS d", []string{"*", "d.*"}, open
}

// join makes a chain of two or three sources, or a source joined with a join.
func (g *gen) join() (text string, stars []string, open bool) {
	s, text := g.source("x")
	j := &joinGen{gen: g, streams: []string{"x"}}
	j.add("x", s)
	if g.chance(8) { // x JOIN (y JOIN z ON ..) ON ..
		right, table := g.source("y")
		inner := &joinGen{gen: g, streams: []string{"y"}}
		g.block.columns = nil
		inner.add("y", right)
		table += inner.next("z", "y")
		all := g.block.columns
		g.block.columns = j.columns
		text += pick(g, " JOIN (", " LEFT JOIN (") + table + ") ON " + g.on(g.bound("x", "y"), j.columns, all)
		return text, append(j.stars, inner.stars...), true
	}
	text += j.next("y", "x")
	if g.chance(30) {
		text += j.next("z", j.streams...)
	}
	return text, j.stars, j.open
}

// joinGen is a chain of joins at work.
type joinGen struct {
	*gen
	columns []col
	streams []string // aliases that have a time
	stars   []string
	open    bool
}

// add makes the columns of a source ones that expressions may read.
func (j *joinGen) add(alias string, s namedSource) []col {
	var mine []col
	for _, c := range s.columns {
		mine = append(mine, col{alias + "." + c.name, c.kind})
	}
	j.columns = append(j.columns, mine...)
	j.block.columns = append(j.block.columns, mine...)
	j.stars = append(j.stars, alias+".*")
	j.block.whole = append(j.block.whole, alias)
	j.open = j.open || s.open
	return mine
}

// next is one more JOIN of the chain, bounded against one of some sources.
func (j *joinGen) next(alias string, against ...string) string {
	kind := pick(j.gen, "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN")
	before := j.columns
	bound := ""
	var table string
	var right namedSource
	i := slices.IndexFunc(j.sources, func(s namedSource) bool { return s.reference })
	if i >= 0 && j.chance(50) {
		right = j.sources[i]
		table = right.name + " AS " + alias
	} else {
		right, table = j.source(alias)
		bound = j.bound(pick(j.gen, against...), alias)
		if len(against) > 1 && j.chance(30) {
			bound += j.f(" AND DATEDIFF(second, %s, %s) %s", pick(j.gen, against...), alias, pick(j.gen, ">= -5", "> 0", "< 9", "<= 5"))
		}
		j.streams = append(j.streams, alias)
	}
	mine := j.add(alias, right)
	return " " + kind + " " + table + " ON " + j.on(bound, before, mine)
}

// on adds equalities and other conditions to a time bound.
func (g *gen) on(bound string, left, right []col) string {
	var parts []string
	if bound != "" {
		parts = append(parts, bound)
	}
	was := g.block
	g.block.history, g.block.on = false, true
	all := append(slices.Clone(left), right...)
	if g.chance(80) {
		kinds := pick(g, "k", "k", "n", "s", "m")
		g.block.columns = left
		l := g.of0(kinds, "1")
		g.block.columns = right
		r := g.of0(kinds, "1")
		if g.chance(30) {
			l, r = r, l
		}
		parts = append(parts, l+" = "+r)
	}
	g.block.columns = all
	if parts == nil || g.chance(25) {
		parts = append(parts, "("+g.condition(1)+")")
	}
	if bound != "" && g.chance(12) { // an elapsed time that is a number like others
		i, j := left[0].name[:1], right[0].name[:1]
		parts = append(parts, g.f("(DATEDIFF(%s, %s, %s) %s %d OR %s)", pick(g, "second", "millisecond"), i, j, pick(g, ">", "<=", "% 2000 ="), g.IntN(4), g.condition(0)))
	}
	if g.chance(6) { // history looks at one side, before the join
		mine := left
		if bound != "" && g.chance(50) { // reference data has none
			mine = right
		}
		g.block.columns, g.block.whole = mine, nil
		if h := g.history(0); strings.Contains(h, mine[0].name[:2]) {
			parts = append(parts, h+" "+pick(g, "=", "<>", "<")+" "+g.numberText0())
		}
	}
	g.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
	g.block = was
	g.block.columns = all
	return strings.Join(parts, " AND ")
}

// bound is a time bound between two aliases.
func (g *gen) bound(a, b string) string {
	lo := g.IntN(12) - 4
	hi := lo + g.IntN(8)
	if g.chance(30) {
		a, b = b, a
	}
	d := g.f("DATEDIFF(second, %s, %s)", a, b)
	switch g.IntN(4) {
	case 0:
		return g.f("%s >= %d AND %s <= %d", d, lo, d, hi)
	case 1:
		return g.f("%s > %d AND %d >= %s", d, lo, hi+1, d)
	case 2:
		if g.chance(40) {
			return g.f("%s = %d", d, lo)
		}
	}
	return g.f("%s BETWEEN %d AND %d", d, lo, hi)
}

func (g *gen) apply() (text string, stars []string, open bool) {
	s, text := g.source("q")
	for _, c := range s.columns {
		g.block.columns = append(g.block.columns, col{"q." + c.name, c.kind})
	}
	kind := pick(g, "CROSS", "OUTER")
	arrays, records := g.of("l"), g.of("r")
	switch {
	case arrays != "" && g.chance(60):
		text += g.f(" %s APPLY GetArrayElements(%s) AS e", kind, arrays)
		g.block.columns = append(g.block.columns, col{"e.ArrayIndex", numberCol}, col{"e.ArrayValue", mixedCol})
	case records != "":
		if !g.risky {
			records = g.f("TRY_CAST(%s AS record)", records)
		}
		text += g.f(" %s APPLY GetRecordProperties(%s) AS e", kind, records)
		g.block.columns = append(g.block.columns, col{"e.PropertyName", wordCol})
	default:
		return text, []string{"*", "q.*"}, s.open
	}
	return text, []string{"*", "q.*", "e.*"}, s.open
}

func (g *gen) match() string {
	s, text := g.source("")
	for !slices.ContainsFunc(s.columns, func(c col) bool { return c.kind == numberCol }) {
		s, text = g.source("")
	}
	g.block.columns = s.columns
	numbers := func(v string) string { return v + "." + g.of("n") }
	partition := ""
	if c := g.of("k"); c != "" && (g.chance(50) || g.perKey) {
		partition = " PARTITION BY " + c
	}
	pattern := pick(g, "A B", "A+ B", "A* B", "A B?", "A+", "A | B A", "(A | B)+ .", "A . B", "A B* C?", "(A B)+", "A? B+ C", ". A", "A (B | C) A*")
	var measures []string
	columns := []col{}
	for i := range 1 + g.IntN(4) {
		v := pick(g, "A", "B", "C")
		if !strings.Contains(pattern, v) {
			v = "A"
		}
		e, kind := g.f("%s(%s)", pick(g, "First", "Last", "Min", "Max"), numbers(v)), numberCol
		switch g.IntN(8) {
		case 0:
			e, kind = "Classifier()", opaqueCol
		case 1:
			e = numbers(v)
		case 2:
			e = g.f("Last(%s) - First(%s)", numbers(v), numbers(v))
		case 3:
			e, kind = "System.Timestamp()", timeCol
		}
		name := g.f("m%d", i+1)
		measures = append(measures, e+" AS "+name)
		columns = append(columns, col{name, kind})
	}
	var define []string
	if strings.Contains(pattern, "(A | B)+") { // a row that fits both doubles the ways
		e, n := g.of("n"), g.numberText0()
		define = append(define, g.f("A AS A.%s < %s", e, n), g.f("B AS B.%s >= %s", e, n))
	}
	for i, v := range []string{"A", "B", "C"} {
		if !strings.Contains(pattern, v) || strings.Contains(pattern, "(A | B)+") {
			continue
		}
		other := g.numberText0()
		if i > 0 && len(define) == i && g.chance(50) {
			u := "ABC"[i-1 : i]
			other = pick(g, numbers(u), g.f("%s(%s)", pick(g, "Last", "First", "Min", "Max"), numbers(u)))
		} else if g.chance(20) {
			other = g.f("%s(%s)", pick(g, "Min", "Max", "First"), numbers(v))
		}
		condition := g.f("%s %s %s", numbers(v), pick(g, "<", ">", ">=", "=", "<>"), other)
		switch c := g.of("sk"); {
		case c != "" && g.chance(15):
			condition = g.f("%s AND %s.%s <> 'a'", condition, v, c)
		case c != "" && g.chance(15):
			condition = g.f("(%s OR LEN(%s.%s) > 1)", condition, v, c)
		case g.chance(15):
			condition = g.f("%s - %s BETWEEN -2 AND 2", numbers(v), other)
		case g.chance(10):
			condition = g.f("NOT (%s)", condition)
		}
		define = append(define, v+" AS "+condition)
	}
	text += g.f(" MATCH_RECOGNIZE (LIMIT DURATION(second, %d)%s MEASURES %s AFTER MATCH SKIP TO NEXT ROW PATTERN (%s) DEFINE %s) AS mr",
		pick(g, 1, 3, 10, 100), partition, strings.Join(measures, ", "), pattern, strings.Join(define, ", "))
	g.block.columns = columns
	return text
}
