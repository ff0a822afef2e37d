package fn

import (
	"testing"

	"weir/internal/vec"
)

func TestGeography(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	// Making geographies.
	f("CreatePoint(35.6, 139.7)", `{"type":"Point","coordinates":[139.7,35.6]}`)
	f("CreatePoint(-90, 180)", `{"type":"Point","coordinates":[180.0,-90.0]}`)
	f("CreatePoint('35.5', TRUE)", `{"type":"Point","coordinates":[1.0,35.5]}`)
	f("CreatePoint(90.000001, 0.0)", "null")
	f("CreatePoint(0.0, -180.5)", "null")
	f("CreatePoint(NULL, 0.0)", "null")
	f("CreatePoint('north', 0.0)", "error: argument 1 of CreatePoint has type nvarchar(max); float wanted")
	const p, q, r = "CreatePoint(0.0, 0.0)", "CreatePoint(0.0, 1.0)", "CreatePoint(1.0, 1.0)"
	f("CreateLineString("+p+", "+q+", "+r+", "+p+")", `{"type":"LineString","coordinates":[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]]}`)
	f("CreateLineString('POINT(2 1)', "+p+")", `{"type":"LineString","coordinates":[[2.0,1.0],[0.0,0.0]]}`)
	f(`CreateLineString(JSON_PARSE('[{"type":"Point","coordinates":[1,2]},"POINT(3 4)"]'))`, `{"type":"LineString","coordinates":[[1.0,2.0],[3.0,4.0]]}`)
	f(`CreateLineString(JSON_PARSE('[{"type":"Point","coordinates":[1,2]}]'))`, "null")
	f(`CreateLineString(JSON_PARSE('[]'))`, "null")
	f(`CreateLineString(JSON_PARSE('[1, 2]'))`, "null")
	f("CreateLineString("+p+")", "error: cannot cast value of type record to type array")
	f("CreateLineString("+p+", NULL)", "null")
	f("CreateLineString("+p+", CreateLineString("+p+", "+q+"))", "null")
	f("CreateLineString("+p+", 5)", "error: argument 2 of CreateLineString has type bigint; nvarchar(max) or record wanted")
	f("CreateLineString(JSON_PARSE('[]'), "+p+")", "error: cannot cast value of type array to type record")
	f("CreatePolygon("+p+", "+q+", "+r+", "+p+")", `{"type":"Polygon","coordinates":[[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]]]}`)
	f("CreatePolygon("+p+", "+q+", "+r+", "+q+")", "null") // not closed
	f("CreatePolygon("+p+", "+q+", "+q+", "+p+")", "null") // two places
	f("CreatePolygon("+p+", "+q+", NULL, "+p+")", "null")
	f("CreatePolygon("+p+", "+q+", CreatePoint(95, 1), "+p+")", "null")
	f("CreatePolygon("+p+", "+q+", 'x', "+p+")", "null")
	// Asking of geographies.
	const square = "'POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))'"
	const flat = `JSON_PARSE('{"type":"Polygon","coordinates":[[0,0],[10,0],[10,10],[0,10],[0,0]]}')`
	f("ST_WITHIN(CreatePoint(5, 5), "+square+")", "1")
	f("ST_WITHIN(CreatePoint(5, 5), "+flat+")", "1")
	f("ST_WITHIN(CreatePoint(5, 15), "+square+")", "0")
	f("ST_WITHIN("+flat+", "+square+")", "1")
	f("ST_WITHIN(NULL, "+square+")", "null")
	f("ST_WITHIN("+square+", 'POLYGON((0 0')", "null")
	f("ST_WITHIN(JSON_PARSE('{}'), "+square+")", "null")
	f("ST_WITHIN(JSON_PARSE('[]'), "+square+")", "error: argument 1 of ST_WITHIN has type array; nvarchar(max) or record wanted")
	f("ST_WITHIN(TRUE, "+square+")", "error: argument 1 of ST_WITHIN has type bit; nvarchar(max) or record wanted")
	f("ST_OVERLAPS("+flat+", "+square+")", "0")
	f("ST_OVERLAPS('POLYGON((5 5, 15 5, 15 15, 5 15, 5 5))', "+square+")", "1")
	f("ST_INTERSECTS('LINESTRING(-5 5, 15 5)', "+square+")", "1")
	f("ST_INTERSECTS('LINESTRING(-5 5, -1 5)', "+square+")", "0")
	f("ST_DISTANCE("+p+", "+q+")", "111319.49079327357")
	f("ST_DISTANCE("+p+", "+square+")", "0.0")
	f("ST_DISTANCE("+p+", 'LINESTRING(-5 1, 5 1)')", "110996.67936236973") // the line bends north to latitude 1.0038
	f("ST_DISTANCE("+p+", 12.5)", "error: argument 2 of ST_DISTANCE has type float; nvarchar(max) or record wanted")
}

// TestBefore12: well-known text came with level 1.2 (saql.md 3.9).
func TestBefore12(t *testing.T) {
	for _, s := range Scalars() {
		if (s.Doc.Section == "12.2" && s.Name != "CreatePoint") != (s.Before12 != nil) {
			t.Errorf("%s before level 1.2: %v", s.Name, s.Before12)
		}
		if s.Before12 == nil {
			continue
		}
		for _, p := range s.Before12.Params {
			if p.Types.Has(vec.String) || !p.Types.Has(vec.Record) {
				t.Errorf("%s takes %v before level 1.2", s.Name, p.Types)
			}
		}
		if !s.Params[0].Types.Has(vec.String) {
			t.Errorf("%s has lost its texts", s.Name)
		}
	}
}

func TestPolygonCheck(t *testing.T) {
	s, _ := LookupScalar("CreatePolygon")
	for n := range 6 {
		if e := s.Check(make([]*vec.Value, n)); (e != nil) != (n < 4) || e != nil && e.Code != "SA7017" {
			t.Errorf("%d points: %v", n, e)
		}
	}
}

// TestGeographyWithoutGarbage: a point of a row in a constant polygon costs no memory.
func TestGeographyWithoutGarbage(t *testing.T) {
	s, _ := LookupScalar("ST_WITHIN")
	const n = 100
	points, zones := vec.Vec{}, vec.Vec{}
	for i := range n {
		points.Append(vec.RecordValue(&vec.Rec{Names: geoNames, Vals: []vec.Value{vec.StringValue("Point"), listOf(vec.FloatValue(float64(i)), vec.IntValue(5))}}))
		zones.Append(vec.StringValue("POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))"))
	}
	var c Call
	var out vec.Vec
	scratch := make([]vec.Vec, 2)
	args := []*vec.Vec{&points, &zones}
	run := func() { s.Run(&c, &out, args, scratch, n) }
	run()
	if allocs := testing.AllocsPerRun(10, run); allocs > 0 {
		t.Errorf("%v allocations for %d rows", allocs, n)
	}
	inside := 0
	for i := range n {
		inside += int(out.Int[i])
	}
	if inside != 9 { // 1 to 9
		t.Errorf("%d points inside", inside)
	}
}
