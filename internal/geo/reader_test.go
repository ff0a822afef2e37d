package geo

import (
	"testing"

	"weir/internal/vec"
)

func TestRead(t *testing.T) {
	f := func(s, kind string, size int) {
		t.Helper()
		g := geography(t, s)
		if g == nil || g.Kind().String() != kind || g.size() != size {
			t.Errorf("%s: %+v", s, g)
		}
	}
	f(`{"type":"Point","coordinates":[1,2]}`, "Point", 1)
	f(`{"type":"Point","coordinates":[-180,90.0]}`, "Point", 1)
	f(`{"type":"Point","coordinates":[1,2,300.5]}`, "Point", 1)
	f(`{"coordinates":[1,2],"name":"x","type":"Point"}`, "Point", 1)
	f(`{"type":"LineString","coordinates":[[1,2],[3,4]]}`, "LineString", 2)
	f(`{"type":"LineString","coordinates":[[1,2],[1,2]]}`, "LineString", 1)
	f(`{"type":"LineString","coordinates":[[1,2],[3,4],[3,4],[5,4]]}`, "LineString", 3)
	f(`{"type":"LineString","coordinates":[[0,0],[10,0],[5,5],[5,-5]]}`, "LineString", 4) // crosses itself
	f(`{"type":"LineString","coordinates":[[0,0],[10,0],[5,5],[0,0]]}`, "LineString", 4)
	f(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}`, "Polygon", 4)
	f(`{"type":"Polygon","coordinates":[[0,0],[1,0],[1,1],[0,0]]}`, "Polygon", 4) // flat
	f(`{"type":"Polygon","coordinates":[[[180,0],[-170,0],[-170,5],[-180,0]]]}`, "Polygon", 4)
	f(`{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}`, "MultiPoint", 2)
	f(`{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8],[9,9]]]}`, "MultiLineString", 5)
	f(`{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]}`, "MultiPolygon", 8)
	f("POINT(1 2)", "Point", 1)
	f("  point ( 1.5e0   -2.25 ) ", "Point", 1)
	f("POINT Z (1 2 3)", "Point", 1)
	f("POINTZM(1 2 3 4)", "Point", 1)
	f("LineString (1 2, 3 4 , 5 6)", "LineString", 3)
	f("POLYGON((0 0,1 0,1 1,0 0))", "Polygon", 4)
	f("MULTIPOINT(1 2, 3 4)", "MultiPoint", 2)
	f("MULTIPOINT((1 2), (3 4))", "MultiPoint", 2)
	f("MULTILINESTRING((1 2, 3 4), (5 6, 7 8))", "MultiLineString", 4)
	f("MULTIPOLYGON(((0 0,1 0,1 1,0 0)), ((5 5,6 5,6 6,5 5)))", "MultiPolygon", 8)
}

func TestMalformed(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if g := geography(t, s); g != nil {
			t.Errorf("%s is a %s", s, g.Kind())
		}
	}
	f(`{}`)
	f(`{"type":"Point"}`)
	f(`{"coordinates":[1,2]}`)
	f(`{"type":"point","coordinates":[1,2]}`)
	f(`{"type":"Circle","coordinates":[1,2]}`)
	f(`{"type":1,"coordinates":[1,2]}`)
	f(`{"type":"Point","coordinates":"1,2"}`)
	f(`{"type":"Point","coordinates":[]}`)
	f(`{"type":"Point","coordinates":[1]}`)
	f(`{"type":"Point","coordinates":["1","2"]}`)
	f(`{"type":"Point","coordinates":[1,null]}`)
	f(`{"type":"Point","coordinates":[true,1]}`)
	f(`{"type":"Point","coordinates":[[1,2]]}`)
	f(`{"type":"Point","coordinates":[1,90.1]}`)
	f(`{"type":"Point","coordinates":[1,-90.1]}`)
	f(`{"type":"Point","coordinates":[180.1,1]}`)
	f(`{"type":"Point","coordinates":[-181,1]}`)
	f(`{"type":"Point","coordinates":[1,1,"x"]}`)
	f(`{"type":"LineString","coordinates":[]}`)
	f(`{"type":"LineString","coordinates":[[1,2]]}`)
	f(`{"type":"LineString","coordinates":[[1,2],3]}`)
	f(`{"type":"LineString","coordinates":[[1,2],[3,95]]}`)
	f(`{"type":"LineString","coordinates":[[0,0],[180,0]]}`)     // which way?
	f(`{"type":"LineString","coordinates":[[1,0],[5,0],[1,0]]}`) // back
	f(`{"type":"LineString","coordinates":[[1,0],[5,0],[3,0]]}`) // partly back
	f(`{"type":"LineString","coordinates":[[0,0],[9,0],[9,9],[5,0],[7,0]]}`)
	f(`{"type":"Polygon","coordinates":[]}`)
	f(`{"type":"Polygon","coordinates":[[]]}`)
	f(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1]]]}`)
	f(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}`)                           // not closed
	f(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,0],[0,0]]]}`)                           // two positions
	f(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[2,0],[0,0]]]}`)                           // no inside
	f(`{"type":"Polygon","coordinates":[[[0,0],[5,0],[5,5],[0,0]],[[2,1],[3,1],[3,2],[2,1]]]}`) // a hole
	f(`{"type":"Polygon","coordinates":[[[0,0],[180,0],[5,5],[0,0]]]}`)
	f(`{"type":"MultiPoint","coordinates":[]}`)
	f(`{"type":"MultiPoint","coordinates":[[1,2],[1]]}`)
	f(`{"type":"MultiPoint","coordinates":[1,2]}`)
	f(`{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6]]]]}`)
	f("")
	f("POINT")
	f("POINT()")
	f("POINT EMPTY")
	f("POINT(1)")
	f("POINT(1,2)")
	f("POINT(1 2")
	f("POINT(1 2) x")
	f("POINT(1 2, 3 4)")
	f("POINT(1 91)")
	f("POINT(1 2 3 4 5)")
	f("POINT(--1 2)")
	f("POINT(nan 2)")
	f("LINESTRING(1 2)")
	f("POLYGON(0 0,1 0,1 1,0 0)")
	f("POLYGON((0 0,5 0,5 5,0 0),(2 1,3 1,3 2,2 1))")
	f("MULTIPOINT(1 2, )")
	f("GEOMETRYCOLLECTION(POINT(1 2))")
	f("SRID=4326;POINT(1 2)")
	if g := (&Reader{}).Read(vec.IntValue(1)); g != nil {
		t.Errorf("a number is a %s", g.Kind())
	}
}

// TestReaderKeeps reads the same values again and again: what comes once is not kept, and
// what is kept has a limit.
func TestReaderKeeps(t *testing.T) {
	var notes []*Geography
	r := &Reader{OnRead: func(g *Geography) { notes = append(notes, g) }}
	record := func(s string) vec.Value {
		v, err := vec.ParseJSON([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	square := record(`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}`)
	broken := record(`{"type":"Polygon","coordinates":[]}`)
	text := vec.StringValue("POLYGON((0 0, 5 0, 10 0, 10 4, 10 10, 0 10, 0 3, 0 0))")
	for range 5 {
		if g := r.Read(square); g == nil || g.size() != 4 {
			t.Fatal("the square is lost")
		}
		if g := r.Read(broken); g != nil {
			t.Fatal("nothing became something")
		}
		if g := r.Read(text); g == nil || g.size() != 8 {
			t.Fatal("the text is lost")
		}
	}
	if len(notes) != 6 { // twice each
		t.Errorf("%d geographies read", len(notes))
	}
	point := record(`{"type":"Point","coordinates":[1,2]}`)
	if n := testing.AllocsPerRun(100, func() { r.Read(point) }); n != 0 {
		t.Errorf("a point costs %v allocations", n)
	}
	short := vec.StringValue("POINT(10.25 -20.5)")
	if n := testing.AllocsPerRun(100, func() { r.Read(short) }); n != 0 {
		t.Errorf("a text of a point costs %v allocations", n)
	}
	const size = keptPositions / 5
	for i := range 6 {
		vals := make([]vec.Value, size)
		for k := range vals {
			vals[k] = vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.IntValue(int64(i)), vec.IntValue(1)}})
		}
		big := vec.RecordValue(&vec.Rec{Names: []string{"type", "coordinates"},
			Vals: []vec.Value{vec.StringValue("MultiPoint"), vec.ArrayValue(&vec.Rec{Vals: vals})}})
		r.Read(big)
		r.Read(big)
	}
	if r.kept > keptPositions || len(r.byRec) == 0 {
		t.Errorf("%d positions kept of %d geographies", r.kept, len(r.byRec))
	}
}

// TestKeep holds on to geographies while others are read.
func TestKeep(t *testing.T) {
	r := &Reader{}
	a := r.Keep(vec.StringValue("POINT(1 2)"))
	b := r.Keep(vec.StringValue("MULTIPOINT(3 4, 5 6)"))
	r.Read(vec.StringValue("POINT(7 8)"))
	if lat, lon, ok := a.Place(); lat != 2 || lon != 1 || !ok {
		t.Errorf("the point is at %v %v, %v", lat, lon, ok)
	}
	if _, _, ok := b.Place(); ok || b.size() != 2 {
		t.Errorf("the points are %+v", b)
	}
}

func TestIsRing(t *testing.T) {
	f := func(want bool, places ...float64) {
		t.Helper()
		if IsRing(places) != want {
			t.Errorf("%v: %v", places, !want)
		}
	}
	f(true, 0, 0, 0, 1, 1, 1, 0, 0)
	f(true, 0, 0, 1, 1, 0, 1, 0, 0) // clockwise
	f(false, 0, 0, 0, 1, 1, 1, 2, 2)
	f(false, 0, 0, 0, 1, 0, 0)
	f(false, 0, 0, 0, 1, 0, 1, 0, 0)
	f(false, 0, 0, 0, 1, 100, 1, 0, 0)
	f(false)
}

func FuzzText(f *testing.F) {
	for _, s := range shapes {
		f.Add(s)
	}
	f.Add("MULTIPOINT((1 2), 3 4 5)")
	f.Fuzz(func(t *testing.T, s string) {
		g := (&Reader{}).Keep(vec.StringValue(s))
		if g == nil {
			return
		}
		if !Intersects(g, g) {
			t.Errorf("%s does not meet itself", s)
		}
		if d := Distance(g, g); d > 1e-3 {
			t.Errorf("%s is %v from itself", s, d)
		}
		if len(g.polygons) == 1 && (Overlaps(g, g) || !Within(g, g)) {
			t.Errorf("%s within itself is %v", s, Within(g, g))
		}
	})
}
