package twin

// over makes the parts of OVER for history: keys, duration and WHEN. Nothing in it may be
// history itself.
func (g *gen) over(d int) (keys, limit, when string) {
	switch {
	case g.block.always:
		keys = "PARTITION BY " + g.block.key + " "
	case g.chance(60):
		keys = "PARTITION BY " + g.of0("k", "1") + " "
	}
	if g.chance(35) {
		when = " WHEN " + g.condition(1)
	}
	return keys, g.f("LIMIT DURATION(second, %d)", pick(g, 1, 2, 5, 10, 100)), when
}

// history is an analytic function that gives a number.
func (g *gen) history(d int) string {
	was := g.block.history
	g.block.history = false
	defer func() { g.block.history = was }()
	keys, limit, when := g.over(d)
	if g.chance(15) {
		if keys+when == "" {
			return g.f("ISFIRST(second, %d)", pick(g, 1, 2, 5, 10))
		}
		return g.f("ISFIRST(second, %d) OVER (%s%s)", pick(g, 1, 2, 5, 10), keys, when)
	}
	arg := g.of0("n", "1")
	if g.chance(20) {
		arg = g.number(min(d, 1))
	}
	switch g.IntN(8) {
	case 0, 1, 2:
		args := arg
		if g.chance(40) {
			args += g.f(", %d", 1+g.IntN(3))
			if g.chance(50) {
				args += ", " + g.of0("n", "NULL")
			}
		}
		return g.f("LAG(%s) OVER (%s%s%s)", args, keys, limit, when)
	case 3:
		if g.chance(30) {
			arg += ", " + g.of0("n", "NULL")
		}
		return g.f("LAST(%s) OVER (%s%s%s)", arg, keys, limit, when)
	case 4:
		return g.f("COUNT(%s) OVER (%s%s%s)", pick(g, "*", arg), keys, limit, when)
	case 5:
		return g.f("TopOne(%s) OVER (%sORDER BY %s %s%s)", arg, keys, g.order(), limit, when)
	}
	return g.f("%s(%s) OVER (%s%s%s)", pick(g, "SUM", "MIN", "MAX", "AVG"), arg, keys, limit, when)
}

// historyRows is an analytic function that gives rows or lists.
func (g *gen) historyRows(d int) string {
	was := g.block.history
	g.block.history = false
	defer func() { g.block.history = was }()
	keys, limit, when := g.over(d)
	switch g.IntN(6) {
	case 0:
		return g.f("LAG(*) OVER (%s%s%s)", keys, limit, when)
	case 1:
		return g.f("LAST(*) OVER (%s%s%s)", keys, limit, when)
	case 2:
		return g.f("LAG(%s) OVER (%s%s%s)", g.any(d-1), keys, limit, when)
	case 3:
		return g.f("Collect(%s) OVER (%s%s%s)", pick(g, "", g.any(d-1)), keys, limit, when)
	case 4:
		return g.f("CollectTop(%d, %s) OVER (%sORDER BY %s %s%s)", 1+g.IntN(3), g.any(d-1), keys, g.order(), limit, when)
	}
	return g.f("TopOne() OVER (%sORDER BY %s %s%s)", keys, g.order(), limit, when)
}

// order is a list of keys of ORDER BY that numbers and times can be sorted by.
func (g *gen) order() string {
	keys := g.of0("n", "1") + pick(g, "", " DESC", " ASC")
	if g.chance(30) {
		keys += ", " + g.time(1) + pick(g, "", " DESC")
	}
	return keys
}
