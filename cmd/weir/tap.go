package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/web"
)

// deadletterStep is the name that the dead letters of a job can be tapped by.
const deadletterStep = "$deadletter"

// filterRate is how many rows a second a tap with a filter looks at. The service writes each
// of them as JSON, so more would be felt by a job that is at its limit.
const filterRate = 10_000

type tapCmd struct {
	serverFlags `embed:""`
	Job         string        `arg:"" placeholder:"JOB" help:"The name of the job."`
	Step        string        `arg:"" optional:"" placeholder:"STEP" help:"An input, a WITH step, an output, or '$$deadletter'."`
	Where       string        `placeholder:"CONDITION" help:"Only rows for which it holds, as in a query."`
	Select      string        `placeholder:"LIST" help:"These columns, as in a query. Default: all."`
	Rate        int           `default:"100" placeholder:"N" help:"Show at most N rows a second; 0 is no limit. Default ${default}."`
	Rows        int           `short:"n" placeholder:"N" help:"End after N rows."`
	For         time.Duration `placeholder:"D" help:"End after this time, such as 10s."`
}

// Help shows examples before the flags.
func (tapCmd) Help() string {
	return `Examples:
  weir tap downtime                      what there is to tap
  weir tap downtime teams
  weir tap downtime step --where "TeamId = 'a'" --select "Endpoint, LEN(Endpoint) AS n"
  weir tap downtime '$deadletter' --select "name, reason, payload" -n 10

Rows come as they pass, a table on a terminal and JSON lines in a pipe. Of steps and inputs
there are the columns that the query reads. A tap never slows the job: rows that it cannot
take are left out and counted on standard error. It goes on when the job is started again.`
}

// Run shows rows until it is interrupted, has enough of them, or its time is over.
func (c *tapCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	switch {
	case c.Rate < 0 || c.Rate > maxTapRate:
		return usage("--rate is from 0 to %d", maxTapRate)
	case c.Rows < 0:
		return usage("-n is at least 1")
	case c.For < 0:
		return usage("--for is longer than 0")
	case c.Step == "":
		return c.places(ctx, api)
	}
	t := &tapper{tapCmd: c, api: api, con: con, came: make(chan web.RowsEvent), dropped: make(chan int64)}
	if c.Where != "" || c.Select != "" {
		if t.filter, err = newTapFilter(con, c.Step, c.Select, c.Where); err != nil {
			return err
		}
	}
	return t.run(ctx)
}

// maxTapRate is the greatest rate that the service takes.
const maxTapRate = 100_000

// places is the error that names what can be tapped.
func (c *tapCmd) places(ctx context.Context, api *client) error {
	var t service.Topology
	if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "topology"), nil, &t); err != nil {
		return err
	}
	line := func(what string, names []string) string {
		if len(names) == 0 {
			return ""
		}
		return fmt.Sprintf("\n  %-8s %s", what, strings.Join(names, ", "))
	}
	return usage("say what to tap: weir tap %s STEP%s%s%s%s", c.Job, line("inputs", t.Inputs), line("steps", t.Steps), line("outputs", t.Outputs),
		line("letters", []string{"'" + deadletterStep + "'"}))
}

// tapper is a tap that runs. What comes is read by one goroutine and shown by another one.
type tapper struct {
	*tapCmd
	api     *client
	con     *console
	filter  *tapFilter // nil: no filter
	came    chan web.RowsEvent
	dropped chan int64

	// Of the goroutine that shows.
	shown  int
	lost   int64 // left out since it was last told
	failed int64 // likewise, by errors of the filter
	told   time.Time
	second time.Time // that passed is about
	passed int
}

// errEnough ends a tap that has all the rows that were asked for.
var errEnough = errors.New("enough")

// run shows what comes until the end.
func (t *tapper) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var over <-chan time.Time
	if t.For > 0 {
		timer := time.NewTimer(t.For)
		defer timer.Stop()
		over = timer.C
	}
	t.tell(fmt.Sprintf("%s of %s, as rows come; Ctrl-C ends", t.Step, t.Job), t.con.errTTY)
	ended := make(chan error, 1)
	go func() { ended <- t.follow(ctx) }()
	err, running := t.show(ctx, over, ended)
	cancel()
	if running {
		<-ended
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// show draws what comes. It reports whether the other goroutine still runs.
func (t *tapper) show(ctx context.Context, over <-chan time.Time, ended <-chan error) (err error, running bool) {
	out := newTapPrinter(t.con)
	tick := time.NewTicker(tapFlush)
	defer tick.Stop()
	defer func() {
		err = errors.Join(err, out.close())
		t.count(true)
	}()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil, true
		case <-over:
			return nil, true
		case err := <-ended:
			return err, false
		case n := <-t.dropped:
			t.lost += n
			t.count(false)
		case e := <-t.came:
			began = time.Time{}
			if err := t.rows(out, e); err != nil {
				return err, true
			}
		case now := <-tick.C:
			if err := out.flush(); err != nil {
				return err, true
			}
			if !began.IsZero() && now.Sub(began) > tapPatience {
				began = time.Time{}
				t.tell(fmt.Sprintf("no row in %s; \"weir why %s\" says where they go", tapPatience, t.Job), t.con.errTTY)
			}
		}
	}
}

const (
	// tapFlush is how long rows may wait for others before they are drawn.
	tapFlush = 200 * time.Millisecond
	// tapPatience is how long no row may come before that is said.
	tapPatience = 5 * time.Second
	// tapTellEvery is how often it is said at most that rows were left out.
	tapTellEvery = 2 * time.Second
)

// rows filters and shows some rows.
func (t *tapper) rows(out *tapPrinter, e web.RowsEvent) error {
	rows := e.Rows
	if t.filter != nil {
		var failed int64
		var err error
		if rows, failed, err = t.filter.apply(rows); err != nil {
			return err
		}
		t.failed += failed
		t.count(false)
		rows = t.slow(rows)
	}
	if t.Rows > 0 {
		rows = rows[:min(len(rows), t.Rows-t.shown)]
	}
	if err := out.rows(rows); err != nil {
		return err
	}
	if t.shown += len(rows); t.Rows > 0 && t.shown >= t.Rows {
		return errEnough
	}
	return nil
}

// slow leaves out what is beyond the rate. Without a filter the service does that.
func (t *tapper) slow(rows []json.RawMessage) []json.RawMessage {
	if t.Rate == 0 {
		return rows
	}
	if now := time.Now().Truncate(time.Second); !now.Equal(t.second) {
		t.second, t.passed = now, 0
	}
	n := min(len(rows), max(0, t.Rate-t.passed))
	t.passed += n
	if more := int64(len(rows) - n); more > 0 {
		t.lost += more
		t.count(false)
	}
	return rows[:n]
}

// count tells how many rows were left out and why, now and then.
func (t *tapper) count(last bool) {
	if t.lost+t.failed == 0 || !last && time.Since(t.told) < tapTellEvery {
		return
	}
	t.told = time.Now()
	if t.failed > 0 {
		t.tell(fmt.Sprintf("%s left out: the filter failed: %s", plural(t.failed, "row"), t.filter.failure), true)
		t.failed = 0
	}
	if t.lost == 0 {
		return
	}
	why := "they came faster than " + fmt.Sprintf("--rate %d", t.Rate) + ", or than they were taken"
	if t.Rate == 0 || t.filter != nil && t.Rate >= filterRate {
		why = "they came faster than they were taken"
	}
	t.tell(fmt.Sprintf("%s left out: %s", plural(t.lost, "row"), why), true)
	t.lost = 0
}

// tell says something on standard error, if on is set.
func (t *tapper) tell(text string, on bool) {
	if on {
		fmt.Fprintln(t.con.err, t.con.paint(t.con.errColor, dim, text))
	}
}

// follow reads from the service until ctx ends, also over restarts of the job and of the
// service.
func (t *tapper) follow(ctx context.Context) error {
	connected := false
	for {
		err := t.read(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !connected, err != nil && exitCodeOf(err) == exitUsage:
			return err
		}
		connected = true
		if done, err := t.again(ctx); done || err != nil {
			return err
		}
	}
}

// read reads one stream to its end.
func (t *tapper) read(ctx context.Context) error {
	if t.Step == deadletterStep {
		return t.letters(ctx)
	}
	rate := t.Rate
	if t.filter != nil {
		rate = filterRate
	}
	q := url.Values{"rate": {strconv.Itoa(rate)}}
	return t.api.stream(ctx, apiPath("jobs", t.Job, "steps", t.Step, "tap", "?"+q.Encode()), func(e streamed) error {
		switch e.Name {
		case "rows":
			var v web.RowsEvent
			if err := json.Unmarshal(e.Data, &v); err != nil {
				return fmt.Errorf("the service sent rows that cannot be read: %w", err)
			}
			give(ctx, t.came, v)
		case "dropped":
			var v web.DroppedEvent
			if err := json.Unmarshal(e.Data, &v); err != nil {
				return fmt.Errorf("the service sent a count that cannot be read: %w", err)
			}
			give(ctx, t.dropped, v.Dropped)
		}
		return nil
	})
}

// give hands something to the goroutine that shows, unless that is over.
func give[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}

// againEvery is how often it is looked whether a job runs again, and for new dead letters.
const againEvery = 500 * time.Millisecond

// again waits until the job runs again. done says that it never will.
func (t *tapper) again(ctx context.Context) (done bool, err error) {
	said := ""
	for {
		var j service.JobView
		err := t.api.do(ctx, "GET", apiPath("jobs", t.Job), nil, &j)
		say := ""
		switch {
		case ctx.Err() != nil:
			return true, nil
		case err != nil && exitCodeOf(err) == exitUsage:
			return true, err
		case err != nil:
			say = "the service does not answer; waiting for it"
		case j.State == job.Running || j.State == job.Degraded:
			if said != "" {
				t.tell(t.Job+" runs again", true)
			}
			return false, nil
		case j.State == job.Completed:
			t.tell(t.Job+" has read all its inputs to their end", true)
			return true, nil
		case j.State != job.Stopping && j.State != job.Starting:
			say = fmt.Sprintf("%s is %s; waiting until it runs again", t.Job, j.State)
			if r := reasonOf(j); r != "" {
				say += " (" + r + ")"
			}
		}
		if say != "" && say != said {
			said = say
			t.tell(say, true)
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-time.After(againEvery):
		}
	}
}

// letters reads the dead letters that come from now on, until the job no longer runs.
func (t *tapper) letters(ctx context.Context) error {
	after := int64(-1)
	for {
		var j service.JobView
		if err := t.api.do(ctx, "GET", apiPath("jobs", t.Job), nil, &j); err != nil {
			return err
		}
		switch {
		case j.State != job.Running && j.State != job.Degraded && j.State != job.Starting:
			if after < 0 {
				return usage("the job %q is %s, so no dead letters come; \"weir job deadletters %[1]s\" shows those that there are", t.Job, j.State)
			}
			return nil
		case after < 0 || j.DeadLetters < after: // their state was forgotten
			after = j.DeadLetters
		case j.DeadLetters > after:
			n, err := t.lettersAfter(ctx, after)
			if err != nil {
				return err
			}
			if n > after {
				after = n
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(againEvery):
		}
	}
}

// lettersAfter gives the dead letters behind an id on, and the last of their ids.
func (t *tapper) lettersAfter(ctx context.Context, after int64) (int64, error) {
	var v struct{ Letters []json.RawMessage }
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {"1000"}}
	if err := t.api.do(ctx, "GET", apiPath("jobs", t.Job, "deadletters", "?"+q.Encode()), nil, &v); err != nil {
		return after, err
	}
	for _, text := range v.Letters {
		var id struct{ ID int64 }
		if err := json.Unmarshal(text, &id); err != nil {
			return after, fmt.Errorf("the service sent a dead letter that cannot be read: %w", err)
		}
		after = id.ID
	}
	if len(v.Letters) == 0 {
		return after, nil // not durable yet, or no longer kept
	}
	give(ctx, t.came, web.RowsEvent{Rows: v.Letters})
	return after, nil
}

// exitCodeOf is the status that an error ends the program with.
func exitCodeOf(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitRuntime
}
