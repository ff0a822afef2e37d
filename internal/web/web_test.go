package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/service/servicetest"
	"weir/internal/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

const (
	passes = "SELECT n INTO rows FROM events"
	secret = "CANARYk3y/with+signs"
)

// site is a service with its HTTP interface.
type site struct {
	t   *testing.T
	svc *service.Service
	*httptest.Server
	ctx context.Context
}

func open(t *testing.T, o web.Options) *site {
	t.Helper()
	fs, err := disk.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	svc, err := service.Open(service.Options{FS: fs, Env: func(name string) (string, bool) { return secret, name == "SECRET" },
		Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	svc.Resume()
	s := &site{t: t, svc: svc, Server: httptest.NewServer(web.New(svc, o).Handler())}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	s.ctx = ctx
	t.Cleanup(func() {
		cancel()
		s.Client().CloseIdleConnections()
		s.Close()
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request and gives the status and the body.
func (s *site) ask(method, path string, body any, headers ...string) (int, http.Header, string) {
	s.t.Helper()
	var text io.Reader
	if b, ok := body.(string); ok {
		text = strings.NewReader(b)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.ctx, method, s.URL+path, text)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(b)
}

// want asks and decodes the answer, which must have the status.
func (s *site) want(status int, to any, method, path string, body any, headers ...string) http.Header {
	s.t.Helper()
	got, h, text := s.ask(method, path, body, headers...)
	if got != status {
		s.t.Fatalf("%s %s: status %d, not %d: %s", method, path, got, status, text)
	}
	if to != nil {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return h
}

func bundle(name, query string) map[string]any {
	return map[string]any{"files": map[string]string{"weir.yaml": servicetest.Job(name, query)}}
}

func (s *site) rows(name string, n int) []string {
	s.t.Helper()
	rows, err := servicetest.TargetOf(name).Wait(s.ctx, n)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

func TestLifeOfAJob(t *testing.T) {
	s := open(t, web.Options{})
	servicetest.FeedOf("life").Add(`{"n":1}`)
	var d service.Deployed
	h := s.want(201, &d, "PUT", "/api/v1/jobs/life?start=beginning", bundle("life", passes))
	if h.Get("ETag") != `"1-running"` || h.Get("Location") != "/api/v1/jobs/life" || !d.Created {
		t.Errorf("deployed: %v %+v", h, d)
	}
	s.rows("life", 1)
	s.want(200, &d, "PUT", "/api/v1/jobs/life", bundle("life", passes), "If-Match", `"1-running"`)
	if d.Changed {
		t.Errorf("the same again: %+v", d)
	}
	s.want(412, nil, "PUT", "/api/v1/jobs/life", bundle("life", passes), "If-Match", `"1-stopped"`)
	s.want(412, nil, "PUT", "/api/v1/jobs/life", bundle("life", passes), "If-None-Match", "*")
	var cp struct{ Epoch, Bytes int64 }
	s.want(200, &cp, "POST", "/api/v1/jobs/life:checkpoint", nil)
	if cp.Bytes == 0 {
		t.Errorf("checkpoint: %+v", cp)
	}
	var v service.JobView
	s.want(200, &v, "POST", "/api/v1/jobs/life:stop", nil)
	if v.State != job.Stopped {
		t.Errorf("stopped: %+v", v)
	}
	var p web.Problem
	s.want(409, &p, "POST", "/api/v1/jobs/life:checkpoint", nil)
	if !strings.Contains(p.Detail, "weir job start life") {
		t.Errorf("problem: %+v", p)
	}
	s.want(409, &p, "POST", "/api/v1/jobs/life:start", map[string]any{"from": "beginning"})
	s.want(200, &v, "POST", "/api/v1/jobs/life:start", map[string]any{"from": "beginning", "discard_state": true})
	s.rows("life", 2)
	var list struct{ Jobs []service.JobView }
	s.want(200, &list, "GET", "/api/v1/jobs", nil)
	if len(list.Jobs) != 1 || list.Jobs[0].Name != "life" {
		t.Errorf("jobs: %+v", list)
	}
	var runs struct{ Runs []service.Past }
	s.want(200, &runs, "GET", "/api/v1/jobs/life/history", nil)
	if len(runs.Runs) != 1 || runs.Runs[0].State != "stopped" {
		t.Errorf("history: %+v", runs)
	}
	var version struct {
		Version int
		Texts   map[string]string
	}
	s.want(200, &version, "GET", "/api/v1/jobs/life/versions/1", nil)
	if !strings.Contains(version.Texts["weir.yaml"], "${env:SECRET:-}") {
		t.Errorf("version: %+v", version)
	}
	var top service.Topology
	s.want(200, &top, "GET", "/api/v1/jobs/life/topology", nil)
	if len(top.Nodes) == 0 || len(top.Edges) == 0 || !slices.Equal(top.Outputs, []string{"rows"}) {
		t.Errorf("topology: %+v", top)
	}
	s.want(204, nil, "DELETE", "/api/v1/jobs/life", nil)
	s.want(404, &p, "GET", "/api/v1/jobs/life", nil)
}

func TestProblems(t *testing.T) {
	s := open(t, web.Options{})
	f := func(status int, want, method, path string, body any, headers ...string) {
		t.Helper()
		got, h, text := s.ask(method, path, body, headers...)
		if got != status || h.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, want) {
			t.Errorf("%s %s: %d %s: %s", method, path, got, h.Get("Content-Type"), text)
		}
	}
	f(404, "there is nothing at GET /nowhere", "GET", "/nowhere", nil)
	f(404, "there is nothing at", "POST", "/api/v1/jobs/x:fly", nil)
	f(404, "there is nothing at", "POST", "/api/v1/jobs/x", nil)
	f(404, "there is no such job", "POST", "/api/v1/jobs/x:start", nil)
	f(422, "path.job", "GET", "/api/v1/jobs/Not%20A%20Name", nil)
	f(422, "send either", "PUT", "/api/v1/jobs/x", map[string]any{})
	f(422, `no place to start from`, "PUT", "/api/v1/jobs/x?start=tomorrow", bundle("x", passes))
	f(422, "query.sart", "PUT", "/api/v1/jobs/x?sart=now", bundle("x", passes))
	f(400, "", "PUT", "/api/v1/jobs/x", "{")
	f(413, "at most 12 MiB", "PUT", "/api/v1/jobs/x", strings.Repeat("x", 13<<20))
	f(422, `"diagnostics":[{"severity":"error"`, "PUT", "/api/v1/jobs/x", bundle("x", "SELECT nope("))
	s.want(201, nil, "PUT", "/api/v1/jobs/downtime", bundle("downtime", passes))
	f(404, `did you mean \"downtime\"`, "GET", "/api/v1/jobs/downtme/stats", nil)
}

func TestDiagnosticsHavePlaces(t *testing.T) {
	s := open(t, web.Options{})
	var p web.Problem
	s.want(422, &p, "PUT", "/api/v1/jobs/x", bundle("x", "SELECT n INTO rows FROM events WHERE LEN(n, 2) = 1"))
	if len(p.Diagnostics) == 0 {
		t.Fatalf("no diagnostics: %+v", p)
	}
	d := p.Diagnostics[0]
	if d.File != "weir.yaml" || d.Line != 5 || d.Column < 5 || d.Code == "" || !strings.Contains(d.Text, "^") {
		t.Errorf("diagnostic: %+v", d)
	}
}

func TestGuards(t *testing.T) {
	token := "a-token-of-some-length"
	loopback := open(t, web.Options{})
	guarded := open(t, web.Options{Token: connect.NewHidden(token), Hosts: []string{"weir.example"}})
	f := func(s *site, status int, method, path string, headers ...string) {
		t.Helper()
		got, h, text := s.ask(method, path, nil, headers...)
		if got != status {
			t.Errorf("%s %s %v: %d, not %d: %s", method, path, headers, got, status, text)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cache-Control"} {
			if h.Get(name) == "" {
				t.Errorf("%s %s: no %s", method, path, name)
			}
		}
	}
	routes := []string{"/", "/livez", "/readyz", "/metrics", "/openapi.json", "/api/v1/jobs", "/api/v1/events?live=false", "/api/v1/jobs/x/steps/y/tap", "/nowhere"}
	for _, path := range routes {
		f(loopback, http.StatusMisdirectedRequest, "GET", path, "Host", "evil.example", "Origin", "http://evil.example")
		f(loopback, http.StatusMisdirectedRequest, "GET", path, "Host", "evil.example:8484")
		f(guarded, http.StatusMisdirectedRequest, "GET", path, "Host", "evil.example", "Authorization", "Bearer "+token)
	}
	for _, host := range []string{"localhost", "localhost:1", "127.0.0.1", "[::1]:8484", "10.0.0.7:80"} {
		f(loopback, 200, "GET", "/api/v1/jobs", "Host", host)
	}
	f(guarded, 200, "GET", "/api/v1/jobs", "Host", "weir.example:8484", "Authorization", "Bearer "+token)
	// Forms and scripts of other sites.
	f(loopback, 403, "POST", "/api/v1/jobs/x:stop", "Origin", "http://evil.example")
	f(loopback, 403, "POST", "/api/v1/jobs/x:stop", "Sec-Fetch-Site", "cross-site")
	f(loopback, 404, "POST", "/api/v1/jobs/x:stop", "Sec-Fetch-Site", "same-origin")
	f(loopback, 404, "POST", "/api/v1/jobs/x:stop")
	// Tokens.
	for _, bad := range []string{"", "Bearer", "Bearer ", "Bearer " + token + "x", "Basic " + token, token, "Bearer " + strings.ToUpper(token)} {
		for _, path := range []string{"/api/v1/jobs", "/metrics", "/openapi.json", "/readyz?verbose", "/"} {
			f(guarded, 401, "GET", path, "Authorization", bad)
		}
	}
	f(guarded, 200, "GET", "/api/v1/jobs", "Authorization", "bearer "+token)
	f(guarded, 200, "GET", "/livez")
	f(guarded, 200, "GET", "/readyz")
	// Nothing for profilers.
	for _, path := range []string{"/debug/pprof/", "/debug/vars"} {
		f(loopback, 404, "GET", path)
	}
}

func TestListenAddresses(t *testing.T) {
	f := func(addr, token string, ok bool) {
		t.Helper()
		if err := web.CheckListen(addr, connect.NewHidden(token)); (err == nil) != ok || err != nil && token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%s with %q: %v", addr, token, err)
		}
	}
	long := "a-token-of-some-length"
	f("127.0.0.1:8484", "", true)
	f("localhost:8484", "", true)
	f("[::1]:0", "", true)
	f("0.0.0.0:8484", "", false)
	f(":8484", "", false)
	f("[::]:8484", "", false)
	f("10.1.2.3:8484", "", false)
	f("weir.example:8484", "", false)
	f("0.0.0.0:8484", long, true)
	f("0.0.0.0:8484", "tiny-token", false)
	f("127.0.0.1:8484", "tiny-token", false)
	f("nonsense", long, false)
}

// event is a server-sent event.
type event struct {
	name string
	data string
}

// stream reads the events of a stream.
func (s *site) stream(path string) (next func() (event, bool)) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.ctx, "GET", s.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { a.Body.Close() })
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(a.Body)
		s.t.Fatalf("%s: %d %s: %s", path, a.StatusCode, a.Header.Get("Content-Type"), b)
	}
	lines := bufio.NewScanner(a.Body)
	lines.Buffer(nil, 16<<20)
	return func() (e event, ok bool) {
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				e.name = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				e.data = line[len("data: "):]
			case line == "" && e.name != "":
				return e, true
			}
		}
		return e, false
	}
}

func TestStreams(t *testing.T) {
	s := open(t, web.Options{})
	feed := servicetest.FeedOf("streams")
	feed.Add(`{"n":1}`)
	s.want(201, nil, "PUT", "/api/v1/jobs/streams?start=beginning",
		bundle("streams", "WITH step AS (SELECT n, n * 2 AS m FROM events)\nSELECT n INTO rows FROM step"))
	s.rows("streams", 1)
	tap := s.stream("/api/v1/jobs/streams/steps/step/tap?limit=2")
	results := s.stream("/api/v1/jobs/streams/outputs/rows/rows?last=10")
	feed.Add(`{"n":2}`, `{"n":3}`)
	collect := func(next func() (event, bool), n int) []string {
		t.Helper()
		var rows []string
		for len(rows) < n {
			e, ok := next()
			if !ok || e.name != "rows" {
				t.Fatalf("after %v: %+v, %v", rows, e, ok)
			}
			var v web.RowsEvent
			if err := json.Unmarshal([]byte(e.data), &v); err != nil {
				t.Fatal(err)
			}
			for _, r := range v.Rows {
				rows = append(rows, string(r))
			}
		}
		return rows
	}
	if got := collect(tap, 2); got[0] != `{"n":2}` && got[0] != `{"n":2,"m":4}` {
		t.Errorf("tap: %v", got)
	}
	if e, ok := tap(); !ok || e.name != "end" {
		t.Errorf("behind the limit: %+v, %v", e, ok)
	}
	if got := collect(results, 3); !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}) {
		t.Errorf("results: %v", got)
	}
	s.want(200, nil, "POST", "/api/v1/jobs/streams:stop", nil)
	if e, ok := results(); !ok || e.name != "end" {
		t.Errorf("after the job stopped: %+v, %v", e, ok)
	}
	events := s.stream("/api/v1/events?live=false&job=streams")
	var kinds []string
	for e, ok := events(); ok; e, ok = events() {
		var v service.Event
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, v.Kind)
	}
	if !slices.Equal(kinds, []string{"deployed", "started", "stopped"}) {
		t.Errorf("events: %v", kinds)
	}
	var p web.Problem
	s.want(409, &p, "GET", "/api/v1/jobs/streams/steps/step/tap", nil)
	s.want(409, &p, "GET", "/api/v1/jobs/streams/outputs/rows/rows", nil)
	s.want(200, nil, "POST", "/api/v1/jobs/streams:start", nil)
	s.want(404, &p, "GET", "/api/v1/jobs/streams/steps/stepp/tap", nil)
	if !strings.Contains(p.Detail, `did you mean "step"`) {
		t.Errorf("problem: %s", p.Detail)
	}
	s.want(404, &p, "GET", "/api/v1/jobs/streams/outputs/none/rows", nil)
}

// TestSlowReaderLosesRowsAndTheJobNone: somebody taps and does not read.
func TestSlowReaderLosesRowsAndTheJobNone(t *testing.T) {
	s := open(t, web.Options{})
	feed := servicetest.FeedOf("slow")
	s.want(201, nil, "PUT", "/api/v1/jobs/slow?start=beginning", bundle("slow", "SELECT n, pad INTO rows FROM events"))
	next := s.stream("/api/v1/jobs/slow/steps/events/tap?rate=0")
	pad := strings.Repeat("x", 1000)
	const n = 20_000 // 20 MB: more than the network and the tap hold
	for i := range n {
		feed.Add(fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, pad))
	}
	s.rows("slow", n) // the job went on although nobody reads
	feed.End()
	var got, dropped int64
	for e, ok := next(); ok && e.name != "end"; e, ok = next() {
		var v struct {
			Rows    []json.RawMessage
			Dropped int64
		}
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		got, dropped = got+int64(len(v.Rows)), dropped+v.Dropped
	}
	if dropped == 0 || got+dropped != n {
		t.Errorf("%d rows were read and %d dropped, of %d", got, dropped, n)
	}
}

// TestServeEnds: streams do not keep the server from ending.
func TestServeEnds(t *testing.T) {
	s := open(t, web.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- web.New(s.svc, web.Options{}).Serve(ctx, l) }()
	r, err := s.Client().Get("http://" + l.Addr().String() + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-s.ctx.Done():
		t.Fatal("the server did not end")
	}
	if _, err := io.ReadAll(r.Body); err != nil && s.ctx.Err() != nil {
		t.Errorf("the stream did not end: %v", err)
	}
}

func TestReadyWhenRestored(t *testing.T) {
	s := open(t, web.Options{})
	s.want(200, nil, "PUT", "/api/v1/jobs/ready?dry_run=true", bundle("ready", passes))
	release := servicetest.FeedOf("ready").Hold()
	s.want(201, nil, "PUT", "/api/v1/jobs/ready?start=beginning", bundle("ready", passes))
	if status, _, text := s.ask("GET", "/readyz", nil); status != 503 || text != "not ready\n" {
		t.Errorf("while it starts: %d %s", status, text)
	}
	status, _, text := s.ask("GET", "/readyz?verbose", nil)
	if status != 503 || !strings.Contains(text, `{"name":"job/ready","state":"starting","ready":false,"detail":"restoring"}`) {
		t.Errorf("while it starts: %d %s", status, text)
	}
	if status, _, _ := s.ask("GET", "/livez", nil); status != 200 {
		t.Errorf("alive: %d", status)
	}
	release()
	for status != 200 {
		if status, _, text = s.ask("GET", "/readyz", nil); s.ctx.Err() != nil {
			t.Fatalf("never ready: %s", text)
		}
	}
}

func TestQueryTools(t *testing.T) {
	s := open(t, web.Options{})
	var c struct {
		OK          bool
		Diagnostics []service.Finding
	}
	s.want(200, &c, "POST", "/api/v1/query:check", map[string]any{"query": "SELECT LEN(a, b) FROM x"})
	if c.OK || len(c.Diagnostics) != 1 || c.Diagnostics[0].Line != 1 {
		t.Errorf("check: %+v", c)
	}
	s.want(200, &c, "POST", "/api/v1/query:check", map[string]any{"query": "SELECT a FROM x"})
	if !c.OK {
		t.Errorf("check: %+v", c)
	}
	s.want(200, &c, "POST", "/api/v1/query:check", bundle("x", "SELECT n INTO nowhere FROM events"))
	if c.OK || !strings.Contains(c.Diagnostics[0].Message, "nowhere") {
		t.Errorf("check of a job: %+v", c)
	}
	var f struct{ Text string }
	s.want(200, &f, "POST", "/api/v1/query:format", map[string]any{"query": "select a from x"})
	if f.Text != "SELECT a\nFROM x\n" && !strings.HasPrefix(f.Text, "SELECT a") {
		t.Errorf("format: %q", f.Text)
	}
	s.want(200, &f, "POST", "/api/v1/query:explain", map[string]any{"query": "SELECT a FROM x"})
	if !strings.Contains(f.Text, `read input "x"`) {
		t.Errorf("explain: %q", f.Text)
	}
	var r service.SampleResult
	s.want(200, &r, "POST", "/api/v1/runs", map[string]any{"steps": true,
		"query":  "WITH s AS (SELECT a, COUNT(*) AS n FROM x TIMESTAMP BY t GROUP BY a, TumblingWindow(second, 10))\nSELECT n INTO out FROM s WHERE n > 1",
		"inputs": map[string]string{"x": "{\"a\":1,\"t\":\"2026-01-01T00:00:01Z\"}\n{\"a\":1,\"t\":\"2026-01-01T00:00:02Z\"}\n{\"a\":2,\"t\":\"2026-01-01T00:00:03Z\"}\nnonsense\n"}})
	if r.Events != 3 || len(r.Outputs) != 1 || r.Outputs[0].Name != "out" || len(r.Outputs[0].Rows) != 1 || string(r.Outputs[0].Rows[0]) != `{"n":2}` ||
		len(r.Steps) != 1 || len(r.Steps[0].Rows) != 2 || len(r.Letters) != 1 {
		t.Errorf("run: %+v", r)
	}
	s.want(200, &r, "POST", "/api/v1/runs", map[string]any{"query": "SELECT CAST(a AS bigint) AS a FROM x", "inputs": map[string]string{"x": `{"a":"no"}`}})
	if !strings.HasPrefix(r.Error, "query:1:8: ") {
		t.Errorf("a query error: %+v", r)
	}
	s.want(422, nil, "POST", "/api/v1/runs", map[string]any{"query": "SELECT a FROM x", "inputs": map[string]string{}})
}

func TestOpenAPI(t *testing.T) {
	const golden = "../../docs/api/openapi.json"
	s := open(t, web.Options{})
	_, _, text := s.ask("GET", "/openapi.json", nil)
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, b.Bytes()) {
		t.Errorf("the interface differs from docs/api/openapi.json; if it is to, run go test ./internal/web -run OpenAPI -update and read the difference")
	}
}

// TestDocsNameEveryRoute: docs/service.md has all paths of the interface.
func TestDocsNameEveryRoute(t *testing.T) {
	docs, err := os.ReadFile("../../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, web.Options{})
	var api struct{ Paths map[string]map[string]any }
	s.want(200, &api, "GET", "/openapi.json", nil)
	if len(api.Paths) < 20 {
		t.Errorf("%d paths", len(api.Paths))
	}
	for path := range api.Paths {
		if short := strings.TrimPrefix(path, "/api/v1"); !strings.Contains(string(docs), short) {
			t.Errorf("docs/service.md does not say %s", short)
		}
	}
}
