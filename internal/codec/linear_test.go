package codec

import (
	"bytes"
	"strings"
	"testing"

	"weir/internal/vec"
)

// Texts that invite a decoder to look at the same bytes again and again. The test hangs
// if it does: each text is half a megabyte of events that go wrong in the same way.
func TestHostileTextsTakeLinearTime(t *testing.T) {
	f := func(name, piece string, o JSONOptions) {
		t.Helper()
		text := bytes.Repeat([]byte(piece), 500_000/len(piece))
		for _, open := range []func([]vec.Field, JSONOptions) *JSONDecoder{NewGenericJSON, NewJSON} {
			d := open(fieldsOf("a", "b.c"), o)
			var b vec.Batch
			for rest := text; len(rest) > 0; {
				n, err := d.Decode(&b, rest, true, 2048, func(Bad) {})
				if err != nil || n == 0 && b.N == 0 {
					t.Errorf("%s: stuck after %d bytes: %v", name, len(text)-len(rest), err)
					break
				}
				rest = rest[n:]
			}
		}
	}
	for _, o := range []JSONOptions{{Lines: true}, {Stream: true}} {
		f("brackets", "{\n", o)
		f("arrays", "[\n", o)
		f("quotes", "{\"\n", o)
		f("open objects", "{\"a\":1,\n", o)
		f("open pairs", "{\"a\":\n", o)
		f("words", "x ", o)
		f("closing", "}", o)
		f("nested", strings.Repeat("[", 1000)+"\n", o)
		f("deep", strings.Repeat(`{"a":`, 300)+"\n", o)
		f("numbers", "{\"a\":"+strings.Repeat("9", 1000)+"}\n", o)
		f("escapes", "{\"a\":\"\\\n", o)
	}
}

func TestHostileCSV(t *testing.T) {
	f := func(piece string) {
		t.Helper()
		text := append([]byte("a,b\n"), bytes.Repeat([]byte(piece), 2_000_000/len(piece))...)
		d := NewCSV(fieldsOf("a", "b"), CSVOptions{MaxEvent: 1 << 12})
		var b vec.Batch
		for rest := text; len(rest) > 0; {
			n, err := d.Decode(&b, rest, true, 2048, nil)
			if err != nil || n == 0 && b.N == 0 {
				t.Errorf("%q: stuck after %d bytes: %v", piece, len(text)-len(rest), err)
				break
			}
			rest = rest[n:]
		}
	}
	f(",")
	f("\n\r")
	f("\"\n")
	f("\"a\"b\n")
	f("a,b\n")
	f("\"\",")
}
