package generate

import (
	"math"
	"strconv"
	"strings"
)

// Pattern is a stream described by a file (ParsePattern): fields, and how each gets its
// value.
type Pattern struct {
	Settings
	Fields []Field
}

// Field is a field of a pattern. Exactly one kind of value is set.
type Field struct {
	Name     string
	Choice   *Choice
	Sequence *Sequence
	Uniform  *Uniform
	Normal   *Normal
	Time     TimeFormat
	Text     []TextPart
}

// Choice is one of some values, given as JSON text. Until holds the running sum of the
// weights, of the same length.
type Choice struct {
	Values []string
	Until  []float64
}

// Sequence counts: From, From+Step, ...
type Sequence struct{ From, Step int64 }

// Uniform is a number between Min and Max, both possible, each as likely as the others.
type Uniform struct {
	Min, Max float64
	Decimals int
}

// Normal is a number of a normal distribution.
type Normal struct {
	Mean, SD float64
	Decimals int
}

// TimeFormat is how the event's time is written; "" means that the field is no time.
type TimeFormat string

// The formats of times.
const (
	ISO          TimeFormat = "iso"
	EpochMillis  TimeFormat = "epoch_ms"
	EpochSeconds TimeFormat = "epoch_s"
)

// TextPart is literal text, already escaped for JSON, or the value of an earlier field.
type TextPart struct {
	Literal string
	Field   int // used if Literal is empty
}

// Stream starts the stream.
func (p *Pattern) Stream() Stream {
	s := &pattern{
		rng:    rng(p.Seed),
		clock:  newClock(p.Settings),
		fields: p.Fields,
		keys:   make([][]byte, len(p.Fields)),
		from:   make([]int, len(p.Fields)),
		to:     make([]int, len(p.Fields)),
	}
	for i, f := range p.Fields {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		s.keys[i] = append(quote([]byte{open}, f.Name), ':')
	}
	return s
}

type pattern struct {
	rng      rng
	clock    clock
	stamper  stamper
	fields   []Field
	keys     [][]byte
	n        int64
	from, to []int // where the value of each field of this event stands
}

// Append adds the next event.
func (s *pattern) Append(b []byte) []byte {
	t := s.clock.next(&s.rng)
	for i := range s.fields {
		b = append(b, s.keys[i]...)
		s.from[i] = len(b)
		b = s.value(b, &s.fields[i], t)
		s.to[i] = len(b)
	}
	s.n++
	return append(b, '}', '\n')
}

func (s *pattern) value(b []byte, f *Field, t int64) []byte {
	switch {
	case f.Choice != nil:
		return append(b, f.Choice.pick(&s.rng)...)
	case f.Sequence != nil:
		return strconv.AppendInt(b, f.Sequence.From+s.n*f.Sequence.Step, 10)
	case f.Uniform != nil:
		return f.Uniform.append(b, &s.rng)
	case f.Normal != nil:
		x := f.Normal.Mean + f.Normal.SD*s.rng.normal()
		return appendNumber(b, x, f.Normal.Decimals)
	case f.Time == EpochMillis:
		return strconv.AppendInt(b, t, 10)
	case f.Time == EpochSeconds:
		return strconv.AppendInt(b, int64(math.Floor(float64(t)/1000)), 10)
	case f.Time == ISO:
		b = s.stamper.append(append(b, '"'), t)
		return append(b, '"')
	}
	return s.text(b, f.Text)
}

// text writes a template. The values of earlier fields are copied from the event itself.
func (s *pattern) text(b []byte, parts []TextPart) []byte {
	b = append(b, '"')
	for _, p := range parts {
		if p.Literal != "" {
			b = append(b, p.Literal...)
			continue
		}
		from, to := s.from[p.Field], s.to[p.Field]
		if b[from] == '"' {
			from, to = from+1, to-1
		}
		b = append(b, b[from:to]...)
	}
	return append(b, '"')
}

func (c *Choice) pick(r *rng) string {
	x := r.unit() * c.Until[len(c.Until)-1]
	for i, u := range c.Until {
		if x < u {
			return c.Values[i]
		}
	}
	return c.Values[len(c.Values)-1]
}

func (u *Uniform) append(b []byte, r *rng) []byte {
	scale := math.Pow10(u.Decimals)
	steps := math.Round((u.Max - u.Min) * scale)
	x := u.Min + math.Floor(r.unit()*(steps+1))/scale
	return appendNumber(b, math.Min(x, u.Max), u.Decimals)
}

// appendNumber writes x with the given number of decimals, and never "-0".
func appendNumber(b []byte, x float64, decimals int) []byte {
	at := len(b)
	b = strconv.AppendFloat(b, x, 'f', decimals, 64)
	if b[at] == '-' && strings.Trim(string(b[at:]), "-0.") == "" {
		b = append(b[:at], b[at+1:]...)
	}
	return b
}
