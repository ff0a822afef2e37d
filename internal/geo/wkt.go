package geo

import (
	"strings"

	"weir/internal/vec"
)

// maxText bounds the well-known text of a geography.
const maxText = 1 << 20

// wktNames are the names of the kinds in well-known text.
var wktNames = [numKinds]string{"POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON"}

// wkt reads well-known text, such as POINT(10 40).
type wkt struct {
	rest string
	*build
}

// fromText reads well-known text into g; false if it is malformed. Words may be in any
// case. Heights and measures are ignored.
func (b *build) fromText(s string) bool {
	if len(s) > maxText {
		return false
	}
	w := wkt{s, b}
	// Z and M, with or without a space, say that heights and measures follow.
	name := strings.TrimRight(strings.ToUpper(w.word()), "ZM")
	for k, known := range wktNames {
		if name != known {
			continue
		}
		if strings.Trim(w.word(), "zmZM") != "" {
			return false
		}
		ok := w.parts(Kind(k))
		w.space()
		return ok && w.rest == ""
	}
	return false
}

// parts reads what stands in the parentheses of a kind.
func (w *wkt) parts(k Kind) bool {
	w.g.kind = k
	switch k {
	case Point:
		return w.positions() && len(w.at) == 1 && w.point(w.at[0])
	case LineString:
		return w.positions() && w.line()
	case Polygon:
		return w.take('(') && w.positions() && w.ring() && w.take(')')
	}
	if !w.take('(') {
		return false
	}
	for {
		if !w.part(k - MultiPoint) {
			return false
		}
		if !w.take(',') {
			w.g.kind = k
			return w.take(')')
		}
	}
}

// part reads a part of a geography of several. Points may do without parentheses.
func (w *wkt) part(k Kind) bool {
	if w.space(); k == Point && !strings.HasPrefix(w.rest, "(") {
		p, ok := w.position()
		return ok && w.point(p)
	}
	return w.parts(k)
}

// positions reads a list of positions in parentheses.
func (w *wkt) positions() bool {
	w.at = w.at[:0]
	if !w.take('(') {
		return false
	}
	for {
		p, ok := w.position()
		if !ok {
			return false
		}
		w.at = append(w.at, p)
		if !w.take(',') {
			return w.take(')')
		}
	}
}

// position reads a longitude and a latitude, and up to two numbers more.
func (w *wkt) position() (position, bool) {
	lon, ok1 := w.number()
	lat, ok2 := w.number()
	for range 2 {
		if _, more := w.number(); !more {
			break
		}
	}
	if !ok1 || !ok2 {
		return position{}, false
	}
	return place(lat, lon)
}

func (w *wkt) space() {
	w.rest = strings.TrimLeft(w.rest, " \t\r\n")
}

// take takes a character.
func (w *wkt) take(c byte) bool {
	w.space()
	if w.rest == "" || w.rest[0] != c {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// word takes letters, if some come next.
func (w *wkt) word() string {
	w.space()
	n := 0
	for n < len(w.rest) && (w.rest[n]|0x20)-'a' < 26 {
		n++
	}
	s := w.rest[:n]
	w.rest = w.rest[n:]
	return s
}

// number takes a number, if one comes next.
func (w *wkt) number() (float64, bool) {
	w.space()
	n := 0
	for n < len(w.rest) && strings.IndexByte("0123456789+-.eE", w.rest[n]) >= 0 {
		n++
	}
	f, ok := vec.ParseFloat(w.rest[:n])
	if ok {
		w.rest = w.rest[n:]
	}
	return f, ok
}
