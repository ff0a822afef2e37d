package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/pipe"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/service"
	"weir/internal/udf"
	"weir/internal/vec"
)

// liveFlags make weir run leave a job running, in the foreground and without a service.
type liveFlags struct {
	Live         bool   `group:"Live" help:"Run a job with its real inputs and outputs until it is interrupted; what it has done survives."`
	State        string `group:"Live" placeholder:"DIR" help:"With --live: where the job keeps its state. Default: .weir beside the job."`
	From         string `group:"Live" placeholder:"WHERE" help:"With --live: where a job without state starts: now, beginning, a time, or -10m. Default now; last needs state."`
	DiscardState bool   `group:"Live" help:"With --live: begin anew although there is state."`
	Hub          string `group:"Live" placeholder:"DIR" help:"With --live: where the event hubs of the job are kept. Default: .weir-hub beside the job."`
	AMQP         string `name:"amqp" group:"Live" placeholder:"ADDR" help:"With --live: where the hubs answer AMQP, or off. Default 127.0.0.1:5672 and 5671."`
	HTTPS        string `name:"https" group:"Live" placeholder:"ADDR" help:"The same for HTTPS. Default 127.0.0.1:8443."`
	Log          string `group:"Live" enum:"debug,info,warn,error" default:"warn" placeholder:"LEVEL" help:"With --live: what of the log is shown. Default ${default}."`
}

// check refuses the flags that need --live.
func (f *liveFlags) check() error {
	if f.State != "" || f.From != "" || f.DiscardState || f.Hub != "" || f.AMQP != "" || f.HTTPS != "" {
		return usage("--state, --from, --discard-state, --hub, --amqp and --https are of continuous runs; add --live")
	}
	return nil
}

// runLive runs a job until it is interrupted or its inputs end.
func (r *runCmd) runLive(ctx context.Context, con *console) (closed error) {
	grace.Store(int64(serveGrace))
	switch {
	case r.File == "" || r.File == "-" || r.Query != "":
		return usage("--live runs a job: write weir run PATH --live, where PATH is a folder, weir.yaml, asaproj.json, *.asaproj or an ARM template")
	case len(r.Input)+len(r.Reference)+len(r.Output) > 0 || r.Results != "" || r.Late != nil || r.OutOfOrder != nil || r.Policy != "" || r.DeadLetters != "":
		return usage("a live job says itself what it reads and writes, and by which policies: -i, -r, -o, --results, --late, --out-of-order, --policy and --dead-letters are of runs over files; " +
			"weir.overlay.yaml beside the job changes what it says")
	}
	j, err := loadJob(con, r.File, project.Options{Overlay: r.Overlay}, exitUsage)
	if err != nil {
		return err
	}
	if !r.Quiet {
		using(con, j)
	}
	log, _ := (&logFlags{LogLevel: r.Log, LogFormat: "auto"}).logger(con)
	secrets := service.SecretsOf(j)
	log = secrets.Log(log)
	defer func() { closed = secrets.Error(closed) }()
	h, err := r.openHub(con, j, log)
	if err != nil {
		return err
	}
	defer func() { closed = errors.Join(closed, h.close()) }() // after the job
	results := &liveResults{con: con}
	a, err := service.Assemble(pipe.Allow(h.context(ctx)), j, service.AssembleOptions{Results: results.open,
		Functions: udf.Limits{Time: r.FunctionTime, Memory: r.FunctionMemory << 20}})
	if found, ok := errors.AsType[service.Findings](err); ok {
		fmt.Fprintln(con.err, found.Error())
		return silent(exitUsage)
	}
	if err != nil {
		return err
	}
	results.tagged = results.count(a) > 1
	if !r.Quiet {
		for _, w := range a.Warnings {
			fmt.Fprintln(con.err, w)
		}
	}
	live, err := r.openLive(ctx, con, j, a, log)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var showing sync.WaitGroup
	if !r.Quiet && con.errTTY {
		showing.Go(func() { liveStatus(con, live, done) })
	}
	err = live.Run(ctx)
	close(done)
	showing.Wait()
	st := live.Stats()
	if !r.Quiet {
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, liveSummary(st)))
	}
	if state, ok := errors.AsType[*job.StateError](err); ok {
		return r.unkept(j, state)
	}
	if err != nil {
		return &exitError{exitRuntime, err}
	}
	return nil
}

// stateDir is where the job keeps its state.
func (r *runCmd) stateDir(j *project.Job) string {
	if r.State != "" {
		return r.State
	}
	return filepath.Join(j.Dir, ".weir")
}

// unkept is the error of a query that the state of the job does not fit.
func (r *runCmd) unkept(j *project.Job, err *job.StateError) error {
	return usage("in %s, %w", r.stateDir(j), err)
}

// openLive opens the state of the job.
func (r *runCmd) openLive(ctx context.Context, con *console, j *project.Job, a *service.Assembly, log *slog.Logger) (*job.Live, error) {
	dir := r.stateDir(j)
	kept, _ := os.ReadDir(dir) // what keeps it from being read will be said by who opens it
	start, err := service.StartAt(r.From, time.Now())
	if err != nil {
		return nil, usage("--from: %w", err)
	}
	switch {
	case start.From == "":
		start.From = job.StartNow
	case start.From == job.StartLast && len(kept) == 0:
		return nil, usage("--from last: there is no state in %s to go on from", dir)
	case start.From != job.StartLast && len(kept) > 0 && !r.DiscardState:
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, fmt.Sprintf("the job has state in %s and goes on where it was; --from %s is where it would begin without", dir, r.From)))
	}
	fs, err := disk.At(dir)
	if err != nil {
		return nil, usage("--state: %w", err)
	}
	spec := a.Spec
	spec.Version, spec.Start, spec.StartAt, spec.DiscardState, spec.Log = 1, start.From, start.At, r.DiscardState, log
	live, err := job.OpenLive(ctx, fs, spec)
	var state *job.StateError
	switch {
	case errors.As(err, &state):
		return nil, r.unkept(j, state)
	case errors.Is(err, disk.ErrLocked):
		return nil, usage("the job runs already: another process has %s", dir)
	}
	return live, err
}

// liveStatus keeps a line about the job up to date on a terminal.
func liveStatus(con *console, live *job.Live, done <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	before, at := liveEvents(live.Stats()), time.Now()
	for {
		select {
		case <-done:
			fmt.Fprint(con.err, "\r\x1b[K")
			return
		case <-tick.C:
		}
		st := live.Stats()
		events, now := liveEvents(st), time.Now()
		rate := float64(events-before) / now.Sub(at).Seconds()
		before, at = events, now
		line := fmt.Sprintf("%s · %s events/s · %s", st.State, short(rate), liveSummary(st))
		if st.Reason != "" {
			line += " · " + st.Reason
		}
		if r := []rune(line); len(r) >= con.width {
			line = string(r[:max(con.width-1, 0)])
		}
		fmt.Fprint(con.err, "\r\x1b[K"+con.paint(con.errColor, dim, line))
	}
}

func liveEvents(st job.Stats) int64 {
	var n int64
	for _, in := range st.Inputs {
		n += in.Events
	}
	return n
}

// liveSummary says what a job has done.
func liveSummary(st job.Stats) string {
	var rows, dead int64
	for _, out := range st.Outputs {
		rows += out.Rows
	}
	for _, n := range st.Dead {
		dead += n
	}
	parts := []string{plural(liveEvents(st), "event"), plural(rows, "row")}
	if dead > 0 {
		parts = append(parts, plural(dead, "dead letter"))
	}
	return strings.Join(append(parts, fmt.Sprintf("epoch %d", st.Epoch)), " · ")
}

// liveResults writes the rows of outputs that nothing connects to standard output, as JSON
// lines; with several such outputs each row has the name of its output.
type liveResults struct {
	con    *console
	tagged bool
	mu     sync.Mutex // of standard output
}

// count is how many outputs have no connector.
func (l *liveResults) count(a *service.Assembly) int {
	n := 0
	for _, out := range a.Spec.Outputs {
		if out.ID == "" {
			n++
		}
	}
	return n
}

func (l *liveResults) open(output string, env connect.SinkEnv) (connect.Sink, error) {
	s := &liveResult{to: l}
	if l.tagged {
		s.encoder = codec.NewTaggedEncoder(output, env.Columns.Names, env.Columns.Row)
	} else {
		s.encoder = codec.NewEncoder(codec.JSONLines, env.Columns.Names, env.Columns.Row)
	}
	return s, nil
}

// liveResult is a sink that a person reads. It cannot know what was read of it, so rows may
// come again after a crash.
type liveResult struct {
	to      *liveResults
	encoder *codec.Encoder
	epoch   int64
	text    []byte
}

// Committed is not known.
func (s *liveResult) Committed(context.Context) (int64, error) { return -1, nil }

// Write keeps rows until their epoch is committed.
func (s *liveResult) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	s.begin(epoch)
	s.text = s.encoder.Encode(s.text, b)
	return nil
}

func (s *liveResult) begin(epoch int64) {
	if epoch != s.epoch {
		s.epoch, s.text = epoch, s.text[:0]
	}
}

// Prepare has nothing to do.
func (s *liveResult) Prepare(_ context.Context, epoch int64, _ vec.Time) error {
	s.begin(epoch)
	return nil
}

// Commit writes the rows.
func (s *liveResult) Commit(_ context.Context, epoch int64) error {
	if epoch != s.epoch || len(s.text) == 0 {
		return nil
	}
	s.to.mu.Lock()
	defer s.to.mu.Unlock()
	if s.to.con.errTTY && s.to.con.outTTY {
		io.WriteString(s.to.con.err, "\r\x1b[K") // the status line
	}
	_, err := s.to.con.out.Write(s.text)
	s.text = s.text[:0]
	if err != nil {
		return connect.Permanent(fmt.Errorf("standard output: %w", err))
	}
	return nil
}

// Sync and Close have nothing to do.
func (s *liveResult) Sync(context.Context) error { return nil }

// Close frees nothing.
func (s *liveResult) Close() error { return nil }
