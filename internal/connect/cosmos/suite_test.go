package cosmos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/vec"
)

// config is the settings of the container teams of database shop, checked and with defaults.
func (f *fake) config(input bool, values map[string]any) connect.Config {
	return configOf(input, map[string]any{"endpoint": f.URL, "key": connect.NewHidden(f.key), "database": "shop", "container": "teams"}, values)
}

func configOf(input bool, sets ...map[string]any) connect.Config {
	c := connect.Config{Values: map[string]any{}}
	if input {
		c.Values["poll"], c.Values["retention"], c.Values["max_log"] = time.Millisecond, 10*time.Minute, int64(64<<20)
	} else {
		c.Values["batch_rows"], c.Values["writers"] = int64(100), int64(16)
	}
	for _, values := range sets {
		for k, v := range values {
			c.Values[k] = v
		}
	}
	return c
}

// rowsOf reads the rows of the suite from documents.
func rowsOf(docs map[string]string) ([]connecttest.Row, error) {
	var rows []connecttest.Row
	for _, doc := range docs {
		var d struct {
			N    int64
			ID   string `json:"id"`
			Text string
		}
		if err := json.Unmarshal([]byte(doc), &d); err != nil {
			return nil, err
		}
		if d.N == 0 {
			fmt.Sscan(d.ID, &d.N)
		}
		rows = append(rows, connecttest.Row{ID: d.N, Text: d.Text})
	}
	slices.SortFunc(rows, func(a, b connecttest.Row) int { return cmp.Compare(a.ID, b.ID) })
	return rows, nil
}

// TestSinkSuite: by id in batches, with ids of the rows that must be new, and merged. The service tests have rows that go alone.
func TestSinkSuite(t *testing.T) {
	f := func(name, keyPath string, values map[string]any) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sinks{Unordered: true, Early: true, New: func(t testing.TB) *connecttest.Target {
				f := newFake(t)
				c := f.container("shop", "teams", keyPath)
				return &connecttest.Target{
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						if keyPath == "/team" {
							env.Columns.Names = append(slices.Clone(env.Columns.Names), "Team")
						}
						s, err := openSink(t.Context(), f.config(false, values), env)
						if err == nil && keyPath == "/team" {
							s = teamed{s}
						}
						return s, err
					},
					Rows: func() ([]connecttest.Row, error) { return rowsOf(f.documents(c)) },
				}
			}}.Run(t)
		})
	}
	f("upsert", "/team", map[string]any{"document_id": "id"})
	f("insert", "/team", nil)
	f("merge", "/id", map[string]any{"document_id": "id", "mode": modeMerge})
}

// TestSourceSuite: one range, and several of which one splits.
func TestSourceSuite(t *testing.T) {
	f := func(name string, ends []string, split bool) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sources{Unordered: len(ends) > 0 || split, New: func(t testing.TB) *connecttest.Feed {
				f := newFake(t)
				c := f.container("shop", "teams", "/id", ends...)
				c.limit = 17
				add := func(rows []connecttest.Row) error {
					for _, r := range rows {
						b, err := json.Marshal(map[string]any{"n": r.ID, "id": fmt.Sprint(r.ID), "text": r.Text})
						if err != nil {
							return err
						}
						f.put(c, string(b))
					}
					return nil
				}
				feed := &connecttest.Feed{Rows: connecttest.Rows(1, 100)}
				if err := add(feed.Rows); err != nil {
					t.Fatal(err)
				}
				feed.Add = func(rows []connecttest.Row) error {
					if split {
						f.split(c, c.ranges[0].ID, splitAt(c.ranges[0]))
					}
					return add(rows)
				}
				feed.Open = func(env connect.SourceEnv) (connect.Source, error) {
					src, err := openSource(t.Context(), f.config(true, nil), env)
					if err == nil {
						caughtUp(t, src)
					}
					return src, err
				}
				return feed
			}}.Run(t)
		})
	}
	f("one", nil, false)
	f("two", []string{"20"}, false)
	f("split", nil, true)
}

// caughtUp has all that is in the feed now read into the log: the suite looks once.
func caughtUp(t testing.TB, src connect.Source) {
	t.Helper()
	parts, err := src.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range parts {
		r, err := src.Open(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if p := src.(*source).parts[i]; !p.catchUp(t.Context()) {
			t.Fatalf("range %d does not come to its end: %v", i, p.failed)
		}
	}
}

// teamed gives the rows of the suite a partition key, with few values.
type teamed struct{ connect.Sink }

func (s teamed) Write(ctx context.Context, epoch int64, b *vec.Batch) error {
	var teams vec.Vec
	for i := range b.N {
		teams.Append(vec.IntValue(b.Cols[0].At(i).Int % 3))
	}
	return s.Sink.Write(ctx, epoch, &vec.Batch{N: b.N, Time: b.Time, Cols: append(slices.Clone(b.Cols), teams)})
}

// splitAt is a value in a range.
func splitAt(r fakeRange) string { return r.Min + "0F" }
