package file

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
)

// spot is a place in a file.
type spot struct {
	n     int64 // of the file, as the registry counts
	off   int64 // in the text, unpacked and in UTF-8
	line  int64 // from 1
	place codec.Place
	ended bool // the file will not be read any more
}

// position is how far all files have been read: those up to started have been, as far as
// open says, or to their ends if open has no spot of theirs. The first spot is that of the
// file that was read last, whether it has ended or not; the others follow by number.
type position struct {
	started int64
	open    []spot
}

// String is the text of a position: "3 3:120:7:l 1:88:2:l".
func (p position) text() connect.Position {
	if p.started == 0 {
		return ""
	}
	b := strconv.AppendInt(nil, p.started, 10)
	for _, s := range p.open {
		b = append(b, ' ')
		b = append(strconv.AppendInt(b, s.n, 10), ':')
		b = append(strconv.AppendInt(b, s.off, 10), ':')
		b = append(strconv.AppendInt(b, s.line, 10), ':', byte(s.place))
		if s.ended {
			b = append(b, '.')
		}
	}
	return connect.Position(b)
}

// parsePosition reads the text of a position.
func parsePosition(text connect.Position) (position, error) {
	if text == "" {
		return position{}, nil
	}
	bad := fmt.Errorf("%q is no position of a file input", string(text))
	words := strings.Split(string(text), " ")
	var p position
	var err error
	if p.started, err = parseCount(words[0]); err != nil || p.started == 0 {
		return p, bad
	}
	for i, w := range words[1:] {
		parts := strings.Split(w, ":")
		if len(parts) != 4 {
			return p, bad
		}
		var s spot
		var numbers [3]int64
		for k := range numbers {
			if numbers[k], err = parseCount(parts[k]); err != nil {
				return p, bad
			}
		}
		s.n, s.off, s.line = numbers[0], numbers[1], numbers[2]
		last, ended := strings.CutSuffix(parts[3], ".")
		s.ended = ended
		if len(last) == 1 {
			s.place = codec.Place(last[0])
		}
		known := slices.ContainsFunc(p.open, func(o spot) bool { return o.n == s.n })
		if !s.place.Valid() || s.n == 0 || s.n > p.started || s.line == 0 || known || ended && i > 0 ||
			i > 1 && s.n < p.open[i-1].n {
			return p, bad
		}
		p.open = append(p.open, s)
	}
	return p, nil
}

// parseCount is strconv.ParseInt for the one way in which text writes a number.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n < 0 || strconv.FormatInt(n, 10) != s) {
		err = strconv.ErrSyntax
	}
	return n, err
}

// spot is where reading of a file goes on; false if it has ended.
func (p position) spot(n int64) (spot, bool) {
	for _, s := range p.open {
		if s.n == n {
			return s, !s.ended
		}
	}
	if n > p.started {
		return spot{n: n, line: 1, place: codec.PlaceStart}, true
	}
	return spot{}, false
}

// begin is the position with a file started. Those before it that have not been are at their
// starts.
func (p position) begin(n int64) position {
	next := position{started: max(p.started, n), open: slices.Clone(p.open)}
	for m := p.started + 1; m <= n; m++ {
		next.open = append(next.open, spot{n: m, line: 1, place: codec.PlaceStart})
	}
	return next
}

// touch is the position after a file has been read to a spot.
func (p position) touch(s spot) position {
	p = p.begin(s.n)
	next := position{started: p.started, open: []spot{s}}
	for _, o := range p.open {
		if o.n != s.n && !o.ended {
			next.open = append(next.open, o)
		}
	}
	slices.SortFunc(next.open[1:], func(a, b spot) int { return int(a.n - b.n) })
	return next
}

// end is the position when a file will not be read any more.
func (p position) end(n int64) position {
	next := p.begin(n)
	for i := range next.open {
		if next.open[i].n != n {
			continue
		}
		if i == 0 {
			next.open[i].ended = true
			return next
		}
		next.open = slices.Delete(next.open, i, i+1)
		return next
	}
	return next
}
