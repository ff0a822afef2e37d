//go:build services

package pipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// benthos is the program, and a configuration for it in a file.
func benthos(t *testing.T, text string) []string {
	t.Helper()
	program := os.Getenv("WEIR_TEST_BENTHOS")
	if program == "" {
		t.Fatal("WEIR_TEST_BENTHOS is not set: run this with scripts/services.sh")
	}
	file := filepath.Join(t.TempDir(), "connect.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{program, "run", file}
}

// TestServiceBenthosIn: what Redpanda Connect reads comes in, each event once, with values that
// it has computed.
func TestServiceBenthosIn(t *testing.T) {
	const events = 20_000
	c := config(true, map[string]any{"restart": time.Hour, "command": benthos(t, fmt.Sprintf(`
http: {enabled: false}
logger: {level: WARN}
input:
  generate: {count: %d, interval: "", batch_size: 100, mapping: 'root = {"n": counter(), "text": "ünïcödé \"🚀\""}'}
pipeline:
  threads: 1
  processors:
    - mapping: 'root = this.assign({"square": this.n * this.n})'
output:
  stdout: {codec: lines}
`, events))})
	s, err := openSource(ctx(), c, connect.SourceEnv{State: disk.NewMem(1).Boot()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	src := s.(*source)
	if err := kept(src, events); err != nil {
		t.Fatalf("%v; %v", err, src.trouble())
	}
	r, err := s.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for n < events {
		chunk, err := r.Read(t.Context(), 1<<20, "")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(chunk.Data)) {
			n++
			if !strings.Contains(line, fmt.Sprintf(`"n":%d,"square":%d,"text":"ünïcödé \"🚀\""`, n, n*n)) {
				t.Fatalf("line %d is %s", n, line)
			}
		}
	}
}

// TestServiceBenthosOut: Redpanda Connect writes the rows that it reads, and says so by a line
// for each.
func TestServiceBenthosOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows")
	c := config(false, map[string]any{"command": benthos(t, fmt.Sprintf(`
http: {enabled: false}
logger: {level: WARN}
input:
  stdin: {codec: lines}
pipeline:
  threads: 1
  processors:
    - mapping: 'root = this.assign({"seen": true})'
output:
  broker:
    pattern: fan_out_sequential
    outputs:
      - file: {path: %s, codec: lines}
      - stdout: {codec: lines}
`, file))})
	s, err := openSink(ctx(), c, connect.SinkEnv{Job: "j", Output: "o", Instance: "i", State: disk.NewMem(1).Boot(), Columns: connecttest.Columns()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows := connecttest.Rows(1, 3000)
	for n := range int64(3) {
		some := rows[n*1000 : (n+1)*1000]
		if err := s.Write(t.Context(), n+1, connecttest.Batch(some)); err != nil {
			t.Fatal(err)
		}
		if err := s.Prepare(t.Context(), n+1, vec.MinTime); err != nil {
			t.Fatal(err)
		}
		limit, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := s.Commit(limit, n+1); err != nil {
			t.Fatal(err)
		}
		cancel()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(b), `"seen":true`); got != int(n+1)*1000 {
			t.Errorf("after epoch %d there are %d rows", n+1, got)
		}
	}
}
