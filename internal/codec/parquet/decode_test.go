package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"weir/internal/codec/jsonline"
	"weir/internal/codec/shape"
	"weir/internal/vec"
)

// decoded is what a file gives; error lines show as "! reason".
func decoded(t testing.TB, b []byte) (string, error) {
	t.Helper()
	var text bytes.Buffer
	err := Decode(&text, bytes.NewReader(b), int64(len(b)), Options{Limit: 1 << 20, Name: "Bad"})
	var out []string
	for line := range bytes.Lines(text.Bytes()) {
		if _, reason, _, ok := jsonline.ParseError(line); ok {
			line = []byte("! " + reason)
		}
		out = append(out, strings.TrimSuffix(string(line), "\n"))
	}
	return strings.Join(out, "\n"), err
}

// column is a file with one column v, and its values with their levels.
func columnFile(t testing.TB, n lib.Node, rows ...lib.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lib.NewWriter(&b, lib.NewSchema("row", lib.Group{"v": n})) //nolint:staticcheck // it writes values of columns
	if _, err := w.WriteRows(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTypes is the table of docs/formats.md, line by line.
func TestTypes(t *testing.T) {
	f := func(n lib.Node, v lib.Value, want string) {
		t.Helper()
		got, err := decoded(t, columnFile(t, n, lib.Row{v.Level(0, 0, 0)}))
		if want[0] != '!' {
			want = `{"v":` + want + `}`
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", n, got, err, want)
		}
	}
	leaf := lib.Leaf
	f(leaf(lib.BooleanType), lib.BooleanValue(true), `true`)
	f(leaf(lib.Int32Type), lib.Int32Value(-5), `-5`)
	f(leaf(lib.Int64Type), lib.Int64Value(math.MinInt64), `-9223372036854775808`)
	f(lib.Int(8), lib.Int32Value(-8), `-8`)
	f(lib.Int(64), lib.Int64Value(math.MaxInt64), `9223372036854775807`)
	f(lib.Uint(32), lib.Int32Value(-1), `4294967295`)
	f(lib.Uint(64), lib.Int64Value(7), `7`)
	f(lib.Uint(64), lib.Int64Value(-1), `! v: the number 18446744073709551615 is no bigint`)
	f(leaf(lib.FloatType), lib.FloatValue(0.1), `0.10000000149011612`)
	f(leaf(lib.DoubleType), lib.DoubleValue(422), `422.0`)
	f(leaf(lib.DoubleType), lib.DoubleValue(math.NaN()), `null`)
	f(leaf(lib.DoubleType), lib.DoubleValue(math.Inf(-1)), `null`)
	f(lib.Decimal(2, 9, lib.Int32Type), lib.Int32Value(-12345), `-123.45`)
	f(lib.Decimal(2, 18, lib.Int64Type), lib.Int64Value(5), `0.05`)
	f(lib.Decimal(0, 18, lib.Int64Type), lib.Int64Value(5), `5.0`)
	f(lib.Decimal(3, 38, lib.FixedLenByteArrayType(16)), lib.FixedLenByteArrayValue(append(bytes.Repeat([]byte{0xff}, 15), 0xfe)), `-0.002`)
	f(lib.Decimal(1, 30, lib.ByteArrayType), lib.ByteArrayValue([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}), `1844674407370955161.6`)
	f(lib.String(), lib.ByteArrayValue([]byte("a\"東")), `"a\"東"`)
	f(lib.String(), lib.ByteArrayValue([]byte("a\xff")), `"a`+"\ufffd"+`"`)
	f(lib.Enum(), lib.ByteArrayValue([]byte("RED")), `"RED"`)
	f(lib.JSON(), lib.ByteArrayValue([]byte(`{"a":1}`)), `"{\"a\":1}"`)
	f(lib.BSON(), lib.ByteArrayValue([]byte{0, 1, 0xff}), `"AAH/"`)
	f(leaf(lib.ByteArrayType), lib.ByteArrayValue([]byte{0, 1, 0xff}), `"AAH/"`)
	f(leaf(lib.FixedLenByteArrayType(3)), lib.FixedLenByteArrayValue([]byte("abc")), `"YWJj"`)
	f(lib.UUID(), lib.FixedLenByteArrayValue([]byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}), `"0f0e0d0c-0b0a-0908-0706-050403020100"`)
	f(lib.Date(), lib.Int32Value(18326), `"2020-03-05T00:00:00.0000000Z"`)
	f(lib.Date(), lib.Int32Value(math.MaxInt32), `! v: the timestamp 2147483647 is no datetime`)
	f(lib.Timestamp(lib.Millisecond), lib.Int64Value(1583426555123), `"2020-03-05T16:42:35.1230000Z"`)
	f(lib.Timestamp(lib.Microsecond), lib.Int64Value(-1), `"1969-12-31T23:59:59.9999990Z"`)
	f(lib.Timestamp(lib.Nanosecond), lib.Int64Value(-1), `"1969-12-31T23:59:59.9999999Z"`)
	f(lib.Time(lib.Millisecond), lib.Int32Value(1500), `1500`)
	f(lib.Time(lib.Microsecond), lib.Int64Value(1500000), `1500000`)
	f(leaf(lib.Int96Type), lib.Int96Value(deprecated.Int96{0x12345678, 0x0, 2440588}), `"1970-01-01T00:00:00.3054198Z"`)
	f(leaf(lib.Int96Type), lib.Int96Value(deprecated.Int96{0, 0, 0xffffffff}), `! v: the timestamp of day 4292526707 is no datetime`)
	f(lib.String(), lib.ByteArrayValue(bytes.Repeat([]byte("x"), 1<<20+1)), `! v: the event is too long`)
}

func TestHalf(t *testing.T) {
	for h, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: math.Ldexp(1, -24), 0x7c00: math.Inf(1), 0x3555: 0.333251953125} {
		if got := half(h); got != want {
			t.Errorf("%x: %v, want %v", h, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("that is no number")
	}
}

// TestNested: lists and maps in all forms, as rows of Go types have them.
func TestNested(t *testing.T) {
	type inner struct {
		X *int64  `parquet:"x"`
		L []int32 `parquet:"l,list"`
	}
	type row struct {
		Bare  []int32            `parquet:"bare"`
		List  []string           `parquet:"list,list"`
		Map   map[string]int64   `parquet:"map"`
		Ints  map[int32]string   `parquet:"ints"`
		Inner *inner             `parquet:"inner,optional"`
		Deep  []inner            `parquet:"deep,list"`
		Maps  []map[string]inner `parquet:"maps,list"`
	}
	five := int64(5)
	var b bytes.Buffer
	w := lib.NewGenericWriter[row](&b)
	_, err := w.Write([]row{
		{},
		{Bare: []int32{1, 2}, List: []string{"a", ""}, Map: map[string]int64{"k": 7}, Ints: map[int32]string{3: "x"}, Inner: &inner{X: &five, L: []int32{9}},
			Deep: []inner{{L: []int32{1, 2}}, {X: &five}, {L: []int32{3}}}, Maps: []map[string]inner{{"q": {L: []int32{4}}}, {}}},
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := decoded(t, b.Bytes())
	want := `{"bare":[],"list":[],"map":{},"ints":{},"inner":null,"deep":[],"maps":[]}
{"bare":[1,2],"list":["a",""],"map":{"k":7},"ints":{"3":"x"},"inner":{"x":5,"l":[9]},"deep":[{"x":null,"l":[1,2]},{"x":5,"l":[]},{"x":null,"l":[3]}],"maps":[{"q":{"x":null,"l":[4]}},{}]}`
	if err != nil || got != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

// TestGuards: what a footer promises is not believed.
func TestGuards(t *testing.T) {
	good := columnFile(t, lib.Leaf(lib.Int64Type), lib.Row{lib.Int64Value(1).Level(0, 0, 0)})
	f := func(change func(b []byte) []byte, cut bool, want string) {
		t.Helper()
		_, err := decoded(t, change(bytes.Clone(good)))
		var damage *jsonline.Damage
		if !errors.As(err, &damage) || damage.Cut != cut || !strings.Contains(damage.Reason, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	length := func(n uint32) func(b []byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[len(b)-8:], n)
			return b
		}
	}
	f(func([]byte) []byte { return nil }, true, "is cut off")
	f(func(b []byte) []byte { return b[:8] }, true, "is cut off")
	f(func(b []byte) []byte { return b[:len(b)-1] }, true, "it does not end with PAR1")
	f(func(b []byte) []byte { b[0] = 'X'; return b }, false, "it does not begin with PAR1")
	f(func(b []byte) []byte { b[3] = 'E'; return b }, false, "is encrypted")
	f(length(1<<31), false, "its footer is longer than the file")
	f(length(3), false, "cannot be read: ")
	f(func(b []byte) []byte {
		return length(17 << 20)(append(append(b[:4], make([]byte, 18<<20)...), b[4:]...))
	}, false, "at most 16 MiB are read")
	// A list of 2^40 parts, parts in parts, and more parts than are read.
	list := append(append([]byte("PAR1"), 0x19, 0xf8), binary.AppendUvarint(nil, 1<<40)...)
	footer := func(b []byte) func([]byte) []byte {
		return func([]byte) []byte {
			b = append(b, 0)
			return append(binary.LittleEndian.AppendUint32(b, uint32(len(b)-4)), Magic...)
		}
	}
	f(footer(list), false, "it is cut off")
	f(footer(append([]byte("PAR1"), bytes.Repeat([]byte{0x1c}, 100)...)), false, "it is damaged")
	many := append(append([]byte("PAR1"), 0x19, 0xf3), binary.AppendUvarint(nil, 2<<20)...)
	f(footer(append(many, make([]byte, 2<<20)...)), false, "it has too many parts")
}

// TestPageGuards: what the header of a page promises is found out before it is allocated.
func TestPageGuards(t *testing.T) {
	f := func(kind, uncompressed, compressed, values int64, want string) {
		t.Helper()
		b := []byte(Magic)
		for _, n := range []int64{kind, uncompressed, compressed} {
			b = binary.AppendVarint(append(b, 0x15), n)
		}
		b = append(binary.AppendVarint(append(b, 0x2c, 0x15), values), 0, 0)
		b = append(b, make([]byte, 100)...)
		got := "<nil>"
		if err := checkPages(bytes.NewReader(b), &format.ColumnMetaData{DataPageOffset: 4, TotalCompressedSize: int64(len(b) - 4), NumValues: 40 << 20, PathInSchema: []string{"a", "b"}}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(0, 100, 100, 40<<20, `a page of column "a.b" has 41943040 values; at most 33554432 are read`)
	f(0, 1<<30, 100, 5, `a page of column "a.b" has 1073741824 bytes; at most 128 MiB are read`)
	f(0, 100, 101, 5, `a page of column "a.b" is damaged`)
	f(0, -1, 100, 5, `a page of column "a.b" is damaged`)
	f(0, 100, 100, -5, `a page of column "a.b" is damaged`)
	f(0, 100, -1, 5, `a page of column "a.b" is damaged`)
	f(0, 100, 100, 30<<20, `<nil>`)
}

// TestGroups: a row group ends when it has enough, and all rows come back.
func TestGroups(t *testing.T) {
	root := shape.Columns([]string{"s", "n"}, []vec.Kinds{vec.KindsOf(vec.String), vec.KindsOf(vec.Int)})
	root.Seal()
	var b bytes.Buffer
	w, err := NewWriter(&b, root, "none", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Builder{}
	for i := range 4000 {
		s := strings.Repeat("x", 1000)
		rec := &vec.Rec{Names: []string{"s", "n"}, Vals: []vec.Value{vec.StringValue(s), vec.IntValue(int64(i))}}
		if err := w.Record(rec); err != nil {
			t.Fatal(err)
		}
		want.Write(append(vec.AppendJSON(nil, vec.RecordValue(rec)), '\n'))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := lib.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(f.RowGroups()) < 3 {
		t.Fatalf("%d row groups, %v", len(f.RowGroups()), err)
	}
	if got, err := decoded(t, b.Bytes()); err != nil || got+"\n" != want.String() {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
}
