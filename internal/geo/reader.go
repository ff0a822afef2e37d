package geo

import (
	"strings"
	"unsafe"

	"weir/internal/vec"
)

// Limits of what a Reader keeps.
const (
	// keptPositions bounds the positions of the geographies that a Reader keeps.
	keptPositions = 1 << 20
	// firstSeen is how many geographies a Reader remembers to have seen once.
	firstSeen = 1 << 12
)

// Reader turns values into geographies. It keeps those that come again, such as constants
// and reference data, so that they are read once. One goroutine uses a Reader.
type Reader struct {
	// OnRead, if set, is told of every geography that is read, nil if malformed.
	OnRead func(*Geography)
	build
	point  Geography
	byRec  map[*vec.Rec]*Geography
	byText map[string]keptText
	kept   int // positions in both
	// seen has what was read lately and not kept: a value that comes once is not kept. It
	// holds no pointers, for they would keep the memory of old events.
	seen [firstSeen]uintptr
	// What was read last of what is kept: constants come row after row.
	lastRec  *vec.Rec
	lastText string
	last     *Geography
}

// keptText is the geography of a text, with a copy of the text that lives on.
type keptText struct {
	text string
	g    *Geography
}

// Read gives the geography of a value: a GeoJSON record, or well-known text; nil if it is
// malformed. It is valid until the next call.
func (r *Reader) Read(v vec.Value) *Geography {
	switch v.Kind {
	case vec.Record:
		return r.Record(v.Rec)
	case vec.String:
		return r.Text(v.Str)
	}
	return nil
}

// Record is Read of a record.
func (r *Reader) Record(rec *vec.Rec) *Geography {
	if rec == r.lastRec {
		return r.last
	}
	if g, ok := r.byRec[rec]; ok {
		r.lastRec, r.lastText, r.last = rec, "", g
		return g
	}
	g := r.start()
	if !r.fromRecord(rec) {
		g = nil
	}
	if r.OnRead != nil {
		r.OnRead(g)
	}
	if g != nil && g.kind == Point {
		return g
	}
	if r.again(uintptr(unsafe.Pointer(rec))) && r.room(g) {
		if r.byRec == nil {
			r.byRec = map[*vec.Rec]*Geography{}
		}
		r.byRec[rec] = r.own(g)
	}
	return g
}

// Text is Read of a text.
func (r *Reader) Text(s string) *Geography {
	if s == r.lastText && s != "" {
		return r.last
	}
	if kept, ok := r.byText[s]; ok {
		r.lastRec, r.lastText, r.last = nil, kept.text, kept.g
		return kept.g
	}
	g := r.start()
	if !r.fromText(s) {
		g = nil
	}
	if r.OnRead != nil {
		r.OnRead(g)
	}
	if g != nil && g.kind == Point {
		return g
	}
	if r.again(hash(s)) && r.room(g) {
		if r.byText == nil {
			r.byText = map[string]keptText{}
		}
		s = strings.Clone(s)
		r.byText[s] = keptText{s, r.own(g)}
	}
	return g
}

// start gives an empty geography to read into.
func (r *Reader) start() *Geography {
	r.point = Geography{points: r.point.one[:0]}
	r.g = &r.point
	return r.g
}

// own is a copy of g, which Reader reads the next geography into.
func (r *Reader) own(g *Geography) *Geography {
	if g == nil {
		return nil
	}
	c := *g
	c.points = append([]position(nil), g.points...)
	return &c
}

// Keep gives the geography of a value for as long as the caller wants it.
func (r *Reader) Keep(v vec.Value) *Geography { return r.own(r.Read(v)) }

// again reports whether a value with that key was read before, lately.
func (r *Reader) again(key uintptr) bool {
	at := &r.seen[(key>>4^key>>16)%firstSeen]
	if *at == key {
		return true
	}
	*at = key
	return false
}

// room reports whether g may be kept. What was kept is forgotten when it gets too much.
func (r *Reader) room(g *Geography) bool {
	size := 1
	if g != nil {
		size += g.size()
	}
	if size > keptPositions/4 {
		return false
	}
	if r.kept += size; r.kept > keptPositions {
		r.byRec, r.byText, r.kept = nil, nil, size
		r.lastRec, r.lastText, r.last = nil, "", nil
	}
	return true
}

// hash mixes the bytes of a text (FNV-1a).
func hash(s string) uintptr {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return uintptr(h)
}
