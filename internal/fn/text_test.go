package fn

import (
	"strings"
	"testing"
	"unicode/utf8"

	"weir/internal/vec"
)

func TestTexts(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("UPPER('a1-b2')", `"A1-B2"`)
	f("UPPER('ǆ straße')", `"Ǆ STRAßE"`)
	f("LOWER('ÀΣ')", `"àσ"`)
	f("UPPER(NULL)", "null")
	f("UPPER(1.5)", `"1.5"`)
	f("UPPER(TRUE)", `"TRUE"`)
	f("UPPER(JSON_PARSE('[1]'))", "error: argument 1 of UPPER has type array; nvarchar(max) wanted")

	f("LEN('abc')", "3")
	f("LEN('abc   ')", "3")
	f("LEN('')", "0")
	f("LEN('   ')", "0")
	f("LEN('a\t')", "2") // only blanks are left out
	f("LEN('a\u00a0')", "2")
	f("LEN('😀😀 ')", "2")
	f("LEN(NULL)", "null")
	f("LEN(123)", "3")

	f("LEFT('stream', 3)", `"str"`)
	f("LEFT('é☃😀x', 3)", `"é☃😀"`)
	f("LEFT('é☃', 9223372036854775807)", `"é☃"`)
	f("LEFT('', 3)", `""`)
	f("LEFT('abc', -1)", "error: LEFT: length must not be negative")
	f("LEFT(NULL, -1)", "null")
	f("LEFT('abc', NULL)", "null")
	f("LEFT('abc', 1.5)", "error: argument 2 of LEFT has type float; bigint wanted")
	f("LEFT('abc', '2')", `"ab"`)
	f("LEFT(12345, 2)", `"12"`)
	f("RIGHT('stream', 3)", `"eam"`)
	f("RIGHT('é☃😀x', 3)", `"☃😀x"`)
	f("RIGHT('é☃', 9223372036854775807)", `"é☃"`)
	f("RIGHT('', 1)", `""`)
	f("RIGHT('abc', -1)", "error: RIGHT: length must not be negative")

	f("SUBSTRING('stream', 1, 3)", `"str"`)
	f("SUBSTRING('é☃😀x', 2, 2)", `"☃😀"`)
	f("SUBSTRING('abc', 2, 0)", `""`)
	f("SUBSTRING('abc', 3, 9)", `"c"`)
	f("SUBSTRING('abc', 4, 1)", `""`)
	f("SUBSTRING('abc', -1, 3)", `"a"`)
	f("SUBSTRING('abc', -1, 2)", `""`)
	f("SUBSTRING('abc', -5, 2)", `""`)
	f("SUBSTRING('abc', 0, 9223372036854775807)", `"abc"`)
	f("SUBSTRING('abc', -9223372036854775808, 9223372036854775807)", `""`)
	f("SUBSTRING('abc', -9223372036854775808, 0)", `""`)
	f("SUBSTRING('abc', -9223372036854775807, 9223372036854775807)", `""`)
	f("SUBSTRING('abc', -9223372036854775805, 9223372036854775807)", `"a"`)
	f("SUBSTRING('abc', 9223372036854775807, 9223372036854775807)", `""`)
	f("SUBSTRING('', 1, 1)", `""`)
	f("SUBSTRING('abc', 9, -1)", "error: SUBSTRING: length must not be negative")
	f("SUBSTRING(DATEADD(day, 0, '2024-01-01T10:20:30.5'), 1, 16)", `"2024-01-01T10:20"`)

	f("STUFF('stream', 3, 2, 'XYZ')", `"stXYZam"`)
	f("STUFF('stream', 1, 1, '')", `"tream"`)
	f("STUFF('stream', 6, 1, '!')", `"strea!"`)
	f("STUFF('stream', 7, 0, '!')", `""`)
	f("STUFF('abc', 0, 1, 'X')", `"Xbc"`)
	f("STUFF('abc', -9, 1, 'X')", `"Xbc"`)
	f("STUFF('é☃😀x', 2, 2, '··')", `"é··x"`)
	f("STUFF('', 1, 0, 'x')", `""`)
	f("STUFF('abc', 1, -1, 'x')", "error: STUFF: length must not be negative")
	f("STUFF('abc', 1, 9223372036854775807, 'x')", `"x"`)
	f("STUFF('abc', 1, 1, NULL)", "null")

	f("REVERSE('cool')", `"looc"`)
	f("REVERSE('')", `""`)
	f("REVERSE('😀é x')", `"x é😀"`)
}

func TestTrim(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("TRIM('\t\u00a0\u3000a b\n')", `"a b"`)
	f("LTRIM('\t\u00a0\u3000a b\n')", `"a b\n"`)
	f("RTRIM('\t\u00a0\u3000a b\n')", `"\t`+"\u00a0\u3000"+`a b"`)
	f("TRIM('')", `""`)
	f("TRIM('  ')", `""`)
	f("TRIM(NULL)", "null")
	for _, c := range "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2005\u200a\u2028\u2029\u202f\u205f\u3000" {
		f("CONCAT(LTRIM('"+string(c)+"x'), RTRIM('x"+string(c)+"'), TRIM('"+string(c)+"x"+string(c)+"'))", `"xxx"`)
	}
	for _, c := range "\u200b\ufeff\u180e\u001c\u001f_" {
		f("LEN(TRIM('"+string(c)+"x"+string(c)+"'))", "3")
	}
}

func TestCharacters(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("NCHAR(233)", `"é"`)
	f("NCHAR(128512)", `"😀"`)
	f("NCHAR(1114111)", `"`+string(rune(1114111))+`"`)
	f("NCHAR(1114112)", "null")
	f("NCHAR(-1)", "null")
	f("NCHAR(55296)", "null")
	f("NCHAR(57343)", "null")
	f("NCHAR(4294967361)", "null") // 2^32 + 65
	f("LEN(NCHAR(0))", "1")
	f("NCHAR(UNICODE('茶葉'))", `"茶"`)
	f("UNICODE('Zebra')", "90")
	f("UNICODE('😀')", "128512")
	f("UNICODE('')", "null")
	f("UNICODE(NULL)", "null")

	f("CHARINDEX('an', 'banana', 3)", "4")
	f("CHARINDEX('an', 'banana', 5)", "0")
	f("CHARINDEX('a', 'banana', 6)", "6")
	f("CHARINDEX('a', 'banana', 7)", "0")
	f("CHARINDEX('a', 'banana', 9223372036854775807)", "0")
	f("CHARINDEX('b', 'banana', -9223372036854775808)", "1")
	f("CHARINDEX('', 'banana')", "0")
	f("CHARINDEX('', '')", "0")
	f("CHARINDEX('A', 'banana')", "0")
	f("CHARINDEX('x', 'é☃😀x')", "4")
	f("CHARINDEX('x', 'é☃😀xx', 5)", "5")
	f("CHARINDEX(NULL, 'banana')", "null")
	f("CHARINDEX('b', 'banana', NULL)", "null")
	f("CHARINDEX(4, 12345)", "4")
}

func TestJoinAndRepeat(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("CONCAT('mid', NULL, '!')", `"mid!"`)
	f("CONCAT(1, 2.5, TRUE, 'x')", `"12.5truex"`)
	f("CONCAT(DATEADD(day, 0, '2024-01-01'), '')", `"2024-01-01T00:00:00.0000000Z"`)
	f("CONCAT('it''s', ' \"quoted\"')", `"it's \"quoted\""`)
	f("GetType(CONCAT(NULL, NULL))", `"nvarchar(max)"`)
	f("CONCAT('a', JSON_PARSE('[1]'))", "error: argument 2 of CONCAT has type array; nvarchar(max) wanted")
	f("CONCAT_WS('/', '2024', '07', '09')", `"2024/07/09"`)
	f("CONCAT_WS(', ', NULL, '07', NULL, '09')", `"07, 09"`)
	f("CONCAT_WS('', '2024', '07')", `"202407"`)
	f("CONCAT_WS('-', '', '', 'x')", `"--x"`)
	f("CONCAT_WS(NULL, 1, NULL, 2)", `"12"`)
	f("CONCAT_WS(0, 1, 2)", `"102"`)

	f("REPLICATE('ab', 3)", `"ababab"`)
	f("REPLICATE('', 9223372036854775807)", `""`)
	f("REPLICATE('ab', 9223372036854775807)", "error: result too large")
	f("REPLICATE(NULL, 3)", "null")
	f("CONCAT(REPLICATE('0', 3), '42')", `"00042"`)
	f("CONCAT(REPLICATE('0', -1), '42')", `"42"`)
	f("SPACE(0)", `""`)
	f("SPACE(-9223372036854775808)", "null")

	f("REPLACE('banana', 'zz', '!')", `"banana"`)
	f("REPLACE('banana', 'na', '')", `"ba"`)
	f("REPLACE('aaa', 'aa', 'a')", `"aa"`) // not rescanned
	f("REPLACE('banana', 'A', 'x')", `"banana"`)
	f("REPLACE('', 'a', 'b')", `""`)
	f("REPLACE(NULL, 'a', 'b')", "null")
	f("REPLACE('banana', NULL, 'b')", "null")
	f("REPLACE('banana', 'a', NULL)", "null")
	f("REPLACE(121, 1, 3)", `"323"`)

	f("TRANSLATE('1;2;3', ';', ',')", `"1,2,3"`)
	f("TRANSLATE('aab', 'aa', 'xy')", `"xxb"`) // the first position wins
	f("TRANSLATE('é☃x', '☃é', 'e☂')", `"☂ex"`)
	f("TRANSLATE('abc', '', '')", `"abc"`)
	f("TRANSLATE('abc', 'abc', 'xy')", "error: TRANSLATE: lengths 3 and 2 differ")
	f("TRANSLATE('abc', 'é', 'xy')", "error: TRANSLATE: lengths 1 and 2 differ")
	f("TRANSLATE('', 'a', '')", "error: TRANSLATE: lengths 1 and 0 differ")
	f("TRANSLATE(NULL, 'a', '')", "null")
	f("TRANSLATE('a', NULL, 'b')", "null")
	f("LEN(TRANSLATE(NCHAR(0), NCHAR(0), 'x'))", "1")
}

func TestLargeTexts(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalPlain(t, call); got != want {
			t.Errorf("%s = %.50s, want %s", call, got, want)
		}
	}
	f("SPACE(1048577)", "error: result too large")
	f("LEN(CONCAT(SPACE(1048575), 'x'))", "1048576")
	f("LEN(CONCAT(SPACE(1048576), 'x'))", "error: result too large")
	f("LEN(CONCAT_WS('xx', SPACE(1048575), ''))", "error: result too large")
	f("LEN(REPLACE(REPLICATE('a', 524288), 'a', 'bb'))", "1048576")
	f("LEN(REPLACE(REPLICATE('a', 524289), 'a', 'bb'))", "error: result too large")
	f("STUFF(REPLICATE('a', 1048576), 1, 0, 'b')", "error: result too large")
	f("TRANSLATE(REPLICATE('a', 1048576), 'a', 'é')", "error: result too large")
	f("LEN(UPPER(REPLICATE('a', 1048576)))", "1048576")
	f("UPPER(REPLICATE('ɐ', 524288))", "error: result too large") // upper case takes three bytes
}

func TestPatIndex(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("PATINDEX('%ow%', 'window')", "5")
	f("PATINDEX('%zz%', 'window')", "0")
	f("PATINDEX('%n_o%', 'window')", "3")
	f("PATINDEX('%b', 'abcb')", "4")
	f("PATINDEX('%b%', 'abcb')", "2")
	f("PATINDEX('b%', 'abcb')", "0")
	f("PATINDEX('abcb', 'abcb')", "1")
	f("PATINDEX('abc', 'abcb')", "0")
	f("PATINDEX('%a%b', 'xaab')", "2")
	f("PATINDEX('%[^a-z]%', 'ab7')", "3")
	f("PATINDEX('%x%', 'é☃😀x')", "4")
	f("PATINDEX('%[%', 'a[')", "0") // an open set never matches
	f("PATINDEX('%W%', 'window')", "0")
	f("PATINDEX('%', 'abc')", "1")
	f("PATINDEX('', 'abc')", "0")
	f("PATINDEX(NULL, 'abc')", "null")
	f("PATINDEX('%3%', 123)", "3")
	f("PATINDEX(REPLICATE('_', 8000), 'abc')", "0")
	f("PATINDEX(REPLICATE('é', 8000), 'abc')", "0")
	f("PATINDEX(REPLICATE('_', 8001), 'abc')", "error: the pattern is longer than 8000 characters")
}

func TestStaticChecks(t *testing.T) {
	f := func(name string, want string, args ...any) {
		t.Helper()
		s, _ := LookupScalar(name)
		consts := make([]*vec.Value, len(args))
		for i, a := range args {
			switch a := a.(type) {
			case string:
				v := vec.StringValue(a)
				consts[i] = &v
			case int:
				v := vec.IntValue(int64(a))
				consts[i] = &v
			}
		}
		got := ""
		if e := s.Check(consts); e != nil {
			got = e.Code + " " + e.Message + ": " + e.Hint
		}
		if got != want {
			t.Errorf("%s%v: %q, want %q", name, args, got, want)
		}
	}
	f("TRANSLATE", "SA7005 TRANSLATE needs two texts of equal length: 3 and 2: ", nil, "abc", "xy")
	f("TRANSLATE", "", nil, "aé", "xy")
	f("TRANSLATE", "", nil, "abc", nil)
	f("TRANSLATE", "", nil, nil, "x")
	f("TRANSLATE", "", nil, 12, "x")
	f("PATINDEX", "SA7004 the pattern is longer than 8000 characters: ", strings.Repeat("é", 8001), nil)
	f("PATINDEX", "", strings.Repeat("é", 8000), nil)
	f("PATINDEX", "", nil, nil)
	f("REGEXMATCH", "W7001 invalid regular expression: REGEXMATCH gives 0: at character 2: unclosed group", nil, "a(b")
	f("REGEXMATCH", "", nil, "a(b)")
	f("REGEXMATCH", "", nil, nil)
	f("REGEXMATCH", "", nil, 1)
}

func TestSkipRunes(t *testing.T) {
	for _, s := range []string{"", "abc", "é☃😀x", "a\xff\xfeb", "\xe2\x98"} {
		runes := []rune(s)
		for n := range len(runes) + 2 {
			at := len(string(s))
			if n < len(runes) {
				at = 0
				for range n {
					_, size := utf8.DecodeRuneInString(s[at:])
					at += size
				}
			}
			if got := skipRunes(s, int64(n)); got != at {
				t.Errorf("skipRunes(%q, %d) = %d, want %d", s, n, got, at)
			}
		}
	}
	if got := skipLastRunes("é☃😀x", 2); got != len("é☃") {
		t.Error(got)
	}
	if got := skipLastRunes("a\xff\xfeb", 2); got != 2 {
		t.Error(got)
	}
}
