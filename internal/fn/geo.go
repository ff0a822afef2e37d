package fn

import (
	"strconv"

	"weir/internal/geo"
	"weir/internal/vec"
)

// Note is something that a function counts: no error, but worth knowing (saql.md 12.1).
type Note uint8

// The notes.
const (
	MalformedGeography Note = iota
	ClockwiseRing
	NumNotes
)

// String is the note as it is reported.
func (n Note) String() string {
	return [...]string{"geo: malformed geography", "geo: ring may be clockwise"}[n]
}

// note counts a note.
func (c *Call) note(n Note) {
	if c.OnNote != nil {
		c.OnNote(n)
	}
}

// geographies reads the arguments of a call. Each argument has a reader of its own, for
// two geographies are needed at a time.
type geographies [2]*geo.Reader

// geography is the geography of row i of an argument; nil if it is malformed.
func (c *Call) geography(arg int, a *vec.Vec, i int) *geo.Geography {
	r := c.geo[arg]
	if r == nil {
		r = &geo.Reader{OnRead: func(g *geo.Geography) {
			if g == nil {
				c.note(MalformedGeography)
			} else if g.Clockwise() {
				c.note(ClockwiseRing)
			}
		}}
		c.geo[arg] = r
	}
	if a.KindAt(i) == vec.String {
		return r.Text(a.StrAt(i))
	}
	return r.Record(a.Rec[i])
}

// geography is a parameter that takes one: a GeoJSON record or, from level 1.2 on,
// well-known text (saql.md 12.1).
func geographyParam(name string) Param { return Param{Name: name, Types: Rec | Text} }

// ofGeographies is the Eval of a function of two geographies. set puts the result of row i.
func ofGeographies(k vec.Kind, set func(out *vec.Vec, i int, a, b *geo.Geography)) func(*Call, *vec.Vec, []*vec.Vec, int) {
	return func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(k, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			a := c.geography(0, args[0], i)
			b := c.geography(1, args[1], i)
			if a == nil || b == nil {
				c.mark(i)
				continue
			}
			set(out, i, a, b)
		}
	}
}

// geoTest is the Eval of a predicate of two geographies.
func geoTest(test func(a, b *geo.Geography) bool) func(*Call, *vec.Vec, []*vec.Vec, int) {
	return ofGeographies(vec.Int, func(out *vec.Vec, i int, a, b *geo.Geography) {
		out.Int[i] = 0
		if test(a, b) {
			out.Int[i] = 1
		}
	})
}

// before12 gives a function that takes well-known text its form for the levels 1.0 and
// 1.1, which know GeoJSON only (saql.md 3.9).
func before12(s Scalar) *Scalar {
	old := s
	old.Params = append([]Param(nil), s.Params...)
	for i := range old.Params {
		old.Params[i].Types &^= Text
	}
	s.Before12 = &old
	return scalar(s)
}

const (
	examplePoint  = `'POINT(15 15)'`
	exampleSquare = `'POLYGON((10 10, 20 10, 20 20, 10 20, 10 10))'`
)

var _ = before12(Scalar{
	Name:   "ST_DISTANCE",
	Params: []Param{geographyParam("a"), geographyParam("b")},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary: "ST_DISTANCE gives the metres between two points on the ellipsoid WGS 84, or the smallest distance of lines. With a polygon it is 0.",
		Section: "12.2",
		Examples: []Example{
			{"ROUND(ST_DISTANCE(CreatePoint(-5.0, -5.0), CreatePoint(0.0, 0.0)), 2)", "784028.74"},
			{"ST_DISTANCE(" + examplePoint + ", " + exampleSquare + ")", "0.0"},
		},
	},
	Eval: ofGeographies(vec.Float, func(out *vec.Vec, i int, a, b *geo.Geography) {
		out.Float[i] = geo.Distance(a, b)
	}),
})

var _ = before12(Scalar{
	Name:   "ST_INTERSECTS",
	Params: []Param{geographyParam("a"), geographyParam("b")},
	Result: gives(Bigint | Null),
	Doc: Doc{
		Summary: "ST_INTERSECTS gives 1 if two lines, or other geographies, share at least one point, else 0.",
		Section: "12.2",
		Examples: []Example{
			{"ST_INTERSECTS('LINESTRING(0 0, 10 10)', 'LINESTRING(0 10, 10 0)')", "1"},
			{"ST_INTERSECTS('LINESTRING(0 0, 10 10)', 'LINESTRING(20 0, 20 10)')", "0"},
		},
	},
	Eval: geoTest(geo.Intersects),
})

var _ = before12(Scalar{
	Name:   "ST_OVERLAPS",
	Params: []Param{geographyParam("a"), geographyParam("b")},
	Result: gives(Bigint | Null),
	Doc: Doc{
		Summary: "ST_OVERLAPS gives 1 if the insides of two polygons meet and neither contains the other, else 0.",
		Section: "12.2",
		Examples: []Example{
			{"ST_OVERLAPS('POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))', 'POLYGON((5 5, 15 5, 15 15, 5 15, 5 5))')", "1"},
			{"ST_OVERLAPS(" + exampleSquare + ", " + exampleSquare + ")", "0"},
		},
	},
	Eval: geoTest(geo.Overlaps),
})

var _ = before12(Scalar{
	Name:   "ST_WITHIN",
	Params: []Param{geographyParam("g"), geographyParam("poly")},
	Result: gives(Bigint | Null),
	Doc: Doc{
		Summary: "ST_WITHIN gives 1 if a point, line or polygon is within a polygon, else 0. The inside of a polygon is on the left of its ring; a point on the border is not within.",
		Section: "12.2",
		Examples: []Example{
			{"ST_WITHIN(" + examplePoint + ", " + exampleSquare + ")", "1"},
			{"ST_WITHIN('POINT(10 15)', " + exampleSquare + ")", "0"},
			{"ST_WITHIN(" + examplePoint + ", 'POLYGON((0 0))')", "null"},
		},
	},
	Eval: geoTest(geo.Within),
})

// The records that functions make share these names.
var geoNames = []string{"type", "coordinates"}

// geoRecord is a GeoJSON record.
func geoRecord(k geo.Kind, coordinates vec.Value) *vec.Rec {
	return &vec.Rec{Names: geoNames, Vals: []vec.Value{vec.StringValue(k.String()), coordinates}}
}

// listOf is an array.
func listOf(vals ...vec.Value) vec.Value { return vec.ArrayValue(&vec.Rec{Vals: vals}) }

var _ = scalar(Scalar{
	Name:   "CreatePoint",
	Params: []Param{{Name: "lat", Types: Float}, {Name: "lon", Types: Float}},
	Result: gives(Rec | Null),
	Doc: Doc{
		Summary: "CreatePoint gives the GeoJSON point of a latitude and a longitude. GeoJSON has the longitude first.",
		Section: "12.2",
		Examples: []Example{
			{"CreatePoint(3.0, -10.2)", `{"type":"Point","coordinates":[-10.2,3.0]}`},
			{"CreatePoint(91.0, 0.0)", "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Record, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			lat, lon := args[0].Float[i], args[1].Float[i]
			if !geo.Valid(lat, lon) {
				c.note(MalformedGeography)
				c.mark(i)
				continue
			}
			// One piece of memory for what belongs together.
			p := &struct {
				point, pair vec.Rec
				vals        [4]vec.Value
			}{vals: [4]vec.Value{vec.StringValue("Point"), {}, vec.FloatValue(lon), vec.FloatValue(lat)}}
			p.pair.Vals = p.vals[2:]
			p.vals[1] = vec.ArrayValue(&p.pair)
			p.point = vec.Rec{Names: geoNames, Vals: p.vals[:2:2]}
			out.Rec[i] = &p.point
		}
	},
})

var _ = before12(Scalar{
	Name:     "CreateLineString",
	Params:   []Param{{Name: "p1", Types: Rec | Arr | Text}, geographyParam("p2")},
	Min:      1,
	Variadic: true,
	Result:   gives(Rec | Null),
	Doc: Doc{
		Summary: "CreateLineString gives the GeoJSON line through two or more points, which may also come as one array.",
		Section: "12.2",
		Examples: []Example{
			{"CreateLineString(CreatePoint(0.0, 0.0), CreatePoint(0.0, 1.0))", `{"type":"LineString","coordinates":[[0.0,0.0],[1.0,0.0]]}`},
			{"CreateLineString(CreatePoint(0.0, 0.0), NULL)", "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Record, n)
		var places []float64
		for i := range n {
			if c.Skip(i) {
				continue
			}
			list, message := pointList(args, i)
			if message != "" {
				c.Fail(i, message)
				continue
			}
			var ok bool
			if places, ok = c.places(places[:0], list); !ok || len(places) < 4 {
				c.note(MalformedGeography)
				c.mark(i)
				continue
			}
			out.Rec[i] = geoRecord(geo.LineString, coordinates(places))
		}
	},
})

// pointList is the points that CreateLineString gets in row i: its arguments, or the
// elements of the only one, or why it cannot take them.
func pointList(args []*vec.Vec, i int) (points []vec.Value, message string) {
	if len(args) == 1 {
		if k := args[0].KindAt(i); k != vec.Array {
			return nil, "cannot cast value of type " + k.String() + " to type array"
		}
		return args[0].Rec[i].Vals, ""
	}
	for _, a := range args {
		points = append(points, a.At(i))
	}
	if points[0].Kind == vec.Array {
		return nil, misfitMessage("CreateLineString", 1, Rec, vec.Array)
	}
	return points, ""
}

// places appends latitude and longitude of each point; false if one is no point.
func (c *Call) places(to []float64, points []vec.Value) ([]float64, bool) {
	if c.geo[0] == nil {
		c.geo[0] = &geo.Reader{}
	}
	for _, p := range points {
		g := c.geo[0].Read(p)
		if g == nil {
			return nil, false
		}
		lat, lon, ok := g.Place()
		if !ok {
			return nil, false
		}
		to = append(to, lat, lon)
	}
	return to, true
}

// coordinates is the array of positions, longitude first.
func coordinates(places []float64) vec.Value {
	list := make([]vec.Value, len(places)/2)
	for i := range list {
		list[i] = listOf(vec.FloatValue(places[2*i+1]), vec.FloatValue(places[2*i]))
	}
	return listOf(list...)
}

// leastRing is how many points the ring of a polygon has at least.
const leastRing = 4

var _ = before12(Scalar{
	Name:     "CreatePolygon",
	Params:   []Param{geographyParam("p1")},
	Variadic: true,
	Result:   gives(Rec | Null),
	Doc: Doc{
		Summary: "CreatePolygon gives the GeoJSON polygon of four or more points, of which the last is the first. Its inside is on the left on the way from point to point.",
		Section: "12.2",
		Examples: []Example{
			{"CreatePolygon(CreatePoint(0.0, 0.0), CreatePoint(0.0, 1.0), CreatePoint(1.0, 1.0), CreatePoint(0.0, 0.0))",
				`{"type":"Polygon","coordinates":[[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]]]}`},
			{"CreatePolygon(CreatePoint(0.0, 0.0), CreatePoint(0.0, 1.0), CreatePoint(1.0, 1.0), CreatePoint(2.0, 0.0))", "null"},
		},
	},
	Check: func(consts []*vec.Value) *StaticError {
		if len(consts) >= leastRing {
			return nil
		}
		return &StaticError{Code: "SA7017", Message: "a polygon needs " + strconv.Itoa(leastRing) + " points, the last equal to the first", Arg: -1}
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Record, n)
		var places []float64
		points := make([]vec.Value, len(args))
		for i := range n {
			if c.Skip(i) {
				continue
			}
			for k, a := range args {
				points[k] = a.At(i)
			}
			var ok bool
			if places, ok = c.places(places[:0], points); !ok || !geo.IsRing(places) {
				c.note(MalformedGeography)
				c.mark(i)
				continue
			}
			out.Rec[i] = geoRecord(geo.Polygon, listOf(coordinates(places)))
		}
	},
})
