package objects

import (
	"fmt"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/text"
	"weir/internal/vec"
)

// place is a position: how far objects have been read, of those that were changed at from or
// later.
type place struct {
	from vec.Time
	text.Position
}

var start = place{from: vec.MinTime}

// text is the text of a place: "638500000000000000|3 3:120:7:l". That of the start is "".
func (p place) text() connect.Position {
	if p.from == vec.MinTime && p.Started == 0 {
		return ""
	}
	from := ""
	if p.from != vec.MinTime {
		from = strconv.FormatInt(int64(p.from), 10)
	}
	return connect.Position(from) + "|" + p.Position.Text()
}

// parsePlace reads the text of a place.
func parsePlace(s connect.Position) (place, error) {
	p := start
	if s == "" {
		return p, nil
	}
	bad := fmt.Errorf("%.80q is no position of an input that reads objects", string(s))
	from, rest, ok := strings.Cut(string(s), "|")
	if !ok {
		return p, bad
	}
	if from != "" {
		n, err := strconv.ParseInt(from, 10, 64)
		if err != nil || !vec.Time(n).Valid() {
			return p, bad
		}
		p.from = vec.Time(n)
	}
	var err error
	if p.Position, err = text.ParsePosition(connect.Position(rest)); err != nil || p.text() != s {
		return p, bad
	}
	return p, nil
}
