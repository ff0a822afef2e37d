package saql

import (
	"os"
	"strings"
	"testing"

	"weir/internal/diag"
)

// sampleQueries are the queries of testdata/queries.saql, one between two lines "---".
func sampleQueries(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/queries.saql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n---\n")
}

// scriptExprs are the expressions of a script that stand in select lists and conditions.
func scriptExprs(s *Script) []Expr {
	var all []Expr
	var query func(q QueryExpr)
	query = func(q QueryExpr) {
		switch q := q.(type) {
		case *Union:
			for _, b := range q.Branches {
				query(b)
			}
		case *Select:
			for _, i := range q.Items {
				all = append(all, i.Expr)
			}
			for _, g := range q.GroupBy {
				all = append(all, g.Key)
			}
			for _, o := range q.OrderBy {
				all = append(all, o.Expr)
			}
			all = append(all, q.Where, q.Having)
		}
	}
	for _, st := range s.Stmts {
		if q, ok := st.(*Query); ok {
			query(q.Body)
			for _, step := range q.With {
				query(step.Body)
			}
		}
	}
	kept := all[:0]
	for _, e := range all {
		if e != nil {
			kept = append(kept, e)
		}
	}
	return kept
}

// checkPrint holds Print to its promise: what it writes is read as the same tree.
func checkPrint(t testing.TB, e Expr) {
	t.Helper()
	text := Print(e)
	s, errs := Parse("SELECT 1 AS a FROM t WHERE " + text)
	if errs.HasErrors() {
		t.Fatalf("%s: %v", text, errs)
	}
	got := s.Stmts[0].(*Query).Body.(*Select).Where
	if !Equal(e, got) {
		t.Errorf("%s is not equal to itself", text)
	}
	if Print(got) != text {
		t.Errorf("%s is printed as %s", text, Print(got))
	}
	if d1, d2 := dump(e), dump(got); d1 != d2 {
		t.Errorf("%s: another tree\n%s\n%s", text, d1, d2)
	}
	if !Equal(got, e) {
		t.Errorf("%s: Equal depends on the order", text)
	}
	nodes := 0
	Walk(e, func(Expr) bool { nodes++; return true })
	if nodes == 0 {
		t.Errorf("%s: nothing walked", text)
	}
}

// checkPlaces holds every expression inside of e to the text at its place.
func checkPlaces(t testing.TB, src string, e Expr) {
	t.Helper()
	Walk(e, func(x Expr) bool {
		span := x.Pos()
		if span.Start < 0 || span.End > len(src) || span.Start >= span.End {
			t.Errorf("%s stands at %v", Print(x), span)
			return false
		}
		text := src[span.Start:span.End]
		s, errs := Parse("SELECT 1 AS a FROM t WHERE\n" + text + "\n")
		if errs.HasErrors() {
			t.Errorf("%s stands at %q: %v", Print(x), text, errs)
			return false
		}
		if got := s.Stmts[0].(*Query).Body.(*Select).Where; dump(got) != dump(x) {
			t.Errorf("%s stands at %q", Print(x), text)
			return false
		}
		return true
	})
}

// checkSpans holds every diagnostic to a place in the text.
func checkSpans(t testing.TB, src string, errs diag.List) {
	t.Helper()
	for _, d := range errs {
		if d.Span.Start < 0 || d.Span.End < d.Span.Start || d.Span.End > len(src) {
			t.Errorf("%v at %v of %d bytes", d, d.Span, len(src))
		}
		if d.Message == "" || d.Code == "" {
			t.Errorf("empty message: %#v", d)
		}
		if _, ok := diag.Lookup(string(d.Code)); !ok {
			t.Errorf("%s is not listed", d.Code)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, q := range sampleQueries(f) {
		f.Add(q)
	}
	for _, c := range conformanceCases(f) {
		f.Add(c.Query)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, errs := Parse(src)
		checkSpans(t, src, errs)
		for _, d := range errs {
			if len(d.Fix) > 0 {
				Parse(diag.Apply(src, d.Fix))
			}
		}
		checkFormat(t, src)
		if !errs.HasErrors() {
			for _, e := range scriptExprs(s) {
				checkPrint(t, e)
				checkPlaces(t, src, e)
			}
		}
	})
}
