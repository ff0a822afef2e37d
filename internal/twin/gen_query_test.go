package twin

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/testkit"
)

// job makes a query with its events.
func (g *gen) job() Job {
	j := Job{Sample: !g.chance(12), Start: runStart}
	if !j.Sample {
		j.Late = int64(pick(g, 0, 5, 10, 60)) * second
		j.OutOfOrder = int64(pick(g, 0, 2, 5, 60)) * second
		j.Drop = g.chance(40)
	}
	names := []string{"a", "b"}[:1+g.IntN(2)]
	for _, name := range names {
		g.sources = append(g.sources, namedSource{name: name, columns: eventColumns, stream: true, open: true})
	}
	tables := ""
	if g.chance(10) {
		tables = "CREATE TABLE a (id bigint, t datetime, k nvarchar(max), n float, s nvarchar(max), r record, l array, w bigint);\n"
		g.sources[0].open = false
		g.sources[0].columns = []col{{"id", numberCol}, {"t", timeCol}, {"k", keyCol}, {"n", numberCol}, {"s", wordCol},
			{"r", recordCol}, {"l", listCol}, {"w", numberCol}}
	}
	g.perKey = g.chance(4)
	if g.chance(20) {
		j.Reference = []Input{g.referenceRows("ref")}
		g.sources = append(g.sources, namedSource{name: "ref", open: true, reference: true,
			columns: []col{{"id", numberCol}, {"k", keyCol}, {"n", numberCol}, {"s", wordCol}}})
	}
	j.Query = tables + g.script()
	g.oneCase = strings.Contains(j.Query, ".*, ")
	most := 40 / (1 + 2*strings.Count(j.Query, "JOIN")) // each join multiplies the rows
	for _, name := range names {
		j.Inputs = append(j.Inputs, g.events(name, j.Sample, max(most, 3)))
	}
	return j
}

func (g *gen) way() testkit.Way {
	return testkit.Way{Batch: pick(g, 0, 1, 3), Seed: pick(g, 0, g.Uint64()|1), Snapshot: g.chance(60), Crash: pick(g, 0, g.Uint64()|1),
		Shards: pick(g, 0, 1, 2, 3, 7)}
}

func (g *gen) script() string {
	var steps []string
	count := g.IntN(3)
	if g.perKey {
		count = 0
	}
	for i := range count {
		name := g.f("step%d", i+1)
		if g.chance(6) {
			s := g.passThrough(name)
			steps = append(steps, s)
			continue
		}
		text, columns, open := g.query()
		steps = append(steps, name+" AS ("+text+")")
		g.sources = append(g.sources, namedSource{name: name, columns: columns, open: open})
	}
	text := ""
	if steps != nil {
		text = "WITH " + strings.Join(steps, ", ") + "\n"
	}
	outs := 1 + g.IntN(4)/3
	for i := range outs {
		into := ""
		if outs > 1 {
			into = g.f(" INTO out%d", i+1)
		}
		body, _, _ := g.query()
		body = strings.Replace(body, " FROM ", into+" FROM ", 1)
		if i > 0 {
			text += ";\n"
		}
		text += body
	}
	return text
}

// passThrough is a step that only hands the events of an input on, so that TIMESTAMP BY
// may follow it (saql.md 4.2).
func (g *gen) passThrough(name string) string {
	in := g.sources[0]
	columns, list := in.columns, "*"
	if g.chance(50) {
		columns = columns[:5]
		list = "id, t, k, n, s"
	}
	g.block = blockGen{columns: in.columns, on: true}
	where := ""
	if g.chance(50) {
		where = " WHERE " + g.condition(1)
	}
	g.sources = append(g.sources, namedSource{name: name, columns: columns, stream: true, open: in.open && list == "*"})
	return name + " AS (SELECT " + list + " FROM " + in.name + where + ")"
}

// query is a select, or a union of two with the same columns.
func (g *gen) query() (text string, columns []col, open bool) {
	g.union = g.chance(16)
	text, columns, open = g.selectBlock(nil)
	exact := !slices.ContainsFunc(columns, func(c col) bool { return c.kind == opaqueCol })
	if g.union && !open && exact {
		second, _, _ := g.selectBlock(columns)
		return text + pick(g, " UNION ", " UNION ALL ") + second, columns, false
	}
	return text, columns, open
}

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
	text, columns, open := g.selectBlock(nil)
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
		define = append(define, g.f("%s AS %s %s %s", v, numbers(v), pick(g, "<", ">", ">=", "=", "<>"), other))
	}
	text += g.f(" MATCH_RECOGNIZE (LIMIT DURATION(second, %d)%s MEASURES %s AFTER MATCH SKIP TO NEXT ROW PATTERN (%s) DEFINE %s) AS mr",
		pick(g, 1, 3, 10, 100), partition, strings.Join(measures, ", "), pattern, strings.Join(define, ", "))
	g.block.columns = columns
	return text
}

// selectBlock makes a query block. want, if not nil, are the columns that it must give.
func (g *gen) selectBlock(want []col) (text string, columns []col, open bool) {
	from, stars, _ := g.from()
	where := ""
	if g.chance(35) {
		where = " WHERE " + g.condition(2)
	}
	if g.chance(55) {
		text, columns = g.windowed(from, where, want)
		return text, columns, false
	}
	all, whole := slices.Clone(g.block.columns), g.block.whole
	items, columns := g.items(want, func(kind rune) (string, rune) { return g.item(kind) })
	if want != nil || !g.chance(15) {
		return "SELECT " + strings.Join(items, ", ") + " FROM " + from + where, columns, false
	}
	star := pick(g, stars...)
	if star != "*" && g.chance(40) {
		star = strings.Join(stars, ", ")
		if stars[0] == "*" {
			star = "*, " + stars[1]
		}
	}
	switch {
	case g.chance(25): // the name of a column that * has too
		items[0] = g.number(1) + " AS n"
		all = slices.DeleteFunc(all, func(c col) bool { return strings.HasSuffix(strings.ToLower(c.name), "n") })
		columns[0].kind = opaqueCol
	case g.chance(15) && g.of("r") != "" && g.risky:
		star = g.of("r") + ".*"
		all = nil
	}
	i := g.IntN(len(items) + 1)
	items = slices.Insert(items, i, star)
	if star == "*" && len(whole) == 1 || len(whole) > 1 && star == strings.Join(stars, ", ") { // all columns stay
		columns = unqualified(columns, all)
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + from + where, columns, true
}

// unqualified adds to columns those of all sources, without the names of the sources. One
// that two of them have is mixed, for the right one shows where the left one is absent.
func unqualified(columns, all []col) []col {
	fixed := len(columns)
	for _, c := range all {
		c.name = c.name[strings.LastIndexByte(c.name, '.')+1:]
		i := slices.IndexFunc(columns, func(o col) bool { return strings.EqualFold(o.name, c.name) })
		switch {
		case i < 0:
			columns = append(columns, c)
		case i >= fixed && columns[i].kind != c.kind:
			columns[i].kind = opaqueCol
		}
	}
	return columns
}

// items makes a select list of the wanted kinds, or of any; the time is nearly always
// there.
func (g *gen) items(want []col, item func(kind rune) (string, rune)) (items []string, columns []col) {
	if want != nil {
		for _, c := range want {
			e, _ := item(c.kind)
			items = append(items, e+" AS "+c.name)
		}
		return items, want
	}
	for i := range 1 + g.IntN(4) {
		e, kind := item(0)
		name := g.f("c%d", i+1)
		items = append(items, g.alias(e, name))
		columns = append(columns, col{name, kind})
	}
	if g.chance(92) {
		items = append(items, "System.Timestamp() AS ts")
		columns = append(columns, col{"ts", timeCol})
	}
	return items, columns
}

func (g *gen) alias(e, name string) string {
	switch g.IntN(6) {
	case 0:
		return e + " " + name
	case 1:
		return name + " = " + e
	}
	return e + " AS " + name
}

// item is an expression of a kind, or of any when it is 0.
func (g *gen) item(kind rune) (string, rune) {
	if kind == 0 {
		kind = pick[rune](g, numberCol, numberCol, numberCol, wordCol, timeCol, mixedCol, keyCol, recordCol, listCol)
	}
	switch kind {
	case numberCol:
		return g.number(3), kind
	case wordCol:
		return g.text(2), kind
	case timeCol, isoCol:
		return g.time(2), timeCol
	case mixedCol:
		return g.any(2), opaqueCol
	case keyCol, recordCol, listCol:
		if c := g.of(string(kind)); c != "" {
			return c, kind
		}
	}
	if kind == opaqueCol {
		return g.any(2), opaqueCol
	}
	return "NULL", kind
}

// windowed makes a block with GROUP BY.
func (g *gen) windowed(from, where string, want []col) (string, []col) {
	window, ids := g.windows()
	groups := []string{window}
	var keyList []col
	if g.block.key != "" {
		groups = append(groups, g.block.key)
		keyList = append(keyList, col{g.block.key, keyCol})
	}
	for range g.IntN(3) {
		kind := pick[rune](g, keyCol, keyCol, keyCol, wordCol, numberCol, mixedCol, recordCol)
		e, kind := g.item(kind)
		if kind == opaqueCol {
			e, kind = g.of0("m", "NULL"), mixedCol
		}
		if g.chance(60) {
			if c := g.of(string(kind)); c != "" {
				e = c
			}
		}
		groups = append(groups, e)
		keyList = append(keyList, col{e, kind})
	}
	g.Shuffle(len(groups), func(i, k int) { groups[i], groups[k] = groups[k], groups[i] })
	var exprs []string
	item := func(kind rune) (string, rune) {
		e, kind := g.groupItem(kind, keyList, ids)
		if strings.ContainsRune("ndsk", kind) {
			exprs = append(exprs, e)
		}
		return e, kind
	}
	items, columns := g.items(want, item)
	head := "SELECT "
	tail := ""
	if g.chance(20) {
		op := pick(g, ">", "<", ">=", "=", "<>")
		tail += pick(g, g.f(" HAVING COUNT(*) %s %d", op, 1+g.IntN(3)), g.f(" HAVING SUM(%s) %s %s", g.number(1), op, g.numberText0()))
		for _, c := range columns {
			if c.kind == numberCol && want == nil && g.chance(50) { // an alias
				tail = g.f(" HAVING %s %s %s", c.name, op, g.numberText0())
			}
		}
	}
	if g.chance(12) && (g.block.key == "" || g.perKey) {
		if g.chance(50) {
			head += "DISTINCT "
		}
		if g.chance(50) {
			head += g.f("TOP %d ", 1+g.IntN(3))
		}
		if g.chance(60) {
			e := pick(g, append(exprs, "System.Timestamp()")...)
			if head == "SELECT " || !strings.Contains(head, "DISTINCT") { // else only its columns
				e, _ = item(numberCol)
			}
			tail += " ORDER BY " + e + pick(g, "", " DESC")
		}
	}
	return head + strings.Join(items, ", ") + " FROM " + from + where + " GROUP BY " + strings.Join(groups, ", ") + tail, columns
}

// windows is the window of a block, or several; ids tells if they have identities.
func (g *gen) windows() (text string, ids bool) {
	if !g.chance(12) {
		return g.window(), false
	}
	ids = g.chance(60)
	var list []string
	for i := range 1 + g.IntN(3) {
		w := g.window()
		if ids {
			w = fmt.Sprintf("Window('w%d', %s)", i, w)
		}
		list = append(list, w)
	}
	return "Windows(" + strings.Join(list, ", ") + ")", ids
}

func (g *gen) window() string {
	size := pick(g, 1, 2, 3, 5, 7, 10, 30)
	hop := pick(g, 1, 2, 3, 5, 7)
	offset := ""
	if g.chance(20) {
		offset = g.f(", %s%d", pick(g, "", "-"), g.IntN(12))
	}
	long := func(name string, n int) string {
		if g.chance(15) {
			return g.f("%s(millisecond, %d)", name, 1000*n)
		}
		return g.f("%s(second, %d)", name, n)
	}
	named := func(text string) string {
		if g.chance(20) {
			return text
		}
		return text + "Window"
	}
	if offset != "" && g.chance(50) {
		offset = ", Offset(second" + offset + ")"
		switch g.IntN(2) {
		case 0:
			return g.f("%s(%s%s)", named("Tumbling"), long("Duration", size), offset)
		}
		return g.f("%s(%s, %s%s)", named("Hopping"), long("Duration", size), long("Hop", hop), offset)
	}
	switch g.IntN(10) {
	case 0, 1, 2:
		return g.f("%s(second, %d%s)", named("Tumbling"), size, offset)
	case 3, 4:
		return g.f("%s(second, %d, %d%s)", named("Hopping"), size, hop, offset)
	case 5, 6:
		return g.f("%s(%s)", named("Sliding"), pick(g, g.f("second, %d", size), long("Duration", size)))
	case 7, 8:
		text := g.f("%s(%s)", named("Session"), pick(g, g.f("second, %d, %d", hop, size), long("Timeout", hop)+", "+long("MaxDuration", size)))
		if c := g.of("k"); c != "" && g.chance(50) {
			text += " OVER (PARTITION BY " + c + ")"
		}
		return text
	}
	return "System.Timestamp()"
}

// groupItem is an expression over a group.
func (g *gen) groupItem(kind rune, keyList []col, ids bool) (string, rune) {
	if kind == 0 {
		kind = pick[rune](g, numberCol, numberCol, numberCol, numberCol, keyCol, keyCol, opaqueCol, opaqueCol, listCol, timeCol, wordCol)
	}
	for _, i := range g.Perm(len(keyList)) {
		if c := keyList[i]; (c.kind == kind || kind == keyCol) && g.chance(60) {
			return c.name, c.kind
		}
	}
	switch kind {
	case numberCol:
		return g.aggregate(), numberCol
	case timeCol, isoCol:
		return pick(g, "System.Timestamp()", g.f("%s(%s)", pick(g, "MIN", "MAX"), g.time(1))), timeCol
	case wordCol:
		if ids && g.chance(50) {
			return "System.Window().Id", wordCol
		}
		return g.f("%s(CAST(%s AS nvarchar(max)))", pick(g, "MIN", "MAX"), g.scalar(1)), wordCol
	case listCol:
		return pick(g, g.f("Collect(%s)", g.any(1)), "Collect()"), listCol
	}
	if kind != opaqueCol {
		return "NULL", kind
	}
	switch g.IntN(8) {
	case 0, 1:
		return g.f("%s(%s)", pick(g, "STDEV", "STDEVP", "VAR", "VARP"), g.of0("n", "1")), opaqueCol
	case 2:
		return g.f("TopOne() OVER (ORDER BY %s)", g.order()), opaqueCol
	case 3:
		return g.f("CollectTop(%d) OVER (ORDER BY %s)", 1+g.IntN(3), g.order()), opaqueCol
	case 4:
		return g.f("CollectTop(%d, %s) OVER (ORDER BY %s)", 1+g.IntN(3), g.any(1), g.order()), opaqueCol
	case 5:
		return g.f("TopOne(%s) OVER (ORDER BY %s)", g.any(1), g.order()), opaqueCol
	}
	if g.block.whole != nil {
		return g.f("COUNT(%s%s)", pick(g, "", "DISTINCT "), pick(g, g.block.whole...)), opaqueCol
	}
	return g.f("COUNT(DISTINCT %s)", g.any(1)), opaqueCol
}

// aggregate is a number over a group.
func (g *gen) aggregate() string {
	arg := func() string {
		if g.chance(60) {
			return g.of0("n", "1")
		}
		return g.number(2)
	}
	switch g.IntN(12) {
	case 0, 1:
		return "COUNT(*)"
	case 2:
		return g.f("COUNT(%s)", g.any(1))
	case 3:
		return g.f("COUNT(DISTINCT %s)", g.any(1))
	case 4:
		return g.f("AVG(%s)", arg())
	case 5:
		return g.f("(%s - %s)", g.aggregate(), g.aggregate())
	case 6:
		return g.f("%s(%s) OVER (ORDER BY %s%s)", pick(g, "Percentile_Cont", "Percentile_Disc"), pick(g, "0", "0.25", "0.5", "0.9", "1"), g.of0("n", "1"), pick(g, "", " DESC"))
	case 7:
		return g.f("TopOne(%s) OVER (ORDER BY %s)", arg(), g.order())
	}
	return g.f("%s(%s)", pick(g, "SUM", "MIN", "MAX"), arg())
}
