package service_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/service/servicetest"
)

// silence is a job without output, and what is to be said of it.
type silence struct {
	name  string
	query string
	time  string // of the job
	input string // more settings of "events"
	out   string // settings of "rows"; a file if empty
	// second and refs, if set, are further inputs: "others", and reference data "names".
	second, refs string
	table        string // a statement that makes the table of rows.db
	events       []string
	start        job.StartMode // beginning if empty
	// later are events that are written while the job runs.
	later []string
	// stage is the stage of the funnel with the greatest loss, or "" for none.
	stage string
	lost  int64
	// What the cause and the fix must say.
	cause, fix []string
}

// TestWhySilent: every way in which an output stays empty is named, over the real service with
// real connectors.
func TestWhySilent(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	at := func(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05Z") }
	event := func(d time.Duration, rest string) string { return fmt.Sprintf(`{"t":"%s",%s}`, at(d), rest) }
	local := func(d time.Duration) string {
		return fmt.Sprintf(`{"t":"%s"}`, now.Add(d).Format("2006-01-02T15:04:05"))
	}
	const stamped = "SELECT * INTO rows FROM events TIMESTAMP BY t"
	const minutes = "SELECT COUNT(*) AS n INTO rows FROM events TIMESTAMP BY t GROUP BY TumblingWindow(minute, 1)"
	for _, c := range []silence{
		{name: "nothing came", query: stamped, cause: []string{`no event has come from input "events"`}, fix: []string{"look at the sender", "--from beginning"}},
		{name: "malformed", query: stamped, events: []string{"down since ten", "up again", "{"}, stage: "malformed", lost: 3,
			cause: []string{`3 of 3 texts from input "events" could not be read`, "InputDeserializerError.InvalidData"}, fix: []string{"format:"}},
		{name: "local time as UTC", query: stamped, time: "policy: drop", events: []string{local(9 * time.Hour), local(9 * time.Hour)}, stage: "early", lost: 2,
			cause: []string{`2 of 2 events of "events" are early`, "t is 9h ahead of its arrival", "UTC+09:00", "local time without its offset"}, fix: []string{"DATEADD(hour, -9, t)"}},
		{name: "late", query: stamped, time: "policy: drop", events: []string{event(-72*time.Hour, `"a":1`), event(-73*time.Hour, `"a":1`)}, stage: "late", lost: 2,
			cause: []string{`2 of 2 events of "events" are late`, "behind its arrival"}, fix: []string{"late_arrival", "arrival: event"}},
		{name: "case of a text", query: "SELECT * INTO rows FROM events WHERE state = 'DOWN'", events: []string{`{"state":"down"}`, `{"state":"up"}`}, stage: "filtered out", lost: 2,
			cause: []string{"(line 5)", "holds for none of 2 rows", "state is 'down'", "asks for 'DOWN'", "differ by case"}, fix: []string{"LOWER", "weir tap silent events"}},
		{name: "type of a value", query: "SELECT * INTO rows FROM events WHERE paid > 100", events: []string{`{"paid":"1.200,50"}`, `{"paid":"900,00"}`}, stage: "filtered out", lost: 2,
			cause: []string{"paid is '1.200,50'", "a text that is no number", "the number 100"}, fix: []string{"TRY_CAST"}},
		{name: "record for a value", query: "SELECT * INTO rows FROM events WHERE code = 404", events: []string{`{"code":{"value":404}}`}, stage: "filtered out", lost: 1,
			cause: []string{"code is a record", `{"value":404}`, "compares it with 404"}, fix: []string{"the part of it that is meant"}},
		{name: "other values", query: "SELECT * INTO rows FROM events WHERE a > 1 AND state = 'on'", events: []string{`{"state":"off","a":3}`}, stage: "filtered out", lost: 1,
			cause: []string{"state is 'off', never 'on'"}, fix: []string{"weir tap silent events"}},
		{name: "absent field", query: "SELECT * INTO rows FROM events WHERE status = 'on'", events: []string{`{"state":"on"}`}, stage: "filtered out", lost: 1,
			cause: []string{"status is absent or NULL"}, fix: []string{"name of the field status"}},
		{name: "keys of a join", query: "SELECT e.id INTO rows FROM events e TIMESTAMP BY t JOIN others o TIMESTAMP BY t ON e.id = o.id AND DATEDIFF(second, e, o) BETWEEN 0 AND 60",
			events: []string{event(-2*time.Second, `"id":"A7"`)}, second: event(-time.Second, `"id":"a7"`) + "\n", stage: "without a partner in a join",
			cause: []string{`none of 1 row of "e" with any of 1 of "o"`, "id of \"e\" is 'A7' and id of \"o\" is 'a7'", "differ by case"}, fix: []string{"LOWER"}},
		{name: "time of a join", query: "SELECT e.id INTO rows FROM events e TIMESTAMP BY t JOIN others o TIMESTAMP BY t ON e.id = o.id AND DATEDIFF(second, e, o) BETWEEN 0 AND 60", time: "late_arrival: 1d",
			events: []string{event(-10*time.Minute, `"id":"a7"`)}, second: event(-time.Second, `"id":"a7"`) + "\n", stage: "without a partner in a join",
			cause: []string{"too far apart", `"o" is 9m59s after "e"`}, fix: []string{"bounds of DATEDIFF"}},
		{name: "other side of a join", query: "SELECT e.id INTO rows FROM events e TIMESTAMP BY t JOIN others o TIMESTAMP BY t ON e.id = o.id AND DATEDIFF(second, e, o) BETWEEN 0 AND 60",
			events: []string{event(-2*time.Second, `"id":"A7"`)}, second: "\n", stage: "without a partner in a join", lost: 1,
			cause: []string{`no event has come from input "others"`}},
		{name: "reference data", query: "SELECT e.id INTO rows FROM events e JOIN names n ON e.id = n.id", events: []string{`{"id":7}`, `{"id":8}`}, refs: `[{"id":"7"},{"id":"8"}]`,
			stage: "without a partner in a join", lost: 2, cause: []string{"finds none of 2 rows in the reference data", `id of "e" is 7 and id of "n" is '7'`, "one is a number and the other a text"}, fix: []string{"CAST"}},
		{name: "empty reference data", query: "SELECT e.id INTO rows FROM events e JOIN names n ON e.id = n.id", events: []string{`{"id":7}`}, refs: `[]`,
			stage: "without a partner in a join", lost: 1, cause: []string{`"n" has no rows`}, fix: []string{"reference data is read"}},
		{name: "open window", query: minutes, time: "late_arrival: 1h", events: []string{event(0, `"a":1`)},
			cause: []string{"window", "not closed yet", "tumbling 1 min", "closes when the watermark passes " + now.Truncate(time.Minute).Add(minuteEnd(now)).Format("2006-01-02T15:04:05Z"), "held by events"},
			fix:   []string{"closes at about " + now.Truncate(time.Minute).Add(minuteEnd(now)+time.Hour).Format("2006-01-02T15:04:05Z"), "late_arrival (1h)", "send newer events to events"}},
		{name: "idle input", query: "WITH both AS (SELECT t FROM events TIMESTAMP BY t UNION SELECT t FROM others TIMESTAMP BY t) SELECT COUNT(*) AS n INTO rows FROM both GROUP BY TumblingWindow(second, 1)", time: "late_arrival: none",
			events: []string{event(-time.Minute, `"a":1`), event(-time.Second, `"a":1`)}, second: event(-time.Minute, `"a":1`) + "\n",
			cause: []string{"not closed yet", "held by others"}, fix: []string{"send newer events to others", "set late_arrival"}},
		{name: "TIMESTAMP BY nothing", query: "SELECT * INTO rows FROM events TIMESTAMP BY EventTime", events: []string{event(0, `"a":1`), event(0, `"a":2`)}, stage: "without a time", lost: 2,
			cause: []string{`2 of 2 events of "events" have no time`, "EventTime is absent"}, fix: []string{"TIMESTAMP BY"}},
		{name: "before the start", query: stamped, input: "arrival: event", start: job.StartNow, later: []string{event(-time.Hour, `"a":1`), event(-time.Hour, `"a":2`)},
			stage: "from before the start", lost: 2, cause: []string{"2 rows were left out because their time is before"}, fix: []string{"--from beginning"}},
		{name: "output away", query: "SELECT * INTO rows FROM events", out: "{type: http, url: 'http://" + refusing(t) + "/'}", events: []string{`{"a":1}`},
			cause: []string{"the job waits: output \"rows\"", "refused"}, fix: []string{"goes on by itself"}},
		{name: "rejected rows", table: "CREATE TABLE rows (a INTEGER CHECK (a > 0))", query: "SELECT a INTO rows FROM events", out: "{type: sqlite, path: rows.db, table: rows, on_error: deadletter}", events: []string{`{"a":-1}`, `{"a":-2}`}, stage: "rejected by the output", lost: 2,
			cause: []string{"the output does not take 2 of 2 rows"}, fix: []string{"weir job deadletters silent", "types of the query"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

// minuteEnd is how far behind its minute the window of a time ends: windows hold their end.
func minuteEnd(t time.Time) time.Duration {
	if t.Second() == 0 {
		return 0
	}
	return time.Minute
}

// refusing is an address that nobody answers at.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts the job and asks until the answer is the one that is wanted.
func (c *silence) run(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	h := open(t, t.TempDir())
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	spec := "version: 1\njob:\n  name: silent\n  query: |\n    " + c.query + "\n"
	if c.time != "" {
		spec += "  time: {" + c.time + "}\n"
	}
	spec += "inputs:\n  events:\n    type: file\n    path: events.jsonl\n"
	if c.input != "" {
		spec += "    " + c.input + "\n"
	}
	lines := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return strings.Join(list, "\n") + "\n"
	}
	write("events.jsonl", lines(c.events))
	if c.second != "" {
		spec += "  others:\n    type: file\n    path: others.jsonl\n"
		write("others.jsonl", strings.TrimPrefix(c.second, "\n"))
	}
	if c.refs != "" {
		spec += "  names:\n    type: file\n    path: names.json\n    reference: true\n"
		write("names.json", c.refs)
	}
	if c.table != "" {
		db, err := sql.Open("sqlite", filepath.Join(dir, "rows.db"))
		if err == nil {
			_, err = db.Exec(c.table)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if c.out == "" {
		c.out = "{type: file, path: rows.jsonl}"
	}
	spec += "outputs:\n  rows: " + c.out + "\n"
	write("weir.yaml", spec)
	start := c.start
	if start == "" {
		start = job.StartBeginning
	}
	if _, err := h.Deploy(h.ctx, "silent", service.Deployment{Path: dir, By: "test", Start: true, StartOptions: service.StartOptions{From: start}}); err != nil {
		t.Fatal(err)
	}
	if len(c.later) > 0 {
		h.until("silent", func(v service.JobView) bool { return v.State == job.Running })
		write("events.jsonl", lines(c.later))
	}
	for {
		w, err := h.Why("silent", "")
		wrong := "the job does not run yet: " + fmt.Sprint(err)
		if err == nil {
			wrong = c.wrong(w)
		}
		if wrong == "" {
			t.Log("\n" + w.Text)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-h.ctx.Done():
			t.Fatalf("%s\n%s", wrong, w.Text)
		}
	}
}

// wrong says what an answer lacks.
func (c *silence) wrong(w service.Why) string {
	if w.Rows != 0 {
		return fmt.Sprintf("there are %d rows", w.Rows)
	}
	for what, wanted := range map[string][]string{w.Cause: c.cause, w.Fix: c.fix} {
		for _, part := range wanted {
			if !strings.Contains(what, part) || !strings.Contains(w.Text, part) {
				return fmt.Sprintf("%q is missing in %q", part, what)
			}
		}
	}
	if c.stage == "" {
		if w.Biggest >= 0 {
			return "something is lost"
		}
		return ""
	}
	if w.Biggest < 0 {
		return "nothing is lost"
	}
	if s := w.Stages[w.Biggest]; s.Name != c.stage || c.lost > 0 && s.Count != c.lost {
		return fmt.Sprintf("the biggest loss is %d %s, not %d %s", s.Count, s.Name, c.lost, c.stage)
	}
	return ""
}

// TestWhyAfterwards: a job that has failed or was stopped tells what it did.
func TestWhyAfterwards(t *testing.T) {
	h := open(t, t.TempDir())
	feed := servicetest.FeedOf("afterwards")
	h.deploy("afterwards", servicetest.Job("afterwards", "SELECT CAST(n AS bigint) AS n INTO rows FROM events WHERE n <> 'none'"), job.StartBeginning)
	feed.Add(`{"n":"none"}`)
	h.until("afterwards", func(v service.JobView) bool { return v.Events == 1 })
	f := func(state job.State, cause, fix string) {
		t.Helper()
		w, err := h.Why("afterwards", "")
		if err != nil || w.State != state || !strings.Contains(w.Cause, cause) || !strings.Contains(w.Fix, fix) {
			t.Errorf("%+v, %v", w, err)
		}
		if !strings.Contains(w.Text, "received from events") {
			t.Errorf("the text is %s", w.Text)
		}
	}
	f(job.Running, "holds for none of 1 row", "weir tap afterwards events")
	if _, err := h.Stop(h.ctx, "afterwards"); err != nil {
		t.Fatal(err)
	}
	f(job.Stopped, "holds for none of 1 row", "")
	if _, err := h.Start(h.ctx, "afterwards", service.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	feed.Add(`{"n":"some"}`)
	h.until("afterwards", func(v service.JobView) bool { return v.State == job.Failed })
	f(job.Failed, "the job has failed: cannot cast value 'some'", `"weir job start afterwards"`)
	if err := h.Delete(h.ctx, "afterwards"); err != nil {
		t.Fatal(err)
	}
	h.deploy("never", servicetest.Job("never", passes), job.StartBeginning)
	if _, err := h.Stop(h.ctx, "never"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Why("nevr", ""); !errors.Is(err, service.ErrNoJob) {
		t.Errorf("of no job: %v", err)
	}
	if _, err := h.Why("never", "row"); !errors.Is(err, service.ErrNoPart) || !strings.HasPrefix(err.Error(), `the job "never" has no output "row"`) {
		t.Errorf("of no output: %v", err)
	}
}
