package geo

import "slices"

// lies says where the pieces of a chain lie with regard to a polygon, and, of those on its
// border, whether they run along it or against it.
type lies struct{ inside, outside, along, against bool }

// pieces looks where the chain c lies. stop ends the search when what is known is enough.
func (r *ring) pieces(c *chain, stop func(lies) bool) lies {
	var l lies
	region := r.region()
	if !region.meets(&c.box) {
		l.outside = true
		return l
	}
	if len(c.edges) == 0 {
		l.put(r.locate(c.at[0].dir))
		return l
	}
	var cuts []float64
	for i := range c.edges {
		e := &c.edges[i]
		cuts = r.cuts(cuts[:0], e)
		for k := 1; k < len(cuts); k++ {
			if cuts[k]-cuts[k-1] < 4*borderWidth {
				continue
			}
			where, near := r.nearest(e.at((cuts[k] + cuts[k-1]) / 2))
			if where == border {
				if e.n.dot(r.edges[near].n) > 0 {
					l.along = true
				} else {
					l.against = true
				}
			}
			if l.put(where); stop(l) {
				return l
			}
		}
	}
	return l
}

func (l *lies) put(s side) {
	l.inside = l.inside || s == inside
	l.outside = l.outside || s == outside
}

// cuts appends the angles along e, sorted, at which it meets the ring, and those of its
// ends.
func (r *ring) cuts(cuts []float64, e *arc) []float64 {
	length := e.angle()
	cuts = append(cuts, 0, length)
	b := e.bounds()
	add := func(p dir) {
		one := arc{e.a, p, e.n}
		if t := one.angle(); t > 0 && t < length {
			cuts = append(cuts, t)
		}
	}
	for _, i := range r.edgesIn(&b) {
		f := &r.edges[i]
		if e.touches(f.a) {
			add(f.a)
		}
		if e.touches(f.b) {
			add(f.b)
		}
		if x, ok := e.crossing(f); ok {
			add(x)
		}
	}
	slices.Sort(cuts)
	return cuts
}

// within reports whether a lies in r: nothing of it is outside. Equal polygons lie in each
// other (saql.md 12.2).
func (a *ring) within(r *ring) bool {
	if l := r.pieces(&a.chain, func(l lies) bool { return l.outside }); l.outside {
		return false
	}
	// The border of a is in r. So a is, unless it holds all that r does not.
	l := a.pieces(&r.chain, func(l lies) bool { return l.inside || l.outside })
	return !l.inside && (l.outside || l.along)
}

// overlaps reports whether the insides of two polygons meet.
func (a *ring) overlaps(r *ring) bool {
	enough := func(l lies) bool { return l.inside || l.along }
	if l := r.pieces(&a.chain, enough); enough(l) {
		return true
	}
	return enough(a.pieces(&r.chain, enough))
}

// meets reports whether a chain has a point in the polygon or on its border.
func (r *ring) meetsChain(c *chain) bool {
	region := r.region()
	return region.meets(&c.box) && (r.holds(c.at[0].dir) != outside || r.chain.meets(c))
}

// Within reports whether a lies in the polygons of b: points inside and not on the border,
// lines and polygons without any part outside. Nothing lies in a geography without an
// inside (saql.md 12.2).
func Within(a, b *Geography) bool {
	if len(b.polygons) == 0 {
		return false
	}
	for i := range a.points {
		if !b.holds(a.points[i].dir) {
			return false
		}
	}
	for _, l := range a.lines {
		if !b.holdsLine(l) {
			return false
		}
	}
	for _, p := range a.polygons {
		if !slices.ContainsFunc(b.polygons, p.within) {
			return false
		}
	}
	return true
}

func (b *Geography) holds(p dir) bool {
	for _, r := range b.polygons {
		if r.holds(p) == inside {
			return true
		}
	}
	return false
}

func (b *Geography) holdsLine(c *chain) bool {
	for _, r := range b.polygons {
		if l := r.pieces(c, func(l lies) bool { return l.outside }); !l.outside && l.inside {
			return true
		}
	}
	return false
}

// Overlaps reports whether the insides of polygons meet and neither geography lies in the
// other (saql.md 12.2).
func Overlaps(a, b *Geography) bool {
	for _, p := range a.polygons {
		if slices.ContainsFunc(b.polygons, p.overlaps) {
			return !Within(a, b) && !Within(b, a)
		}
	}
	return false
}

// Intersects reports whether two geographies share a point; borders count.
func Intersects(a, b *Geography) bool {
	for i := range a.points {
		if b.touches(a.points[i].dir) {
			return true
		}
	}
	for i := range b.points {
		if a.touches(b.points[i].dir) {
			return true
		}
	}
	for _, l := range a.lines {
		if b.meets(l) {
			return true
		}
	}
	for _, r := range a.polygons {
		for _, l := range b.lines {
			if r.meetsChain(l) {
				return true
			}
		}
		for _, s := range b.polygons {
			if r.meetsChain(&s.chain) || s.meetsChain(&r.chain) {
				return true
			}
		}
	}
	return false
}

// touches reports whether p is a point of g.
func (g *Geography) touches(p dir) bool {
	for i := range g.points {
		if g.points[i].dir.near(p) {
			return true
		}
	}
	for _, l := range g.lines {
		if l.touches(p) {
			return true
		}
	}
	for _, r := range g.polygons {
		if r.holds(p) != outside {
			return true
		}
	}
	return false
}

// meets reports whether a line and the lines and polygons of g share a point.
func (g *Geography) meets(c *chain) bool {
	for _, l := range g.lines {
		if c.meets(l) {
			return true
		}
	}
	for _, r := range g.polygons {
		if r.meetsChain(c) {
			return true
		}
	}
	return false
}
