package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"weir/internal/job"
	"weir/internal/service"
)

// noon is when the frames of these tests are taken.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// someJobs is a frame of the list.
func someJobs() topFrame {
	return topFrame{at: noon, server: "http://127.0.0.1:8484", jobs: []topJob{
		{JobView: service.JobView{Name: "downtime", State: job.Running, Since: noon.Add(-76 * time.Hour), Version: 7, Rows: 690_123, DeadLetters: 184}, in: 41_200, out: 690, delay: 0.8},
		{JobView: service.JobView{Name: "a-job-with-a-name-that-does-not-fit", State: job.Failed, Since: noon.Add(-3 * time.Second), Reason: "no such table:\nteams", Version: 1}},
	}}
}

// someParts is a frame of a job.
func someParts() topFrame {
	f := topFrame{at: noon, job: &topJob{JobView: service.JobView{Name: "downtime", State: job.Running, Since: noon.Add(-time.Hour), Version: 7, DeadLetters: 1}, in: 41_200, out: 690, delay: 0.8}}
	f.job.stats.Epoch = 812
	f.job.stats.Checkpoint = service.CheckpointView{Count: 2, Last: noon.Add(-2 * time.Second), Bytes: 4096, PauseSeconds: 0.01}
	f.parts = []topPart{
		{kind: topInput, name: "downtime", in: 41_200, out: 41_200, drop: 3, busy: -1, held: -1, watermark: noon.Add(-800 * time.Millisecond), heldBy: "2 idle 3s"},
		{kind: topStep, name: "step", in: 41_200, out: 1200, busy: 0.41, held: 30, watermark: noon.Add(-time.Second), heldBy: "downtime/2", details: []string{"group: tumbling 1 s, by TeamId (line 3)   10 in, 3 out"}},
		{kind: topStep, name: "チームごとの停止時間の合計", in: 1200, out: 690, busy: 0.09, held: 1_234_567, watermark: noon.Add(2 * time.Minute)},
		{kind: topOutput, name: "teams", in: 690, out: 690, busy: -1, held: -1, note: "p99 84ms, 2 retries"},
	}
	return f
}

// TestTopView holds what is drawn, plain.
func TestTopView(t *testing.T) {
	f := func(v topView, want string) {
		t.Helper()
		if got := strings.Join(v.lines(), "\n"); got != want {
			t.Errorf("drawn is\n%s\nand not\n%s", got, want)
		}
	}
	f(topView{frame: topFrame{at: noon, server: "http://h:1"}, width: 80, once: true}, "weir top   h:1\nasking ...")
	f(topView{frame: topFrame{at: noon, server: "http://h:1", jobs: []topJob{}}, width: 80, once: true},
		"weir top   h:1   0 of 0 jobs running   in 0/s  out 0/s\nthere are no jobs; \"weir job deploy PATH --start now\" makes one")
	f(topView{frame: someJobs(), width: 80, once: true}, `weir top   127.0.0.1:8484   1 of 2 jobs running   in 41.2 k/s  out 690/s
  JOB             STATE        FOR   IN/s  OUT/s     ROWS   DEAD   DELAY VERSION
  downtime        running     3d4h 41.2 k    690    690 k    184   800ms       7
  a-job-wit…t-fit failed        3s                      0      0               1
a-job-with-a-name-that-does-not-fit: no such table:`)
	f(topView{frame: someJobs(), width: 50, height: 8, selected: 1}, `weir top   127.0.0.1:8484   1 of 2 jobs running  …
  JOB               STATE       IN/s  OUT/s   DEAD
  downtime          running   41.2 k    690    184
▸ a-job-with-…t-fit failed                       0


no such table:
↑↓ select  enter steps  w why  d dead letters  q …`)
	f(topView{frame: someParts(), width: 80, once: true}, `weir top   downtime v7 RUNNING 1h00m   in 41.2 k/s  out 690/s  delay 800ms
checkpoint 2s ago, 4.0 KiB, paused 10ms · epoch 812 · 1 dead letter
  STEP            IN/s  OUT/s DROP/s BUSY   HELD WATERMARK          HELD BY
  ◉ downtime    41.2 k 41.2 k      3             11:59:59 (-800ms)  2 idle 3s
  ├ step        41.2 k  1.2 k      0  41%     30 11:59:59 (-1s)     downtime/2
  └ チーム…合計  1.2 k    690      0   9% 1.23 M 12:02:00 (+2m00s)
  → teams          690    690      0             none yet           p99 84ms, 2…`)
}

// TestTopInput: what waits is shown of inputs that know it.
func TestTopInput(t *testing.T) {
	f := func(want int64, waiting ...*int64) {
		t.Helper()
		in := service.InputView{Name: "in"}
		for _, n := range waiting {
			in.Partitions = append(in.Partitions, service.PartitionView{Waiting: n})
		}
		if got := inputPart(in, 0).held; got != want {
			t.Errorf("%d, not %d", got, want)
		}
	}
	zero, some := int64(0), int64(7)
	f(-1)
	f(-1, nil, nil)
	f(0, &zero)
	f(14, &some, nil, &some)
}

// TestTopFits: nothing is wider or higher than the terminal, whatever is shown.
func TestTopFits(t *testing.T) {
	many := someParts()
	for i := range 60 {
		many.parts = append(many.parts, topPart{kind: topStep, name: fmt.Sprintf("step %d", i)})
	}
	failed := someParts()
	failed.err, failed.job.State, failed.job.Reason = errors.New("no service answers\nat all"), job.Failed, strings.Repeat("it went wrong ", 40)
	text := []string{strings.Repeat("likely cause: 東京 ", 30), strings.Repeat("x", 300)}
	for _, frame := range []topFrame{{}, someJobs(), someParts(), many, failed} {
		for _, size := range [][2]int{{80, 24}, {120, 50}, {100, 30}, {40, 12}, {20, 6}, {1, 1}} {
			for page := range 3 {
				for _, selected := range []int{0, 1, 59, 63} {
					v := topView{frame: frame, width: size[0], height: size[1], selected: selected, page: page, text: text, title: "rows"}
					lines := v.lines()
					if len(lines) > max(size[1], 10) {
						t.Errorf("%d lines on a terminal of %v", len(lines), size)
					}
					marked := false
					for _, line := range lines {
						if size[0] >= 20 && cellWidth(line) > size[0] {
							t.Errorf("a line of %d cells on a terminal of %v: %s", cellWidth(line), size, line)
						}
						marked = marked || strings.HasPrefix(line, "▸")
					}
					if page == pageTable && size[1] >= 24 && selected < max(len(frame.parts), len(frame.jobs)) && !marked {
						t.Errorf("line %d of %d is selected and not in sight on a terminal of %v:\n%s", selected, len(frame.parts), size, strings.Join(lines, "\n"))
					}
				}
			}
		}
	}
}

// TestTopKeys types keys into the screen, over a real service.
func TestTopKeys(t *testing.T) {
	o := operate(t)
	flags := serverFlags{Server: o.url}
	api, err := flags.client()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	m := newTopScreen(ctx, &topWatch{api: api}, "", 80)
	drive := &topDriver{t: t, m: m, came: make(chan tea.Msg, 16), ctx: ctx}
	drive.do(m.Init())
	drive.until("flow")
	drive.key("enter")
	drive.until("◉ events", "├ evens", "→ rows")
	drive.key("d")
	drive.until("no dead letters", "q back")
	drive.key("q")
	drive.key("down")
	drive.until("▸ ├ evens", "filter: n % 2 = 0 (line 5)")
	drive.key("enter")
	drive.until("rows of evens")
	drive.untilDoing(func() { o.events(2) }, `"name":"東京"`)
	drive.key("q")
	drive.key("end")
	drive.until("▸ → rows")
	drive.key("w")
	drive.until("where did the rows go: flow rows", "rows has ", "received from events")
	drive.key("q")
	drive.until("▸ → rows")
	drive.key("q")
	drive.until("1 of 1 job running")
	if drive.key("q"); !drive.quit {
		t.Error("q does not end it")
	}
}

// topDriver is what bubbletea is to the screen.
type topDriver struct {
	t    *testing.T
	m    *topScreen
	came chan tea.Msg
	ctx  context.Context
	quit bool
}

// do runs a command in the background.
func (d *topDriver) do(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, c := range batch {
				d.do(c)
			}
			return
		}
		select {
		case d.came <- msg:
		case <-d.ctx.Done():
		}
	}()
}

func (d *topDriver) key(name string) {
	codes := map[string]tea.Key{"enter": {Code: tea.KeyEnter}, "down": {Code: tea.KeyDown}, "end": {Code: tea.KeyEnd}}
	k, ok := codes[name]
	if !ok {
		k = tea.Key{Code: rune(name[0]), Text: name}
	}
	_, cmd := d.m.Update(tea.KeyPressMsg(k))
	if cmd != nil && d.m.job == "" && d.m.view.page == pageTable && name == "q" {
		msg := cmd()
		if _, d.quit = msg.(tea.QuitMsg); !d.quit {
			d.came <- msg
		}
		return
	}
	d.do(cmd)
}

// until takes messages until the screen shows all of the texts.
func (d *topDriver) until(want ...string) {
	d.t.Helper()
	d.untilDoing(func() {}, want...)
}

func (d *topDriver) untilDoing(f func(), want ...string) {
	d.t.Helper()
	for {
		screen, missing := d.m.View().Content, ""
		for _, w := range want {
			if !strings.Contains(screen, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		f()
		select {
		case msg := <-d.came:
			_, cmd := d.m.Update(msg)
			d.do(cmd)
		case <-d.ctx.Done():
			d.t.Fatalf("the screen is\n%s\nand has no\n%s", screen, missing)
		}
	}
}

// TestTopOnce: a frame as text, for pipes.
func TestTopOnce(t *testing.T) {
	o := operate(t)
	o.events(4)
	o.until("rows are counted", func() bool { v, _ := o.svc.Job("flow"); return v.Rows == 2 })
	f := func(code int, args []string, want ...string) {
		t.Helper()
		out, said := o.run(code, append([]string{"top"}, args...)...)
		for _, w := range want {
			if !strings.Contains(out+said, w) {
				t.Errorf("%v prints\n%s%s\nand no\n%s", args, out, said, w)
			}
		}
	}
	f(exitOK, []string{"--once"}, "1 of 1 job running", "\n  flow         running")
	f(exitOK, []string{"--once", "flow"}, "weir top   flow v1 RUNNING", "\n  ◉ events", "\n  ├ evens", "\n  → rows")
	f(exitUsage, []string{"--once", "flo"}, `there is no such job as "flo"`)
	f(exitUsage, nil, "--once prints one frame")
}
