package crashtest

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	steadyFor  = flag.Duration("steady", 3*time.Second, "how long the steady run takes")
	steadyRate = flag.Int("rate", 20_000, "events a second of the steady run")
	idleFor    = flag.Duration("idle", 2*time.Second, "how long the idle run takes")
)

// tickets is how many events a second the steady run also passes through.
const tickets = 50

const steadyJob = `version: 1
job:
  name: steady
  query: |
    SELECT k, System.Timestamp() AS t, COUNT(*) AS c INTO windows FROM events TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 1)
    SELECT n, t INTO some FROM events TIMESTAMP BY t WHERE ticket = 1
  checkpoint: %s
  time: {late_arrival: 5s, out_of_order: 0s, policy: adjust}
inputs:
  events: {type: file, path: in.jsonl, follow: true, format: {type: json}}
outputs:
  windows: {type: file, path: windows.jsonl}
  some: {type: file, path: some.jsonl}
`

// TestSteady: events come at a steady rate; rows come in time and memory does not grow.
func TestSteady(t *testing.T) {
	r := newSteady(t, fmt.Sprintf(steadyJob, "1s"))
	r.begin()
	var latency latencies
	stop := make(chan struct{})
	var tails sync.WaitGroup
	tails.Add(2)
	go func() { defer tails.Done(); latency.follow(filepath.Join(r.dir, "some.jsonl"), stop) }()
	go func() { defer tails.Done(); latency.follow(filepath.Join(r.dir, "windows.jsonl"), stop) }()
	rss := r.feed(*steadyFor, *steadyRate)
	pause(2 * time.Second)
	close(stop)
	tails.Wait()
	cpu := r.cpu()
	r.end()
	p50, p99, n := latency.of(0.5), latency.of(0.99), len(latency.all)
	late := time.Duration(0)
	if want := int(steadyFor.Seconds()) * tickets; n < want*9/10 {
		t.Errorf("%d rows came, want about %d and more", n, want)
	}
	first, last := rss[len(rss)/4], rss[len(rss)-1]
	t.Logf("%d events/s for %v: %d rows measured, latency p50 %v p99 %v; memory %d KiB after a quarter, %d KiB at the end, most %d; processor %.1f %%",
		*steadyRate, *steadyFor, n, p50, p99, first, last, slices.Max(rss), 100*cpu.Seconds()/steadyFor.Seconds())
	if p99 > 1500*time.Millisecond+late {
		t.Errorf("p99 of the latency is %v, want under 1.5 s", p99)
	}
	if *steadyFor >= time.Minute && last > first+first/5+20<<10 {
		t.Errorf("memory grew from %d to %d KiB", first, last)
	}
}

// TestIdle: with an event now and then, a row is there at once, and the program does nothing
// in between.
func TestIdle(t *testing.T) {
	r := newSteady(t, fmt.Sprintf(steadyJob, "5s"))
	r.begin()
	var latency latencies
	stop, followed := make(chan struct{}), make(chan struct{})
	go func() { latency.follow(filepath.Join(r.dir, "some.jsonl"), stop); close(followed) }()
	pause(500 * time.Millisecond)
	before := r.cpu()
	began := time.Now()
	for n := 0; time.Since(began) < *idleFor; n++ {
		r.write(n, time.Now(), 1)
		r.flush()
		pause(97 * time.Millisecond)
	}
	used := r.cpu() - before
	pause(100 * time.Millisecond)
	close(stop)
	<-followed
	r.end()
	share := 100 * used.Seconds() / idleFor.Seconds()
	t.Logf("an event each 97 ms for %v: %d rows, latency p50 %v p99 %v; processor %.2f %%", *idleFor, len(latency.all), latency.of(0.5), latency.of(0.99), share)
	if len(latency.all) == 0 {
		t.Error("no rows came")
	}
}

// TestStart: from the start of the program to the first row of a file.
func TestStart(t *testing.T) {
	r := newSteady(t, strings.Replace(fmt.Sprintf(steadyJob, "5s"), "follow: true", "follow: false, order: name", 1))
	for n := range 1000 {
		r.write(n, time.Now(), 1)
	}
	r.flush()
	began := time.Now()
	r.begin()
	some := filepath.Join(r.dir, "some.jsonl")
	for {
		if info, err := os.Stat(some); err == nil && info.Size() > 0 {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("no row after 20 s\n%s", r.log())
		}
		pause(time.Millisecond)
	}
	t.Logf("first row after %v", time.Since(began))
	if err := <-r.exited; err != nil {
		t.Errorf("the run over a whole file ended with %v\n%s", err, r.log())
	}
}

type steady struct {
	t      *testing.T
	dir    string
	bin    string
	in     *os.File
	out    *bufio.Writer
	cmd    *exec.Cmd
	exited chan error
	// written is how many events feed has written.
	written int
}

func newSteady(t *testing.T, job string) *steady {
	t.Helper()
	r := &steady{t: t, dir: t.TempDir()}
	r.bin = filepath.Join(r.dir, "weir")
	if out, err := exec.Command("go", "build", "-o", r.bin, "weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "weir.yaml"), []byte(job), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Create(filepath.Join(r.dir, "in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewWriterSize(in, 1<<20)
	t.Cleanup(func() { in.Close() })
	return r
}

func (r *steady) begin() {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.cmd = exec.Command(r.bin, "run", r.dir, "--live", "--state", filepath.Join(r.dir, "state"), "--from", "beginning")
	r.cmd.Stderr, r.cmd.Stdout = log, io.Discard
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.exited = make(chan error, 1)
	go func() { r.exited <- r.cmd.Wait() }()
	r.t.Cleanup(func() { r.cmd.Process.Kill() })
}

func (r *steady) log() string {
	b, _ := os.ReadFile(filepath.Join(r.dir, "log"))
	return string(b)
}

// end stops the program as an operator does.
func (r *steady) end() {
	r.t.Helper()
	r.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-r.exited; err != nil {
		r.t.Errorf("stopped with %v\n%s", err, r.log())
	}
}

func (r *steady) write(n int, at time.Time, ticket int) {
	fmt.Fprintf(r.out, "{\"n\":%d,\"k\":\"key%02d\",\"ticket\":%d,\"t\":%q,\"filler\":\"abcdefghijklmnopqrstuvwxyz0123456789\"}\n",
		n, n%100, ticket, at.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

func (r *steady) flush() {
	if err := r.out.Flush(); err != nil {
		r.t.Fatal(err)
	}
}

// feed writes events at a rate and gives the memory of the program once a second, in KiB.
func (r *steady) feed(long time.Duration, rate int) (rss []int64) {
	r.t.Helper()
	began, told, first := time.Now(), time.Duration(0), r.written
	for {
		now := time.Since(began)
		if now >= long {
			return append(rss, r.memory())
		}
		if now-told >= time.Second {
			told = now
			rss = append(rss, r.memory())
		}
		at := time.Now()
		for due := first + int(float64(rate)*now.Seconds()); r.written < due; r.written++ {
			ticket := 0
			if r.written%(max(rate/tickets, 1)) == 0 {
				ticket = 1
			}
			r.write(r.written, at, ticket)
		}
		r.flush()
		pause(5 * time.Millisecond)
	}
}

func (r *steady) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.log())
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return kib
}

// cpu is the processor time that the program has used.
func (r *steady) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.log())
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// latencies are times from what a row's t says to when it was seen in the file.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) follow(file string, stop chan struct{}) {
	var f *os.File
	var rest []byte
	buf := make([]byte, 1<<20)
	for {
		select {
		case <-stop:
			return
		default:
		}
		if f == nil {
			f, _ = os.Open(file)
		}
		n := 0
		if f != nil {
			n, _ = f.Read(buf)
		}
		if n == 0 {
			pause(time.Millisecond)
			continue
		}
		now := time.Now()
		rest = append(rest, buf[:n]...)
		for {
			line, more, ok := strings.Cut(string(rest), "\n")
			if !ok {
				break
			}
			rest = []byte(more)
			_, t, _ := strings.Cut(line, `"t":"`)
			t, _, _ = strings.Cut(t, `"`)
			if at, err := time.Parse(time.RFC3339Nano, t); err == nil {
				l.mu.Lock()
				l.all = append(l.all, now.Sub(at))
				l.mu.Unlock()
			}
		}
	}
}

func (l *latencies) of(p float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(l.all))
	return s[min(int(p*float64(len(s))), len(s)-1)].Round(time.Microsecond)
}
