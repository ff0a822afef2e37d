package codec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// fieldsOf makes fields of texts: a path with dots, "*" for the whole event, with "@" in
// front if a datetime is wanted.
func fieldsOf(specs ...string) []vec.Field {
	fields := make([]vec.Field, len(specs))
	for i, s := range specs {
		if rest, ok := strings.CutPrefix(s, "@"); ok {
			fields[i].Want = vec.AsDatetime
			s = rest
		}
		if s != "*" {
			fields[i].Path = strings.Split(s, ".")
		}
	}
	return fields
}

// dump decodes text in pieces and gives one line for each row and each bad event. size
// is the size of a piece, 0 for all at once.
func dump(d Decoder, text []byte, size, max int) (string, error) {
	var out strings.Builder
	var b vec.Batch
	onBad := func(x Bad) {
		fmt.Fprintf(&out, "bad %d:%d %s\n", x.Line, x.Offset, x.Name)
	}
	if size <= 0 {
		size = len(text) + 1
	}
	for have := min(size, len(text)); ; {
		// A copy without spare room shows reads beyond the end.
		data := append(make([]byte, 0, have), text[:have]...)
		last := have == len(text)
		n, err := d.Decode(&b, data, last, max, onBad)
		for i := range b.N {
			offset, line, raw := d.Row(i)
			fmt.Fprintf(&out, "%d:%d %d", line, offset, len(raw))
			for c := range b.Cols {
				if err := checkVec(&b.Cols[c], b.N); err != nil {
					return out.String(), err
				}
				v := b.Cols[c].At(i)
				fmt.Fprintf(&out, " %s:%s", v.Kind, v)
			}
			out.WriteByte('\n')
		}
		if err != nil {
			return out.String() + "error " + err.Error() + "\n", nil
		}
		text, have = text[n:], have-n
		if last && n == 0 && b.N == 0 {
			break
		}
		if n == 0 || b.N < max {
			have = min(have+size, len(text))
		}
		if last && have == 0 && b.N == 0 {
			break
		}
	}
	return out.String(), nil
}

// checkVec reports a breach of the contract of vec.Vec.
func checkVec(v *vec.Vec, n int) error {
	if v.N != n {
		return fmt.Errorf("N is %d, not %d", v.N, n)
	}
	if v.Tag != nil && len(v.Tag) != n {
		return fmt.Errorf("%d tags for %d rows", len(v.Tag), n)
	}
	var seen vec.Kinds
	for i := range n {
		seen |= vec.KindsOf(v.KindAt(i))
	}
	lane := func(name string, have int, kinds vec.Kinds, zero func(i int) bool) error {
		if have == 0 && seen&kinds == 0 {
			return nil
		}
		if have != n {
			return fmt.Errorf("lane %s has length %d of %d", name, have, n)
		}
		for i := range n {
			if !kinds.Has(v.KindAt(i)) && !zero(i) {
				return fmt.Errorf("lane %s row %d of kind %s is not zero", name, i, v.KindAt(i))
			}
		}
		return nil
	}
	strs := vec.KindsOf(vec.String)
	if v.Dict == nil && len(v.Code) > 0 || v.Dict != nil && len(v.Str) > 0 {
		return fmt.Errorf("dictionary and strings")
	}
	strKinds, codeKinds := strs, strs
	if v.Dict != nil {
		strKinds = 0
	} else {
		codeKinds = 0
	}
	for _, err := range []error{
		lane("Int", len(v.Int), vec.KindsOf(vec.Bit, vec.Int, vec.Datetime), func(i int) bool { return v.Int[i] == 0 }),
		lane("Float", len(v.Float), vec.KindsOf(vec.Float), func(i int) bool { return v.Float[i] == 0 }),
		lane("Str", len(v.Str), strKinds, func(i int) bool { return v.Str[i] == "" }),
		lane("Code", len(v.Code), codeKinds, func(i int) bool { return v.Code[i] == 0 }),
		lane("Rec", len(v.Rec), vec.KindsOf(vec.Record, vec.Array), func(i int) bool { return v.Rec[i] == nil }),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// both runs a test with the generic and the fast decoder.
func both(t *testing.T, f func(t *testing.T, open func([]vec.Field, JSONOptions) *JSONDecoder)) {
	t.Run("generic", func(t *testing.T) { f(t, NewGenericJSON) })
	t.Run("fast", func(t *testing.T) { f(t, NewJSON) })
}

func TestJSONDecode(t *testing.T) {
	both(t, func(t *testing.T, open func([]vec.Field, JSONOptions) *JSONDecoder) {
		f := func(fields, text, want string) {
			t.Helper()
			for _, size := range []int{0, 1, 3, 7} {
				for _, max := range []int{1, 2, 100} {
					got, err := dump(open(fieldsOf(strings.Fields(fields)...), JSONOptions{}), []byte(text), size, max)
					if err != nil {
						t.Errorf("%q in pieces of %d: %v", text, size, err)
					}
					if g, w := sortBad(got), sortBad(want); g != w {
						t.Errorf("%q in pieces of %d, %d rows at most:\n%swant\n%s", text, size, max, g, w)
					}
				}
			}
		}
		// Kinds.
		f("a", `{"a":1}`, "1:0 7 bigint:1\n")
		f("a", `{"a":1.5}`, "1:0 9 float:1.5\n")
		f("a", `{"a":"x"}`, "1:0 9 nvarchar(max):\"x\"\n")
		f("a", `{"a":true}`, "1:0 10 bit:true\n")
		f("a", `{"a":null}`, "1:0 10 null:null\n")
		f("a", `{"b":1}`, "1:0 7 missing:null\n")
		f("a", `{"a":{"b":[1,"x"]}}`, "1:0 19 record:{\"b\":[1,\"x\"]}\n")
		f("a", `{"a":[]}`, "1:0 8 array:[]\n")
		f("*", `{"a":1, "b":"x"}`, "1:0 16 record:{\"a\":1,\"b\":\"x\"}\n")
		f("a", `{"a":-0}`, "1:0 8 bigint:0\n")
		f("a", `{"a":9223372036854775807}`, "1:0 25 bigint:9223372036854775807\n")
		f("a", `{"a":-9223372036854775808}`, "1:0 26 bigint:-9223372036854775808\n")
		f("a", `{"a":9223372036854775808}`, "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", `{"b":9223372036854775808}`, "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", `{"a":1e999}`, "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", `{"b":1e999}`, "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", `{"a":1e-999}`, "1:0 12 float:0.0\n")
		f("a", `{"a":01}`, "bad 1:0 InputDeserializerError.InvalidData\n")
		// Strings.
		f("a", `{"a":"\u0041\n\"\\\/"}`, "1:0 22 nvarchar(max):\"A\\n\\\"\\\\/\"\n")
		f("a", `{"a":"東京 😀"}`, "1:0 19 nvarchar(max):\"東京 😀\"\n")
		f("a", `{"a":"\ud83d\ude00"}`, "1:0 20 nvarchar(max):\"😀\"\n")
		f("a", "{\"a\":\"\xff\"}", "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", "{\"b\":\"\xff\"}", "bad 1:0 InputDeserializerError.InvalidData\n")
		f("a", "{\"b\":\"a\tb\"}", "bad 1:0 InputDeserializerError.InvalidData\n")
		// Names.
		f("aa Aa AA", `{"Aa":1,"aa":2,"Aa":3}`, "1:0 22 bigint:2 bigint:3 bigint:3\n")
		f("teamid", `{"TeamId":7}`, "1:0 12 bigint:7\n")
		f("a.b", `{"a":{"B":5}}`, "1:0 13 bigint:5\n")
		f("a.b a", `{"a":{"b":5},"a":{"c":1}}`, "1:0 25 missing:null record:{\"c\":1}\n")
		f("a.b", `{"a":3}`, "1:0 7 missing:null\n")
		f("a b", `{"\u0061":1,"b":2}`, "1:0 18 bigint:1 bigint:2\n")
		f("K", "{\"\u212a\":1}", "1:0 9 bigint:1\n")
		// Times.
		f("@a a", `{"a":"2020-01-01T00:00:01.5Z"}`, "1:0 30 datetime:\"2020-01-01T00:00:01.5000000Z\" nvarchar(max):\"2020-01-01T00:00:01.5Z\"\n")
		f("@a", `{"a":"never"}`, "1:0 13 null:null\n")
		f("@a", `{"a":5}`, "1:0 7 null:null\n")
		f("@a", `{}`, "1:0 2 missing:null\n")
		// Lines.
		f("a", "{\"a\":1}\n\n  {\"a\":2} \r\n{\"a\":3}", "1:0 7 bigint:1\n3:11 7 bigint:2\n4:21 7 bigint:3\n")
		f("a", "{\"a\":1}\n{\"a\":\n{\"a\":3}\n", "1:0 7 bigint:1\nbad 2:8 InputDeserializerError.InvalidData\n3:14 7 bigint:3\n")
		f("a", "{\"a\":1}\n[1]\n5\nx\n{\"a\":1}x\n{\"a\":2}\n", "1:0 7 bigint:1\nbad 2:8 InputDeserializerError.InvalidData\nbad 3:12 InputDeserializerError.InvalidData\nbad 4:14 InputDeserializerError.InvalidData\nbad 5:16 InputDeserializerError.InvalidData\n6:25 7 bigint:2\n")
		// Arrays and objects one after another.
		f("a", `[{"a":1},{"a":2}]`, "1:1 7 bigint:1\n1:9 7 bigint:2\n")
		f("a", "[\n  {\n    \"a\": 1\n  },\n  {\"a\": 2}\n]\n", "2:4 16 bigint:1\n5:24 8 bigint:2\n")
		f("a", `{"a":1}{"a":2} {"a":3}`, "1:0 7 bigint:1\n1:7 7 bigint:2\n1:15 7 bigint:3\n")
		f("a", "{\n\"a\":1}\n{\"a\":2}", "1:0 8 bigint:1\n3:9 7 bigint:2\n")
		f("a", `[{"a":1},{"a":01},3,"x",[4],{"a":2}]`, "1:1 7 bigint:1\nbad 1:9 InputDeserializerError.InvalidData\nbad 1:18 InputDeserializerError.InvalidData\nbad 1:20 InputDeserializerError.InvalidData\nbad 1:24 InputDeserializerError.InvalidData\n1:28 7 bigint:2\n")
		f("a", `[{"a":1}`, "1:1 7 bigint:1\nbad 1:8 InputDeserializerError.InvalidData\n")
		f("a", "[{\"a\":1},{\"a\n{\"a\":2}\n{\"a\":3}]", "1:1 7 bigint:1\nbad 1:9 InputDeserializerError.InvalidData\n2:13 7 bigint:2\n3:21 7 bigint:3\n")
		f("a", "", "")
		f("a", " \n ", "")
		f("a", "[]", "")
	})
}

// sortBad puts the lines of bad events last, for the rows of a batch are dumped after its
// bad events.
func sortBad(dump string) string {
	var rows, bad strings.Builder
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "bad ") {
			bad.WriteString(line)
		} else {
			rows.WriteString(line)
		}
	}
	return rows.String() + bad.String()
}

func TestJSONLimits(t *testing.T) {
	both(t, func(t *testing.T, open func([]vec.Field, JSONOptions) *JSONDecoder) {
		long := `{"a":"` + strings.Repeat("x", 100) + `"}`
		f := func(text string, o JSONOptions, want string) {
			t.Helper()
			o.MaxEvent = 50
			for _, size := range []int{0, 1, 10, 51, 64} {
				got, err := dump(open(fieldsOf("a"), o), []byte(text), size, 10)
				if err != nil || sortBad(got) != sortBad(want) {
					t.Errorf("%q in pieces of %d: %v\n%swant\n%s", text, size, err, got, want)
				}
			}
		}
		f(long+"\n{\"a\":1}\n", JSONOptions{Lines: true}, "2:109 7 bigint:1\nbad 1:0 InputDeserializerError.InvalidData\n")
		f(long+"\n{\"a\":1}\n", JSONOptions{}, "2:109 7 bigint:1\nbad 1:0 InputDeserializerError.InvalidData\n")
		f("{\"a\":1}\n"+long+"\n{\"a\":1}\n", JSONOptions{}, "1:0 7 bigint:1\n3:117 7 bigint:1\nbad 2:8 InputDeserializerError.InvalidData\n")
		f(long+"\n{\"a\":1}\n", JSONOptions{Stream: true}, "2:109 7 bigint:1\nbad 1:0 InputDeserializerError.InvalidData\n")
	})
	t.Run("depth", func(t *testing.T) {
		deep := `{"a":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + "}\n"
		for _, open := range []func([]vec.Field, JSONOptions) *JSONDecoder{NewGenericJSON, NewJSON} {
			got, err := dump(open(fieldsOf("b"), JSONOptions{}), []byte(deep+`{"b":1}`), 0, 10)
			if err != nil || sortBad(got) != "2:400007 7 bigint:1\nbad 1:0 InputDeserializerError.InvalidData\n" {
				t.Errorf("%v %s", err, got)
			}
		}
	})
}

func TestJSONBadText(t *testing.T) {
	both(t, func(t *testing.T, open func([]vec.Field, JSONOptions) *JSONDecoder) {
		var got Bad
		var b vec.Batch
		text := "{\"a\":1}\n{\"a\":x}\n" + `{"a":"` + strings.Repeat("x", 8000) + "\n"
		var texts []string
		open(fieldsOf("a"), JSONOptions{}).Decode(&b, []byte(text), true, 10, func(x Bad) {
			got = x
			texts = append(texts, string(x.Text))
		})
		if len(texts) != 2 || texts[0] != `{"a":x}` || len(texts[1]) != 4096 || got.Line != 3 || got.Offset != 16 {
			t.Errorf("%d %q", got.Offset, texts)
		}
		if !strings.Contains(got.Reason, "end") {
			t.Errorf("reason %q", got.Reason)
		}
	})
}

// A datetime and the text that it was are taken together, whatever the text is.
func TestBothTimeAndText(t *testing.T) {
	f := func(dates ...string) {
		t.Helper()
		var lines []byte
		for i := range 2000 {
			lines = fmt.Appendf(lines, `{"Date":%s,"n":%d}`+"\n", strings.ReplaceAll(dates[i%len(dates)], "#", fmt.Sprintf("%03d", i%1000)), i)
		}
		for _, passed := range []bool{false, true} {
			for _, specs := range [][]string{{"Date", "@Date", "n"}, {"@Date", "Date", "n"}} {
				fields := fieldsOf(specs...)
				for i := range fields {
					fields[i].Passed = passed && fields[i].Want == 0
				}
				want, err := dump(NewGenericJSON(fields, JSONOptions{Lines: true}), lines, 0, 100)
				if err != nil {
					t.Fatal(err)
				}
				got, err := dump(NewJSON(fields, JSONOptions{Lines: true}), lines, 0, 1000)
				if err != nil || got != want {
					t.Errorf("%v, fields %v: %v, other rows than those of the generic decoder", dates, specs, err)
				}
			}
		}
	}
	f(`"2018-01-10T10:10:08.#Z"`)
	f(`"2018-01-10T10:10:08.#Z"`, `"2018-01-10T10:11:59.#Z"`, `"2018-01-10T10:10:60.#Z"`)
	f(`"2018-01-10T10:10:08.#Z"`, `"2018-01-10T10:10:08.#"`, `"2018-01-10T10:10:08.#ZZ"`, `"soon"`, `""`)
	f(`"2018-01-10T10:10:08.#Z"`, `null`, `12`, `"2018-01-10T10:10:0\u0038.#Z"`)
}

// In steady state a batch costs no allocation, whatever the events look like.
func TestJSONAllocs(t *testing.T) {
	f := func(style eventStyle, o JSONOptions, specs ...string) {
		t.Helper()
		text := makeEvents(style, 5000)
		d := NewJSON(fieldsOf(specs...), o)
		var b vec.Batch
		decodeAll(d, &b, text)
		decodeAll(d, &b, text)
		if n := testing.AllocsPerRun(5, func() { decodeAll(d, &b, text) }); n > 0 {
			t.Errorf("style %d, fields %v: %v allocations for 5000 events", style, specs, n)
		}
	}
	f(styleRegular, JSONOptions{Lines: true}, "TeamId", "@Date")
	f(styleRegular, JSONOptions{Stream: true}, "TeamId", "ServiceId", "@Date", "Date", "StatusCode", "Status", "none")
	f(styleOptional, JSONOptions{Lines: true}, "TeamId", "Region", "Note")
	f(styleShuffled, JSONOptions{Lines: true}, "TeamId", "StatusCode")
	f(styleEscapes, JSONOptions{Lines: true}, "TeamId", "Path")
	f(styleJapanese, JSONOptions{Lines: true}, "TeamId", "Place")
}

// Whatever a dictionary holds, the rows are the same: full, useless, or given up in the
// middle of a batch.
func TestDictLimits(t *testing.T) {
	f := func(n int, text func(i int) string, dict bool) {
		t.Helper()
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, "{\"a\":\"%s\"}\n", text(i))
		}
		d := NewJSON(fieldsOf("a"), JSONOptions{Lines: true})
		var b vec.Batch
		row := 0
		for rest := []byte(lines.String()); len(rest) > 0; {
			used, _ := d.Decode(&b, rest, true, 3000, nil)
			rest = rest[used:]
			for i := range b.N {
				if got := b.Cols[0].StrAt(i); got != text(row) {
					t.Fatalf("row %d is %q, not %q", row, got, text(row))
				}
				row++
			}
		}
		if row != n || b.Cols[0].Dict != nil != dict {
			t.Errorf("%d rows of %d, dictionary %t", row, n, b.Cols[0].Dict != nil)
		}
	}
	f(20_000, func(i int) string { return fmt.Sprint("v", i%300) }, true)
	f(20_000, func(i int) string { return fmt.Sprint("value of more than sixteen bytes ", i%300) }, true)
	f(20_000, func(i int) string { return fmt.Sprint("v", i) }, false)
	f(70_000, func(i int) string { return fmt.Sprint("v", i%10*(i%60_000)) }, true)
	f(400_000, func(i int) string { return fmt.Sprint("v", i%10*i) }, false)
	f(20_000, func(i int) string { return strings.Repeat("x", 2000) + fmt.Sprint(i%10_000) }, false)
	f(3_000, func(i int) string { return strings.Repeat("x", i%40) }, true)
}

// A batch stays valid while the decoder goes on to the next rows of the same buffer.
func TestBatchesOfOneBuffer(t *testing.T) {
	text := []byte("{\"a\":\"x\\ty\",\"r\":{\"b\":[1]}}\n{\"a\":\"second \\u00e9\",\"r\":{}}\n")
	for _, dict := range []bool{true, false} {
		d := NewJSON(fieldsOf("a", "r"), JSONOptions{Lines: true})
		if !dict {
			d.cols[0].dict = nil
		}
		var first, second vec.Batch
		n, _ := d.Decode(&first, text, true, 1, nil)
		d.Decode(&second, text[n:], true, 1, nil)
		if a, b := first.Cols[0].StrAt(0), second.Cols[0].StrAt(0); a != "x\ty" || b != "second é" {
			t.Errorf("dictionary %t: got %q and %q", dict, a, b)
		}
		if got := first.Cols[1].At(0).String(); got != `{"b":[1]}` {
			t.Errorf("got %s", got)
		}
	}
}

func TestSplitLines(t *testing.T) {
	f := func(text string, approx, want int) {
		t.Helper()
		if got := SplitLines([]byte(text), approx); got != want {
			t.Errorf("%q near %d: got %d, want %d", text, approx, got, want)
		}
	}
	f("ab\ncd\n", 0, 0)
	f("ab\ncd\n", 1, 3)
	f("ab\ncd\n", 3, 3)
	f("ab\ncd\n", 4, 6)
	f("ab\ncd", 4, 5)
	f("ab\ncd", 9, 5)
	f("", 1, 0)
}

// A decoder that begins inside a text reports places in the text.
func TestBegin(t *testing.T) {
	for _, d := range []Decoder{NewJSON(fieldsOf("a"), JSONOptions{}), NewCSV(fieldsOf("a"), CSVOptions{NoHeader: true})} {
		d.Begin(1000, 50)
		var b vec.Batch
		text := []byte("{\"a\":1}\n\n{\"a\":2}\n")
		n, err := d.Decode(&b, text, false, 10, nil)
		if err != nil || n != len(text) || b.N != 2 {
			t.Fatalf("%d bytes, %d rows, %v", n, b.N, err)
		}
		if offset, line, raw := d.Row(1); offset != 1009 || line != 52 || string(raw) != `{"a":2}` {
			t.Errorf("offset %d line %d %q", offset, line, raw)
		}
		if offset, line, _ := d.Row(0); offset != 1000 || line != 50 {
			t.Errorf("offset %d line %d", offset, line)
		}
		d.Decode(&b, text, true, 10, nil)
		if offset, line, _ := d.Row(0); offset != 1000+int64(len(text)) || line != 53 {
			t.Errorf("offset %d line %d", offset, line)
		}
	}
}

// TestLargeDict: with a dictionary so large that texts are looked up at the end of a
// batch, rows are what the generic decoder gives, whatever stands among the texts.
func TestLargeDict(t *testing.T) {
	f := func(distinct int, other func(i int) string) {
		t.Helper()
		var lines strings.Builder
		for i := range 3 * distinct {
			v := fmt.Sprintf(`"v%d"`, i*7919%distinct)
			if i%11 == 3 {
				v = other(i)
			}
			fmt.Fprintf(&lines, "{\"a\":%s,\"k\":%d}\n", v, i)
		}
		rows := func(d Decoder, max int) []vec.Value {
			var b vec.Batch
			var all []vec.Value
			for rest := []byte(lines.String()); len(rest) > 0; {
				used, err := d.Decode(&b, rest, true, max, nil)
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[used:]
				for i := range b.N {
					v := b.Cols[0].At(i)
					v.Str = strings.Clone(v.Str)
					all = append(all, v, b.Cols[1].At(i))
				}
			}
			return all
		}
		fast := rows(NewJSON(fieldsOf("a", "k"), JSONOptions{Lines: true}), 3000)
		want := rows(NewGenericJSON(fieldsOf("a", "k"), JSONOptions{Lines: true}), 1<<16)
		if !slices.Equal(fast, want) {
			t.Errorf("%d texts: other rows, %d and %d", distinct, len(fast), len(want))
		}
	}
	f(2*laterDict, func(int) string { return `null` })
	f(2*laterDict, func(i int) string { return fmt.Sprint(i) })
	f(2*laterDict, func(i int) string { return fmt.Sprintf(`"esc\n%d"`, i) })
	f(2*laterDict, func(i int) string { return fmt.Sprintf(`"a text of more than sixteen bytes %d"`, i) })
	f(2*laterDict, func(i int) string { return `"bad` })
	f(maxDictEntries/2, func(i int) string { return fmt.Sprintf(`"new %d"`, i) })
	f(maxDictEntries+10, func(i int) string { return fmt.Sprintf(`"new %d"`, i) })
}
