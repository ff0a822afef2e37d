package fn

import (
	"testing"

	"weir/internal/vec"
)

func TestRecordsAndArrays(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f(`JSON_PARSE('{"user":{"name":"Mina"},"qty":3,"tags":["a","b"]}')`, `{"user":{"name":"Mina"},"qty":3,"tags":["a","b"]}`)
	f(`JSON_PARSE('[1,2.0,null,true]')`, `[1,2.0,null,true]`)
	f(`JSON_PARSE('not json')`, "null")
	f(`JSON_PARSE('')`, "null")
	f(`JSON_PARSE('"text"')`, "null")
	f(`JSON_PARSE('null')`, "null")
	f(`JSON_PARSE('{"a":1} {"b":2}')`, "null")
	f(`JSON_PARSE('{"n":99999999999999999999}')`, "null") // beyond bigint: no JSON input either
	f(`JSON_PARSE(NULL)`, "null")
	f(`JSON_PARSE(TRUE)`, "null")
	f(`JSON_PARSE(JSON_PARSE('{}'))`, "null")
	f(`GetType(GetRecordPropertyValue(JSON_PARSE('{"n":1,"x":1.0}'), 'n'))`, `"bigint"`)
	f(`GetType(GetRecordPropertyValue(JSON_PARSE('{"n":1,"x":1.0}'), 'x'))`, `"float"`)

	const a = `JSON_PARSE('["x","y",[10,20],{"name":"two"},null]')`
	f("GetArrayElement("+a+", 0)", `"x"`)
	f("GetArrayElement("+a+", 2)", "[10,20]")
	f("GetArrayElement("+a+", 4)", "null")
	f("GetArrayElement("+a+", 5)", "null")
	f("GetArrayElement("+a+", 9223372036854775807)", "null")
	f("GetArrayElement("+a+", -9223372036854775808)", "null")
	f("GetArrayElement("+a+", '1')", `"y"`)
	f("GetArrayElement(GetArrayElement("+a+", 2), 1)", "20")
	f("GetRecordPropertyValue(GetArrayElement("+a+", 3), 'name')", `"two"`)
	f("GetType(GetArrayElement("+a+", 3))", `"record"`)
	f("GetArrayElement(NULL, 0)", "null")
	f("GetArrayElement("+a+", NULL)", "null")
	f("GetArrayElement('x', 0)", "error: cannot cast value of type nvarchar(max) to type array")
	f("GetArrayElement(JSON_PARSE('{}'), 0)", "error: cannot cast value of type record to type array")
	f("GetArrayElement("+a+", 0.5)", "error: argument 2 of GetArrayElement has type float; bigint wanted")
	f("GetArrayLength("+a+")", "5")
	f("GetArrayLength(JSON_PARSE('[]'))", "0")
	f("GetArrayLength(5)", "error: cannot cast value of type bigint to type array")

	const r = `JSON_PARSE('{"Temp":20,"temp":21,"HUM":null,"a.b":1}')`
	f("GetRecordPropertyValue("+r+", 'temp')", "21") // the exact name
	f("GetRecordPropertyValue("+r+", 'Temp')", "20")
	f("GetRecordPropertyValue("+r+", 'TEMP')", "20") // the first without case
	f("GetRecordPropertyValue("+r+", 'hum')", "null")
	f("GetRecordPropertyValue("+r+", 'a.b')", "1") // no path
	f("GetRecordPropertyValue("+r+", '')", "null")
	f("GetRecordPropertyValue("+r+", NULL)", "null")
	f("GetRecordPropertyValue(NULL, 'x')", "null")
	f("GetRecordPropertyValue(JSON_PARSE('[1]'), 'x')", "error: cannot cast value of type array to type record")
	f("GetMetadataPropertyValue(NULL, '[User].[x]')", "null")
	f("GetMetadataPropertyValue("+r+", 'EventId')", "null")
}

func TestTypesAndNullIf(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("GetType(1)", `"bigint"`)
	f("GetType(TRUE)", `"bit"`)
	f("GetType(DATEADD(day, 0, '2024-01-01'))", `"datetime"`)
	f("GetType('')", `"nvarchar(max)"`)
	f("GetType(NULL)", "null")
	f("NULLIF(5, 6)", "5")
	f("NULLIF(NULL, 1)", "null")
	f("NULLIF(NULL, NULL)", "null")
	f("NULLIF('1', 1)", "null")   // text converts to the number
	f("NULLIF('x', 1)", `"x"`)    // unknown is not true
	f("NULLIF('a', 'A')", `"a"`)  // with case
	f("NULLIF(TRUE, 1)", "null")  // by numeric value
	f("NULLIF('b', NULL)", `"b"`) // unknown
	f("NULLIF(JSON_PARSE('{\"a\":1,\"b\":[2]}'), JSON_PARSE('{\"b\":[2.0],\"a\":1}'))", "null")
	f("NULLIF(JSON_PARSE('[1]'), JSON_PARSE('[2]'))", "[1]")
	f("NULLIF(9007199254740993, 9007199254740992.0)", "9007199254740993")
}

// TestTypesByRow has values of all kinds in one column.
func TestTypesByRow(t *testing.T) {
	col := vec.Values(vint(1), vtext("1"), vfloat(1.5), vlist(vint(1)), vrec("x", vint(1)), vbit(false), vnull(), vtime(0), vec.Value{})
	s, _ := LookupScalar("GetType")
	var out vec.Vec
	s.Run(&Call{}, &out, []*vec.Vec{&col}, make([]vec.Vec, 1), col.N)
	want := []string{`"bigint"`, `"nvarchar(max)"`, `"float"`, `"array"`, `"record"`, `"bit"`, "null", `"datetime"`, "null"}
	for i, w := range want {
		if got := out.At(i).String(); got != w {
			t.Errorf("row %d: %s, want %s", i, got, w)
		}
	}
}

// TestMixedNumbers has bigints, floats and NULLs in one column.
func TestMixedNumbers(t *testing.T) {
	f := func(name string, want ...string) {
		t.Helper()
		col := vec.Values(vint(-2), vfloat(-2.5), vnull(), vtext("-3"), vbit(true), vtext("x"), vint(-1<<63))
		args := []*vec.Vec{&col}
		if name == "ROUND" {
			zeros := vec.Ints(make([]int64, col.N)...)
			args = append(args, &zeros)
		}
		s, _ := LookupScalar(name)
		failed := 0
		var out vec.Vec
		s.Run(&Call{OnError: func(int, string) { failed++ }}, &out, args, make([]vec.Vec, len(args)), col.N)
		if err := out.Check(); err != nil {
			t.Fatal(err)
		}
		nulls := -1 // the NULL of the column
		for i, w := range want {
			if got := out.At(i).String(); got != w {
				t.Errorf("%s, row %d: %s, want %s", name, i, got, w)
			}
			if out.KindAt(i).IsNull() {
				nulls++
			}
		}
		if failed != nulls {
			t.Errorf("%s: %d rows failed, %d are NULL for it", name, failed, nulls)
		}
	}
	f("ABS", "2", "2.5", "null", "3", "1", "null", "null")
	f("SIGN", "-1", "-1.0", "null", "-1", "1", "null", "-1")
	f("CEILING", "-2", "-2.0", "null", "-3", "1", "null", "-9223372036854775808")
	f("FLOOR", "-2", "-3.0", "null", "-3", "1", "null", "-9223372036854775808")
	f("ROUND", "-2", "-3.0", "null", "-3", "1", "null", "-9223372036854775808")
	f("SQUARE", "4.0", "6.25", "null", "9.0", "1.0", "null", "8.507059173023462e+37")
}

// TestResultTypes checks the static types that depend on the arguments.
func TestResultTypes(t *testing.T) {
	f := func(name string, want Types, args ...Types) {
		t.Helper()
		s, _ := LookupScalar(name)
		if got := s.Result(args); got != want {
			t.Errorf("%s%b has type %b, want %b", name, args, got, want)
		}
	}
	f("ABS", Bigint, Bigint)
	f("ABS", Float, Float)
	f("ABS", Bigint, Of(vec.Bit))
	f("ABS", Num, Text)
	f("ABS", Num, Any)
	f("ABS", Bigint, Bigint|Null)
	f("POWER", Bigint|Null, Bigint, Float)
	f("POWER", Float|Null, Float, Bigint)
	f("ROUND", Float, Float, Bigint)
	f("NULLIF", Text|Null, Text, Bigint)
}
