package codec

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// next finds the row at or after pos and its cells. A row with a quote that nobody closes
// ends with its first line.
func (d *CSVDecoder) next(data []byte, pos int, last bool) frame {
	wait := frame{kind: frameWait, next: pos}
	if last {
		wait.kind = frameEnd
	}
	if d.skip {
		i := bytes.IndexByte(data[pos:], '\n')
		if i < 0 {
			wait.next = len(data)
			return wait
		}
		pos += i + 1
		d.skip = false
	}
	for pos < len(data) && (data[pos] == '\n' || data[pos] == '\r') {
		if data[pos] == '\r' && (pos+1 < len(data) || !last) && lineEnd(data, pos) < 2 {
			break
		}
		pos++
	}
	wait.next = pos
	if pos == len(data) || !last && pos+1 == len(data) && data[pos] == '\r' {
		return wait
	}
	text := data
	if len(text)-pos > d.o.MaxEvent+2 { // a line end may come after the limit
		text = text[:pos+d.o.MaxEvent+2]
		last = false
	}
	f, ok := d.scanRow(text, pos, last)
	switch {
	case ok && f.end-f.start > d.o.MaxEvent, !ok && len(text)-pos >= d.o.MaxEvent+2:
		return d.dropLine(data, pos, pos+d.o.MaxEvent, reasonTooLong)
	case ok && f.kind == frameBad:
		return d.dropLine(data, pos, f.end, f.reason)
	case ok:
		return f
	case last:
		return d.dropLine(data, pos, len(data), "a quote is not closed")
	}
	return wait
}

// dropLine is the frame of a bad row: reading goes on at the next line.
func (d *CSVDecoder) dropLine(data []byte, pos, end int, reason string) frame {
	f := frame{kind: frameBad, start: pos, end: end, next: len(data), reason: reason}
	if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
		f.next = pos + i + 1
		f.end = min(f.end, pos+i)
	} else {
		d.skip = true
	}
	return f
}

// scanRow finds the cells of the row at pos. It is false if the text ends before the row
// does; with last set, only an open quote is such an end.
func (d *CSVDecoder) scanRow(data []byte, pos int, last bool) (frame, bool) {
	d.cells = d.cells[:0]
	start := pos
	for {
		cell := csvCell{start: pos}
		if pos < len(data) && data[pos] == '"' {
			cell.start++
			end, doubled := closingQuote(data, pos+1)
			if end < 0 || end+1 == len(data) && !last {
				return frame{}, false
			}
			cell.end, cell.doubled = end, doubled
			pos = end + 1
			if pos+1 == len(data) && data[pos] == '\r' && !last {
				return frame{}, false
			}
			if pos < len(data) && data[pos] != d.comma && lineEnd(data, pos) == 0 {
				return frame{kind: frameBad, start: start, end: pos, reason: "text after a closing quote"}, true
			}
		} else {
			pos = d.fieldEnd(data, pos)
			cell.end = pos
			if pos == len(data) && !last {
				return frame{}, false
			}
			if (pos == len(data) || data[pos] == '\n') && cell.end > cell.start && data[cell.end-1] == '\r' {
				cell.end--
			}
		}
		d.cells = append(d.cells, cell)
		if pos < len(data) && data[pos] == d.comma {
			pos++
			continue
		}
		f := frame{kind: frameEvent, start: start, end: pos, next: pos}
		f.next += lineEnd(data, pos)
		if f.end > start && data[f.end-1] == '\r' {
			f.end--
		}
		return f, true
	}
}

// lineEnd is the length of the line end at pos: 0 if there is none. A CR that ends the
// text ends its line.
func lineEnd(data []byte, pos int) int {
	switch {
	case pos < len(data) && data[pos] == '\n':
		return 1
	case pos < len(data) && data[pos] == '\r' && pos+1 == len(data):
		return 1
	case pos+1 < len(data) && data[pos] == '\r' && data[pos+1] == '\n':
		return 2
	}
	return 0
}

// closingQuote is the position of the quote that closes the field that starts at pos, -1
// if there is none.
func closingQuote(data []byte, pos int) (end int, doubled bool) {
	for {
		i := bytes.IndexByte(data[pos:], '"')
		if i < 0 {
			return -1, doubled
		}
		pos += i
		if pos+1 == len(data) || data[pos+1] != '"' {
			return pos, doubled
		}
		doubled = true
		pos += 2
	}
}

// Eight bytes at a time: ones holds 1 in each, highs the top bit.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// fieldEnd is the position of the next delimiter or LF.
func (d *CSVDecoder) fieldEnd(data []byte, pos int) int {
	comma := uint64(d.comma) * ones
	for ; pos+8 <= len(data); pos += 8 {
		x := binary.LittleEndian.Uint64(data[pos:])
		a, b := x^comma, x^('\n'*ones)
		// A byte that is zero in a or b sets its top bit; bytes above the first may be
		// wrong, and are not looked at.
		if m := ((a-ones)&^a | (b-ones)&^b) & highs; m != 0 {
			return pos + bits.TrailingZeros64(m)/8
		}
	}
	for pos < len(data) && data[pos] != d.comma && data[pos] != '\n' {
		pos++
	}
	return pos
}
