package vec

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func rec(parts ...any) Value {
	r := &Rec{Names: []string{}}
	for i := 0; i < len(parts); i += 2 {
		r.Names = append(r.Names, parts[i].(string))
		r.Vals = append(r.Vals, parts[i+1].(Value))
	}
	return RecordValue(r)
}

func arr(vals ...Value) Value { return ArrayValue(&Rec{Vals: vals}) }

func TestParseJSON(t *testing.T) {
	f := func(text string, want Value) {
		t.Helper()
		got, err := ParseJSON([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got.String() != want.String() || got.Kind != want.Kind {
			t.Errorf("%s gives %v, want %v", text, got, want)
		}
	}
	f(`null`, NullValue())
	f(` true `, BitValue(true))
	f("\t\r\nfalse\n", BitValue(false))
	f(`0`, IntValue(0))
	f(`-0`, IntValue(0))
	f(`-12`, IntValue(-12))
	f(`9223372036854775807`, IntValue(math.MaxInt64))
	f(`-9223372036854775808`, IntValue(math.MinInt64))
	f(`9007199254740993`, IntValue(9007199254740993))
	f(`1.0`, FloatValue(1))
	f(`-0.5`, FloatValue(-0.5))
	f(`1e2`, FloatValue(100))
	f(`1E+2`, FloatValue(100))
	f(`25e-1`, FloatValue(2.5))
	f(`9223372036854775808.0`, FloatValue(9223372036854775808))
	f(`""`, StringValue(""))
	f(`"abc"`, StringValue("abc"))
	f(`"äöü☃𝄞"`, StringValue("äöü☃𝄞"))
	f(`"\"\\\/\b\f\n\r\t"`, StringValue("\"\\/\b\f\n\r\t"))
	f(`"a\u0041b\u00e4\u2603"`, StringValue("aAbä☃"))
	f(`"\ud834\udd1e"`, StringValue("𝄞"))
	f(`"\uD834\uDD1E!"`, StringValue("𝄞!"))
	f(`"\ud834"`, StringValue("\ufffd"))
	f(`"\ud834x"`, StringValue("\ufffdx"))
	f(`"\ud834\n"`, StringValue("\ufffd\n"))
	f(`"\udd1e"`, StringValue("\ufffd"))
	f(`"\ud834\ud834\udd1e"`, StringValue("\ufffd𝄞"))
	f(`"\ud834\u0041"`, StringValue("\ufffdA"))
	f(`"\u0000"`, StringValue("\x00"))
	f("\"\x7f\u2028\"", StringValue("\x7f\u2028"))
	f(`[]`, arr())
	f(`[ ]`, arr())
	f(`[1, "a" ,null,[2.5]]`, arr(IntValue(1), StringValue("a"), NullValue(), arr(FloatValue(2.5))))
	f(`{}`, rec())
	f(`{ }`, rec())
	f(`{"a":1,"b":{"c":[]}}`, rec("a", IntValue(1), "b", rec("c", arr())))
	f(" { \"a\" : 1 , \"\" : true } ", rec("a", IntValue(1), "", BitValue(true)))
	f(`{"a":1,"b":2,"a":3}`, rec("a", IntValue(3), "b", IntValue(2)))
	f(`{"a":1,"\u0061":2}`, rec("a", IntValue(2)))
	f(`{"a":1,"A":2}`, rec("a", IntValue(1), "A", IntValue(2)))
	f(`[{"a":1,"b":2},{"a":3,"b":4},{"b":5,"a":6},{"a":{"a":7}}]`, arr(
		rec("a", IntValue(1), "b", IntValue(2)), rec("a", IntValue(3), "b", IntValue(4)),
		rec("b", IntValue(5), "a", IntValue(6)), rec("a", rec("a", IntValue(7)))))
}

func TestParseJSONManyNames(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"n` + string(rune('0'+i%100/10)) + string(rune('0'+i%10)) + `":` + IntValue(int64(i)).String())
	}
	v, err := ParseJSON([]byte("{" + b.String() + "}"))
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Rec.Names) != 100 || len(v.Rec.Vals) != 100 {
		t.Fatalf("%d names, %d values, want 100", len(v.Rec.Names), len(v.Rec.Vals))
	}
	for i, x := range v.Rec.Vals {
		if x.Int != int64(100+i) {
			t.Fatalf("field %d is %v, want %d", i, x, 100+i)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		v, err := ParseJSON([]byte(text))
		if err == nil {
			t.Errorf("%q gives %v, want failure", text, v)
			return
		}
		if err.Error() != want {
			t.Errorf("%q: error %q, want %q", text, err, want)
		}
		var je *JSONError
		if end := strings.HasPrefix(want, "unexpected end"); errors.Is(err, ErrJSONEnd) != end || !errors.As(err, &je) {
			t.Errorf("%q: error %v is of the wrong kind", text, err)
		}
	}
	f(``, "unexpected end of text at byte 0")
	f(` `, "unexpected end of text at byte 1")
	f(`{`, "unexpected end of text at byte 1")
	f(`{"a"`, "unexpected end of text at byte 4")
	f(`{"a":`, "unexpected end of text at byte 5")
	f(`{"a":1`, "unexpected end of text at byte 6")
	f(`{"a":1,`, "unexpected end of text at byte 7")
	f(` [1`, "unexpected end of text at byte 3")
	f(`"a`, "unexpected end of text at byte 2")
	f(`"a\`, "unexpected end of text at byte 3")
	f(`"\u12`, "unexpected end of text at byte 5")
	f(`"\ud834\u`, "unexpected end of text at byte 9")
	f("\"\xe2\x98", "unexpected end of text at byte 3")
	f(`tru`, "unexpected end of text at byte 3")
	f(`-`, "unexpected end of text at byte 1")
	f(`1.`, "unexpected end of text at byte 2")
	f(`1e+`, "unexpected end of text at byte 3")
	f(`1 2`, "text after the value at byte 2")
	f(`{}x`, "text after the value at byte 2")
	f(`"a""b"`, "text after the value at byte 3")
	f(`tru,`, "a value should stand here at byte 3")
	f(`truth`, "a value should stand here at byte 3")
	f(`True`, "a value should stand here at byte 0")
	f(`NaN`, "a value should stand here at byte 0")
	f(`Infinity`, "a value should stand here at byte 0")
	f(`'a'`, "a value should stand here at byte 0")
	f(`+1`, "a value should stand here at byte 0")
	f(`.5`, "a value should stand here at byte 0")
	f("\x00", "a value should stand here at byte 0")
	f("\xef\xbb\xbf1", "a value should stand here at byte 0")
	f(`01`, "a number may not start with 0 at byte 1")
	f(`-01`, "a number may not start with 0 at byte 2")
	f(`-a`, "a digit should stand here at byte 1")
	f(`-,`, "a digit should stand here at byte 1")
	f(`1.e5`, "a digit should stand here at byte 2")
	f(`1ex`, "a digit should stand here at byte 2")
	f(`[1.,2]`, "a digit should stand here at byte 3")
	f(`0x10`, "text after the value at byte 1")
	f(`9223372036854775808`, "integer out of the range of bigint at byte 0")
	f(`[-9223372036854775809]`, "integer out of the range of bigint at byte 1")
	f(`1e400`, "number out of the range of float at byte 0")
	f(`[1,]`, "a value should stand here at byte 3")
	f(`[,1]`, "a value should stand here at byte 1")
	f(`[1 2]`, `"," or "]" should stand here at byte 3`)
	f(`[1}`, `"," or "]" should stand here at byte 2`)
	f(`{"a":1]`, `"," or "}" should stand here at byte 6`)
	f(`{"a" 1}`, `":" should stand here at byte 5`)
	f(`{a:1}`, "a name should stand here at byte 1")
	f(`{"a":1,}`, "a name should stand here at byte 7")
	f(`{1:2}`, "a name should stand here at byte 1")
	f(`{"a":}`, "a value should stand here at byte 5")
	f(`// x`, "a value should stand here at byte 0")
	f("\"a\nb\"", "a control character in a string must be escaped at byte 2")
	f("\"a\\nb\x01\"", "a control character in a string must be escaped at byte 5")
	f(`"\x"`, "no such escape at byte 2")
	f(`"\u12G4"`, "four hexadecimal digits should stand here at byte 5")
	f(`"\ud834\uXX"`, "four hexadecimal digits should stand here at byte 9")
	f("\"\xff\"", "invalid UTF-8 at byte 1")
	f("\"ok\\n\xe2\x28\xa1\"", "invalid UTF-8 at byte 5")
	f("\"\xed\xa0\x80\"", "invalid UTF-8 at byte 1")
	f("\"a\xff", "invalid UTF-8 at byte 2")
	f(strings.Repeat("[", 129), "nested deeper than 128 levels at byte 128")
	f(strings.Repeat(`{"a":`, 200000), "nested deeper than 128 levels at byte 640")
}

func TestParseJSONDepth(t *testing.T) {
	deep := strings.Repeat("[", MaxJSONDepth) + strings.Repeat("]", MaxJSONDepth)
	if _, err := ParseJSON([]byte(deep)); err != nil {
		t.Error(err)
	}
	if _, err := ParseJSON([]byte(`[[],[],[[]],` + deep[1:])); err != nil {
		t.Error("depth is not given back: ", err)
	}
}

// TestParseJSONMemory: a text that is no value does not ask for memory by its commas.
func TestParseJSONMemory(t *testing.T) {
	text := []byte("[" + strings.Repeat(",", 1<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ParseJSON(text); err == nil {
		t.Error("commas are a value")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes for a text of %d", n, len(text))
	}
}

func TestScanJSON(t *testing.T) {
	text := []byte(" {\"a\":1}\n{\"b\":\"}\\\"\"}[2]  3,\"x\"4.5true")
	pos := 0
	var got []string
	for pos < len(text) {
		v, next, err := ScanJSON(text, pos)
		if err != nil {
			if text[pos] != ',' {
				t.Fatal(err)
			}
			next = pos + 1
			v = StringValue(err.Error())
		}
		got = append(got, v.String())
		pos = next
	}
	want := `{"a":1} {"b":"}\""} [2] 3 "a value should stand here at byte 26" "x" 4.5 true`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	for i := range text { // the value owns its memory
		text[i] = 'x'
	}
	if got[1] != `{"b":"}\""}` {
		t.Error("a value shares memory with the text")
	}
}

// TestScanJSONPrefix checks that every start of a valid text either ends too early or is
// a value itself.
func TestScanJSONPrefix(t *testing.T) {
	text := []byte(` {"a":[1,-2.5e+3,true,false,null,"x\u00e4\ud834\udd1e ☃"],"b":{},"c":[]} `)
	for i := range text {
		_, _, err := ScanJSON(text[:i], 0)
		if i == len(text)-1 {
			if err != nil {
				t.Errorf("whole text: %v", err)
			}
		} else if !errors.Is(err, ErrJSONEnd) {
			t.Errorf("%q: %v, want the end of the text", text[:i], err)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	f := func(v Value, want string) {
		t.Helper()
		if got := string(AppendJSON([]byte("x"), v)); got != "x"+want {
			t.Errorf("got %s, want %s", got[1:], want)
		}
	}
	f(Value{}, "null")
	f(NullValue(), "null")
	f(BitValue(true), "true")
	f(BitValue(false), "false")
	f(IntValue(math.MinInt64), "-9223372036854775808")
	f(FloatValue(422), "422.0")
	f(TimeValue(0), `"0001-01-01T00:00:00.0000000Z"`)
	f(StringValue("a\"b\\c/d\b\f\n\r\t\x00\x1f\x7f"), `"a\"b\\c/d\b\f\n\r\t\u0000\u001f`+"\x7f\"")
	f(StringValue("ä☃𝄞\u2028\ufffd"), "\"ä☃𝄞\u2028\ufffd\"")
	f(StringValue("a\xffb\xe2\x98"), "\"a\ufffdb\ufffd\ufffd\"")
	f(arr(), "[]")
	f(arr(IntValue(1), Value{}, arr()), "[1,null,[]]")
	f(rec(), "{}")
	f(rec("a\n", IntValue(1), "b", rec("c", StringValue("x"))), `{"a\n":1,"b":{"c":"x"}}`)
}

// FuzzParseJSON compares with encoding/json: both take the same texts, but for what
// saql.md 3.10 and RFC 8259 have us refuse (numbers out of range, invalid UTF-8, depth),
// and give the same values. What we print reads back as the same.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,true,null,"x\u00e4\ud834\udd1e"],"a":{}}`, `[[],{}]`, `"\ud800"`, `-0.0`, `1e999`, " 1", "{\"\":0}x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ParseJSON(text)
		if err != nil {
			var je *JSONError
			if !errors.As(err, &je) || je.Offset < 0 || je.Offset > len(text) {
				t.Fatalf("%q: error %v", text, err)
			}
			if json.Valid(text) && utf8.Valid(text) && !strings.Contains(err.Error(), "range") && !strings.Contains(err.Error(), "nested") {
				t.Fatalf("%q is valid: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is not valid, we have %v", text, v)
		}
		out := AppendJSON(nil, v)
		if back, err := ParseJSON(out); err != nil || !KeyEqual(back, v) {
			t.Fatalf("%q prints as %s, and that reads as %v, %v", text, out, back, err)
		}
		var want, got any
		d := json.NewDecoder(bytes.NewReader(text))
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q prints as %s: %v", text, out, err)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(bytes.ReplaceAll(a, []byte("-0"), []byte("0")), bytes.ReplaceAll(b, []byte("-0"), []byte("0"))) {
			t.Fatalf("%q gives %s, want %s", text, b, a)
		}
	})
}

const event = `{"TeamId":"Team01","ServiceId":"Team01POI","Date":"2018-01-10T10:10:10.123Z","StatusCode":404,"Status":false}`

func BenchmarkParseJSON(b *testing.B) {
	text := []byte(event)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for range b.N {
		if _, err := ParseJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	v, _ := ParseJSON([]byte(event))
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	var buf []byte
	for range b.N {
		buf = AppendJSON(buf[:0], v)
	}
}
