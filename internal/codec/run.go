package codec

import (
	"bytes"
	"math/bits"
	"unsafe"

	"weir/internal/vec"
)

// slack is how many bytes a step may read behind the position where it starts without
// a look at the end of the buffer: two words of the literal, and three of the value.
const slack = 64

// Words of JSON, as they stand in memory.
const (
	wordTrue   = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordNull   = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
	wordFalse  = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24 | 'e'<<32
	mask5      = 1<<40 - 1
	zeroDigits = '0' * ones
)

// digitStops marks, with the top bit, bytes of y that are more than 9.
func digitStops(y uint64) uint64 { return (y + 0x76*ones | y) & highs }

// digits8 is the number of the eight digits in y, the first in the lowest byte, each as a
// value 0 to 9.
func digits8(y uint64) uint64 {
	y = y*10 + y>>8
	const pairs = 0x000000ff000000ff
	return ((y&pairs)*(100+1000000<<32) + (y>>16&pairs)*(1+10000<<32)) >> 32
}

// run decodes events from pos on as long as they take known shapes. It returns the
// position behind the last of them, and whether it stopped because a shape was unknown
// (and not because the batch is full or the buffer nearly over). Events begin at once at
// pos in lines mode; in stream mode, white space and commas may stand before them.
func (d *JSONDecoder) run(data []byte, pos, max int) (int, bool) {
	base := unsafe.Pointer(unsafe.SliceData(data))
	safe := len(data) - slack
	lines := d.mode == framingLines
	row := d.row
	if d.lay.first == nil {
		return pos, true
	}
	for row < max {
		p := pos
		if !lines {
			for p < len(data) && (isSpace(data[p]) || data[p] == ',') {
				p++
			}
		}
		start := p
		s := d.lay.first
	event:
		for {
			if p > safe {
				d.row = row
				return pos, false
			}
			q := -1
			if (load8(base, p)^s.w0)&s.m0|(load8(base, p+8)^s.w1)&s.m1 == 0 && (s.rest == nil || hasRest(data, p, s)) {
				q = p + s.n
				switch s.op {
				case opEnd:
					p = q
					break event
				case opSkipString:
					m := stringStops(load8(base, q))
					for m == 0 && q <= safe {
						q += 8
						m = stringStops(load8(base, q))
					}
					// Without a mark q is now beyond safe, and the 8 bytes behind it exist.
					if q += bits.TrailingZeros64(m) >> 3; load1(base, q) != '"' {
						q = d.slowValue(data, p+s.n, row, s)
					}
				case opString:
					q = d.stringValue(data, base, q, row, s)
				case opSkipNumber, opNumber:
					q = d.number(data, base, q, row, s)
				case opSkipWord, opWord:
					q = d.word(data, base, q, row, s)
				case opTime:
					q = d.time(data, base, q, row, s)
				default:
					q = d.value(data, base, q, safe, row, s)
				}
			}
			if q >= 0 {
				p, s = q, s.next
				continue
			}
			if s = s.alt; s == nil {
				d.row = row
				return pos, true
			}
		}
		if p-start > d.limit {
			d.row = row
			return pos, true
		}
		if d.shallow || s.absent != nil {
			d.finish(row, s)
		}
		d.offsets[row] = int32(start)
		row++
		pos = p
	}
	d.row = row
	return pos, false
}

// hasRest reports whether the literal of s goes on as it should behind its first 16 bytes,
// and leaves room for a value. Those bytes stand at p.
func hasRest(data []byte, p int, s *step) bool {
	return len(data)-p-s.n >= slack && string(data[p+16:p+s.n]) == string(s.rest)
}

// finish ends an event that ends with s.
func (d *JSONDecoder) finish(row int, s *step) {
	for _, c := range s.absent {
		c.putNull(row, vec.Missing)
	}
	if d.shallow {
		d.finishRecord(row, s)
	}
}

// value takes the value at q, behind the literal of s, in the ways that are rare. It
// returns the position behind it, a negative number if there is no such value.
func (d *JSONDecoder) value(data []byte, base unsafe.Pointer, q, safe, row int, s *step) int {
	switch s.op {
	case opEnd:
		d.finish(row, s)
		return q
	case opField:
		return d.recordValue(data, base, q, safe, row, s)
	}
	return d.slowValue(data, q, row, s)
}

// word takes true, false or null.
func (d *JSONDecoder) word(data []byte, base unsafe.Pointer, q, row int, s *step) int {
	x := load8(base, q)
	// Without branches: which of the two comes next is anyone's guess.
	var yes, no int
	if uint32(x) == wordTrue {
		yes = 1
	}
	if x&mask5 == wordFalse {
		no = 1
	}
	if yes|no == 0 {
		return d.slowValue(data, q, row, s)
	}
	if c := s.col; c != nil {
		if c.kind != vec.Bit {
			c.mark(row, vec.Bit)
		}
		c.ints[row] = int64(yes)
	}
	return q + 4 + no
}

// number takes a number. Integers of up to 7 digits are done here.
func (d *JSONDecoder) number(data []byte, base unsafe.Pointer, q, row int, s *step) int {
	y := load8(base, q) ^ zeroDigits
	n := bits.TrailingZeros64(digitStops(y)) >> 3
	if n == 0 || n == 8 || y&0xff == 0 && n > 1 {
		return d.slowValue(data, q, row, s)
	}
	if c := load1(base, q+n); c == '.' || c|0x20 == 'e' {
		return d.slowValue(data, q, row, s)
	}
	if c := s.col; c != nil {
		if c.kind != vec.Int {
			c.mark(row, vec.Int)
		}
		c.ints[row] = int64(digits8(y << (64 - 8*uint(n))))
	}
	return q + n
}

// stringValue takes a string that one column wants. Texts of up to 15 bytes are done here.
func (d *JSONDecoder) stringValue(data []byte, base unsafe.Pointer, q, row int, s *step) int {
	lo := load8(base, q)
	hi := uint64(0)
	n := 0
	if m := stringStops(lo); m != 0 {
		n = bits.TrailingZeros64(m) >> 3
		lo &= (m&-m)>>7 - 1
	} else if m := stringStops(load8(base, q+8)); m != 0 {
		n = 8 + bits.TrailingZeros64(m)>>3
		hi = load8(base, q+n-8)
	} else {
		return d.slowValue(data, q, row, s)
	}
	if load1(base, q+n) != '"' {
		return d.slowValue(data, q, row, s)
	}
	c := s.col
	if c.kind != vec.String {
		c.mark(row, vec.String)
	}
	if c.dict == nil {
		c.strs[row] = text(data[q : q+n])
		return q + n
	}
	if e := c.dict.slot(lo, hi, n); e.lo == lo && e.hi == hi && e.n == uint32(n) && e.code != 0 {
		c.putCode(row, e.code-1)
		return q + n
	}
	c.putString(row, data[q:q+n])
	return q + n
}

// time takes a string that one column wants as a datetime. The common form, in the minute
// of the last one, is done here.
func (d *JSONDecoder) time(data []byte, base unsafe.Pointer, q, row int, s *step) int {
	c := s.col
	if load8(base, q) == c.clock.lo && load8(base, q+8) == c.clock.hi {
		if f, ok := secondsZ(load8(base, q+16)); ok && load1(base, q+24) == '"' {
			if c.kind != vec.Datetime {
				c.mark(row, vec.Datetime)
			}
			c.ints[row] = int64(c.clock.minute) + f
			return q + 24
		}
	}
	return d.slowValue(data, q, row, s)
}

// secondsZ reads ":ss.fffZ" as ticks.
func secondsZ(x uint64) (int64, bool) {
	const (
		form  = ':' | '0'<<8 | '0'<<16 | '.'<<24 | '0'<<32 | '0'<<40 | '0'<<48 | 'Z'<<56
		digit = 0x00ffffff00ffff00
	)
	y := x ^ form
	if y&^digit != 0 || digitStops(y) != 0 {
		return 0, false
	}
	sec := y>>8&15*10 + y>>16&15
	if sec > 59 {
		return 0, false
	}
	ms := y>>32&15*100 + y>>40&15*10 + y>>48&15
	return int64(sec)*int64(vec.Second) + int64(ms)*int64(vec.Millisecond), true
}

// slowValue takes any value of the class of s, whoever wants it.
func (d *JSONDecoder) slowValue(data []byte, q, row int, s *step) int {
	end, flag := d.extent(data, q, s)
	if end >= 0 && len(s.cols) > 0 {
		d.convert(data, row, s.class, flag, q, end, s.cols)
	}
	return end
}

// extent is where the value of the class of s that starts at q ends, a negative number if
// there is none. flag is that of a member.
func (d *JSONDecoder) extent(data []byte, q int, s *step) (end int, flag bool) {
	if s.class == classString {
		return scanString(data, q)
	}
	if cl, ok := classOf(data[q]); !ok || cl != s.class {
		return -1, false
	}
	switch s.class {
	case classNumber:
		return scanNumber(data, q)
	case classWord:
		return scanWord(data, q), false
	}
	end = scanNested(data, q, s.depth+1)
	if end >= 0 && d.mode == framingLines && bytes.IndexByte(data[q:end], '\n') >= 0 {
		return -1, false // a line end would end the event
	}
	return end, false
}
