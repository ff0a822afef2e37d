package codec

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

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

// inChild has Parquet decoded by a process for the time of a test.
func inChild(t testing.TB) {
	t.Helper()
	parquet.Program = parquet.Self
	t.Cleanup(func() { parquet.Program = "" })
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
	f := func(folder, kind string, wantRead int, wantBad ...string) {
		t.Helper()
		read, bad, found := 0, map[string]string{}, false
		corpus(t, folder, func(name string, text []byte) {
			found = true
			if ext := path.Ext(name); ext == ".md" || ext == ".csv" || ext == ".bin" || ext == ".encrypted" || ext == ".yaml" || ext == ".json" || ext == ".py" {
				return
			}
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
		if !found {
			return
		}
		if read != wantRead {
			t.Errorf("%s: %d files are read, not %d", folder, read, wantRead)
		}
		if wantBad == nil {
			return
		}
		for _, w := range wantBad {
			name, want, _ := strings.Cut(w, ": ")
			if !strings.Contains(bad[name], want) {
				t.Errorf("%s: %s, want %s", name, bad[name], want)
			}
			delete(bad, name)
		}
		for name, reason := range bad {
			t.Errorf("%s: %s", name, reason)
		}
	}
	f("arrow/data/avro", "avro", 30, `alltypes_plain.xz.avro: packed with "xz", which is not read here`)
	f("parquet/data", "parquet", 64,
		"nation.dict-malformed.parquet: 0 a page of column \"name\" is damaged",
		"hadoop_lz4_compressed.parquet: unsupported compression codec: LZ4",
		"hadoop_lz4_compressed_larger.parquet: unsupported compression codec: LZ4",
		"non_hadoop_lz4_compressed.parquet: unsupported compression codec: LZ4",
		"int96_from_spark.parquet: 5 a: the timestamp of day 4186664476 is no datetime",
		"nested_structs.rust.parquet: 0 ul_observation_date: min: the timestamp 1608822900000000000 is no datetime", // nanoseconds that say they are milliseconds
		"rle-dict-uncompressed-corrupt-checksum.parquet: 0 the Parquet file cannot be read on: crc32 checksum mismatch",
		"datapage_v1-corrupt-checksum.parquet: 0 the Parquet file cannot be read on: crc32 checksum mismatch",
		"column_chunk_key_value_metadata.parquet: missing required field",
		"large_string_map.brotli.parquet: 0 a page of column \"arr.key_value.key\" has 1073741828 bytes; at most 128 MiB are read",
		"datapage_v2_empty_datapage.snappy.parquet: s2: corrupt input")
	f("parquet/bad_data", "parquet", 2)
	f("arrow/data/parquet/fuzzing", "parquet", 4)
}

// Where a process cannot be limited the same is done by a goroutine: no file panics.
func TestContainerCorpusInProcess(t *testing.T) {
	for _, folder := range []string{"parquet/bad_data", "arrow/data/parquet/fuzzing"} {
		corpus(t, folder, func(name string, text []byte) {
			if _, _, err := events(t, bytes.NewReader(text), Format{Type: "parquet"}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
