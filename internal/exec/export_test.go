package exec

// SetLimits makes the limits small enough for tests to reach them, and gives a function
// that sets them back.
func SetLimits(idle, ring, table, results int) (restore func()) {
	was := limits
	limits.idleGroups, limits.ring, limits.table, limits.results = idle, int64(ring), int64(table), results
	limits.matchRows = idle
	return func() { limits = was }
}

// HistoryState tells how many keys and rows the analytic functions of a graph keep.
func HistoryState(g *Graph) (keys, held int) {
	for _, v := range g.nodes {
		if h, ok := v.op.(*history); ok {
			held += h.held()
			for _, s := range h.sets {
				keys += int(s.table.n)
			}
		}
	}
	return keys, held
}

// KnownKeys is how many keys the operators of a graph remember.
func KnownKeys(g *Graph) int {
	n := 0
	for _, v := range g.nodes {
		switch o := v.op.(type) {
		case *grouping:
			n += int(o.keys.n)
		case *join:
			n += int(o.keys.n)
		case *match:
			n += int(o.keys.n)
		}
	}
	keys, _ := HistoryState(g)
	return n + keys
}

// ForgetCounts sets all counts of a graph to 0, so that the state of two can be compared.
func ForgetCounts(g *Graph) {
	g.Counts = Counts{Rows: make([]int64, len(g.Counts.Rows)), Inputs: make([]InputCounts, len(g.Counts.Inputs))}
	for _, v := range g.nodes {
		v.in, v.out, v.dropped = 0, 0, [NumReasons]int64{}
		if s, ok := v.op.(*stamp); ok {
			for _, c := range s.parts {
				c.rows = 0
			}
		}
	}
}
