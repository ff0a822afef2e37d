package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
)

// Spot is a place in a file.
type Spot struct {
	N     int64 // of the file, as its registry counts
	Off   int64 // in the text, unpacked and in UTF-8
	Line  int64 // from 1
	Place codec.Place
	Ended bool // the file will not be read any more
}

// StartOf is the start of a file.
func StartOf(n int64) Spot { return Spot{N: n, Line: 1, Place: codec.PlaceStart} }

// Position is how far all files have been read: those up to Started have been, as far as
// Open says, or to their ends if Open has no spot of theirs. The first spot is that of the
// file that was read last, whether it has ended or not; the others follow by number.
type Position struct {
	Started int64
	Open    []Spot
}

// Text is the text of a position: "3 3:120:7:l 1:88:2:l".
func (p Position) Text() connect.Position {
	if p.Started == 0 {
		return ""
	}
	b := strconv.AppendInt(nil, p.Started, 10)
	for _, s := range p.Open {
		b = append(b, ' ')
		b = append(strconv.AppendInt(b, s.N, 10), ':')
		b = append(strconv.AppendInt(b, s.Off, 10), ':')
		b = append(strconv.AppendInt(b, s.Line, 10), ':', byte(s.Place))
		if s.Ended {
			b = append(b, '.')
		}
	}
	return connect.Position(b)
}

// ParsePosition reads the text of a position.
func ParsePosition(text connect.Position) (Position, error) {
	if text == "" {
		return Position{}, nil
	}
	bad := fmt.Errorf("%q is no position of a file input", string(text))
	words := strings.Split(string(text), " ")
	var p Position
	var err error
	if p.Started, err = parseCount(words[0]); err != nil || p.Started == 0 {
		return p, bad
	}
	for i, w := range words[1:] {
		parts := strings.Split(w, ":")
		if len(parts) != 4 {
			return p, bad
		}
		var s Spot
		var numbers [3]int64
		for k := range numbers {
			if numbers[k], err = parseCount(parts[k]); err != nil {
				return p, bad
			}
		}
		s.N, s.Off, s.Line = numbers[0], numbers[1], numbers[2]
		last, ended := strings.CutSuffix(parts[3], ".")
		s.Ended = ended
		if len(last) == 1 {
			s.Place = codec.Place(last[0])
		}
		known := slices.ContainsFunc(p.Open, func(o Spot) bool { return o.N == s.N })
		if !s.Place.Valid() || s.N == 0 || s.N > p.Started || s.Line == 0 || known || ended && i > 0 ||
			i > 1 && s.N < p.Open[i-1].N {
			return p, bad
		}
		p.Open = append(p.Open, s)
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

// Spot is where reading of a file goes on; false if it has ended.
func (p Position) Spot(n int64) (Spot, bool) {
	for _, s := range p.Open {
		if s.N == n {
			return s, !s.Ended
		}
	}
	if n > p.Started {
		return StartOf(n), true
	}
	return Spot{}, false
}

// Begin is the position with a file started. Those before it that have not been are at their
// starts.
func (p Position) Begin(n int64) Position {
	next := Position{Started: max(p.Started, n), Open: slices.Clone(p.Open)}
	for m := p.Started + 1; m <= n; m++ {
		next.Open = append(next.Open, StartOf(m))
	}
	return next
}

// Touch is the position after a file has been read to a spot.
func (p Position) Touch(s Spot) Position {
	p = p.Begin(s.N)
	next := Position{Started: p.Started, Open: []Spot{s}}
	for _, o := range p.Open {
		if o.N != s.N && !o.Ended {
			next.Open = append(next.Open, o)
		}
	}
	slices.SortFunc(next.Open[1:], func(a, b Spot) int { return int(a.N - b.N) })
	return next
}

// End is the position when a file will not be read any more.
func (p Position) End(n int64) Position {
	next := p.Begin(n)
	for i := range next.Open {
		if next.Open[i].N != n {
			continue
		}
		if i == 0 {
			next.Open[i].Ended = true
			return next
		}
		next.Open = slices.Delete(next.Open, i, i+1)
		return next
	}
	return next
}
