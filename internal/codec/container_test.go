package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"weir/internal/codec/avro"
	"weir/internal/codec/parquet"
	"weir/internal/vec"
)

// TestMain is the child that decodes Parquet too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == parquet.Verb {
		os.Exit(parquet.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// drain decodes a text as a runner does.
func drain(text io.Reader, d Decoder, rows func(b *vec.Batch), bad func(Bad)) error {
	var b vec.Batch
	var data []byte
	for last := false; !last; {
		at := len(data)
		data = append(data, make([]byte, 256<<10)...)
		n, err := io.ReadFull(text, data[at:])
		data = data[:at+n]
		last = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		for {
			n, err := d.Decode(&b, data, last, 1000, bad)
			if err != nil {
				return err
			}
			rows(&b)
			data = data[n:]
			if n == 0 && b.N == 0 {
				break
			}
		}
	}
	return nil
}

// events decodes the text of a file, and gives the number of its events, and why others are bad.
func events(t testing.TB, r io.Reader, f Format) (n int, bad []string, err error) {
	t.Helper()
	text := Open(r, f)
	defer text.Close()
	d := NewJSON(fieldsOf("*"), JSONOptions{})
	err = drain(text, d, func(b *vec.Batch) { n += b.N }, func(b Bad) {
		if b.Name != InvalidData {
			t.Errorf("the name is %s", b.Name)
		}
		bad = append(bad, b.Reason)
	})
	return n, bad, err
}

// TestContainerCorpus: each file that is not right is one bad event, and each right one is read
// but those whose compression the library does not have.
func TestContainerCorpus(t *testing.T) {
	inChild(t)
	f := func(folder, kind string, wantRead, wantBad int, wants ...string) {
		t.Helper()
		read, bad := 0, map[string]string{}
		corpus(t, folder, func(name string, text []byte) {
			n, reasons, err := events(t, bytes.NewReader(text), Format{Type: kind})
			switch {
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case len(reasons) > 1:
				t.Errorf("%s: %d bad events, the first: %s", name, len(reasons), reasons[0])
			case len(reasons) == 1:
				bad[name] = fmt.Sprint(n, " ", reasons[0])
			default:
				read++
			}
		})
		if read != wantRead || len(bad) != wantBad {
			t.Errorf("%s: %d files are read and %d are not, want %d and %d", folder, read, len(bad), wantRead, wantBad)
		}
		for _, w := range wants {
			name, want, _ := strings.Cut(w, ": ")
			if !strings.Contains(bad[name], want) {
				t.Errorf("%s: %s, want %s", name, bad[name], want)
			}
			delete(bad, name)
		}
		for name, reason := range bad {
			if len(wants) > 0 {
				t.Errorf("%s: %s", name, reason)
			}
		}
	}
	f("arrow/data/avro", "avro", 30, 1, `alltypes_plain.xz.avro: packed with "xz", which is not read here`)
	f("parquet/data", "parquet", 53, 8,
		"nation.dict-malformed.parquet: 0 a page of column \"name\" is damaged",
		"hadoop_lz4_compressed.parquet: unsupported compression codec: LZ4",
		"non_hadoop_lz4_compressed.parquet: unsupported compression codec: LZ4",
		"int96_from_spark.parquet: 5 a: the timestamp of day 4186664476 is no datetime",
		"rle-dict-uncompressed-corrupt-checksum.parquet: 0 the Parquet file cannot be read on: crc32 checksum mismatch",
		"column_chunk_key_value_metadata.parquet: missing required field",
		"large_string_map.brotli.parquet: 0 a page of column \"arr.key_value.key\" has 1073741828 bytes; at most 128 MiB are read",
		"datapage_v2_empty_datapage.snappy.parquet: s2: corrupt input")
	f("parquet/bad_data", "parquet", 2, 6)
	f("arrow/data/parquet/fuzzing", "parquet", 4, 97)
}

// Where a process cannot be limited the same is done by a goroutine: no file panics.
func TestContainerCorpusInProcess(t *testing.T) {
	for _, folder := range []string{"parquet/bad_data", "parquet/data", "arrow/data/parquet/fuzzing"} {
		corpus(t, folder, func(name string, text []byte) {
			if _, _, err := events(t, bytes.NewReader(text), Format{Type: "parquet"}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// All files of the large archive, whatever they are.
func TestLargeContainerCorpus(t *testing.T) {
	inChild(t)
	for _, folder := range []string{"parquet/bad_data", "parquet/data", "arrow/data/parquet"} {
		largeCorpus(t, folder, func(name string, text []byte) {
			if _, reasons, err := events(t, bytes.NewReader(text), Format{Type: "parquet"}); err != nil || len(reasons) > 1 {
				t.Errorf("%s: %v, %d bad events", name, err, len(reasons))
			}
		})
	}
}

func FuzzAvroFile(f *testing.F) {
	for _, text := range []string{"{\"a\":1,\"b\":[\"x\",null],\"c\":{\"d\":1.5}}\n", "{\"a\":true}\n{\"a\":\"x\"}\n"} {
		var b bytes.Buffer
		if err := Pack(&b, strings.NewReader(text), PackFormat{Type: "avro", Compression: "none", Row: true}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, b, "avro") })
}

func FuzzParquetFile(f *testing.F) {
	for _, c := range []string{"none", "snappy"} {
		var b bytes.Buffer
		if err := Pack(&b, strings.NewReader("{\"a\":1,\"b\":[\"x\",null],\"c\":{\"d\":1.5}}\n"), PackFormat{Type: "parquet", Compression: c, Row: true}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, b, "parquet") })
}

// fuzzed reads a file twice: it is the same text, and all of it is events or says why not.
func fuzzed(t *testing.T, b []byte, kind string) {
	var texts [2]string
	for i := range texts {
		r := Open(bytes.NewReader(b), Format{Type: kind})
		text, err := io.ReadAll(io.LimitReader(r, 1<<24))
		r.Close()
		if err != nil {
			t.Fatalf("%v", err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] {
		t.Fatal("the same file gives another text")
	}
	for line := range strings.Lines(texts[0]) {
		if len(texts[0]) < 1<<24 && line[0] != 0 && !json.Valid([]byte(line)) {
			t.Fatalf("%.200q is no event", line)
		}
	}
}

func FuzzAvroValue(f *testing.F) {
	f.Add(`{"type":"record","name":"r","fields":[{"name":"a","type":["null","long",{"type":"array","items":"string"}]},{"name":"n","type":["null","r"]}]}`, []byte{2, 2, 0})
	f.Add(`{"type":"map","values":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}}`, []byte{2, 2, 'k', 2, 5, 0})
	f.Fuzz(func(t *testing.T, schema string, b []byte) {
		s, err := avro.Parse(schema)
		if err != nil {
			return
		}
		text, _, bad, err := s.AppendJSON(nil, b, 1<<16)
		if err == nil && bad == "" && !json.Valid(text) {
			t.Fatalf("%s of %q: %q", schema, b, text)
		}
	})
}
