package vec

import (
	"strings"
	"unicode/utf8"
)

// text takes a string. Without escapes it is a piece of src.
func (p *jsonParser) text() (string, bool) {
	p.pos++
	s, start := p.src, p.pos
	high := byte(0)
	for i := start; i < len(s); i++ {
		c := s[i]
		if c == '"' {
			p.pos = i + 1
			if high >= 0x80 {
				return s[start:i], p.checkUTF8(start, i)
			}
			return s[start:i], true
		}
		if c == '\\' {
			return p.escaped(start, i)
		}
		if c < ' ' {
			return "", p.failAt(i, "a control character in a string must be escaped")
		}
		high |= c
	}
	return "", p.unclosed(start)
}

// unclosed reports a string without end, or what is wrong in it before that.
func (p *jsonParser) unclosed(start int) bool {
	for i := start; i < len(p.src); {
		if !utf8.FullRuneInString(p.src[i:]) {
			break
		}
		r, n := utf8.DecodeRuneInString(p.src[i:])
		if r == utf8.RuneError && n == 1 {
			return p.failAt(i, "invalid UTF-8")
		}
		i += n
	}
	p.pos = len(p.src)
	return p.fail("")
}

// checkUTF8 reports the first byte of src[start:end] that is not UTF-8.
func (p *jsonParser) checkUTF8(start, end int) bool {
	if utf8.ValidString(p.src[start:end]) {
		return true
	}
	for i := start; i < end; {
		r, n := utf8.DecodeRuneInString(p.src[i:end])
		if r == utf8.RuneError && n == 1 {
			return p.failAt(i, "invalid UTF-8")
		}
		i += n
	}
	panic("vec: invalid UTF-8 not found again")
}

// escaped takes the rest of a string whose first escape is at position i.
func (p *jsonParser) escaped(start, i int) (string, bool) {
	s := p.src
	var b strings.Builder
	piece := start
	for i < len(s) {
		switch c := s[i]; {
		case c == '"':
			b.WriteString(s[piece:i])
			p.pos = i + 1
			return b.String(), p.checkUTF8(start, i)
		case c == '\\':
			b.WriteString(s[piece:i])
			p.pos = i + 1
			r, ok := p.escape()
			if !ok {
				return "", false
			}
			b.WriteRune(r)
			i = p.pos
			piece = i
		case c < ' ':
			return "", p.failAt(i, "a control character in a string must be escaped")
		default:
			i++
		}
	}
	return "", p.unclosed(start)
}

// escape takes what follows a backslash. A surrogate without its partner gives U+FFFD.
func (p *jsonParser) escape() (rune, bool) {
	if p.pos >= len(p.src) {
		return 0, p.fail("")
	}
	c := p.src[p.pos]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return p.unicode()
	default:
		return 0, p.fail("no such escape")
	}
	p.pos++
	return rune(c), true
}

// unicode takes uXXXX, and the second half of a surrogate pair.
func (p *jsonParser) unicode() (rune, bool) {
	r, ok := p.hex4()
	if !ok || r < 0xD800 || r > 0xDFFF {
		return r, ok
	}
	if r > 0xDBFF || !strings.HasPrefix(p.src[p.pos:], `\u`) {
		return utf8.RuneError, true
	}
	back := p.pos
	p.pos++
	low, ok := p.hex4()
	if !ok {
		return 0, false
	}
	if low < 0xDC00 || low > 0xDFFF {
		p.pos = back // not the partner: it stands for itself
		return utf8.RuneError, true
	}
	return 0x10000 + (r-0xD800)<<10 + (low - 0xDC00), true
}

// hex4 takes u and four hexadecimal digits.
func (p *jsonParser) hex4() (rune, bool) {
	p.pos++
	var r rune
	for range 4 {
		if p.pos >= len(p.src) {
			return 0, p.fail("")
		}
		c := p.src[p.pos]
		switch {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case (c|0x20)-'a' <= 5:
			r = r<<4 | rune((c|0x20)-'a'+10)
		default:
			return 0, p.fail("four hexadecimal digits should stand here")
		}
		p.pos++
	}
	return r, true
}
