package fn

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		s, ok := LookupScalar(name)
		if ok != (want != "") || ok && s.Name != want {
			t.Errorf("LookupScalar(%q) = %v, %v", name, s, ok)
		}
	}
	f("ABS", "ABS")
	f("abs", "ABS")
	f("getarraylength", "GetArrayLength")
	f("GETARRAYLENGTH", "GetArrayLength")
	f("ſTUFF", "STUFF") // simple folding
	f("SUM", "")
	f("LAG", "")
	f("", "")
	if a, ok := LookupAgg("sum"); !ok || a.Name != "SUM" {
		t.Errorf("LookupAgg(sum) = %v, %v", a, ok)
	}
	if form, ok := LookupForm("try_cast"); !ok || form.Name != "TRY_CAST" {
		t.Errorf("LookupForm(try_cast) = %v, %v", form, ok)
	}
}

func TestSignature(t *testing.T) {
	f := func(name, signature, count string) {
		t.Helper()
		s, ok := LookupScalar(name)
		if !ok || s.Signature() != signature || s.ArgCount() != count {
			t.Errorf("%s: %s, %s", name, s.Signature(), s.ArgCount())
		}
	}
	f("LEN", "LEN(text)", "1")
	f("SUBSTRING", "SUBSTRING(text, start, n)", "3")
	f("CHARINDEX", "CHARINDEX(find, text [, start])", "2 or 3")
	f("DATEADD", "DATEADD(part, n, d)", "3")
	f("CONCAT", "CONCAT(a, b, ...)", "2 or more")
	f("CONCAT_WS", "CONCAT_WS(sep, a, b, ...)", "3 or more")
}

func TestDuplicateName(t *testing.T) {
	f := func(register func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error("a name was registered twice")
			}
		}()
		register()
	}
	f(func() { scalar(Scalar{Name: "abs"}) })
	f(func() { scalar(Scalar{Name: "SUM"}) })
	f(func() { agg(Agg{Name: "Len"}) })
	f(func() { agg(Agg{Name: "COUNT"}) })
}

// TestDeclarations checks what every declaration must have.
func TestDeclarations(t *testing.T) {
	section := regexp.MustCompile(`^\d+(\.\d+)?$`)
	for _, s := range Scalars() {
		if !strings.HasPrefix(s.Doc.Summary, s.Name+" ") || !strings.HasSuffix(s.Doc.Summary, ".") || !section.MatchString(s.Doc.Section) {
			t.Errorf("%s: %+v", s.Name, s.Doc)
		}
		if len(s.Doc.Examples) == 0 && s.Name != "GetMetadataPropertyValue" {
			t.Errorf("%s has no example", s.Name)
		}
		if s.Eval == nil || s.Result == nil || len(s.Params) == 0 || s.Min == 0 || s.Min > len(s.Params) {
			t.Errorf("%s is not complete", s.Name)
		}
		for _, p := range s.Params {
			if p.Name == "" || p.Types == 0 {
				t.Errorf("%s has an incomplete parameter: %+v", s.Name, p)
			}
		}
		args := make([]Types, len(s.Params))
		for i := range args {
			args[i] = Any
		}
		if s.Result(args) == 0 {
			t.Errorf("%s has no result", s.Name)
		}
	}
	for _, f := range Forms {
		if !strings.HasPrefix(f.Doc.Summary, f.Name+" ") || f.Syntax == "" || f.Kind == "" || !section.MatchString(f.Doc.Section) {
			t.Errorf("%+v", f)
		}
	}
	if !slices.IsSortedFunc(Forms, func(a, b Form) int { return compareNames(a.Name, b.Name) }) {
		t.Error("Forms are not sorted")
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if !slices.IsSortedFunc(names, compareNames) {
		t.Error("Names are not sorted")
	}
	for _, want := range []string{"ABS", "CAST", "COUNT", "LAG", "TumblingWindow", "System.Timestamp", "System.Window", "TopOne", "ST_WITHIN", "GetArrayElements"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not in Names", want)
		}
	}
}

func TestAggSignature(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := mustAgg(t, name).Signature(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("sum", "SUM(value)")
	f("Collect", "Collect([value])")
	f("TopOne", "TopOne([value]) OVER (ORDER BY key, ...)")
	f("CollectTop", "CollectTop(count [, value]) OVER (ORDER BY key, ...)")
	f("percentile_cont", "PERCENTILE_CONT(share) OVER (ORDER BY key)")
}
