package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// asaSummary is testResultSummary.json (jobmodel.md 10).
type asaSummary struct {
	Total   int
	Passed  int
	Failed  int
	Script  string
	Results []asaResult
	Time    string
}

// asaResult is what became of a case: Status is 0 if it passed and 1 if it failed.
type asaResult struct {
	Name             string
	Status           int
	Time             string
	OutputMatched    []asaOutput
	OutputNotEqual   []asaOutput
	OutputMissing    []asaOutput
	OutputUnexpected []asaOutput
	OutputUnrequired []asaOutput
}

type asaOutput struct {
	OutputAlias    string
	ExpectedOutput string
	Output         string
}

// summaryName is the name of a summary, as Azure's tool has it.
const summaryName = "testResultSummary.json"

// WriteSummaries writes the summaries of the Azure tests among results. to is a directory, or
// the file of the summary; the rows of each case go to directories beside it. With several
// sets of tests, each has a directory of its own.
func WriteSummaries(to string, results []*Result) error {
	var configs []*asaConfig
	for _, r := range results {
		if r.Test.config != nil && !slices.Contains(configs, r.Test.config) {
			configs = append(configs, r.Test.config)
		}
	}
	if len(configs) == 0 {
		return errors.New("there are no tests of an Azure project: testConfig.json, or a folder of asa.unittest")
	}
	dir, file := to, summaryName
	if strings.EqualFold(filepath.Ext(to), ".json") {
		dir, file = filepath.Dir(to), filepath.Base(to)
	}
	for i, c := range configs {
		own := dir
		if len(configs) > 1 {
			own = filepath.Join(dir, fmt.Sprintf("%d-%s", i+1, fileName(c.job.Name)))
		}
		if err := c.write(own, file, results); err != nil {
			return err
		}
	}
	return nil
}

// fileName is a text as the name of a file: what leads elsewhere becomes a dash.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, s)
	if s = strings.Trim(s, ". "); s == "" {
		return "unnamed"
	}
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "")
	}
	return s
}

// write writes one summary.
func (c *asaConfig) write(dir, file string, results []*Result) error {
	s := asaSummary{Script: c.script, Results: []asaResult{}}
	if full, err := filepath.Abs(c.script); err == nil {
		s.Script = full
	}
	var elapsed time.Duration
	for _, r := range results {
		if r.Test.config != c || r.Skipped != "" {
			continue
		}
		a, err := r.asa(filepath.Join(dir, fileName(r.Test.label)))
		if err != nil {
			return err
		}
		s.Results = append(s.Results, a)
		elapsed += r.Elapsed
		s.Total++
		if r.OK {
			s.Passed++
		} else {
			s.Failed++
		}
	}
	s.Time = timeSpan(elapsed)
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file), append(b, '\n'), 0o644)
}

// timeSpan is a duration as .NET writes it: 00:00:00.1234567.
func timeSpan(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d.%07d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Nanoseconds()%1e9/100)
}

// asa writes the rows of a case to dir, a file an output, and tells what became of each.
func (r *Result) asa(dir string) (asaResult, error) {
	a := asaResult{Name: r.Test.label, Time: timeSpan(r.Elapsed), OutputMatched: []asaOutput{}, OutputNotEqual: []asaOutput{},
		OutputMissing: []asaOutput{}, OutputUnexpected: []asaOutput{}, OutputUnrequired: []asaOutput{}}
	if !r.OK {
		a.Status = 1
	}
	sc := r.Test.scenario
	files := map[streamName]string{}
	if r.outcome != nil && r.outcome.err == nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return a, err
		}
		for _, name := range r.outcome.names() {
			var b strings.Builder
			for _, row := range r.outcome.rows[name] {
				b.WriteString(row.Raw + "\n")
			}
			files[name] = filepath.Join(dir, fileName(name.name)+".json")
			if err := os.WriteFile(files[name], []byte(b.String()), 0o644); err != nil {
				return a, err
			}
		}
	}
	for i := range sc.expect {
		e := &sc.expect[i]
		out := asaOutput{OutputAlias: e.name, ExpectedOutput: e.file}
		if r.outcome != nil {
			name := r.outcome.find(e.name, outputStream)
			out.Output = files[name]
			delete(files, name)
		}
		differs := slices.ContainsFunc(r.diffs, func(d *difference) bool { return d.e == e })
		switch {
		case e.optional:
			a.OutputUnrequired = append(a.OutputUnrequired, out)
		case out.Output == "":
			a.OutputMissing = append(a.OutputMissing, out)
		case differs:
			a.OutputNotEqual = append(a.OutputNotEqual, out)
		default:
			a.OutputMatched = append(a.OutputMatched, out)
		}
	}
	if r.outcome != nil {
		for _, name := range r.outcome.names() {
			if file := files[name]; file != "" {
				a.OutputUnexpected = append(a.OutputUnexpected, asaOutput{OutputAlias: name.name, Output: file})
			}
		}
	}
	return a, nil
}
