package objects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// settings are those of tests: looks follow each other quickly.
func settings(change func(*Settings)) Settings {
	s := Settings{DateFormat: "yyyy/MM/dd", TimeFormat: "HH", Partitions: 1, Poll: time.Millisecond, MaxPoll: 5 * time.Millisecond,
		LookBack: 24 * time.Hour, Relist: 10 * time.Minute, MaxOpen: 8, Refresh: time.Minute}
	if change != nil {
		change(&s)
	}
	return s
}

// forms are ways to write rows.
var forms = map[string]func([]connecttest.Row) []byte{
	"lines": func(rows []connecttest.Row) (b []byte) {
		for _, r := range rows {
			x, _ := json.Marshal(r)
			b = append(append(b, x...), '\n')
		}
		return b
	},
	"array": func(rows []connecttest.Row) []byte {
		b, _ := json.MarshalIndent(rows, "", " ")
		return b
	},
	"csv": func(rows []connecttest.Row) []byte {
		return codec.NewEncoder(codec.CSV, []string{"id", "text"}, false).Encode(nil, connecttest.Batch(rows))
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
}

// TestSourceSuite runs the conformance suite over objects of all forms, that are whole, that
// grow, and that are read by requests which break.
func TestSourceSuite(t *testing.T) {
	f := func(name, form string, change func(*Settings), broken int) {
		t.Run(name, func(t *testing.T) {
			format := connect.Format{Type: "json"}
			if form == "csv" {
				format.Type = "csv"
			}
			connecttest.Sources{Format: format, New: func(t testing.TB) *connecttest.Feed {
				s := newShelf()
				s.broken, s.now = broken, time.Now()
				set := settings(change)
				feed := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
				feed.Open = func(env connect.SourceEnv) (connect.Source, error) { return NewSource(s, set, env) }
				n := 0
				feed.Add = func(rows []connecttest.Row) error {
					n++
					if set.Append {
						s.grow("in/2024/05/01/a", forms[form](rows))
					} else {
						s.put(fmt.Sprintf("in/2024/05/%02d/%d", 1+n/4, n), forms[form](rows))
					}
					return nil
				}
				for i := range 4 {
					if err := feed.Add(feed.Rows[50*i : 50*i+50]); err != nil {
						t.Fatal(err)
					}
				}
				return feed
			}}.Run(t)
		})
	}
	path := func(s *Settings) { s.Path = "in/{date}" }
	f("lines", "lines", path, 0)
	f("array", "array", path, 0)
	f("csv", "csv", path, 0)
	f("gzip", "gzip", path, 0)
	f("broken", "lines", path, 999)
	f("append", "lines", func(s *Settings) { path(s); s.Append = true }, 0)
}
