// Command jetstream measures the log of Weir's hub and an embedded NATS JetStream side by
// side, in one run and on one disk: appending 200-byte events in batches of 500, with 1, 4
// and 16 appenders, and reading them back from the page cache, beside cat.
//
//	jetstream [-rounds 5] [-time 1s] [-dir DIR]
//
// Both run in this process. A measure runs for -time after a short warm-up; its rounds are
// spread over the whole run, so that a slow moment of the disk hits every engine, and the
// median counts. CPU is that of the process: server and client, user and system.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	eventBytes  = 200
	batchEvents = 500
)

// engine is something that events are appended to.
type engine struct {
	name string
	sync string // what an acknowledgement promises
	// open begins with an empty directory. append is what one appender does until stop is
	// set: it counts the events that were acknowledged.
	open func(dir string) (append func(acked *atomic.Int64, stop *atomic.Bool) error, closed func() error, err error)
}

// figure is what was measured of an engine with a number of appenders.
type figure struct {
	events float64 // acknowledged a second
	cpu    float64 // microseconds of processor time an event
}

func main() {
	rounds := flag.Int("rounds", 5, "how often everything is measured; the median counts")
	span := flag.Duration("time", time.Second, "how long each measure takes")
	dir := flag.String("dir", "", "where the data goes; a temporary directory by default")
	only := flag.String("only", "", "measure only engines whose name has this in it")
	flag.Parse()
	if err := run(os.Stdout, *rounds, *span, *dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "jetstream:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, rounds int, span time.Duration, dir, only string) error {
	dir, err := os.MkdirTemp(dir, "weir-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := appends(w, rounds, span, dir, only); err != nil {
		return err
	}
	if only != "" {
		return nil
	}
	return reads(w, rounds, dir)
}

var appenders = []int{1, 4, 16}

func appends(w io.Writer, rounds int, span time.Duration, dir, only string) error {
	list := slices.DeleteFunc(append(ours(), jetstreams()...), func(e engine) bool {
		return !strings.Contains(e.name+", "+e.sync, only)
	})
	found := make(map[[2]int][]figure)
	for round := range rounds {
		for i, e := range list {
			for k, n := range appenders {
				f, err := measure(e, n, span, filepath.Join(dir, fmt.Sprint(round, i, k)))
				if err != nil {
					return fmt.Errorf("%s, %s, %d appenders: %w", e.name, e.sync, n, err)
				}
				found[[2]int{i, k}] = append(found[[2]int{i, k}], f)
			}
		}
	}
	fmt.Fprintf(w, "append: events of %d bytes, batches of %d; acknowledged events a second (CPU µs an event), medians of %d\n\n", eventBytes, batchEvents, rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "engine\tfsync")
	for _, n := range appenders {
		fmt.Fprintf(t, "\t%d", n)
	}
	fmt.Fprintln(t)
	for i, e := range list {
		fmt.Fprintf(t, "%s\t%s", e.name, e.sync)
		for k := range appenders {
			f := found[[2]int{i, k}]
			fmt.Fprintf(t, "\t%s (%.2f)", thousands(median(f, func(f figure) float64 { return f.events })), median(f, func(f figure) float64 { return f.cpu }))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// measure runs an engine with n appenders.
func measure(e engine, n int, span time.Duration, dir string) (f figure, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	appendTo, closed, err := e.open(dir)
	if err != nil {
		return f, err
	}
	defer func() {
		if e := closed(); err == nil {
			err = e
		}
	}()
	var acked atomic.Int64
	var stop atomic.Bool
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = appendTo(&acked, &stop) })
	}
	time.Sleep(span / 4)
	events, cpu, began := acked.Load(), processorTime(), time.Now()
	time.Sleep(span)
	events, cpu = acked.Load()-events, processorTime()-cpu
	took := time.Since(began)
	stop.Store(true)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return f, err
		}
	}
	return figure{float64(events) / took.Seconds(), float64(cpu.Microseconds()) / float64(max(events, 1))}, nil
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(list []figure, of func(figure) float64) float64 {
	values := make([]float64, len(list))
	for i, f := range list {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// thousands writes a number with commas.
func thousands(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
