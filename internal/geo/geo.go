// Package geo is geographies on the earth: what the geospatial functions compute with
// (saql.md 12).
//
// # How it works
//
// A position is a latitude and a longitude, and also a point of the unit sphere. Edges are
// arcs of great circles, so neither the poles nor the 180th meridian are special. Whether
// geographies meet is decided on the sphere; lengths are those of the ellipsoid WGS 84.
//
// A ring has its inside on its left. So the edge that is nearest to a point tells on which
// side of the ring the point is: the way there crosses no other edge. The same search says
// whether the point is on the border. Two rings are compared by cutting the edges of each
// where they meet those of the other, and looking where the middle of every piece lies.
//
// Coordinates are rounded, so a point counts as on an edge that is closer than
// borderWidth. Boxes in space around points of the sphere, in a tree, find what may meet.
package geo

// Kind is the type of a geography.
type Kind uint8

// The kinds, as GeoJSON calls them.
const (
	Point Kind = iota
	LineString
	Polygon
	MultiPoint
	MultiLineString
	MultiPolygon
	numKinds
)

// kindNames are the names of the kinds in GeoJSON. WKT has them in upper case.
var kindNames = [numKinds]string{"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"}

// String is the name of the kind in GeoJSON.
func (k Kind) String() string { return kindNames[k] }

// Geography is one or more points, lines or polygons; those of one geography are all of
// one sort. It belongs to one goroutine: it builds what speeds up a search when it is
// first searched.
type Geography struct {
	kind     Kind
	points   []position
	lines    []*chain
	polygons []*ring
	one      [1]position // memory of a single point
}

// Kind is the type of g.
func (g *Geography) Kind() Kind { return g.kind }

// Clockwise reports whether a polygon of g is larger than half the globe, which mostly
// means that its positions stand in the wrong order.
func (g *Geography) Clockwise() bool {
	for _, r := range g.polygons {
		if r.large {
			return true
		}
	}
	return false
}

// size is about how many positions g has.
func (g *Geography) size() int {
	n := len(g.points)
	for _, l := range g.lines {
		n += len(l.at)
	}
	for _, r := range g.polygons {
		n += len(r.at)
	}
	return n
}

// bounds is a box around all of g.
func (g *Geography) bounds() box {
	b := emptyBox()
	for i := range g.points {
		b.add(g.points[i].dir)
	}
	for _, l := range g.lines {
		b.join(l.box)
	}
	for _, r := range g.polygons {
		b.join(r.region())
	}
	return b.wider(borderWidth)
}

// position is a place on the earth.
type position struct {
	lat, lon float64 // degrees
	dir      dir
}

// place makes a position; false if there is none.
func place(lat, lon float64) (position, bool) {
	if !(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180) {
		return position{}, false
	}
	return position{lat: lat, lon: lon, dir: toward(lat, lon)}, true
}

// Valid reports whether there is a place of that latitude and longitude, in degrees.
func Valid(lat, lon float64) bool {
	_, ok := place(lat, lon)
	return ok
}

// Place is latitude and longitude of a single point; false if g is something else.
func (g *Geography) Place() (lat, lon float64, ok bool) {
	if g.kind != Point {
		return 0, 0, false
	}
	return g.points[0].lat, g.points[0].lon, true
}

// IsRing reports whether a polygon can have the places, given as latitude and longitude by
// turns: there are four or more, the last is the first, three of them differ.
func IsRing(places []float64) bool {
	at := make([]position, len(places)/2)
	for i := range at {
		p, ok := place(places[2*i], places[2*i+1])
		if !ok {
			return false
		}
		at[i] = p
	}
	_, ok := newRing(at)
	return ok
}
