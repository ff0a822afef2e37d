package testkit

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ValueKind is the kind of a JSON value.
type ValueKind uint8

// The kinds of JSON values.
const (
	Null ValueKind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is a JSON value that keeps what encoding/json would lose: the order of keys and
// the digits of numbers.
type Value struct {
	Kind  ValueKind
	Raw   string   // the text of the value as it stands in the source
	Text  string   // String: its content
	Names []string // Object: the keys, in order, as long as Items
	Items []Value  // Array, Object
}

// Row is a row of an output: an Object.
type Row = Value

// ParseValue reads a JSON text. An object must not have a key twice.
func ParseValue(b []byte) (Value, error) {
	if !json.Valid(b) {
		var v any
		err := json.Unmarshal(b, &v)
		if err == nil {
			err = fmt.Errorf("the text is no JSON")
		}
		return Value{}, placed(b, err)
	}
	p := valueParser{src: string(b)}
	v := p.value()
	return v, p.err
}

// placed adds line and column to a syntax error.
func placed(b []byte, err error) error {
	syntax, ok := err.(*json.SyntaxError)
	if !ok {
		return err
	}
	before := string(b[:max(0, min(int(syntax.Offset)-1, len(b)))])
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Errorf("%d:%d: %w", line, column, err)
}

// valueParser reads text that is known to be valid JSON.
type valueParser struct {
	src string
	at  int
	err error
}

func (p *valueParser) space() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

// more steps over a comma and reports whether another element follows, or steps over
// the closing bracket.
func (p *valueParser) more(closing byte) bool {
	p.space()
	switch p.src[p.at] {
	case closing:
		p.at++
		return false
	case ',':
		p.at++
		p.space()
	}
	return true
}

func (p *valueParser) value() Value {
	p.space()
	from := p.at
	var v Value
	switch p.src[p.at] {
	case '{':
		v = p.object()
	case '[':
		v.Kind = Array
		for p.at++; p.more(']'); {
			v.Items = append(v.Items, p.value())
		}
	case '"':
		v.Kind, v.Text = String, p.text()
	default:
		for p.at < len(p.src) && strings.IndexByte(",]} \t\r\n", p.src[p.at]) < 0 {
			p.at++
		}
		v.Kind = map[byte]ValueKind{'n': Null, 't': Bool, 'f': Bool}[p.src[from]]
		if c := p.src[from]; c == '-' || c >= '0' && c <= '9' {
			v.Kind = Number
		}
	}
	v.Raw = p.src[from:p.at]
	return v
}

func (p *valueParser) object() Value {
	v := Value{Kind: Object}
	seen := map[string]bool{}
	for p.at++; p.more('}'); {
		name := p.text()
		if seen[name] && p.err == nil {
			p.err = fmt.Errorf("the key %q stands twice in an object", name)
		}
		seen[name] = true
		p.space()
		p.at++ // the colon
		v.Names = append(v.Names, name)
		v.Items = append(v.Items, p.value())
	}
	return v
}

func (p *valueParser) text() string {
	from := p.at
	for p.at++; p.src[p.at] != '"'; p.at++ {
		if p.src[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	raw := p.src[from:p.at]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if err := json.Unmarshal([]byte(raw), &s); err != nil && p.err == nil {
		p.err = err
	}
	return s
}

// Get is the value of a key of an object.
func (v *Value) Get(name string) (Value, bool) {
	if i := slices.Index(v.Names, name); i >= 0 {
		return v.Items[i], true
	}
	return Value{}, false
}

// tolerance is how much two equal numbers may differ, relative to the greater one
// (FORMAT.md).
const tolerance = 1e-9

// Equal reports whether two values are the same: numbers within the tolerance, objects
// without regard to the order of keys, and an absent key is not a null.
func Equal(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Bool:
		return a.Raw == b.Raw
	case Number:
		return equalNumbers(a.Raw, b.Raw)
	case String:
		return a.Text == b.Text
	case Array:
		return slices.EqualFunc(a.Items, b.Items, Equal)
	case Object:
		if len(a.Names) != len(b.Names) {
			return false
		}
		for i, name := range a.Names {
			other, ok := b.Get(name)
			if !ok || !Equal(a.Items[i], other) {
				return false
			}
		}
	}
	return true
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil { // beyond float64: only equal digits are equal
		return false
	}
	return math.Abs(x-y) <= tolerance*math.Max(math.Abs(x), math.Abs(y))
}

// key is a text that equal values share, unless they differ by rounding.
func (v *Value) key(b *strings.Builder) {
	switch v.Kind {
	case Number:
		if x, err := strconv.ParseFloat(v.Raw, 64); err == nil {
			fmt.Fprintf(b, "%g", x)
			return
		}
		b.WriteString(v.Raw)
	case String:
		b.WriteString(strconv.Quote(v.Text))
	case Array:
		b.WriteByte('[')
		for i := range v.Items {
			v.Items[i].key(b)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case Object:
		order := make([]int, len(v.Names))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.Names[i], v.Names[j]) })
		b.WriteByte('{')
		for _, i := range order {
			b.WriteString(strconv.Quote(v.Names[i]))
			b.WriteByte(':')
			v.Items[i].key(b)
			b.WriteByte(',')
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.Raw)
	}
}
