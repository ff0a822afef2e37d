package cosmos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// envOf is what a sink is opened with; rejected rows are an error.
func envOf(columns connect.Columns) connect.SinkEnv {
	return connect.SinkEnv{Job: "job", Output: "out", Instance: "one", Columns: columns, State: disk.NewMem(1).Boot(),
		Reject: func(e connect.RowError) error { return fmt.Errorf("rejected: %s: %s: %s", e.Name, e.Column, e.Reason) }}
}

// batchOf is a batch of rows of values.
func batchOf(rows ...[]vec.Value) *vec.Batch {
	b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, len(rows[0]))}
	for i, row := range rows {
		b.Time = append(b.Time, connecttest.Origin+vec.Time(i))
		for c, v := range row {
			b.Cols[c].Append(v)
		}
	}
	return b
}

// writeRows writes an epoch.
func writeRows(t testing.TB, s connect.Sink, epoch int64, rows ...[]vec.Value) {
	t.Helper()
	if err := s.Write(context.Background(), epoch, batchOf(rows...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(context.Background(), epoch, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(context.Background(), epoch); err != nil {
		t.Fatal(err)
	}
}

// outlet is a sink over a fake, and what it rejects.
type outlet struct {
	connect.Sink
	f        *fake
	c        *fakeContainer
	env      connect.SinkEnv
	values   map[string]any
	rejected []string
}

func newOutlet(t testing.TB, keyPath string, values map[string]any, columns ...string) *outlet {
	t.Helper()
	o := &outlet{f: newFake(t), env: envOf(connect.Columns{Names: columns}), values: values}
	if len(columns) == 0 {
		o.env.Columns.Names, o.env.Columns.Row = []string{"row"}, true
	}
	o.c = o.f.container("shop", "teams", keyPath)
	o.env.Reject = func(e connect.RowError) error {
		o.rejected = append(o.rejected, fmt.Sprintf("%s %s: %s: %s", strings.TrimPrefix(e.Name, "OutputDataConversionError."), e.Column, e.Reason, e.Row))
		return nil
	}
	o.open(t)
	t.Cleanup(func() { o.Close() })
	return o
}

// open opens the sink as another process does.
func (o *outlet) open(t testing.TB) {
	t.Helper()
	var err error
	if o.Sink, err = openSink(t.Context(), o.f.config(false, o.values), o.env); err != nil {
		t.Fatal(err)
	}
}

// has compares the documents of the container, by id.
func (o *outlet) has(t testing.TB, want ...string) {
	t.Helper()
	docs := o.f.documents(o.c)
	got := slices.Sorted(maps.Values(docs))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("documents\n%s\nand must be\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (o *outlet) refused(t testing.TB, want ...string) {
	t.Helper()
	if !slices.Equal(o.rejected, want) {
		t.Errorf("rejected\n%s\nand must be\n%s", strings.Join(o.rejected, "\n"), strings.Join(want, "\n"))
	}
}

func text(s string) vec.Value { return vec.StringValue(s) }

func num(n int64) vec.Value { return vec.IntValue(n) }

func record(parts ...any) vec.Value {
	r := &vec.Rec{}
	for i := 0; i < len(parts); i += 2 {
		r.Names, r.Vals = append(r.Names, parts[i].(string)), append(r.Vals, parts[i+1].(vec.Value))
	}
	return vec.RecordValue(r)
}

// TestDocuments: ids and partition keys are texts, in the header and in the document; texts that
// are hard for headers; the last row of an id wins.
func TestDocuments(t *testing.T) {
	o := newOutlet(t, "/Team", map[string]any{"document_id": "n"}, "n", "team", "v")
	hard := "a\"b\\c\x01ü🚀\t"
	writeRows(t, o, 1,
		[]vec.Value{num(1), num(7), num(1)},
		[]vec.Value{num(1), num(7), num(2)},
		[]vec.Value{vec.FloatValue(1.5), vec.BitValue(true), vec.TimeValue(connecttest.Origin)},
		[]vec.Value{text("x y?#%+ü"), text(hard), vec.NullValue()},
		[]vec.Value{text("n"), vec.NullValue(), record("a", num(1))},
	)
	o.refused(t)
	o.has(t, `{"Team":"7","id":"1","n":1,"v":2}`,
		`{"Team":"true","id":"1.5","n":1.5,"v":"2022-09-28T22:13:20.0000000Z"}`,
		`{"Team":"a\"b\\c\u0001ü🚀\t","id":"x y?#%+ü","n":"x y?#%+ü","v":null}`,
		`{"Team":null,"id":"n","n":"n","v":{"a":1}}`)
	if n := o.f.count("batch"); n != 1 {
		t.Errorf("%d batches", n)
	}
}

// TestRecords: rows that are records, with fields that differ from row to row.
func TestRecords(t *testing.T) {
	o := newOutlet(t, "/team", nil)
	writeRows(t, o, 1,
		[]vec.Value{record("id", num(5), "team", num(1), "a", num(1))},
		[]vec.Value{record("TEAM", text("b"), "ID", num(1))},
		[]vec.Value{record("x", num(1))},
		[]vec.Value{num(3)},
	)
	o.refused(t, `TypeConversionError : a document is a record, not bigint: {}`)
	made := o.Sink.(*sink).docs.made
	o.has(t, `{"a":1,"id":"5","team":"1"}`, fmt.Sprintf(`{"ID":1,"id":"%s-1-1","team":"b"}`, made), fmt.Sprintf(`{"id":"%s-1-2","team":null,"x":1}`, made))
}

// TestRejects: rows that cannot be documents, by us and by the service, and what is beside them.
func TestRejects(t *testing.T) {
	o := newOutlet(t, "/team", map[string]any{"document_id": "k"}, "k", "team", "v")
	big := text(strings.Repeat("x", MaxDocument))
	writeRows(t, o, 1,
		[]vec.Value{text("good"), num(1), num(1)},
		[]vec.Value{record("a", num(1)), num(1), num(2)},
		[]vec.Value{vec.NullValue(), num(1), num(3)},
		[]vec.Value{text("a/b"), num(1), num(4)},
		[]vec.Value{text(""), num(1), num(5)},
		[]vec.Value{text("team"), vec.ArrayValue(&vec.Rec{}), num(6)},
		[]vec.Value{text("last"), num(1), num(7)},
	)
	o.refused(t,
		`TypeConversionError k: an id cannot be record: {"k":{"a":1},"team":1,"v":2}`,
		`RequiredColumnMissing k: the id has no value: {"k":null,"team":1,"v":3}`,
		`TypeConversionError k: "a/b" is no id: ids are not empty and have no / and \: {"k":"a/b","team":1,"v":4}`,
		`TypeConversionError k: "" is no id: ids are not empty and have no / and \: {"k":"","team":1,"v":5}`,
		`TypeConversionError team: a partition key cannot be array: {"k":"team","team":[],"v":6}`)
	o.has(t, `{"id":"good","k":"good","team":"1","v":1}`, `{"id":"last","k":"last","team":"1","v":7}`)
	o.rejected = nil
	writeRows(t, o, 2, []vec.Value{text("big"), num(1), big}, []vec.Value{text(strings.Repeat("i", MaxID+1)), num(1), num(1)}, []vec.Value{text("k"), text(strings.Repeat("t", MaxKey+1)), num(1)})
	if len(o.rejected) != 3 || !strings.HasPrefix(o.rejected[0], "RecordExceededSizeLimit : the document has 20971") ||
		!strings.HasPrefix(o.rejected[1], "RecordExceededSizeLimit k: the id has 1024 bytes; 1023 is the most") || !strings.HasPrefix(o.rejected[2], "RecordExceededSizeLimit team: the partition key has 2049 bytes; 2048 is the most") {
		t.Errorf("%.200q", o.rejected)
	}
}

// TestContainerRejects: one row of a batch that the service does not take; the others are written.
func TestContainerRejects(t *testing.T) {
	o := newOutlet(t, "/team", map[string]any{"document_id": "k"}, "k", "team", "v")
	o.c.unique = "v"
	writeRows(t, o, 1, []vec.Value{text("a"), num(1), num(1)}, []vec.Value{text("b"), num(1), num(1)}, []vec.Value{text("c"), num(1), num(3)})
	o.refused(t, `DuplicateKey id: HTTP 409 Conflict: {"Errors":["the document was not taken"]}: {"k":"b","team":"1","v":1,"id":"b"}`)
	o.has(t, `{"id":"a","k":"a","team":"1","v":1}`, `{"id":"c","k":"c","team":"1","v":3}`)
}

// TestInsert: a row whose id is there with other fields is rejected; one that we wrote before a
// crash is not.
func TestInsert(t *testing.T) {
	o := newOutlet(t, "/team", nil, "id", "team", "v")
	o.f.put(o.c, `{"id":"old","team":"1","v":0}`)
	rows := [][]vec.Value{{num(1), num(1), vec.FloatValue(2)}, {text("old"), num(1), num(1)}, {num(1), num(1), num(3)}, {vec.NullValue(), num(1), num(4)}}
	duplicates := []string{`DuplicateKey id: there is a document with the id "old": {"id":"old","team":"1","v":1}`,
		`DuplicateKey id: there is a document with the id "1": {"id":"1","team":"1","v":3}`}
	writeRows(t, o, 1, rows...)
	o.refused(t, duplicates...)
	want := []string{`{"id":"1","team":"1","v":2.0}`, `{"id":"old","team":"1","v":0}`, fmt.Sprintf(`{"id":"%s-1-3","team":"1","v":4}`, o.Sink.(*sink).docs.made)}
	o.has(t, want...)
	o.rejected = nil
	o.open(t) // without a Sync
	writeRows(t, o, 1, rows...)
	o.refused(t, duplicates...)
	o.has(t, want...)
}

// TestMerge: fields are laid over the document that is there, records too, arrays are replaced;
// others that write meanwhile lose nothing.
func TestMerge(t *testing.T) {
	o := newOutlet(t, "/team", map[string]any{"document_id": "k", "mode": modeMerge}, "k", "team", "r")
	o.f.put(o.c, `{"id":"a","team":"1","k":"a","mine":5,"r":{"x":1,"list":[1,2]}}`)
	var others atomic.Int64
	o.f.setFault(func(kind string, r *http.Request) *fakeFault {
		if kind == "replace" && others.Add(1) < 3 {
			go o.f.put(o.c, fmt.Sprintf(`{"id":"a","team":"1","k":"a","mine":%d,"r":{"x":1,"list":[1,2]}}`, 5+others.Load()))
			return &fakeFault{status: http.StatusPreconditionFailed}
		}
		return nil
	})
	writeRows(t, o, 1, []vec.Value{text("a"), num(1), record("y", num(2), "list", vec.ArrayValue(&vec.Rec{Vals: []vec.Value{num(3)}}))}, []vec.Value{text("b"), num(1), num(1)})
	o.refused(t)
	if n := o.f.count("replace"); n < 3 {
		t.Errorf("%d tries", n)
	}
	docs := o.f.documents(o.c)
	if !strings.Contains(docs["a"], `"r":{"x":1,"list":[3],"y":2}`) || docs["b"] != `{"id":"b","k":"b","r":1,"team":"1"}` {
		t.Errorf("%v", docs)
	}
}

// TestThrottled: storms of 429 and 449, for requests and within batches. The epoch is written,
// with fewer requests at a time, and after the pauses that the service wants.
func TestThrottled(t *testing.T) {
	f := func(status int, kinds string, values map[string]any) {
		t.Helper()
		o := newOutlet(t, "/team", values, "id", "team")
		var n, waits atomic.Int64
		o.f.setFault(func(kind string, r *http.Request) *fakeFault {
			if strings.Contains(kinds, kind) && n.Add(1)%3 != 0 {
				return &fakeFault{status: status, after: 7 * time.Millisecond}
			}
			return nil
		})
		o.Sink.(*sink).to.pause = func(_ context.Context, d time.Duration) error {
			if d == 7*time.Millisecond {
				waits.Add(1)
			}
			return nil
		}
		var rows [][]vec.Value
		for i := range 500 {
			rows = append(rows, []vec.Value{num(int64(i)), num(int64(i % 30))})
		}
		writeRows(t, o, 1, rows...)
		o.refused(t)
		if docs := o.f.documents(o.c); len(docs) != 500 || waits.Load() < 5 {
			t.Errorf("%d documents after %d pauses", len(docs), waits.Load())
		}
		if w := o.Sink.(*sink).to; status == http.StatusTooManyRequests && w.limit == w.writers {
			t.Errorf("%d requests at a time", w.limit)
		}
	}
	f(http.StatusTooManyRequests, "batch upsert", map[string]any{"document_id": "id"})
	f(statusRetry, "batch upsert", map[string]any{"document_id": "id"})
	f(http.StatusTooManyRequests, "upsert", map[string]any{"document_id": "id", "batch_rows": int64(1)})
	f(http.StatusTooManyRequests, "create read", map[string]any{"batch_rows": int64(1)})
}

// TestStorm: throttled without end, the call fails some time, so that people see it, and goes on
// where it was.
func TestStorm(t *testing.T) {
	o := newOutlet(t, "/id", map[string]any{"document_id": "id"}, "id")
	var calm atomic.Bool
	o.f.setFault(func(kind string, r *http.Request) *fakeFault {
		if kind == "upsert" && !calm.Load() && o.f.requests["upsert"] > 3 {
			return &fakeFault{status: http.StatusTooManyRequests}
		}
		return nil
	})
	waited := atomic.Int64{}
	o.Sink.(*sink).to.pause = func(_ context.Context, d time.Duration) error { waited.Add(int64(d)); return nil }
	o.Sink.(*sink).to.writers, o.Sink.(*sink).to.limit = 1, 1
	if err := o.Write(t.Context(), 1, batchOf([]vec.Value{num(1)}, []vec.Value{num(2)}, []vec.Value{num(3)}, []vec.Value{num(4)}, []vec.Value{num(5)})); err != nil {
		t.Fatal(err)
	}
	err := o.Prepare(t.Context(), 1, 0)
	if want := "container teams of database shop at " + o.f.URL + `: HTTP 429 Injected: {"Errors":["as the test wants it"]}; the container has too little throughput: raise its RU/s`; err == nil || err.Error() != want || connect.IsPermanent(err) {
		t.Errorf("%v\nand must be\n%s", err, want)
	}
	if d := time.Duration(waited.Load()); d < patience/2 || d > patience {
		t.Errorf("it waited for %v", d)
	}
	calm.Store(true)
	before := o.f.count("upsert")
	if err := o.Prepare(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	if n := o.f.count("upsert") - before; n != 2 {
		t.Errorf("%d documents were sent again, and 2 were missing", n)
	}
	o.has(t, `{"id":"1"}`, `{"id":"2"}`, `{"id":"3"}`, `{"id":"4"}`, `{"id":"5"}`)
}

// TestCut: connections that end before and after a batch was done; nothing is lost or doubled,
// also with inserts.
func TestCut(t *testing.T) {
	f := func(values map[string]any) {
		t.Helper()
		o := newOutlet(t, "/team", values, "id", "team")
		var n atomic.Int64
		o.f.setFault(func(kind string, r *http.Request) *fakeFault {
			if kind == "batch" || kind == "upsert" || kind == "create" {
				if k := n.Add(1); k%3 != 0 && k < 20 {
					return &fakeFault{cut: true, done: k%3 == 1}
				}
			}
			return nil
		})
		var rows [][]vec.Value
		for i := range 300 {
			rows = append(rows, []vec.Value{num(int64(i)), num(int64(i % 7))})
		}
		if err := o.Write(t.Context(), 1, batchOf(rows...)); err != nil {
			t.Fatal(err)
		}
		failures := 0
		for err := o.Prepare(t.Context(), 1, 0); err != nil; err = o.Prepare(t.Context(), 1, 0) {
			if failures++; failures > 50 || connect.IsPermanent(err) {
				t.Fatal(err)
			}
		}
		o.refused(t)
		if docs := o.f.documents(o.c); len(docs) != 300 || failures == 0 {
			t.Errorf("%d documents, %d failures", len(docs), failures)
		}
	}
	f(map[string]any{"document_id": "id"})
	f(nil)
}

// TestSlow: a server that does not answer holds the epoch, not the process: a stop ends it.
func TestSlow(t *testing.T) {
	o := newOutlet(t, "/id", map[string]any{"document_id": "id"}, "id")
	wait := make(chan struct{})
	arrived := make(chan struct{}, 100)
	o.f.setFault(func(kind string, r *http.Request) *fakeFault {
		if kind != "upsert" {
			return nil
		}
		arrived <- struct{}{}
		return &fakeFault{wait: wait}
	})
	if err := o.Write(t.Context(), 1, batchOf([]vec.Value{num(1)}, []vec.Value{num(2)})); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if err := o.Prepare(ctx, 1, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(wait)
	if err := o.Prepare(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	o.has(t, `{"id":"1"}`, `{"id":"2"}`)
}

// TestLargeEpoch: rows that are too many for memory wait in a file, and are written in their order.
func TestLargeEpoch(t *testing.T) {
	o := newOutlet(t, "/team", map[string]any{"document_id": "k"}, "k", "team", "v", "text")
	long := text(strings.Repeat("y", 100<<10))
	for i := range 90 {
		if err := o.Write(t.Context(), 1, batchOf([]vec.Value{num(int64(i % 50)), num(int64(i % 50 % 3)), num(int64(i)), long})); err != nil {
			t.Fatal(err)
		}
		if n := len(o.Sink.(*sink).buf); n > maxBuffered+1<<20 {
			t.Fatalf("%d bytes in memory", n)
		}
	}
	if err := o.Prepare(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	docs := o.f.documents(o.c)
	if len(docs) != 50 {
		t.Fatalf("%d documents", len(docs))
	}
	for id, doc := range docs {
		var k, last int
		fmt.Sscan(id, &k)
		fmt.Sscanf(doc[strings.Index(doc, `"v":`)+4:], "%d", &last)
		if want := k + 50*((89-k)/50); last != want {
			t.Errorf("document %d has row %d, and must have %d", k, last, want)
		}
	}
}

// TestOpenErrors: what is wrong with the container is told at once, and does not go away.
func TestOpenErrors(t *testing.T) {
	f := newFake(t)
	f.container("shop", "teams", "/team")
	f.container("shop", "deep", "/a/b")
	open := func(values map[string]any, columns ...string) error {
		s, err := openSink(t.Context(), f.config(false, values), envOf(connect.Columns{Names: columns}))
		if err == nil {
			s.Close()
		}
		return err
	}
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.HasSuffix(err.Error(), want) || !connect.IsPermanent(err) {
			t.Errorf("%v\nand must end with\n%s", err, want)
		}
	}
	check(open(nil, "id"), `the rows have no column "team", which is the partition key of the container`)
	check(open(map[string]any{"document_id": "x"}, "team"), `the rows have no column "x", which document_id names`)
	check(open(map[string]any{"partition_key": "region"}, "team"), "the partition key of the container is /team, not /region; remove partition_key, or make a container with that key")
	check(open(map[string]any{"container": "deep"}, "a"), "the partition key of the container is /a/b; outputs write containers whose key is at the top level of documents")
	check(open(map[string]any{"container": "none"}, "a"), "HTTP 404 NotFound: {\"Errors\":[\"Resource Not Found.\"]}; make the container: az cosmosdb sql container create --partition-key-path /KEY")
	check(open(map[string]any{"key": connect.NewHidden("YWJj")}, "team"), "the key is not one of this account, or the clock of this machine is wrong")
	if err := open(map[string]any{"partition_key": "TEAM"}, "Team"); err != nil {
		t.Error(err)
	}
}

// TestDownAtStart: a server that is not there, and comes: no client keeps the error of its first try.
func TestDownAtStart(t *testing.T) {
	f := newFake(t)
	f.container("shop", "teams", "/id")
	f.setFault(func(string, *http.Request) *fakeFault { return &fakeFault{status: http.StatusServiceUnavailable} })
	_, err := openSink(t.Context(), f.config(false, nil), envOf(connecttest.Columns()))
	if err == nil || connect.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	f.setFault(nil)
	s, err := openSink(t.Context(), f.config(false, nil), envOf(connecttest.Columns()))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestSecrets: no error and no log of failures has the key.
func TestSecrets(t *testing.T) {
	f := newFake(t)
	f.container("shop", "teams", "/id")
	var logs strings.Builder
	look := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
			return
		}
		all := fmt.Sprintf("%v %+v %#v %s", err, err, errors.Unwrap(err), logs.String())
		if strings.Contains(all, f.key) || strings.Contains(all, "c2VjcmV0") || strings.Contains(all, "sig=") {
			t.Errorf("%s shows a secret: %s", what, all)
		}
	}
	env := envOf(connecttest.Columns())
	env.Log = slog.New(slog.NewTextHandler(&logs, nil))
	s, err := openSink(t.Context(), f.config(false, nil), env)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Write(t.Context(), 1, connecttest.Batch(connecttest.Rows(1, 3))); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []*fakeFault{{status: 401}, {status: 403}, {status: 404}, {status: 500}, {status: 503}, {status: 410}, {cut: true}} {
		f.setFault(func(string, *http.Request) *fakeFault { return fault })
		look(fmt.Sprint("Prepare ", *fault), s.Prepare(t.Context(), 1, 0))
		if !fault.cut {
			_, err = openSink(t.Context(), f.config(false, nil), env)
			look("openSink", err)
			_, err = openSource(t.Context(), f.config(true, nil), connect.SourceEnv{Input: "in", State: disk.NewMem(1).Boot(), Log: env.Log})
			look("openSource", err)
			look("probe", errors.New(problemText(probe(t.Context(), f.config(false, nil), connect.ProbeEnv{}))))
		}
	}
	f.setFault(nil)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusBadRequest, "BadRequest", "what came: "+f.key) // a proxy that tells too much
	}))
	defer echo.Close()
	_, err = openSink(t.Context(), f.config(false, map[string]any{"endpoint": echo.URL}), env)
	look("a server that repeats the key", err)
	for _, cs := range []string{"AccountEndpoint=https://x/;AccountKey=c2VjcmV0!;", "AccountEndpoint=c2VjcmV0", "c2VjcmV0", "AccountEndpoint=https://u:c2VjcmV0@x/;AccountKey=c2VjcmV0"} {
		list := check(configOf(false, map[string]any{"connection_string": connect.NewHidden(cs), "database": "d", "container": "c"}), false)
		look("check", errors.New(problemText(list)))
		if len(list) == 0 {
			t.Errorf("%s is taken", cs)
		}
	}
}

// problemText is problems as lines: "field: text [hint]".
func problemText(list []connect.Problem) string {
	var lines []string
	for _, p := range list {
		lines = append(lines, fmt.Sprintf("%s: %s [%s]", p.Field, p.Text, p.Hint))
	}
	return strings.Join(lines, "\n")
}
