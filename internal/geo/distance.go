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
// the one on the ellipsoid; around it the distance is a parabola.
func (e *arc) distance(p *position) float64 {
	length := e.angle()
	to := func(angle float64) float64 {
		lat, lon := e.at(angle).latLon()
		return geodesic(p.lat, p.lon, lat, lon)
	}
	foot := p.dir.minus(e.n.times(p.dir.dot(e.n)))
	one := arc{e.a, foot, e.n}
	mid := one.angle()
	if !e.along(p.dir) {
		mid = 0
		if d, f := p.dir.minus(e.a), p.dir.minus(e.b); f.dot(f) < d.dot(d) {
			mid = length
		}
	}
	d2, _ := e.distance2(p.dir)
	width := max(2*flatness*math.Sqrt(d2), 1e-9)
	lo, hi := max(0, mid-width), min(length, mid+width)
	return least(to, lo, hi)
}

// golden is the part of an interval that golden section search keeps.
const golden = 0.6180339887498949

// least is the least value of f from lo to hi, where f has one minimum.
func least(f func(float64) float64, lo, hi float64) float64 {
	best := min(f(lo), f(hi))
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := f(a), f(b)
	for hi-lo > 1e-9 && hi-lo > 1e-5*(hi+lo) {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = f(b)
		}
	}
	return min(best, fa, fb)
}
