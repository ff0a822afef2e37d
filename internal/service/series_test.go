package service

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/vec"
)

func statsAt(events, rows int64) job.Stats {
	return job.Stats{Version: 1, Inputs: []job.InputStats{{Name: "in", Events: events}}, Outputs: []job.OutputStats{{Name: "out", Rows: rows}},
		Steps: []job.StepStats{{Node: 0, In: events, Out: rows, Busy: time.Duration(events) * time.Millisecond}}, Dead: map[string]int64{"x": rows}}
}

func TestSeries(t *testing.T) {
	var s series
	start := time.Unix(1_000_000, 0)
	const n = seriesSeconds + 100
	for i := range n {
		s.add(start.Add(time.Duration(i)*time.Second), statsAt(int64(i)*10, int64(i)))
	}
	if len(s.points) != seriesSeconds || len(s.recent) != rateSeconds+1 {
		t.Errorf("%d points and %d readings are kept", len(s.points), len(s.recent))
	}
	v := s.last(60)
	if len(v.Events) != 60 || len(v.Inputs["in"]) != 60 || len(v.Outputs["out"]) != 60 {
		t.Fatalf("%d, %d, %d points", len(v.Events), len(v.Inputs["in"]), len(v.Outputs["out"]))
	}
	if v.Events[0] != 10 || v.Rows[59] != 1 || v.DeadLetters[30] != 1 || v.Inputs["in"][59] != 10 || v.Outputs["out"][0] != 1 {
		t.Errorf("series: %+v", v)
	}
	if want := start.Add((n - 60) * time.Second); !v.From.Equal(want) {
		t.Errorf("from %s, not %s", v.From, want)
	}
	if all := s.last(seriesSeconds); len(all.Events) != seriesSeconds-1 {
		t.Errorf("%d points of all", len(all.Events))
	}
	now, then := start.Add(n*time.Second), start.Add((n-10)*time.Second)
	view := viewStats(statsAt(1000, 100), now, statsAt(500, 50), then)
	if view.Inputs[0].EventsPerSecond != 50 || view.Outputs[0].RowsPerSecond != 5 || view.Steps[0].InPerSecond != 50 || view.Steps[0].Busy != 0.05 {
		t.Errorf("rates: %+v", view)
	}
	again := viewStats(statsAt(1, 1), now, statsAt(500, 50), then) // the job was made anew
	if again.Inputs[0].EventsPerSecond != 0 {
		t.Errorf("a rate below zero: %+v", again.Inputs[0])
	}
}

func TestQuantiles(t *testing.T) {
	f := func(q float64, want time.Duration, counts ...int64) {
		t.Helper()
		if got := quantile(job.Histogram{Counts: counts}, q); got != want {
			t.Errorf("%v of %v is %s, not %s", q, counts, got, want)
		}
	}
	last := job.LatencyBounds[len(job.LatencyBounds)-1]
	f(0.5, 0)
	f(0.5, time.Millisecond, 1)
	f(0.5, time.Millisecond, 99, 1)
	f(0.99, 2*time.Millisecond, 99, 1)
	beyond := make([]int64, len(job.LatencyBounds)+1)
	beyond[len(beyond)-1] = 5
	f(0.5, last, beyond...)
}

func TestCivil(t *testing.T) {
	f := func(at vec.Time, want string) {
		t.Helper()
		if got := civil(at); want == "" != got.IsZero() || want != "" && got.Format(time.RFC3339Nano) != want {
			t.Errorf("%v is %s, not %s", at, got, want)
		}
	}
	f(vec.MinTime, "")
	f(vec.MaxTime, "")
	f(vec.FromCivil(2026, 1, 2)+1, "2026-01-02T00:00:00.0000001Z")
	f(vec.FromCivil(1969, 12, 31)+vec.Second/2, "1969-12-31T00:00:00.5Z")
}

func TestScrub(t *testing.T) {
	var s Secrets
	config := func(texts ...string) *project.Job {
		j := &project.Job{}
		for _, text := range texts {
			j.Outputs = append(j.Outputs, project.Output{Config: connect.Config{Values: map[string]any{"p": connect.NewHidden(text)}}})
		}
		return j
	}
	s.Learn(config("hunter2/x y", "hunter2", "abc", ""))
	f := func(text, want string) {
		t.Helper()
		if got := s.Text(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	f("", "")
	f("login hunter2/x y failed", "login *** failed")
	f("login hunter2 failed", "login *** failed")
	f("postgres://u:hunter2%2Fx%20y@h", "postgres://u:***@h")
	f("q=hunter2%2Fx+y&r", "q=***&r")
	f("abc is too short to be looked for", "abc is too short to be looked for")
	// libraries name parts of what they were given
	s.Learn(config("Endpoint=sb://h/;SharedAccessKeyName=root;SharedAccessKey=c2VjcmV0+key=;EntityPath=e", "mysql://u:pass%2Fword@h/db", "https://h/c?sv=1&sig=ab%2Fcd&se=2"))
	f("the key c2VjcmV0+key= of root is wrong", "the key *** of root is wrong")
	f("access denied for u with pass/word", "access denied for u with ***")
	f("GET https://h/c?se=2&sig=ab%2Fcd: 403", "GET https://h/c?se=2&sig=***: 403")
	var b bytes.Buffer
	log := slog.New(scrubbing{slog.NewTextHandler(&b, nil), &s}).With("a", "hunter2").WithGroup("g")
	log.Error("hunter2", "error", errors.New("hunter2"), "text", "hunter2", slog.Group("more", "x", "hunter2"), "n", 1)
	if strings.Contains(b.String(), "hunter2") || strings.Count(b.String(), "***") != 5 {
		t.Errorf("the log: %s", b.String())
	}
}

func TestBundles(t *testing.T) {
	f := func(name string, ok bool) {
		t.Helper()
		if got := (Bundle{name: "x"}).check() == nil; got != ok {
			t.Errorf("%q: %t", name, got)
		}
	}
	f("weir.yaml", true)
	f("Inputs/in put.json", true)
	f("日本/a.saql", true)
	for _, bad := range []string{"", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", `a\b`, `C:\x`, "c:x", "a\x00b", strings.Repeat("a", 600)} {
		f(bad, false)
	}
	many := Bundle{}
	for i := range maxFiles + 1 {
		many[strings.Repeat("a", i+1)] = ""
	}
	if err := many.check(); err == nil || !strings.Contains(err.Error(), "at most 200 files") {
		t.Errorf("many files: %v", err)
	}
	if err := (Bundle{"a": strings.Repeat("x", maxFileBytes+1)}).check(); err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("a large file: %v", err)
	}
	a, b := Bundle{"a": "bc"}, Bundle{"ab": "c"}
	if a.hash() == b.hash() || a.hash() != (Bundle{"a": "bc"}).hash() {
		t.Error("a digest that does not tell names from texts")
	}
	g := func(want string, names ...string) {
		t.Helper()
		b := Bundle{}
		for _, n := range names {
			b[n] = ""
		}
		if got := b.main(); got != want {
			t.Errorf("%v: %q, not %q", names, got, want)
		}
	}
	g(".", "weir.yaml", "q.saql")
	g(".", "asaproj.json", "q.asaql")
	g("job.yaml", "job.yaml")
	g("x.JobTemplate.json", "x.JobTemplate.json")
}

func TestEventsAreBounded(t *testing.T) {
	l := newEventLog()
	_, wait := l.after(0)
	for range maxEvents + 10 {
		l.add(Event{Kind: "x"})
	}
	select {
	case <-wait:
	default:
		t.Error("nobody was woken")
	}
	all, _ := l.after(0)
	if len(all) != maxEvents || all[0].ID != 11 || all[len(all)-1].ID != maxEvents+10 {
		t.Errorf("%d events from %d", len(all), all[0].ID)
	}
	some, _ := l.after(maxEvents + 8)
	none, _ := l.after(maxEvents + 100)
	if len(some) != 2 || len(none) != 0 {
		t.Errorf("%d and %d events", len(some), len(none))
	}
}
