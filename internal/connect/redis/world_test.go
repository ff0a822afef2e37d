package redis

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// config is settings with the defaults of the others.
func config(t testing.TB, values map[string]any) connect.Config {
	t.Helper()
	c := connect.Config{Values: map[string]any{}}
	for _, f := range spec.Fields {
		if f.Default == "" {
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
		}
		must(t, err)
		c.Values[f.Name] = v
	}
	for k, v := range values {
		c.Values[k] = v
	}
	return c
}

// states are the directories of the jobs of a test.
var states = map[string]*disk.Mem{}

// sinkEnv is what a job opens its output with; it is the same each time.
func sinkEnv(job string) connect.SinkEnv {
	if states[job] == nil {
		states[job] = disk.NewMem(1)
	}
	return connect.SinkEnv{Job: job, Output: "out", Instance: "one", Columns: connecttest.Columns(), State: states[job].Boot(),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Reject: func(e connect.RowError) error { return nil }}
}
