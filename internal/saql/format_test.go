package saql

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weir/internal/diag"
)

// dump writes a tree without places, one node a line.
func dump(node any) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(node), 0)
	return b.String()
}

func dumpValue(b *strings.Builder, v reflect.Value, depth int) {
	pad := strings.Repeat("  ", depth)
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString(" nil\n")
			return
		}
		dumpValue(b, v.Elem(), depth)
	case reflect.Struct:
		if n, ok := v.Interface().(Name); ok {
			fmt.Fprintf(b, " %s\n", n)
			return
		}
		fmt.Fprintf(b, " %s\n", v.Type().Name())
		for i := range v.NumField() {
			field := v.Field(i)
			if field.Type() == reflect.TypeFor[diag.Span]() || field.IsZero() {
				continue
			}
			fmt.Fprintf(b, "%s  %s:", pad, v.Type().Field(i).Name)
			dumpValue(b, field, depth+1)
		}
	case reflect.Slice:
		b.WriteByte('\n')
		for i := range v.Len() {
			b.WriteString(pad + "  -")
			dumpValue(b, v.Index(i), depth+1)
		}
	default:
		fmt.Fprintf(b, " %#v\n", v.Interface())
	}
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
		t.Errorf("%d comments became %d: from\n%s\nto\n%s", len(before.Comments), len(after.Comments), src, out)
	}
	return out
}

func TestFormatConformance(t *testing.T) {
	for _, c := range conformanceCases(t) {
		checkFormat(t, c.Query)
	}
}
