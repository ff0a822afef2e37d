package amqp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestValueThereAndBack(t *testing.T) {
	f := func(v any, want string) {
		t.Helper()
		b := AppendValue([]byte{0xee}, v)
		if got := hex.EncodeToString(b[1:]); want != "" && got != want {
			t.Errorf("%#v is encoded as %s, want %s", v, got, want)
		}
		got, rest, err := DecodeValue(append(b, 0xee)[1:])
		if err != nil || len(rest) != 1 {
			t.Fatalf("%#v: %v, %d bytes left", v, err, len(rest))
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
	f(nil, "40")
	f(true, "41")
	f(false, "42")
	f(uint8(7), "5007")
	f(uint16(258), "600102")
	f(uint32(0), "43")
	f(uint32(255), "52ff")
	f(uint32(256), "7000000100")
	f(uint64(0), "44")
	f(uint64(255), "53ff")
	f(uint64(256), "800000000000000100")
	f(int8(-1), "51ff")
	f(int16(-2), "61fffe")
	f(int32(-128), "5480")
	f(int32(128), "7100000080")
	f(int64(-1), "55ff")
	f(int64(math.MinInt64), "818000000000000000")
	f(float32(1.5), "723fc00000")
	f(-2.25, "82c002000000000000")
	f(time.UnixMilli(-1).UTC(), "83ffffffffffffffff")
	f("é", "a102c3a9")
	f(strings.Repeat("x", 256), "")
	f(Symbol("amqp:x"), "a306616d71703a78")
	f([]byte{1, 2}, "a0020102")
	f(bytes.Repeat([]byte{3}, 300), "")
	f(UUID{1, 15: 2}, "9801000000000000000000000000000002")
	f(Char('😀'), "730001f600")
	f(Decimal{1, 2, 3, 4}, "7401020304")
	f(Decimal{1, 2, 3, 4, 5, 6, 7, 8}, "")
	f(Decimal(make([]byte, 16)), "")
	f([]any{}, "45")
	f([]any{nil, "a"}, "c0050240a10161")
	f([]any{strings.Repeat("y", 255)}, "")
	f([]Pair{{"k", int32(1)}, {"l", []any{}}}, "c10a04a1016b5401a1016c45")
	f([]Pair{}, "c10100")
	f(Described{Symbol("d"), []any{uint64(9)}}, "00a30164c003015309")
	f(Array{"0", "1"}, "e00c02b100000001300000000131")
	f(Array{}, "e0020040")
	f(Array{Symbol("a"), Symbol(strings.Repeat("b", 256))}, "")
	f(Array{uint32(0), uint32(1), uint32(256)}, "")
	f(Array{uint64(0), uint64(1), uint64(256)}, "")
	f(Array{int32(0), int32(-1), int32(256)}, "")
	f(Array{int64(0), int64(-1), int64(256)}, "")
	f(Array{true, false}, "")
	f(Array{[]byte{}, []byte("x"), bytes.Repeat([]byte{3}, 300)}, "")
	f(Array{[]any{}, []any{"a"}, []any{strings.Repeat("y", 255)}}, "")
	f(Array{[]Pair{}, []Pair{{"a", nil}}}, "")
	f(Array{Array{}, Array{"a"}}, "")
	f(Array{time.UnixMilli(5).UTC(), time.Time{}.UTC()}, "")
	f(Array{float32(1), float32(2)}, "")
	f(Array{Described{Symbol("x"), "1"}, Described{Symbol("x"), "2"}}, "")
}

func TestFieldsHaveSymbolsAsKeys(t *testing.T) {
	b := AppendFields(nil, []Pair{{"a", "b"}})
	if got := hex.EncodeToString(b); got != "c10702a30161a10162" {
		t.Error(got)
	}
	if b := AppendTimestamp(nil, time.Time{}); b[0] != codeNull {
		t.Error("the zero time is not null")
	}
}

func TestDecodeValueRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = DecodeValue(b)
		var e *Error
		if !errors.As(err, &e) || e.Condition != DecodeError || !strings.Contains(e.Description, want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	short := "a value goes beyond the end"
	f("", short)
	f("00", short)
	f("0040", short)
	f("60ff", short)
	f("a005", short)
	f("a1", short)
	f("b0ffffffff", short)
	f("b1ffffff", short)
	f("c0", short)
	f("c000", short)
	f("d000000003000000", short)
	f("d0ffffffffffffffff", short)
	f("d000000004ffffffff", "4294967295 elements in 0 bytes")
	f("c005ff40404040", "255 elements in 4 bytes")
	f("c003014040", "behind the last element")
	f("c1020140", "a key without a value")
	f("c103024040", "a key that is no text")
	f("c10502a0004040", "behind the last entry")
	f("e00100", short)
	f("f000000005ffffffff40", "an array of 4294967295 elements")
	f("f000000005ffffffff50", "an array of 4294967295 elements")
	f("e00602005301b000", "")
	f("e0020140", "an array of 1 elements in 0 bytes")
	f("e0020141", "an array of 1 elements in 0 bytes")
	f("e0020150", "an array of 1 elements in 0 bytes")
	f("e00401500102", "behind the last element of an array")
	f("e0020100", short)
	f("e0050100530100", "")
	f("a101ff", "not UTF-8")
	f("10", "0x10 is no constructor")
	f("4f", "0x4f is no constructor")
	f("92"+strings.Repeat("00", 16), "0x92 is no constructor")
	f(strings.Repeat("00", 10000), "nested deeper than 64")
	nested := nestedLists(10000)
	f(hex.EncodeToString(nested), "nested deeper than 64")
	f(strings.Repeat("e0ff01", 3), short)
}

// nestedLists is a list in a list in a list.
func nestedLists(depth int) []byte {
	var b []byte
	for i := range depth {
		b = append(b, codeList32)
		b = binary.BigEndian.AppendUint32(b, uint32(4+9*(depth-i-1)+1))
		b = append(b, 0, 0, 0, 1)
	}
	b = append(b, codeList0)
	return b
}

func TestSkipNeedsNoDepth(t *testing.T) {
	b := append(nestedLists(10000), 0xee)
	if rest, err := skip(b); err != nil || len(rest) != 1 {
		t.Error(len(rest), err)
	}
	b = append(bytes.Repeat([]byte{codeDescribed}, 1000), bytes.Repeat([]byte{codeNull}, 1001)...)
	if rest, err := skip(append(b, 0xee)); err != nil || len(rest) != 1 {
		t.Error(len(rest), err)
	}
}

func TestMapKeys(t *testing.T) {
	f := func(key any, want string) {
		t.Helper()
		b := []byte{codeMap8, 0, 2}
		b = append(AppendValue(b, key), codeTrue)
		b[1] = byte(len(b) - 2)
		v, _, err := DecodeValue(b)
		if err != nil || !reflect.DeepEqual(v, []Pair{{want, true}}) {
			t.Errorf("%v: %v, %v", key, v, err)
		}
	}
	f("s", "s")
	f(Symbol("s"), "s")
	f([]byte("b"), "b")
	f(uint64(7), "7")
	f(int8(-7), "-7")
	f(true, "true")
	f(UUID{0xab}, "ab000000-0000-0000-0000-000000000000")
}
