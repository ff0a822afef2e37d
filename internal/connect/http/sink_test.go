package http

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// service is a target that remembers keys: a request whose key it has counts once.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	rows     []connecttest.Row
	keys     map[string]bool
	requests int
	repeats  int
	heads    []http.Header
	bodies   []string
	// fault, if set, is asked before a request is taken. It may answer itself and say true.
	fault func(n int, w http.ResponseWriter, r *http.Request, rows []connecttest.Row) bool
	// after, if set, is called when the rows have been taken and before the answer.
	after func(n int)
}

func newService(t testing.TB) *service {
	s := &service{keys: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(s.Close)
	return s
}

func (s *service) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	n := s.requests
	s.heads, s.bodies = append(s.heads, r.Header.Clone()), append(s.bodies, string(body))
	rows, err := parseRows(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, err)
		return
	}
	if s.fault != nil && s.fault(n, w, r, rows) {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if s.keys[key] {
		s.repeats++
	} else {
		s.rows = append(s.rows, rows...)
	}
	s.keys[key] = true
	if s.after != nil {
		s.after(n)
	}
}

func parseRows(body []byte) (rows []connecttest.Row, err error) {
	if len(body) > 0 && body[0] == '[' {
		return rows, json.Unmarshal(body, &rows)
	}
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row connecttest.Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// output is an open sink of a service.
type output struct {
	connect.Sink
	t       testing.TB
	rejects []connect.RowError
}

func openOutput(t testing.TB, fs disk.FS, url string, values map[string]any) *output {
	t.Helper()
	o := &output{t: t}
	all := map[string]any{"url": url, "attempts": int64(1)}
	for k, v := range values {
		all[k] = v
	}
	s, err := openSink(context.Background(), config(t, false, all), o.env(fs))
	if err != nil {
		t.Fatal(err)
	}
	o.Sink = s
	return o
}

func (o *output) env(fs disk.FS) connect.SinkEnv {
	return connect.SinkEnv{Job: "the job", Output: "out", Instance: "i1", Columns: connecttest.Columns(), State: fs, Log: slog.New(slog.DiscardHandler),
		Reject: func(e connect.RowError) error { o.rejects = append(o.rejects, e); return nil }, Now: time.Now}
}

func rows(from, n int) (out []connecttest.Row) {
	for i := range n {
		out = append(out, connecttest.Row{ID: int64(from + i), Text: fmt.Sprint("row ", from+i)})
	}
	return out
}

// epoch writes and prepares rows as an epoch; committed if that went well.
func (o *output) epoch(n int64, rows []connecttest.Row) error {
	o.t.Helper()
	ctx := context.Background()
	if err := o.Write(ctx, n, connecttest.Batch(rows)); err != nil {
		return err
	}
	return o.finish(n)
}

func (o *output) finish(n int64) error {
	o.t.Helper()
	o.rejects = nil // as the runner does before each call
	if err := o.Prepare(context.Background(), n, vec.MaxTime); err != nil {
		return err
	}
	return o.Commit(context.Background(), n)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequests(t *testing.T) {
	f := func(values map[string]any, kind string, bodies ...string) {
		t.Helper()
		s := newService(t)
		o := openOutput(t, disk.NewMem(1), s.URL, values)
		must(t, o.epoch(7, []connecttest.Row{{ID: 1, Text: "a\nb"}, {ID: 2}, {ID: 3}}))
		must(t, o.Close())
		if !slices.Equal(s.bodies, bodies) {
			t.Errorf("%v: bodies %q, want %q", values, s.bodies, bodies)
		}
		for i, h := range s.heads {
			if h.Get("Content-Type") != kind || h.Get("Weir-Epoch") != "7" || !strings.HasPrefix(h.Get("Idempotency-Key"), "the%20job/out/i1/7/") {
				t.Errorf("%v: request %d has %v", values, i, h)
			}
		}
	}
	f(nil, "application/json", `[{"id":1,"text":"a\nb"},`+"\n"+`{"id":2,"text":""},`+"\n"+`{"id":3,"text":""}]`)
	f(map[string]any{"body": "lines"}, "application/x-ndjson", `{"id":1,"text":"a\nb"}`+"\n"+`{"id":2,"text":""}`+"\n"+`{"id":3,"text":""}`+"\n")
	f(map[string]any{"body": "single"}, "application/json", `{"id":1,"text":"a\nb"}`, `{"id":2,"text":""}`, `{"id":3,"text":""}`)
	f(map[string]any{"batch_rows": int64(2)}, "application/json", `[{"id":1,"text":"a\nb"},`+"\n"+`{"id":2,"text":""}]`, `[{"id":3,"text":""}]`)
	f(map[string]any{"batch_bytes": int64(50)}, "application/json", `[{"id":1,"text":"a\nb"},`+"\n"+`{"id":2,"text":""}]`, `[{"id":3,"text":""}]`)
}

func TestSecretsAreSentAndNotShown(t *testing.T) {
	s := newService(t)
	s.fault = func(n int, w http.ResponseWriter, r *http.Request, _ []connecttest.Row) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "you sent %v and %s\n\x1b[31m", r.Header, r.URL)
		return true
	}
	o := openOutput(t, disk.NewMem(1), s.URL+"/?code=CANARY-url", map[string]any{"token": connect.NewHidden("CANARY-token"), "api_key": connect.NewHidden("CANARY-key"),
		"headers": map[string]string{"X-More": "CANARY-more"}})
	err := o.epoch(1, rows(1, 1))
	if err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "check token") {
		t.Errorf("the error is %v", err)
	}
	h := s.heads[0]
	if h.Get("Authorization") != "Bearer CANARY-token" || h.Get("X-Functions-Key") != "CANARY-key" || h.Get("X-More") != "CANARY-more" {
		t.Errorf("the request has %v", h)
	}
	s.Server.Close()
	if err := o.finish(1); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the error of a server that is gone is %v", err)
	}
}

// TestFaults: whatever happens to requests, all rows arrive once, in order, at a target that
// knows keys.
func TestFaults(t *testing.T) {
	cut := func(w http.ResponseWriter) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	}
	status := func(code int, head ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(head); i += 2 {
				w.Header().Set(head[i], head[i+1])
			}
			w.WriteHeader(code)
		}
	}
	f := func(name string, fault func(w http.ResponseWriter), afterwards bool) {
		t.Helper()
		s := newService(t)
		s.fault = func(n int, w http.ResponseWriter, r *http.Request, rows []connecttest.Row) bool {
			if n%2 == 0 {
				return false
			}
			if afterwards { // it takes the rows, and the answer is lost
				s.rows = append(s.rows, rows...)
				s.keys[r.Header.Get("Idempotency-Key")] = true
			}
			fault(w)
			return true
		}
		o := openOutput(t, disk.NewMem(1), s.URL, map[string]any{"batch_rows": int64(3)})
		for n := range 4 {
			if err := o.Write(context.Background(), int64(n+1), connecttest.Batch(rows(10*n, 10))); err != nil {
				t.Fatal(err)
			}
			tries := 0
			for o.finish(int64(n+1)) != nil {
				if tries++; tries > 10 {
					t.Fatalf("%s: it never goes through", name)
				}
			}
		}
		must(t, o.Close())
		var want []connecttest.Row
		for n := range 4 {
			want = append(want, rows(10*n, 10)...)
		}
		if !slices.Equal(s.rows, want) {
			t.Errorf("%s: rows %v", name, s.rows)
		}
		if len(o.rejects) > 0 {
			t.Errorf("%s: rejected %v", name, o.rejects)
		}
	}
	f("cut before", cut, false)
	f("cut after", cut, true)
	f("500", status(500), false)
	f("500 after", status(500), true)
	f("502", status(502), false)
	f("503", status(503), false)
	f("408", status(408), false)
	f("429", status(429, "Retry-After", "0"), false)
	f("401", status(401), false)
	f("404", status(404), false)
	f("302", status(302, "Location", "/elsewhere"), false)
	f("307 to another host", status(307, "Location", "http://other.example/"), false)
	f("307 to nowhere", status(307), false)
	f("299", status(299), true)
}

// TestOneCall: with more attempts a call heals short failures by itself.
func TestOneCall(t *testing.T) {
	s := newService(t)
	s.fault = func(n int, w http.ResponseWriter, _ *http.Request, _ []connecttest.Row) bool {
		if n == 1 {
			w.WriteHeader(500)
		}
		return n == 1
	}
	o := openOutput(t, disk.NewMem(1), s.URL, map[string]any{"attempts": int64(2)})
	must(t, o.epoch(1, rows(1, 1)))
	if len(s.rows) != 1 || s.requests != 2 {
		t.Errorf("%d rows, %d requests", len(s.rows), s.requests)
	}
}

// TestSlowServer: a request that takes too long is given up, and made again.
func TestSlowServer(t *testing.T) {
	s := newService(t)
	release := make(chan struct{})
	s.fault = func(n int, w http.ResponseWriter, r *http.Request, _ []connecttest.Row) bool {
		if n == 1 {
			select {
			case <-r.Context().Done():
			case <-release:
			}
		}
		return n == 1
	}
	defer close(release)
	o := openOutput(t, disk.NewMem(1), s.URL, map[string]any{"timeout": 50 * time.Millisecond})
	if err := o.epoch(1, rows(1, 2)); err == nil || !strings.Contains(err.Error(), "did not answer in 50ms") {
		t.Errorf("the error is %v", err)
	}
	o.Sink.(*sink).target.timeout = 20 * time.Second
	must(t, o.finish(1))
	if len(s.rows) != 2 {
		t.Errorf("%d rows", len(s.rows))
	}
}

// TestRetryAfter: a target that asks to be left alone is not asked again before.
func TestRetryAfter(t *testing.T) {
	s := newService(t)
	s.fault = func(n int, w http.ResponseWriter, _ *http.Request, _ []connecttest.Row) bool {
		if n == 1 {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(429)
		}
		return n == 1
	}
	o := openOutput(t, disk.NewMem(1), s.URL, nil)
	now := time.Unix(1000, 0)
	o.Sink.(*sink).target.now = func() time.Time { return now }
	if err := o.epoch(1, rows(1, 1)); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("the error is %v", err)
	}
	now = now.Add(59 * time.Second)
	if err := o.finish(1); err == nil || !strings.Contains(err.Error(), "left alone") || s.requests != 1 {
		t.Errorf("the error is %v, after %d requests", err, s.requests)
	}
	now = now.Add(time.Second)
	must(t, o.finish(1))
	f := func(text string, want time.Duration) {
		t.Helper()
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	f("", 0)
	f("5", 5*time.Second)
	f("-5", 0)
	f("999999999", maxRetryAfter)
	f(now.Add(time.Minute).UTC().Format(http.TimeFormat), time.Minute)
	f("soon", 0)
}

// TestTooLarge: requests are halved until they fit; a row that does not fit alone is
// rejected. What fits is sent once.
func TestTooLarge(t *testing.T) {
	s := newService(t)
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, list []connecttest.Row) bool {
		bad := len(list) > 3 || slices.ContainsFunc(list, func(r connecttest.Row) bool { return r.ID == 5 })
		if bad {
			w.WriteHeader(413)
		}
		return bad
	}
	o := openOutput(t, disk.NewMem(1), s.URL, nil)
	must(t, o.epoch(1, rows(0, 20)))
	if want := slices.Delete(rows(0, 20), 5, 6); !slices.Equal(s.rows, want) {
		t.Errorf("rows %v", s.rows)
	}
	if len(o.rejects) != 1 || o.rejects[0].Name != "OutputDataConversionError.RecordExceededSizeLimit" || string(o.rejects[0].Row) != `{"id":5,"text":"row 5"}` || o.rejects[0].Time != rows(5, 1)[0].Time() {
		t.Errorf("rejected %+v", o.rejects)
	}
}

// TestRejected: of a request that the target does not take, only the rows that it does not
// take alone are rejected. They are told of again if something else fails afterwards.
func TestRejected(t *testing.T) {
	s := newService(t)
	down := true
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, list []connecttest.Row) bool {
		for _, r := range list {
			if r.ID%7 == 3 {
				w.WriteHeader(422)
				fmt.Fprintf(w, "row %d is bad", r.ID)
				return true
			}
		}
		if down && list[0].ID >= 15 {
			w.WriteHeader(500)
			return true
		}
		return false
	}
	o := openOutput(t, disk.NewMem(1), s.URL, map[string]any{"batch_rows": int64(10)})
	if err := o.epoch(1, rows(0, 20)); err == nil {
		t.Error("a service that is down took all")
	}
	down = false
	must(t, o.finish(1))
	want := slices.DeleteFunc(rows(0, 20), func(r connecttest.Row) bool { return r.ID%7 == 3 })
	if !slices.Equal(s.rows, want) {
		t.Errorf("rows %v", s.rows)
	}
	var ids []string
	for _, e := range o.rejects {
		ids = append(ids, string(e.Row))
		if e.Name != "OutputDataConversionError.TypeConversionError" || !strings.Contains(e.Reason, "the target answered 422 Unprocessable Entity: row ") {
			t.Errorf("rejected %+v", e)
		}
	}
	if len(ids) != 3 {
		t.Errorf("rejected %v", ids)
	}
}

// TestStop: an error of Reject ends the call, and the row is tried again in the next one.
func TestStop(t *testing.T) {
	s := newService(t)
	bad := true
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, _ []connecttest.Row) bool {
		if bad {
			w.WriteHeader(400)
		}
		return bad
	}
	o := openOutput(t, disk.NewMem(1), s.URL, nil)
	stop := errors.New("stop")
	o.Sink.(*sink).env.Reject = func(connect.RowError) error { return stop }
	if err := o.epoch(1, rows(0, 1)); !errors.Is(err, stop) {
		t.Errorf("the error is %v", err)
	}
	bad = false
	must(t, o.finish(1))
	if len(s.rows) != 1 {
		t.Errorf("%d rows", len(s.rows))
	}
}

// TestRedirects: to the same host they are followed, with the body.
func TestRedirects(t *testing.T) {
	s := newService(t)
	s.fault = func(_ int, w http.ResponseWriter, r *http.Request, _ []connecttest.Row) bool {
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/there")
			w.WriteHeader(308)
			return true
		}
		return false
	}
	o := openOutput(t, disk.NewMem(1), s.URL, nil)
	must(t, o.epoch(1, rows(0, 3)))
	if len(s.rows) != 3 {
		t.Errorf("%d rows", len(s.rows))
	}
	other := newService(t)
	s.fault = func(_ int, w http.ResponseWriter, r *http.Request, _ []connecttest.Row) bool {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(307)
		return true
	}
	if err := o.epoch(2, rows(3, 1)); err == nil || !strings.Contains(err.Error(), "another place") || other.requests > 0 {
		t.Errorf("the error is %v, the other host got %d requests", err, other.requests)
	}
}

// TestEgress: with egress public nothing on this machine or its network is asked.
func TestEgress(t *testing.T) {
	s := newService(t)
	for _, url := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), "http://10.1.2.3/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]:1/", "http://100.64.1.1/", "http://0.0.0.0:1/", "http://[fe80::1]/", "http://[fd00::1]/"} {
		o := openOutput(t, disk.NewMem(1), url, map[string]any{"egress": "public"})
		if err := o.epoch(1, rows(0, 1)); err == nil || !strings.Contains(err.Error(), "no public address") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if s.requests > 0 {
		t.Errorf("%d requests went through", s.requests)
	}
}

// TestSpill: an epoch larger than memory waits in a file, and is sent in the same requests.
func TestSpill(t *testing.T) {
	s := newService(t)
	fs := disk.NewMem(1)
	o := openOutput(t, fs, s.URL, nil)
	text := strings.Repeat("x", 3000)
	var want []connecttest.Row
	for n := range 80 {
		list := rows(100*n, 100)
		for i := range list {
			list[i].Text = text
		}
		must(t, o.Write(context.Background(), 1, connecttest.Batch(list)))
		want = append(want, list...)
	}
	if got := cap(o.Sink.(*sink).buf); got > 3*maxBuffered {
		t.Errorf("%d bytes are held in memory", got)
	}
	must(t, o.finish(1))
	if !slices.Equal(s.rows, want) {
		t.Errorf("%d rows of %d, or others", len(s.rows), len(want))
	}
	if _, err := fs.Stat(spillName); err == nil {
		t.Error("the file is left behind")
	}
}

// TestCommitted: after a calm end nothing is sent again; after a crash what was not synced
// is, with the same keys.
func TestCommitted(t *testing.T) {
	ctx := context.Background()
	s := newService(t)
	fs := disk.NewMem(1)
	o := openOutput(t, fs.Boot(), s.URL, nil)
	must(t, o.epoch(1, rows(0, 10)))
	must(t, o.Sync(ctx))
	must(t, o.epoch(2, rows(10, 10)))
	fs.Crash()
	o = openOutput(t, fs.Boot(), s.URL, nil)
	if last, err := o.Committed(ctx); last != 1 || err != nil {
		t.Errorf("committed %d, %v", last, err)
	}
	must(t, o.epoch(2, rows(10, 10)))
	must(t, o.Sync(ctx))
	must(t, o.Close())
	o = openOutput(t, fs.Boot(), s.URL, nil)
	must(t, o.epoch(2, rows(10, 10))) // it has it: nothing is sent
	if len(s.rows) != 20 || s.repeats != 1 || s.requests != 3 {
		t.Errorf("%d rows, %d repeats in %d requests", len(s.rows), s.repeats, s.requests)
	}
}

// TestTargetRepeatsSecrets: what a target says of a request goes into messages and dead letters.
func TestTargetRepeatsSecrets(t *testing.T) {
	c := config(t, false, map[string]any{"url": "http://h/p?a=b&code=CANARY%40%2Furl+x", "token": connect.NewHidden(`CANARY/to"ken+`),
		"headers": map[string]string{"X-More": "CANARY@more"}})
	c.Values["url"] = "http://h/p?a=b&code=CANARY%40%2Furl+x"
	target, err := newTarget(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{target.url.String(), "CANARY@/url x", url.QueryEscape(`CANARY/to"ken+`), url.PathEscape(`CANARY/to"ken+`), `CANARY/to"ken+`, `{"Authorization":"Bearer CANARY/to\"ken+"}`,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("CANARY@more"))} {
		got := target.shown([]byte("it was " + text))
		if strings.Contains(got, "CANARY") || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("CANARY"))) || !strings.Contains(got, "***") {
			t.Errorf("%s shows as %s", text, got)
		}
	}
}
