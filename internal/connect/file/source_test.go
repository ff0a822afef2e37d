package file

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

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

// input opens a source over a path.
func input(path string, follow bool) func(connect.SourceEnv) (connect.Source, error) {
	return func(env connect.SourceEnv) (connect.Source, error) {
		p, err := newPattern(path)
		if err != nil {
			return nil, err
		}
		return openSource(disk.View(p.root), settings{pattern: p, follow: follow, scan: time.Millisecond, wait: time.Millisecond, open: 64}, env)
	}
}

// forms are ways to write rows to a file.
var forms = map[string]func([]connecttest.Row) []byte{
	"lines": func(rows []connecttest.Row) (b []byte) {
		for _, r := range rows {
			x, _ := json.Marshal(r)
			b = append(append(b, x...), '\n')
		}
		return b
	},
	"array": func(rows []connecttest.Row) []byte {
		b, _ := json.Marshal(rows)
		return b
	},
	"pretty": func(rows []connecttest.Row) []byte {
		b, _ := json.MarshalIndent(rows, "", "  ")
		return append(b, '\n')
	},
	"objects": func(rows []connecttest.Row) (b []byte) {
		for _, r := range rows {
			x, _ := json.MarshalIndent(r, "", " ")
			b = append(append(b, x...), ' ')
		}
		return b
	},
	"joined": func(rows []connecttest.Row) (b []byte) {
		for _, r := range rows {
			x, _ := json.Marshal(r)
			b = append(b, x...)
		}
		return b
	},
	"csv": func(rows []connecttest.Row) []byte {
		e := codec.NewEncoder(codec.CSV, []string{"id", "text"}, false)
		return e.Encode(nil, connecttest.Batch(rows))
	},
	"gzip": func(rows []connecttest.Row) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		for _, r := range rows {
			json.NewEncoder(w).Encode(r)
		}
		w.Close()
		return b.Bytes()
	},
	"zstd": func(rows []connecttest.Row) []byte {
		e, _ := zstd.NewWriter(nil)
		var b []byte
		for _, r := range rows {
			x, _ := json.Marshal(r)
			b = append(append(b, x...), '\n')
		}
		return e.EncodeAll(b, nil)
	},
	"utf16": func(rows []connecttest.Row) []byte {
		b := []byte{0xff, 0xfe}
		for _, r := range rows {
			x, _ := json.Marshal(r)
			for _, c := range string(append(x, '\n')) {
				if c > 0xffff {
					c -= 0x10000
					b = append(b, byte(0xd800+c>>10), byte((0xd800+c>>10)>>8), byte(0xdc00+c&0x3ff), byte((0xdc00+c&0x3ff)>>8))
					continue
				}
				b = append(b, byte(c), byte(c>>8))
			}
		}
		return b
	},
	"avro":    func(rows []connecttest.Row) []byte { return packed("avro", rows) },
	"parquet": func(rows []connecttest.Row) []byte { return packed("parquet", rows) },
	"bom": func(rows []connecttest.Row) []byte {
		b := []byte("\xef\xbb\xbf")
		for _, r := range rows {
			x, _ := json.Marshal(r)
			b = append(append(b, x...), "\r\n"...)
		}
		return b
	},
}

// packed is a file with a schema.
func packed(format string, rows []connecttest.Row) []byte {
	var text, out bytes.Buffer
	for _, r := range rows {
		json.NewEncoder(&text).Encode(r)
	}
	if err := codec.Pack(&out, bytes.NewReader(text.Bytes()), codec.PackFormat{Type: format, Row: true}); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// TestSourceSuite runs the conformance suite over files of all forms, some in a directory.
func TestSourceSuite(t *testing.T) {
	for name, form := range forms {
		for _, follow := range []bool{false, true} {
			format := connect.Format{Type: "json"}
			if name == "csv" || name == "avro" {
				format.Type = name
			} else if name == "parquet" {
				format.Type = "" // it is found out
			}
			t.Run(fmt.Sprintf("%s/follow=%v", name, follow), func(t *testing.T) {
				connecttest.Sources{Format: format, Ends: !follow, New: func(t testing.TB) *connecttest.Feed {
					dir := t.TempDir()
					f := &connecttest.Feed{Open: input(dir+"/in", follow), Rows: connecttest.Rows(1, 200)}
					ok(t, os.Mkdir(dir+"/in", 0o700))
					for i := range 4 {
						ok(t, os.WriteFile(fmt.Sprintf("%s/in/%d", dir, i), form(f.Rows[50*i:50*i+50]), 0o600))
					}
					if follow {
						n := 3
						f.Add = func(rows []connecttest.Row) error {
							n++
							return os.WriteFile(fmt.Sprintf("%s/in/%d", dir, n), form(rows), 0o600)
						}
						if name == "lines" || name == "objects" || name == "joined" {
							f.Add = func(rows []connecttest.Row) error { return appendTo(dir+"/in/3", form(rows)) }
						}
					}
					return f
				}}.Run(t)
			})
		}
	}
}

func appendTo(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(b)
	return err
}
