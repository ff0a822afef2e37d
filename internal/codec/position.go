package codec

import "bytes"

// positions knows where the rows of the last batch came from. Offsets count from the
// start of the buffer; base and line are those of its first byte.
type positions struct {
	data    []byte
	offsets []int32
	base    int64
	line    int64
	// nextBase and nextLine are base and line of the next buffer.
	nextBase, nextLine int64
	// counted and countedLine are the last position whose line is known.
	counted     int
	countedLine int64
	// asked and askedLine are the position and line of the row asked for last.
	asked     int
	askedLine int64
}

func newPositions() positions { return positions{nextLine: 1} }

// Begin sets the offset and the line of the first byte of the next Decode.
func (p *positions) Begin(offset, line int64) { p.nextBase, p.nextLine = offset, line }

// open starts a buffer.
func (p *positions) open(data []byte, max int) {
	p.data = data
	p.offsets = sized(p.offsets[:cap(p.offsets)], max)
	p.base, p.line = p.nextBase, p.nextLine
	p.counted, p.countedLine = 0, p.line
	p.asked, p.askedLine = 0, p.line
}

// lineAt is the line of a position not before the last one asked for.
func (p *positions) lineAt(pos int) int64 {
	if pos > p.counted {
		p.countedLine += int64(bytes.Count(p.data[p.counted:pos], newline))
		p.counted = pos
	}
	return p.countedLine
}

var newline = []byte{'\n'}

// passed says that the decoder has counted lines line ends up to pos itself.
func (p *positions) passed(pos, lines int) {
	p.counted, p.countedLine = pos, p.countedLine+int64(lines)
}

// close ends the buffer after consumed bytes and n rows.
func (p *positions) close(consumed, n int) {
	p.nextBase = p.base + int64(consumed)
	p.nextLine = p.lineAt(consumed)
	p.offsets = p.offsets[:n]
}

// place is the offset and line of row i.
func (p *positions) place(i int) (offset, line int64) {
	at := int(p.offsets[i])
	if at < p.asked {
		p.asked, p.askedLine = 0, p.line
	}
	p.askedLine += int64(bytes.Count(p.data[p.asked:at], newline))
	p.asked = at
	return p.base + int64(at), p.askedLine
}

// bad makes the report of a bad event.
func (p *positions) bad(start, end int, name, reason string) Bad {
	return Bad{
		Offset: p.base + int64(start), Line: p.lineAt(start), Name: name, Reason: reason,
		Text: p.data[start:min(end, start+maxBadText)],
	}
}

// boundBuffer cuts a buffer to what the offsets of rows can hold.
func boundBuffer(data []byte, last bool) ([]byte, bool) {
	const limit = 1<<31 - 1
	if len(data) > limit {
		return data[:limit], false
	}
	return data, last
}
