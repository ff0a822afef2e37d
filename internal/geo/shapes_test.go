package geo

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"weir/internal/vec"
)

// geography reads a geography as tests write it: GeoJSON if it starts with a brace, else
// well-known text. Some have short names.
func geography(t testing.TB, s string) *Geography {
	t.Helper()
	if known := shapes[s]; known != "" {
		s = known
	}
	v := vec.StringValue(s)
	if s != "" && s[0] == '{' {
		var err error
		if v, err = vec.ParseJSON([]byte(s)); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return (&Reader{}).Keep(v)
}

// shapes are geographies that the tests below name.
var shapes = map[string]string{
	"square":    "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))",
	"again":     "POLYGON((10 10, 0 10, 0 0, 10 0, 10 10))",               // from another corner
	"finer":     "POLYGON((0 0, 5 0, 10 0, 10 4, 10 10, 0 10, 0 3, 0 0))", // with more positions
	"hole":      "POLYGON((0 0, 0 10, 10 10, 10 0, 0 0))",                 // all but square
	"inner":     "POLYGON((2 2, 4 2, 4 4, 2 4, 2 2))",
	"corner":    "POLYGON((0 0, 5 0, 5 5, 0 5, 0 0))", // in square, along its border
	"shifted":   "POLYGON((5 5, 15 5, 15 15, 5 15, 5 5))",
	"neighbour": "POLYGON((10 0, 20 0, 20 10, 10 10, 10 0))",
	"diagonal":  "POLYGON((10 10, 20 10, 20 20, 10 20, 10 10))", // touches square in a corner
	"far":       "POLYGON((30 30, 40 30, 40 40, 30 40, 30 30))",
	"date":      "POLYGON((170 -10, -170 -10, -170 10, 170 10, 170 -10))", // over the 180th meridian
	"arctic":    "POLYGON((0 70, 90 70, 180 70, -90 70, 0 70))",           // around the pole
	"antarctic": "POLYGON((0 -70, -90 -70, 180 -70, 90 -70, 0 -70))",
	"north":     "POLYGON((0 0, 90 0, 180 0, -90 0, 0 0))", // half the globe
	"south":     "POLYGON((0 0, -90 0, 180 0, 90 0, 0 0))",
	"notch":     "POLYGON((0 0, 10 0, 10 10, 5 2, 0 10, 0 0))",
	"cross":     "LINESTRING(-5 5, 15 5)",
	"within":    "LINESTRING(1 1, 2 8, 8 8)",
	"edge":      "LINESTRING(0 2, 0 8)", // on the border of square
}

func TestWithin(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := Within(geography(t, a), geography(t, b)); got != want {
			t.Errorf("%s within %s: %v", a, b, got)
		}
	}
	f("POINT(15 15)", "POLYGON((10 10, 20 10, 20 20, 10 20, 10 10))", true) // saql.md 12.2
	f("POINT(5 5)", "square", true)
	f("POINT(15 5)", "square", false)
	f("POINT(-0.0000001 5)", "square", false)
	f("POINT(0.0000001 5)", "square", true)
	// The edge from (0 10) to (10 10) is an arc: it bends to the pole.
	f("POINT(5 10.01)", "square", true)
	f("POINT(5 10.1)", "square", false)
	f("POINT(5 -0.01)", "square", false) // the equator is straight
	// On the border.
	for _, p := range []string{"POINT(0 0)", "POINT(10 10)", "POINT(0 5)", "POINT(5 0)", "POINT(10 3.7)", "POINT(10 0)", "POINT(3.3 0)"} {
		f(p, "square", false)
		f(p, "hole", false)
	}
	// The other way round.
	f("POINT(5 5)", "hole", false)
	f("POINT(15 5)", "hole", true)
	f("POINT(-175 -80)", "hole", true)
	f("inner", "hole", false)
	f("far", "hole", true)
	f("hole", "square", false)
	f("square", "hole", false)
	f("hole", "hole", true)
	f("neighbour", "hole", true)
	// Polygons.
	f("square", "square", true)
	f("again", "square", true)
	f("square", "finer", true)
	f("finer", "square", true)
	f("inner", "square", true)
	f("square", "inner", false)
	f("corner", "square", true)
	f("square", "corner", false)
	f("shifted", "square", false)
	f("neighbour", "square", false)
	f("diagonal", "square", false)
	f("far", "square", false)
	f("notch", "square", true)
	f("POLYGON((4 4, 6 4, 6 9, 4 9, 4 4))", "notch", false) // across the notch
	f("POINT(5 5)", "notch", false)
	f("POINT(5 1)", "notch", true)
	f("POINT(1 7)", "notch", true)
	f("POINT(5 2)", "notch", false)
	// Over the 180th meridian and the poles.
	f("POINT(180 0)", "date", true)
	f("POINT(-180 0)", "date", true)
	f("POINT(175 5)", "date", true)
	f("POINT(-175 -5)", "date", true)
	f("POINT(0 0)", "date", false)
	f("POINT(165 0)", "date", false)
	f("POINT(0 90)", "arctic", true)
	f("POINT(123 90)", "arctic", true)
	f("POINT(45 80)", "arctic", true)
	f("POINT(45 75)", "arctic", false) // the edges are arcs, which bend to the pole
	f("POINT(0 70)", "arctic", false)
	f("POINT(0 -90)", "arctic", false)
	f("POINT(0 -90)", "antarctic", true)
	f("arctic", "north", true)
	f("arctic", "south", false)
	f("antarctic", "south", true)
	f("POINT(12 0)", "north", false)
	f("POINT(12 0.0001)", "north", true)
	f("POINT(12 0.0001)", "south", false)
	f("POINT(0 90)", "north", true)
	// Lines.
	f("within", "square", true)
	f("cross", "square", false)
	f("edge", "square", false)
	f("LINESTRING(0 2, 0 8, 5 5)", "square", true)
	f("LINESTRING(0 0, 10 10)", "square", true)
	f("LINESTRING(1 8, 9 8)", "notch", false)
	f("LINESTRING(2 2, 2 2)", "square", true)
	f("LINESTRING(0 2, 0 2)", "square", false)
	// Nothing is within what has no inside.
	f("POINT(1 1)", "POINT(1 1)", false)
	f("POINT(1 1)", "within", false)
	// Several.
	f("MULTIPOINT(1 1, 2 2)", "square", true)
	f("MULTIPOINT(1 1, 12 2)", "square", false)
	f("MULTIPOINT(1 1, 0 2)", "square", false)
	f("POINT(31 33)", "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((30 30, 40 30, 40 40, 30 30)))", false)
	f("POINT(39 31)", "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((30 30, 40 30, 40 40, 30 30)))", true)
	f("MULTIPOLYGON(((1 1, 2 1, 2 2, 1 1)), ((3 3, 4 3, 4 4, 3 3)))", "square", true)
	f("MULTILINESTRING((1 1, 2 1), (3 3, 14 3))", "square", false)
}

func TestOverlaps(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := geography(t, a), geography(t, b)
		if Overlaps(x, y) != want || Overlaps(y, x) != want {
			t.Errorf("%s overlaps %s: %v, %v", a, b, Overlaps(x, y), Overlaps(y, x))
		}
	}
	f("square", "shifted", true)
	f("square", "square", false)
	f("square", "again", false)
	f("square", "finer", false)
	f("square", "inner", false)
	f("square", "corner", false)
	f("square", "neighbour", false)
	f("square", "diagonal", false)
	f("square", "far", false)
	f("square", "hole", false)
	f("inner", "hole", false)
	f("shifted", "hole", true)
	f("hole", "POLYGON((30 30, 30 40, 40 40, 40 30, 30 30))", true) // all but one, all but another
	f("date", "POLYGON((-175 0, -160 0, -160 5, -175 5, -175 0))", true)
	f("date", "POLYGON((160 0, 175 0, 175 5, 160 5, 160 0))", true)
	f("date", "square", false)
	f("arctic", "antarctic", false)
	f("north", "south", false)
	f("north", "POLYGON((0 -5, 10 -5, 10 5, 0 5, 0 -5))", true)
	f("north", "arctic", false)
	// A cross of two bars: no corner of one lies in the other.
	f("POLYGON((-10 -1, 10 -1, 10 1, -10 1, -10 -1))", "POLYGON((-1 -10, 1 -10, 1 10, -1 10, -1 -10))", true)
	// Halves with a border in common that one has more of.
	f("square", "POLYGON((0 5, 10 5, 10 15, 0 15, 0 5))", true)
	f("square", "POLYGON((0 0, 10 0, 10 15, 0 15, 0 0))", false) // holds square
	f("square", "cross", false)
	f("POINT(1 1)", "POINT(1 1)", false)
	f("square", "MULTIPOLYGON(((30 30, 40 30, 40 40, 30 30)), ((5 5, 15 5, 15 15, 5 15, 5 5)))", true)
	f("square", "MULTIPOLYGON(((30 30, 40 30, 40 40, 30 30)), ((50 5, 55 5, 55 15, 50 5)))", false)
}

func TestIntersects(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := geography(t, a), geography(t, b)
		if Intersects(x, y) != want || Intersects(y, x) != want {
			t.Errorf("%s intersects %s: %v, %v", a, b, Intersects(x, y), Intersects(y, x))
		}
	}
	// Lines.
	f("LINESTRING(0 0, 10 10)", "LINESTRING(0 10, 10 0)", true)
	f("LINESTRING(0 0, 10 10)", "LINESTRING(20 0, 20 10)", false)
	f("LINESTRING(0 0, 10 0)", "LINESTRING(10 0, 20 5)", true) // an end on an end
	f("LINESTRING(0 0, 10 0)", "LINESTRING(5 0, 5 5)", true)   // an end on the line
	f("LINESTRING(0 0, 10 0)", "LINESTRING(5 0.000001, 5 5)", false)
	f("LINESTRING(0 0, 10 0)", "LINESTRING(3 0, 20 0)", true) // a stretch
	f("LINESTRING(0 0, 3 0)", "LINESTRING(4 0, 20 0)", false) // on one circle, apart
	f("LINESTRING(0 0, 3 0)", "LINESTRING(0 0, 3 0)", true)
	f("LINESTRING(170 0, -170 0)", "LINESTRING(180 -5, 180 5)", true)
	f("LINESTRING(170 0, -170 0)", "LINESTRING(0 -5, 0 5)", false)
	f("LINESTRING(0 80, 180 80)", "LINESTRING(90 80, -90 80)", true) // at the pole
	f("LINESTRING(0 0, 0 50, 60 50)", "LINESTRING(10 0, 10 51, 40 51)", false)
	f("LINESTRING(0 0, 0 50, 60 50)", "LINESTRING(10 53, 40 53)", true) // both bend, this one less
	f("LINESTRING(0 0, 0 50, 60 50)", "LINESTRING(20 50, 40 50)", false)
	// Other kinds.
	f("POINT(1 1)", "POINT(1 1)", true)
	f("POINT(180 1)", "POINT(-180 1)", true)
	f("POINT(20 90)", "POINT(-80 90)", true)
	f("POINT(1 1)", "POINT(1 1.000001)", false)
	f("POINT(5 0)", "LINESTRING(0 0, 10 0)", true)
	f("POINT(5 1)", "LINESTRING(0 0, 10 0)", false)
	f("POINT(5 5)", "square", true)
	f("POINT(0 5)", "square", true) // the border is a part of it
	f("POINT(15 5)", "square", false)
	f("POINT(15 5)", "hole", true)
	f("cross", "square", true)
	f("within", "square", true)
	f("edge", "square", true)
	f("LINESTRING(11 0, 11 10)", "square", false)
	f("LINESTRING(11 0, 11 10)", "hole", true)
	f("inner", "square", true)
	f("inner", "hole", false)
	f("neighbour", "square", true)
	f("diagonal", "square", true)
	f("far", "square", false)
	f("far", "hole", true)
	f("LINESTRING(5 5, 5 5)", "LINESTRING(0 0, 9 9)", false)
	f("LINESTRING(5 0, 5 0)", "LINESTRING(0 0, 10 0)", true)
	f("LINESTRING(5 5, 5 5)", "square", true)
	f("MULTIPOINT(50 50, 1 1)", "square", true)
	f("MULTILINESTRING((50 50, 60 60), (20 20, 1 1))", "square", true)
}

func TestDistance(t *testing.T) {
	const metre = 1e-3
	f := func(a, b string, want float64) {
		t.Helper()
		x, y := geography(t, a), geography(t, b)
		d, e := Distance(x, y), Distance(y, x)
		if abs(d-want) > metre || abs(e-want) > metre {
			t.Errorf("%s to %s: %.6f, back %.6f, want %.6f", a, b, d, e, want)
		}
	}
	f("POINT(-5 -5)", "POINT(0 0)", 784028.7398)
	f("POINT(1 1)", "POINT(1 1)", 0)
	f("POINT(180 1)", "POINT(-180 1)", 0)
	// A polygon on either side (saql.md 12.2).
	f("POINT(100 80)", "square", 0)
	f("square", "far", 0)
	f("cross", "far", 0)
	f("MULTIPOINT(1 1)", "MULTIPOLYGON(((30 30, 40 30, 40 40, 30 30)))", 0)
	// Lines: a point beside one on the equator is as far as its meridian is long.
	f("POINT(5 1)", "LINESTRING(0 0, 10 0)", geodesic(1, 5, 0, 5))
	f("POINT(5 40)", "LINESTRING(0 0, 10 0)", geodesic(40, 5, 0, 5))
	f("POINT(12 0)", "LINESTRING(0 0, 10 0)", geodesic(0, 12, 0, 10))
	f("POINT(-3 4)", "LINESTRING(0 0, 10 0)", geodesic(4, -3, 0, 0))
	f("POINT(5 0)", "LINESTRING(0 0, 10 0)", 0)
	f("POINT(0 90)", "LINESTRING(-20 50, 30 50)", leastOfSteps(t, "LINESTRING(-20 50, 30 50)", 90, 0))
	f("POINT(7 44)", "LINESTRING(-20 50, 30 40, 40 20)", leastOfSteps(t, "LINESTRING(-20 50, 30 40, 40 20)", 44, 7))
	f("LINESTRING(0 0, 10 10)", "LINESTRING(0 10, 10 0)", 0)
	f("LINESTRING(0 0, 10 0)", "LINESTRING(5 1, 5 9)", geodesic(1, 5, 0, 5))
	f("LINESTRING(0 0, 10 0)", "LINESTRING(12 0, 20 5)", geodesic(0, 12, 0, 10))
	f("LINESTRING(179 0, 179 5)", "LINESTRING(-179 5, -179 0)", geodesic(5, 179, 5, -179))
	f("LINESTRING(3 3, 3 3)", "POINT(3 4)", geodesic(3, 3, 4, 3))
	f("LINESTRING(3 3, 3 3)", "LINESTRING(3 4, 3 4)", geodesic(3, 3, 4, 3))
	f("MULTIPOINT(50 50, 12 0)", "LINESTRING(0 0, 10 0)", geodesic(0, 12, 0, 10))
	f("MULTIPOINT(50 50, 12 0)", "MULTIPOINT(49 50, 13 7)", geodesic(50, 50, 50, 49))
	f("MULTILINESTRING((60 0, 70 0), (0 0, 10 0))", "POINT(12 0)", geodesic(0, 12, 0, 10))
}

// leastOfSteps is the distance of a place to a line, found by going along the line.
func leastOfSteps(t *testing.T, line string, lat, lon float64) float64 {
	best := 1e9
	for _, e := range geography(t, line).lines[0].edges {
		const steps = 20000
		for k := range steps + 1 {
			la, lo := e.at(e.angle() * float64(k) / steps).latLon()
			best = min(best, geodesic(lat, lon, la, lo))
		}
	}
	return best
}

func TestClockwise(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if got := geography(t, s).Clockwise(); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	f("square", false)
	f("hole", true)
	f("date", false)
	f("arctic", false)
	f("antarctic", false)
	f("north", false)
	f("south", false)
	f("notch", false)
	f("POLYGON((0 1, 90 1, 180 1, -90 1, 0 1))", false)
	f("POLYGON((0 -1, 90 -1, 180 -1, -90 -1, 0 -1))", true)
	f("cross", false)
	f("MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((0 0, 0 10, 10 10, 0 0)))", true)
}

// TestZigzag: a long line that crosses itself nowhere, or everywhere, is read in time. With
// a stretch that comes twice it is malformed.
func TestZigzag(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := new(Reader).Text(text) != nil; got != want {
			t.Errorf("%.60s...: read %v, want %v", text, got, want)
		}
	}
	var upDown, star strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&upDown, "%.4f %d, ", float64(i)/1e4, 80*(i%2))
	}
	for i := range 10_000 { // chords of a small circle, each across most of it
		a := float64(i) * 3.0001
		fmt.Fprintf(&star, "%.9f %.9f, ", 10*math.Cos(a), 10*math.Sin(a))
	}
	for _, line := range []string{upDown.String(), star.String()} {
		f("LINESTRING("+line+"50 50)", true)
		f("LINESTRING("+line+"50 50, 60 60, 55 55.1, 60 60, 50 50)", false)
	}
}
