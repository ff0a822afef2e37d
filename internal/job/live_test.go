package job

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// rowWriter writes rows as JSON lines.
func rowWriter(c connect.Columns) func(b *vec.Batch) []string {
	enc := codec.NewEncoder(codec.JSONLines, c.Names, c.Row)
	return func(b *vec.Batch) []string {
		return slices.Collect(strings.Lines(string(enc.Encode(nil, b))))
	}
}

// liveCase is a job over a source and a target in memory.
type liveCase struct {
	disk   *disk.Mem
	source *memSource
	target *memTarget
	spec   LiveSpec
}

func newLiveCase(t testing.TB, query string) *liveCase {
	c := &liveCase{disk: disk.NewMem(1), source: &memSource{}, target: &memTarget{}}
	c.spec = LiveSpec{Name: "j", Plan: compile(t, query), Late: 5 * time.Second, Start: StartBeginning, Checkpoint: time.Second}
	for _, in := range c.spec.Plan.Inputs {
		c.spec.Inputs = append(c.spec.Inputs, LiveInput{Name: in.Name, Open: func(connect.SourceEnv) (connect.Source, error) { return c.source, nil }})
	}
	for _, out := range c.spec.Plan.Outputs {
		c.spec.Outputs = append(c.spec.Outputs, LiveOutput{Name: out.Name, Open: c.target.open})
	}
	return c
}

// run runs the job until it ends by itself.
func (c *liveCase) run(t *testing.T) (*Live, error) {
	t.Helper()
	l, err := OpenLive(t.Context(), c.disk.Boot(), c.spec)
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Run(t.Context())
}

// moment is a time some seconds behind the start of the bubble's clock.
func moment(s float64) vec.Time {
	return timeOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) + vec.Time(s*float64(vec.Second))
}

func event(n int, s float64) memEvent {
	return memEvent{fmt.Sprintf(`{"n":%d,"k":"k%d","at":%q}`, n, n%3, moment(s)), moment(s)}
}

// TestLiveCompletes: a job over inputs that end gives all rows and completes.
func TestLiveCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT k, COUNT(*) AS c, SUM(n) AS s FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`)
		for i := range 60 {
			c.source.add(fmt.Sprint("p", i%2), event(i, float64(i)))
		}
		c.source.end()
		l, err := c.run(t)
		if err != nil {
			t.Fatal(err)
		}
		if s := l.Stats(); s.State != Completed || s.Outputs[0].Rows != int64(len(c.target.all())) || s.Inputs[0].Events != 60 {
			t.Errorf("stats %+v", s)
		}
		if got := len(c.target.all()); got != 19 {
			t.Errorf("%d rows: %s", got, strings.Join(c.target.all(), ""))
		}
	})
}

// TestLiveStops: a job goes on where it was stopped, and nothing comes twice.
func TestLiveStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT k, COUNT(*) AS c FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`)
		for round := range 4 {
			l, err := OpenLive(t.Context(), c.disk.Boot(), c.spec)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			end := make(chan error)
			go func() { end <- l.Run(ctx) }()
			for i := range 15 {
				n := round*15 + i
				c.source.add("p", event(n, float64(n)))
				time.Sleep(50 * time.Millisecond)
			}
			if round == 3 {
				c.source.end()
			} else {
				cancel()
			}
			if err := <-end; err != nil {
				t.Fatal(err)
			}
			cancel()
			c.spec.Start = StartLast
		}
		if got := len(c.target.all()); got != 19 {
			t.Errorf("%d rows: %s", got, strings.Join(c.target.all(), ""))
		}
	})
}
