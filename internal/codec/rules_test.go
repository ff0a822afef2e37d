package codec

import (
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// decoded are the values of the fields of all events of a text, by rows.
func decoded(t *testing.T, text string, fields []vec.Field, o JSONOptions) (rows, bad []string) {
	t.Helper()
	d := NewJSON(fields, o)
	var b vec.Batch
	for data := []byte(text); len(data) > 0; {
		n, err := d.Decode(&b, data, true, 3, func(b Bad) { bad = append(bad, b.Reason) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			var row []string
			for c := range b.Cols {
				if err := b.Cols[c].Check(); err != nil {
					t.Fatal(err)
				}
				v := b.Cols[c].At(i)
				row = append(row, v.Kind.String()+" "+v.String())
			}
			rows = append(rows, strings.Join(row, "; "))
		}
		data = data[n:]
	}
	return rows, bad
}

var (
	rules11 = Rules{BitsAsInts: true}
	rules10 = Rules{BitsAsInts: true, LowerNames: true, Dates: true}
)

// TestRules holds decoders to the rules of the older levels (saql.md 3.9).
func TestRules(t *testing.T) {
	f := func(r Rules, text, path, want string) {
		t.Helper()
		field := vec.Field{}
		if path != "" {
			field.Path = strings.Split(path, ".")
		}
		for _, lines := range []bool{true, false} {
			rows, bad := decoded(t, text+"\n", []vec.Field{field}, JSONOptions{Lines: lines, Rules: r})
			if len(rows) != 1 || rows[0] != want || len(bad) != 0 {
				t.Errorf("%+v %s %s: %q, bad %q, want %s", r, text, path, rows, bad, want)
			}
		}
	}
	f(Rules{}, `{"A":true}`, "A", "bit true")
	f(rules11, `{"A":true}`, "A", "bigint 1")
	f(rules11, `{"A":false}`, "a", "bigint 0")
	f(rules11, `{"A":"2024-01-01"}`, "A", `nvarchar(max) "2024-01-01"`)
	f(rules11, `{"A":{"b":[true,{"c":false}]}}`, "", `record {"A":{"b":[1,{"c":0}]}}`)
	f(rules11, `{"A":{"b":[true,{"c":false}]}}`, "A", `record {"b":[1,{"c":0}]}`)
	f(rules11, `{"A":{"b":true}}`, "A.b", "bigint 1")
	f(rules10, `{"A":{"B":true}}`, "a.b", "bigint 1")
	f(rules10, `{"A":{"B":"2024-01-01T00:00:00+01:00"}}`, "", `record {"a":{"b":"2023-12-31T23:00:00.0000000Z"}}`)
	f(rules10, `{"A":"2024-01-01T00:00:00.5Z"}`, "a", `datetime "2024-01-01T00:00:00.5000000Z"`)
	f(rules10, `{"A":" 2024-01-01 "}`, "a", `datetime "2024-01-01T00:00:00.0000000Z"`)
	f(rules10, `{"A":"2024-13-01"}`, "a", `nvarchar(max) "2024-13-01"`)
	f(rules10, `{"A":"20240101"}`, "a", `nvarchar(max) "20240101"`)
	f(rules10, `{"A":"2024-01-01x"}`, "a", `nvarchar(max) "2024-01-01x"`)
	f(rules10, `{"A":""}`, "a", `nvarchar(max) ""`)
	f(rules10, `{"ÄB":1}`, "äb", "bigint 1")
}

// TestRulesOfManyRows: the fast decoder meets bits beside other kinds, in several batches.
func TestRulesOfManyRows(t *testing.T) {
	var text strings.Builder
	var want []string
	for i := range 100 {
		switch i % 4 {
		case 0:
			text.WriteString(`{"a":true,"b":1}` + "\n")
			want = append(want, "bigint 1; bigint 1")
		case 1:
			text.WriteString(`{"a":"x","b":2}` + "\n")
			want = append(want, `nvarchar(max) "x"; bigint 2`)
		case 2:
			text.WriteString(`{"a":false}` + "\n")
			want = append(want, "bigint 0; missing null")
		case 3:
			text.WriteString(`{"a":[true],"b":false}` + "\n")
			want = append(want, "array [1]; bigint 0")
		}
	}
	fields := []vec.Field{{Path: []string{"a"}}, {Path: []string{"b"}}}
	for _, r := range []Rules{rules11, rules10} {
		if rows, bad := decoded(t, text.String(), fields, JSONOptions{Lines: true, Rules: r}); !slices.Equal(rows, want) || len(bad) > 0 {
			t.Errorf("%+v: %q, want %q", r, rows, want)
		}
	}
}

// TestEqualNames: at level 1.0 an event with two fields equal in lower case is bad.
func TestEqualNames(t *testing.T) {
	f := func(event string, bad bool) {
		t.Helper()
		rows, reasons := decoded(t, event+"\n{\"a\":7}\n", []vec.Field{{Path: []string{"a"}}}, JSONOptions{Lines: true, Rules: rules10})
		if bad != (len(reasons) == 1 && strings.Contains(reasons[0], "two fields have the same name in lower case")) || len(rows) != 2-len(reasons) {
			t.Errorf("%s: %q, bad %q", event, rows, reasons)
		}
	}
	f(`{"a":1,"A":2}`, true)
	f(`{"a":1,"a":2}`, true)
	f(`{"x":{"Q":1,"b":2,"q":3}}`, true)
	f(`{"x":[{"Q":1},{"q":3}]}`, false)
	f(`{"x":{"x":{"X":1}}}`, false)
	f(`{"a":1,"b":2}`, false)
}

func TestLowerHeader(t *testing.T) {
	f := func(text string, lower bool, want string) {
		t.Helper()
		d := NewCSV([]vec.Field{{}}, CSVOptions{LowerNames: lower})
		var b vec.Batch
		_, err := d.Decode(&b, []byte(text), true, 10, nil)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = b.Cols[0].At(0).String()
		}
		if got != want {
			t.Errorf("%q, lower %v: %s, want %s", text, lower, got, want)
		}
	}
	f("Id,Flag\n1,true\n", true, `{"id":"1","flag":"true"}`)
	f("Id,Flag\n1,true\n", false, `{"Id":"1","Flag":"true"}`)
	f("Id,ID\n1,2\n", false, `{"Id":"1","ID":"2"}`)
	f("Id,ID\n1,2\n", true, `InputDeserializerError.InvalidHeader: two columns have the name "id"`)
}

// TestMetaFields: what is no part of the text is NULL, and takes nothing from the others.
func TestMetaFields(t *testing.T) {
	fields := []vec.Field{{Meta: "EventId"}, {Path: []string{"a"}}, {Meta: "User.x"}}
	for _, o := range []JSONOptions{{Lines: true}, {Stream: true}, {Lines: true, Rules: rules10}} {
		rows, bad := decoded(t, strings.Repeat(`{"a":1,"User":{"x":2}}`+"\n", 9), fields, o)
		if len(rows) != 9 || len(bad) != 0 || slices.ContainsFunc(rows, func(s string) bool { return s != "null null; bigint 1; null null" }) {
			t.Errorf("%+v: %q %q", o, rows, bad)
		}
	}
	d := NewCSV(fields, CSVOptions{})
	var b vec.Batch
	if _, err := d.Decode(&b, []byte("a,EventId\n1,2\n"), true, 10, nil); err != nil || b.Cols[0].KindAt(0) != vec.Null || b.Cols[1].StrAt(0) != "1" {
		t.Errorf("%v %+v", err, b.Cols)
	}
}
