package fn

import (
	"math/rand"
	"strings"
	"testing"
)

// regexFind is the byte offset of the first match, by the backtracking matcher and, for a
// regular pattern, by Go's regexp: both must agree.
func regexFind(t *testing.T, pattern, text string) int {
	t.Helper()
	root, groups, err := parseRegex(pattern)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	var m regexMatcher
	at, tooComplex := m.find(compileRegex(root, groups), text, regexSteps)
	re := linearRegex(root)
	if re != nil && !tooComplex {
		linear := -1
		if loc := re.FindStringIndex(text); loc != nil {
			linear = loc[0]
		}
		if linear != at {
			t.Errorf("%q in %q: %d by backtracking, %d in linear time", pattern, text, at, linear)
		}
	}
	return at
}

func TestRegex(t *testing.T) {
	f := func(pattern, text string, want int) {
		t.Helper()
		if got := regexFind(t, pattern, text); got != want {
			t.Errorf("%q in %q: %d, want %d", pattern, text, got, want)
		}
	}
	// Characters, case and sets.
	f("", "", 0)
	f("", "abc", 0)
	f("b", "ABC", 1)
	f("É", "café", 3)
	f("σ", "aς", 1)
	f("k", "\u212a", -1) // the Kelvin sign is no ASCII letter
	f("s", "ſ", -1)
	f("ſ", "xſ", 1)
	f("[a-c]+1", "xaB1", 1)
	f("[^a-c]", "ABCd", 3)
	f("[]", "a", -1)
	f("[^]", "a", 0)
	f("[a-]", "-", 0)
	f("[-a]", "-", 0)
	f(`[\]]`, "]", 0)
	f(`[\d-x]`, "-", 0)
	f(`[\d-x]`, "5", 0)
	f(`[\d-x]`, "f", -1)
	f(`[\b]`, "a\b", 1)
	f(`[^\W]`, "-_", 1)
	f(".", "\n", 0) // the dot matches line ends
	f("a.b", "a\u2028b", 0)
	f(".", "", -1)
	f("😀.", "x😀y", 1)
	f("[😀-😂]", "😁", 0)
	f("^.$", "😀", 0)
	// Escapes.
	f(`\d\D\w\W\s\S`, "1aa  b", 0)
	f(`\s`, "x\ufeff", 1)
	f(`\w`, "é", -1)
	f(`\t\n\v\f\r\0`, "\t\n\v\f\r\x00", 0)
	f(`\x41\u0042`, "ab", 0)
	f(`\u{1F600}`, "😀", 0)
	f(`\ud83d\ude00`, "😀", 0)
	f(`\x4`, "x4", 0)
	f(`\u00`, "u00", 0)
	f(`\cA`, "\x01", 0)
	f(`\c1`, `\c1`, 0)
	f(`\07\101`, "\aA", 0)
	f(`\8`, "8", 0)
	f(`\-\_\/\.`, "-_/.", 0)
	f(`\k`, "k", 0)
	f(`\p{L}+`, "1é", 1)
	f(`\P{Lu}`, "1", 0)
	f(`\p{Script=Greek}`, "aω", 1)
	f(`\p`, "p", 0)
	f(`{`, "{", 0)
	f(`a{,2}`, "a{,2}", 0)
	f(`x{1`, "x{1", 0)
	f(`]}`, "]}", 0)
	// Places.
	f("^a", "ba", -1)
	f("a$", "ab", -1)
	f("^", "x", 0)
	f("$", "xyz", 3)
	f("b$", "b\nb", 2) // at the ends only
	f("^b", "a\nb", -1)
	f(`\bcat\b`, "concat cat", 7)
	f(`\Bcat`, "cat concat", 7)
	f(`\b`, "é", -1) // é is no \w
	// Repetition.
	f("a{2,3}", "a aaa", 2)
	f("a{2}", "aba", -1)
	f("a{0}b", "aab", 2)
	f("(?:ab)+$", "ababab", 0)
	f("(?:ab){2}$", "ababab", 2)
	f("(?:a|ab)(?:c|bcd)(?:d*)$", "abcd", 0)
	f("(a*)*", "b", 0)
	f("(a*)+$", "aab", 3)
	f("(?:a?)*?$", "aa", 0)
	f("(?:a?){2,3}b", "aaaab", 1)
	f("(?:a??)+?b", "aab", 0)
	f("x*", "aaa", 0)
	f("[ab]{2,}?c", "abac", 0)
	f("a+?b", "xaab", 1)
	f("(?:){3}a", "a", 0)
	f("a{2147483648}", "aaa", -1)
	f("(?:a{1000}){1000}", strings.Repeat("a", 999), -1)
	// Groups and what refers to them.
	f(`(b.)a\1`, "abcabc", 1)
	f(`(a)(B)\2\1`, "abBA", 0)
	f(`(?<x>a.)\k<x>`, "zaBab", 1)
	f(`\1(a)`, "a", 0)   // no text yet: empty
	f(`(a\1)`, "a", 0)   // not while it is open
	f(`(a)|\1b`, "b", 0) // not in this alternative
	f(`(?:(a)|b)*\1$`, "ab", 0)
	f(`(z)((a+)?(b+)?(c))*\2`, "zaacbbbcac", 0)
	f(`(?:(a)|(b))+\1c`, "abc", 0) // an iteration forgets the groups of the one before
	f(`(é+)\1`, "xéÉ", 1)
	f(`(a)\1{2}$`, "aaa", 0)
	// Look-around.
	f(`\d(?= EUR)`, "1 USD 2 EUR", 6)
	f(`\d(?! USD)`, "1 USD 2 EUR", 6)
	f(`(?<=USD )\d`, "1 USD 2 EUR", 6)
	f(`(?<!USD )\d`, "USD 1 2", 6)
	f(`(?=(a+))a*b\1`, "baaabac", 3) // of ECMA-262
	f(`(?=(a+))`, "baaabac", 1)
	f(`(.*?)a(?!(a+)b\2c)\2(.*)`, "baaabaac", 0) // of ECMA-262
	f(`(?!(a))\1b`, "b", 0)
	f(`(?<=(\d+)(\d+))$`, "1053", 4)
	f(`(?<=\1(a))b`, "aab", 2)
	f(`(?<=é☃)x`, "é☃x", 5)
	f(`(?=a)*b`, "b", 0)
	f(`(?=.*b)(?=.*c)a`, "xacb", 1)
	f(`^(?=.*\d)(?=.*[a-z]).{4,}$`, "ab1d", 0)
	f(`^(?=.*\d)(?=.*[a-z]).{4,}$`, "abcd", -1)
	f(`(?:(?=a)a|b)+$`, "abab", 0)
	f(`(?!)`, "a", -1)
	f(`(.*)x\1$`, "abxb", 1)
	f(`.*?x(?=b)`, "abxb", 0)
	f(`.*(?<=a)x|^y(?=z)`, "bxax", 0)
	f(`(?:.*x|b)(?=$)`, "ab", 1)
	f(`a(?!$)`, "aa", 0)
	f(`(?<!^)a`, "aa", 1)
	// Text that is no UTF-8 does not stop anything.
	f("b(?!c)", "\xffa\xfeb", 3)
	f("(?<=.)b", "\xffb", 1)
}

func TestRegexErrors(t *testing.T) {
	f := func(pattern, want string) {
		t.Helper()
		_, _, err := parseRegex(pattern)
		if err == nil {
			t.Errorf("%q is valid, want %q", pattern, want)
		} else if err.Error() != want {
			t.Errorf("%q: %q, want %q", pattern, err, want)
		}
		if got := evalPlain(t, "REGEXMATCH('x', '"+pattern+"')"); got != "0" {
			t.Errorf("%q gives %s", pattern, got)
		}
	}
	f("(", "at character 1: unclosed group")
	f("é(?:a", "at character 2: unclosed group")
	f("a)", "at character 2: unmatched )")
	f("*", "at character 1: nothing to repeat")
	f("a**", "at character 3: nothing to repeat")
	f("a{2}{3}", "at character 5: nothing to repeat")
	f("{1}", "at character 1: nothing to repeat")
	f("^*", "at character 2: nothing to repeat")
	f("(?<=a)*", "at character 8: nothing to repeat")
	f("a{2,1}", "at character 2: numbers out of order in {}")
	f("[a", "at character 1: unclosed [")
	f("[b-a]", "at character 3: range out of order")
	f(`a\`, `at character 3: \ at the end`)
	f(`[\`, `at character 3: \ at the end`)
	f("(?x)", "at character 2: invalid group")
	f("(?<1>a)", "at character 2: invalid group")
	f("(?<n>a)(?<n>b)", "at character 8: two groups are called n")
	f(`(?<n>a)\k<m>`, "at character 10: no such group")
	f(`\p{Nope}`, "at character 3: unknown property Nope")
	f(strings.Repeat("(", maxRegexDepth+1), "at character 201: nested too deeply")
}

func TestRegexMatch(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f(`REGEXMATCH('é☃😀x', 'X')`, "4")
	f(`REGEXMATCH('é☃😀xx', '(x)\1')`, "4")
	f(`REGEXMATCH('abc', '')`, "1")
	f(`REGEXMATCH('', '^$')`, "1")
	f(`REGEXMATCH(NULL, 'a')`, "null")
	f(`REGEXMATCH('a', NULL)`, "null")
	f(`REGEXMATCH(12345, '3.')`, "3")
	f(`REGEXMATCH('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '(a+)+$')`, "1")
	f(`REGEXMATCH('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', '(a+)+$')`, "0")
}

// TestRegexEffort has patterns whose effort explodes, and others that must not.
func TestRegexEffort(t *testing.T) {
	f := func(pattern, text, want string) {
		t.Helper()
		if got := evalPlain(t, "REGEXMATCH('"+text+"', '"+pattern+"')"); got != want {
			t.Errorf("%.40q in %d bytes: %s, want %s", pattern, len(text), got, want)
		}
	}
	const complex = "error: pattern too complex"
	long := strings.Repeat("a", 1<<16)
	f(`(?=((a+)+)+b)a`, long[:40], complex)
	f(`(a*)*\1b`, long[:40], complex)
	f(`(?:(a|aa)+)+\1b`, long[:60], complex)
	f(`(?=(.*)(.*)(.*)(.*)(.*)x)`, long[:2000], complex)
	f(strings.Repeat("a", maxRegexBytes+1), "a", complex)
	f(`.*(?=b)`, long+"b", "1")
	f(`.*(?=c)`, long+"b", "0") // one attempt is enough
	f(`^(?=.*c)a`, long, "0")
	f(`b(?=a)`, long, "0")
	f(`a(?=b)`, long+"b", "65536")
	f(`(?:a|b)*(?=c)`, long+"c", "1")
	f(`(?:ab?)*?(?!a)$`, long, "1")
	f(`(a)(?=b)`, long, "0")
	f(`(?<=b)a`, long, "0")
	// Linear time keeps what would explode out of the matcher.
	f(`((a+)+)+b`, long, "0")
	f(`(a|aa)+$`, long, "1")
	// The same effort each time.
	root, groups, _ := parseRegex(`(a*)*\1b`)
	prog := compileRegex(root, groups)
	var m, n regexMatcher
	m.find(prog, long[:12], regexSteps)
	n.find(prog, "other text", regexSteps)
	n.find(prog, long[:12], regexSteps)
	if m.steps != n.steps {
		t.Errorf("%d and %d steps", m.steps, n.steps)
	}
}

func TestPatternCache(t *testing.T) {
	var c patternCache
	a := c.get("a")
	if c.get("b") == a || c.get("a") != a {
		t.Error("patterns are not kept")
	}
	for i := range 3 * maxPatterns {
		c.get(strings.Repeat("x", i))
		if len(c.all) > maxPatterns {
			t.Fatalf("%d patterns are kept", len(c.all))
		}
	}
	if c.get("a").src != "a" {
		t.Error("wrong pattern")
	}
}

// randomPattern makes a pattern; regular ones have no look-around and back-references.
func randomPattern(r *rand.Rand, depth int) string {
	atoms := []string{"a", "b", "C", ".", "[ab]", "[^a]", `\w`, `\d`, `\W`, "é", `[\s\S]`, "1", "^", "$", `\b`, `\B`, "", `[^]`}
	counts := []string{"*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}", "*?", "+?", "??", "{1,2}?", "{0}"}
	if depth == 0 {
		return atoms[r.Intn(len(atoms))]
	}
	sub := func() string { return randomPattern(r, depth-1) }
	switch r.Intn(6) {
	case 0, 1:
		return sub() + sub()
	case 2:
		return "(?:" + sub() + "|" + sub() + ")"
	case 3:
		return "(" + sub() + ")" + counts[r.Intn(len(counts))]
	case 4:
		return "(?:" + sub() + ")" + counts[r.Intn(len(counts))]
	}
	return sub()
}

// TestRegexAgainstGo runs random regular patterns through both matchers.
func TestRegexAgainstGo(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	alphabet := []rune("aabBcé1 _\n")
	for range 2000 {
		pattern := randomPattern(r, 1+r.Intn(4))
		for range 4 {
			text := make([]rune, r.Intn(9))
			for i := range text {
				text[i] = alphabet[r.Intn(len(alphabet))]
			}
			regexFind(t, pattern, string(text))
		}
	}
}

// FuzzRegex looks for patterns and texts that break the parser or a matcher.
func FuzzRegex(f *testing.F) {
	f.Add(`(a)(?=b\1)[^\d-x]{2,}?|\u{41}$`, "aba")
	f.Add(`(?<n>é+?)(?<!\k<n>x)\p{Lu}`, "éx")
	f.Add(`[\c]\c1\07{1`, "\x01")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 200 || len(text) > 200 {
			return
		}
		if _, _, err := parseRegex(pattern); err == nil {
			regexFind(t, pattern, text)
		}
	})
}
