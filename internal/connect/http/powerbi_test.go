package http

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// dataset is a push dataset: it takes {"rows":[...]} for its key, some rows a request, and is
// busy now and then.
type dataset struct {
	*httptest.Server
	mu       sync.Mutex
	rows     []connecttest.Row
	requests []int // rows of each
	busy     int   // requests that are answered with 429
	asked    []time.Time
}

const pushKey = "pushkey%2Fplanted%3D%3D"

func newDataset(t testing.TB) *dataset {
	d := &dataset{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, time.Now())
		body, err := io.ReadAll(r.Body)
		var in struct{ Rows []connecttest.Row }
		switch {
		case r.Method != "POST" || r.URL.Path != "/beta/t/datasets/d/rows" || r.URL.Query().Get("key") != "pushkey/planted==":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "no such key: ", r.URL)
		case d.busy > 0:
			d.busy--
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case err != nil || json.Unmarshal(body, &in) != nil || in.Rows == nil:
			w.WriteHeader(http.StatusBadRequest)
		case len(in.Rows) > 10_000:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			for _, row := range in.Rows {
				if row.Text == "bad" {
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprint(w, "a column of another type")
					return
				}
			}
			d.rows, d.requests = append(d.rows, in.Rows...), append(d.requests, len(in.Rows))
		}
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *dataset) config(key string) connect.Config {
	return connect.Config{Values: map[string]any{"push_url": connect.NewHidden(d.URL + "/beta/t/datasets/d/rows?key=" + key),
		"batch_rows": int64(10_000), "batch_bytes": int64(1 << 20), "timeout": 30 * time.Second, "attempts": int64(1)}}
}

// TestPowerBI: rows go as a push dataset takes them, bad ones apart; it is left alone for as
// long as it asks to be, and nothing is lost.
func TestPowerBI(t *testing.T) {
	d := newDataset(t)
	var rejected []string
	s, err := powerSpec.Sink(t.Context(), d.config(pushKey), connect.SinkEnv{Job: "j", Output: "o", Instance: "i", Columns: connecttest.Columns(), State: disk.NewMem(1).Boot(),
		Reject: func(e connect.RowError) error { rejected = append(rejected, e.Reason); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rows []connecttest.Row
	for i := range 25_000 {
		rows = append(rows, connecttest.Row{ID: int64(i), Text: "x"})
	}
	rows[12_345].Text = "bad"
	d.busy = 1
	if err := s.Write(t.Context(), 1, connecttest.Batch(rows)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), "429") {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), "asked to be left alone") {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for err = s.Prepare(ctx, 1, 0); err != nil; err = s.Prepare(ctx, 1, 0) {
		if connect.IsPermanent(err) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(ctx, 1); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rows) != 24_999 || d.requests[0] != 10_000 || len(rejected) != 1 || !strings.Contains(rejected[0], "a column of another type") {
		t.Errorf("%d rows in %v, rejected %v", len(d.rows), d.requests[:1], rejected)
	}
	if pause := d.asked[1].Sub(d.asked[0]); pause < 900*time.Millisecond {
		t.Errorf("it was asked again after %s", pause)
	}
}

// TestPowerBIErrors: what is wrong, without the address, which has the key.
func TestPowerBIErrors(t *testing.T) {
	d := newDataset(t)
	f := func(c connect.Config, permanent bool, want string) {
		t.Helper()
		s, err := powerSpec.Sink(t.Context(), c, connect.SinkEnv{Columns: connecttest.Columns(), State: disk.NewMem(1).Boot()})
		if err == nil {
			defer s.Close()
			if err = s.Write(t.Context(), 1, connecttest.Batch(connecttest.Rows(1, 1))); err == nil {
				err = s.Prepare(t.Context(), 1, 0)
			}
		}
		if err == nil || connect.IsPermanent(err) != permanent || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
		all := fmt.Sprint(err, c.Values)
		for _, p := range powerSpec.Probe(t.Context(), c, connect.ProbeEnv{}) {
			all += p.Text + p.Hint
		}
		for _, secret := range []string{pushKey, "pushkey/planted==", "planted"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s has the key", all)
			}
		}
	}
	f(d.config("planted-key"), false, "403")
	with := func(name string, value any) connect.Config {
		c := d.config(pushKey)
		c.Values[name] = value
		return c
	}
	f(with("push_url", connect.NewHidden("planted")), true, `"push_url" is no http or https address; copy it from the dataset`)
	f(with("push_url", connect.NewHidden("http://bi.example.com/rows?key="+pushKey)), true, "in the open")
	f(with("batch_rows", int64(20_000)), true, "10,000 rows")
	f(with("push_url", connect.NewHidden("https://127.0.0.1:1/rows?key="+pushKey)), false, "connection refused")
}
