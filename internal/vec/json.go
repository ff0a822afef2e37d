package vec

import (
	"errors"
	"strconv"
	"strings"
)

// MaxJSONDepth is how deep objects and arrays may nest in JSON text.
const MaxJSONDepth = 128

// ErrJSONEnd is what a *JSONError wraps when the text ends before the value does: more
// text could make it whole.
var ErrJSONEnd = errors.New("unexpected end of text")

// JSONError says why a text is no JSON value that we take (RFC 8259, saql.md 3.10).
type JSONError struct {
	Offset int // of the byte where reading stopped, from the start of the text
	Msg    string
	end    bool
}

// Error is the message with its place.
func (e *JSONError) Error() string { return e.Msg + " at byte " + strconv.Itoa(e.Offset) }

// Unwrap gives ErrJSONEnd if the text ended too early.
func (e *JSONError) Unwrap() error {
	if e.end {
		return ErrJSONEnd
	}
	return nil
}

// ParseJSON reads a text that is one JSON value. Numbers without point and exponent are
// bigints and must be in range, others are floats and must be finite. Of fields of one
// name the last wins and stands where the first stood. The value shares no memory with
// text.
func ParseJSON(text []byte) (Value, error) { return parseJSON(text, false) }

// ParseJSONLower is ParseJSON with all names in lower case. Two fields of a record with the
// same name are an error (saql.md 1.6, level 1.0).
func ParseJSONLower(text []byte) (Value, error) { return parseJSON(text, true) }

func parseJSON(text []byte, lower bool) (Value, error) {
	v, next, err := scanJSON(text, 0, lower)
	if err != nil {
		return Value{}, err
	}
	for ; next < len(text); next++ {
		if !isJSONSpace(text[next]) {
			return Value{}, &JSONError{Offset: next, Msg: "text after the value"}
		}
	}
	return v, nil
}

// ScanJSON reads the one JSON value that starts at text[pos] or after white space there,
// and gives the position after it. Errors are *JSONError with offsets in text.
func ScanJSON(text []byte, pos int) (v Value, next int, err error) { return scanJSON(text, pos, false) }

func scanJSON(text []byte, pos int, lower bool) (v Value, next int, err error) {
	for pos < len(text) && isJSONSpace(text[pos]) {
		pos++
	}
	// One copy of the text of the value serves all strings in it.
	end, open, commas := jsonExtent(text, pos)
	p := jsonParser{src: string(text[pos:end]), lower: lower}
	p.expect(open, commas+open)
	v, ok := p.value()
	if !ok {
		e := p.err
		e.Offset += pos
		return Value{}, pos, &e
	}
	return v, pos + p.pos, nil
}

func isJSONSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// jsonExtent is where the value at pos ends if it is a valid one. It looks at brackets
// and quotes only; the parser checks the rest and needs no byte beyond. It counts the
// objects and arrays and the commas between their parts.
func jsonExtent(text []byte, pos int) (end, open, commas int) {
	depth := 0
	for i := pos; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(text)), open, commas
			}
		case '{', '[':
			depth++
			open++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1, open, commas
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i + 1, open, commas // the parser sees that the text goes on
			}
			if text[i] == ',' {
				commas++
			}
		}
	}
	return len(text), open, commas
}

// jsonParser reads one value from the start of src.
type jsonParser struct {
	src   string
	pos   int
	depth int
	err   JSONError
	lower bool // names come in lower case, and each once
	// vals and names are stacks: the parts of all open objects and arrays.
	vals  []Value
	names []string
	// last is the names of the record that was finished last. Rows of an array mostly
	// have the same names, and then share them.
	last []string
	// recs and free are memory for the records and values of the whole text.
	recs []Rec
	free []Value
}

// How many open parts, and how many parts in all, a parser makes room for at first. A
// text of nothing but commas cannot ask for more memory than it is worth.
const (
	jsonStack = 16
	jsonRoom  = 256
)

// expect makes room for a number of objects and arrays and of their parts.
func (p *jsonParser) expect(recs, vals int) {
	if recs == 0 {
		return
	}
	p.recs = make([]Rec, 0, min(recs, jsonRoom))
	p.free = make([]Value, 0, min(vals, jsonRoom))
	p.vals = make([]Value, 0, min(vals, jsonStack))
	p.names = make([]string, 0, min(vals, jsonStack))
}

// rec is a record or array of those values from base on.
func (p *jsonParser) rec(names []string, base int) *Rec {
	at := len(p.free)
	p.free = append(p.free, p.vals[base:]...)
	p.vals = p.vals[:base]
	p.recs = append(p.recs, Rec{Names: names, Vals: p.free[at:len(p.free):len(p.free)]})
	return &p.recs[len(p.recs)-1]
}

// fail records an error at the current position.
func (p *jsonParser) fail(msg string) bool {
	if p.pos >= len(p.src) {
		p.err = JSONError{Offset: len(p.src), Msg: ErrJSONEnd.Error(), end: true}
	} else {
		p.err = JSONError{Offset: p.pos, Msg: msg}
	}
	return false
}

// failAt records an error at an earlier position, where the text had not ended.
func (p *jsonParser) failAt(pos int, msg string) bool {
	p.err = JSONError{Offset: pos, Msg: msg}
	return false
}

// peek skips white space and gives the byte there, 0 at the end.
func (p *jsonParser) peek() byte {
	for p.pos < len(p.src) {
		if c := p.src[p.pos]; !isJSONSpace(c) {
			return c
		}
		p.pos++
	}
	return 0
}

func (p *jsonParser) value() (Value, bool) {
	switch c := p.peek(); {
	case c == '"':
		s, ok := p.text()
		return StringValue(s), ok
	case c == '-' || c-'0' <= 9:
		return p.number()
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == 't':
		return BitValue(true), p.word("true")
	case c == 'f':
		return BitValue(false), p.word("false")
	case c == 'n':
		return NullValue(), p.word("null")
	}
	return Value{}, p.fail("a value should stand here")
}

// word takes a word.
func (p *jsonParser) word(w string) bool {
	for i := range len(w) {
		if p.pos >= len(p.src) || p.src[p.pos] != w[i] {
			return p.fail("a value should stand here")
		}
		p.pos++
	}
	return true
}

// number takes a number.
func (p *jsonParser) number() (Value, bool) {
	s, start := p.src, p.pos
	i := start
	if s[i] == '-' {
		i++
	}
	digits := i
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	if i == digits {
		p.pos = i
		return Value{}, p.fail("a digit should stand here")
	}
	if s[digits] == '0' && i > digits+1 {
		return Value{}, p.failAt(digits+1, "a number may not start with 0")
	}
	p.pos = i
	if i == len(s) || s[i] != '.' && s[i]|0x20 != 'e' {
		x, ok := ParseInt(s[start:i])
		if !ok {
			return Value{}, p.failAt(start, "integer out of the range of bigint")
		}
		return IntValue(x), true
	}
	if s[i] == '.' && !p.digits(i+1) {
		return Value{}, false
	}
	if i = p.pos; i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !p.digits(i) {
			return Value{}, false
		}
	}
	f, ok := parseDecimal(s[start:p.pos])
	if !ok {
		return Value{}, p.failAt(start, "number out of the range of float")
	}
	return FloatValue(f), true
}

// digits takes one or more digits at position i.
func (p *jsonParser) digits(i int) bool {
	p.pos = i
	for p.pos < len(p.src) && p.src[p.pos]-'0' <= 9 {
		p.pos++
	}
	return p.pos > i || p.fail("a digit should stand here")
}

// open takes a bracket and counts the depth.
func (p *jsonParser) open() bool {
	if p.depth == MaxJSONDepth {
		return p.fail("nested deeper than " + strconv.Itoa(MaxJSONDepth) + " levels")
	}
	p.depth++
	p.pos++
	return true
}

func (p *jsonParser) array() (Value, bool) {
	if !p.open() {
		return Value{}, false
	}
	base := len(p.vals)
	if p.peek() == ']' {
		p.pos++
		p.depth--
		return ArrayValue(p.rec(nil, base)), true
	}
	for {
		v, ok := p.value()
		if !ok {
			return Value{}, false
		}
		p.vals = append(p.vals, v)
		switch p.peek() {
		case ',':
			p.pos++
			continue
		case ']':
			p.pos++
			p.depth--
			return ArrayValue(p.rec(nil, base)), true
		}
		return Value{}, p.fail(`"," or "]" should stand here`)
	}
}

func (p *jsonParser) object() (Value, bool) {
	if !p.open() {
		return Value{}, false
	}
	base, names := len(p.vals), len(p.names)
	if p.peek() == '}' {
		p.pos++
		p.depth--
		return RecordValue(p.rec([]string{}, base)), true
	}
	for {
		if p.peek() != '"' {
			return Value{}, p.fail("a name should stand here")
		}
		name, ok := p.text()
		if !ok {
			return Value{}, false
		}
		if p.peek() != ':' {
			return Value{}, p.fail(`":" should stand here`)
		}
		p.pos++
		v, ok := p.value()
		if !ok {
			return Value{}, false
		}
		if p.lower {
			name = strings.ToLower(name)
		}
		p.names = append(p.names, name)
		p.vals = append(p.vals, v)
		switch p.peek() {
		case ',':
			p.pos++
			continue
		case '}':
			p.pos++
			p.depth--
			many := len(p.vals) - base
			r := p.record(base, names)
			if p.lower && len(r.Vals) < many {
				return Value{}, p.failAt(p.pos-1, "two fields have the same name in lower case")
			}
			return RecordValue(r), true
		}
		return Value{}, p.fail(`"," or "}" should stand here`)
	}
}

// record pops the fields of an object.
func (p *jsonParser) record(base, names int) *Rec {
	if own := p.names[names:]; !sameNames(own, p.last) {
		n := dropDuplicates(own, p.vals[base:])
		p.names = p.names[:names+n]
		p.vals = p.vals[:base+n]
		p.last = append(make([]string, 0, n), own[:n]...)
	}
	p.names = p.names[:names]
	return p.rec(p.last, base)
}

func sameNames(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// fewNames is up to how many names a search one by one is faster than a map.
const fewNames = 24

// dropDuplicates makes names distinct, in place: the last value of a name wins and
// stands where the first stood. It gives how many are left.
func dropDuplicates(names []string, vals []Value) int {
	var at map[string]int
	if len(names) > fewNames {
		at = make(map[string]int, len(names))
	}
	n := 0
	for i, name := range names {
		j := n
		if at != nil {
			if first, ok := at[name]; ok {
				j = first
			} else {
				at[name] = n
			}
		} else {
			for k := range n {
				if names[k] == name {
					j = k
					break
				}
			}
		}
		names[j], vals[j] = name, vals[i]
		if j == n {
			n++
		}
	}
	return n
}
