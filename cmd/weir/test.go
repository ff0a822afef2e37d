package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"weir/internal/project"
	"weir/internal/suite"
	"weir/internal/testkit"
)

type testCmd struct {
	Paths      []string      `arg:"" optional:"" default:"." placeholder:"PATH" help:"Jobs, test files (NAME_test.yaml), testConfig.json, folders of asa.unittest, case files, or directories of these."`
	Match      string        `name:"run" placeholder:"REGEX" help:"Only tests whose name or file matches."`
	Ways       bool          `help:"Run each test in all ways: whole, one row a batch, three rows, random cuts, snapshot and restore after every batch, and several shards. All must give the same rows."`
	Shuffle    int           `placeholder:"N" help:"Run each test of a job N times more, with other orders of arrival. No row may change."`
	Seed       uint64        `default:"1" placeholder:"N" help:"Of random cuts and orders. Default ${default}."`
	Timeout    time.Duration `default:"1m" placeholder:"D" help:"Of one test. Default ${default}; 0 is none."`
	Update     bool          `help:"Replace expected rows in test files by those that come out. What changes is shown; comments stay."`
	Watch      bool          `help:"Run again whenever a file changes, until interrupted."`
	Overlay    string        `placeholder:"FILE" help:"Settings laid over the job, as for weir run."`
	levelFlag  `embed:""`
	JSON       bool   `help:"Print an object per test: name, file, line, ok, skipped, ms, message."`
	JUnit      string `name:"junit" placeholder:"FILE" help:"Write the results as JUnit XML too."`
	Github     bool   `help:"Print failures as annotations of GitHub workflows too."`
	AsaSummary string `placeholder:"FILE|DIR" help:"Write testResultSummary.json, as Azure's tool does, and the rows of each case beside it."`
}

// Help shows examples before the flags.
func (testCmd) Help() string {
	return `Examples:
  weir test                                  # all tests of the job here
  weir test downtime_test.yaml --run late
  weir test asaproj.json --asa-summary results
  weir test . --update                       # take what comes out as right
  weir test . --ways --shuffle 50 --junit report.xml
  weir test testdata/saql/conformance

A test gives events and says what must come out:

  # downtime_test.yaml
  tests:
    - name: a late event inside the limit counts in its minute
      time: {late_arrival: 5s, out_of_order: 2s, policy: adjust}
      given:
        downtime:
          - {at: 12:00:11, TeamId: a, Date: 12:00:10}   # at: when it arrives
          - {at: 12:01:02, TeamId: a, Date: 12:00:59}
      expect:
        teams:
          - {TeamId: a, Down: 2}
        $late: []

docs/testing.md has all of it. The exit status is 0 if all passed, 1 if one failed, 2 if a
file could not be read or a query does not compile.`
}

// verdict is what became of a test, for programs.
type verdict struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line,omitempty"`
	OK      bool    `json:"ok"`
	Skipped string  `json:"skipped,omitempty"`
	MS      float64 `json:"ms"`
	Message string  `json:"message"`
}

func newVerdict(r *suite.Result) verdict {
	return verdict{Name: r.Test.Name, File: r.Test.Place.File, Line: r.Test.Place.Line, OK: r.OK, Skipped: r.Skipped,
		MS: float64(r.Elapsed.Microseconds()) / 1000, Message: r.Message()}
}

// Run runs the tests.
func (t *testCmd) Run(ctx context.Context, con *console) error {
	if t.Watch {
		return t.watch(ctx, con)
	}
	_, err := t.once(con)
	return err
}

// once runs the tests once. The suite is there even if it could not be read whole.
func (t *testCmd) once(con *console) (*suite.Suite, error) {
	s, err := t.load(con)
	if err != nil {
		return s, err
	}
	o := suite.RunOptions{Ways: []testkit.Way{testkit.Whole}, Shuffle: t.Shuffle, Seed: t.Seed, Timeout: t.Timeout}
	if t.Ways {
		o.Ways = testkit.Ways(t.Seed)
	}
	bar := newProgress(con, "test")
	out := &testOutput{t: t, con: con, enc: json.NewEncoder(con.out)}
	var results []*suite.Result
	for r := range runTests(s, o, bar) {
		results = append(results, r)
		if t.Update {
			continue // what is right after the update is not shown
		}
		bar.clear()
		if err := out.show(r); err != nil {
			return s, err
		}
	}
	bar.clear()
	if t.Update {
		if err := out.update(results); err != nil {
			return s, err
		}
	}
	return s, out.end(results)
}

// load reads all tests; every file that cannot be read is named.
func (t *testCmd) load(con *console) (*suite.Suite, error) {
	match, err := regexp.Compile(t.Match)
	if err != nil {
		return nil, usage("--run: %w", err)
	}
	s, err := suite.Load(t.Paths, suite.Options{Level: t.level(), Load: func(path string) (*project.Job, error) {
		return project.Load(path, withEnvironment(project.Options{Overlay: t.Overlay, KeepReferences: true}))
	}})
	if err != nil {
		return s, t.unreadable(con, err)
	}
	found := len(s.Tests)
	s.Select(match.MatchString)
	switch {
	case found == 0:
		return s, usage("there is no case in %s", strings.Join(t.Paths, " "))
	case len(s.Tests) == 0:
		return s, usage("--run %q matches none of the cases in %s", t.Match, strings.Join(t.Paths, " "))
	}
	s.KeepOnly()
	return s, nil
}

// unreadable draws what is wrong with the files.
func (t *testCmd) unreadable(con *console, err error) error {
	var plain []error
	for _, e := range unjoined(err) {
		if f, ok := errors.AsType[*suite.Findings](e); ok {
			project.RenderNotes(con.err, f.Notes, map[string]string{f.Notes[0].File: f.Text}, con.errColor)
		} else if p, ok := asProblem(e); ok {
			p.Render(con.err, con.errColor)
		} else if _, ok := errors.AsType[*suite.QueryError](e); ok {
			fmt.Fprintln(con.err, e)
		} else {
			plain = append(plain, e)
		}
	}
	if len(plain) == 0 {
		return silent(exitUsage)
	}
	return usage("cannot read the cases:\n%w", errors.Join(plain...))
}

// unjoined are the errors that were joined into one.
func unjoined(err error) []error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return list.Unwrap()
	}
	return []error{err}
}

// testOutput shows results as they come.
type testOutput struct {
	t       *testCmd
	con     *console
	enc     *json.Encoder
	failed  int
	skipped int
	updated int
	broken  bool
	said    map[string]bool // queries that do not compile, which have been shown
}

// show shows a result.
func (o *testOutput) show(r *suite.Result) error {
	if r.Skipped != "" {
		o.skipped++
	} else if !r.OK {
		o.failed++
	}
	o.broken = o.broken || r.Broken
	if o.t.Github {
		if _, err := o.con.out.Write([]byte(r.Annotations())); err != nil {
			return err
		}
	}
	if o.t.JSON {
		return o.enc.Encode(newVerdict(r))
	}
	if r.OK {
		for _, n := range r.Notes {
			if _, err := fmt.Fprintf(o.con.out, "--- note: %s\n%s\n", r.Test.Name, indented(n.String())); err != nil {
				return err
			}
		}
		return nil
	}
	message := r.Message()
	if r.Broken {
		if o.said == nil {
			o.said = map[string]bool{}
		}
		if o.said[message] {
			message = "the query does not compile, as above"
		}
		o.said[r.Message()] = true
	}
	place := r.Test.Place.File
	if r.Test.Place.Line > 0 {
		place += fmt.Sprintf(":%d", r.Test.Place.Line)
	}
	_, err := fmt.Fprintf(o.con.out, "%s %s (%s)\n%s\n", o.con.paint(o.con.outColor, red, "--- FAIL:"), r.Test.Name, place, indented(message))
	return err
}

// end writes the reports and the last line.
func (o *testOutput) end(results []*suite.Result) error {
	if o.t.JUnit != "" {
		f, err := createFile("--junit", o.t.JUnit)
		if err != nil {
			return err
		}
		if err := errors.Join(suite.WriteJUnit(f, results), f.Close()); err != nil {
			return err
		}
	}
	if o.t.AsaSummary != "" {
		if err := suite.WriteSummaries(o.t.AsaSummary, results); err != nil {
			return usage("--asa-summary: %w", err)
		}
	}
	if o.t.JSON {
		return o.status()
	}
	line := fmt.Sprintf("%d passed, %d failed", len(results)-o.failed-o.skipped, o.failed)
	if o.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", o.skipped)
	}
	if o.updated > 0 {
		line += fmt.Sprintf(", %d updated", o.updated)
	}
	if _, err := fmt.Fprintln(o.con.out, line); err != nil {
		return err
	}
	return o.status()
}

func (o *testOutput) status() error {
	switch {
	case o.broken:
		return silent(exitUsage)
	case o.failed > 0:
		return silent(exitFindings)
	}
	return nil
}

// update rewrites test files, and shows what changed and what is still wrong.
func (o *testOutput) update(results []*suite.Result) error {
	changes, err := suite.Update(results)
	if err != nil {
		return usage("--update: %w", err)
	}
	for _, c := range changes {
		if err := os.WriteFile(c.Path, []byte(c.Text), 0o644); err != nil {
			return usage("--update: %w", err)
		}
		if !o.t.JSON {
			fmt.Fprint(o.con.out, c.Diff)
		}
		for _, r := range c.Results {
			r.OK, r.Failures = true, nil
			o.updated++
		}
	}
	for _, r := range results {
		if err := o.show(r); err != nil {
			return err
		}
	}
	return nil
}

// runTests runs the tests on all processors. The results come in the order of the tests,
// each as soon as it and all before it are there.
func runTests(s *suite.Suite, o suite.RunOptions, bar *progress) func(yield func(*suite.Result) bool) {
	return func(yield func(*suite.Result) bool) {
		done := make([]chan *suite.Result, len(s.Tests))
		for i := range done {
			done[i] = make(chan *suite.Result, 1)
		}
		next := make(chan int)
		var workers sync.WaitGroup
		for range min(runtime.GOMAXPROCS(0), len(s.Tests)) {
			workers.Go(func() {
				for i := range next {
					done[i] <- s.Run(s.Tests[i], o)
				}
			})
		}
		stop := make(chan struct{})
		workers.Go(func() {
			defer close(next)
			for i := range s.Tests {
				select {
				case next <- i:
				case <-stop:
					return
				}
			}
		})
		defer workers.Wait()
		defer close(stop)
		for i := range s.Tests {
			if !yield(<-done[i]) {
				return
			}
			bar.update(int64(i+1), int64(len(s.Tests)), int64(i+1))
		}
	}
}

func indented(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// watchEvery is how often files are looked at for changes.
const watchEvery = 300 * time.Millisecond

// watch runs the tests whenever a file that they were read from changes.
func (t *testCmd) watch(ctx context.Context, con *console) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s, err := t.once(con)
		if err != nil {
			con.report(err)
		}
		files := append([]string(nil), t.Paths...)
		if s != nil {
			files = append(files, s.Files...)
		}
		seen := modified(files)
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, fmt.Sprintf("watching %d files", len(files))))
		for modified(files) == seen {
			select {
			case <-ctx.Done():
				return errInterrupted
			case <-tick.C:
			}
		}
		fmt.Fprintln(con.out)
	}
}

// modified is a text that changes when one of the files does.
func modified(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", f, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}
