package http

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// TestSinkSuite: a service that knows keys has every row once, whatever happens to us.
func TestSinkSuite(t *testing.T) {
	connecttest.Sinks{Early: true, Stride: 2, New: func(t testing.TB) *connecttest.Target {
		s := newService(t)
		return &connecttest.Target{
			Disk: disk.NewMem(1),
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				return openSink(context.Background(), config(t, false, map[string]any{"url": s.URL, "batch_rows": int64(4), "attempts": int64(1)}), env)
			},
			Rows: func() ([]connecttest.Row, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				return slices.Clone(s.rows), nil
			},
		}
	}}.Run(t)
}

// TestSourceSuite: events that were posted are read as the contract says.
func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		var in input
		opened := false
		inputs++
		path := fmt.Sprint("/suite", inputs)
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Add = func(rows []connecttest.Row) error {
			for some := range slices.Chunk(rows, 7) {
				body, err := json.Marshal(events(some))
				if err != nil {
					return err
				}
				if w := in.post(string(body)); w.Code != http.StatusAccepted {
					return fmt.Errorf("status %d: %s", w.Code, w.Body)
				}
			}
			return nil
		}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			s, err := openSource(context.Background(), config(t, true, map[string]any{"listen": NoListener, "path": path}), env)
			if err != nil {
				return nil, err
			}
			in = input{s.(*Source), t, nil}
			if !opened {
				opened = true
				err = f.Add(f.Rows)
			}
			return s, err
		}
		return f
	}}.Run(t)
}

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

func events(rows []connecttest.Row) (out []event) {
	for _, r := range rows {
		out = append(out, event(r))
	}
	return out
}
