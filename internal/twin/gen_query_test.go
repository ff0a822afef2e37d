package twin

import (
	"slices"
	"strings"

	"weir/internal/testkit"
)

// job makes a query with its events.
func (g *gen) job() Job {
	j := Job{Sample: !g.chance(12), Start: runStart}
	j.Late = int64(pick(g, 0, 5, 10, 60)) * second
	j.OutOfOrder = int64(pick(g, 0, 2, 5, 60)) * second
	j.Drop = g.chance(40)
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
	if g.perKey = g.chance(4); g.perKey {
		j.Sample = g.chance(40)
	}
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
		if last := g.sources[len(g.sources)-1]; last.reference && g.chance(25) {
			g.block = blockGen{columns: last.columns, on: true}
			steps = append(steps, g.f("%s AS (SELECT id, k, %s AS n, s FROM %s WHERE %s)", name, g.number(1), last.name, g.condition(1)))
			g.sources = append(g.sources, namedSource{name: name, columns: last.columns, reference: true})
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
