package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/connect/pipe"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/service"
	"weir/internal/vec"
)

type sampleCmd struct {
	Job    string        `arg:"" placeholder:"PATH" help:"A job: a folder, weir.yaml, asaproj.json, *.asaproj or an ARM template."`
	Input  string        `arg:"" optional:"" placeholder:"INPUT" help:"The name of the input. It may be left out if the job has one."`
	Out    string        `short:"o" placeholder:"FILE" help:"Where the events go, as JSON lines. Default: standard output."`
	Events int           `short:"n" default:"1000" placeholder:"N" help:"End after N events. Default ${default}."`
	For    time.Duration `default:"10s" placeholder:"D" help:"End after this time. Default ${default}."`
	From   string        `default:"now" placeholder:"WHERE" help:"Where to start: now (with what came in the last five minutes), beginning, a time, or -10m. Default ${default}."`
	Plain  bool          `help:"Leave out the columns that the input adds, such as EventEnqueuedUtcTime."`
	Hub    string        `placeholder:"DIR" help:"Where the event hubs of the job are kept. Default: .weir-hub beside the job."`
	Quiet  bool          `short:"q" help:"No notes on standard error."`

	overlayFlag `embed:""`
}

// Help shows examples before the flags.
func (sampleCmd) Help() string {
	return `Examples:
  weir sample . clicks -o samples/clicks.json
  weir sample . clicks --from -10m -n 100
  weir sample weir.yaml --from beginning --for 1m > events.json

Events are taken from the live input as the job would see them, and the running job is not
touched. What cannot be read as an event is counted and left out. The file is a sample for
"weir run -i clicks=samples/clicks.json", for "sample:" in the job file, and for tests.
Of hubs of a running "weir serve", take "weir recv HUB".`
}

// Run captures events.
func (c *sampleCmd) Run(ctx context.Context, con *console) error {
	switch {
	case c.Events < 1:
		return usage("-n is at least 1")
	case c.For <= 0:
		return usage("--for is longer than 0")
	}
	start, err := service.StartAt(c.From, time.Now())
	if err != nil || start.From == job.StartLast {
		return usage("--from is now, beginning, a time, or one like -10m")
	}
	j, err := loadJob(con, c.Job, project.Options{Overlay: c.Overlay}, exitUsage)
	if err != nil {
		return err
	}
	one, err := c.alone(j)
	if err != nil {
		return usage("%w", err)
	}
	log, _ := (&logFlags{LogLevel: "warn", LogFormat: "auto"}).logger(con)
	log = service.SecretsOf(j).Log(log)
	h, err := (&runCmd{liveFlags: liveFlags{Hub: c.Hub, AMQP: "off", HTTPS: "off"}, Quiet: true}).openHub(con, one, log)
	if errors.Is(err, disk.ErrLocked) {
		return usage("the hubs of the job are open in another process; there, \"weir recv %s\" takes events", one.Inputs[0].Config.Text("hub"))
	}
	if err != nil {
		return err
	}
	into := &sampled{con: con, most: c.Events, full: make(chan struct{})}
	if err := into.create(c.Out); err != nil {
		return errors.Join(err, h.close())
	}
	a, err := service.Assemble(pipe.Allow(h.context(ctx)), one, service.AssembleOptions{Results: into.open})
	if err == nil {
		err = c.capture(ctx, a, start, into, log)
	} else {
		err = usage("%w", err)
	}
	err = errors.Join(err, into.end(), h.close())
	if err == nil && !c.Quiet {
		fmt.Fprintln(con.err, into.summary(one.Inputs[0].Name, c))
	}
	return err
}

// alone is the job that reads the input and nothing else.
func (c *sampleCmd) alone(j *project.Job) (*project.Job, error) {
	name := c.Input
	if name == "" {
		if len(j.Inputs) != 1 {
			return nil, fmt.Errorf("say which input: weir sample %s INPUT; the job has %d", c.Job, len(j.Inputs))
		}
		name = j.Inputs[0].Name
	}
	one, err := service.Alone(j, name)
	if err != nil {
		return nil, err
	}
	in := &one.Inputs[0]
	switch {
	case in.Connector == nil && in.Sample != "":
		return nil, fmt.Errorf("nothing says how to read %s live: there is only its sample %s", in.Name, in.Sample)
	case in.Connector == nil:
		return nil, fmt.Errorf("nothing says how to read %s live: %s", in.Name, in.Missing)
	}
	if c.Plain {
		values := map[string]any{}
		for k, v := range in.Config.Values {
			values[k] = v
		}
		values["metadata_columns"] = false
		in.Config = connect.Config{Values: values}
	}
	return one, nil
}

// capture runs the job in memory until there are enough events or the time is over.
func (c *sampleCmd) capture(ctx context.Context, a *service.Assembly, start service.StartOptions, into *sampled, log *slog.Logger) error {
	spec := a.Spec
	spec.Version, spec.Start, spec.StartAt, spec.Log = 1, start.From, start.At, log
	for i := range spec.Inputs {
		open := spec.Inputs[i].Open
		spec.Inputs[i].Open = func(env connect.SourceEnv) (connect.Source, error) {
			env.Aside = true
			return open(env)
		}
	}
	live, err := job.OpenLive(ctx, disk.NewMem(0).Boot(), spec)
	if err != nil {
		return &exitError{exitRuntime, err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-into.full:
			cancel()
		case <-ctx.Done():
		}
	})
	err = live.Run(ctx)
	cancel()
	watch.Wait()
	st := live.Stats()
	for _, n := range st.Dead {
		into.bad += n
	}
	into.reason = st.Reason
	if err != nil && into.rows < into.most {
		return &exitError{exitRuntime, err}
	}
	return nil
}

// sampled is where events go: a sink that keeps the first ones.
type sampled struct {
	con  *console
	most int
	full chan struct{} // closed when there are enough

	file   *os.File // nil: standard output
	part   string   // its name until it is whole
	path   string
	w      io.Writer
	rows   int
	bad    int64
	reason string // why the input cannot be read, at the end
}

// create makes the file, which gets its name when it is complete.
func (s *sampled) create(path string) error {
	s.w, s.path = s.con.out, path
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return usage("-o: %w", err)
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return usage("-o: %w", err)
	}
	s.file, s.part, s.w = f, f.Name(), f
	return nil
}

// end gives the file its name, if there are events in it.
func (s *sampled) end() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if err == nil && s.rows > 0 {
		err = os.Rename(s.part, s.path)
	}
	if err != nil || s.rows == 0 {
		err = errors.Join(err, os.Remove(s.part))
	}
	return err
}

// summary says what was taken.
func (s *sampled) summary(input string, c *sampleCmd) string {
	text := fmt.Sprintf("%s of %s", plural(int64(s.rows), "event"), input)
	switch {
	case s.rows == 0 && s.reason != "":
		text += ": " + s.reason
	case s.rows == 0:
		text += fmt.Sprintf(" came within %s; --from beginning or --from -1h takes earlier ones, --for waits longer", c.For)
	case s.path != "":
		text += " in " + s.path
	}
	if s.bad > 0 {
		text += fmt.Sprintf("; %s could not be read", plural(s.bad, "other"))
	}
	return text
}

func (s *sampled) open(_ string, env connect.SinkEnv) (connect.Sink, error) {
	return &sampleSink{to: s, encode: codec.NewEncoder(codec.JSONLines, env.Columns.Names, env.Columns.Row)}, nil
}

// sampleSink writes rows as they come: a sample has no epochs.
type sampleSink struct {
	to     *sampled
	encode *codec.Encoder
	text   []byte
}

// Committed is that there is nothing.
func (s *sampleSink) Committed(context.Context) (int64, error) { return 0, nil }

// Write writes as many rows as are still wanted.
func (s *sampleSink) Write(_ context.Context, _ int64, b *vec.Batch) error {
	t := s.to
	if t.rows == t.most {
		return nil
	}
	s.text = s.encode.Encode(s.text[:0], b)
	text, n := s.text, b.N
	if left := t.most - t.rows; n > left {
		text, n = firstLines(text, left), left
	}
	if _, err := t.w.Write(text); err != nil {
		return connect.Permanent(fmt.Errorf("the events cannot be written: %w", err))
	}
	if t.rows += n; t.rows == t.most {
		close(t.full)
	}
	return nil
}

// firstLines are the first n lines of a text.
func firstLines(text []byte, n int) []byte {
	for i, c := range text {
		if c == '\n' {
			if n--; n == 0 {
				return text[:i+1]
			}
		}
	}
	return text
}

// Prepare, Commit, Sync and Close have nothing to do.
func (s *sampleSink) Prepare(context.Context, int64, vec.Time) error { return nil }

// Commit has nothing to do.
func (s *sampleSink) Commit(context.Context, int64) error { return nil }

// Sync has nothing to do.
func (s *sampleSink) Sync(context.Context) error { return nil }

// Close frees nothing.
func (s *sampleSink) Close() error { return nil }
