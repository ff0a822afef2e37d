package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/generate"
	"weir/internal/project"
)

type initCmd struct {
	Dir string `arg:"" optional:"" default:"." placeholder:"DIR" help:"Where the job goes. It is made if it is not there."`
}

// Help shows examples before the flags.
func (initCmd) Help() string {
	return `Examples:
  weir init downtime
  cd downtime && weir run && weir test

It writes a small job to start from: seconds in which services fail are counted per team and minute.
No file that is there is changed.`
}

// initYAML is the job file of a new job.
const initYAML = `# yaml-language-server: $schema=weir.schema.json
# All settings: weir schema; the connectors: weir schema connectors
version: 1
job:
  name: NAME
  query: ./downtime.saql
  time:
    late_arrival: 1s      # how much later than its own time an event may arrive
    out_of_order: 0s
    policy: adjust        # what is beyond that gets another time; drop: it is dropped
inputs:
  downtime:
    sample: ./samples/downtime.jsonl   # "weir run" reads it
outputs:
  teams:    # with a type, such as sqlite, rows go there when the job runs live
`

// initQuery is the query of a new job.
const initQuery = `-- In how many seconds of each minute did a service of the team fail?
WITH seconds AS (
  SELECT TeamId, System.Timestamp() AS Second
  FROM downtime TIMESTAMP BY Date
  WHERE Status = 0
  GROUP BY TeamId, TumblingWindow(second, 1)
)
SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS Down
INTO teams
FROM seconds
GROUP BY TeamId, TumblingWindow(minute, 1)
`

// initTest is the test of a new job.
const initTest = `# Run by: weir test. docs/testing.md has all that a test can say.
day: 2018-01-10
tests:
  - name: a second counts once, however many services fail in it
    given:
      downtime:
        - {at: 12:00:10.2, TeamId: a, ServiceId: aTrip, Date: 12:00:10.1, Status: false}
        - {at: 12:00:10.4, TeamId: a, ServiceId: aPOI, Date: 12:00:10.3, Status: false}
        - {at: 12:00:11.4, TeamId: a, ServiceId: aPOI, Date: 12:00:11.3, Status: true}
    expect:
      teams: [{TeamId: a, Time: 12:01:00, Down: 1}]
`

// The sample of a new job: a few teams for some minutes.
const (
	initEvents = 3600
	initRate   = 12
	initTeams  = 4
)

// Run writes a new job.
func (c *initCmd) Run(con *console) error {
	name := filepath.Base(c.Dir)
	if abs, err := filepath.Abs(c.Dir); err == nil {
		name = filepath.Base(abs)
	}
	events, err := initSample()
	if err != nil {
		return err
	}
	files := []struct{ name, text string }{
		{"weir.yaml", strings.Replace(initYAML, "NAME", fmt.Sprintf("%q", name), 1)},
		{"downtime.saql", initQuery},
		{"downtime_test.yaml", initTest},
		{"samples/downtime.jsonl", events},
		{"weir.schema.json", string(project.Schema())},
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(c.Dir, f.name)); err == nil {
			return usage("%s is there already; name an empty folder: weir init DIR", filepath.Join(c.Dir, f.name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return usage("%w", err)
		}
	}
	for _, f := range files {
		path := filepath.Join(c.Dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return usage("%w", err)
		}
		if err := os.WriteFile(path, []byte(f.text), 0o666); err != nil {
			return usage("%w", err)
		}
		fmt.Fprintln(con.err, "wrote", path)
	}
	fmt.Fprintf(con.err, "next: weir run %s; weir test %s\n", c.Dir, c.Dir)
	return nil
}

// initSample makes the events of a new job.
func initSample() (string, error) {
	d := generate.Downtime{Settings: generate.Settings{Seed: 1, Start: generate.DefaultStart, Rate: initRate}, Teams: initTeams, Outages: true}
	if err := d.Check(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(generate.NewReader(d.Stream(), initEvents))
	return string(b), err
}
