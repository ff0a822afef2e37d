package codec

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"weir/internal/vec"
)

// repacked writes rows as a file, and gives them as they are read back.
func repacked(t testing.TB, f PackFormat, text string) string {
	t.Helper()
	var once, again bytes.Buffer
	if err := Pack(&once, strings.NewReader(text), f); err != nil {
		t.Fatalf("%s: %v", f.Type, err)
	}
	if err := Pack(&again, strings.NewReader(text), f); err != nil || !bytes.Equal(once.Bytes(), again.Bytes()) {
		t.Errorf("%s: the same rows give other bytes, %v", f.Type, err)
	}
	r := Open(&once, Format{Type: f.Type})
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", f.Type, err)
	}
	return string(b)
}

// TestPack: rows come back from files as they went in, but for what the formats cannot have.
func TestPack(t *testing.T) {
	set := vec.KindsOf
	f := func(o PackFormat, text, avro, parquet string) {
		t.Helper()
		o.Type = "avro"
		if got := repacked(t, o, text); got != avro {
			t.Errorf("avro of %s:\n got %s\nwant %s", text, got, avro)
		}
		o.Type = "parquet"
		if got := repacked(t, o, text); got != parquet {
			t.Errorf("parquet of %s:\n got %s\nwant %s", text, got, parquet)
		}
	}
	same := func(o PackFormat, text string) { t.Helper(); f(o, text, text, text) }
	typed := PackFormat{Names: []string{"b", "i", "f", "s"}, Kinds: []vec.Kinds{set(vec.Bit, vec.Null), set(vec.Int, vec.Null), set(vec.Float, vec.Null), set(vec.String, vec.Null)}}
	same(typed, "{\"b\":true,\"i\":-9223372036854775808,\"f\":0.1,\"s\":\"a\\\"東\"}\n{\"b\":null,\"i\":null,\"f\":null,\"s\":null}\n{\"b\":false,\"i\":7,\"f\":422.0,\"s\":\"\"}\n")
	same(typed, "")
	at := PackFormat{Names: []string{"at"}, Kinds: []vec.Kinds{set(vec.Datetime)}}
	f(at, "{\"at\":\"2020-03-05T16:42:35.1234567Z\"}\n{\"at\":null}\n{\"at\":\"0001-01-01T00:00:00.0000001Z\"}\n",
		"{\"at\":\"2020-03-05T16:42:35.1234567Z\"}\n{\"at\":null}\n{\"at\":\"0001-01-01T00:00:00.0000001Z\"}\n",
		"{\"at\":\"2020-03-05T16:42:35.1234560Z\"}\n{\"at\":null}\n{\"at\":\"0001-01-01T00:00:00.0000000Z\"}\n")
	free := PackFormat{Names: []string{"v"}, Kinds: []vec.Kinds{vec.AnyKind}}
	same(free, "{\"v\":{\"a\":1,\"b\":[1,null,3],\"c\":{\"d\":\"x\"}}}\n{\"v\":null}\n{\"v\":{\"a\":null,\"b\":[],\"c\":null}}\n{\"v\":{\"a\":2,\"b\":null,\"c\":{\"d\":null}}}\n")
	same(free, "{\"v\":[[1,2],[],[3]]}\n{\"v\":[]}\n{\"v\":[null,[null]]}\n{\"v\":null}\n")
	same(free, "{\"v\":[{\"a\":[{\"b\":1},{\"b\":2}]},{\"a\":[]}]}\n{\"v\":[{\"a\":null},{\"a\":[{\"b\":3}]}]}\n")
	f(free, "{\"v\":1}\n{\"v\":2.5}\n", "{\"v\":1.0}\n{\"v\":2.5}\n", "{\"v\":1.0}\n{\"v\":2.5}\n")
	f(free, "{\"v\":1}\n{\"v\":\"x\"}\n{\"v\":{\"a\":true}}\n{\"v\":[1]}\n{\"v\":true}\n{\"v\":null}\n",
		"{\"v\":1}\n{\"v\":\"x\"}\n{\"v\":{\"a\":true}}\n{\"v\":[1]}\n{\"v\":true}\n{\"v\":null}\n",
		"{\"v\":\"1\"}\n{\"v\":\"x\"}\n{\"v\":\"{\\\"a\\\":true}\"}\n{\"v\":\"[1]\"}\n{\"v\":\"true\"}\n{\"v\":null}\n")
	f(free, "{\"v\":{}}\n{\"v\":null}\n", "{\"v\":\"{}\"}\n{\"v\":null}\n", "{\"v\":\"{}\"}\n{\"v\":null}\n")
	same(free, "{\"v\":null}\n")
	row := PackFormat{Row: true}
	f(row, "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"c\":{\"d\":[1]}}\n{\"c\":null,\"a\":5}\n",
		"{\"a\":1,\"b\":\"x\",\"c\":null}\n{\"a\":null,\"b\":\"y\",\"c\":{\"d\":[1]}}\n{\"a\":5,\"b\":null,\"c\":null}\n",
		"{\"a\":1,\"b\":\"x\",\"c\":null}\n{\"a\":null,\"b\":\"y\",\"c\":{\"d\":[1]}}\n{\"a\":5,\"b\":null,\"c\":null}\n")
	// Avro has fewer names.
	named := PackFormat{Names: []string{"a b", "a_b", "9", "é"}, Kinds: []vec.Kinds{set(vec.Int), set(vec.Int), set(vec.Int), set(vec.Int)}}
	f(named, "{\"a b\":1,\"a_b\":2,\"9\":3,\"é\":4}\n", "{\"a_b\":1,\"a_b_2\":2,\"_9\":3,\"__\":4}\n", "{\"a b\":1,\"a_b\":2,\"9\":3,\"é\":4}\n")
	// What is deeper or has more fields than a schema takes is text.
	deep := "1"
	for range 20 {
		deep = "[" + deep + "]"
	}
	if got := repacked(t, PackFormat{Type: "parquet", Names: []string{"v"}, Kinds: []vec.Kinds{vec.AnyKind}}, "{\"v\":"+deep+"}\n"); got != "{\"v\":"+strings.Repeat("[", 15)+"\""+strings.Repeat("[", 5)+"1"+strings.Repeat("]", 5)+"\""+strings.Repeat("]", 15)+"}\n" {
		t.Errorf("deep: %s", got)
	}
}

// TestPackCompressions: all of them can be read again, and an unknown one is an error.
func TestPackCompressions(t *testing.T) {
	text := strings.Repeat("{\"a\":1,\"s\":\"some text\"}\n", 10_000)
	for kind, list := range map[string][]string{"avro": {"", "none", "snappy", "deflate", "zstd"}, "parquet": {"", "none", "snappy", "gzip", "zstd"}} {
		for _, c := range list {
			o := PackFormat{Type: kind, Compression: c, Names: []string{"a", "s"}, Kinds: []vec.Kinds{vec.KindsOf(vec.Int), vec.KindsOf(vec.String)}}
			if got := repacked(t, o, text); got != text {
				t.Errorf("%s %s: %.100s", kind, c, got)
			}
		}
		if err := CheckPack(PackFormat{Type: kind, Compression: "bzip2"}); err == nil {
			t.Errorf("%s takes bzip2", kind)
		}
	}
}

// TestPackWrong: what is no row is no file.
func TestPackWrong(t *testing.T) {
	if err := Pack(io.Discard, strings.NewReader("{\"s\":1\n"), PackFormat{Type: "parquet", Row: true}); err == nil {
		t.Error("that is no row")
	}
}
