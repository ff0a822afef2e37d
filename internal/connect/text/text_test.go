package text

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

var wanted = []vec.Field{{Path: []string{"a"}}}

// decodeAll are the events of a text, decoded as a whole, with the places of all, and the
// number of bad ones.
func decodeAll(text []byte, csv bool) (events []string, bad int, err error) {
	var d codec.Decoder = codec.NewJSON(wanted, codec.JSONOptions{})
	if csv {
		d = codec.NewCSV(wanted, codec.CSVOptions{Detect: true})
	}
	return decodeWith(d, text, true, nil)
}

func decodeWith(d codec.Decoder, text []byte, last bool, events []string) ([]string, int, error) {
	bad := 0
	for {
		var b vec.Batch
		n, err := d.Decode(&b, text, last, 50, func(codec.Bad) { bad++ })
		if err != nil {
			return events, bad, err
		}
		for i := range b.N {
			off, line, _ := d.Row(i)
			events = append(events, fmt.Sprintf("%d %d %s", off, line, b.Cols[0].At(i)))
		}
		if text = text[n:]; n == 0 || len(text) == 0 {
			return events, bad, nil
		}
	}
}

// decodeChunks decodes chunks as the runner does.
type decodeChunks struct {
	csv    bool
	d      codec.Decoder
	stream bool
	events []string
	bad    int
}

func (d *decodeChunks) chunk(c *connect.Chunk) error {
	if d.d == nil || c.Fresh {
		head := c.Head
		if len(head) == 0 {
			head = c.Data
		}
		d.stream = !d.csv && !codec.LinesOf(head, true)
		d.d = codec.NewJSON(wanted, codec.JSONOptions{Lines: !d.stream, Stream: d.stream})
		if d.csv {
			d.d = codec.NewCSV(wanted, codec.CSVOptions{Detect: true})
		}
		if len(c.Head) > 0 && (d.csv || d.stream) {
			var b vec.Batch
			if _, err := d.d.Decode(&b, c.Head, false, 1, nil); err != nil {
				return err
			}
		}
	}
	d.d.Begin(c.Offset, c.Line)
	events, bad, err := decodeWith(d.d, c.Data, c.Last || !d.stream, d.events)
	d.events, d.bad = events, d.bad+bad
	return err
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hold makes a file of a text. It is opened at a spot.
func hold(t testing.TB, text []byte) func(at Spot, format connect.Format, csv bool) (*Text, error) {
	t.Helper()
	m := disk.NewMem(1)
	f, err := m.Create("f")
	ok(t, err)
	_, err = f.Write(text)
	ok(t, err)
	return func(at Spot, format connect.Format, csv bool) (*Text, error) {
		f, err := m.Open("f")
		ok(t, err)
		return Open(f, "f", format, csv, at)
	}
}

// cut reads a text in chunks, and each chunk again from its start to its end.
func cut(t testing.TB, text []byte, csv bool, max int) *decodeChunks {
	t.Helper()
	format := connect.Format{Compression: "none"}
	open := hold(t, text)
	at := StartOf(1)
	x, err := open(at, format, csv)
	ok(t, err)
	defer x.Close()
	got := &decodeChunks{csv: csv}
	for {
		at = x.Spot
		c, more, err := x.Chunk(max, true)
		ok(t, err)
		if !more {
			return got
		}
		c.Data = bytes.Clone(c.Data)
		if err := got.chunk(&c); err != nil {
			return got
		}
		once, err := open(at, format, csv)
		ok(t, err)
		again, err := once.UpTo(x.Spot)
		if err != nil {
			t.Fatalf("%.200q in chunks of %d: from %+v to %+v: %v", text, max, at, x.Spot, err)
		}
		one, two := &decodeChunks{csv: csv}, &decodeChunks{csv: csv}
		first := c
		if len(first.Head) == 0 && at.Off > 0 && !first.Fresh {
			first.Head = again.Head // the first decoder has it from before
		}
		ok(t, one.chunk(&first))
		ok(t, two.chunk(&again))
		if !slices.Equal(one.events, two.events) || one.bad != two.bad || c.Offset != again.Offset || c.Line != again.Line || c.Last != again.Last {
			t.Fatalf("%.200q in chunks of %d: from %+v to %+v:\n%q %d\n%q %d", text, max, at, x.Spot, one.events, one.bad, two.events, two.bad)
		}
		once.Close()
	}
}

// checkText compares events in chunks of all sizes with those of the whole text.
func checkText(t testing.TB, text []byte, csv bool, sizes ...int) {
	t.Helper()
	want, bad, err := decodeAll(text, csv)
	if err != nil {
		return // no usable header
	}
	for _, max := range sizes {
		got := cut(t, text, csv, max)
		if !slices.Equal(got.events, want) || got.bad != bad {
			t.Fatalf("%.300q in chunks of %d gives\n%.900q and %d bad\ninstead of\n%.900q and %d", text, max, got.events, got.bad, want, bad)
		}
	}
}

var texts = []string{
	"", "\n", " \n\n", "{\"a\":1}", "{\"a\":1}\n", "{\"a\":1}\n{\"a\":2}", "\n\n{\"a\":1}\n\n\n{\"a\":2}\n\n",
	"garbage\n{\"a\":1}\nmore garbage\n[1,2]\n{\"a\":2}\n", "{\"a\":1}{\"a\":2} {\"a\":3}\n\n{\"a\":4}",
	"[{\"a\":1},\n{\"a\":2}\n,{\"a\":3}]", "[]", "[\n]\n", "[{\"a\":1}][{\"a\":2}]", "[{\"a\":1},{\"a\":2", "[{\"a\":1}", "[1,2,{\"a\":1},\"x\",{\"a\":2}]",
	"{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n", "{\n \"a\": [1, {\"b\":\n2}]\n}{\"a\":3}",
	"[{\"a\":1}, } rubbish\n{\"a\":2},\n{\"a\":3}]", "{\n\"a\":1}\n}}}}\n\n{\"a\":2}\n{\n\"a\":3}", "{\n\"a\":\"unclosed\n{\"a\":2}\n {\"a\":3}\n{\"a\":4}",
	"[{\"a\":1] \n{\"a\":2}]", "[{\"a\": \"\x01\"},{\"a\":2}]\n", "[ \"unclosed ,{\"a\":2}]", "{\"a\":\"\\", "{\n\"a\":1}\n?",
}

var csvTexts = []string{
	"a,b\n1,2\n3,4\n", "a;b\n1;2\n\"x;\n\"\"y\";4\n", "a\tb\r\n1\t2\r\n\r\n3\t4", "a,b\n\"1\n2\",3\n\"4\n5", "a,b\n1,2,3\n4\n\n\n5,6",
	"a\n\"x\"y\n1\n\"open\n2\n3\n", "\n\na,b\n1,2\n", "a,b", "a", "\"a\nb\",a\n1,2\n",
}

// TestTexts has texts in chunks of every size.
func TestTexts(t *testing.T) {
	for _, s := range texts {
		for max := 1; max < len(s)+2; max++ {
			checkText(t, []byte(s), false, max)
		}
	}
	for _, s := range csvTexts {
		for max := 1; max < len(s)+2; max++ {
			checkText(t, []byte(s), true, max)
		}
	}
}

// TestLong has events that are too long, in all forms and places.
func TestLong(t *testing.T) {
	sizes := []int{1, codec.MaxEventBytes, 4 << 20}
	for _, n := range []int{codec.MaxEventBytes - 20, codec.MaxEventBytes + 40, 2 * codec.MaxEventBytes} {
		long := strings.Repeat("x", n)
		checkText(t, []byte("{\"a\":1}\n{\"a\":\""+long+"\"}\n{\"a\":2}\n"), false, sizes...)
		checkText(t, []byte("{\"a\":\""+long+"\"}\n{\"a\":2}\n{\"a\":\""+long+"\"}"), false, sizes...)
		checkText(t, []byte("a,b\n1,"+long+"\n2,3\n"+long), true, sizes...)
		checkText(t, []byte("a,b\n1,\"x\n"+long+"\"\n2,3\n"), true, sizes...)
		checkText(t, []byte("[{\"a\":1},{\"a\":\""+long+"\"},\n{\"a\":2},{\"a\":3}]"), false, sizes...)
	}
}

// FuzzText cuts any text.
func FuzzText(f *testing.F) {
	for i, s := range texts {
		f.Add([]byte(s), false, i)
	}
	for i, s := range csvTexts {
		f.Add([]byte(s), true, i)
	}
	f.Fuzz(func(t *testing.T, text []byte, csv bool, max int) {
		if len(text) > 5000 || bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
			return
		}
		checkText(t, text, csv, 1+max&127)
	})
}

// FuzzPosition reads the text of positions: what is taken comes out the same.
func FuzzPosition(f *testing.F) {
	for _, s := range []string{"", "1", "3 3:120:7:l 1:88:2:l", "2 2:9:3:a.", "1 1:0:1:s", "9 1:1:1:x 2:0:1:s 9:3:3:r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(connect.Position(s))
		if err == nil && string(p.Text()) != s {
			t.Errorf("%q comes out as %q", s, p.Text())
		}
	})
}

// TestBadPositions are refused, each with an error.
func TestBadPositions(t *testing.T) {
	for _, s := range []string{"0", "x", "1 ", "1 1", "1 2:0:1:l", "1 0:0:1:l", "1 1:0:0:l", "1 1:-1:1:l", "1 1:0:1:?", "1 1:0:1:", "1 1:0:1:ll",
		"2 1:0:1:l 1:0:1:l", "3 1:0:1:l 2:0:1:l.", "3 1:0:1:l 3:0:1:l 2:0:1:l", "01", "1 1:01:1:l", "+1", "1  1:0:1:l"} {
		if p, err := ParsePosition(connect.Position(s)); err == nil {
			t.Errorf("%q is %+v", s, p)
		}
	}
}
