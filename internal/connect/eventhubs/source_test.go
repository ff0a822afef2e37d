package eventhubs

import (
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/hub"
)

// TestSourceSuite: what was appended is read as the contract says, through the official client.
func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		w := newWorld(t, 1, hub.Options{})
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200), Add: func(rows []connecttest.Row) error { return w.add(0, rows) }}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return openSource(t.Context(), w.config(true, nil), env)
		}
		if err := f.Add(f.Rows); err != nil {
			t.Fatal(err)
		}
		return f
	}}.Run(t)
}
