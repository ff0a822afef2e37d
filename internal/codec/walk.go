package codec

import (
	"math/bits"
	"unsafe"

	"weir/internal/vec"
)

// walk is run for marked text in lines mode: it decodes the events from pos on as long as
// they take known shapes and lie in the marked text. Where an event ends follows from the
// marks alone, so a processor that runs ahead has several events at work at once.
//
// It is one long function because calls would cost as much as what they do. Each case
// takes the common form of a value and goes on with the next step; what is left over is
// done by slowValue. No value and no literal but the last holds a line end, so nothing is
// taken from behind the event, and what is read there is within the slack.
func (d *JSONDecoder) walk(data []byte, pos, max int) (int, bool) {
	base := unsafe.Pointer(unsafe.SliceData(data))
	stops := unsafe.Pointer(unsafe.SliceData(d.marks.stops))
	lines := unsafe.Pointer(unsafe.SliceData(d.marks.lines))
	safe := d.marks.n - slack
	row := d.row
	defer func() { d.row = row }()
	if d.lay.first == nil {
		return pos, true
	}
	for row < max {
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
		p := pos
		s := d.lay.first
	event:
		for {
			if (load8(base, p)^s.w0)&s.m0|(load8(base, p+8)^s.w1)&s.m1 != 0 || s.rest != nil && !hasRest(data, p, s) {
				if s = s.alt; s == nil {
					return pos, true
				}
				continue
			}
			q := p + s.n
			switch s.op {
			case opEnd:
				p = q
				break event
			case opSkipString:
				if w := window(stops, q); w != 0 {
					if end := q + bits.TrailingZeros64(w); load1(base, end) == '"' {
						p, s = end, s.next
						continue
					}
				}
			case opString:
				// A text of up to 16 bytes that the dictionary has, or one that needs none.
				n := bits.TrailingZeros64(window(stops, q))
				c := s.col
				if n >= windowBits || load1(base, q+n) != '"' || c.kind != vec.String {
					break
				}
				if c.dict == nil {
					c.strs[row] = text(data[q : q+n])
					p, s = q+n, s.next
					continue
				}
				if n > 16 {
					break
				}
				lo, hi := load8(base, q), uint64(0)
				if n < 8 {
					lo &= 1<<(8*uint(n)&63) - 1
				} else {
					hi = load8(base, q+n-8)
				}
				if t := c.dict.slot(lo, hi, n); t.lo == lo && t.hi == hi && t.n == uint32(n) && t.code != 0 {
					c.codes[row] = t.code - 1
				} else {
					c.putString(row, data[q:q+n])
				}
				p, s = q+n, s.next
				continue
			case opTime:
				// A time in the minute of the last one.
				c := s.col
				if load8(base, q) == c.clock.lo && load8(base, q+8) == c.clock.hi && load1(base, q+24) == '"' {
					if f, ok := secondsZ(load8(base, q+16)); ok && c.kind == vec.Datetime {
						c.ints[row] = int64(c.clock.minute) + f
						p, s = q+24, s.next
						continue
					}
				}
			case opSkipWord, opWord:
				// Without branches: which of the two comes next is anyone's guess.
				x := load8(base, q)
				yes, no := 0, 0
				if uint32(x) == wordTrue {
					yes = 1
				}
				if x&mask5 == wordFalse {
					no = 1
				}
				if yes|no != 0 {
					if c := s.col; c != nil {
						if c.kind != vec.Bit {
							c.mark(row, vec.Bit)
						}
						c.ints[row] = int64(yes)
					}
					p, s = q+4+no, s.next
					continue
				}
			case opSkipNumber, opNumber:
				// A whole number of up to 7 digits.
				y := load8(base, q) ^ zeroDigits
				n := bits.TrailingZeros64(digitStops(y)) >> 3
				if k := load1(base, q+n); (k == ',' || k == '}') && n > 0 && n < 8 && (y&0xff != 0 || n == 1) {
					if c := s.col; c != nil {
						if c.kind != vec.Int {
							c.mark(row, vec.Int)
						}
						c.ints[row] = int64(digits8(y << (64 - 8*uint(n))))
					}
					p, s = q+n, s.next
					continue
				}
			case opField:
				if q = d.recordValue(data, base, q, e, row, s); q >= 0 {
					p, s = q, s.next
					continue
				}
				if s = s.alt; s == nil {
					return pos, true
				}
				continue
			}
			if q = d.slowValue(data, q, row, s); q >= 0 && q <= e {
				p, s = q, s.next
			} else if s = s.alt; s == nil {
				return pos, true
			}
		}
		if p != e+1 {
			return pos, true
		}
		if d.shallow || s.absent != nil {
			d.finish(row, s)
		}
		d.offsets[row] = int32(pos)
		row++
		pos = p
	}
	return pos, false
}
