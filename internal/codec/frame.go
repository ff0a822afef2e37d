package codec

import "bytes"

// framing is how the events of a JSON text lie in it.
type framing uint8

const (
	framingAuto   framing = iota
	framingLines          // a line is an event
	framingStream         // objects one after another, or arrays of objects
)

// frameKind is what a framer found.
type frameKind uint8

const (
	frameEvent frameKind = iota // an object, from start to end
	frameBad                    // something that is no event
	frameWait                   // more bytes are needed from next on
	frameEnd                    // the text is over
)

// frame is a piece of the text. Reading goes on at next.
type frame struct {
	kind       frameKind
	start, end int
	next       int
	reason     string
}

// framer cuts a text into events. What it finds depends on the whole text only, not on
// how it was cut into buffers.
//
// In lines mode a bad event ends with its line. In stream mode a bad event ends with its
// brackets if they match up on the line where it goes wrong; if they do not, reading goes
// on at the next line that starts with "{". The time is linear whatever the text: no part
// of it is looked at again once it belongs to a bad event. Commas between events are not
// checked: they count as white space.
type framer struct {
	mode  framing
	limit int // bytes of an event
	// skip drops the rest of a line that is too long.
	skip bool
	// resync looks for a line that starts with "{"; lineStart says that the byte before
	// the buffer ended a line.
	resync    bool
	lineStart bool
	inArray   bool
	ended     bool // the end of the text has been reported
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// skipSpace is the position of the first byte from pos on that is no white space.
func skipSpace(data []byte, pos int) int {
	for pos < len(data) && isSpace(data[pos]) {
		pos++
	}
	return pos
}

// next finds the event at or after pos.
func (f *framer) next(data []byte, pos int, last bool) frame {
	if f.mode == framingAuto {
		mode, ok := detectFraming(data[pos:], last, f.limit)
		if !ok {
			return frame{kind: frameWait, next: pos}
		}
		f.mode = mode
	}
	if f.mode == framingLines {
		return f.line(data, pos, last)
	}
	return f.object(data, pos, last)
}

// detectFraming decides between lines and stream by the first bytes; false if there
// are too few of them. It is stream mode if the text starts with "[", or with an object
// that another byte follows on its line, or with an object over several lines whose
// second line does not start with "{".
func detectFraming(data []byte, last bool, limit int) (framing, bool) {
	pos := skipSpace(data, 0)
	if pos == len(data) {
		return framingLines, last
	}
	if data[pos] == '[' {
		return framingStream, true
	}
	if data[pos] != '{' {
		return framingLines, true
	}
	line := bytes.IndexByte(data[pos:], '\n')
	if line > limit {
		line = -1 // whether it is there may depend on the buffer
	}
	end, state := matchBrackets(data, pos, len(data), limit)
	switch {
	case state == matchOpen && line < 0 && !last:
		return 0, false
	case state == matchDone && (line < 0 || end <= pos+line):
		for ; end < len(data); end++ {
			if data[end] == '\n' {
				return framingLines, true
			}
			if !isSpace(data[end]) {
				return framingStream, true
			}
		}
		return framingLines, last
	case line < 0 || state == matchBroken && end <= pos+line:
		return framingLines, true
	}
	second := pos + line + 1
	if second == len(data) {
		return framingLines, last
	}
	if data[second] == '{' {
		return framingLines, true
	}
	return framingStream, true
}

// line frames in lines mode.
func (f *framer) line(data []byte, pos int, last bool) frame {
	if f.skip {
		i := bytes.IndexByte(data[pos:], '\n')
		if i < 0 {
			return f.rest(len(data), last)
		}
		pos += i + 1
		f.skip = false
	}
	pos = skipSpace(data, pos)
	if pos == len(data) {
		return f.rest(pos, last)
	}
	end, next := len(data), len(data)
	i := bytes.IndexByte(data[pos:], '\n')
	if i >= 0 {
		end, next = pos+i, pos+i+1
	}
	if end-pos > f.limit {
		f.skip = i < 0
		return frame{kind: frameBad, start: pos, end: pos + f.limit, next: next, reason: reasonTooLong}
	}
	if i < 0 && !last {
		return frame{kind: frameWait, next: pos}
	}
	for isSpace(data[end-1]) {
		end--
	}
	return frame{kind: frameEvent, start: pos, end: end, next: next}
}

// rest is the frame for a buffer in which nothing is left.
func (f *framer) rest(pos int, last bool) frame {
	if last {
		return frame{kind: frameEnd, next: pos}
	}
	return frame{kind: frameWait, next: pos}
}

// The reasons that do not come from the JSON parser.
const (
	reasonTooLong   = "the event is too long"
	reasonNoObject  = "the event is not an object"
	reasonOpenArray = "the text ends inside an array"
	reasonOpenEvent = "the text ends inside the event"
	reasonBroken    = "the brackets or quotes do not match"
)

// object frames in stream mode.
func (f *framer) object(data []byte, pos int, last bool) frame {
	if f.resync {
		i := f.findLine(data, pos)
		if i < 0 {
			return f.rest(len(data), last)
		}
		pos = i
		f.resync = false
	}
	for ; pos < len(data); pos++ {
		switch c := data[pos]; {
		case isSpace(c) || c == ',':
		case c == '[' && !f.inArray:
			f.inArray = true
		case c == ']' && f.inArray:
			f.inArray = false
		default:
			return f.value(data, pos, last)
		}
	}
	if last && f.inArray && !f.ended {
		f.ended = true
		return frame{kind: frameBad, start: pos, end: pos, next: pos, reason: reasonOpenArray}
	}
	return f.rest(pos, last)
}

// findLine is the position of the next "{" at the start of a line, or -1.
func (f *framer) findLine(data []byte, pos int) int {
	if pos == len(data) {
		return -1
	}
	if f.lineStart && data[pos] == '{' {
		return pos
	}
	if i := bytes.Index(data[pos:], []byte("\n{")); i >= 0 {
		return pos + i + 1
	}
	f.lineStart = data[len(data)-1] == '\n'
	return -1
}

// value frames what starts at pos in stream mode: an event, or something bad.
func (f *framer) value(data []byte, pos int, last bool) frame {
	c := data[pos]
	if c != '{' && c != '[' && c != '"' {
		return f.token(data, pos, last)
	}
	bound := data[:min(len(data), pos+f.limit+1)]
	if c == '{' {
		end := scanNested(bound, pos, 1)
		if end >= 0 && end-pos <= f.limit {
			return frame{kind: frameEvent, start: pos, end: end, next: end}
		}
		return f.damaged(data, pos, ^end, last)
	}
	return f.damaged(data, pos, pos, last)
}

// damaged frames a bad event that goes wrong at position wrong, and finds where reading goes
// on. An event that does not end may be good: then more of the text is needed.
func (f *framer) damaged(data []byte, pos, wrong int, last bool) frame {
	end, state := matchBrackets(data, pos, wrong, f.limit)
	reason := reasonBroken
	switch state {
	case matchDone:
		if data[pos] == '{' {
			return frame{kind: frameEvent, start: pos, end: end, next: end}
		}
		return frame{kind: frameBad, start: pos, end: end, next: end, reason: reasonNoObject}
	case matchOpen:
		if !last {
			return frame{kind: frameWait, next: pos}
		}
		reason = reasonOpenEvent
	case matchLong:
		reason = reasonTooLong
	}
	return f.rubbish(pos, end, reason)
}

// token frames a number, a word or rubbish. Rubbish loses the place.
func (f *framer) token(data []byte, pos int, last bool) frame {
	end := pos
	for end < len(data) && end-pos <= f.limit && isTokenByte(data[end]) {
		end++
	}
	if end-pos > f.limit {
		return f.rubbish(pos, pos+f.limit, reasonTooLong)
	}
	if end == len(data) && !last {
		return frame{kind: frameWait, next: pos}
	}
	if end == pos {
		return f.rubbish(pos, pos+1, reasonNoObject)
	}
	return frame{kind: frameBad, start: pos, end: end, next: end, reason: reasonNoObject}
}

// rubbish is the frame of something after which no event can be expected to start.
func (f *framer) rubbish(pos, end int, reason string) frame {
	f.resync = true
	f.lineStart = false
	return frame{kind: frameBad, start: pos, end: end, next: end, reason: reason}
}

// isTokenByte reports whether c may stand in a number or a word.
func isTokenByte(c byte) bool {
	return c-'0' <= 9 || (c|0x20)-'a' <= 25 || c == '-' || c == '+' || c == '.'
}

// matchState is how a search for the matching bracket ended.
type matchState uint8

const (
	matchDone   matchState = iota
	matchOpen              // the text ends before
	matchLong              // more than limit bytes
	matchBroken            // the brackets cannot match, or a string contains a line end
)

// matchBrackets finds the end of the object, array or string at pos. It looks at brackets
// and strings only. From position wrong on it does not look beyond the end of the line.
// end is where the search stopped.
func matchBrackets(data []byte, pos, wrong, limit int) (end int, state matchState) {
	text := data[pos:]
	if len(text) > limit+1 {
		text = text[:limit+1]
	}
	i, state := matchText(text, wrong-pos)
	if i > limit || state == matchOpen && len(text) > limit {
		return pos + limit, matchLong
	}
	return pos + i, state
}

// matchText is matchBrackets for a text that it may read to its end. Brackets deeper
// than the parser takes only count, so that too deep an event still has an end.
func matchText(text []byte, wrong int) (int, matchState) {
	const kept = 2 * 128
	var open [kept]byte
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			n, state := matchString(text[i:])
			if i += n; state != matchDone || depth == 0 {
				return i, state
			}
			i--
		case '{', '[':
			if depth < kept {
				open[depth] = c + 2
			}
			depth++
		case '}', ']':
			depth--
			if depth < kept && open[depth] != c {
				return i, matchBroken
			}
			if depth == 0 {
				return i + 1, matchDone
			}
		case '\n':
			if i >= wrong {
				return i, matchBroken
			}
		}
	}
	return len(text), matchOpen
}

// matchString finds the end of the string that text starts with. A control character in
// it means that a quote is missing: then the search stops there.
func matchString(text []byte) (int, matchState) {
	for i := 1; ; i++ {
		i = plainEnd(text, i)
		if i < len(text) && text[i] == '\\' {
			i++ // the byte behind it cannot end the string, but a control character can
		} else if i < len(text) && text[i] == '"' {
			return i + 1, matchDone
		}
		if i >= len(text) {
			return len(text), matchOpen
		}
		if text[i] < ' ' {
			return i, matchBroken
		}
	}
}
