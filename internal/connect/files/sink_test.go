package files

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree are the visible files of a disk, by name.
func tree(d disk.FS, dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	list, err := d.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		name := path.Join(dir, i.Name)
		switch {
		case strings.HasPrefix(i.Name, ownPrefix) || name == "state":
		case i.Dir:
			sub, err := tree(d, name)
			if err != nil {
				return nil, err
			}
			for n, b := range sub {
				out[n] = b
			}
		default:
			f, err := d.Open(name)
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil {
				return nil, err
			}
			out[name] = b
		}
	}
	return out, nil
}

// unpack is the text of a finished file.
func unpack(b []byte, format connect.Format) ([]byte, error) {
	lies := codec.Format{Compression: codec.Compression(format.Compression), Type: format.Type}
	if format.Type == "avro" || format.Type == "parquet" {
		lies.Compression = codec.CompressNone
	}
	r := codec.Open(bytes.NewReader(b), lies)
	defer r.Close()
	return io.ReadAll(r)
}

// rowsIn are the rows of a finished file, which must be whole.
func rowsIn(b []byte, format connect.Format) (rows []connecttest.Row, err error) {
	if b, err = unpack(b, format); err != nil {
		return nil, err
	}
	switch {
	case format.Type == "csv":
		const cr = "<cr>"
		all, err := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(b, []byte("\r"), []byte(cr)))).ReadAll()
		if err != nil || len(all) == 0 {
			return nil, err
		}
		for _, c := range all[1:] {
			id, err := strconv.ParseInt(c[0], 10, 64)
			if err != nil {
				return nil, err
			}
			rows = append(rows, connecttest.Row{ID: id, Text: strings.ReplaceAll(c[1], cr, "\r")})
		}
	case format.Array:
		err = json.Unmarshal(b, &rows)
	default:
		if !bytes.HasSuffix(b, []byte("\n")) {
			return nil, errors.New("the last line has no end")
		}
		for line := range bytes.Lines(b) {
			var r connecttest.Row
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, err
}

// rowsOf are the rows of all finished files in the order of the manifest, which must tell
// the truth about all of them.
func rowsOf(d disk.FS, format connect.Format) (rows []connecttest.Row, err error) {
	files, err := tree(d, ".")
	if err != nil {
		return nil, err
	}
	manifest := files["_manifest.jsonl"]
	delete(files, "_manifest.jsonl")
	listed := map[string]bool{}
	for line := range bytes.Lines(manifest) {
		var l Line
		if json.Unmarshal(line, &l) != nil {
			continue // a crash was in it; the next start writes it again
		}
		if listed[l.Name] {
			return nil, fmt.Errorf("%s stands in the manifest twice", l.Name)
		}
		listed[l.Name] = true
		list, err := rowsIn(files[l.Name], format)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.Name, err)
		}
		size, sum, err := digest(d, l.Name)
		times := strings.HasPrefix(l.First, "2024") || // rows of other tests
			list[0].Time().String() == l.First && list[len(list)-1].Time().String() == l.Last
		if err != nil || size != l.Bytes || sum != l.SHA256 || int64(len(list)) != l.Rows || !times {
			return nil, fmt.Errorf("the manifest is wrong about %s: %+v, %v", l.Name, l, err)
		}
	}
	for _, n := range slices.Sorted(func(yield func(string) bool) {
		for n := range files {
			if !yield(n) {
				return
			}
		}
	}) {
		list, err := rowsIn(files[n], format)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		rows = append(rows, list...)
	}
	return rows, nil
}

// config is a template of the suite with few files open at a time.
func config(t testing.TB, text string, format connect.Format, columns connect.Columns) settings {
	t.Helper()
	p, err := packingOf(format, columns)
	ok(t, err)
	tpl, err := parseTemplate(text, names{output: "out", job: "job", ext: p.ext, dateFormat: "yyyy/MM/dd", timeFormat: "HH-mm",
		column: func(name string) (int, bool) { return findColumn(columns, name) }})
	ok(t, err)
	return settings{template: tpl, manifest: "_manifest.jsonl", maxFiles: 100, maxOpen: 2}
}

// TestSuite runs the conformance suite over formats and templates.
func TestSuite(t *testing.T) {
	f := func(name, text string, stride int, format connect.Format, change func(*settings)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connecttest.Sinks{Format: format, Delayed: true, Unordered: true, Stride: stride, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
				m := disk.NewMem(11)
				cfg := config(t, text, format, connecttest.Columns())
				if change != nil {
					change(&cfg)
				}
				return &connecttest.Target{Disk: m,
					Open: func(env connect.SinkEnv) (connect.Sink, error) { return openSink(m.Boot(), nil, cfg, env) },
					Rows: func() ([]connecttest.Row, error) { return rowsOf(m, format) },
				}
			}}.Run(t)
		})
	}
	f("seconds", "{date}/{datetime:HHmmss}.json", 61, connect.Format{}, nil)
	f("minutes", "{date}/{time}/{output}{ext}", 1, connect.Format{Type: "json", Array: true}, nil)
	f("rows", "{n}{ext}", 5, connect.Format{Type: "csv"}, func(s *settings) { s.maxRows = 7 })
	f("column", "{text}/{date}{ext}", 11, connect.Format{Array: true, Compression: "gzip"}, nil)
	f("deflate", "{date}/{time}/{output}{ext}", 61, connect.Format{Compression: "deflate"}, nil)
	f("snappy", "{date}/{time}/{output}{ext}", 61, connect.Format{Type: "csv", Compression: "snappy"}, nil)
	f("avro", "{date}/{time}/{output}{ext}", 17, connect.Format{Type: "avro"}, nil)
	f("parquet", "{n}{ext}", 31, connect.Format{Type: "parquet", Compression: "zstd"}, func(s *settings) { s.maxRows = 7 })
	f("early", "{text}/{n}{ext}", 11, connect.Format{Compression: "zstd"}, func(s *settings) { s.maxSize = 500; s.maxFiles = 4 })
}
