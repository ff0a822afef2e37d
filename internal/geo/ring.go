package geo

import "math"

// ring is a polygon: a closed chain with the inside on the left.
type ring struct {
	chain
	large    bool // than half the globe
	whole    box  // around the inside too
	hasWhole bool
}

// place of a point with regard to a polygon.
type side int8

const (
	outside side = iota
	border
	inside
)

// newRing makes a polygon of a closed ring of positions; false if it is none: it is not
// closed, has fewer than three different positions, or no inside at all.
func newRing(at []position) (*ring, bool) {
	if len(at) < 4 || !at[0].dir.near(at[len(at)-1].dir) {
		return nil, false
	}
	c, ok := newChain(at)
	if !ok || len(c.edges) < 3 {
		return nil, false
	}
	r := &ring{chain: *c}
	// Ends that differ by rounding only must not leave a gap.
	last := len(r.at) - 1
	r.at[last] = r.at[0]
	if r.edges[last-1], ok = arcOf(r.at[last-1].dir, r.at[0].dir); !ok {
		return nil, false
	}
	turns, flat := 0.0, true
	for i := range r.edges {
		t := r.turn(i)
		turns += t
		flat = flat && math.Abs(math.Sin(t)) < borderWidth
	}
	if flat && r.reverses() {
		return nil, false
	}
	// The area of a polygon on the sphere is 2 pi minus the sum of its turns.
	r.large = turns < -borderWidth
	return r, true
}

// turn is the angle by which the way turns to the left at the end of edge i.
func (r *ring) turn(i int) float64 {
	e, f := &r.edges[i], &r.edges[(i+1)%len(r.edges)]
	return math.Atan2(e.n.cross(f.n).dot(e.b), e.n.dot(f.n))
}

// reverses reports whether the way goes back on itself somewhere.
func (r *ring) reverses() bool {
	for i := range r.edges {
		if r.edges[i].n.dot(r.edges[(i+1)%len(r.edges)].n) < 0 {
			return true
		}
	}
	return false
}

// locate says where p is.
func (r *ring) locate(p dir) side {
	s, _ := r.nearest(p)
	return s
}

// nearest says where p is, and gives the edge that is nearest to it.
func (r *ring) nearest(p dir) (side, int) {
	best, edge, end := farther, int32(0), 0
	if t := r.index(); t != nil {
		best, edge, end = t.nearest(p, r.edges)
	} else {
		for i := range r.edges {
			if d, at := r.edges[i].distance2(p); d < best {
				best, edge, end = d, int32(i), at
			}
		}
	}
	if best <= borderWidth*borderWidth {
		return border, int(edge)
	}
	return r.sideOf(p, int(edge), end), int(edge)
}

// sideOf says on which side of the ring p is, given the edge nearest to it and whether an
// end of that edge is the nearest point.
func (r *ring) sideOf(p dir, edge, end int) side {
	if end != 0 {
		// Near a corner and no edge: on the outside of a left turn, inside a right turn.
		if end < 0 {
			edge = (edge + len(r.edges) - 1) % len(r.edges)
		}
		if t := r.turn(edge); t > borderWidth {
			return outside
		} else if t < -borderWidth {
			return inside
		}
	}
	if r.edges[edge].off(p) > 0 {
		return inside
	}
	return outside
}

// region is a box around the polygon with its inside: that reaches farther than the ring
// where it holds the end of an axis.
func (r *ring) region() box {
	if r.hasWhole {
		return r.whole
	}
	r.hasWhole = true
	r.whole = r.box
	for _, p := range [6]dir{{x: 1}, {x: -1}, {y: 1}, {y: -1}, {z: 1}, {z: -1}} {
		if b := (box{p, p}); !r.box.meets(&b) && r.locate(p) == inside {
			r.whole.add(p)
		}
	}
	return r.whole
}

// holds reports whether p is inside.
func (r *ring) holds(p dir) side {
	b, q := r.region(), box{p, p}
	if !b.meets(&q) {
		return outside
	}
	return r.locate(p)
}
