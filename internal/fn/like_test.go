package fn

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"weir/internal/vec"
)

func TestLike(t *testing.T) {
	f := func(text, pattern string, escape rune, want bool) {
		t.Helper()
		if got := CompileLike(pattern, escape).Match(text); got != want {
			t.Errorf("%q LIKE %q ESCAPE %q = %v, want %v", text, pattern, string(escape), got, want)
		}
	}
	yes := func(text, pattern string) { t.Helper(); f(text, pattern, 0, true) }
	no := func(text, pattern string) { t.Helper(); f(text, pattern, 0, false) }
	// no wildcard: the whole text, with case
	yes("abc", "abc")
	no("abc", "ABC")
	no("abc ", "abc")
	no("abc", "ab")
	yes("", "")
	no("a", "")
	no("", "a")
	// %
	yes("", "%")
	yes("a\nb", "%")
	yes("abc", "%%")
	yes("abc", "a%")
	yes("a", "a%")
	no("ba", "a%")
	yes("abc", "%c")
	no("cb", "%c")
	yes("abc", "%b%")
	yes("abc", "%abc%")
	no("abc", "%d%")
	yes("abcabc", "a%c")
	yes("ac", "a%c")
	no("a", "a%a")
	yes("aa", "a%a")
	yes("aXbXc", "a%b%c")
	no("acb", "a%b%c")
	yes("abab", "%ab")
	no("ab", "%ab%ab")
	yes("mississippi", "m%iss%ip%i")
	no("mississippi", "m%iss%ipx%i")
	// _
	yes("ABC 123", "A_C%")
	no("AC 123", "A_C%")
	yes("AXC", "A_C%")
	no("xABC", "A_C%")
	yes("☃", "_")
	yes("𝄞", "_")
	no("ab", "_")
	no("", "_")
	yes("ab", "__")
	yes("abc", "%_")
	yes("a", "%_%")
	no("", "%_%")
	yes("xay", "_a_")
	yes("äbä", "%_b_%")
	no("bä", "%_b_%")
	// sets
	yes("B7y", "[A-C][0-9]%")
	no("D1", "[A-C][0-9]%")
	no("B7x", "__[^x]")
	yes("B7y", "__[^x]")
	yes("b", "[abc]")
	no("d", "[abc]")
	no("", "[abc]")
	yes("]", "[]]")
	yes("a", "[]a]")
	no("b", "[]a]")
	no("]", "[^]]")
	yes("a", "[^]]")
	yes("-", "[-a]")
	yes("a", "[-a]")
	yes("-", "[a-]")
	no("b", "[a-]")
	yes("-", "[a-c-e]")
	no("d", "[a-c-e]")
	yes("e", "[a-c-e]")
	yes("^", "[a^]")
	yes("%", "[%]")
	no("a", "[%]")
	yes("50%", "50[%]")
	yes("_", "[_]")
	yes("[", "[[]")
	yes("ö", "[à-ü]")
	no("b", "[z-a]")
	no("\u00e9", "[^\u00e0-\u00ff]")
	yes("x1y", "%[0-9]%")
	no("xy", "%[0-9]%")
	yes("ab1", "%[0-9]")
	yes("a]b", "a]b")
	// an open set never matches
	no("[", "[")
	no("a", "[a")
	no("a", "%[a")
	no("[]", "[]")
	no("", "[^]")
	no("anything", "%[a-")
	// escape
	f("50%", "50!%", '!', true)
	f("50x", "50!%", '!', false)
	f("a_b", "a!_b", '!', true)
	f("axb", "a!_b", '!', false)
	f("a!b", "a!!b", '!', true)
	f("[a]", "![a]", '!', true)
	f("a", "!a", '!', true)
	f("a", "a!", '!', false)
	f("a!", "a!", '!', false)
	f("]", "[a!]]", '!', true)
	f("-", "[a!-c]", '!', true)
	f("b", "[a!-c]", '!', false)
	f("^", "[!^]", '!', true)
	f("%", "%%", '%', true)
	f("ab", "%%", '%', false)
	f("a☃", "a⚑☃", '⚑', true)
}

func TestLikeFind(t *testing.T) {
	f := func(pattern, text string, want int) {
		t.Helper()
		if got := CompileLike(pattern, 0).Find(text); got != want {
			t.Errorf("%q first matches in %q at %d, want %d", pattern, text, got, want)
		}
	}
	f("%ow%", "window", 5)
	f("%zz%", "window", 0)
	f("win%", "window", 1)
	f("%dow", "window", 4)
	f("dow%", "window", 0)
	f("%n_o%", "window", 3)
	f("window", "window", 1)
	f("win", "window", 0)
	f("%[0-9]%", "ab7", 3)
	f("%b%", "ä☃b", 3)
	f("%b%b%", "abcb", 2)
	f("%b%b", "abcb", 2)
	f("%%c%%", "abc", 3)
	f("%_", "abc", 3)
	f("%_%", "abc", 1)
	f("%", "abc", 1)
	f("%%", "", 1)
	f("", "", 1)
	f("", "a", 0)
	f("%b", "bab", 3)
	f("%[", "a[", 0)
}

// naiveLike is LIKE as it is written down, by trying everything. Sets hold characters
// and ranges without specials.
func naiveLike(s, p []rune, escape rune) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	rest := p[1:]
	switch {
	case escape != 0 && p[0] == escape:
		return len(rest) > 0 && len(s) > 0 && s[0] == rest[0] && naiveLike(s[1:], rest[1:], escape)
	case p[0] == '%':
		for i := 0; i <= len(s); i++ {
			if naiveLike(s[i:], rest, escape) {
				return true
			}
		}
		return false
	case p[0] == '_':
		return len(s) > 0 && naiveLike(s[1:], rest, escape)
	case p[0] == '[':
		item, n := parseLikeSet(rest, escape)
		return n > 0 && len(s) > 0 && item.match(s[0]) && naiveLike(s[1:], rest[n:], escape)
	}
	return len(s) > 0 && s[0] == p[0] && naiveLike(s[1:], rest, escape)
}

// naiveFind is the first position from 1 at which the pattern without leading % matches
// what follows.
func naiveFind(s, p []rune, escape rune) int {
	if len(p) == 0 || p[0] != '%' || escape == '%' {
		if naiveLike(s, p, escape) {
			return 1
		}
		return 0
	}
	for len(p) > 0 && p[0] == '%' {
		p = p[1:]
	}
	if len(p) == 0 {
		return 1
	}
	for i := range s {
		if naiveLike(s[i:], p, escape) {
			return i + 1
		}
	}
	return 0
}

// checkLike compares with the naive matcher.
func checkLike(t *testing.T, text, pattern string, escape rune) {
	t.Helper()
	p := CompileLike(pattern, escape)
	s, r := []rune(text), []rune(pattern)
	if p.never { // an open set anywhere: the naive matcher may succeed before it gets there, or not
		if p.Match(text) || p.Find(text) != 0 {
			t.Fatalf("%q matches the open pattern %q", text, pattern)
		}
		return
	}
	if got, want := p.Match(text), naiveLike(s, r, escape); got != want {
		t.Fatalf("%q LIKE %q ESCAPE %q = %v, want %v", text, pattern, string(escape), got, want)
	}
	if got, want := p.Find(text), naiveFind(s, r, escape); got != want {
		t.Fatalf("%q ESCAPE %q first matches in %q at %d, want %d", pattern, string(escape), text, got, want)
	}
}

func TestLikeAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	from := func(alphabet string, n int) string {
		letters := []rune(alphabet)
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for range 100000 {
		escape := rune(0)
		if r.IntN(3) == 0 {
			escape = '!'
		}
		checkLike(t, from("abä☃", 10), from("ab☃%%_[]^-!ä", 9), escape)
	}
}

// TestLikeManyWildcards: many % cost no more than length times length. A matcher that
// tries everything would not end.
func TestLikeManyWildcards(t *testing.T) {
	text := strings.Repeat("a", 20000)
	for _, pattern := range []string{strings.Repeat("%a", 5000) + "b", strings.Repeat("a%", 5000) + "b", "%" + strings.Repeat("_", 2000) + "b%"} {
		if CompileLike(pattern, 0).Match(text) {
			t.Errorf("%.10s... matches", pattern)
		}
	}
}

// TestLikeColumns: columns with and without a dictionary give what their rows give.
func TestLikeColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	dicts := []*vec.Dict{{}, {}}
	p := CompileLike("%[0-9]%", 0)
	caches := []*DictCache{nil, {}}
	for range 1000 {
		n := r.IntN(12)
		in := operandColumn(r, n, dicts[r.IntN(2)])
		var texts vec.Vec
		x := Coerce(&Call{}, "LIKE", 1, Param{Types: Text}, &texts, in, n)
		out := make([]Truth, n)
		p.Test(out, x, caches[r.IntN(2)], n)
		for i := range out {
			want := Unknown
			if !x.KindAt(i).IsNull() {
				want = truthOf(p.Match(x.StrAt(i)))
			}
			if out[i] != want {
				t.Fatalf("%s gives %s, want %s", showRow(i, in), out[i].text(), want.text())
			}
		}
	}
}

func FuzzLike(f *testing.F) {
	f.Add("window", "%n_o%", "")
	f.Add("a]b", "a[]a-]_", "!")
	f.Fuzz(func(t *testing.T, text, pattern, escape string) {
		if len(text) > 30 || len(pattern) > 15 || !utf8.ValidString(text) || !utf8.ValidString(pattern) {
			return
		}
		e, _ := utf8.DecodeRuneInString(escape)
		if escape == "" {
			e = 0
		}
		checkLike(t, text, pattern, e)
	})
}

func BenchmarkLike(b *testing.B) {
	for _, pattern := range []string{"Team%", "%01POI", "%am0%", "T__m%", "%[0-9]P%"} {
		b.Run(pattern, func(b *testing.B) {
			p := CompileLike(pattern, 0)
			b.ReportAllocs()
			for range b.N {
				if !p.Match("Team01POI") {
					b.Fatal("no match")
				}
			}
		})
	}
}
