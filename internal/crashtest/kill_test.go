package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

var (
	kills    = flag.Int("kills", 3, "how often the program is killed")
	events   = flag.Int("events", 20_000, "how many events the producer sends")
	seed     = flag.Uint64("seed", 1, "of the moments")
	perPost  = flag.Int("post", 100, "events of a request")
	patience = flag.Duration("patience", time.Minute, "how long the last rows may take")
)

// keys is how many keys the events have.
const keys = 97

// start is the time of the first event; each is a millisecond after the one before.
var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

const query = `
SELECT n, k INTO lines FROM events TIMESTAMP BY t WHERE k >= 0
SELECT n, k INTO rows FROM events TIMESTAMP BY t WHERE k >= 0
SELECT k, System.Timestamp() AS w, COUNT(*) AS c, SUM(n) AS s INTO seconds
FROM events TIMESTAMP BY t WHERE k >= 0 GROUP BY k, TumblingWindow(second, 1)
SELECT k, System.Timestamp() AS w, COUNT(*) AS c INTO minutes
FROM events TIMESTAMP BY t WHERE k >= 0 GROUP BY k, TumblingWindow(second, 10)
`

// TestKill: after every kill -9 the program goes on by itself, and in the end each output
// has every row once, in order.
func TestKill(t *testing.T) {
	newCrash(t, t.TempDir()).run(func(int) {})
}

// run sends all events through a program that is killed, and checks what came out. after is
// called while the program is dead.
func (c *crash) run(after func(i int)) {
	t := c.t
	t.Helper()
	c.begin()
	sent := make(chan error, 1)
	go func() { sent <- c.produce() }()
	r := rand.New(rand.NewPCG(*seed, 0))
	for i := range *kills {
		c.letRun(i, r)
		c.kill()
		after(i)
		c.begin()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	c.finish()
	c.checkLines()
	c.checkSeconds()
	c.checkMinutes()
	c.checkRows("sqlite", filepath.Join(c.dir, "out", "rows.db"), "rowid")
	if dsn := os.Getenv("WEIR_TEST_POSTGRES"); dsn != "" {
		c.checkRows("pgx", dsn, "ctid")
	}
	t.Logf("%d events, %d kills, %d requests that had to be repeated, %.1f s", *events, *kills, c.repeated.Load(), time.Since(c.began).Seconds())
}

// crash is a run of the program that is interrupted.
type crash struct {
	t        *testing.T
	dir, bin string
	address  string
	began    time.Time
	cmd      *exec.Cmd
	exited   chan error
	whole    int64 // bytes of lines.jsonl in the end
	acked    atomic.Int64
	repeated atomic.Int64
}

// newCrash writes the job into a directory.
func newCrash(t *testing.T, dir string) *crash {
	t.Helper()
	c := &crash{t: t, dir: dir, began: time.Now(), whole: int64(len(wantLines()))}
	c.bin = filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", c.bin, "weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = l.Addr().String()
	l.Close()
	c.write("query.saql", query)
	postgres := ""
	if os.Getenv("WEIR_TEST_POSTGRES") != "" {
		c.write("query.saql", query+"SELECT n, k INTO pg FROM events TIMESTAMP BY t WHERE k >= 0\n")
		postgres = "  pg: {type: postgres, dsn: \"${env:WEIR_TEST_POSTGRES}\", table: rows, create: true}\n"
		c.dropTable()
	}
	c.write("weir.yaml", `version: 1
job:
  name: crash
  query: ./query.saql
  checkpoint: 30ms
  time: {late_arrival: none, out_of_order: 0s, policy: adjust}
inputs:
  events: {type: http, listen: "`+c.address+`", path: /events}
outputs:
  lines: {type: file, path: out/lines.jsonl}
  seconds: {type: file, path: out/seconds.csv, format: {type: csv}}
  minutes: {type: blob, directory: out/minutes, path: "{window.end:yyyyMMdd-HHmmss}.jsonl"}
  rows: {type: sqlite, path: out/rows.db, table: rows, create: true}
`+postgres)
	return c
}

func (c *crash) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crash) dropTable() {
	c.t.Helper()
	db, err := sql.Open("pgx", os.Getenv("WEIR_TEST_POSTGRES"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DROP TABLE IF EXISTS rows"); err != nil {
		c.t.Fatal(err)
	}
}

// begin starts the program and returns when it takes events.
func (c *crash) begin() {
	c.t.Helper()
	stderr, err := os.Create(filepath.Join(filepath.Dir(c.bin), "log"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer stderr.Close()
	c.cmd = exec.Command(c.bin, "run", c.dir, "--live", "--state", filepath.Join(c.dir, "state"), "--from", "beginning", "--log", "info")
	c.cmd.Stderr, c.cmd.Stdout = stderr, io.Discard
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(c.cmd, c.exited)
	for {
		conn, err := net.Dial("tcp", c.address)
		if err == nil {
			conn.Close()
			return
		}
		c.alive()
		pause(time.Millisecond)
	}
}

// log is what the program has said in this life.
func (c *crash) log() string {
	b, _ := os.ReadFile(filepath.Join(filepath.Dir(c.bin), "log"))
	return string(b)
}

// alive fails the test if the program has ended by itself.
func (c *crash) alive() {
	c.t.Helper()
	select {
	case err := <-c.exited:
		c.t.Fatalf("the program ended by itself: %v\n%s", err, c.log())
	default:
	}
}

// letRun waits for a random moment of the i-th part of the run: rows of the part before have
// come out, some events of this one have been taken, and then some milliseconds have passed.
func (c *crash) letRun(i int, r *rand.Rand) {
	c.t.Helper()
	per := int64(*events) / int64(*kills+1)
	sent, out := per*int64(i)+r.Int64N(per+1), per*int64(i)-r.Int64N(per+1)
	for c.acked.Load() < sent || c.rows() < out {
		c.alive()
		pause(time.Millisecond)
	}
	longest := 40 * time.Millisecond
	if r.IntN(4) == 0 {
		longest = 300 * time.Millisecond // some lives have several checkpoints
	}
	pause(time.Duration(r.Int64N(int64(longest))))
}

// rows is about how many rows lines.jsonl has.
func (c *crash) rows() int64 {
	info, err := os.Stat(filepath.Join(c.dir, "out", "lines.jsonl"))
	if err != nil {
		return 0
	}
	return info.Size() * int64(*events) / c.whole
}

func (c *crash) kill() {
	c.t.Helper()
	c.alive()
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	<-c.exited
}

// pause lets other processes go on: what is waited for happens in them, not in this one.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// produce sends all events in order, each request again until it is acknowledged, and at the
// end one that closes all windows.
func (c *crash) produce() error {
	client := &http.Client{Timeout: 10 * time.Second}
	for from := 0; from <= *events; from += *perPost {
		var body []byte
		for n := from; n < min(from+*perPost, *events); n++ {
			body = appendEvent(body, n, n%keys)
		}
		if from+*perPost > *events {
			body = appendEvent(body, *events+3_600_000, -1)
		}
		for !c.post(client, from, body) {
			c.repeated.Add(1)
			pause(2 * time.Millisecond)
			if time.Since(c.began) > time.Hour {
				return fmt.Errorf("event %d could not be sent within an hour", from)
			}
		}
		c.acked.Store(int64(min(from+*perPost, *events)))
	}
	return nil
}

func appendEvent(b []byte, n, k int) []byte {
	t := start.Add(time.Duration(n) * time.Millisecond)
	return fmt.Appendf(b, "{\"n\":%d,\"k\":%d,\"t\":%q}\n", n, k, t.Format("2006-01-02T15:04:05.000Z"))
}

func (c *crash) post(client *http.Client, from int, body []byte) bool {
	req, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+c.address+"/events", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("post-%d", from))
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode/100 == 2
}

// finish waits for the last row, then stops the program as an operator does.
func (c *crash) finish() {
	c.t.Helper()
	ends, _ := windows(10_000)
	for end := time.Now().Add(*patience); ; pause(5 * time.Millisecond) {
		c.alive()
		info, err := os.Stat(filepath.Join(c.dir, "out", "lines.jsonl"))
		_, closed := os.Stat(c.minute(ends[len(ends)-1]))
		if err == nil && info.Size() >= c.whole && closed == nil && strings.Contains(c.log(), "the job runs") {
			break // what the last life has left was looked through
		}
		if time.Now().After(end) {
			c.t.Fatalf("the rows have not come: %v of %d bytes\n%s", info, c.whole, c.log())
		}
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := <-c.exited; err != nil {
		c.t.Errorf("stopped with %v\n%s", err, c.log())
	}
}

func wantLines() []byte {
	var b []byte
	for n := range *events {
		b = fmt.Appendf(b, "{\"n\":%d,\"k\":%d}\n", n, n%keys)
	}
	return b
}

func (c *crash) checkLines() {
	c.t.Helper()
	got, err := os.ReadFile(filepath.Join(c.dir, "out", "lines.jsonl"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.same("lines.jsonl", got, wantLines())
}

// same reports the first line that differs.
func (c *crash) same(name string, got, want []byte) {
	c.t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	g, w := bufio.NewScanner(bytes.NewReader(got)), bufio.NewScanner(bytes.NewReader(want))
	for line := 1; ; line++ {
		more, wanted := g.Scan(), w.Scan()
		if g.Text() != w.Text() || more != wanted {
			c.t.Errorf("%s: line %d is %q, want %q (%d and %d bytes)", name, line, g.Text(), w.Text(), len(got), len(want))
			return
		}
	}
}

// window is what a window has of a key.
type window struct{ count, sum int }

// windows are the results of tumbling windows (end-size, end], by end and key.
func windows(size int) (ends []int, of map[[2]int]window) {
	of = map[[2]int]window{}
	for n := range *events {
		end := (n + size - 1) / size * size
		w := of[[2]int{end, n % keys}]
		if len(ends) == 0 || ends[len(ends)-1] != end {
			ends = append(ends, end)
		}
		of[[2]int{end, n % keys}] = window{w.count + 1, w.sum + n}
	}
	return ends, of
}

func (c *crash) checkSeconds() {
	c.t.Helper()
	f, err := os.Open(filepath.Join(c.dir, "out", "seconds.csv"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	_, want := windows(1000)
	lines := bufio.NewScanner(f)
	if !lines.Scan() || lines.Text() != "k,w,c,s" {
		c.t.Fatalf("seconds.csv starts with %q", lines.Text())
	}
	last := map[string]string{}
	for lines.Scan() {
		p := strings.Split(lines.Text(), ",")
		if len(p) != 4 {
			c.t.Fatalf("seconds.csv: %q", lines.Text())
		}
		if p[1] <= last[p[0]] {
			c.t.Errorf("seconds.csv: key %s has %s behind %s", p[0], p[1], last[p[0]])
		}
		last[p[0]] = p[1]
		c.take(want, lines.Text())
	}
	if len(want) > 0 {
		c.t.Errorf("seconds.csv lacks %d windows", len(want))
	}
}

// take finds the window of a line k,end,count,sum and removes it.
func (c *crash) take(want map[[2]int]window, line string) {
	c.t.Helper()
	p := strings.Split(line, ",")
	end, err := time.Parse("2006-01-02T15:04:05.0000000Z", p[1])
	if err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	var k int
	var got window
	if _, err := fmt.Sscan(p[0]+" "+p[2]+" "+p[3], &k, &got.count, &got.sum); err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	at := [2]int{int(end.Sub(start) / time.Millisecond), k}
	if w, ok := want[at]; !ok || w != got {
		c.t.Errorf("seconds.csv: %q, want %v (found %v)", line, w, ok)
	}
	delete(want, at)
}

// minute is the file of the window that ends some milliseconds after the start.
func (c *crash) minute(end int) string {
	return filepath.Join(c.dir, "out", "minutes", start.Add(time.Duration(end)*time.Millisecond).Format("20060102-150405")+".jsonl")
}

// checkMinutes: a file per window, finished, with a row per key.
func (c *crash) checkMinutes() {
	c.t.Helper()
	ends, of := windows(10_000)
	for _, end := range ends {
		name := c.minute(end)
		got, err := os.ReadFile(name)
		if err != nil {
			c.t.Error(err)
			continue
		}
		rows := 0
		for k := range keys {
			if w, ok := of[[2]int{end, k}]; ok {
				rows++
				want := fmt.Sprintf("\"k\":%d,\"w\":%q,\"c\":%d}\n", k, start.Add(time.Duration(end)*time.Millisecond).Format("2006-01-02T15:04:05.0000000Z"), w.count)
				if n := bytes.Count(got, []byte(want)); n != 1 {
					c.t.Errorf("%s has %s %d times", name, strings.TrimSpace(want), n)
				}
			}
		}
		if n := bytes.Count(got, []byte("\n")); n != rows {
			c.t.Errorf("%s has %d rows, want %d", name, n, rows)
		}
	}
}

// checkRows: every event once, and in the order of each key by the place of the rows.
func (c *crash) checkRows(driver, dsn, place string) {
	c.t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	var count, distinct, least, most, wrong int
	err = db.QueryRow(fmt.Sprintf("SELECT COUNT(*), COUNT(DISTINCT n), MIN(n), MAX(n), SUM(CASE WHEN k <> n %% %d THEN 1 ELSE 0 END) FROM rows", keys)).
		Scan(&count, &distinct, &least, &most, &wrong)
	if err != nil {
		c.t.Fatalf("%s: %v", driver, err)
	}
	if count != *events || distinct != *events || least != 0 || most != *events-1 || wrong != 0 {
		c.t.Errorf("%s: %d rows, %d different, %d to %d, %d wrong; want %d", driver, count, distinct, least, most, wrong, *events)
	}
	var back int
	err = db.QueryRow("SELECT COUNT(*) FROM (SELECT n, LAG(n) OVER (PARTITION BY k ORDER BY " + place + ") AS before FROM rows) AS r WHERE before > n").Scan(&back)
	if err != nil || back > 0 {
		c.t.Errorf("%s: %d rows stand behind a later one of their key, %v", driver, back, err)
	}
}
