package geo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// star is a random polygon that can be seen whole from its centre: the rays from there
// come in order. Its position, size and number of corners are random.
func star(r *rand.Rand, centre dir, radius float64, corners int) (*ring, []dir) {
	east := dir{-centre.y, centre.x, 0}
	if east.length() < 1e-6 {
		east = dir{1, 0, 0}
	}
	east = east.unit()
	north := centre.cross(east)
	var at []position
	var rays []dir
	for k := range corners {
		sin, cos := math.Sincos((float64(k) + 0.8*r.Float64()) * 2 * math.Pi / float64(corners))
		far, near := math.Sincos(radius * (0.3 + 0.7*r.Float64()))
		p := centre.times(near).plus(east.times(cos).plus(north.times(sin)).times(far))
		lat, lon := p.latLon()
		pos, _ := place(lat, lon)
		at, rays = append(at, pos), append(rays, pos.dir)
	}
	ring, ok := newRing(append(at, at[0]))
	if !ok {
		panic("no ring")
	}
	return ring, rays
}

// inStar decides by the triangles between the centre and each edge.
func inStar(centre dir, rays []dir, p dir) bool {
	for i, a := range rays {
		b := rays[(i+1)%len(rays)]
		if centre.cross(a).dot(p) >= 0 && a.cross(b).dot(p) >= 0 && b.cross(centre).dot(p) >= 0 {
			return true
		}
	}
	return false
}

func randomDir(r *rand.Rand) dir {
	for {
		d := dir{r.Float64()*2 - 1, r.Float64()*2 - 1, r.Float64()*2 - 1}
		if l := d.length(); l > 0.1 && l <= 1 {
			return d.unit()
		}
	}
}

// centres are places where a flat map would fail, and random ones.
func centres(r *rand.Rand) []dir {
	out := []dir{toward(90, 0), toward(-90, 0), toward(0, 180), toward(0, 0), toward(0, 90), toward(89, 77)}
	for range 10 {
		out = append(out, randomDir(r))
	}
	return out
}

func near(r *rand.Rand, c dir, radius float64) dir {
	return c.plus(randomDir(r).times(radius * 1.5 * r.Float64())).unit()
}

func TestLocateInStars(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for _, c := range centres(r) {
		for _, corners := range []int{4, 7, 24, 25, 300} {
			radius := math.Pow(10, -r.Float64()*6)
			g, rays := star(r, c, radius, corners)
			if corners > fewEdges != (g.index() != nil) {
				t.Fatalf("%d corners: %v", corners, g.index())
			}
			backward := slices.Clone(g.at)
			slices.Reverse(backward)
			h, _ := newRing(backward)
			if g.large || !h.large {
				t.Errorf("a star is larger than what it leaves: %v, %v", g.large, h.large)
			}
			in := 0
			for range 200 {
				p := near(r, c, radius)
				want := inStar(c, rays, p)
				if got := g.locate(p) == inside; got != want {
					t.Fatalf("star of %d corners, radius %g at %v: %v inside is %v", corners, radius, c, p, got)
				}
				if got := h.holds(p) == outside; got != want {
					t.Fatalf("star of %d corners the other way round: %v outside is %v", corners, p, got)
				}
				if g.holds(p) != g.locate(p) {
					t.Fatalf("the box leaves out %v", p)
				}
				if want {
					in++
				}
			}
			if in == 0 || in == 200 {
				t.Errorf("%d points of 200 inside", in)
			}
			far := c.times(-1)
			if g.holds(far) != outside || h.holds(far) != inside {
				t.Errorf("the other end of the globe: %v, %v", g.holds(far), h.holds(far))
			}
			for _, e := range g.edges {
				if mid := e.at(e.angle() * r.Float64()); g.locate(mid) != border || g.holds(mid) != border || h.locate(mid) != border {
					t.Fatalf("a point of an edge is not on the border")
				}
			}
		}
	}
}

// TestRelationsOfStars compares polygons by what random points say of them.
func TestRelationsOfStars(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	var seen [4]int
	for range 600 {
		c := centres(r)[r.IntN(16)]
		radius := math.Pow(10, -r.Float64()*4)
		a, raysA := star(r, c, radius, 4+r.IntN(40))
		d := near(r, c, radius)
		b, raysB := star(r, d, radius*math.Pow(10, -r.Float64()), 4+r.IntN(40))
		var both, onlyA, onlyB bool
		for i := range 400 {
			p := near(r, c, radius)
			if i%2 == 0 {
				p = near(r, d, radius/5)
			}
			inA, inB := inStar(c, raysA, p), inStar(d, raysB, p)
			both, onlyA, onlyB = both || inA && inB, onlyA || inA && !inB, onlyB || inB && !inA
		}
		ga, gb := &Geography{kind: Polygon, polygons: []*ring{a}}, &Geography{kind: Polygon, polygons: []*ring{b}}
		within, holds := Within(ga, gb), Within(gb, ga)
		overlaps, meets := Overlaps(ga, gb), Intersects(ga, gb)
		switch {
		case within && onlyA, holds && onlyB, within && holds:
			t.Errorf("within %v, %v, but points say otherwise", within, holds)
		case overlaps != Overlaps(gb, ga), meets != Intersects(gb, ga):
			t.Error("the order of arguments shows")
		case both && !meets, both && !overlaps && !within && !holds, overlaps && (within || holds), overlaps && !meets:
			t.Errorf("overlaps %v, meets %v, within %v, %v", overlaps, meets, within, holds)
		case both && onlyA && onlyB && !overlaps:
			t.Error("points say that they overlap")
		}
		for k, is := range []bool{within, holds, overlaps, !meets} {
			if is {
				seen[k]++
			}
		}
	}
	if slices.Min(seen[1:]) < 20 {
		t.Errorf("too few of a sort: %v", seen)
	}
}

// TestIndexFindsAll holds an index to looking at all.
func TestIndexFindsAll(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var gs []*Geography
	for i := range 400 {
		switch i % 4 {
		case 0:
			gs = append(gs, nil)
		case 1:
			g, _ := star(r, centres(r)[i%16], 0.3, 6)
			gs = append(gs, &Geography{kind: Polygon, polygons: []*ring{g}})
		case 2:
			g, _ := star(r, randomDir(r), 1.2, 12)
			back := slices.Clone(g.at)
			slices.Reverse(back)
			h, _ := newRing(back) // most of the globe
			gs = append(gs, &Geography{kind: Polygon, polygons: []*ring{h}})
		case 3:
			g, _ := star(r, randomDir(r), 0.5, 5)
			gs = append(gs, &Geography{kind: LineString, lines: []*chain{&g.chain}})
		}
	}
	x := NewIndex(gs)
	for i := range 300 {
		lat, lon := randomDir(r).latLon()
		p, _ := place(lat, lon)
		q := &Geography{kind: Point, points: []position{p}}
		if i%3 == 0 {
			q = gs[1+4*r.IntN(100)]
		}
		found := x.Search(nil, q)
		if !slices.IsSorted(found) {
			t.Fatal("candidates are not in order")
		}
		for k, g := range gs {
			if g != nil && Intersects(q, g) && !slices.Contains(found, int32(k)) {
				t.Fatalf("%d is not found", k)
			}
			if g == nil && slices.Contains(found, int32(k)) {
				t.Fatal("nothing is found")
			}
		}
	}
	if found := NewIndex(nil).Search(nil, gs[1]); len(found) != 0 {
		t.Errorf("an empty index has %v", found)
	}
	var few int
	for range 100 {
		lat, lon := randomDir(r).latLon()
		p, _ := place(lat, lon)
		few += len(x.Search(nil, &Geography{kind: Point, points: []position{p}}))
	}
	if few > 100*200 {
		t.Errorf("the index finds %d of 300 on average", few/100)
	}
}

func BenchmarkLocate(b *testing.B) {
	f := func(corners int) func(*testing.B) {
		return func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 5))
			g, _ := star(r, toward(50, 8), 0.01, corners)
			var ps [64]dir
			for i := range ps {
				ps[i] = near(r, toward(50, 8), 0.01)
			}
			g.locate(ps[0])
			b.ReportAllocs()
			for i := range b.N {
				g.locate(ps[i&63])
			}
		}
	}
	b.Run("5", f(5))
	b.Run("24", f(24))
	b.Run("100", f(100))
	b.Run("10000", f(10000))
}
