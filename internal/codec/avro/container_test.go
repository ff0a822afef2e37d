package avro

import (
	"bufio"
	"bytes"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	lib "github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"weir/internal/codec/jsonline"
)

// written is a container that the library writes.
func written(t testing.TB, schema string, codec ocf.Codec, rows ...any) []byte {
	t.Helper()
	s, err := lib.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	var o []ocf.WriterOpt
	if codec != nil {
		o = append(o, ocf.WithCodec(codec))
	}
	w, err := ocf.NewWriter(&b, s, o...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// texts is what a container gives; error lines show as "! reason".
func texts(t testing.TB, b []byte) (string, error) {
	t.Helper()
	r := NewReader(bufio.NewReader(bytes.NewReader(b)), 1<<20, "Bad")
	defer r.Close()
	all, err := io.ReadAll(r)
	var out []string
	for line := range bytes.Lines(all) {
		if name, reason, _, ok := jsonline.ParseError(line); ok {
			if name != "Bad" {
				t.Errorf("the name is %q", name)
			}
			out = append(out, "! "+reason)
			continue
		}
		out = append(out, strings.TrimSuffix(string(line), "\n"))
	}
	return strings.Join(out, "\n"), err
}

// TestTypes is the table of docs/formats.md, line by line.
func TestTypes(t *testing.T) {
	f := func(typ string, value any, want string) {
		t.Helper()
		b := written(t, `{"type":"record","name":"r","fields":[{"name":"v","type":`+typ+`}]}`, nil, map[string]any{"v": value})
		got, err := texts(t, b)
		if want[0] != '!' {
			want = `{"v":` + want + `}`
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", typ, got, err, want)
		}
	}
	at := time.Date(2020, 3, 5, 16, 42, 35, 123456789, time.UTC)
	f(`"null"`, nil, `null`)
	f(`"boolean"`, true, `true`)
	f(`"int"`, int32(-7), `-7`)
	f(`"long"`, int64(9223372036854775807), `9223372036854775807`)
	f(`"long"`, int64(-9223372036854775808), `-9223372036854775808`)
	f(`"float"`, float32(0.5), `0.5`)
	f(`"float"`, float32(0.1), `0.10000000149011612`)
	f(`"double"`, 422.0, `422.0`)
	f(`"double"`, 0.1, `0.1`)
	f(`"double"`, 1e300, `1e+300`)
	f(`"string"`, "a\"b\n東", `"a\"b\n東"`)
	f(`"bytes"`, []byte{0, 1, 0xff}, `"AAH/"`)
	f(`{"type":"enum","name":"e","symbols":["A","B"]}`, "B", `"B"`)
	f(`{"type":"fixed","name":"f","size":3}`, []byte("abc"), `"YWJj"`)
	f(`{"type":"array","items":"long"}`, []any{int64(1), int64(2)}, `[1,2]`)
	f(`{"type":"array","items":"long"}`, []any{}, `[]`)
	f(`{"type":"map","values":"string"}`, map[string]any{"k": "x"}, `{"k":"x"}`)
	f(`["null","string"]`, nil, `null`)
	f(`["null","string"]`, "x", `"x"`)
	f(`["null","long","string"]`, int64(5), `5`)
	f(`{"type":"record","name":"q","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","q"]}]}`,
		map[string]any{"a": 1, "b": map[string]any{"a": 2, "b": nil}}, `{"a":1,"b":{"a":2,"b":null}}`)
	f(`{"type":"record","name":"q","fields":[]}`, map[string]any{}, `{}`)
	f(`{"type":"int","logicalType":"date"}`, at, `"2020-03-05T00:00:00.0000000Z"`)
	f(`{"type":"long","logicalType":"timestamp-millis"}`, at, `"2020-03-05T16:42:35.1230000Z"`)
	f(`{"type":"long","logicalType":"timestamp-micros"}`, at, `"2020-03-05T16:42:35.1234560Z"`)
	f(`{"type":"long","logicalType":"timestamp-nanos"}`, at, `"2020-03-05T16:42:35.1234567Z"`)
	f(`{"type":"long","logicalType":"local-timestamp-millis"}`, at, `"2020-03-05T16:42:35.1230000Z"`)
	f(`{"type":"int","logicalType":"time-millis"}`, 1500*time.Millisecond, `1500`)
	f(`{"type":"long","logicalType":"time-micros"}`, 1500*time.Millisecond, `1500000`)
	f(`{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}`, big.NewRat(-12345, 100), `-123.45`)
	f(`{"type":"bytes","logicalType":"decimal","precision":10,"scale":0}`, big.NewRat(7, 1), `7.0`)
	f(`{"type":"fixed","name":"d","size":20,"logicalType":"decimal","precision":40,"scale":3}`, big.NewRat(5, 1000), `0.005`)
	f(`{"type":"string","logicalType":"uuid"}`, "0f0e0d0c-0b0a-0908-0706-050403020100", `"0f0e0d0c-0b0a-0908-0706-050403020100"`)
	f(`{"type":"fixed","name":"u","size":16,"logicalType":"uuid"}`, [16]byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, `"0f0e0d0c-0b0a-0908-0706-050403020100"`)
	f(`{"type":"fixed","name":"s","size":12,"logicalType":"duration"}`, lib.Duration{Months: 1, Days: 2, Milliseconds: 3}, `{"months":1,"days":2,"milliseconds":3}`)
	f(`"string"`, "a\xffb", `"a`+"\ufffd"+`b"`)
	f(`"string"`, strings.Repeat("x", 1<<20+1), `! the event is too long`)
}

// TestSpecialFloats: what is no number is NULL.
func TestSpecialFloats(t *testing.T) {
	s, err := Parse(`{"type":"record","name":"r","fields":[{"name":"a","type":"double"},{"name":"b","type":"float"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, bad, err := s.AppendJSON(nil, []byte("\x00\x00\x00\x00\x00\x00\xf8\x7f\x00\x00\x80\x7f"), 100)
	if string(got) != `{"a":null,"b":null}` || len(rest) > 0 || bad != "" || err != nil {
		t.Errorf("%s %q %q %v", got, rest, bad, err)
	}
}

// TestCodecs: however its blocks are packed, a container gives the same.
func TestCodecs(t *testing.T) {
	zstd, err := ocf.ZstdCodec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	schema := `{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}`
	var rows []any
	var want []string
	for range 5000 {
		rows = append(rows, map[string]any{"a": "some text"})
		want = append(want, `{"a":"some text"}`)
	}
	for name, c := range map[string]ocf.Codec{"null": nil, "deflate": ocf.DeflateCodec(6), "snappy": ocf.SnappyCodec(), "zstd": zstd} {
		got, err := texts(t, written(t, schema, c, rows...))
		if err != nil || got != strings.Join(want, "\n") {
			t.Errorf("%s: %.100s, %v", name, got, err)
		}
	}
}

// TestDamaged: a bad event is one error line; behind what cannot be read the next block comes.
func TestDamaged(t *testing.T) {
	schema := `{"type":"record","name":"r","fields":[{"name":"a","type":["long","string"]}]}`
	long := written(t, schema, nil, map[string]any{"a": int64(1)}, map[string]any{"a": "xy"})
	f := func(change func(b []byte) []byte, want, wantErr string) {
		t.Helper()
		got, err := texts(t, change(bytes.Clone(long)))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != want || text != wantErr {
			t.Errorf("got %q, %q\nwant %q, %q", got, text, want, wantErr)
		}
	}
	f(func(b []byte) []byte { return b }, "{\"a\":1}\n{\"a\":\"xy\"}", "")
	f(func(b []byte) []byte { return b[:len(b)-3] }, "", "a block of the Avro file is cut off")
	f(func(b []byte) []byte { return b[:30] }, "", "the header of the Avro file is cut off")
	f(func(b []byte) []byte { b[len(b)-1]++; return b }, "", "the Avro file is damaged: a block does not end where it says")
	f(func(b []byte) []byte { return append([]byte("Obj\x02"), b[4:]...) }, "", "the input is no Avro object container file: it does not begin with Obj and 1")
	at := len(long) - 16 - 6 // the two events: 00 02, 02 04 'x' 'y'
	f(func(b []byte) []byte { b[at] = 8; return b }, "! a: a union has no member 4; the 1 events behind it in its block are lost", "")
	f(func(b []byte) []byte { b[at+3] = 6; return b }, "{\"a\":1}\n! a: the value is cut off; the 0 events behind it in its block are lost", "")
	f(func(b []byte) []byte { b[at+3] = 2; return b }, "{\"a\":1}\n{\"a\":\"x\"}\n! a block has 1 bytes behind its events", "")
	f(func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"fields"`), []byte(`"fieldz"`), 1)
	}, "", "the schema of the Avro file is wrong, or has types that it does not define")
	many := append(bytes.Clone(long), long[len(long)-16-8:]...)
	many[at] = 8
	f(func([]byte) []byte { return many }, "! a: a union has no member 4; the 1 events behind it in its block are lost\n{\"a\":1}\n{\"a\":\"xy\"}", "")
}
