package files

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// at is a time in a year, for tables.
const at = 638_000_000_123_456_789 // 2022-09-28T22:13:32.3456789Z

func nameOf(t *testing.T, text string, value vec.Value, n int64) string {
	t.Helper()
	tpl, err := parseTemplate(text, names{output: "alerts", job: "j", ext: ".json", dateFormat: "yyyy/MM/dd", timeFormat: "HH-mm"})
	ok(t, err)
	stem, bad := tpl.stem(nil, at, func(*token) vec.Value { return value })
	if bad != nil {
		return "<rejected>"
	}
	s, err := name(string(stem), n, "_manifest.jsonl")
	if err != nil {
		return "<" + err.Error() + ">"
	}
	if !fs.ValidPath(s) || strings.ContainsAny(s, "\\:*?\"<>|\x00\n") {
		t.Errorf("%q is no safe name", s)
	}
	return s
}

// TestNames has templates and what they give.
func TestNames(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := nameOf(t, text, vec.StringValue("v"), 7); got != want {
			t.Errorf("%s gives %q, and must give %q", text, got, want)
		}
	}
	f("{date}/{time}/{output}-{n}{ext}", "2022/09/28/22-13/alerts-7.json")
	f("{window.end:yyyy/MM/dd/HHmm}.json", "2022/09/28/2213.json")
	f("{event_time:yyyy-MM-dd HH_mm_ss}", "2022-09-28 22_13_32")
	f("year={datetime:yyyy}/month={datetime:MM}/day={datetime:dd}/{datetime:HH}.json", "year=2022/month=09/day=28/22.json")
	f("{datetime:yyyy}/{datetime:M}/{datetime:d}/{datetime:H}/{datetime:m}/{datetime:s}", "2022/9/28/22/13/32")
	f("{DATE}/{Team}/x.csv", "2022/09/28/v/x.csv")
	f("{partition}/{job}/{n}", "0/j/7")
	f("plain", "plain")
}

// TestWindows has names by the start of the window: a file is complete when no row can come to it.
func TestWindows(t *testing.T) {
	f := func(text, want string, wantLast vec.Time) {
		t.Helper()
		tpl, err := parseTemplate(text, names{ext: ".json", dateFormat: "yyyy/MM/dd", timeFormat: "HH-mm", window: 5 * vec.Minute})
		ok(t, err)
		end := vec.FromCivil(2024, 3, 1) + 2*vec.Minute // the window began the day before
		stem, _ := tpl.stem(nil, end, nil)
		if string(stem) != want || tpl.last(end) != wantLast {
			t.Errorf("%s gives %q until %s, and must give %q until %s", text, stem, tpl.last(end), want, wantLast)
		}
	}
	day := vec.FromCivil(2024, 3, 1)
	f("{window.start:yyyy/MM/dd}", "2024/02/29", day+5*vec.Minute-1)
	f("{window.end:yyyy/MM/dd}", "2024/03/01", day+vec.Day-1)
	f("{window.start}.json", "2024-02-29_23-57-00.json", day+2*vec.Minute+vec.Second-1)
	f("{window.end}.json", "2024-03-01_00-02-00.json", day+2*vec.Minute+vec.Second-1)
	f("{date}/{window.start:yyyy/MM/ddHH}", "2024/03/01/2024/02/2923", day+5*vec.Minute-1)
	f("{window.start:yyyy}/{date}", "2024/2024/03/01", day+vec.Day-1)
	f("x{n}", "x\x00", vec.MaxTime)
}

// TestValues has values that want to be elsewhere, and some that are only odd.
func TestValues(t *testing.T) {
	f := func(value any, want string) {
		t.Helper()
		v := vec.NullValue()
		switch x := value.(type) {
		case string:
			v = vec.StringValue(x)
		case int:
			v = vec.IntValue(int64(x))
		case float64:
			v = vec.FloatValue(x)
		case bool:
			v = vec.BitValue(x)
		}
		if got := nameOf(t, "d/{team}", v, 0); got != "d/"+want {
			t.Errorf("%q gives %q, and must give %q", value, got, "d/"+want)
		}
	}
	f("Team_1-a.b", "Team_1-a.b")
	f("../../x", "%2E.%2F..%2Fx")
	f("/etc/x", "%2Fetc%2Fx")
	f("..\\x", "%2E.%5Cx")
	f("..", "%2E%2E")
	f(".", "%2E")
	f(".hidden", "%2Ehidden")
	f("end.", "end%2E")
	f(" ", "%20")
	f("", "%EMPTY")
	f(nil, "%NULL")
	f("NULL", "NULL")
	f("%NULL", "%25NULL")
	f("a\x00b", "a%00b")
	f("a\nb", "a%0Ab")
	f("C:\\x", "C%3A%5Cx")
	f("CON", "%43ON")
	f("con.txt", "%63on.txt")
	f("Lpt1", "%4Cpt1")
	f("%43ON", "%2543ON")
	f("CONSOLE", "CONSOLE")
	f("．．／x", "%EF%BC%8E%EF%BC%8E%EF%BC%8Fx")
	f("🚀", "%F0%9F%9A%80")
	f("\xff\xfe", "%FF%FE")
	f("~/x", "%7E%2Fx")
	f("$HOME`id`", "%24HOME%60id%60")
	f(".weir-0123", "%2Eweir-0123")
	f(-5, "-5")
	f(1.5, "1.5")
	f(true, "true")

	if got := nameOf(t, "{x}", vec.StringValue("_manifest.jsonl"), 0); got != "%5Fmanifest.jsonl" {
		t.Error(got)
	}
	if got := nameOf(t, "{x}/y", vec.StringValue("_Manifest.jsonl"), 0); got != "%5FManifest.jsonl/y" {
		t.Error(got)
	}
	if got, err := name("a/b", 0, "a/b/m"); got != "a/%62" || err != nil {
		t.Error(got, err)
	}
	if got := nameOf(t, ".{x}/y", vec.StringValue("weir-0123"), 0); got != "%2Eweir-0123/y" {
		t.Error(got)
	}
	if got := nameOf(t, "C{x}.json", vec.StringValue("ON"), 0); got != "%43ON.json" {
		t.Error(got)
	}
	for _, v := range []vec.Value{vec.TimeValue(at), vec.RecordValue(&vec.Rec{}), vec.ArrayValue(&vec.Rec{})} {
		if got := nameOf(t, "{x}", v, 0); got != "<rejected>" {
			t.Errorf("%s gives %q", v.Kind, got)
		}
	}
}

// TestLongValues stay apart though they are cut.
func TestLongValues(t *testing.T) {
	seen := map[string]string{}
	for _, base := range []string{strings.Repeat("a", 5000), strings.Repeat("/", 5000), strings.Repeat("é", 300), strings.Repeat("%", 100)} {
		for _, end := range []string{"", "1", "2", ".."} {
			got := escape(base + end)
			if len(got) > maxValue {
				t.Errorf("%d bytes", len(got))
			}
			if was, ok := seen[got]; ok {
				t.Errorf("%.20q and %.20q have one name", was, base+end)
			}
			seen[got] = base + end
			if i := strings.LastIndex(got, longText); i < 0 || strings.HasSuffix(got[:i], "%") || i > 1 && got[i-2] == '%' {
				t.Errorf("%q is cut in the midst of a byte", got)
			}
		}
	}
	if got := nameOf(t, strings.Repeat("{x}", 3), vec.StringValue(strings.Repeat("a", 119)), 0); !strings.HasPrefix(got, "<") {
		t.Error(got)
	}
}

// TestOneToOne: texts have names of their own, and none leads anywhere.
func TestOneToOne(t *testing.T) {
	seen := map[string]string{}
	alphabet := []string{"a", "A", ".", "/", "%", "2E", "\x00", "~", " ", "é", "N"}
	var walk func(s string, depth int)
	walk = func(s string, depth int) {
		got, err := name("x"+escape(s), 0)
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[got]; ok {
			t.Fatalf("%q and %q are both %q", was, s, got)
		}
		seen[got] = s
		if strings.ContainsAny(got, "/\\\x00") || !fs.ValidPath(got) {
			t.Fatalf("%q is %q", s, got)
		}
		if depth == 0 {
			return
		}
		for _, a := range alphabet {
			walkOnce := s + a
			if _, ok := seenText[walkOnce]; ok {
				continue
			}
			seenText[walkOnce] = true
			walk(walkOnce, depth-1)
		}
	}
	walk("", 4)
}

var seenText = map[string]bool{}

// FuzzEscape has any text as a value.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "..", "a/b", "\x00", "CON.x", "é"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := escape(a), escape(b)
		if (a == b) != (x == y) {
			t.Errorf("%q is %q, %q is %q", a, x, b, y)
		}
		s, err := name("d/"+x+"/e", 0)
		if err != nil {
			t.Fatal(err)
		}
		if !fs.ValidPath(s) || strings.Count(s, "/") != 2 || strings.HasPrefix(x, ".") || strings.HasSuffix(x, ".") {
			t.Errorf("%q gives %q", a, s)
		}
	})
}

// TestBadTemplates are refused when the job is checked.
func TestBadTemplates(t *testing.T) {
	f := func(text, say string, more ...any) {
		t.Helper()
		c := connect.Config{Values: map[string]any{"directory": "d", "path": text, "date_format": "yyyy/MM/dd", "time_format": "HH", "manifest": "m"}}
		for i := 0; i+1 < len(more); i += 2 {
			c.Values[more[i].(string)] = more[i+1]
		}
		got := fmt.Sprint(Check(c))
		if say == "" && got != "[]" || !strings.Contains(got, say) {
			t.Errorf("%s: %s, and must say %q", text, got, say)
		}
	}
	f("{date}/x.json", "")
	f("{date}/{time}", "")
	f("{team}/{n}", "", "max_rows", int64(5))
	f("{team}/{date}/{n}", "", "max_size", int64(5))
	f("{date", "without a }")
	f("{nix:x}", "is no token")
	f("{}", "is no token")
	f("{datetime:}", "needs a format")
	f("{datetime:yyyy-qq}", "has \"q\"")
	f("{window.start:yyyy}", "the length of the window")
	f("{time}", "come again")
	f("{date}/{window.start:HH}", "come again", "window", 5*time.Minute)
	f("{window.start}", "", "window", 5*time.Minute)
	f("{date}", "length of the window", "window", -time.Minute)
	f("{team}", "nothing says", "naming", "azure")
	f("", "", "naming", "azure", "max_rows", int64(5))
	f("{date}", "", "naming", "azure")
	f("{date}", "more than 0", "max_staged", int64(0))
	f("{datetime:yyyy}/{datetime:dd}", "come again")
	f("../{date}", "below the directory")
	f("/abs/{date}", "below the directory")
	f("a//{date}", "below the directory")
	f("a/./{date}", "below the directory")
	f("a\\{date}", "below the directory")
	f("{date}/", "names no file")
	f("", "names no file")
	f("{date}/\x01", "below the directory")
	f(strings.Repeat("x", 600)+"{date}", "are allowed")
	f("x.json", "nothing in it says")
	f("{n}", "nothing says")
	f("{date}", "same name", "max_rows", int64(5))
	f("{date}/{n}", "more than 0", "max_rows", int64(0))
	f("{date}", "no name of a file", "manifest", "../m")
	f("{date}", "no name of a file", "manifest", ".weir-x/m")
	f("{date}", "at least 1", "max_files", int64(0))
}

// TestAzureNaming has names as Azure gives them, the same for the same state.
func TestAzureNaming(t *testing.T) {
	f := func(path, instance string, columns []string, want string) {
		t.Helper()
		env := connect.SinkEnv{Job: "j", Output: "o", Instance: instance, Columns: connect.Columns{Names: columns}}
		c := connect.Config{Values: map[string]any{"path": path, "naming": "azure", "date_format": "yyyy/MM/dd", "time_format": "HH"}}
		s, err := settingsOf(c, env)
		ok(t, err)
		stem, _ := s.template.stem(nil, at, nil)
		got, err := name(string(stem), 3)
		ok(t, err)
		if got != want {
			t.Errorf("%s, and must be %s", got, want)
		}
	}
	f("logs/{date}", "a", []string{"x", "y"}, "logs/2022/09/28/ce3890a816f5237a_c92ef412-2215-2a5a-6ab5-d009e610424e_3.json")
	f("logs/{date}/", "a", []string{"x", "y"}, "logs/2022/09/28/ce3890a816f5237a_c92ef412-2215-2a5a-6ab5-d009e610424e_3.json")
	f(defaultPath, "a", []string{"x", "y"}, "2022/09/28/22/ce3890a816f5237a_c92ef412-2215-2a5a-6ab5-d009e610424e_3.json")
	f("logs/{date}", "b", []string{"x", "y"}, "logs/2022/09/28/ce3890a816f5237a_06a07111-3795-f302-6c89-021c7fd39575_3.json")
	f("logs/{date}", "a", []string{"x"}, "logs/2022/09/28/2d711642b726b044_c92ef412-2215-2a5a-6ab5-d009e610424e_3.json")
}
