package generate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ParsePattern reads a pattern file. The error says where in the file, which is called
// name in it, something is wrong and what to write instead.
//
//	start: 2018-01-10T10:00:00Z    # event time of the first event
//	rate: 1000                     # events per second of event time
//	seed: 1
//	jitter: 2s
//	late_fraction: 0.01
//	fields:
//	  Device: {choice: [a, b, c], weights: [5, 2, 1]}
//	  N: {sequence: {from: 1, step: 1}}
//	  Load: {uniform: {min: 0, max: 100, decimals: 1}}
//	  Temp: {normal: {mean: 20, sd: 2.5, decimals: 2}}
//	  At: {time: iso}              # or epoch_ms, epoch_s
//	  Note: {text: "{Device} says {Load}"}
func ParsePattern(name string, src []byte) (*Pattern, error) {
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			at := syntax.Token.Position
			return nil, fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, syntax.Message)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fmt.Errorf("%s: a pattern is one YAML document with the key fields", name)
	}
	p := &patternParser{name: name}
	pat := p.pattern(file.Docs[0].Body)
	if p.err != nil {
		return nil, p.err
	}
	return pat, nil
}

// patternParser reads the tree. It keeps the first error and goes on harmlessly.
type patternParser struct {
	name string
	err  error
}

func (p *patternParser) fail(n ast.Node, format string, args ...any) {
	if p.err != nil {
		return
	}
	at := n.GetToken().Position
	p.err = fmt.Errorf("%s:%d:%d: %s", p.name, at.Line, at.Column, fmt.Sprintf(format, args...))
}

func (p *patternParser) pattern(n ast.Node) *Pattern {
	pat := &Pattern{Settings: Settings{Start: DefaultStart, Rate: DefaultRate}}
	seen := false
	p.mapping(n, func(key string, k, v ast.Node) {
		switch key {
		case "start":
			pat.Start = p.start(v)
		case "rate":
			pat.Rate = int(p.integer(v))
		case "seed":
			pat.Seed = uint64(p.integer(v))
		case "jitter":
			pat.Jitter = p.duration(v)
		case "late_fraction":
			pat.LateFraction = p.number(v)
		case "fields":
			seen = true
			p.mapping(v, func(key string, k, v ast.Node) { p.field(pat, key, k, v) })
		default:
			p.unknown(k, key, "start, rate, seed, jitter, late_fraction, fields")
		}
		if err := pat.Check(); err != nil && key != "fields" {
			p.fail(v, "%v", err)
		}
	})
	if p.err == nil && (!seen || len(pat.Fields) == 0) {
		p.fail(n, "a pattern needs fields, such as\n  fields:\n    Date: {time: iso}")
	}
	return pat
}

// mapping calls f for each key of a mapping. The YAML parser refuses a key that comes
// twice.
func (p *patternParser) mapping(n ast.Node, f func(key string, k, v ast.Node)) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		p.fail(n, "here stands %s; a mapping (key: value) belongs here", describe(n))
		return
	}
	for _, kv := range pairs {
		key, ok := scalar(kv.Key)
		if !ok {
			p.fail(kv.Key, "a key must be a plain text")
			return
		}
		f(key, kv.Key, kv.Value)
	}
}

func (p *patternParser) unknown(k ast.Node, key, known string) {
	p.fail(k, "unknown key %q; known are %s", key, known)
}

func (p *patternParser) field(pat *Pattern, name string, k, n ast.Node) {
	f := Field{Name: name}
	kinds := 0
	var weights ast.Node
	p.mapping(n, func(key string, k, v ast.Node) {
		kinds++
		switch key {
		case "choice":
			f.Choice = p.choice(v)
		case "weights":
			kinds--
			weights = v
		case "sequence":
			f.Sequence = &Sequence{From: 1, Step: 1}
			p.mapping(v, func(key string, k, v ast.Node) {
				switch key {
				case "from":
					f.Sequence.From = p.integer(v)
				case "step":
					f.Sequence.Step = p.integer(v)
				default:
					p.unknown(k, key, "from, step")
				}
			})
		case "uniform":
			f.Uniform = p.uniform(v)
		case "normal":
			f.Normal = p.normal(v)
		case "time":
			f.Time = p.timeFormat(v)
		case "text":
			f.Text = p.template(pat, v)
		default:
			p.unknown(k, key, "choice, weights, sequence, uniform, normal, time, text")
		}
	})
	if kinds != 1 {
		p.fail(k, "field %q has %d kinds of value; give one of choice, sequence, uniform, normal, time, text", name, kinds)
	}
	if weights != nil {
		p.weights(f.Choice, weights)
	}
	pat.Fields = append(pat.Fields, f)
}

func (p *patternParser) uniform(n ast.Node) *Uniform {
	u := &Uniform{Max: 1}
	p.mapping(n, func(key string, k, v ast.Node) {
		switch key {
		case "min":
			u.Min = p.number(v)
		case "max":
			u.Max = p.number(v)
		case "decimals":
			u.Decimals = p.decimals(v)
		default:
			p.unknown(k, key, "min, max, decimals")
		}
	})
	if !(u.Min <= u.Max) {
		p.fail(n, "min %v is greater than max %v", u.Min, u.Max)
	}
	return u
}

func (p *patternParser) normal(n ast.Node) *Normal {
	d := &Normal{SD: 1}
	p.mapping(n, func(key string, k, v ast.Node) {
		switch key {
		case "mean":
			d.Mean = p.number(v)
		case "sd":
			d.SD = p.number(v)
		case "decimals":
			d.Decimals = p.decimals(v)
		default:
			p.unknown(k, key, "mean, sd, decimals")
		}
	})
	if d.SD < 0 {
		p.fail(n, "sd must not be negative")
	}
	return d
}

func (p *patternParser) choice(n ast.Node) *Choice {
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		p.fail(n, "choice takes a list of values, such as [a, b, c]")
		return nil
	}
	c := &Choice{}
	for i, v := range list.Values {
		c.Values = append(c.Values, p.json(v))
		c.Until = append(c.Until, float64(i+1))
	}
	return c
}

func (p *patternParser) weights(c *Choice, n ast.Node) {
	list, ok := n.(*ast.SequenceNode)
	if c == nil || !ok || len(list.Values) != len(c.Values) {
		p.fail(n, "weights takes a list with a number for each value of choice")
		return
	}
	sum := 0.0
	for i, v := range list.Values {
		w := p.number(v)
		if w < 0 {
			p.fail(v, "a weight must not be negative")
		}
		sum += w
		c.Until[i] = sum
	}
	if sum <= 0 || math.IsInf(sum, 0) {
		p.fail(n, "the weights must have a sum above 0")
	}
}

func (p *patternParser) template(pat *Pattern, n ast.Node) []TextPart {
	s, ok := n.(*ast.StringNode)
	if !ok {
		p.fail(n, "text takes a text, such as \"user {N}\"")
		return nil
	}
	var parts []TextPart
	literal := func(t string) {
		if q := quote(nil, t); len(q) > 2 {
			parts = append(parts, TextPart{Literal: string(q[1 : len(q)-1])})
		}
	}
	rest := s.Value
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			literal(rest)
			return parts
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 {
			p.fail(n, "%q is not closed; write {Field}", rest[open:])
			return parts
		}
		literal(rest[:open])
		name := rest[open+1 : open+end]
		parts = append(parts, TextPart{Field: p.earlier(pat, name, n)})
		rest = rest[open+end+1:]
	}
}

// earlier is the position of a field that stands before the template.
func (p *patternParser) earlier(pat *Pattern, name string, n ast.Node) int {
	var known []string
	for i, f := range pat.Fields {
		if f.Name == name {
			return i
		}
		known = append(known, f.Name)
	}
	if len(known) == 0 {
		known = []string{"none"}
	}
	p.fail(n, "there is no field %q before this one; there are: %s", name, strings.Join(known, ", "))
	return 0
}

func (p *patternParser) start(n ast.Node) time.Time {
	s, _ := scalar(n)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		p.fail(n, "start %q is no time; write it as 2018-01-10T10:10:10Z", s)
		return DefaultStart
	}
	return t
}
