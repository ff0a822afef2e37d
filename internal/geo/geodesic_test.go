package geo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestGeodesic holds lengths to published ones: those of the test set of GeographicLib
// and the example of the reference.
func TestGeodesic(t *testing.T) {
	f := func(lat1, lon1, lat2, lon2, want float64) {
		t.Helper()
		for _, got := range []float64{
			geodesic(lat1, lon1, lat2, lon2), geodesic(lat2, lon2, lat1, lon1),
			geodesic(-lat1, lon1, -lat2, lon2), geodesic(lat1, -lon1, lat2, -lon2),
		} {
			if math.Abs(got-want) > 1e-6 {
				t.Errorf("%v %v to %v %v: %.9f, want %.9f", lat1, lon1, lat2, lon2, got, want)
			}
		}
	}
	f(35.60777, -139.44815, -11.17491, -69.95921, 8935244.5604818305)
	f(55.52454, 106.05087, 77.03196, 197.18234, 4105086.1713924406)
	f(-21.97856, 142.59065, 41.84138, 98.56635, 8394328.894657671)
	f(-66.99028, 112.2363, -12.70631, 285.90344, 11150344.2312080241)
	f(-17.42761, 173.34268, -15.84784, 5.93557, 16076603.1631180673)
	f(32.84994, 48.28919, -56.28556, 202.29132, 16727068.9438164461)
	f(6.96833, 52.74123, -7.39675, 206.17291, 17102477.2496958388)
	f(-50.56724, -16.30485, -33.56571, -94.97412, 6455670.5118668696)
	f(-58.93002, -8.90775, -8.91104, 133.13503, 11756066.0219864627)
	f(-68.82867, -74.28391, -50.63005, -8.36685, 3956936.926063544)
	f(-10.62672, -32.0898, 5.883, -134.31681, 11470869.3864563009)
	f(-5, -5, 0, 0, 784028.739809030) // saql.md 12.2 has 784028.74
}

// travel follows the geodesic that starts at a place in a direction, by the differential
// equation of a line that bends with the surface only, and gives where it is after so many
// metres. It shares nothing with what it tests.
func travel(lat, lon, azimuth, metres float64) (lat2, lon2 float64) {
	e2 := flattening * (2 - flattening)
	sinLat, cosLat := math.Sincos(lat * degree)
	sinLon, cosLon := math.Sincos(lon * degree)
	n := equator / math.Sqrt(1-e2*sinLat*sinLat)
	at := dir{n * cosLat * cosLon, n * cosLat * sinLon, n * (1 - e2) * sinLat}
	north := dir{-sinLat * cosLon, -sinLat * sinLon, cosLat}
	east := dir{-sinLon, cosLon, 0}
	sinAz, cosAz := math.Sincos(azimuth * degree)
	v := north.times(cosAz).plus(east.times(sinAz))
	bend := func(p, v dir) dir {
		q := dir{1 / (equator * equator), 1 / (equator * equator), 1 / (polar * polar)}
		normal := dir{p.x * q.x, p.y * q.y, p.z * q.z}
		return normal.times(-(v.x*v.x*q.x + v.y*v.y*q.y + v.z*v.z*q.z) / normal.dot(normal))
	}
	steps := 1 + int(metres/5000)
	h := metres / float64(steps)
	for range steps {
		k1, a1 := v, bend(at, v)
		k2 := v.plus(a1.times(h / 2))
		a2 := bend(at.plus(k1.times(h/2)), k2)
		k3 := v.plus(a2.times(h / 2))
		a3 := bend(at.plus(k2.times(h/2)), k3)
		k4 := v.plus(a3.times(h))
		a4 := bend(at.plus(k3.times(h)), k4)
		at = at.plus(k1.plus(k2.times(2)).plus(k3.times(2)).plus(k4).times(h / 6))
		v = v.plus(a1.plus(a2.times(2)).plus(a3.times(2)).plus(a4).times(h / 6))
	}
	return math.Atan2(at.z, (1-e2)*math.Hypot(at.x, at.y)) / degree, math.Atan2(at.y, at.x) / degree
}

// TestGeodesicIsLengthOfTheWay walks ways of known length and asks for it.
func TestGeodesicIsLengthOfTheWay(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := func(lat, lon, azimuth, metres float64) {
		t.Helper()
		lat2, lon2 := travel(lat, lon, azimuth, metres)
		if got := geodesic(lat, lon, lat2, lon2); math.Abs(got-metres) > 1e-5 {
			t.Errorf("%v %v to %v %v: %.6f, want %.6f", lat, lon, lat2, lon2, got, metres)
		}
	}
	for range 60 {
		// No way shorter than 19,900 km is longer than another between its ends.
		f(r.Float64()*180-90, r.Float64()*360-180, r.Float64()*360, r.Float64()*19.9e6)
		f(r.Float64()*180-90, r.Float64()*360-180, r.Float64()*360, math.Pow(10, r.Float64()*7))
		f(r.Float64()*2-1, r.Float64()*360-180, r.Float64()*360, 19.8e6+r.Float64()*0.1e6)
	}
	f(0, 0, 90, 1)
	f(0, 0, 90, 19.9e6)
	f(45, 0, 90, 1000)
	f(89.9999, 10, 0, 100)
	f(0, 179.9, 90, 100000)
}

func TestGeodesicCorners(t *testing.T) {
	const quarter, equatorDegree = 10001965.7293127, 111319.490793274
	f := func(lat1, lon1, lat2, lon2, want float64) {
		t.Helper()
		got := geodesic(lat1, lon1, lat2, lon2)
		back := geodesic(lat2, lon2, lat1, lon1)
		if math.Abs(got-want) > 1e-6 || math.Abs(got-back) > 1e-8 {
			t.Errorf("%v %v to %v %v: %.9f, back %.9f, want %.9f", lat1, lon1, lat2, lon2, got, back, want)
		}
	}
	f(0, 0, 0, 0, 0)
	f(51.5, -0.1, 51.5, -0.1, 0)
	f(90, 0, 90, 120, 0)
	f(-90, 30, -90, -150, 0)
	f(10, 180, 10, -180, 0)
	f(0, 179.5, 0, -179.5, equatorDegree)
	f(0, 0, 0, 1, equatorDegree)
	f(0, 0, 90, 0, quarter)
	f(0, 77, -90, -140, quarter)
	f(90, 0, -90, 0, 2*quarter)
	f(0, 0, 0, 180, 2*quarter) // across a pole
	f(37, -20, -37, 160, 2*quarter)
	f(-30, 0, 29.9, 179.8, 19989832.827610)    // nearly opposite
	f(0, 0, 0.5, 179.5, 19936288.578965)       // the same, of Vincenty
	f(40.6, -73.8, 51.6, -0.5, 5551759.400319) // New York to London
}

func TestGeodesicSmallSteps(t *testing.T) {
	// A metre is a metre wherever it is, to a nanometre or so.
	for _, lat := range []float64{0, 1, 45, 60, 89, -33} {
		step := 1 / (degree * equator)
		s, c := math.Sincos(lat * degree)
		w := math.Sqrt(1 - flattening*(2-flattening)*s*s)
		if got, want := geodesic(lat, 10, lat, 10+step), c/w; math.Abs(got-want) > 1e-8 {
			t.Errorf("east at %v: %.12f, want %.12f", lat, got, want)
		}
		if got, want := geodesic(lat, 10, lat+step, 10), (1-flattening)*(1-flattening)/(w*w*w); math.Abs(got-want) > 1e-6 {
			t.Errorf("north at %v: %.12f, want %.12f", lat, got, want)
		}
	}
}

// TestGeodesicNearOpposite asks for ways whose direction is hard to find.
func TestGeodesicNearOpposite(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 2000 {
		lat, lon := r.Float64()*180-90, r.Float64()*360-180
		lat2, lon2 := -lat+(r.Float64()-0.5)*math.Pow(10, -r.Float64()*12), lon+180+(r.Float64()-0.5)*math.Pow(10, -r.Float64()*12)
		lat2 = min(90, max(-90, lat2))
		d := geodesic(lat, lon, lat2, lon2)
		// Going by way of a third point is never shorter.
		m, l := r.Float64()*180-90, r.Float64()*360-180
		if via := geodesic(lat, lon, m, l) + geodesic(m, l, lat2, lon2); !(d <= via+1e-6) || d < 19.9e6 {
			t.Errorf("%v %v to %v %v: %.9f, by way of %v %v %.9f", lat, lon, lat2, lon2, d, m, l, via)
		}
	}
}

func BenchmarkGeodesic(b *testing.B) {
	for i := range b.N {
		geodesic(40.6, -73.8, 51.6, float64(i&63))
	}
}

func BenchmarkGeodesicNear(b *testing.B) {
	for i := range b.N {
		geodesic(47.6, -122.3, 47.7, -122.2+float64(i&63)*0.001)
	}
}
