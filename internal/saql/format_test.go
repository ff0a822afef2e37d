package saql

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weir/internal/diag"
)

// dump writes a tree without places. Expressions take a line.
func dump(node any) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(node), 0)
	return b.String()
}

// tall are the types that are written with a line for each field.
var tall = map[string]bool{"Query": true, "Step": true, "Select": true, "Union": true, "Source": true,
	"Derived": true, "Join": true, "Apply": true, "ParenTable": true, "MatchRecognize": true}

func dumpValue(b *strings.Builder, v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		dumpValue(b, v.Elem(), depth)
		return
	}
	switch n := v.Interface().(type) {
	case Name:
		b.WriteString(n.String())
		return
	case Literal:
		fmt.Fprintf(b, "%s:%s", [...]string{"text", "int", "float", "null", "true", "false"}[n.Kind], n.Raw)
		if n.Kind == LitInt && n.Raw != fmt.Sprint(n.Int) {
			fmt.Fprintf(b, "=%d", n.Int)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.WriteString(v.Type().Name())
		dumpFields(b, v, depth)
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteString(", ")
			}
			dumpValue(b, v.Index(i), depth)
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
}

func dumpFields(b *strings.Builder, v reflect.Value, depth int) {
	b.WriteByte('{')
	first := true
	for i := range v.NumField() {
		field := v.Field(i)
		if field.Type() == reflect.TypeFor[diag.Span]() || field.IsZero() {
			continue
		}
		switch {
		case tall[v.Type().Name()]:
			b.WriteString("\n" + strings.Repeat("  ", depth+1))
		case !first:
			b.WriteString(", ")
		}
		first = false
		b.WriteString(v.Type().Field(i).Name + ": ")
		dumpValue(b, field, depth+1)
	}
	b.WriteByte('}')
}

// dumpStatements is the tree of a text without places, text and comments.
func dumpStatements(s *Script) string { return dump(s.Stmts) }

// checkFormat holds Format to its promises for one text, and gives the result.
func checkFormat(t testing.TB, src string) string {
	t.Helper()
	out, errs := Format(src)
	if errs.HasErrors() {
		if out != src {
			t.Errorf("a text with errors was changed: %q", src)
		}
		return out
	}
	again, errs := Format(out)
	if errs.HasErrors() {
		t.Fatalf("the formatted text has errors: %v\nfrom\n%s\nto\n%s", errs, src, out)
	}
	if again != out {
		t.Errorf("not a fixpoint: from\n%q\nfirst\n%s\nthen\n%s", src, out, again)
	}
	before, _ := Parse(src)
	after, _ := Parse(out)
	if b, a := dumpStatements(before), dumpStatements(after); b != a {
		t.Errorf("another tree: from\n%s\nto\n%s\nbefore\n%s\nafter\n%s", src, out, b, a)
	}
	if len(before.Comments) != len(after.Comments) {
		t.Fatalf("%d comments became %d: from\n%s\nto\n%s", len(before.Comments), len(after.Comments), src, out)
	}
	for i, c := range before.Comments {
		if want, got := strings.TrimRightFunc(c.Text, isSpace), after.Comments[i].Text; got != want {
			t.Errorf("the comment %q became %q", want, got)
		}
	}
	return out
}

func TestFormatConformance(t *testing.T) {
	for _, c := range conformanceCases(t) {
		checkFormat(t, c.Query)
	}
}
