package codec

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"weir/internal/vec"
)

// The archives of malformed inputs: the one of the tree, and a larger one that is only there where
// the project is worked on.
const (
	smallArchive = "testdata/corpora.tar.gz"
	largeArchive = "../../../shared/corpora/malformed-corpora.tar.gz"
)

// corpus gives the files of the small archive under a folder, or else of the large one.
func corpus(t *testing.T, folder string, f func(name string, text []byte)) {
	t.Helper()
	if archive(t, smallArchive, folder, f) == 0 {
		largeCorpus(t, folder, f)
	}
}

// largeCorpus gives the files of the large archive, if it is there: it is too large to be copied.
func largeCorpus(t *testing.T, folder string, f func(name string, text []byte)) {
	t.Helper()
	if _, err := os.Stat(largeArchive); os.IsNotExist(err) {
		t.Log("the large archive of malformed inputs is not here")
		return
	}
	if archive(t, largeArchive, folder, f) == 0 {
		t.Errorf("no files under %s", folder)
	}
}

func archive(t *testing.T, name, folder string, f func(name string, text []byte)) (files int) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(zip); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !strings.HasPrefix(name, folder+"/") {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files++
		f(strings.TrimPrefix(name, folder+"/"), text)
	}
}

// What a JSON parser must accept is an event when it stands in one, what it must refuse
// is a bad event, and both decoders say the same of every file.
func TestJSONCorpus(t *testing.T) {
	corpus(t, "json/test_parsing", func(name string, text []byte) {
		if len(text) > 20_000 { // deep nesting: TestJSONLimits has that
			return
		}
		inside := append(append([]byte(`{"v":`), text...), '}')
		if name[0] != 'i' && !strings.Contains(string(text), "\n") {
			for _, open := range []func([]vec.Field, JSONOptions) *JSONDecoder{NewGenericJSON, NewJSON} {
				for _, field := range []string{"v", "w"} {
					got, err := dump(open(fieldsOf(field), JSONOptions{Lines: true}), inside, 0, 10)
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if bad := strings.HasPrefix(got, "bad"); bad != (name[0] == 'n') {
						t.Errorf("%s: %q gives %s", name, inside, got)
					}
				}
			}
		}
		for seed := range uint64(6) {
			for _, text := range [][]byte{text, inside, []byte(strings.Repeat(string(inside)+"\n", 3))} {
				if err := compareDecoders(text, seed); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

func TestFuzzedJSONCorpus(t *testing.T) {
	corpus(t, "gofuzz/json/corpus", func(name string, text []byte) {
		for seed := range uint64(3) {
			if err := compareDecoders(text, seed); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestCSVSpectrum(t *testing.T) {
	texts, wants := map[string]string{}, map[string]string{}
	corpus(t, "csvspec", func(name string, text []byte) {
		base := strings.TrimSuffix(path.Base(name), path.Ext(name))
		switch path.Ext(name) {
		case ".csv":
			texts[base] = string(text)
		case ".json":
			wants[base] = string(text)
		}
	})
	for name, text := range texts {
		var want []map[string]string
		if err := json.Unmarshal([]byte(wants[name]), &want); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b vec.Batch
		_, err := NewCSV(fieldsOf("*"), CSVOptions{}).Decode(&b, []byte(text), true, 100, func(x Bad) {
			t.Errorf("%s: bad row %q: %s", name, x.Text, x.Reason)
		})
		if err != nil || b.N != len(want) {
			t.Errorf("%s: %d rows of %d, %v", name, b.N, len(want), err)
			continue
		}
		for i, row := range want {
			rec := b.Cols[0].Rec[i]
			if len(rec.Names) != len(row) {
				t.Errorf("%s: row %d has fields %v", name, i, rec.Names)
			}
			for k, v := range row {
				if got, _ := rec.Get(k); got.Str != v {
					t.Errorf("%s: row %d, %s is %q, not %q", name, i, k, got.Str, v)
				}
			}
		}
	}
}

// Any text decodes to the same rows in pieces as at once.
func TestFuzzedCSVCorpus(t *testing.T) {
	check := func(name string, text []byte) {
		text = text[:min(len(text), 5000)]
		for _, o := range []CSVOptions{{}, {Detect: true}, {NoHeader: true, MaxEvent: 30}} {
			want, err := dump(NewCSV(fieldsOf("*", "a", "@b"), o), text, 0, 1000)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got, err := dump(NewCSV(fieldsOf("*", "a", "@b"), o), text, 11, 3)
			if err != nil || sortBad(got) != sortBad(want) {
				t.Errorf("%s: %v, in pieces\n%sat once\n%s", name, err, got, want)
			}
		}
	}
	corpus(t, "gofuzz/csv/corpus", check)
	corpus(t, "arrow/data/csv/fuzzing", check)
}

// Damaged compressed data ends in an error or in a text, never in a panic.
func TestFuzzedCompression(t *testing.T) {
	f := func(folder string, c Compression) {
		corpus(t, folder, func(name string, text []byte) {
			r := Open(strings.NewReader(string(text)), Format{Compression: c})
			if _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<24)); err != nil && !strings.Contains(err.Error(), "InputDeserializerError.") {
				t.Errorf("%s: %v", name, err)
			}
			r.Close()
		})
	}
	f("gofuzz/gzip/corpus", CompressGzip)
	f("gofuzz/flate/corpus", CompressDeflate)
	f("gofuzz/zlib/corpus", CompressDeflate)
}
