package diag

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzRender(f *testing.F) {
	f.Add("SELECT a < b < c\n\tFROM 温度", 9, 10, 17, 21, "m", "text")
	f.Add("\uFEFFa\r\nb\rc\x1b", 3, 99, 0, 0, "a\nb", "")
	f.Add("e\u0301\u200d👩‍👩‍👧\xff", 1, 4, 8, 9, "", "")
	f.Fuzz(func(t *testing.T, src string, a, b, c, d int, message, text string) {
		x := &Diagnostic{Code: SA2002, Span: Span{a, b}, Message: message, Text: text,
			Related: []Label{{Span{c, d}, message}}, Fix: []Edit{{Span{a, b}, text}, {Span{c, d}, ""}}}
		var out strings.Builder
		Render(&out, "f", src, x, false)
		for line := range strings.Lines(out.String()) {
			body := strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\uFFFD", "")
			if strings.ContainsFunc(body, disturbs) {
				t.Errorf("the terminal would be disturbed by %q", line)
			}
		}
		if lines := strings.Count(out.String(), "\n"); lines < 5 || lines > 10 {
			t.Errorf("%d lines:\n%s", lines, out.String())
		}
		AsJSON("f", src, x)
		if utf8.ValidString(src) {
			l1, c1 := Position(src, a)
			if l1 < 1 || c1 < 1 {
				t.Errorf("position %d:%d", l1, c1)
			}
		}
		Apply(src, x.Fix)
	})
}
