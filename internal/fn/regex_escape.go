package fn

import (
	"strconv"
	"strings"
	"unicode"
)

// escape parses an atom behind a backslash.
func (p *regexParser) escape() *regexNode {
	start := p.pos
	if c := p.peek(); c >= '1' && c <= '9' {
		end := start
		for end < len(p.src) && p.src[end]-'0' <= 9 {
			end++
		}
		if n, err := strconv.Atoi(p.src[start:end]); err == nil && n <= p.total {
			p.pos = end
			return &regexNode{op: reBackref, group: n}
		}
	}
	if len(p.names) > 0 && p.next("k") {
		name, ok := groupName("?" + p.src[p.pos:])
		if !ok || p.names[name] == 0 {
			p.fail("no such group")
			return &regexNode{op: reEmpty}
		}
		p.pos += len("<>") + len(name)
		return &regexNode{op: reBackref, group: p.names[name]}
	}
	c, set := p.charEscape()
	if set != nil {
		return &regexNode{op: reSet, set: set}
	}
	return literalNode(c)
}

// charEscape parses an escape that stands for a code point or a set, behind the
// backslash.
func (p *regexParser) charEscape() (rune, *charSet) {
	if p.pos >= len(p.src) {
		p.fail(`\ at the end`)
		return 0, nil
	}
	switch c := p.rune(); c {
	case 'd':
		return 0, digitSet
	case 'D':
		return 0, digitSet.negate()
	case 'w':
		return 0, wordSet
	case 'W':
		return 0, wordSet.negate()
	case 's':
		return 0, spaceSet
	case 'S':
		return 0, spaceSet.negate()
	case 'p', 'P':
		return p.property(c)
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'v':
		return '\v', nil
	case 'f':
		return '\f', nil
	case 'r':
		return '\r', nil
	case 'c':
		if x := p.peek(); x|0x20 >= 'a' && x|0x20 <= 'z' {
			p.pos++
			return rune(x & 31), nil
		}
		p.pos-- // the backslash is a literal, and so is the c behind it
		return '\\', nil
	case 'x':
		return p.hexOr(2, 'x'), nil
	case 'u':
		return p.unicodeEscape(), nil
	case '0', '1', '2', '3', '4', '5', '6', '7':
		return p.octal(c - '0'), nil
	default:
		return c, nil
	}
}

// hexOr takes n hexadecimal digits; without them the escape is the letter itself.
func (p *regexParser) hexOr(n int, letter rune) rune {
	if x, ok := hex(p.src[p.pos:], n); ok {
		p.pos += n
		return x
	}
	return letter
}

// hex is the value of the first n bytes of s as hexadecimal digits.
func hex(s string, n int) (rune, bool) {
	if len(s) < n || n == 0 {
		return 0, false
	}
	x, err := strconv.ParseUint(s[:n], 16, 31)
	return rune(x), err == nil
}

// unicodeEscape parses \uHHHH, a pair of surrogates or \u{H..}, behind the u.
func (p *regexParser) unicodeEscape() rune {
	s := p.src[p.pos:]
	if end := strings.IndexByte(s, '}'); strings.HasPrefix(s, "{") && end > 0 {
		if x, ok := hex(s[1:], end-1); ok && x <= unicode.MaxRune {
			p.pos += end + 1
			return x
		}
	}
	x := p.hexOr(4, 'u')
	s = p.src[p.pos:]
	if x >= 0xd800 && x < 0xdc00 && strings.HasPrefix(s, `\u`) {
		if y, ok := hex(s[2:], 4); ok && y >= 0xdc00 && y < 0xe000 {
			p.pos += 6
			return 0x10000 + (x-0xd800)<<10 + (y - 0xdc00)
		}
	}
	return x
}

// octal takes up to two more octal digits, for a value below 256.
func (p *regexParser) octal(x rune) rune {
	for range 2 {
		c := rune(p.peek()) - '0'
		if c < 0 || c > 7 || x*8+c > 255 {
			break
		}
		x = x*8 + c
		p.pos++
	}
	return x
}

// property parses \p{..} and \P{..}, behind the p: a general category or a script. What
// has not that form is the letter itself.
func (p *regexParser) property(letter rune) (rune, *charSet) {
	s := p.src[p.pos:]
	end := strings.IndexByte(s, '}')
	if !strings.HasPrefix(s, "{") || end < 0 {
		return letter, nil
	}
	name := s[1:end]
	if i := strings.IndexByte(name, '='); i >= 0 {
		switch name[:i] {
		case "General_Category", "gc", "Script", "sc":
			name = name[i+1:]
		}
	}
	table := unicode.Categories[name]
	if table == nil {
		table = unicode.Scripts[name]
	}
	if alias, ok := unicode.CategoryAliases[name]; ok && table == nil {
		table = unicode.Categories[alias]
	}
	if table == nil {
		p.fail("unknown property " + name)
		return 0, anySet
	}
	p.pos += end + 1
	set := tableSet(table)
	if letter == 'P' {
		return 0, set.negate()
	}
	var folds []charRange
	for _, r := range set.ranges {
		folds = addFolds(append(folds, r), r)
	}
	return 0, newCharSet(folds)
}
