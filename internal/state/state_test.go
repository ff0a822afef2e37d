package state

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	w := NewWriter()
	uints := []uint64{0, 1, 127, 128, math.MaxUint64}
	ints := []int64{0, -1, 63, -64, 64, math.MaxInt64, math.MinInt64}
	floats := []float64{0, math.Copysign(0, -1), 1.5, math.MaxFloat64, math.Inf(1)}
	texts := []string{"", "a", "日本", strings.Repeat("x", 300)}
	for _, x := range uints {
		w.Uint(x)
	}
	for _, x := range ints {
		w.Int(x)
	}
	for _, x := range floats {
		w.Float(x)
	}
	for _, x := range texts {
		w.String(x)
	}
	w.Bool(true)
	w.Bool(false)
	r := NewReader(w.Bytes())
	for _, x := range uints {
		if got := r.Uint(); got != x {
			t.Errorf("Uint: %d, want %d", got, x)
		}
	}
	for _, x := range ints {
		if got := r.Int(); got != x {
			t.Errorf("Int: %d, want %d", got, x)
		}
	}
	for _, x := range floats {
		if got := r.Float(); math.Float64bits(got) != math.Float64bits(x) {
			t.Errorf("Float: %v, want %v", got, x)
		}
	}
	for _, x := range texts {
		if got := r.String(); got != x {
			t.Errorf("String: %q, want %q", got, x)
		}
	}
	if !r.Bool() || r.Bool() {
		t.Error("Bool: not what was written")
	}
	if r.Rest() != 0 || r.Err() != nil {
		t.Errorf("%d bytes are left, error %v", r.Rest(), r.Err())
	}
}

// TestDamage: bytes that make no sense give an error, zeros from then on, and no memory
// that they do not have.
func TestDamage(t *testing.T) {
	f := func(name string, b []byte, read func(r *Reader) bool, want error) {
		t.Helper()
		r := NewReader(b)
		if !read(r) {
			t.Errorf("%s: what was read is not zero", name)
		}
		if !errors.Is(r.Err(), want) {
			t.Errorf("%s: error %v, want %v", name, r.Err(), want)
		}
		if r.Uint() != 0 || r.Int() != 0 || r.Float() != 0 || r.Bool() || r.String() != "" || r.Count() != 0 {
			t.Errorf("%s: something is read after an error", name)
		}
		if !errors.Is(r.Err(), want) {
			t.Errorf("%s: the first error is lost: %v", name, r.Err())
		}
	}
	v := byte(Version)
	f("empty", nil, func(r *Reader) bool { return r.Uint() == 0 }, ErrCorrupt)
	f("version", []byte{v + 1, 5}, func(r *Reader) bool { return r.Uint() == 0 }, ErrVersion)
	f("end", []byte{v}, func(r *Reader) bool { return r.Int() == 0 }, ErrCorrupt)
	f("endless number", []byte{v, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, func(r *Reader) bool { return r.Uint() == 0 }, ErrCorrupt)
	f("short float", []byte{v, 1, 2, 3}, func(r *Reader) bool { return r.Float() == 0 }, ErrCorrupt)
	f("long text", []byte{v, 4, 'a', 'b'}, func(r *Reader) bool { return r.String() == "" }, ErrCorrupt)
	f("great count", []byte{v, 0xff, 0xff, 0x7f, 1}, func(r *Reader) bool { return r.Count() == 0 }, ErrCorrupt)
	f("told", []byte{v, 1}, func(r *Reader) bool { r.Fail(); return true }, ErrCorrupt)
}

// TestStringOwnsItsMemory: a text does not change with the bytes that it came from.
func TestStringOwnsItsMemory(t *testing.T) {
	w := NewWriter()
	w.String("abc")
	b := w.Bytes()
	s := NewReader(b).String()
	b[len(b)-1] = 'x'
	if s != "abc" {
		t.Errorf("the text became %q", s)
	}
}
