package geo

// fewEdges is up to how many edges a search looks at all of them.
const fewEdges = 24

// chain is positions joined by edges: a line, or a ring, whose last position is the first.
// Positions that follow each other differ.
type chain struct {
	at    []position
	edges []arc
	box   box // around the edges
	tree  *tree
	found []int32 // memory of searches
}

// newChain joins positions, without those that repeat the one before; false if an edge
// joins opposite points.
func newChain(at []position) (*chain, bool) {
	c := &chain{at: make([]position, 0, len(at)), box: emptyBox()}
	for _, p := range at {
		if n := len(c.at); n > 0 && c.at[n-1].dir.near(p.dir) {
			continue
		}
		c.at = append(c.at, p)
	}
	c.edges = make([]arc, 0, len(c.at))
	for i := 1; i < len(c.at); i++ {
		e, ok := arcOf(c.at[i-1].dir, c.at[i].dir)
		if !ok {
			return nil, false
		}
		c.edges = append(c.edges, e)
		c.box.join(e.bounds())
	}
	if len(c.edges) == 0 {
		c.box.add(c.at[0].dir)
		c.box = c.box.wider(borderWidth)
	}
	return c, true
}

// index makes the tree of a chain of many edges.
func (c *chain) index() *tree {
	if c.tree == nil && len(c.edges) > fewEdges {
		boxes := make([]box, len(c.edges))
		for i := range c.edges {
			boxes[i] = c.edges[i].bounds()
		}
		c.tree = newTree(boxes)
	}
	return c.tree
}

// edgesIn gives the positions of the edges that may meet b. They are valid until the next
// call.
func (c *chain) edgesIn(b *box) []int32 {
	c.found = c.found[:0]
	if !c.box.meets(b) {
		return nil
	}
	if t := c.index(); t != nil {
		c.found = t.search(c.found, b)
		return c.found
	}
	for i := range c.edges {
		c.found = append(c.found, int32(i))
	}
	return c.found
}

// touches reports whether p is on the chain.
func (c *chain) touches(p dir) bool {
	if len(c.edges) == 0 {
		return c.at[0].dir.near(p)
	}
	b := box{p, p}.wider(borderWidth)
	for _, i := range c.edgesIn(&b) {
		if c.edges[i].touches(p) {
			return true
		}
	}
	return false
}

// meets reports whether two chains share a point.
func (c *chain) meets(d *chain) bool {
	if !c.box.meets(&d.box) {
		return false
	}
	if len(c.edges) == 0 {
		return d.touches(c.at[0].dir)
	}
	if len(d.edges) == 0 {
		return c.touches(d.at[0].dir)
	}
	for i := range c.edges {
		e := &c.edges[i]
		b := e.bounds()
		for _, j := range d.edgesIn(&b) {
			if e.meets(&d.edges[j]) {
				return true
			}
		}
	}
	return false
}

// repeats reports whether the chain runs over itself along a stretch: two of its edges
// have more than a point in common (saql.md 12.1). Then an end of one lies on the other, so
// only such edges are compared: a line may cross itself very often.
func (c *chain) repeats() bool {
	for k := range c.at {
		p := c.at[k].dir
		b := box{p, p}.wider(borderWidth)
		for _, j := range c.edgesIn(&b) {
			f := &c.edges[j]
			if !f.touches(p) {
				continue
			}
			for i := max(k-1, 0); i <= min(k, len(c.edges)-1); i++ {
				if i != int(j) && c.edges[i].overlaps(f) {
					return true
				}
			}
		}
	}
	return false
}

// overlaps reports whether two arcs have a stretch in common: then two of their ends, one
// apart from the other, lie on both.
func (e *arc) overlaps(f *arc) bool {
	var first dir
	n := 0
	for _, end := range [4]struct {
		p  dir
		on *arc
	}{{e.a, f}, {e.b, f}, {f.a, e}, {f.b, e}} {
		if !end.on.touches(end.p) {
			continue
		}
		if n == 0 {
			first, n = end.p, 1
		} else if !first.near(end.p) {
			return true
		}
	}
	return false
}
