package project

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
)

// init adds connectors that stand for all: one with a field of each type, one that only
// writes.
func init() {
	source := func(context.Context, connect.Config, connect.SourceEnv) (connect.Source, error) {
		return nil, errors.New("not opened")
	}
	sink := func(context.Context, connect.Config, connect.SinkEnv) (connect.Sink, error) {
		return nil, errors.New("not opened")
	}
	connect.Register(&connect.Spec{Name: "probe", Summary: "A connector of the tests.", Source: source, Sink: sink, Reference: true,
		Fields: []connect.Field{
			{Name: "address", Type: connect.Text, Required: true, Doc: "Where."},
			{Name: "password", Type: connect.Secret, Doc: "The key."},
			{Name: "count", Type: connect.Int, Default: "3", Doc: "How many."},
			{Name: "fast", Type: connect.Bool, Doc: "Fast."},
			{Name: "wait", Type: connect.Duration, Default: "10s", Doc: "How long."},
			{Name: "room", Type: connect.Size, Default: "64MiB", Doc: "How much."},
			{Name: "mode", Type: connect.Enum, Values: []string{"insert", "upsert"}, Output: true, Doc: "How."},
			{Name: "key", Type: connect.List, Doc: "Columns."},
			{Name: "path", Type: connect.Path, Doc: "A file."},
			{Name: "headers", Type: connect.Map, Doc: "Pairs."},
			{Name: "group", Type: connect.Text, Input: true, Doc: "Readers."},
		},
		Check: func(c connect.Config, input bool) []connect.Problem {
			if c.Text("mode") == "upsert" && len(c.List("key")) == 0 {
				return []connect.Problem{{Field: "mode", Text: "upsert needs a key", Hint: "write key: [COLUMN]"}}
			}
			if strings.HasPrefix(c.Text("address"), "bad") {
				return []connect.Problem{{Text: "the address " + c.Text("address") + " is bad"}}
			}
			return nil
		},
		Example: "NAME:\n  type: probe\n  address: here\n"})
	// What Azure's services are mapped to, as far as that is of concern here.
	database := []connect.Field{{Name: "host", Type: connect.Text}, {Name: "port", Type: connect.Int}, {Name: "database", Type: connect.Text},
		{Name: "user", Type: connect.Text}, {Name: "password", Type: connect.Secret}, {Name: "table", Type: connect.Text, Required: true, Output: true}, {Name: "table", Type: connect.Text, Input: true},
		{Name: "query", Type: connect.Text, Input: true}, {Name: "delta_query", Type: connect.Text, Input: true}, {Name: "refresh", Type: connect.Duration, Input: true}}
	for _, name := range []string{"sqlserver", "postgres"} {
		connect.Register(&connect.Spec{Name: name, Source: source, Sink: sink, Reference: true, ReferenceOnly: true, Fields: database})
	}
	connect.Register(&connect.Spec{Name: "http", Sink: sink, Fields: []connect.Field{{Name: "url", Type: connect.Text, Required: true}, {Name: "api_key", Type: connect.Secret},
		{Name: "batch_rows", Type: connect.Int}, {Name: "batch_bytes", Type: connect.Size}}})
	connect.Register(&connect.Spec{Name: "hub", Source: source, Sink: sink, Fields: []connect.Field{{Name: "hub", Type: connect.Text, Required: true}, {Name: "create", Type: connect.Bool},
		{Name: "partitions", Type: connect.Int, Default: "4"}, {Name: "consumer_group", Type: connect.Text, Input: true},
		{Name: "partition_key", Type: connect.Text, Output: true}, {Name: "property_columns", Type: connect.List, Output: true}}})
	cosmos := []connect.Field{{Name: "key", Type: connect.Secret}, {Name: "database", Type: connect.Text, Required: true}, {Name: "container", Type: connect.Text, Required: true}}
	for _, name := range []string{"account", "endpoint", "sign_in", "document_id", "partition_key", "mode"} {
		cosmos = append(cosmos, connect.Field{Name: name, Type: connect.Text})
	}
	connect.Register(&connect.Spec{Name: "cosmos", Sink: sink, Fields: cosmos})
	connect.Register(&connect.Spec{Name: "azure-blob", Source: source, Sink: sink, Reference: true, Fields: []connect.Field{{Name: "container", Type: connect.Text, Required: true},
		{Name: "account", Type: connect.Text}, {Name: "account_key", Type: connect.Secret}, {Name: "sign_in", Type: connect.Enum, Values: []string{"key", "entra"}},
		{Name: "path", Type: connect.Text}, {Name: "date_format", Type: connect.Text}, {Name: "time_format", Type: connect.Text}, {Name: "partitions", Type: connect.Int, Input: true}, {Name: "refresh", Type: connect.Duration, Input: true},
		{Name: "max_rows", Type: connect.Int, Output: true}, {Name: "max_age", Type: connect.Duration, Output: true}}})
	bus := []connect.Field{{Name: "key", Type: connect.Secret}, {Name: "property_columns", Type: connect.List}, {Name: "system_property_columns", Type: connect.Map}}
	for _, name := range []string{"namespace", "key_name", "sign_in", "queue", "topic"} {
		bus = append(bus, connect.Field{Name: name, Type: connect.Text})
	}
	connect.Register(&connect.Spec{Name: "servicebus", Sink: sink, Fields: bus})
	connect.Register(&connect.Spec{Name: "powerbi", Sink: sink, Fields: []connect.Field{{Name: "push_url", Type: connect.Secret, Required: true}}})
	connect.Register(&connect.Spec{Name: "drain", Summary: "It only writes.", Sink: sink})
}

// write makes files below a new folder and gives its path. Names and texts alternate.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, filepath.FromSlash(files[i]))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// env is an environment of pairs.
func env(pairs ...string) Options {
	return Options{Env: func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}}
}

// load loads a job that must be right.
func load(t *testing.T, path string, o Options) *Job {
	t.Helper()
	j, err := Load(path, o)
	if err != nil {
		var p *Problem
		if errors.As(err, &p) {
			var b strings.Builder
			p.Render(&b, false)
			t.Fatalf("%s:\n%s", path, b.String())
		}
		t.Fatal(err)
	}
	return j
}

const fullYAML = `# a job
version: 1
job:
  name: downtime
  query: ./downtime.saql
  compatibility: 1.1
  time:
    late_arrival: none
    out_of_order: PT1M30.5S
    policy: drop
  on_output_error: deadletter
  on_query_error: drop
  shards: 4
  checkpoint: 1s
inputs:
  downtime:
    type: probe
    address: ${env:ADDRESS:-here}/$$x
    password: ${env:KEY}
    count: ${env:COUNT}
    fast: true
    wait: 1m
    room: 1 KiB
    key: [TeamId, 7]
    path: data/in.jsonl
    headers: {a: b}
    group: g
    format: {type: csv, delimiter: tab, header: false, compression: gzip}
    sample: ./samples/downtime.tsv
    arrival: event
  teams: {type: probe, address: x, reference: true, format: json}
outputs:
  result:
    type: probe
    address: ${file:secret.txt}
    mode: upsert
    key: TeamId
    on_error: drop
    format: {array: true}
  seen:
functions:
  mask: ./mask.js
  total: {script: "function main() {}", aggregate: true}
`

func TestWeirYAML(t *testing.T) {
	dir := write(t, "weir.yaml", fullYAML, "downtime.saql", "SELECT 1", "samples/downtime.tsv", "a\n", "secret.txt", "somewhere\r\n",
		"mask.js", "\ufefffunction main(x) {}", "a_test.yaml", "", "tests/b_test.yaml", "")
	j := load(t, dir, env("KEY", "s3cret-key", "COUNT", "12"))
	equal := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	equal("kind", j.Kind, Weir)
	equal("name", j.Name, "downtime")
	equal("query", j.Query, "SELECT 1")
	equal("level", j.Level, plan.Level11)
	equal("late", j.Late, time.Duration(-1))
	equal("order", j.OutOfOrder, 90500*time.Millisecond)
	equal("drop", j.Drop, true)
	equal("output errors", j.OutputErrors, DeadLetter)
	equal("query errors", j.QueryErrors, "drop")
	equal("shards", j.Shards, 4)
	equal("checkpoint", j.Checkpoint, time.Second)
	equal("tests", len(j.Tests), 2)
	in := j.Inputs[0]
	equal("address", in.Config.Text("address"), "here/$x")
	equal("password", in.Config.Secret("password").Expose(), "s3cret-key")
	equal("count", in.Config.Int("count"), int64(12))
	equal("fast", in.Config.Bool("fast"), true)
	equal("wait", in.Config.Duration("wait"), time.Minute)
	equal("room", in.Config.Int("room"), int64(1024))
	equal("key", strings.Join(in.Config.List("key"), "+"), "TeamId+7")
	equal("path", in.Config.Text("path"), filepath.Join(dir, "data", "in.jsonl"))
	equal("headers", in.Config.Map("headers")["a"], "b")
	equal("format", in.Format, connect.Format{Type: "csv", Delimiter: '\t', NoHeader: true, Compression: "gzip"})
	equal("sample", in.Sample, filepath.Join(dir, "samples", "downtime.tsv"))
	equal("sample format", in.SampleFormat, connect.Format{Type: "csv", Delimiter: '\t', NoHeader: true})
	equal("arrival", in.Arrival, "event")
	equal("place", in.Place.Line, 16)
	equal("reference", j.Inputs[1].Reference, true)
	equal("default", j.Inputs[1].Config.Int("count"), int64(3))
	out := j.Outputs[0]
	equal("out address", out.Config.Text("address"), "somewhere")
	equal("on error", out.OnError, Drop)
	equal("array", out.Format.Array, true)
	equal("no type", j.Outputs[1].Connector, (*connect.Spec)(nil))
	equal("function", j.Functions[0].Script, "function main(x) {}")
	equal("aggregate", j.Functions[1].Aggregate, true)
}
