package geo

import "weir/internal/vec"

// build collects the positions of a geography while it is read.
type build struct {
	g  *Geography
	at []position // memory
}

// fromRecord reads a GeoJSON record into g; false if it is malformed.
func (b *build) fromRecord(r *vec.Rec) bool {
	name, ok := r.Get("type")
	if !ok || name.Kind != vec.String {
		return false
	}
	coordinates, ok := r.Get("coordinates")
	if !ok || coordinates.Kind != vec.Array {
		return false
	}
	for k, known := range kindNames {
		if name.Str == known {
			return b.parts(Kind(k), coordinates.Rec.Vals)
		}
	}
	return false
}

// parts reads the coordinates of a geography of kind k.
func (b *build) parts(k Kind, vals []vec.Value) bool {
	b.g.kind = k
	switch k {
	case Point:
		p, ok := readPosition(vals)
		return ok && b.point(p)
	case LineString:
		return b.positions(vals) && b.line()
	case Polygon:
		if isPosition(vals) { // a flat list of positions is the ring too
			return b.positions(vals) && b.ring()
		}
		return len(vals) == 1 && vals[0].Kind == vec.Array && b.positions(vals[0].Rec.Vals) && b.ring()
	}
	for i := range vals {
		if vals[i].Kind != vec.Array || !b.parts(k-MultiPoint, vals[i].Rec.Vals) {
			return false
		}
	}
	b.g.kind = k
	return len(vals) > 0
}

// isPosition reports whether the first of vals is a position, not a list of them.
func isPosition(vals []vec.Value) bool {
	return len(vals) > 0 && vals[0].Kind == vec.Array && len(vals[0].Rec.Vals) > 0 && vals[0].Rec.Vals[0].Kind != vec.Array
}

// positions reads a list of positions.
func (b *build) positions(vals []vec.Value) bool {
	b.at = b.at[:0]
	for i := range vals {
		if vals[i].Kind != vec.Array {
			return false
		}
		p, ok := readPosition(vals[i].Rec.Vals)
		if !ok {
			return false
		}
		b.at = append(b.at, p)
	}
	return true
}

// readPosition reads longitude and latitude. More numbers, such as a height, are ignored.
func readPosition(vals []vec.Value) (position, bool) {
	if len(vals) < 2 {
		return position{}, false
	}
	for i := range vals {
		if vals[i].Kind != vec.Int && vals[i].Kind != vec.Float {
			return position{}, false
		}
	}
	return place(number(&vals[1]), number(&vals[0]))
}

func number(v *vec.Value) float64 {
	if v.Kind == vec.Int {
		return float64(v.Int)
	}
	return v.Float
}

func (b *build) point(p position) bool {
	b.g.points = append(b.g.points, p)
	return true
}

// line adds the positions read as a line.
func (b *build) line() bool {
	if len(b.at) < 2 {
		return false
	}
	c, ok := newChain(b.at)
	if !ok || c.repeats() {
		return false
	}
	b.g.lines = append(b.g.lines, c)
	return true
}

// ring adds the positions read as a polygon.
func (b *build) ring() bool {
	r, ok := newRing(b.at)
	if ok {
		b.g.polygons = append(b.g.polygons, r)
	}
	return ok
}
