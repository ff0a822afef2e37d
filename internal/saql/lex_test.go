package saql

import (
	"fmt"
	"strings"
	"testing"
)

// tokenText shows a token with its kind.
func tokenText(t *token) string {
	switch t.kind {
	case tokEOF:
		return "end"
	case tokWord:
		if t.word {
			return strings.ToUpper(t.text)
		}
		return t.text
	case tokBrack:
		return "[" + t.text + "]"
	case tokDouble:
		return `"` + t.text + `"`
	case tokString:
		return "'" + t.text + "'"
	case tokInt:
		if t.big {
			return "big"
		}
		return fmt.Sprint(t.value)
	case tokFloat:
		return fmt.Sprintf("%gf", t.float)
	}
	return t.text
}

func TestLex(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		l := lex(src)
		var got []string
		for i := range l.toks {
			got = append(got, tokenText(&l.toks[i]))
		}
		for _, e := range l.errs {
			got = append(got, string(e.Code))
		}
		if s := strings.Join(got, " "); s != want+" end" && s != want {
			t.Errorf("%q: got %q, want %q", src, s, want)
		}
	}
	f("", "end")
	// White space (saql.md 1.1).
	f("\uFEFFa\u00A0b\u3000c\u200Bd\u2003e\vf\fg\u0085h\u2028i\rj", "a b c d e f g h i j")
	// Comments.
	f("a -- b\nc", "a c")
	f("a -- b\rc", "a c")
	f("a--b\r\nc", "a c")
	f("a /* b /* c */ d */ e", "a e")
	f("a/**/b", "a b")
	f("2--1", "2")
	f("a - -1", "a - - 1")
	f("a /*/ b */ c", "a c")
	f("a /* b", "a end SA1002")
	f("a */ b", "a * / b")
	// Names (1.3).
	f("abc _a @b #c a1$ é日本 ⅷ e\u0301", "abc _a @b #c a1$ É日本 Ⅷ e\u0301")      // folded
	f("SELECT Select ſelect LIKE li\u212Ae", "SELECT SELECT SELECT LIKE LIKE") // long s, Kelvin sign
	f("1a", "1 a")
	f("[a]]b] [ x ] [a b]c", "[a]b] [ x ] [a b] c")
	f(`"a""b" "" "a`+"\n"+`b"`, `"a"b" "" "a`+"\n"+`b"`)
	f("[]", "[] end SA2101")
	f("[a b", "[a] b end SA1002")
	f("[a\nb]", "[a] b ] end SA1002")
	f("[日本 x", "[日本] x end SA1002")
	f("[", "[?] end SA1002")
	f(`"a b`, `"a" b end SA1002`)
	// Literals (1.5).
	f("'a' '' '''' 'it''s' N'x' n'y' N 'z' 'a\nb'", "'a' '' ''' 'it's' 'x' 'y' n 'z' 'a\nb'")
	f(`'a\' b`, `'a\' b`)
	f("'abc", "'abc' end SA1002")
	f("0 007 9223372036854775807 9223372036854775808", "0 7 9223372036854775807 big")
	f("9223372036854775809", "0 end SA1004")
	f("99999999999999999999999", "0 end SA1004")
	f("0x0 0XfF 0xFFFFFFFFFFFFFFFF 0x8000000000000000", "0 255 -1 -9223372036854775808")
	f("0x 0xg 0x12345678901234567", "0 x 0 xg 0 end SA1004")
	f("1.5 .5 1. 1e3 1.5E-3 1e+2 1.e1", "1.5f 0.5f 1f 1000f 0.0015f 100f 10f")
	f("1e 1e+ 1.5e", "1 e 1 e + 1.5f e")
	f("1e308 1e309 1e-400", "1e+308f 0f 0f end SA1004")
	f("1..2 1.a a.1 a.b", "1f 0.2f 1f a a 0.1f a . b")
	// Operators, also with white space inside.
	f("<> != >= <= !< !>", "<> != >= <= !< !>")
	f("< > ! = > = < = ! < !\n>", "<> != >= <= !< !>")
	f("a<b>c!d", "a < b > c ! d")
	f("+-*/%&|^~=(),;.", "+ - * / % & | ^ ~ = ( ) , ; .")
	f("== => =< && || = =", "== => =< && || = =")
	f("?{}$:\\]", "? { } $ : \\ ]")
	// What is replaced by what was meant.
	f("‘a b’", "'a b' end SA1003")
	f("“a”", "'a' end SA1003")
	f("`a b`", "[a b] end SA1003")
	f("``", "end SA1003")
	f("’a\n’", "a end SA1003 SA1003")
	f("（a，b）≠＝−", "( a , b ) <> = - end SA1003 SA1003 SA1003 SA1003 SA1003 SA1003")
	f("a ☃ b", "a b end SA1003")
	f("a\x00b", "a b end SA1003")
	f("'\xff' \xfe", "end SA1001")
}

func TestLexSpans(t *testing.T) {
	f := func(src string, want ...string) {
		t.Helper()
		l := lex(src)
		for i, w := range want {
			if s := l.toks[i].span; src[s.Start:s.End] != w {
				t.Errorf("%q: token %d is %q, want %q", src, i, src[s.Start:s.End], w)
			}
		}
		if end := l.toks[len(l.toks)-1].span; len(want) > 0 && end.Start != l.toks[len(want)-1].span.End {
			t.Errorf("%q: the end is at %v", src, end)
		}
	}
	f("\uFEFF a /* b */ N'c' < = [d]] e] 1.5 -- f", "a", "N'c'", "< =", "[d]] e]", "1.5")
}

func TestComments(t *testing.T) {
	src := "/* a /* b */ */ x -- c\r\n--d\ny --"
	s, _ := Parse(src)
	var got []string
	for _, c := range s.Comments {
		if src[c.Span.Start:c.Span.End] != c.Text {
			t.Errorf("%q stands at %v", c.Text, c.Span)
		}
		got = append(got, c.Text)
	}
	if want := "/* a /* b */ */|-- c|--d|--"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFold(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := Fold(a) == Fold(b); got != want {
			t.Errorf("%q and %q: got %v", a, b, got)
		}
		if got := strings.EqualFold(a, b); got != want {
			t.Errorf("%q and %q: EqualFold gives %v", a, b, got)
		}
	}
	f("abc", "ABC", true)
	f("Straße", "STRASSE", false)
	f("ÄÖ", "äö", true)
	f("σ", "ς", true)
	f("K", "\u212A", true)
	f("s", "ſ", true)
	f("İ", "i", false)
	f("Ⅷ", "ⅷ", true)
	f("a", "b", false)
	f("", "", true)
}

func TestQuote(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
		if l := lex(want); len(l.toks) != 2 || len(l.errs) > 0 {
			t.Errorf("%s is no name", want)
		}
	}
	f("a", "a")
	f("a b", "[a b]")
	f("a]b", "[a]]b]")
	f("Order", "[Order]")
	f("1a", "[1a]")
	f("日本", "日本")
	f("$a", "[$a]")
	f("a$", "a$")
	if IsBareName("") || IsReserved("value") || !IsReserved("Select") {
		t.Error("reserved words")
	}
}
