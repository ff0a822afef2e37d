package redis

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/codec"
	"weir/internal/vec"
)

// TestFieldsOf: what the encoder writes is taken apart again.
func TestFieldsOf(t *testing.T) {
	f := func(row, want string) {
		t.Helper()
		fields, err := fieldsOf(nil, []byte(row))
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		var got []string
		for _, x := range fields {
			if x.null {
				x.value = "NULL"
			}
			got = append(got, x.name+"="+x.value)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: %q, and must be %q", row, s, want)
		}
	}
	f(`{}`, "")
	f(`{"a":1}`, "a=1")
	f(`{"a":1.5,"b":"x","c":null,"d":true,"e":""}`, "a=1.5|b=x|c=NULL|d=true|e=")
	f(`{"a":"q\"uo\\te\n\u0001","b":2}`, "a=q\"uo\\te\n\x01|b=2")
	f(`{"a":{"x":[1,"}]{",{"y":2}],"z":"\""},"b":[1,2]}`, `a={"x":[1,"}]{",{"y":2}],"z":"\""}|b=[1,2]`)
	f(`{"a,b":"c:d","\"":"}"}`, "a,b=c:d|\"=}")

	for _, row := range []string{``, `{`, `[1]`, `{"a"`, `{"a":`, `{"a":1`, `{"a":"x`, `{a:1}`, `null`} {
		if got, err := fieldsOf(nil, []byte(row)); err == nil {
			t.Errorf("%s: %v", row, got)
		}
	}
}

// TestFieldsOfEncoder: all that a row can hold.
func TestFieldsOfEncoder(t *testing.T) {
	values := []vec.Value{vec.IntValue(-7), vec.FloatValue(1e300), vec.StringValue("ünï\u2028 </script> \\ \" \n"), vec.NullValue(), vec.BitValue(true),
		vec.RecordValue(&vec.Rec{Names: []string{"x"}, Vals: []vec.Value{vec.StringValue("}")}})}
	b := &vec.Batch{N: 1, Time: []vec.Time{0}}
	var names []string
	for i, v := range values {
		var col vec.Vec
		col.Append(v)
		b.Cols, names = append(b.Cols, col), append(names, fmt.Sprint("c", i))
	}
	row := codec.NewEncoder(codec.JSONLines, names, false).Encode(nil, b)
	fields, err := fieldsOf(nil, row[:len(row)-1])
	if err != nil || len(fields) != len(values) {
		t.Fatalf("%s: %v %v", row, fields, err)
	}
	if fields[2].value != values[2].Str || !fields[3].null || fields[0].value != "-7" || fields[5].value != `{"x":"}"}` {
		t.Errorf("%v", fields)
	}
}

func FuzzFieldsOf(f *testing.F) {
	f.Add([]byte(`{"a":{"x":[1,"}"]},"b":"\u0041"}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		fields, err := fieldsOf(nil, row)
		if err == nil && len(fields) > len(row) {
			t.Errorf("%d fields of %d bytes", len(fields), len(row))
		}
	})
}

// TestTagged: a mark lies where its stream does.
func TestTagged(t *testing.T) {
	f := func(key, want string) {
		t.Helper()
		if got := tagged(key, "s"); got != want {
			t.Errorf("%s: %s, and must be %s", key, got, want)
		}
	}
	f("a", "weir:{a}:s")
	f("team:{7}:x", "weir:{7}:s")
	f("{}a", "weir:{{}a}:s")
}
