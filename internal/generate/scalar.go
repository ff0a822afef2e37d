package generate

import (
	"math"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// scalar is the text of a plain value as it stands in the file.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// describe says what stands at a place of the file.
func describe(n ast.Node) string {
	if s, ok := scalar(n); ok {
		return strconv.Quote(s)
	}
	if _, ok := n.(*ast.SequenceNode); ok {
		return "a list"
	}
	return "something else"
}

// json is a plain value as JSON text.
func (p *patternParser) json(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return string(quote(nil, n.Value))
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value)
	case *ast.NullNode:
		return "null"
	case *ast.IntegerNode:
		switch x := n.Value.(type) {
		case int64:
			return strconv.FormatInt(x, 10)
		case uint64:
			return strconv.FormatUint(x, 10)
		}
	case *ast.FloatNode:
		return strconv.FormatFloat(n.Value, 'g', -1, 64)
	}
	p.fail(n, "a value must be a text, a number, true, false or null")
	return "null"
}

func (p *patternParser) integer(n ast.Node) int64 {
	if i, ok := n.(*ast.IntegerNode); ok {
		switch x := i.Value.(type) {
		case int64:
			return x
		case uint64:
			if x <= math.MaxInt64 {
				return int64(x)
			}
		}
	}
	p.fail(n, "here stands %s; a whole number belongs here", describe(n))
	return 0
}

func (p *patternParser) number(n ast.Node) float64 {
	if f, ok := n.(*ast.FloatNode); ok && !math.IsInf(f.Value, 0) {
		return f.Value
	}
	if i, ok := n.(*ast.IntegerNode); ok {
		switch x := i.Value.(type) {
		case int64:
			return float64(x)
		case uint64:
			return float64(x)
		}
	}
	p.fail(n, "here stands %s; a number belongs here", describe(n))
	return 0
}

func (p *patternParser) decimals(n ast.Node) int {
	x := p.integer(n)
	if x < 0 || x > 15 {
		p.fail(n, "decimals must be 0 to 15")
		return 0
	}
	return int(x)
}

func (p *patternParser) duration(n ast.Node) time.Duration {
	s, _ := scalar(n)
	d, err := time.ParseDuration(s)
	if err != nil {
		p.fail(n, "%q is no duration; write it as 2s, 150ms or 1m30s", s)
	}
	return d
}

func (p *patternParser) timeFormat(n ast.Node) TimeFormat {
	s, _ := scalar(n)
	f := TimeFormat(s)
	if f != ISO && f != EpochMillis && f != EpochSeconds {
		p.fail(n, "time is %s; it must be iso, epoch_ms or epoch_s", describe(n))
	}
	return f
}
