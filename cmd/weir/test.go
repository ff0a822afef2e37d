package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"weir/internal/caserun"
	"weir/internal/testkit"
)

type testCmd struct {
	Paths     []string `arg:"" placeholder:"PATH" help:"Case files, or directories of *.json files."`
	Match     string   `name:"run" placeholder:"REGEX" help:"Only cases whose name or file matches."`
	Ways      bool     `help:"Run each case in all ways: whole, one row a batch, three rows, random cuts, snapshot and restore after every batch, and several shards."`
	Seed      uint64   `default:"1" placeholder:"N" help:"Of the random cuts. Default 1."`
	levelFlag `embed:""`
	JSON      bool `help:"Print an object per case: name, file, ok, ms, message."`
}

// Help shows examples before the flags.
func (testCmd) Help() string {
	return `Examples:
  weir test testdata/saql/conformance
  weir test cases --run "sliding|session" --ways
  weir test cases --json

A case is a JSON file:

  {"name": "a door knows who opened it",
   "query": "SELECT p.Name, UDF.up(d.Door) AS Door FROM doors d TIMESTAMP BY t JOIN people p ON d.Badge = p.Badge",
   "inputs": {"doors": [{"Badge": 7, "Door": "a", "t": "2024-01-01T08:00:00Z"}]},
   "reference": {"people": [{"Badge": 7, "Name": "Ada"}]},
   "functions": {"UDF.up": "function main(s) { return s.toUpperCase() }"},
   "expected": {"output": [{"Name": "Ada", "Door": "A"}]},
   "ordered": true}

"policies" may have "lateArrival", "outOfOrder" and "action"; "error" in place of
"expected" is a word of the message that the query must fail with. The exit status is 0 if
all passed, 1 if one failed, 2 if a file could not be read.`
}

// verdict is what became of a case.
type verdict struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	OK      bool    `json:"ok"`
	MS      float64 `json:"ms"`
	Message string  `json:"message"`
}

// Run runs the cases.
func (t *testCmd) Run(con *console) error {
	cases, err := t.load()
	if err != nil {
		return err
	}
	ways := []testkit.Way{testkit.Whole}
	if t.Ways {
		ways = testkit.Ways(t.Seed)
	}
	bar := newProgress(con, "case")
	failed := 0
	enc := json.NewEncoder(con.out)
	for i, v := range runCases(cases, ways, bar) {
		if !v.OK {
			failed++
		}
		switch {
		case t.JSON:
			err = enc.Encode(v)
		case !v.OK:
			bar.clear()
			_, err = fmt.Fprintf(con.out, "%s %s (%s)\n%s\n", con.paint(con.outColor, red, "--- FAIL:"), v.Name, cases[i].File, indented(v.Message))
		}
		if err != nil {
			return err
		}
	}
	bar.clear()
	if !t.JSON {
		fmt.Fprintf(con.out, "%d passed, %d failed\n", len(cases)-failed, failed)
	}
	if failed > 0 {
		return silent(exitFindings)
	}
	return nil
}

// load reads all files; every one that cannot be read is named.
func (t *testCmd) load() ([]*testkit.Case, error) {
	match, err := regexp.Compile(t.Match)
	if err != nil {
		return nil, usage("--run: %w", err)
	}
	files, err := testkit.Find(t.Paths)
	if err != nil {
		return nil, usage("%w", err)
	}
	var cases []*testkit.Case
	var errs []error
	for _, file := range files {
		c, err := testkit.Load(file)
		if err != nil {
			errs = append(errs, err)
		} else if match.MatchString(c.Name) || match.MatchString(file) {
			if c.Level == "" {
				c.Level = t.Level
			}
			cases = append(cases, c)
		}
	}
	if len(errs) > 0 {
		return nil, usage("cannot read the cases:\n%w", errors.Join(errs...))
	}
	if len(cases) == 0 && len(files) > 0 && t.Match != "" {
		return nil, usage("--run %q matches none of the cases in %s", t.Match, strings.Join(t.Paths, " "))
	}
	if len(cases) == 0 {
		return nil, usage("there is no case in %s", strings.Join(t.Paths, " "))
	}
	return cases, nil
}

// runCases runs the cases on all processors. The verdicts come in the order of the cases,
// each as soon as it and all before it are there.
func runCases(cases []*testkit.Case, ways []testkit.Way, bar *progress) func(yield func(int, verdict) bool) {
	return func(yield func(int, verdict) bool) {
		done := make([]chan verdict, len(cases))
		for i := range done {
			done[i] = make(chan verdict, 1)
		}
		next := make(chan int)
		var workers sync.WaitGroup
		for range min(runtime.GOMAXPROCS(0), len(cases)) {
			workers.Add(1)
			go func() {
				defer workers.Done()
				for i := range next {
					done[i] <- judge(cases[i], ways)
				}
			}()
		}
		stop := make(chan struct{})
		workers.Add(1)
		go func() {
			defer workers.Done()
			defer close(next)
			for i := range cases {
				select {
				case next <- i:
				case <-stop:
					return
				}
			}
		}()
		defer workers.Wait()
		defer close(stop)
		for i := range cases {
			if !yield(i, <-done[i]) {
				return
			}
			bar.update(int64(i+1), int64(len(cases)), int64(i+1))
		}
	}
}

// judge runs one case in some ways and stops at the first that fails.
func judge(c *testkit.Case, ways []testkit.Way) verdict {
	start := time.Now()
	v := verdict{Name: c.Name, File: c.File, OK: true}
	for _, w := range ways {
		if problem := testkit.Check(c, caserun.Engine, w); problem != "" {
			v.OK, v.Message = false, strings.TrimRight(problem, "\n")
			if len(ways) > 1 {
				v.Message = "way: " + w.Name + "\n" + v.Message
			}
			break
		}
	}
	v.MS = float64(time.Since(start).Microseconds()) / 1000
	return v
}

func indented(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }
