package exec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// zonePlan compiles a reference join and takes its spatial index away if asked.
func zonePlan(t testing.TB, on string, indexed bool) *plan.Plan {
	t.Helper()
	script, list := saql.Parse("SELECT i.id, z.id AS zone INTO output FROM input i TIMESTAMP BY t LEFT JOIN zones z ON " + on)
	p, more := plan.Compile(script, plan.Env{Inputs: []plan.InputDecl{{Name: "input"}, {Name: "zones", Reference: true}}, AnyOutput: true})
	if list.HasErrors() || more.HasErrors() {
		t.Fatal(on, list, more)
	}
	found := false
	for _, n := range p.Nodes {
		if op, ok := n.Op.(*plan.Lookup); ok && op.Spatial != nil {
			found = true
			if !indexed {
				op.Spatial = nil
			}
		}
	}
	if !found {
		t.Fatalf("ON %s has no spatial index", on)
	}
	return p
}

// zoneColumns is a batch with the fields that p wants of an input, from rows of id, geography
// and time.
func zoneColumns(p *plan.Plan, input string, ids []int64, geos []vec.Value) (int, *vec.Batch) {
	for i, in := range p.Inputs {
		if in.Name != input {
			continue
		}
		b := &vec.Batch{N: len(ids), Cols: make([]vec.Vec, len(in.Fields))}
		for c, f := range in.Fields {
			for k := range ids {
				switch f.Path[0] {
				case "id":
					b.Cols[c].Append(vec.IntValue(ids[k]))
				case "t":
					b.Cols[c].Append(vec.TimeValue(base + vec.Time(k)*vec.Second))
				default:
					b.Cols[c].Append(geos[k])
				}
			}
		}
		return i, b
	}
	panic("no input " + input)
}

// lookUpZones runs a plan over rows of the stream and one version of the zones.
func lookUpZones(t testing.TB, p *plan.Plan, points, zones []vec.Value, o exec.Options) (rows []string, err error) {
	t.Helper()
	ids := make([]int64, max(len(points), len(zones)))
	for i := range ids {
		ids[i] = int64(i)
	}
	o.Sample = true
	if o.OnRows == nil {
		o.OnRows = onTexts(&rows)
	}
	g, err := exec.Build(p, o)
	if err != nil {
		t.Fatal(err)
	}
	ref, b := zoneColumns(p, "zones", ids[:len(zones)], zones)
	g.SetReference(ref, vec.MinTime, b)
	in, b := zoneColumns(p, "input", ids[:len(points)], points)
	if err = g.Push(in, b); err == nil {
		err = g.Close(in)
	}
	return rows, err
}

// randomZone is a small square or triangle, a line, or sometimes nothing of use.
func randomZone(r *rand.Rand, size float64) vec.Value {
	lon, lat := r.Float64()*(360-2*size)-180+size, r.Float64()*(180-2*size)-90+size
	w := size * (0.2 + 0.8*r.Float64())
	switch r.IntN(12) {
	case 0:
		return vec.NullValue()
	case 1:
		return vec.StringValue("POLYGON((1 2))")
	case 2:
		return vec.StringValue(fmt.Sprintf("LINESTRING(%v %v, %v %v)", lon, lat, lon+w, lat+w))
	case 3: // clockwise
		return vec.StringValue(fmt.Sprintf("POLYGON((%v %v, %v %v, %v %v, %v %v))", lon, lat, lon+w, lat+w, lon+w, lat, lon, lat))
	}
	v, err := vec.ParseJSON(fmt.Appendf(nil, `{"type":"Polygon","coordinates":[[[%v,%v],[%v,%v],[%v,%v],[%v,%v],[%v,%v]]]}`,
		lon, lat, lon+w, lat, lon+w, lat+w, lon, lat+w, lon, lat))
	if err != nil {
		panic(err)
	}
	return v
}

func randomSpot(r *rand.Rand) vec.Value {
	switch r.IntN(10) {
	case 0:
		return vec.NullValue()
	case 1:
		return vec.StringValue("nowhere")
	case 2:
		return randomZone(r, 40)
	}
	return vec.StringValue(fmt.Sprintf("POINT(%v %v)", r.Float64()*360-180, r.Float64()*180-90))
}

// TestSpatialIndexIsTheScan looks rows up with and without the index.
func TestSpatialIndexIsTheScan(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, on := range []string{"ST_WITHIN(i.g, z.g) = 1", "ST_WITHIN(z.g, i.g) = 1", "1 = ST_INTERSECTS(z.g, i.g) AND z.id > i.id"} {
		var zones, spots []vec.Value
		for range 150 {
			zones = append(zones, randomZone(r, 30))
		}
		for range 200 {
			spots = append(spots, randomSpot(r))
		}
		with, err1 := lookUpZones(t, zonePlan(t, on, true), spots, zones, exec.Options{})
		without, err2 := lookUpZones(t, zonePlan(t, on, false), spots, zones, exec.Options{})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !slices.Equal(with, without) {
			t.Errorf("%s: with the index %d rows, without %d", on, len(with), len(without))
		}
		pairs := slices.DeleteFunc(with, func(s string) bool { return strings.HasSuffix(s, "null") })
		if len(pairs) < 50 {
			t.Errorf("%s: %d pairs only", on, len(pairs))
		}
	}
}

// TestSpatialIndexReportsWrongKinds: a value that is no geography is an error on either side.
func TestSpatialIndexReportsWrongKinds(t *testing.T) {
	f := func(point, zone vec.Value, want string) {
		t.Helper()
		for _, indexed := range []bool{true, false} {
			rows, err := lookUpZones(t, zonePlan(t, "ST_WITHIN(i.g, z.g) = 1", indexed), []vec.Value{point}, []vec.Value{vec.NullValue(), zone}, exec.Options{})
			got := fmt.Sprint(rows)
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("index %v: %s, want %s", indexed, got, want)
			}
		}
	}
	square := vec.StringValue("POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))")
	f(vec.StringValue("POINT(1 1)"), square, "[12:00:00 0 1]")
	f(vec.IntValue(5), square, "argument 1 of ST_WITHIN has type bigint; nvarchar(max) or record wanted")
	f(vec.StringValue("POINT(1 1)"), vec.FloatValue(2), "argument 2 of ST_WITHIN has type float; nvarchar(max) or record wanted")
	f(vec.NullValue(), vec.FloatValue(2), "argument 2 of ST_WITHIN has type float; nvarchar(max) or record wanted")
	f(vec.NullValue(), square, "[12:00:00 0 null]")
}

// BenchmarkSpatialIndex looks points up among 10,000 polygons.
func BenchmarkSpatialIndex(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 6))
	var zones, spots []vec.Value
	for len(zones) < 10_000 {
		if z := randomZone(r, 2); z.Kind == vec.Record {
			zones = append(zones, z)
		}
	}
	for range 4096 {
		spots = append(spots, vec.RecordValue(&vec.Rec{Names: []string{"type", "coordinates"}, Vals: []vec.Value{vec.StringValue("Point"),
			vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.FloatValue(r.Float64()*360 - 180), vec.FloatValue(r.Float64()*180 - 90)}})}}))
	}
	run := func(indexed bool, points int) func(b *testing.B) {
		return func(b *testing.B) {
			p := zonePlan(b, "ST_WITHIN(i.g, z.g) = 1", indexed)
			for range b.N {
				if _, err := lookUpZones(b, p, spots[:points], zones, exec.Options{OnRows: func(int, *vec.Batch) error { return nil }}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*points), "ns/point")
		}
	}
	b.Run("build", run(true, 1))
	b.Run("index", run(true, len(spots)))
	b.Run("scan", run(false, 64))
}

// TestNotes counts what functions think worth knowing (saql.md 12.1).
func TestNotes(t *testing.T) {
	f := func(query string, malformed, clockwise int64, events ...string) {
		t.Helper()
		p := play{query: query, opts: exec.Options{Sample: true}, events: map[string][]string{"input": events}}
		p.run(t)
		if p.err != nil || p.counts.Notes[fn.MalformedGeography] != malformed || p.counts.Notes[fn.ClockwiseRing] != clockwise {
			t.Errorf("%s: %v, %v", query, p.counts.Notes, p.err)
		}
	}
	events := []string{
		`{"at": "12:00:00", "g": "POINT(1 1)", "lat": 1}`,
		`{"at": "12:00:01", "g": "POINT(1 91)", "lat": 91}`,
		`{"at": "12:00:02", "g": "POLYGON((0 0, 0 5, 5 5, 0 0))", "lat": 5}`,
		`{"at": "12:00:03", "g": null, "lat": null}`,
	}
	f("SELECT ST_WITHIN(g, 'POLYGON((0 0, 5 0, 5 5, 0 0))') AS w INTO output FROM input TIMESTAMP BY at", 1, 1, events...)
	f("SELECT lat INTO output FROM input TIMESTAMP BY at WHERE ST_WITHIN(g, g) = 1", 2, 2, events...) // each argument is read
	f("SELECT CreatePoint(lat, 0.0) AS p INTO output FROM input TIMESTAMP BY at", 1, 0, events...)
	f("SELECT lat INTO output FROM input TIMESTAMP BY at", 0, 0, events...)
}
