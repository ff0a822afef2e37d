package geo

import "math"

// Distance is the length in metres of the shortest way from a to b on the ellipsoid; with
// a polygon on either side it is 0 (saql.md 12.2).
func Distance(a, b *Geography) float64 {
	if len(a.polygons) > 0 || len(b.polygons) > 0 {
		return 0
	}
	best := math.Inf(1)
	for i := range a.points {
		for j := range b.points {
			p, q := &a.points[i], &b.points[j]
			best = min(best, geodesic(p.lat, p.lon, q.lat, q.lon))
		}
		for _, l := range b.lines {
			best = min(best, l.distance(&a.points[i], best))
		}
	}
	for _, l := range a.lines {
		for j := range b.points {
			best = min(best, l.distance(&b.points[j], best))
		}
		for _, m := range b.lines {
			best = min(best, l.gap(m, best))
		}
	}
	return best
}

// flatness is more than the part by which a length on the ellipsoid and one on the sphere
// may differ.
const flatness = 0.01

// gap is the distance between two lines, as far as it is less than best: 0 if they meet,
// else that of a position of one of them to the other.
func (c *chain) gap(d *chain, best float64) float64 {
	if c.meets(d) {
		return 0
	}
	for i := range c.at {
		best = min(best, d.distance(&c.at[i], best))
	}
	for i := range d.at {
		best = min(best, c.distance(&d.at[i], best))
	}
	return best
}

// distance is the distance of p to the line, or best if that is not less.
func (c *chain) distance(p *position, best float64) float64 {
	if len(c.edges) == 0 {
		return min(best, geodesic(p.lat, p.lon, c.at[0].lat, c.at[0].lon))
	}
	least := farther
	for i := range c.edges {
		d2, _ := c.edges[i].distance2(p.dir)
		least = min(least, d2)
	}
	limit := min(least*(1+flatness)*(1+flatness), square(chord(best)*(1+flatness)))
	for i := range c.edges {
		if d2, _ := c.edges[i].distance2(p.dir); d2 <= limit {
			best = min(best, c.edges[i].distance(p))
		}
	}
	return best
}

func square(x float64) float64 { return x * x }

// chord is about the chord on the unit sphere of a way of so many metres.
func chord(metres float64) float64 {
	return 2 * math.Sin(min(metres/polar, math.Pi)/2)
}

// distance is the distance of p to the edge. The nearest point on the sphere is close to
// the one on the ellipsoid.
func (e *arc) distance(p *position) float64 {
	length := e.angle()
	foot := p.dir.minus(e.n.times(p.dir.dot(e.n)))
	one := arc{e.a, foot, e.n}
	mid := one.angle()
	d2, end := e.distance2(p.dir)
	switch {
	case end < 0:
		mid = 0
	case end > 0:
		mid = length
	}
	to := func(angle float64) float64 {
		lat, lon := e.at(angle).latLon()
		return geodesic(p.lat, p.lon, lat, lon)
	}
	best := to(mid)
	width := max(2*flatness*math.Sqrt(d2), borderWidth)
	for range 2 {
		lo, hi := max(0, mid-width), min(length, mid+width)
		mid = bottom(lo, hi, to)
		best = min(best, to(mid))
		width /= 20
	}
	return best
}

// bottom is where the distance is least from lo to hi: its square is nearly a parabola.
func bottom(lo, hi float64, distance func(float64) float64) float64 {
	mid := (lo + hi) / 2
	a, b, c := square(distance(lo)), square(distance(mid)), square(distance(hi))
	bend := a - 2*b + c
	if bend <= 0 { // the interval is too small, or the distance hardly changes
		return mid
	}
	return min(hi, max(lo, mid+(hi-lo)/4*(a-c)/bend))
}
