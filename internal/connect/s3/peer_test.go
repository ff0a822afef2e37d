package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/objects"
	"weir/internal/disk"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer is a server to test with, and how one gets in.
type peer struct {
	endpoint, access, secret string
	buckets                  *atomic.Int64
}

// secretKey is planted in settings: no error or log may show it.
const secretKey = "planted-secret-key"

// fake is a server in this process, in memory. before, if set, may answer a request: it reports
// whether it did.
func fake(t testing.TB, before func(w http.ResponseWriter, r *http.Request) bool) *peer {
	t.Helper()
	// Its clock stands: objects are in the order of their dates, not of the seconds of the test.
	handler := gofakes3.New(s3mem.New(s3mem.WithTimeSource(gofakes3.FixedTimeSource(time.Now()))), gofakes3.WithTimeSkewLimit(0)).Server()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that tests break
	server.Start()
	t.Cleanup(server.Close)
	return &peer{endpoint: server.URL, access: "weir", secret: secretKey, buckets: new(atomic.Int64)}
}

// config is settings with the defaults of the others.
func (p *peer) config(bucket string, given map[string]any) connect.Config {
	values := map[string]any{"endpoint": p.endpoint, "region": "us-east-1", "bucket": bucket, "sign_in": signAuto, "access_key": p.access,
		"secret_key": connect.NewHidden(p.secret), "path_style": true,
		"path": "{n}{ext}", "naming": "path", "date_format": "yyyy/MM/dd", "time_format": "HH", "exists": "fail",
		"max_files": int64(100), "max_open": int64(2), "max_staged": int64(1 << 30)}
	for k, v := range given {
		values[k] = v
	}
	return connect.Config{Values: values}
}

// input is settings of an input with the defaults of the others, whose looks follow each other
// quickly.
func (p *peer) input(bucket string, given map[string]any) connect.Config {
	c := p.config(bucket, map[string]any{"path": "in/{date}", "partitions": int64(1), "order": "modified", "append": false, "poll": time.Millisecond,
		"max_poll": 10 * time.Millisecond, "look_back": 24 * time.Hour, "relist": time.Minute, "max_open": int64(64), "refresh": time.Minute})
	for k, v := range given {
		c.Values[k] = v
	}
	return c
}

// sources runs the conformance suite of sources over a peer. If its clock goes on, objects of one
// look may have times in two seconds, and come in another order when they are looked for from
// the second one on first.
func sources(t *testing.T, p *peer, unordered bool) {
	connecttest.Sources{Format: connect.Format{Type: "json"}, Unordered: unordered, New: func(t testing.TB) *connecttest.Feed {
		bucket := p.bucket(t)
		s := p.open(t, bucket)
		feed := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		feed.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return newSource(context.Background(), p.input(bucket, nil), env)
		}
		n := 0
		feed.Add = func(rows []connecttest.Row) error {
			n++
			var b bytes.Buffer
			for _, r := range rows {
				if err := json.NewEncoder(&b).Encode(r); err != nil {
					return err
				}
			}
			return put(s, fmt.Sprintf("in/2024/05/%02d/%d.json", 1+n/4, n), b.String(), true)
		}
		for i := range 4 {
			ok(t, feed.Add(feed.Rows[50*i:50*i+50]))
		}
		return feed
	}}.Run(t)
}

// bucket makes one that is new.
func (p *peer) bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("weir-test-%d-%d", time.Now().UnixNano(), p.buckets.Add(1))
	s, err := open(p.config(name, nil))
	ok(t, err)
	defer s.Close()
	ok(t, s.core.MakeBucket(context.Background(), name, minio.MakeBucketOptions{Region: "us-east-1"}))
	return name
}

// open is the store of a bucket.
func (p *peer) open(t testing.TB, bucket string) *store {
	t.Helper()
	s, err := open(p.config(bucket, nil))
	ok(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// content is the text of all objects of a bucket, by name.
func content(s *store) (map[string][]byte, error) {
	ctx := context.Background()
	all := map[string][]byte{}
	for o, err := range s.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		r, err := s.Open(ctx, o.Name, 0, o.ETag)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
		all[o.Name] = b
	}
	return all, nil
}

// rowsIn are the rows of all objects of a bucket, whose metadata must say how many there are.
func rowsIn(s *store) (rows []connecttest.Row, err error) {
	all, err := content(s)
	if err != nil {
		return nil, err
	}
	for name, b := range all {
		n := 0
		for line := range bytes.Lines(b) {
			var r connecttest.Row
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			rows = append(rows, r)
			n++
		}
		_, meta, err := s.Stat(context.Background(), name)
		if err != nil {
			return nil, err
		}
		if meta["rows"] != strconv.Itoa(n) || meta["job"] != "job" || len(meta["sha256"]) != 64 {
			return nil, fmt.Errorf("%s has %d rows and the metadata %v", name, n, meta)
		}
	}
	return rows, nil
}

// suite runs the conformance suite of sinks over a peer.
func suite(t *testing.T, p *peer, stride int, given map[string]any) {
	connecttest.Sinks{Delayed: true, Unordered: true, Stride: stride, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
		m := disk.NewMem(7)
		bucket := p.bucket(t)
		s := p.open(t, bucket)
		var last connect.Sink
		end := func() {
			if last != nil {
				last.Close() // its process has ended: its uploads are not to go on
			}
		}
		t.Cleanup(end)
		return &connecttest.Target{Disk: m,
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				end()
				var err error
				last, err = newSink(context.Background(), p.config(bucket, given), env)
				if err != nil {
					last = nil
				}
				return last, err
			},
			Rows: func() ([]connecttest.Row, error) { return rowsIn(s) },
		}
	}}.Run(t)
}

// output is a sink driven by hand.
type output struct {
	t     testing.TB
	c     connect.Config
	state *disk.Mem
	log   lockedBuffer
	sink  connect.Sink
	n     int64
}

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newOutput(t testing.TB, c connect.Config) *output {
	o := &output{t: t, c: c, state: disk.NewMem(3)}
	t.Cleanup(func() {
		if o.sink != nil {
			o.sink.Close()
		}
	})
	return o
}

func (o *output) open() error {
	if o.sink != nil {
		o.sink.Close()
	}
	o.state.Kill()
	state, err := o.state.Boot().Sub("state")
	if err != nil {
		return err
	}
	o.sink, err = newSink(context.Background(), o.c, connect.SinkEnv{Job: "job", Output: "out", Instance: "i", Columns: connecttest.Columns(), State: state,
		Reject: func(connect.RowError) error { return errors.New("rejected") }, Log: slog.New(slog.NewTextHandler(&o.log, nil)), Now: time.Now})
	if err != nil {
		o.sink = nil
	}
	return err
}

// epoch writes rows and commits them, with the time of the last one as the watermark, or the
// end of all.
func (o *output) epoch(end bool, rows ...connecttest.Row) error {
	o.n++
	ctx := context.Background()
	if err := o.sink.Write(ctx, o.n, connecttest.Batch(rows)); err != nil {
		return err
	}
	return o.commit(end, rows[len(rows)-1])
}

func (o *output) commit(end bool, last connecttest.Row) error {
	mark := last.Time()
	if end {
		mark = 1<<63 - 1
	}
	if err := o.sink.Prepare(context.Background(), o.n, mark); err != nil {
		return err
	}
	return o.sink.Commit(context.Background(), o.n)
}

// await waits until something holds.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come to be that " + what)
		}
	}
}

// get is the text of an object from an offset on.
func get(s *store, name string, offset int64, etag string) (string, error) {
	r, err := s.Open(context.Background(), name, offset, etag)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func put(s *store, name, text string, absent bool) error {
	return s.Put(context.Background(), name, bytes.NewReader([]byte(text)), int64(len(text)), objects.PutOptions{ContentType: "text/plain", IfAbsent: absent, Metadata: map[string]string{"job": "j"}})
}
