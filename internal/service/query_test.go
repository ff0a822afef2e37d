package service_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"weir/internal/service"
)

// TestSampleRunEnds: two events that give rows for hours, and a row of many bytes.
func TestSampleRunEnds(t *testing.T) {
	h := open(t, t.TempDir())
	f := func(query, events string, patience time.Duration) service.SampleResult {
		t.Helper()
		ctx, cancel := context.WithTimeout(h.ctx, patience)
		defer cancel()
		began := time.Now()
		out, err := h.RunSample(ctx, service.SampleRun{Query: service.Query{Text: query}, Inputs: map[string]string{"i": events}})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > patience+5*time.Second {
			t.Errorf("%s took %s", query, took)
		}
		return out
	}
	out := f("SELECT COUNT(*) AS c INTO o FROM i TIMESTAMP BY t GROUP BY HoppingWindow(ms, 604800000, 1)", `{"t":"2020-01-01"}`+"\n"+`{"t":"2029-01-01"}`, 300*time.Millisecond)
	if !strings.Contains(out.Error, "took longer") || len(out.Outputs[0].Rows) != 1000 {
		t.Errorf("%d rows, %q", len(out.Outputs[0].Rows), out.Error)
	}
	out = f("SELECT "+strings.Repeat("REPLICATE(a, 900), ", 10)+"a INTO o FROM i", `{"a":"`+strings.Repeat("x", 1000)+`"}`, time.Minute)
	if o := out.Outputs[0]; len(o.Rows) != 0 || o.More != 1 || out.Error != "" {
		t.Errorf("%d rows, %d more, %q", len(o.Rows), o.More, out.Error)
	}
}
