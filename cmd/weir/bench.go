package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"weir/internal/generate"
)

type benchCmd struct {
	Suite   string        `default:"standard" enum:"standard,nexmark" help:"standard (Q0, Q1, ...), or nexmark (q0, q1, ...)."`
	Queries []string      `arg:"" optional:"" placeholder:"ID" help:"Which queries of the suite. Default: all."`
	Events  int64         `short:"n" default:"5000000" help:"How many events to generate."`
	Seed    uint64        `default:"1" help:"Seed of the events."`
	Jitter  time.Duration `default:"2s" help:"How far out of order the events are, at most."`
	Data    string        `placeholder:"FILE" help:"Use these events, not generated ones."`
	Workers int           `default:"1" help:"Goroutines that decode."`
	Runs    int           `default:"3" help:"How often each query runs; the run that cost least counts."`
	JSON    bool          `help:"Print an object per query."`
	DuckDB  string        `name:"duckdb" placeholder:"DIR" help:"Run the equal queries in DuckDB too; DIR is bench/duckdb of the source, after npm ci."`
	Texts   bool          `help:"Print the texts of the queries and run nothing."`
	Child   string        `hidden:"" help:"Run this one query over --data and print what it cost."`
	Table   string        `hidden:"" help:"Reference data of the query of --child."`
}

// Help shows examples before the flags.
func (benchCmd) Help() string {
	return `Examples:
  weir bench
  weir bench Q2 Q4 --events 1000000 --workers 2
  weir bench --data events.jsonl --json
  weir bench --suite nexmark

Each query runs in a process of its own, from the file to the null device, over events that
are in the page cache. Times are CPU time, user and system, of that process; of --runs runs
the cheapest counts.`
}

// cost is what one query cost.
type cost struct {
	Query       string  `json:"query"`
	What        string  `json:"what"`
	Events      int64   `json:"events"`
	Bytes       int64   `json:"bytes"`
	Rows        int64   `json:"rows"`
	Late        int64   `json:"late"`
	Seconds     float64 `json:"seconds"`
	CPUSeconds  float64 `json:"cpuSeconds"`
	Mallocs     uint64  `json:"mallocs"`
	StartBytes  int64   `json:"startBytes"` // memory of the process before the query
	PeakBytes   int64   `json:"peakBytes"`
	DuckDB      *duck   `json:"duckdb,omitempty"`
	PerEventNS  float64 `json:"nsPerEvent"`
	EventsPerCP float64 `json:"eventsPerCPUSecond"`
}

// duck is what the equal query cost in DuckDB.
type duck struct {
	Rows       int64   `json:"rows"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	PeakBytes  int64   `json:"peakBytes"`
}

// manyTeams is how many teams the data of queries over many keys has.
const manyTeams = 100_000

// Run measures.
func (b *benchCmd) Run(ctx context.Context, con *console) error {
	if b.Child != "" {
		return b.child(ctx, con)
	}
	queries, err := b.chosen()
	if err != nil {
		return err
	}
	if b.Texts {
		for _, q := range queries {
			fmt.Fprintf(con.out, "-- %s: %s\n%s;\n\n", q.ID, q.What, q.SAQL)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "weir-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer con.note("")
	var costs []cost
	for _, q := range queries {
		file, err := b.data(ctx, con, dir, q)
		if err != nil {
			return err
		}
		con.note("running " + q.ID)
		table, err := writeTable(dir, q)
		if err != nil {
			return err
		}
		c, err := b.best(ctx, q, file, table)
		if err != nil {
			return fmt.Errorf("%s: %w", q.ID, err)
		}
		costs = append(costs, c)
	}
	con.note("")
	return b.show(con, costs)
}

// note shows a passing word on the terminal.
func (c *console) note(s string) {
	if c.errTTY {
		fmt.Fprintf(c.err, "\r\x1b[2K%s", s)
	}
}

func (b *benchCmd) chosen() ([]benchQuery, error) {
	all := suites[b.Suite]
	if len(b.Queries) == 0 {
		return all, nil
	}
	var list []benchQuery
	var known []string
	for _, q := range all {
		known = append(known, q.ID)
	}
	for _, id := range b.Queries {
		at := len(list)
		for _, q := range all {
			if strings.EqualFold(q.ID, id) {
				list = append(list, q)
			}
		}
		if len(list) == at {
			return nil, usage("there is no query %q; there are %s", id, strings.Join(known, ", "))
		}
	}
	return list, nil
}

// data is the file of the events: the one given, or one that is generated once.
func (b *benchCmd) data(ctx context.Context, con *console, dir string, q benchQuery) (string, error) {
	if b.Data != "" {
		return b.Data, readable(b.Data)
	}
	d := generate.Downtime{Teams: generate.DefaultTeams, Settings: generate.Settings{
		Seed: b.Seed, Start: generate.DefaultStart, Rate: generate.DefaultRate, Jitter: b.Jitter}}
	name, stream := filepath.Join(dir, "events.jsonl"), generate.Stream(nil)
	switch {
	case q.Nexmark:
		d.Jitter = 0 // the published setting: in order
		name, stream = filepath.Join(dir, "nexmark.jsonl"), generate.Nexmark{Settings: d.Settings}.Stream()
	case q.ManyKeys:
		d.Teams, d.Rate = manyTeams, q.ManyRate
		name = filepath.Join(dir, fmt.Sprintf("many%d.jsonl", d.Rate))
	}
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	con.note("making " + plural(b.Events, "event"))
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if stream == nil {
		stream = d.Stream()
	}
	_, err = io.Copy(f, generate.NewReader(stream, b.Events))
	return name, errors.Join(err, f.Close(), ctx.Err())
}

// writeTable writes the reference data of a query, if it has some.
func writeTable(dir string, q benchQuery) (string, error) {
	name, b := "", []byte(nil)
	switch {
	case q.Nexmark:
		name, b = filepath.Join(dir, "side.jsonl"), generate.NexmarkSide()
	case q.Teams:
		name, b = filepath.Join(dir, "teams.jsonl"), teamsTable()
	default:
		return "", nil
	}
	return name, os.WriteFile(name, b, 0o600)
}

// teamsTable is a row for each of the many teams.
func teamsTable() []byte {
	var b []byte
	for i := range manyTeams {
		b = fmt.Appendf(b, `{"TeamId":"Team%02d","Region":"region%02d","Tier":%d}`+"\n", i+1, i%50, i%3)
	}
	return b
}

// best measures a query several times, Weir and DuckDB in turns, and gives what each cost
// in its cheapest run: what else the machine does only adds to that.
func (b *benchCmd) best(ctx context.Context, q benchQuery, file, table string) (cost, error) {
	best, err := b.measure(ctx, q, file, table)
	for i := 1; i < b.Runs && err == nil; i++ {
		var c cost
		if c, err = b.measure(ctx, q, file, table); err != nil {
			break
		}
		d := best.DuckDB
		if c.DuckDB != nil && c.DuckDB.CPUSeconds < d.CPUSeconds {
			d = c.DuckDB
		}
		if c.CPUSeconds < best.CPUSeconds {
			best = c
		}
		best.DuckDB = d
	}
	return best, err
}

// measure runs a query in a process of its own, and in DuckDB.
func (b *benchCmd) measure(ctx context.Context, q benchQuery, file, table string) (cost, error) {
	c := cost{}
	args := []string{"bench", "--suite", b.Suite, "--child", q.ID, "--data", file, "--jitter", b.Jitter.String(), "--workers", fmt.Sprint(b.Workers)}
	if table != "" {
		args = append(args, "--table", table)
	}
	out, err := child(ctx, "", os.Args[0], args...)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return c, fmt.Errorf("what the child printed: %w", err)
	}
	c.Query, c.What = q.ID, q.What
	c.PerEventNS = c.CPUSeconds * 1e9 / float64(max(c.Events, 1))
	c.EventsPerCP = float64(c.Events) / c.CPUSeconds
	if b.DuckDB == "" || q.SQL == "" {
		return c, nil
	}
	sql, err := json.Marshal(map[string]string{"sql": q.duckSQL(file, table)})
	if err != nil {
		return c, err
	}
	out, err = child(ctx, string(sql), "node", filepath.Join(b.DuckDB, "query.mjs"))
	if err != nil {
		return c, fmt.Errorf("DuckDB (have you run npm ci in %s?): %w", b.DuckDB, err)
	}
	c.DuckDB = &duck{}
	return c, json.Unmarshal(out, c.DuckDB)
}

// child runs a program and gives what it prints.
func child(ctx context.Context, stdin, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(errText.String()))
	}
	return out, nil
}

// show prints the costs.
func (b *benchCmd) show(con *console, costs []cost) error {
	if b.JSON {
		enc := json.NewEncoder(con.out)
		for _, c := range costs {
			if err := enc.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	names := []string{"query", "what", "M events/CPU s", "M events/s", "MB/s", "ns/event", "allocs/event", "rows", "peak MB", "CPU s"}
	if b.DuckDB != "" {
		names = append(names, "DuckDB M/CPU s", "times faster", "DuckDB rows", "DuckDB peak MB")
	}
	t := newTable(con.out, names)
	for _, c := range costs {
		row := c.cells()
		numbers := make([]bool, len(row))
		for i := range row {
			numbers[i] = i > 1
		}
		if err := t.add(row, numbers); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	workers := "goroutines that decode"
	if b.Workers == 1 {
		workers = "goroutine that decodes"
	}
	_, err := fmt.Fprintf(con.err, "%s %s/%s, %d processors, %d %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.Workers, workers)
	return err
}

func (c *cost) cells() []string {
	events := float64(max(c.Events, 1))
	f := func(format string, x float64) string { return fmt.Sprintf(format, x) }
	cells := []string{c.Query, c.What,
		f("%.2f", c.EventsPerCP/1e6),
		f("%.2f", events/c.Seconds/1e6),
		f("%.0f", float64(c.Bytes)/c.Seconds/1e6),
		f("%.0f", c.PerEventNS),
		f("%.4f", float64(c.Mallocs)/events),
		grouped(c.Rows),
		f("%.0f", float64(c.PeakBytes)/1e6),
		f("%.2f", c.CPUSeconds),
	}
	if d := c.DuckDB; d != nil {
		cells = append(cells, f("%.2f", events/d.CPUSeconds/1e6), f("%.1f", d.CPUSeconds/c.CPUSeconds),
			grouped(d.Rows), f("%.0f", float64(d.PeakBytes)/1e6))
	}
	return cells
}

// eventsOf is the place of the events in a text of DuckDB.
const eventsOf = "$EVENTS("

// duckTypes are the columns of the events for DuckDB.
var duckTypes = map[string]string{
	"TeamId": "VARCHAR", "ServiceId": "VARCHAR", "Date": "TIMESTAMP", "StatusCode": "BIGINT", "Status": "BOOLEAN",
}

// duckSQL is the text for DuckDB, reading file.
func (q *benchQuery) duckSQL(file, table string) string {
	const read = "read_json('%s', format='newline_delimited', columns={TeamId: 'VARCHAR', Region: 'VARCHAR', Tier: 'BIGINT'})"
	sql := strings.ReplaceAll(q.SQL, "$TEAMS", fmt.Sprintf(read, table))
	before, rest, _ := strings.Cut(sql, eventsOf)
	columns, after, _ := strings.Cut(rest, ")")
	var list []string
	for _, name := range strings.Split(columns, ", ") {
		list = append(list, fmt.Sprintf("%s: '%s'", name, duckTypes[name]))
	}
	return before + fmt.Sprintf("read_json('%s', format='newline_delimited', columns={%s})",
		strings.ReplaceAll(file, "'", "''"), strings.Join(list, ", ")) + after
}
