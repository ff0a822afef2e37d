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
	lines := unsafe.Pointer(unsafe.SliceData(d.marks.lines))
	safe := d.marks.n - slack
	if d.lay.first == nil {
		return pos, true
	}
	for d.row < max {
		// e is the line end.
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
		p, s := d.follow(base, pos, d.row)
		if p != e+1 {
			return pos, true
		}
		if d.shallow || s.absent != nil {
			d.finish(d.row, s)
		}
		d.offsets[d.row] = int32(pos)
		d.row++
		pos = e + 1 // known before p is: the next event need not wait for this one
	}
	return pos, false
}

// follow takes the event at p along the steps of known shapes. It returns the position
// behind the event and its last step, or a negative position if the shape is unknown.
//
// It is one function, with little to keep in registers, because calls would cost as much
// as what they do. Each case takes the common form of a value and goes on with the next
// step; what is left over is done by rare. No value and no literal but the last holds a
// line end, so nothing is taken from behind the event, and what is read there is within
// the slack.
func (d *JSONDecoder) follow(base unsafe.Pointer, p, row int) (int, *step) {
	stops := unsafe.Pointer(unsafe.SliceData(d.marks.stops))
	s := d.lay.first
	for {
		if (load8(base, p)^s.w0)&s.m0|(load8(base, p+8)^s.w1)&s.m1 != 0 || s.rest != nil && !d.rest(p, s) {
			if s = s.alt; s == nil {
				return -1, nil
			}
			continue
		}
		p += s.n
		switch s.op {
		case opEnd:
			return p, s
		case opSkipString:
			if w := window(stops, p); w != 0 {
				if end := p + bits.TrailingZeros64(w); load1(base, end) == '"' {
					p, s = end, s.next
					continue
				}
			}
		case opString:
			// A text of up to 16 bytes that the dictionary has, or one that needs none.
			n := bits.TrailingZeros64(window(stops, p))
			c := s.col
			if n >= windowBits || load1(base, p+n) != '"' || c.kind != vec.String {
				break
			}
			if c.dict == nil {
				c.strs[row] = unsafe.String((*byte)(unsafe.Add(base, p)), n)
				p, s = p+n, s.next
				continue
			}
			if n > 16 {
				break
			}
			if c.later {
				c.spots[row] = spot{uint32(p), uint32(n)}
				p, s = p+n, s.next
				continue
			}
			lo, hi := load8(base, p), uint64(0)
			if n < 8 {
				lo &= 1<<(8*uint(n)&63) - 1
			} else {
				hi = load8(base, p+n-8)
			}
			if t := c.dict.slot(lo, hi, n); t.lo == lo && t.hi == hi && t.n == uint32(n) && t.code != 0 {
				c.codes[row] = t.code - 1
				p, s = p+n, s.next
				continue
			}
		case opTime:
			// A time in the minute of the last one.
			c := s.col
			if load8(base, p) == c.clock.lo && load8(base, p+8) == c.clock.hi && load1(base, p+24) == '"' && c.kind == vec.Datetime {
				if f, ok := secondsZ(load8(base, p+16)); ok {
					c.ints[row] = int64(c.clock.minute) + f
					p, s = p+24, s.next
					continue
				}
			}
		case opBoth:
			// As opTime, and the text has no dictionary.
			c, t := s.col, s.text
			if load8(base, p) == c.clock.lo && load8(base, p+8) == c.clock.hi && load1(base, p+24) == '"' &&
				c.kind == vec.Datetime && t.kind == vec.String && t.dict == nil {
				if f, ok := secondsZ(load8(base, p+16)); ok {
					c.ints[row] = int64(c.clock.minute) + f
					t.strs[row] = unsafe.String((*byte)(unsafe.Add(base, p)), 24)
					p, s = p+24, s.next
					continue
				}
			}
		case opSkipWord, opWord:
			// Without branches: which of the two comes next is anyone's guess.
			x := load8(base, p)
			yes, no := 0, 0
			if uint32(x) == wordTrue {
				yes = 1
			}
			if x&mask5 == wordFalse {
				no = 1
			}
			if c := s.col; yes|no != 0 && (c == nil || c.kind == vec.Bit) {
				if c != nil {
					c.ints[row] = int64(yes)
				}
				p, s = p+4+no, s.next
				continue
			}
		case opSkipNumber, opNumber:
			// A whole number of up to 7 digits.
			y := load8(base, p) ^ zeroDigits
			n := bits.TrailingZeros64(digitStops(y)) >> 3
			if k := load1(base, p+n); (k == ',' || k == '}') && n > 0 && n < 8 && (y&0xff != 0 || n == 1) {
				if c := s.col; c == nil {
					p, s = p+n, s.next
					continue
				} else if c.kind == vec.Int {
					c.ints[row] = int64(digits8(y << (64 - 8*uint(n))))
					p, s = p+n, s.next
					continue
				}
			}
		}
		if p, s = d.rare(base, p, row, s); p < 0 {
			return -1, nil
		}
	}
}

// rest is hasRest for follow.
//
//go:noinline
func (d *JSONDecoder) rest(p int, s *step) bool { return hasRest(d.data, p, s) }

// rare takes the value at p in any form, and gives the next step; or, if it is not of the
// kind that s wants, the position of the literal and the step to try instead. The position
// is negative if there is none.
//
//go:noinline
func (d *JSONDecoder) rare(base unsafe.Pointer, p, row int, s *step) (int, *step) {
	q := -1
	if s.op == opField {
		q = d.recordValue(d.data, base, p, d.marks.n-slack, row, s)
	} else {
		q = d.slowValue(d.data, p, row, s)
	}
	if q >= 0 {
		if q > d.marks.n-slack {
			return -1, nil
		}
		return q, s.next
	}
	if s.alt == nil {
		return -1, nil
	}
	return p - s.n, s.alt
}
