package geo

import "math"

// borderWidth is how close to an edge a point counts as on it, in radians: some 60
// nanometres on the ground, and some 50 times what rounding does to a position.
const borderWidth = 1e-14

// dir is a vector in space; mostly of length 1: a point of the sphere.
type dir struct{ x, y, z float64 }

// toward is the point of the sphere at a latitude and a longitude in degrees.
func toward(lat, lon float64) dir {
	sinLat, cosLat := sincosd(lat)
	sinLon, cosLon := sincosd(lon)
	return dir{cosLat * cosLon, cosLat * sinLon, sinLat}
}

// sincosd is sine and cosine of an angle in degrees, exact at multiples of 90.
func sincosd(d float64) (sin, cos float64) {
	quarter := math.Round(d / 90)
	sin, cos = math.Sincos((d - quarter*90) * (math.Pi / 180))
	switch int(quarter) & 3 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}

func (a dir) dot(b dir) float64 { return a.x*b.x + a.y*b.y + a.z*b.z }

func (a dir) cross(b dir) dir {
	return dir{a.y*b.z - a.z*b.y, a.z*b.x - a.x*b.z, a.x*b.y - a.y*b.x}
}

func (a dir) plus(b dir) dir  { return dir{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a dir) minus(b dir) dir { return dir{a.x - b.x, a.y - b.y, a.z - b.z} }

func (a dir) times(f float64) dir { return dir{a.x * f, a.y * f, a.z * f} }

func (a dir) length() float64 { return math.Sqrt(a.dot(a)) }

// unit is a with length 1; zero stays zero.
func (a dir) unit() dir {
	l := a.length()
	if l == 0 {
		return a
	}
	return a.times(1 / l)
}

// near reports whether two points of the sphere count as the same.
func (a dir) near(b dir) bool {
	d := a.minus(b)
	return d.dot(d) <= borderWidth*borderWidth
}

// latLon is the place of a point of the sphere.
func (a dir) latLon() (lat, lon float64) {
	const degree = 180 / math.Pi
	return math.Atan2(a.z, math.Hypot(a.x, a.y)) * degree, math.Atan2(a.y, a.x) * degree
}

// arc is an edge: the way from a to b along their great circle, shorter than half of it.
type arc struct {
	a, b dir
	n    dir // unit normal: the inside of a ring is on its side
}

// antipodal is how close to opposite the ends of an edge may not be: no great circle is
// the one between opposite points.
const antipodal = 1e-12

// arcOf makes an arc; false if its ends are opposite points. Ends that are the same give
// an arc without normal.
func arcOf(a, b dir) (arc, bool) {
	sum := a.plus(b)
	if sum.length() < antipodal {
		return arc{}, false
	}
	// The cross product of a - b and a + b is exact where a and b are close.
	return arc{a, b, a.minus(b).cross(sum).unit()}, true
}

// angle is the length of the arc in radians.
func (e *arc) angle() float64 {
	return math.Atan2(e.a.cross(e.b).dot(e.n), e.a.dot(e.b))
}

// at is the point at an angle from a.
func (e *arc) at(angle float64) dir {
	sin, cos := math.Sincos(angle)
	return e.a.times(cos).plus(e.n.cross(e.a).times(sin))
}

// along reports whether the point of the great circle that is nearest to p lies on the
// arc, its ends not counted.
func (e *arc) along(p dir) bool {
	m := e.n.cross(p) // p turned by a quarter, without its part across
	return e.a.dot(m) < 0 && e.b.dot(m) > 0
}

// off is the distance of p to the great circle as a sine, positive on the left. p should
// not be far from a where it counts: then rounding is small.
func (e *arc) off(p dir) float64 {
	if d := p.minus(e.a); d.dot(d) < 1 {
		return d.dot(e.n)
	}
	return p.dot(e.n)
}

// distance2 is the square of the chord from p to the nearest point of the arc, and
// whether that point is an end: -1 for a, 1 for b, 0 for neither.
func (e *arc) distance2(p dir) (d2 float64, end int) {
	if e.along(p) {
		s := e.off(p)
		s *= s
		return 2 * s / (1 + math.Sqrt(max(0, 1-s))), 0
	}
	da, db := p.minus(e.a), p.minus(e.b)
	if x, y := da.dot(da), db.dot(db); x <= y {
		return x, -1
	} else {
		return y, 1
	}
}

// touches reports whether p is on the arc.
func (e *arc) touches(p dir) bool {
	d2, _ := e.distance2(p)
	return d2 <= borderWidth*borderWidth
}

// crossing is where two arcs cross or touch; false if they do not, or lie on one circle:
// then they meet in an end of one of them, if at all.
func (e *arc) crossing(f *arc) (dir, bool) {
	// Both ends of f on one side of e, or of e on one side of f: the common case.
	fa, fb := e.off(f.a), e.off(f.b)
	if fa > borderWidth && fb > borderWidth || fa < -borderWidth && fb < -borderWidth {
		return dir{}, false
	}
	ea, eb := f.off(e.a), f.off(e.b)
	if ea > borderWidth && eb > borderWidth || ea < -borderWidth && eb < -borderWidth {
		return dir{}, false
	}
	// As in arcOf: normal to both normals even where these are nearly the same.
	x := e.n.minus(f.n).cross(e.n.plus(f.n)).unit()
	side := x.dot(e.a.plus(e.b))
	if side < 0 {
		x = x.times(-1)
	}
	if side == 0 || x.dot(f.a.plus(f.b)) <= 0 {
		return dir{}, false
	}
	clear := min(abs(fa), abs(fb), abs(ea), abs(eb)) > borderWidth
	return x, clear || e.touches(x) && f.touches(x)
}

func abs(x float64) float64 { return math.Abs(x) }

// meets reports whether two arcs share a point.
func (e *arc) meets(f *arc) bool {
	if e.touches(f.a) || e.touches(f.b) || f.touches(e.a) || f.touches(e.b) {
		return true
	}
	_, ok := e.crossing(f)
	return ok
}

// bounds is a box around the arc.
func (e *arc) bounds() box {
	b := emptyBox()
	b.add(e.a)
	b.add(e.b)
	for k, n := range [3]float64{e.n.x, e.n.y, e.n.z} {
		// The point of the great circle that lies farthest along the axis.
		m := e.n.times(-n)
		switch k {
		case 0:
			m.x++
		case 1:
			m.y++
		case 2:
			m.z++
		}
		if m = m.unit(); e.along(m) {
			b.add(m)
		}
		if m = m.times(-1); e.along(m) {
			b.add(m)
		}
	}
	return b.wider(borderWidth)
}
