package codec

import (
	"math/bits"
	"unsafe"

	"weir/internal/vec"
)

// walk is run for marked text in lines mode: it decodes the events from pos on as long as
// they take known shapes and lie in the marked text. Where an event ends follows from the
// marks alone, so a processor that runs ahead has several events at work at once.
func (d *JSONDecoder) walk(data []byte, pos, max int) (int, bool) {
	base := unsafe.Pointer(unsafe.SliceData(data))
	stops := unsafe.Pointer(unsafe.SliceData(d.marks.stops))
	lines := unsafe.Pointer(unsafe.SliceData(d.marks.lines))
	safe := d.marks.n - slack
	first := d.lay.first
	row := d.row
	defer func() { d.row = row }()
	if first == nil {
		return pos, true
	}
	for row < max {
		// e is the line end: nothing of the event is read behind it but in vain.
		e := pos
		if e > safe {
			return pos, false
		}
		w := window(lines, e)
		for w == 0 {
			if e += windowBits; e > safe {
				return pos, false
			}
			w = window(lines, e)
		}
		if e += bits.TrailingZeros64(w); e > safe || e-pos > d.limit {
			return pos, e <= safe
		}
		p := d.follow(data, base, stops, pos, e, row, first)
		if p != e+1 {
			return pos, true
		}
		d.offsets[row] = int32(pos)
		row++
		pos = p
	}
	return pos, false
}

// follow takes the event at p, whose line ends at e, along the steps from s on. It returns
// the position behind it, or something else than e+1 if its shape is unknown.
func (d *JSONDecoder) follow(data []byte, base, stops unsafe.Pointer, p, e, row int, s *step) int {
	for {
		if (load8(base, p)^s.w0)&s.m0|(load8(base, p+8)^s.w1)&s.m1 != 0 {
			if s = s.alt; s == nil {
				return -1
			}
			continue
		}
		if s.rest != nil && !hasRest(data, p, s) {
			if s = s.alt; s == nil {
				return -1
			}
			continue
		}
		q := p + s.n
		switch s.op {
		case opEnd:
			if q == e+1 && (d.shallow || s.absent != nil) {
				d.finish(row, s)
			}
			return q
		case opSkipString:
			at := q
			w := window(stops, q)
			for w == 0 && q <= e {
				q += windowBits
				w = window(stops, q)
			}
			if q += bits.TrailingZeros64(w); q > e || load1(base, q) != '"' {
				q = d.slowValue(data, at, row, s)
			}
		case opString:
			q = d.marked(data, base, stops, q, row, s)
		case opTime:
			c := s.col
			if load8(base, q) == c.clock.lo && load8(base, q+8) == c.clock.hi {
				if f, ok := secondsZ(load8(base, q+16)); ok && load1(base, q+24) == '"' {
					if c.kind != vec.Datetime {
						c.mark(row, vec.Datetime)
					}
					c.ints[row] = int64(c.clock.minute) + f
					q += 24
					break
				}
			}
			q = d.slowValue(data, q, row, s)
		case opSkipWord, opWord:
			q = d.word(data, base, q, row, s)
		case opSkipNumber, opNumber:
			q = d.number(data, base, q, row, s)
		case opField:
			q = d.recordValue(data, base, q, e, row, s)
		default:
			q = d.slowValue(data, q, row, s)
		}
		switch {
		case q >= 0 && q <= e:
			p, s = q, s.next
		default:
			if s = s.alt; s == nil {
				return -1
			}
		}
	}
}

// marked takes a string of marked text that one column wants.
func (d *JSONDecoder) marked(data []byte, base, stops unsafe.Pointer, q, row int, s *step) int {
	n := bits.TrailingZeros64(window(stops, q))
	c := s.col
	if n > 16 || load1(base, q+n) != '"' || c.dict == nil {
		return d.slowValue(data, q, row, s)
	}
	lo, hi := load8(base, q), uint64(0)
	if n < 8 {
		lo &= 1<<(8*uint(n)) - 1
	} else {
		hi = load8(base, q+n-8)
	}
	if c.kind != vec.String {
		c.mark(row, vec.String)
	}
	if e := c.dict.slot(lo, hi, n); e.lo == lo && e.hi == hi && e.n == uint32(n) && e.code != 0 {
		c.codes[row] = e.code - 1
		return q + n
	}
	c.putString(row, data[q:q+n])
	return q + n
}
