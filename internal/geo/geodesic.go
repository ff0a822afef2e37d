package geo

import "math"

// The ellipsoid WGS 84: half the longer axis in metres, and the flattening.
const (
	equator    = 6378137.0
	flattening = 1 / 298.257223563
	third      = flattening / (2 - flattening) // the third flattening
	polar      = equator * (1 - flattening)    // half the shorter axis
	// secondSquare is the square of the second eccentricity.
	secondSquare = flattening * (2 - flattening) / ((1 - flattening) * (1 - flattening))
	degree       = math.Pi / 180
)

// maxSteps bounds the search for a direction. A few steps do, but near opposite points,
// where it halves an interval.
const maxSteps = 200

// geodesic is the length in metres of the shortest way on the ellipsoid between two
// places.
//
// It solves the inverse problem as C. F. F. Karney does (Algorithms for geodesics, Journal
// of Geodesy 87, 2013): on the auxiliary sphere the way is an arc of a great circle, and
// series in the flattening give what differs. The direction at the first point is found
// by asking how far east the way has come when it reaches the latitude of the second.
func geodesic(lat1, lon1, lat2, lon2 float64) float64 {
	east := math.Abs(math.Remainder(lon2-lon1, 360)) // 0 to 180
	// By symmetry the first point is the one farther from the equator, in the south.
	if math.Abs(lat1) < math.Abs(lat2) {
		lat1, lat2 = lat2, lat1
	}
	if lat1 > 0 {
		lat1, lat2 = -lat1, -lat2
	}
	g := inverse{east: east * degree}
	g.sinEast, g.cosEast = sincosd(east)
	g.sin1, g.cos1 = reduced(lat1)
	g.sin2, g.cos2 = reduced(lat2)
	switch {
	case lat1 == -90 || g.sinEast == 0:
		return g.meridian()
	case lat1 == 0 && east <= 180*(1-flattening):
		return equator * g.east
	}
	return g.solve()
}

// reduced is sine and cosine of the reduced latitude.
func reduced(lat float64) (sin, cos float64) {
	sin, cos = sincosd(lat)
	sin, cos = norm(sin*(1-flattening), cos)
	// A pole has a direction east too.
	return sin, max(cos, 1e-150)
}

func norm(sin, cos float64) (float64, float64) {
	h := math.Sqrt(sin*sin + cos*cos)
	return sin / h, cos / h
}

// inverse is two points on the auxiliary sphere, by their reduced latitudes, and how far
// the second lies east.
type inverse struct {
	sin1, cos1, sin2, cos2 float64
	east, sinEast, cosEast float64
}

// meridian is the length of a way that follows meridians.
func (g *inverse) meridian() float64 {
	w := way{cosAtEquator: 1}
	w.from.sin, w.from.cos = norm(g.sin1, g.cosEast*g.cos1)
	w.to.sin, w.to.cos = g.sin2, g.cos2
	return w.length()
}

// way is a great circle of the auxiliary sphere between two points, which are angles from
// where it crosses the equator to the north. sinAtEquator and cosAtEquator are those of
// its direction there, from north.
type way struct {
	sinAtEquator, cosAtEquator float64
	from, to                   sinCos
}

type sinCos struct{ sin, cos float64 }

// angle is the length on the auxiliary sphere.
func (w *way) angle() float64 {
	return math.Atan2(max(0, w.from.cos*w.to.sin-w.from.sin*w.to.cos), w.from.cos*w.to.cos+w.from.sin*w.to.sin)
}

// epsilon is what the series are in powers of.
func (w *way) epsilon() float64 {
	k2 := w.cosAtEquator * w.cosAtEquator * secondSquare
	return k2 / (2*(1+math.Sqrt(1+k2)) + k2)
}

// solve looks for the direction, by secants within an interval that always holds it.
func (g *inverse) solve() float64 {
	dir := g.guess()
	low, high := sinCos{0, 1}, sinCos{0, -1} // north, south
	lastError, turned, slope := math.Inf(1), 0.0, 0.0
	for range maxSteps {
		w, miss := g.follow(dir)
		if math.Abs(miss) < 1e-15 {
			return w.length()
		}
		if miss > 0 {
			high = dir
		} else {
			low = dir
		}
		if turned != 0 && miss != lastError {
			slope = (miss - lastError) / turned
		} else {
			slope = g.slope(&w, dir)
		}
		next, by := sinCos{}, -miss/slope
		usable := slope > 0 && math.Abs(by) < 1 && math.Abs(miss) < 0.5*math.Abs(lastError)
		if usable {
			sin, cos := math.Sincos(by)
			next.sin, next.cos = norm(dir.sin*cos+dir.cos*sin, dir.cos*cos-dir.sin*sin)
			usable = next.sin > 0 && between(low, next, high)
		}
		if !usable {
			next.sin, next.cos = norm(low.sin+high.sin, low.cos+high.cos)
			if math.Abs(next.sin)+math.Abs(next.cos) == 0 || low.sin+high.sin == 0 && low.cos+high.cos == 0 {
				next = sinCos{1, 0} // the middle of north and south
			}
			by = math.Atan2(next.sin*dir.cos-next.cos*dir.sin, next.cos*dir.cos+next.sin*dir.sin)
		}
		if next == dir || by == 0 {
			return w.length()
		}
		dir, turned, lastError = next, by, miss
	}
	w, _ := g.follow(dir)
	return w.length()
}

// between reports whether direction d lies between low and high, all from 0 to pi.
func between(low, d, high sinCos) bool {
	return d.sin*low.cos-d.cos*low.sin > 0 && high.sin*d.cos-high.cos*d.sin > 0
}

// guess is the direction on a sphere.
func (g *inverse) guess() sinCos {
	// What is between the points on the auxiliary sphere is a little more than on the earth;
	// for near points it is what the radius of their parallel makes of it.
	m := g.sin1 + g.sin2
	m *= m
	n := g.cos1 + g.cos2
	wider := (1 + secondSquare*m/(m+n*n)) * (1 - flattening) * (1 - flattening)
	sin, cos := math.Sincos(min(math.Pi, g.east/math.Sqrt(wider)))
	d := sinCos{g.cos2 * sin, g.sin2*g.cos1 - g.cos2*g.sin1*cos}
	if d.sin <= 0 {
		return sinCos{1, 0}
	}
	// Without loss where the two terms nearly cancel.
	if cos >= 0 {
		d.cos = g.sin2*g.cos1 - g.cos2*g.sin1 + g.cos2*g.sin1*sin*sin/(1+cos)
	} else {
		d.cos = g.sin2*g.cos1 + g.cos2*g.sin1 - g.cos2*g.sin1*sin*sin/(1-cos)
	}
	d.sin, d.cos = norm(d.sin, d.cos)
	return d
}

// follow takes the way that starts in direction d to the latitude of the second point.
// It gives by how much too far east it then is.
func (g *inverse) follow(d sinCos) (w way, miss float64) {
	w.sinAtEquator = d.sin * g.cos1
	w.cosAtEquator = math.Sqrt(d.cos*d.cos + d.sin*d.sin*g.sin1*g.sin1)
	end := g.arrival(d)
	// Longitudes on the auxiliary sphere, from the crossing of the equator.
	lon1 := sinCos{w.sinAtEquator * g.sin1, d.cos * g.cos1}
	lon2 := sinCos{w.sinAtEquator * g.sin2, end.cos * g.cos2}
	w.from.sin, w.from.cos = norm(g.sin1, d.cos*g.cos1)
	w.to.sin, w.to.cos = norm(g.sin2, end.cos*g.cos2)
	sin := max(0, lon1.cos*lon2.sin-lon1.sin*lon2.cos)
	cos := lon1.cos*lon2.cos + lon1.sin*lon2.sin
	miss = math.Atan2(sin*g.cosEast-cos*g.sinEast, cos*g.cosEast+sin*g.sinEast)
	eps := w.epsilon()
	c3 := seriesC3(eps)
	miss -= flattening * w.sinAtEquator * seriesA3(eps) * (w.angle() + sineSum(w.to, c3[:]) - sineSum(w.from, c3[:]))
	return w, miss
}

// arrival is the direction at the second point.
func (g *inverse) arrival(d sinCos) sinCos {
	if g.cos2 == g.cos1 && math.Abs(g.sin2) == -g.sin1 {
		return sinCos{d.sin, math.Abs(d.cos)}
	}
	c := d.cos * g.cos1
	var diff float64
	if g.cos1 < -g.sin1 {
		diff = (g.cos2 - g.cos1) * (g.cos1 + g.cos2)
	} else {
		diff = (g.sin1 - g.sin2) * (g.sin1 + g.sin2)
	}
	return sinCos{d.sin * g.cos1 / g.cos2, math.Sqrt(max(0, c*c+diff)) / g.cos2}
}

// slope is about how much farther east the way comes when it starts farther from north.
func (g *inverse) slope(w *way, d sinCos) float64 {
	end := g.arrival(d)
	if end.cos == 0 {
		return -2 / g.sin1
	}
	return math.Sin(w.angle()) / (end.cos * g.cos2)
}

// length is the length of the way in metres.
func (w *way) length() float64 {
	eps := w.epsilon()
	c1 := seriesC1(eps)
	e2 := eps * eps
	a1 := (1 + e2*(1.0/4+e2*(1.0/64+e2/256))) / (1 - eps)
	return polar * a1 * (w.angle() + sineSum(w.to, c1[:]) - sineSum(w.from, c1[:]))
}

// sineSum is c[0] sin 2x + c[1] sin 4x + ..., by Clenshaw's rule.
func sineSum(x sinCos, c []float64) float64 {
	twice := 2 * (x.cos - x.sin) * (x.cos + x.sin) // 2 cos 2x
	var y0, y1 float64
	for i := len(c) - 1; i >= 0; i-- {
		y0, y1 = twice*y0-y1+c[i], y0
	}
	return 2 * x.sin * x.cos * y0
}

// seriesC1 is the coefficients of the length (Karney, eq. 18).
func seriesC1(e float64) [6]float64 {
	e2 := e * e
	e3 := e * e2
	return [6]float64{
		e * (-1.0/2 + e2*(3.0/16-e2/32)),
		e2 * (-1.0/16 + e2*(1.0/32-e2*9/2048)),
		e3 * (-1.0/48 + e2*3/256),
		e2 * e2 * (-5.0/512 + e2*3/512),
		-e3 * e2 * 7 / 1280,
		-e3 * e3 * 7 / 2048,
	}
}

// seriesA3 is the factor of the longitude (eq. 24).
func seriesA3(e float64) float64 {
	const n = third
	return 1 - e*((1-n)/2+e*((1.0/4+n/8-n*n*3/8)+e*((1.0/16+n*3/16+n*n/16)+e*((3.0/64+n/32)+e*3/128))))
}

// seriesC3 is the coefficients of the longitude (eq. 25).
func seriesC3(e float64) [5]float64 {
	const n = third
	e2 := e * e
	return [5]float64{
		e * ((1-n)/4 + e*((1-n*n)/8+e*((3.0/64+n*3/64-n*n/64)+e*((5.0/128+n/64)+e*3/128)))),
		e2 * ((1.0/16 - n*3/32 + n*n/32) + e*((3.0/64-n/32-n*n*3/64)+e*((3.0/128+n/128)+e*5/256))),
		e2 * e * ((5.0/192 - n*3/64 + n*n*5/192) + e*((3.0/128-n*5/192)+e*7/512)),
		e2 * e2 * ((7.0/512 - n*7/256) + e*7/512),
		e2 * e2 * e * 21 / 2560,
	}
}
