//go:build services

package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run scripts/services.sh run go test -tags services ...", name)
	}
	return v
}

// service is the server that scripts/services/s3.sh starts.
func service(t testing.TB) *peer {
	t.Helper()
	return &peer{endpoint: variable(t, "WEIR_TEST_S3"), access: variable(t, "WEIR_TEST_S3_ACCESS"), secret: variable(t, "WEIR_TEST_S3_SECRET"), buckets: new(atomic.Int64)}
}

// TestServiceContract holds the store to its contract.
func TestServiceContract(t *testing.T) { contract(t, service(t)) }

// TestServiceSinks runs the conformance suite of sinks.
func TestServiceSinks(t *testing.T) {
	suite(t, service(t), 211, map[string]any{"path": "{date}/{n}{ext}", "max_rows": int64(7)})
}

// TestServiceSources runs the conformance suite of sources.
func TestServiceSources(t *testing.T) { sources(t, service(t), true) }

// TestServiceTLS signs in over TLS, with a file that vouches for the server, and is refused with
// wrong settings.
func TestServiceTLS(t *testing.T) {
	p := service(t)
	p.endpoint = variable(t, "WEIR_TEST_S3_TLS")
	given := map[string]any{"tls_ca": variable(t, "WEIR_TEST_S3_CA")}
	c := p.config("weir-test-tls", given)
	s, err := open(c)
	ok(t, err)
	defer s.Close()
	ok(t, s.core.MakeBucket(context.Background(), "weir-test-tls", minio.MakeBucketOptions{Region: "us-east-1"}))
	ok(t, put(s, "x", "text", true))
	if got, err := get(s, "x", 1, ""); got != "ext" || err != nil {
		t.Error(got, err)
	}
	f := func(change map[string]any, field, hint string) {
		t.Helper()
		for k, v := range given {
			if _, has := change[k]; !has {
				change[k] = v
			}
		}
		c := p.config("weir-test-tls", change)
		list := probe(context.Background(), c, connect.ProbeEnv{})
		if hint == "" {
			if len(list) != 0 {
				t.Error(list)
			}
			return
		}
		if len(list) != 1 || list[0].Field != field || list[0].Hint != hint {
			t.Errorf("%+v", list)
		}
	}
	f(map[string]any{}, "", "")
	f(map[string]any{"tls_ca": ""}, "", "name the authority's certificate with tls_ca")
	f(map[string]any{"bucket": "weir-test-none"}, "bucket", "make it, or correct the setting bucket")
	f(map[string]any{"secret_key": connect.NewHidden("wrong")}, "secret_key", "secret_key does not belong to access_key, or something on the way changes requests")
	f(map[string]any{"region": "eu-west-1"}, "region", "set region: us-east-1")
}

// control stops, kills or starts the server.
func control(t testing.TB, verb string) {
	t.Helper()
	if out, err := exec.Command(variable(t, "WEIR_TEST_S3_CONTROL"), verb).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", verb, err, out)
	}
}

// TestServiceKilled has a server that is killed in the midst of uploads, twice, while rows come,
// and a process that ends meanwhile: the job goes on, says what is wrong, and every row is there
// once.
func TestServiceKilled(t *testing.T) {
	p := service(t)
	bucket := p.bucket(t)
	o := newOutput(t, p.config(bucket, map[string]any{"path": "{n}{ext}", "max_rows": int64(20)}))
	ok(t, o.open())
	rows := connecttest.Rows(1, 2000)
	for i := 0; i < len(rows); i += 10 {
		switch i {
		case 300, 1200:
			control(t, "kill")
		case 600, 1500:
			await(t, "the sink says what ails it", func() bool { return o.sink.(connect.Ailing).Ailing() != nil })
			ok(t, o.open())
		case 900, 1800:
			control(t, "start")
		}
		ok(t, o.epoch(false, rows[i:i+10]...))
	}
	err := o.epoch(true, connecttest.Row{ID: 5000, Text: "end"})
	for until := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(until); {
		err = o.sink.Commit(context.Background(), o.n)
	}
	ok(t, err)
	got, err := rowsIn(p.open(t, bucket))
	ok(t, err)
	seen := map[int64]int{}
	for _, r := range got {
		seen[r.ID]++
	}
	if len(got) != len(rows)+1 || len(seen) != len(got) {
		t.Errorf("%d rows, %d different ones, and must be %d", len(got), len(seen), len(rows)+1)
	}
}

// BenchmarkServiceRows writes rows through the sink, in objects of 15 MB.
func BenchmarkServiceRows(b *testing.B) {
	p := service(b)
	bucket := p.bucket(b)
	dir, err := disk.At(b.TempDir())
	ok(b, err)
	c := p.config(bucket, map[string]any{"max_rows": int64(benchRows)})
	sink, err := newSink(context.Background(), c, connect.SinkEnv{Job: "job", Output: "out", Instance: "i", Columns: connecttest.Columns(), State: dir, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(b, err)
	defer sink.Close()
	batch := connecttest.Batch(benchBatch())
	b.SetBytes(int64(len(benchText())))
	n := int64(0)
	for range b.N { // not Loop: the time until the last object is there counts
		for range benchRows / batch.N {
			n++
			ok(b, sink.Write(context.Background(), n, batch))
			ok(b, sink.Prepare(context.Background(), n, connecttest.Origin))
			ok(b, sink.Commit(context.Background(), n))
		}
	}
	n++
	ok(b, sink.Write(context.Background(), n, batch))
	ok(b, sink.Prepare(context.Background(), n, 1<<63-1))
	ok(b, sink.Commit(context.Background(), n))
}

// BenchmarkServiceLibrary writes the bytes of such objects with the library alone.
func BenchmarkServiceLibrary(b *testing.B) {
	p := service(b)
	bucket := p.bucket(b)
	s := p.open(b, bucket)
	text := benchText()
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		n++
		_, err := s.core.Client.PutObject(context.Background(), bucket, fmt.Sprint(n), bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		ok(b, err)
	}
}

const benchRows = 100_000

func benchBatch() []connecttest.Row {
	var rows []connecttest.Row
	for i := range 1000 {
		rows = append(rows, connecttest.Row{ID: int64(i), Text: fmt.Sprintf("a text of a row as logs have it, with a number %d and some more words to come to about 160 bytes, which is what events have on average", i)})
	}
	return rows
}

// benchText is the text of an object.
func benchText() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for range benchRows / 1000 {
		for _, r := range benchBatch() {
			_ = e.Encode(map[string]any{"id": r.ID, "text": r.Text})
		}
	}
	return b.Bytes()
}
