package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/exec"
	"weir/internal/generate"
	"weir/internal/job"
	"weir/internal/vec"
)

type demoCmd struct{}

// The demonstration: half an hour of health reports of ten teams, 1,000 a second.
const (
	demoTeams   = 10
	demoMinutes = 30
	demoRate    = 1000
	demoJitter  = 2 * time.Second
	demoSeed    = 7
	demoEvents  = int64(demoRate * (60*demoMinutes - demoJitter/time.Second - 1))
	demoShown   = 8 // rows of the table
)

var demoStart = time.Date(2018, 1, 10, 10, 0, 0, 0, time.UTC)

// demoQuery is the story: a team is down in a second in which any report of its services
// failed; how many seconds of each minute was it down?
const demoQuery = `WITH step AS (
    SELECT TeamId, System.Timestamp() AS Second, COUNT(*) AS Failures
    FROM downtime TIMESTAMP BY Date
    WHERE Status = 0
    GROUP BY TeamId, TumblingWindow(second, 1)
)
SELECT TeamId, System.Timestamp() AS Minute, COUNT(*) AS DownSeconds, SUM(Failures) AS Failures
FROM step
GROUP BY TeamId, TumblingWindow(minute, 1)
`

// demoNext are commands to try; %[1]s is how to call the program.
const demoNext = `Make such events:    %[1]s generate downtime --outages -n 100000 -o events.jsonl
Ask them something:  %[1]s run -i events.jsonl --query "SELECT TeamId, COUNT(*) AS n FROM e TIMESTAMP BY Date WHERE StatusCode >= 500 GROUP BY TeamId, TumblingWindow(second, 5)"
Look something up:   %[1]s explain TumblingWindow
See all there is:    %[1]s --help
`

// programName is what to type to call this program again.
func programName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/weir"
	}
	return filepath.Base(os.Args[0])
}

// Help says what it does.
func (demoCmd) Help() string {
	return `Makes half an hour of health reports of ten teams, in memory, and shows how long each team
was down in each minute. Nothing is written and nothing is fetched.`
}

// Run shows the demonstration.
func (demoCmd) Run(ctx context.Context, con *console) error {
	q := compile("demo", demoQuery, anyEnv)
	if err := q.valid(con); err != nil {
		return err
	}
	sample := generate.Downtime{
		Settings: generate.Settings{Seed: demoSeed, Rate: demoRate, Jitter: demoJitter,
			Start: demoStart.Add(demoJitter + time.Millisecond)}, // no event before demoStart
		Teams:   demoTeams,
		Outages: true,
	}
	events := generate.NewReader(sample.Stream(), demoEvents)
	heat := newHeatMap(demoStart.Add(time.Minute), demoMinutes)
	var rows [][]string
	bar := newProgress(con, "event")
	result, err := job.Run(ctx, q.plan, []job.Input{{Name: "downtime", Reader: events}}, job.Options{
		Late: time.Minute, OutOfOrder: demoJitter,
		OnRows: func(_ int, b *vec.Batch) error {
			for i := range b.N {
				row := make([]string, len(b.Cols))
				for c := range b.Cols {
					row[c] = cellText(b.Cols[c].At(i))
				}
				rows = append(rows, row)
				heat.add(row[0], b.Time[i], b.Cols[2].At(i).Int)
			}
			return nil
		},
		Progress: func(p job.Progress) { bar.update(p.Events, demoEvents, p.Events) },
	})
	bar.clear()
	if err != nil {
		return err
	}
	return showDemo(con, rows, heat, &result)
}

// showDemo prints what came out.
func showDemo(con *console, rows [][]string, heat *heatMap, result *job.Result) error {
	var b strings.Builder
	title := func(s string) { fmt.Fprintf(&b, "\n%s\n\n", con.paint(con.outColor, bold, s)) }
	fmt.Fprintf(&b, "%s\n\n", con.paint(con.outColor, bold, "Teams report the health of their services. How long was each team down?"))
	b.WriteString(demoQuery)
	moved := result.Adjusted[exec.Late] + result.Adjusted[exec.OutOfOrder]
	title(fmt.Sprintf("%s, up to %v out of order (%s too late), gave %s:",
		plural(result.Events, "event"), demoJitter, grouped(moved), plural(int64(len(rows)), "row")))
	t := newTable(&b, []string{"TeamId", "Minute", "DownSeconds", "Failures"})
	for _, r := range rows[:min(demoShown, len(rows))] {
		if err := t.add(r, []bool{false, false, true, true}); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if more := len(rows) - demoShown; more > 0 {
		fmt.Fprintf(&b, "and %s more rows\n", grouped(int64(more)))
	}
	title("Seconds of downtime, by team and minute:")
	heat.draw(&b, con.outColor)
	title("Next:")
	fmt.Fprintf(&b, demoNext, programName())
	if _, err := fmt.Fprint(con.out, b.String()); err != nil {
		return err
	}
	fmt.Fprintf(con.err, "%s in %.2f s, %s events/s\n", plural(result.Events, "event"),
		result.Elapsed.Seconds(), short(float64(result.Events)/result.Elapsed.Seconds()))
	return nil
}
