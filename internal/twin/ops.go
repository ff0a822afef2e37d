package twin

import (
	"math"
	"math/big"
)

// number is an operand of arithmetic as a bigint or float: bits count as bigints, text is
// converted (saql.md 3.5).
func number(op string, v Value) Value {
	switch v.Kind {
	case Bit:
		return intValue(v.Int)
	case Int, Float:
		return v
	case Text:
		if x, ok := parseNumber(v.Text); ok {
			return x
		}
	}
	fail("a %s does not fit the operator %s", v.Kind, op)
	return null
}

// arithmetic is a op b for the operators of section 3.5.
func arithmetic(op string, a, b Value) Value {
	switch {
	case a.isNull() || b.isNull():
		return null
	case op == "+" && a.Kind == Text && b.Kind == Text:
		return textValue(a.Text + b.Text)
	case op == "&" || op == "|" || op == "^":
		return bitwise(op, a, b)
	}
	a, b = number(op, a), number(op, b)
	if a.Kind == Float || b.Kind == Float {
		return floatArithmetic(op, a.float(), b.float())
	}
	return intArithmetic(op, a.Int, b.Int)
}

func floatArithmetic(op string, a, b float64) Value {
	switch op {
	case "+":
		return floatValue(a + b)
	case "-":
		return floatValue(a - b)
	case "*":
		return floatValue(a * b)
	}
	if b == 0 {
		return null
	}
	if op == "/" {
		return floatValue(a / b)
	}
	return floatValue(math.Mod(a, b))
}

func intArithmetic(op string, a, b int64) Value {
	x, y, z := big.NewInt(a), big.NewInt(b), new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	default:
		if b == 0 {
			return null
		}
		if op == "/" {
			z.Quo(x, y)
		} else {
			z.Rem(x, y)
		}
	}
	return bigint(z)
}

// bigint is a whole number as a value; overflow is a query error.
func bigint(z *big.Int) Value {
	if !z.IsInt64() {
		fail("bigint overflow")
	}
	return intValue(z.Int64())
}

// bitwise is & | ^: two bits give a bit, floats are truncated.
func bitwise(op string, a, b Value) Value {
	x, y := whole(op, a), whole(op, b)
	z := x.Int & y.Int
	switch op {
	case "|":
		z = x.Int | y.Int
	case "^":
		z = x.Int ^ y.Int
	}
	if a.Kind == Bit && b.Kind == Bit {
		return bitValue(z == 1)
	}
	return intValue(z)
}

func whole(op string, v Value) Value {
	v = number(op, v)
	if v.Kind == Float {
		x, ok := truncate(v.Float)
		if !ok {
			fail("bigint overflow")
		}
		return x
	}
	return v
}

func unary(op string, v Value) Value {
	if v.isNull() {
		return null
	}
	if op == "~" {
		if v.Kind == Bit {
			return bitValue(v.Int == 0)
		}
		return intValue(^whole(op, v).Int)
	}
	v = number(op, v)
	if op == "-" {
		if v.Kind == Float {
			return floatValue(-v.Float)
		}
		return bigint(new(big.Int).Neg(big.NewInt(v.Int)))
	}
	return v
}

// likes matches a text with a LIKE pattern, by trying everything (saql.md 3.6).
func likes(text, pattern []rune, escape rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch c := pattern[0]; {
	case c == escape && len(pattern) > 1:
		return len(text) > 0 && text[0] == pattern[1] && likes(text[1:], pattern[2:], escape)
	case c == '%':
		for i := 0; i <= len(text); i++ {
			if likes(text[i:], pattern[1:], escape) {
				return true
			}
		}
		return false
	case c == '_':
		return len(text) > 0 && likes(text[1:], pattern[1:], escape)
	case c == '[':
		set, rest, ok := splitSet(pattern)
		return ok && len(text) > 0 && inSet(set, text[0]) && likes(text[1:], rest, escape)
	default:
		return len(text) > 0 && text[0] == c && likes(text[1:], pattern[1:], escape)
	}
}

// splitSet cuts [set] off the front of a pattern; a first ] is literal.
func splitSet(pattern []rune) (set, rest []rune, ok bool) {
	from := 1
	if len(pattern) > from && pattern[from] == '^' {
		from++
	}
	for i := from + 1; i < len(pattern); i++ {
		if pattern[i] == ']' {
			return pattern[1:i], pattern[i+1:], true
		}
	}
	return nil, nil, false
}

func inSet(set []rune, c rune) bool {
	outside := set[0] == '^'
	if outside {
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= c && c <= set[i+2] {
				return !outside
			}
			i += 2
		} else if set[i] == c {
			return !outside
		}
	}
	return outside
}
