package twin

import (
	"fmt"
	"strings"
)

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
