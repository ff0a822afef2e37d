package message

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"slices"
	"strings"
	"testing"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func deflated(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

// decoded gives what the decoder makes of lines: the field a of each event, "!" for a bad one.
func decoded(t *testing.T, text []byte) string {
	t.Helper()
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Fatalf("%q does not end with a line end", text)
	}
	d := codec.NewJSON([]vec.Field{{Path: []string{"a"}}}, codec.JSONOptions{Lines: true})
	type found struct {
		at   int64
		text string
	}
	var list []found
	for rest := text; len(rest) > 0; {
		var b vec.Batch
		n, err := d.Decode(&b, rest, true, 100, func(bad codec.Bad) { list = append(list, found{bad.Offset, "!"}) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			at, _, _ := d.Row(i)
			list = append(list, found{at, b.Cols[0].At(i).String()})
		}
		if rest = rest[n:]; n == 0 {
			t.Fatalf("the decoder stands still before %q", rest)
		}
	}
	slices.SortFunc(list, func(x, y found) int { return int(x.at - y.at) })
	var out []string
	for _, f := range list {
		out = append(out, f.text)
	}
	return strings.Join(out, " ")
}

// TestBodies: what a message holds becomes events, and what is broken one dead letter.
func TestBodies(t *testing.T) {
	f := func(o connect.Format, unwrap, body, want string) {
		t.Helper()
		c := NewCutter(o, unwrap)
		var chunk connect.Chunk
		before := []byte("{\"a\":0}\n")
		text, ends := c.Append(&chunk, slices.Clone(before), []byte(body))
		if ends || !bytes.HasPrefix(text, before) {
			t.Fatalf("%.60q: ends %v, %q", body, ends, text)
		}
		text = append(text, "{\"a\":9}\n"...) // the next message
		got := decoded(t, text)
		if want = strings.TrimSpace("0 " + want); got != want+" 9" {
			t.Errorf("%.60q:\n got %s\nwant %s 9\nlines %q", body, got, want, text)
		}
	}
	json := connect.Format{}
	f(json, "", `{"a":1}`, "1")
	f(json, "", "{\"a\":1}\n", "1")
	f(json, "", "\xef\xbb\xbf{\"a\":1}", "1")
	f(json, "", " \r\n{\"a\":1} ", "1")
	f(json, "", "\xff\xfe{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "1") // UTF-16
	f(json, "", "{\n  \"a\": 1,\n  \"b\": {\"c\": [1,\n2]}\n}\n", "1")
	f(json, "", "{\r\n  \"a\": 1\r\n}", "1")
	f(json, "", `[{"a":1},{"a":2}]`, "1 2")
	f(json, "", "[\n  {\n\"a\":1},\n{\"a\":[2,{\"x\":3}]}\n]", `1 [2,{"x":3}]`)
	f(json, "", `[]`, "")
	f(json, "", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", "1 2 3")
	f(json, "", "{\"a\":1}\r\n\r\n{\"a\":2}\r\n", "1 2")
	f(json, "", `{"a":1}{"a":2} {"a":3}`, "1 2 3")
	f(json, "", `{"a":{"b":1}} {"a":"}{"}`, `{"b":1} "}{"`)
	f(json, "", "{\"a\":1}\n{\"a\":2}{\"a\":3}", "1 2 3")
	f(json, "", "{\"a\":1}\n{\"a\":\n2}", "1 2")
	// Broken ones.
	f(json, "", `{"a":1`, "!")
	f(json, "", `hello`, "!")
	f(json, "", "{\n\"a\":1,\n\"b\":\n", "!")
	f(json, "", "{\"a\":\"x\ny\"}", "!")      // a raw line end inside a string
	f(json, "", "{\"a\":\"x\xff\xfe\"}", "!") // not UTF-8
	f(json, "", "{\"a\":1}\n{\"a\"\n{\"a\":3}", "1 ! 3")
	f(json, "", "[{\"a\":1},\n{\"a\":]\n", "1 !")
	f(json, "", "[{\"a\":1},7,\"x\",null]", "1 ! ! !")
	f(json, "", "]", "!")
	f(json, "", "}}}", "!")
	f(json, "", "hello world, and [more]\n{\"a\":1}", "!")
	f(json, "", "{\"a\":1} and more", "!")
	f(json, "", "[hello world, {\"a\":1} ]", "! 1")
	f(json, "", "\x00\x01\n\x02", "!")
	f(json, "", "", "")
	f(json, "", " \n ", "")
	// Packed ones.
	f(json, "", gzipped("{\"a\":1}\n{\"a\":2}"), "1 2")
	f(connect.Format{Compression: "gzip"}, "", gzipped(`{"a":1}`), "1")
	f(connect.Format{Compression: "deflate"}, "", deflated(`[{"a":1}]`), "1")
	f(connect.Format{Compression: "none"}, "", `{"a":1}`, "1")
	f(connect.Format{Compression: "gzip"}, "", `{"a":1}`, "1")
	f(json, "", gzipped(`{"a":1}`)[:20], "!")
	f(json, "", gzipped(strings.Repeat(" ", MaxBody+1)), "!")
	// Wrapped ones.
	f(json, "records", `{"records":[{"a":1},{"a":2}]}`, "1 2")
	f(json, "records", `{"x":{"records":[0]},"Records" : [ {"a":1} ] ,"z":1}`, "1")
	f(json, "records", `{"records":[]}`, "")
	f(json, "records", `{"a":7,"records":{"a":1}}`, "7")
	f(json, "records", `{"a":7}`, "7")
	f(json, "records", `[{"a":7}]`, "7")
	f(json, "records", `{"records":[{"a":1},{"a":`, "1 !")
}

// TestCSVMessages: messages of one header are one text; one that does not end harms no other.
func TestCSVMessages(t *testing.T) {
	f := func(o connect.Format, messages []string, want ...string) {
		t.Helper()
		c := NewCutter(o, "")
		var got []string
		for i := 0; i < len(messages); {
			var chunk connect.Chunk
			var text []byte
			c.Begin(&chunk)
			for i < len(messages) && !chunk.Last {
				more, ends := c.Append(&chunk, text, []byte(messages[i]))
				if ends {
					break
				}
				text = more
				i++
			}
			mark := ""
			if chunk.Fresh {
				mark = "fresh "
			}
			if chunk.Last {
				mark += "last "
			}
			got = append(got, mark+string(chunk.Head)+"|"+string(text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", messages, got, want)
		}
	}
	csv := connect.Format{Type: "csv"}
	f(csv, []string{"a,b\n1,2\n", "a,b\n3,4", "a,b\n\"x\n,\",5\n"}, "fresh a,b\n|1,2\n3,4\n\"x\n,\",5\n")
	f(csv, []string{"a,b\n1,2", "a,c\n3,4"}, "fresh a,b\n|1,2\n", "fresh a,c\n|3,4\n")
	f(csv, []string{"a,b\n1,2", "a,b\n\"x,4", "a,b\n5,6"}, "fresh a,b\n|1,2\n", "last a,b\n|\"x,4\n", "fresh a,b\n|5,6\n")
	f(csv, []string{"a,b", "a,b\n1,2"}, "fresh a,b\n|1,2\n")
	f(csv, []string{"", "a\n1"}, "fresh a\n|1\n")
	f(connect.Format{Type: "csv", NoHeader: true}, []string{"1,2", "3,4\n"}, "fresh |1,2\n3,4\n")
	f(connect.Format{Type: "csv", Delimiter: ';'}, []string{"a;b\n1;2"}, "fresh a;b\n|1;2\n")
}

// FuzzBodies: whatever a message holds, the ones before and behind it are read as they are.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "[{\"a\":1},\n2]", "{\"a\":1}\n{\"a\"", "\x1f\x8b", "\"", "{\"records\":[{\"a\":1", "a,b\n\"1", "]}", "\\", "\xff\xfe\x00"} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), "records")
	}
	f.Fuzz(func(t *testing.T, body []byte, unwrap string) {
		c := NewCutter(connect.Format{}, unwrap)
		var chunk connect.Chunk
		text, ends := c.Append(&chunk, []byte("{\"a\":0}\n"), body)
		if ends || chunk.Last {
			t.Fatal("a message of JSON ends a chunk")
		}
		got := decoded(t, append(text, "{\"a\":9}\n"...))
		if !strings.HasPrefix(got, "0") || !strings.HasSuffix(got, "9") {
			t.Errorf("%q: %s", body, got)
		}
		rows := NewCutter(connect.Format{Type: "csv"}, "")
		rows.Begin(&chunk)
		text, ends = rows.Append(&chunk, nil, body)
		if len(text) > 0 && (ends || text[len(text)-1] != '\n') {
			t.Errorf("%q: %q", body, text)
		}
	})
}
