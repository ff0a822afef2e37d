package diag

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
)

func TestPosition(t *testing.T) {
	f := func(src string, offset, line, col int) {
		t.Helper()
		if l, c := Position(src, offset); l != line || c != col {
			t.Errorf("Position(%q, %d) = %d, %d, want %d, %d", src, offset, l, c, line, col)
		}
	}
	f("", 0, 1, 1)
	f("abc", 0, 1, 1)
	f("abc", 3, 1, 4)
	f("abc", 99, 1, 4)
	f("abc", -1, 1, 1)
	f("a\nb", 1, 1, 2)
	f("a\nb", 2, 2, 1)
	f("a\r\nb", 2, 1, 2) // between CR and LF
	f("a\r\nb", 3, 2, 1)
	f("a\rb\rc", 4, 3, 1)
	f("a\n\r\n\rb", 5, 4, 1)
	f("a\n", 2, 2, 1)
	f("日本x", 6, 1, 3)
	f("\uFEFFab", 3, 1, 1)
	f("\uFEFFab", 0, 1, 1)
	f("\uFEFFab\nc", 6, 2, 1)
}

func TestNearest(t *testing.T) {
	f := func(name, want string, candidates ...string) {
		t.Helper()
		got, ok := Nearest(name, candidates)
		if got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	f("TolId", "TollId", "AvgToll", "TollId")
	f("tollid", "TollId", "tollie", "TollId") // without case first
	f("humidty", "humidity", "id", "humidity")
	f("FORM", "FROM", "WHERE", "FROM") // a swap is one edit
	f("ab", "", "ac")                  // a third of 2 is 0
	f("abc", "abd", "abd")
	f("abc", "", "ade")
	f("abcdef", "abXYef", "abXYef")
	f("abcdefghi", "", "abcXYZghi") // never more than 2
	f("abcdef", "abcdeg", "abXYef", "abcdeg")
	f("abcdef", "abcdeg", "abcdeg", "abcdeh") // the first of equals
	f("Größe", "GRÖßE", "größer", "GRÖßE")
	f("x", "")
	f("same", "", "same")
	f("", "", "a")
}

func TestSorted(t *testing.T) {
	d := func(code Code, start int, message string) *Diagnostic {
		s := SeverityError
		if code[0] == 'W' {
			s = SeverityWarning
		}
		return &Diagnostic{Code: code, Severity: s, Span: Span{start, start + 1}, Message: message}
	}
	got := List{d(SA2002, 9, "b"), d(W1003, 3, "w"), d(SA2002, 3, "a"), d(SA2002, 9, "b"), d(SA2003, 1, "c")}.Sorted()
	want := List{d(SA2003, 1, "c"), d(SA2002, 3, "a"), d(W1003, 3, "w"), d(SA2002, 9, "b")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !got.HasErrors() || got.Err() == nil {
		t.Error("errors not seen")
	}
	if w := (List{d(W1003, 1, "w")}); w.HasErrors() || w.Err() != nil || List(nil).Err() != nil {
		t.Error("a warning taken as an error")
	}
	if got, want := want[:2].Error(), "error[SA2003]: c\nerror[SA2002]: a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var many List
	for i := range 50 {
		many = append(many, d(SA2002, i, strconv.Itoa(i)), d(W2001, i, "w"))
	}
	cut := many.Sorted()
	errors := 0
	for _, x := range cut {
		if x.Severity == SeverityError {
			errors++
		}
	}
	if errors != MaxErrors || cut[len(cut)-1].Span.Start != MaxErrors-1 {
		t.Errorf("%d errors of at most %d, the last at %d", errors, MaxErrors, cut[len(cut)-1].Span.Start)
	}
}

func TestAsJSON(t *testing.T) {
	src := "SELECT\n 日本 order"
	d := &Diagnostic{Code: SA2103, Span: at(t, src, "order", 1), Message: `"order" is a reserved word`,
		Hint: "write [order]", Fix: []Edit{{at(t, src, "order", 1), "[order]"}}}
	got, err := json.Marshal(AsJSON("job.saql", src, d))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"code":"SA2103","severity":"error","message":"\"order\" is a reserved word","file":"job.saql",` +
		`"line":2,"column":5,"endLine":2,"endColumn":10,"hint":"write [order]",` +
		`"fix":[{"line":2,"column":5,"endLine":2,"endColumn":10,"text":"[order]"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := Apply(src, d.Fix), "SELECT\n 日本 [order]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestApply(t *testing.T) {
	f := func(src, want string, fix ...Edit) {
		t.Helper()
		if got := Apply(src, fix); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("‘a’", "'a'", Edit{Span{4, 7}, "'"}, Edit{Span{0, 3}, "'"})
	f("ab", "ab")
	f("ab", "a,b", Edit{Span{1, 1}, ","})
	f("ab", "xb", Edit{Span{0, 1}, "x"}, Edit{Span{0, 2}, "y"}) // the second overlaps
	f("ab", "ab", Edit{Span{1, 9}, "y"})
}
