package codec

import (
	"strconv"
	"strings"
	"testing"

	"weir/internal/vec"
)

// batchOf decodes JSON lines into a batch with the given fields.
func batchOf(t testing.TB, lines string, fields ...string) *vec.Batch {
	t.Helper()
	var b vec.Batch
	d := NewGenericJSON(fieldsOf(fields...), JSONOptions{Lines: true})
	if _, err := d.Decode(&b, []byte(lines), true, 1000, func(x Bad) { t.Errorf("bad event: %s", x.Reason) }); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestEncode(t *testing.T) {
	events := strings.Join([]string{
		`{"i":1,"f":422.0,"s":"a,b","t":"2020-03-05T16:42:35Z","b":true,"r":{"x":1},"a":[1,2]}`,
		`{"i":null,"s":"say \"hi\"\n","t":"2020-03-05T16:42:35.1234567Z","b":false,"r":{"d":"é"}}`,
		`{"i":-9223372036854775808,"f":1e300,"s":"","t":"x","a":[]}`,
		`{"i":2.5,"s":" x","f":0.1}`,
	}, "\n")
	names := []string{"i", "f", "s", "when", "b", "r", "a"}
	batch := func() *vec.Batch { return batchOf(t, events, "i", "f", "s", "@t", "b", "r", "a") }
	f := func(e *Encoder, batches int, want string) {
		t.Helper()
		var got []byte
		for range batches {
			got = e.Encode(got, batch())
		}
		if got := string(e.End(got)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	rows := []string{
		`{"i":1,"f":422.0,"s":"a,b","when":"2020-03-05T16:42:35.0000000Z","b":true,"r":{"x":1},"a":[1,2]}`,
		`{"i":null,"f":null,"s":"say \"hi\"\n","when":"2020-03-05T16:42:35.1234567Z","b":false,"r":{"d":"é"},"a":null}`,
		`{"i":-9223372036854775808,"f":1e+300,"s":"","when":null,"b":null,"r":null,"a":[]}`,
		`{"i":2.5,"f":0.1,"s":" x","when":null,"b":null,"r":null,"a":null}`,
	}
	lines := strings.Join(rows, "\n") + "\n"
	f(NewEncoder(JSONLines, names, false), 1, lines)
	f(NewEncoder(JSONLines, names, false), 2, lines+lines)
	f(NewEncoder(JSONLines, names, false), 0, "")
	array := strings.Join(rows, ",\n")
	f(NewEncoder(JSONArray, names, false), 1, "["+array+"]\n")
	f(NewEncoder(JSONArray, names, false), 2, "["+array+",\n"+array+"]\n")
	f(NewEncoder(JSONArray, names, false), 0, "[]\n")
	csv := "1,422,\"a,b\",2020-03-05T16:42:35.0000000Z,true,Record,Array\n" +
		",,\"say \"\"hi\"\"\n\",2020-03-05T16:42:35.1234567Z,false,Record,\n" +
		"-9223372036854775808,1E+300,,,,,Array\n" +
		"2.5,0.1,\" x\",,,,\n"
	header := "i,f,s,when,b,r,a\n"
	f(NewEncoder(CSV, names, false), 1, header+csv)
	f(NewEncoder(CSV, names, false), 2, header+csv+csv)
	var tagged strings.Builder
	for _, r := range rows {
		tagged.WriteString(`{"output":"to \"you\"","row":` + r + "}\n")
	}
	f(NewTaggedEncoder(`to "you"`, names, false), 1, tagged.String())
}

func TestEncodeRow(t *testing.T) {
	events := `{"a":1,"b":"x"}` + "\n" + `{"b":"y","c":1.0,"a":2}` + "\n" + `{}` + "\n" + `{"q":"\u0001"}` + "\n"
	f := func(e *Encoder, want string) {
		t.Helper()
		got := string(e.End(e.Encode(nil, batchOf(t, events, "*"))))
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f(NewEncoder(JSONLines, nil, true), events)
	f(NewEncoder(JSONArray, nil, true), "["+strings.ReplaceAll(strings.TrimSpace(events), "\n", ",\n")+"]\n")
	f(NewEncoder(CSV, nil, true), "a,b\n1,x\n2,y\n,\n,\n")
	semi := NewEncoder(CSV, nil, true)
	semi.Delimiter(';')
	f(semi, "a;b\n1;x\n2;y\n;\n;\n")
	f(NewTaggedEncoder("o", nil, true), `{"output":"o","row":{"a":1,"b":"x"}}
{"output":"o","row":{"b":"y","c":1.0,"a":2}}
{"output":"o","row":{}}
{"output":"o","row":{"q":"\u0001"}}
`)
}

// A line of one empty field would read as no row at all.
func TestEncodeEmptyField(t *testing.T) {
	got := string(NewEncoder(CSV, []string{"a"}, false).Encode(nil, batchOf(t, "{\"a\":\"\"}\n{\"a\":\"x\"}", "a")))
	if want := "a\n\"\"\nx\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncodeTimes(t *testing.T) {
	var c timeText
	f := func(x vec.Time) {
		t.Helper()
		want := string(vec.AppendTime(nil, x))
		if got := string(c.append(nil, x)); got != want {
			t.Errorf("%d: got %s, want %s", x, got, want)
		}
	}
	f(0)
	f(1)
	f(vec.Second - 1)
	f(vec.Second)
	f(vec.FromCivil(2024, 2, 29) + 5*vec.Hour)
	f(vec.FromCivil(2024, 2, 29) + 5*vec.Hour + 9_999_999)
	f(vec.FromCivil(2024, 2, 29) + 5*vec.Hour - 1)
	f(vec.FromCivil(2024, 2, 29) + 123_0001)
	f(vec.FromCivil(2024, 2, 29) + 9_870_000)
	f(vec.MaxDatetime)
}

func TestEncodeInts(t *testing.T) {
	for _, x := range []int64{0, 1, 9, 10, 99, 100, 999, 1000, -1, -999, 1 << 62, -1 << 63} {
		if got, want := string(appendInt(nil, x)), strconv.FormatInt(x, 10); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A dictionary grows between batches, and a column may change its dictionary.
func TestEncodeDicts(t *testing.T) {
	e := NewEncoder(JSONLines, []string{"a"}, false)
	d1, d2 := &vec.Dict{Vals: []string{"x", `"`}}, &vec.Dict{Vals: []string{"z"}}
	batch := func(d *vec.Dict, codes ...uint32) *vec.Batch {
		return &vec.Batch{N: len(codes), Cols: []vec.Vec{{N: len(codes), Kind: vec.String, Code: codes, Dict: d}}}
	}
	f := func(b *vec.Batch, want string) {
		t.Helper()
		if got := string(e.Encode(nil, b)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(batch(d1, 1, 0), "{\"a\":\"\\\"\"}\n{\"a\":\"x\"}\n")
	d1.Vals = append(d1.Vals, "new")
	f(batch(d2, 0), "{\"a\":\"z\"}\n")
	f(batch(d1, 2), "{\"a\":\"new\"}\n")
	for range 3 * maxEscapedDicts {
		f(batch(&vec.Dict{Vals: []string{"v"}}, 0), "{\"a\":\"v\"}\n")
	}
	f(batch(d1, 2), "{\"a\":\"new\"}\n")
}

func TestEncodeAllocs(t *testing.T) {
	var text strings.Builder
	for range 200 {
		text.WriteString(`{"i":1,"f":422.5,"s":"a,b","t":"2020-03-05T16:42:35Z","b":true}` + "\n")
	}
	b := batchOf(t, text.String(), "i", "f", "s", "@t", "b")
	rows := batchOf(t, text.String(), "*")
	dst := make([]byte, 0, 1<<20)
	f := func(kind OutputKind, row bool, b *vec.Batch) {
		t.Helper()
		e := NewEncoder(kind, []string{"i", "f", "s", "t", "b"}, row)
		e.Encode(dst, b)
		// A row of a batch that shares no names with the last may prepare its names.
		if n := testing.AllocsPerRun(10, func() { e.Encode(dst, b) }); n > 2 {
			t.Errorf("kind %d: %v allocations for a batch", kind, n)
		}
	}
	f(JSONLines, false, b)
	f(JSONArray, false, b)
	f(CSV, false, b)
	f(JSONLines, true, rows)
	f(CSV, true, rows)
}
