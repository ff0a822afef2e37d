package service_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/service"
	"weir/internal/service/servicetest"
	"weir/internal/vec"
)

// whyOf runs a job over events and waits until the funnel has a cause.
func (h *harness) whyOf(name, query string, want string, events func(f *servicetest.Feed)) service.Why {
	h.t.Helper()
	h.deploy(name, servicetest.Job(name, query), job.StartBeginning)
	events(servicetest.FeedOf(name))
	var w service.Why
	var err error
	for {
		if w, err = h.Why(name, ""); err != nil {
			h.t.Fatal(err)
		}
		if strings.Contains(w.Cause, want) {
			return w
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-h.ctx.Done():
			h.t.Fatalf("the cause is\n%s\nand not\n%s\n%s", w.Cause, want, w.Text)
		}
	}
}

// nowTicks is the time in ticks, to the second.
func nowTicks() vec.Time {
	return vec.FromCivil(1970, 1, 1) + vec.Time(time.Now().Unix())*vec.Second
}

func TestWhy(t *testing.T) {
	h := open(t, t.TempDir())
	f := func(name, query, cause, fix, text string, events func(f *servicetest.Feed)) {
		t.Helper()
		w := h.whyOf(name, query, cause, events)
		if !strings.Contains(w.Fix, fix) {
			t.Errorf("%s: the fix is\n%s\nand not\n%s", name, w.Fix, fix)
		}
		if !strings.Contains(w.Text, text) {
			t.Errorf("%s: the text is\n%s\nand has no\n%s", name, w.Text, text)
		}
	}
	add := func(n int, format string) func(f *servicetest.Feed) {
		return func(f *servicetest.Feed) {
			for i := range n {
				f.AddAt(nowTicks(), fmt.Sprintf(format, i))
			}
		}
	}
	f("why-none", passes, `no event has come from input "events"`, "--from beginning", "0 received from events", func(*servicetest.Feed) {})
	f("why-bad", passes, "3 of 3 texts from input \"events\" could not be read: InputDeserializerError.InvalidData", "say what the events are",
		"− 3 malformed   InputDeserializerError.InvalidData", add(3, "nonsense %d"))
	f("why-filter", "SELECT n INTO rows FROM events WHERE n > 100", `the condition of output "rows"`, `"weir tap why-filter events"`,
		"− 5 filtered out", add(5, `{"n":%d}`))
	f("why-fine", passes, "nothing is missing", "", "rows in rows", add(2, `{"n":%d}`))
	nine := time.Now().UTC().Add(9 * time.Hour).Format("2006-01-02T15:04:05")
	f("why-zone", "SELECT n INTO rows FROM events TIMESTAMP BY Date", "Date is 9h ahead of its arrival, which is the distance of a time zone (UTC+09:00)",
		"TIMESTAMP BY DATEADD(hour, -9, Date)", "− 4 early", add(4, `{"n":%d,"Date":"`+nine+`"}`))
	f("why-time", "SELECT n INTO rows FROM events TIMESTAMP BY Date", "have no time: Date is absent", "behind TIMESTAMP BY", "− 4 without a time",
		add(4, `{"n":%d,"date":1}`))
	f("why-join", "SELECT a.n INTO rows FROM events a TIMESTAMP BY t JOIN events b TIMESTAMP BY t ON DATEDIFF(second, a, b) BETWEEN 0 AND 5 AND a.k = b.m",
		"pairs none of", "compare the keys", "without a partner in a join", add(3, `{"n":%d,"k":"x","m":"y","t":"`+time.Now().UTC().Format(time.RFC3339)+`"}`))
}

func TestWhyAWindowWaits(t *testing.T) {
	h := open(t, t.TempDir())
	w := h.whyOf("why-window", "SELECT COUNT(*) AS n INTO rows FROM events TIMESTAMP BY t GROUP BY TumblingWindow(day, 1)", "it closes when the watermark passes",
		func(f *servicetest.Feed) {
			f.AddAt(nowTicks(), `{"t":"`+time.Now().UTC().Format(time.RFC3339Nano)+`"}`)
		})
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	if w.Closes == nil || !w.Closes.At.Equal(midnight) || w.Closes.Watermark.IsZero() || !strings.Contains(w.Closes.HeldBy, "events") {
		t.Errorf("closes: %+v", w.Closes)
	}
	if !strings.Contains(w.Text, "wait for their window to close") {
		t.Errorf("text: %s", w.Text)
	}
}

// TestWhyText holds the form of the text, over counts that are given.
func TestWhyText(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(file, []byte(servicetest.Job("form", "SELECT n INTO rows FROM events TIMESTAMP BY t")), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := project.Load(file, project.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := service.Assemble(context.Background(), j, service.AssembleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st := job.Stats{State: job.Running,
		Inputs: []job.InputStats{{Name: "events", Events: 24_301, Errors: map[string]int64{"InputDeserializerError.InvalidData": 9},
			Partitions: []job.PartitionStats{{Name: "p0", Events: 8101}, {Name: "p1", Events: 16_200}}}},
		Outputs: []job.OutputStats{{Name: "rows", Rows: 1, Guarantee: "exactly once"}},
	}
	for _, n := range a.Spec.Plan.Nodes {
		s := job.StepStats{Node: n.ID, Step: "rows", In: 24_301, Out: 24_301}
		if len(n.In) > 0 && len(n.In[0].In) == 0 { // the node that gives events their time
			s.Out, s.Dropped, s.Line = 1, map[string]int64{"LateInputEvent": 24_300}, 5
		}
		st.Steps = append(st.Steps, s)
	}
	letters := func(string) []job.DeadLetter {
		return []job.DeadLetter{{Payload: `{"t":"2018-01-10T10:00:00Z"}`, Arrival: "2018-01-13T14:00:00.0000000Z"}}
	}
	w := service.Explain("form", a, 0, st, service.Evidence{Letters: letters})
	const want = `rows has 1 row
  24,310 received from events   p0 8,101 · p1 16,200
     − 9 malformed   InputDeserializerError.InvalidData
− 24,300 late   in rows, line 5, LateInputEvent
       1 row in rows   exactly once
likely cause: 24,300 of 24,301 events of "events" are late: t is 3d4h behind its arrival; one has t=2018-01-10T10:00:00Z and arrived 2018-01-13T14:00:00Z
fix: raise late_arrival, or set arrival: event in the input to run old events again
`
	if w.Text != want {
		t.Errorf("the text is\n%s\nand not\n%s", w.Text, want)
	}
	if w.Biggest != 2 {
		t.Errorf("the biggest loss is stage %d", w.Biggest)
	}
}
