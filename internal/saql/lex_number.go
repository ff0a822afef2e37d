package saql

import (
	"math"
	"strconv"

	"weir/internal/diag"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// run skips the bytes that ok takes.
func (l *lexer) run(ok func(byte) bool) {
	for l.pos < len(l.src) && ok(l.src[l.pos]) {
		l.pos++
	}
}

// number reads an integer, a hex integer or a float (saql.md 1.5).
func (l *lexer) number() {
	start := l.pos
	if (l.peek("0x") || l.peek("0X")) && start+2 < len(l.src) && isHex(l.src[start+2]) {
		l.hex()
		return
	}
	l.run(isDigit)
	kind := tokInt
	if l.pos < len(l.src) && l.src[l.pos] == '.' {
		kind = tokFloat
		l.pos++
		l.run(isDigit)
	}
	if l.exponent() {
		kind = tokFloat
	}
	raw := l.src[start:l.pos]
	t := l.push(kind, start, raw)
	if kind == tokInt {
		l.integer(t, raw)
		return
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(f, 0) {
		l.outOfRange(t.span, "a float goes up to 1.7976931348623157e308")
		f = 0
	}
	t.float = f
}

// exponent skips e, a sign and digits, if all is there.
func (l *lexer) exponent() bool {
	i := l.pos
	if i >= len(l.src) || l.src[i] != 'e' && l.src[i] != 'E' {
		return false
	}
	i++
	if i < len(l.src) && (l.src[i] == '+' || l.src[i] == '-') {
		i++
	}
	if i >= len(l.src) || !isDigit(l.src[i]) {
		return false
	}
	l.pos = i
	l.run(isDigit)
	return true
}

func (l *lexer) integer(t *token, raw string) {
	u, err := strconv.ParseUint(raw, 10, 64)
	switch {
	case err == nil && u <= math.MaxInt64:
		t.value = int64(u)
	case err == nil && u == 1<<63:
		t.big = true // the parser decides: it is valid behind a minus
	default:
		l.outOfRange(t.span, bigintHint)
	}
}

const bigintHint = "bigint goes up to 9223372036854775807; write it with a point for a float, or as text"

func (l *lexer) outOfRange(span diag.Span, hint string) {
	l.fail(diag.SA1004, span.Start, span.End, "number out of range").Hint = hint
}

// hex reads 0x and 1 to 16 hex digits, two's complement.
func (l *lexer) hex() {
	start := l.pos
	l.pos += 2
	l.run(isHex)
	t := l.push(tokInt, start, l.src[start:l.pos])
	u, err := strconv.ParseUint(l.src[start+2:l.pos], 16, 64)
	if err != nil || l.pos-start > 18 {
		l.outOfRange(t.span, "a hex integer has 1 to 16 digits")
		u = 0
	}
	t.value = int64(u)
}
