package http

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// config is settings with defaults filled in.
func config(t testing.TB, input bool, values map[string]any) connect.Config {
	t.Helper()
	c := connect.Config{Values: map[string]any{}}
	for _, f := range spec.Fields {
		if f.Default == "" || f.Input != f.Output && f.Input != input {
			continue
		}
		var v any = f.Default
		var err error
		switch f.Type {
		case connect.Int:
			v, err = strconv.ParseInt(f.Default, 10, 64)
		case connect.Bool:
			v, err = strconv.ParseBool(f.Default)
		case connect.Duration:
			v, err = time.ParseDuration(f.Default)
		case connect.Size:
			unit := map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[f.Default[len(f.Default)-3:]]
			var n int64
			n, err = strconv.ParseInt(f.Default[:len(f.Default)-3], 10, 64)
			v = n * unit
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Values[f.Name] = v
	}
	for k, v := range values {
		c.Values[k] = v
	}
	if problems := check(c, input); len(problems) > 0 {
		t.Fatalf("the settings are wrong: %v", problems)
	}
	return c
}

// toTime is a time of the clock as one of rows.
func toTime(t time.Time) vec.Time {
	return 621_355_968_000_000_000 + vec.Time(t.UnixMicro())*vec.Microsecond
}

// input is an open http input over a disk in memory.
type input struct {
	*Source
	t    testing.TB
	disk disk.FS
}

var inputs int

// newInput opens an input that is reached by its handler only.
func newInput(t testing.TB, fs disk.FS, values map[string]any) input {
	t.Helper()
	in, err := tryInput(t, fs, values)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func tryInput(t testing.TB, fs disk.FS, values map[string]any) (input, error) {
	t.Helper()
	inputs++
	all := map[string]any{"listen": NoListener, "path": "/" + strconv.Itoa(inputs)}
	for k, v := range values {
		all[k] = v
	}
	s, err := openSource(context.Background(), config(t, true, all), connect.SourceEnv{Job: "job", Input: "in", State: fs, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return input{}, err
	}
	in := input{s.(*Source), t, fs}
	t.Cleanup(func() { in.Close() })
	return in, nil
}

// post posts a body and gives the answer.
func (in input) post(body string, headers ...string) *httptest.ResponseRecorder {
	in.t.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	in.in.ServeHTTP(w, r)
	return w
}

// lines are the events from a position on, in chunks of max bytes.
func (in input) lines(after connect.Position, max int) []string {
	in.t.Helper()
	r, err := in.Open(context.Background(), "0", after)
	if err != nil {
		in.t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for {
		c, err := r.Read(context.Background(), max, "")
		if err != nil {
			in.t.Fatal(err)
		}
		if len(c.Data) == 0 {
			return out
		}
		start := 0
		for _, m := range c.Marks {
			if !bytes.HasSuffix(c.Data[start:m.End], []byte("\n")) || bytes.Count(c.Data[start:m.End], []byte("\n")) != 1 {
				in.t.Errorf("a mark is no line: %q", c.Data[start:m.End])
			}
			out = append(out, string(c.Data[start:m.End-1]))
			start = m.End
		}
		if start != len(c.Data) {
			in.t.Errorf("marks end at %d of %d", start, len(c.Data))
		}
	}
}

func TestBodies(t *testing.T) {
	f := func(contentType, body string, status int, events ...string) {
		t.Helper()
		in := newInput(t, disk.NewMem(1), nil)
		w := in.post(body, "Content-Type", contentType)
		if w.Code != status {
			t.Errorf("%.60q: status %d, want %d: %s", body, w.Code, status, w.Body)
		}
		if got := in.lines("", 1<<20); !slices.Equal(got, events) {
			t.Errorf("%.60q: events %q, want %q", body, got, events)
		}
		if status == http.StatusAccepted {
			var a taken
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Accepted != len(events) {
				t.Errorf("%.60q: the answer is %s", body, w.Body)
			}
		}
	}
	const js, ok, bad = "application/json", http.StatusAccepted, http.StatusBadRequest
	f(js, `{"a":1}`, ok, `{"a":1}`)
	f("", " {\"a\":\n1}\r\n", ok, `{"a": 1}`)
	f(js, `[{"a":1}, {"a":2}]`, ok, `{"a":1}`, `{"a":2}`)
	f(js, " [\n] ", ok)
	f("application/x-ndjson", "{\"a\":1}\n\n{\"a\":2}\r\n", ok, `{"a":1}`, `{"a":2}`)
	f("text/plain; charset=utf-8", `{"a":1}{"a":2} {}`, ok, `{"a":1}`, `{"a":2}`, `{}`)
	f(js, "\xef\xbb\xbf{\"a\":\"é\"}", ok, `{"a":"é"}`)
	f(js, "\xff\xfe{\x00}\x00", ok, `{}`)
	f(js, `{"a":"line\nend","b":{"c":[1,2.5,null,true]}}`, ok, `{"a":"line\nend","b":{"c":[1,2.5,null,true]}}`)
	f("text/csv", "id,name\n1,\"a \"\"b\"\"\"\n2,c\n", ok, `{"id":"1","name":"a \"b\""}`, `{"id":"2","name":"c"}`)
	f("text/csv", "id,name\n", ok)

	f("text/csv", "id,name\n1\n", bad)
	f("text/csv", "", bad)
	f(js, "", bad)
	f(js, "  \n", bad)
	f(js, `{"a":1},{"a":2}`, bad)
	f(js, `[{"a":1} {"a":2}]`, bad)
	f(js, `[{"a":1},]`, bad)
	f(js, `[,{"a":1}]`, bad)
	f(js, `[{"a":1}`, bad)
	f(js, `[{"a":1}] x`, bad)
	f(js, `[1,2]`, bad)
	f(js, `"text"`, bad)
	f(js, `nul`, bad)
	f(js, `{"a":1} {"a":`, bad)
	f(js, `{"a":1, "b"}`, bad)
	f(js, `{a:1}`, bad)
	f(js, `{'a':1}`, bad)
	f(js, `{"a":01}`, bad)
	f(js, `{"a":1.}`, bad)
	f(js, `{"a":NaN}`, bad)
	f(js, `{"a":+1}`, bad)
	f(js, `{"a":99999999999999999999}`, bad)
	f(js, `{"a":1e999}`, bad)
	f(js, `{"a":"`+"\x01"+`"}`, bad)
	f(js, `{"a":"`+"\xff\xfe"+`"}`, bad)
	f(js, `{"a":"\ud800"}`, ok, `{"a":"\ud800"}`)
	f(js, `{"a":"\x"}`, bad)
	f(js, "{\"a\":\"line\nend\"}", bad)
	f(js, "\x00", bad)
	f(js, strings.Repeat("[", 100_000), bad)
	f(js, strings.Repeat(`{"a":`, 100_000), bad)
	f(js, `{"a":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}`, bad)
	f("multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType)
	f("text/;;", "{}", http.StatusUnsupportedMediaType)
	f(js, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`, http.StatusRequestEntityTooLarge)
	f(js, strings.Repeat("{}", MaxRequestEvents+1), http.StatusRequestEntityTooLarge)
	f(js, strings.Repeat(" ", 5<<20)+`{}`, http.StatusRequestEntityTooLarge)
	f("text/csv", strings.Repeat("h", 10_000)+"\n"+strings.Repeat("1\n", 10_000), http.StatusRequestEntityTooLarge)
}

func TestRefusalSaysWhere(t *testing.T) {
	in := newInput(t, disk.NewMem(1), nil)
	w := in.post("{\"a\":1}\n{\"a\":1}\n{\"a\":x}\n")
	if want := "event 3, byte 21 of the body: a value should stand here; nothing of the request was taken"; !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %s, want %q", w.Body, want)
	}
}

func TestLenient(t *testing.T) {
	f := func(body string, events ...string) {
		t.Helper()
		in := newInput(t, disk.NewMem(1), map[string]any{"lenient": true})
		if w := in.post(body); w.Code != http.StatusAccepted {
			t.Errorf("%.60q: status %d: %s", body, w.Code, w.Body)
		}
		if got := in.lines("", 1<<20); !slices.Equal(got, events) {
			t.Errorf("%.60q: events %q, want %q", body, got, events)
		}
	}
	f(`[{"a":1},{"a":2}]`, `{"a":1}`, `{"a":2}`)
	f("{\"a\":1}\n{\"a\":x}\n\n{\"a\":3}", `{"a":1}`, `{"a":x}`, `{"a":3}`)
	f("nonsense \xff\x00", "nonsense \xff\x00")
}

func pack(t testing.TB, newWriter func(io.Writer) io.WriteCloser, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := newWriter(&b)
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func TestPacked(t *testing.T) {
	f := func(encoding, body string, status int) {
		t.Helper()
		in := newInput(t, disk.NewMem(1), nil)
		w := in.post(body, "Content-Encoding", encoding)
		if w.Code != status {
			t.Errorf("%q: status %d, want %d: %s", encoding, w.Code, status, w.Body)
		}
		if got := in.lines("", 100); status == http.StatusAccepted && !slices.Equal(got, []string{`{"a":1}`}) {
			t.Errorf("%q: %q", encoding, got)
		}
	}
	event := []byte(`{"a":1}`)
	f("gzip", pack(t, gzipped, event), http.StatusAccepted)
	f("GZIP", pack(t, gzipped, event), http.StatusAccepted)
	f("", pack(t, gzipped, event), http.StatusAccepted)
	f("deflate", pack(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, event), http.StatusAccepted)
	f("gzip", string(event), http.StatusBadRequest)
	f("gzip", pack(t, gzipped, event)[:20], http.StatusBadRequest)
	f("br", "x", http.StatusUnsupportedMediaType)
}

// TestGzipBomb: 3 MB that unpack to 3 GB are refused with little memory, before max_body
// is passed by much.
func TestGzipBomb(t *testing.T) {
	var b bytes.Buffer
	inner := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := inner.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	inner.Close()
	bomb := strings.Repeat(b.String(), 48) // members follow each other: 3 MB for 3 GB
	in := newInput(t, disk.NewMem(1), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := in.post(bomb, "Content-Encoding", "gzip")
	runtime.ReadMemStats(&after)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d MiB were allocated", grown>>20)
	}
	if in.in.budget.used.Load() != 0 {
		t.Errorf("%d bytes of the budget are lost", in.in.budget.used.Load())
	}
}

// TestBudget: requests beyond the memory for all of them are told to come again.
func TestBudget(t *testing.T) {
	in := newInput(t, disk.NewMem(1), nil)
	in.in.budget.max = 100 << 10
	w := in.post(`{"a":"` + strings.Repeat("x", 200<<10) + `"}`)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	if w := in.post(`{}`); w.Code != http.StatusAccepted {
		t.Errorf("after it: status %d", w.Code)
	}
}

func TestMethodsAndTokens(t *testing.T) {
	f := func(in input, method, host string, status int, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, "http://"+host+"/", strings.NewReader("{}"))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		in.in.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s %s %q: status %d, want %d: %s", method, host, headers, w.Code, status, w.Body)
		}
		return w
	}
	open := newInput(t, disk.NewMem(1), map[string]any{"listen": "127.0.0.1:0"})
	f(open, "POST", "127.0.0.1:8085", 202)
	f(open, "POST", "localhost", 202)
	f(open, "POST", "[::1]:80", 202)
	f(open, "GET", "localhost", 200)
	if w := f(open, "PUT", "localhost", 405); w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", w.Header().Get("Allow"))
	}
	f(open, "DELETE", "localhost", 405)
	f(open, "OPTIONS", "localhost", 405) // no CORS
	f(open, "POST", "evil.example", 403)
	f(open, "POST", "127.0.0.1.evil.example", 403)
	f(open, "POST", "localhost", 403, "Sec-Fetch-Site", "cross-site")
	f(open, "POST", "localhost", 403, "Origin", "http://evil.example")

	closed := newInput(t, disk.NewMem(1), map[string]any{"token": connect.NewHidden("S3cret"), "listen": "127.0.0.1:0"})
	f(closed, "POST", "any.example", 202, "Authorization", "Bearer S3cret")
	f(closed, "POST", "localhost", 202, "Authorization", "bearer S3cret")
	for _, h := range []string{"", "Bearer", "Bearer ", "Bearer S3cre", "Bearer S3crett", "Bearer s3cret", "Basic S3cret", "S3cret"} {
		w := f(closed, "POST", "localhost", 401, "Authorization", h)
		if w.Header().Get("WWW-Authenticate") != "Bearer" || strings.Contains(w.Body.String(), "S3cret") {
			t.Errorf("%q: %v %s", h, w.Header(), w.Body)
		}
	}
	f(closed, "GET", "localhost", 401)
	if got := closed.lines("", 1000); len(got) != 2 {
		t.Errorf("%d events", len(got))
	}
	var status struct{ Accepted, Refused, Next int64 }
	w := f(closed, "GET", "localhost", 200, "Authorization", "Bearer S3cret")
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || status.Accepted != 2 || status.Refused != 9 || status.Next != 2 {
		t.Errorf("the status is %s, %v", w.Body, err)
	}
}

func TestKeys(t *testing.T) {
	fs := disk.NewMem(1)
	in := newInput(t, fs, nil)
	post := func(body, key string, status int, first int64, again bool) {
		t.Helper()
		w := in.post(body, "Idempotency-Key", key)
		var a taken
		if status == 202 {
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Error(err)
			}
		}
		if w.Code != status || status == 202 && a.First != first || (w.Header().Get("Idempotency-Replayed") != "") != again {
			t.Errorf("key %.20q: %d %s %v", key, w.Code, w.Body, w.Header())
		}
	}
	post(`[{"a":1},{"a":2}]`, "k1", 202, 0, false)
	post(`[{"a":1},{"a":2}]`, "k1", 202, 0, true)
	post(`{"a":3}`, "k2", 202, 2, false)
	post(`{"a":4}`, "k1", 422, 0, false)
	post(`{`, "k3", 400, 0, false)
	post(`{"a":5}`, "k3", 202, 3, false)
	post(`{}`, strings.Repeat("k", 257), 400, 0, false)
	in.Close()
	in = newInput(t, fs, nil) // they survive with their events
	post(`[{"a":1},{"a":2}]`, "k1", 202, 0, true)
	post(`{"a":5}`, "k3", 202, 3, true)
	post(`{"a":5}`, "k4", 202, 4, false)
	want := []string{`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":5}`, `{"a":5}`}
	if got := in.lines("", 1000); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestKeysTogether: of requests with one key at the same time one is taken, and all hear it.
func TestKeysTogether(t *testing.T) {
	in := newInput(t, disk.NewMem(1), nil)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if w := in.post(fmt.Sprintf(`{"a":%d}`, i%20), "Idempotency-Key", strconv.Itoa(i%20)); w.Code != 202 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	wg.Wait()
	got := in.lines("", 64)
	slices.Sort(got)
	if len(got) != 20 || len(slices.Compact(got)) != 20 {
		t.Errorf("events %q", got)
	}
}

// TestKeysAreBounded: the oldest go, by age and by number.
func TestKeysAreBounded(t *testing.T) {
	k := keys{keep: time.Minute, known: map[string]*request{}}
	now := time.Unix(1000, 0)
	for i := range MaxKeys + 10 {
		q, mine := k.begin(strconv.Itoa(i), "")
		if !mine {
			t.Fatal("a new key is known")
		}
		k.end(q, taken{}, now, true)
	}
	if len(k.known) != MaxKeys || len(k.order) != MaxKeys {
		t.Errorf("%d keys are remembered", len(k.known))
	}
	q, _ := k.begin("x", "")
	k.end(q, taken{}, now.Add(2*time.Minute), true)
	if len(k.known) != 1 {
		t.Errorf("%d keys are remembered after their time", len(k.known))
	}
}

// TestFull: a full disk and a full log are answered with 503, nothing of the request is
// kept, and it goes on by itself.
func TestFull(t *testing.T) {
	fs := disk.NewMem(1)
	in := newInput(t, fs, map[string]any{"max_body": int64(64 << 10), "max_log": int64(1 << 20)})
	big := `{"a":"` + strings.Repeat("x", 50_000) + `"}`
	full := func(text string) {
		t.Helper()
		w := in.post(big, "Idempotency-Key", "same")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), text) {
			t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
		}
	}
	fs.Limit(20_000)
	full("cannot be stored now")
	fs.Limit(-1)
	n := 0
	for in.post(big).Code == http.StatusAccepted {
		n++
	}
	full("its log is full")
	got := in.lines("", 1<<20)
	if len(got) != n || n < 15 {
		t.Errorf("%d events, %d were taken", len(got), n)
	}
	if err := in.Done(context.Background(), "0", connect.Position(strconv.Itoa(n))); err != nil {
		t.Fatal(err)
	}
	if w := in.post(big, "Idempotency-Key", "same"); w.Code != http.StatusAccepted {
		t.Errorf("after the events were read: status %d: %s", w.Code, w.Body)
	}
}

// TestSource: positions, replay up to a position, seek and forgetting.
func TestSource(t *testing.T) {
	ctx := context.Background()
	fs := disk.NewMem(1)
	in := newInput(t, fs, nil)
	for i := range 50 {
		in.post(fmt.Sprintf(`[{"a":%d},{"b":%d,"c":"%s"}]`, i, i, strings.Repeat("x", i)))
	}
	all := in.lines("", 1<<20)
	if len(all) != 100 {
		t.Fatalf("%d events", len(all))
	}
	for _, max := range []int{1, 30, 100, 1000} {
		if got := in.lines("", max); !slices.Equal(got, all) {
			t.Errorf("in chunks of %d bytes: other events", max)
		}
	}
	// Chunks are made again from their positions.
	open := func(after connect.Position) connect.Reader {
		t.Helper()
		r, err := in.Open(ctx, "0", after)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open("")
	after := connect.Position("")
	for n := 0; n < 100; {
		c, err := r.Read(ctx, 150, "")
		if err != nil {
			t.Fatal(err)
		}
		n += len(c.Marks)
		data, marks := bytes.Clone(c.Data), slices.Clone(c.Marks)
		again := open(after)
		d, err := again.Read(ctx, 10, c.Next)
		if err != nil || !bytes.Equal(d.Data, data) || d.Next != c.Next || d.Line != c.Line || d.Offset != c.Offset || len(d.Marks) != len(marks) {
			t.Fatalf("from %q to %q: another chunk, %v", after, c.Next, err)
		}
		for i, m := range d.Marks {
			if m.End != marks[i].End || m.Offset != marks[i].Offset || m.Arrival != marks[i].Arrival {
				t.Errorf("mark %d is %v, was %v", i, m, marks[i])
			}
		}
		again.Close()
		after = c.Next
	}
	c, err := r.Read(ctx, 150, "")
	if err != nil || len(c.Data) != 0 || c.Next != after {
		t.Errorf("at the end: %+v, %v", c, err)
	}
	if _, err := r.Read(ctx, 10, "200"); err == nil {
		t.Error("events that are not there were read")
	}
	f := func(arrived vec.Time, want connect.Position) {
		t.Helper()
		if got, err := in.Seek(ctx, "0", arrived); err != nil || got != want {
			t.Errorf("seek %v: %q, %v; want %q", arrived, got, err, want)
		}
	}
	f(vec.MinTime, "0")
	f(vec.MaxTime, "100")
	f(toTime(time.Now().Add(-time.Hour)), "0")
	f(toTime(time.Now().Add(time.Hour)), "100")
	if got := in.lines("98", 1000); !slices.Equal(got, all[98:]) {
		t.Errorf("from 98 on: %q", got)
	}
	if _, err := in.Open(ctx, "0", "x"); err == nil {
		t.Error("a position of another source was taken")
	}
}

// TestGone: with a retention of nothing, events that the job is done with go, and reading
// them is ErrGone.
func TestGone(t *testing.T) {
	ctx := context.Background()
	in := newInput(t, disk.NewMem(1), map[string]any{"retention": time.Nanosecond, "max_body": int64(64 << 10), "max_log": int64(1 << 20)})
	for range 10 { // several segments
		in.post(`{"a":"` + strings.Repeat("x", 60_000) + `"}`)
	}
	if err := in.Done(ctx, "0", "9"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Open(ctx, "0", "0"); !errors.Is(err, connect.ErrGone) {
		t.Errorf("a forgotten event: %v", err)
	}
	if got := in.lines("", 1000); len(got) < 1 || len(got) > 5 {
		t.Errorf("%d events are left", len(got))
	}
}

// TestWeak: a job that has read events which a loss of power took is told when it makes its
// epochs again, and never takes new events for old ones.
func TestWeak(t *testing.T) {
	ctx := context.Background()
	fs := disk.NewMem(5)
	in := newInput(t, fs.Boot(), map[string]any{"fsync": "none"})
	for i := range 20 {
		in.post(fmt.Sprintf(`{"old":%d}`, i))
	}
	fs.Crash()
	in.Close()
	in = newInput(t, fs.Boot(), map[string]any{"fsync": "none"})
	kept := len(in.lines("", 1000))
	if kept == 20 {
		t.Fatal("nothing was lost; take another seed")
	}
	for i := range 30 {
		in.post(fmt.Sprintf(`{"new":%d}`, i))
	}
	if got := in.lines("20", 1000); len(got) != 30 || got[0] != `{"new":0}` {
		t.Errorf("behind 20: %q", got)
	}
	r, err := in.Open(ctx, "0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if c, err := r.Read(ctx, 1, "20"); err == nil || !strings.Contains(err.Error(), "loss of power") {
		t.Errorf("a replay of what is lost: %d events, %v", len(c.Marks), err)
	}
}

func TestClock(t *testing.T) {
	ctx := context.Background()
	in := newInput(t, disk.NewMem(1), nil)
	r, err := in.Open(ctx, "0", "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Read(ctx, 100, "")
	if err != nil || c.Clock == 0 || c.Clock > toTime(time.Now()) {
		t.Errorf("idle: clock %v, %v", c.Clock, err)
	}
	before := c.Clock
	in.post(`[{"a":1},{"a":2}]`)
	c, err = r.Read(ctx, 5, "") // the first only
	if err != nil || len(c.Marks) != 1 || c.Marks[0].Arrival < before || c.Clock > c.Marks[0].Arrival {
		t.Errorf("half read: %+v, %v", c, err)
	}
	c, _ = r.Read(ctx, 100, "")
	if len(c.Marks) != 1 || c.Clock < c.Marks[0].Arrival {
		t.Errorf("read: %+v", c)
	}
	if c, err = r.Read(ctx, 100, "2"); err != nil || c.Clock != 0 {
		t.Errorf("a replay has the clock %v, %v", c.Clock, err)
	}
}

// TestListeners: inputs share an address by path; a path is taken once, and is free again
// after Close.
func TestListeners(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	a := newInput(t, disk.NewMem(1), map[string]any{"listen": address, "path": "/a"})
	b := newInput(t, disk.NewMem(1), map[string]any{"listen": address, "path": "/b"})
	if a.Addr() != address || b.Addr() != address {
		t.Errorf("addresses %s and %s", a.Addr(), b.Addr())
	}
	post := func(path string, status int) {
		t.Helper()
		resp, err := http.Post("http://"+address+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, status)
		}
	}
	post("/a", 202)
	post("/b", 202)
	post("/c", 404)
	post("/a/", 404)
	if _, err := tryInput(t, disk.NewMem(1), map[string]any{"listen": address, "path": "/a"}); err == nil || !strings.Contains(err.Error(), "another input") {
		t.Errorf("a path that is taken: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	post("/a", 404)
	post("/b", 202)
	newInput(t, disk.NewMem(1), map[string]any{"listen": address, "path": "/a"})
	post("/a", 202)
	if len(b.lines("", 100)) != 2 {
		t.Error("events of another path came in")
	}
	m := newInput(t, disk.NewMem(1), map[string]any{"path": "/mounted"})
	w := httptest.NewRecorder()
	Mounted().ServeHTTP(w, httptest.NewRequest("POST", "http://x.example/mounted", strings.NewReader("{}")))
	if w.Code != 202 || m.Addr() != "" {
		t.Errorf("mounted: status %d, %q", w.Code, m.Addr())
	}
}

// TestManyPosts: a thousand posts at a time over real connections, each answered, each there
// once, with keys and without, in a log on the real disk.
func TestManyPosts(t *testing.T) {
	fs, err := disk.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := newInput(t, fs, map[string]any{"listen": "127.0.0.1:0", "path": "/e"})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	const posts = 1000
	for i := range posts {
		wg.Go(func() {
			for try := range 2 { // the second is a retry
				req, _ := http.NewRequest("POST", "http://"+in.Addr()+"/e", strings.NewReader(fmt.Sprintf(`[{"id":%d},{"id":%d}]`, 2*i, 2*i+1)))
				req.Header.Set("Idempotency-Key", strconv.Itoa(i))
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != 202 {
					t.Errorf("try %d: status %d", try, resp.StatusCode)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, e := range in.lines("", 1<<16) {
		if seen[e] {
			t.Errorf("%s is there twice", e)
		}
		seen[e] = true
	}
	if len(seen) != 2*posts {
		t.Errorf("%d events, want %d", len(seen), 2*posts)
	}
}

// TestSlowClients: heads and bodies that do not come are given up, and lies about their
// length harm nobody.
func TestSlowClients(t *testing.T) {
	in := newInput(t, disk.NewMem(1), map[string]any{"listen": "127.0.0.1:0", "path": "/e", "read_timeout": 500 * time.Millisecond})
	f := func(text string, closeWrite bool, want string) {
		t.Helper()
		c, err := net.Dial("tcp", in.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if closeWrite {
			c.(*net.TCPConn).CloseWrite()
		}
		got, err := io.ReadAll(c)
		if errors.Is(err, syscall.ECONNRESET) { // it had enough, and we were still writing
			err = nil
		}
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%.60q: %q, %v; want %q", text, got, err, want)
		}
	}
	const head = "POST /e HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	f(head, false, "") // closed without an answer
	f(head+"Content-Length: 10\r\n\r\n{", false, "400")
	f(head+"Content-Length: 10\r\n\r\n{}", true, "400")
	f(head+"Content-Length: 2\r\n\r\n{}garbage", false, "202")
	f(head+"Content-Length: 99999999999\r\n\r\n{}", false, "413")
	f(head+"Content-Length: -1\r\n\r\n{}", false, "400")
	f(head+"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", false, "400")
	f(head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, "400")
	f(head+"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", false, "202")
	f(head+"X: "+strings.Repeat("x", 1<<20)+"\r\n\r\n", false, "431")
	if n := len(in.lines("", 100)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestCrash: what was answered is there after a kill or a loss of power in any operation of
// the disk; and a client that posts again, with the same key, what was not answered, has
// each event there once.
func TestCrash(t *testing.T) {
	for at := int64(1); ; at++ {
		fs := disk.NewMem(uint64(at))
		crash := fs.CrashAt
		if at%3 == 0 {
			crash = fs.KillAt
		}
		crash(at)
		var answered, open []int
		try := func() bool {
			in, err := tryInput(t, fs.Boot(), nil)
			if err != nil {
				return false
			}
			defer in.Close()
			for _, i := range open {
				if in.post(fmt.Sprintf(`{"id":%d}`, i), "Idempotency-Key", strconv.Itoa(i)).Code != 202 {
					return false
				}
				answered = append(answered, i)
				open = open[1:]
			}
			return true
		}
		for i := range 12 {
			open = append(open, i)
		}
		calm := try()
		fs.Restart()
		if !calm {
			fs.CrashAt(at % 17)
			try()
			fs.Restart()
			if !try() {
				t.Fatalf("operation %d: the input does not come back", at)
			}
		}
		var want []string
		for i := range 12 {
			want = append(want, fmt.Sprintf(`{"id":%d}`, i))
		}
		in := newInput(t, fs.Boot(), nil)
		if got := in.lines("", 100); !slices.Equal(got, want) {
			t.Fatalf("operation %d: events %q", at, got)
		}
		in.Close()
		if calm {
			if at < 20 {
				t.Fatalf("only %d operations", at)
			}
			return
		}
	}
}

func TestCheck(t *testing.T) {
	f := func(isInput bool, values map[string]any, want string) {
		t.Helper()
		c := config(t, isInput, map[string]any{"url": "http://localhost/"})
		for k, v := range values {
			c.Values[k] = v
		}
		got := ""
		for _, p := range check(c, isInput) {
			got += p.Field + ": " + p.Text + "; " + p.Hint + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", values, got, want)
		}
	}
	f(true, nil, "")
	f(true, map[string]any{"listen": "0.0.0.0:80"}, "there is no token")
	f(true, map[string]any{"listen": ":80"}, "there is no token")
	f(true, map[string]any{"listen": "example.com:80"}, "there is no token")
	f(true, map[string]any{"listen": "0.0.0.0:80", "token": connect.NewHidden("x")}, "")
	f(true, map[string]any{"listen": "[::1]:80"}, "")
	f(true, map[string]any{"listen": "8085"}, "no address with a port")
	f(true, map[string]any{"path": "events"}, "no path")
	f(true, map[string]any{"tls_cert": "c.pem"}, "go together")
	f(true, map[string]any{"max_body": int64(1)}, "the least is 1KiB")
	f(true, map[string]any{"max_log": int64(1)}, "max_log")
	f(false, nil, "")
	f(false, map[string]any{"url": "ftp://x/"}, "no http or https address")
	f(false, map[string]any{"url": "http://user:CANARY@host/"}, "holds a user")
	f(false, map[string]any{"headers": map[string]string{"a b": "1"}}, "no name of a header")
	f(false, map[string]any{"headers": map[string]string{"Idempotency-Key": "1"}}, "is set by the output")
	f(false, map[string]any{"batch_rows": int64(0)}, "at least 1")
	c := config(t, false, map[string]any{"url": "http://localhost/"})
	c.Values["url"] = "http://user:CANARY@host/%zz?k=CANARY"
	if s := fmt.Sprint(check(c, false)); strings.Contains(s, "CANARY") {
		t.Errorf("a secret shows: %s", s)
	}
}
