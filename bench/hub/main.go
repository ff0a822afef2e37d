// Command hub measures the event hub of the real program with clients that others wrote: the
// Event Hubs SDKs for Go and JavaScript, idle connections, latency, and MQTT devices.
//
//	go run ./bench/hub -weir bin/weir [-only amqp,idle,latency,mqtt]
//
// Clients and program share the machine, so the figures of throughput are those of both
// together: the processor time of each side says which one is the limit. The same clients run
// against the program with its log on the disk, with an fsync before every acknowledgement, and
// with its log in memory and none, so that what the disk costs is the difference.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// bench is what measures are given.
type bench struct {
	w      *tabwriter.Writer
	weir   string // the program
	js     string // directory of the JavaScript clients
	memory string // a directory in memory
	span   time.Duration
	conns  int
	devs   int
}

func main() {
	var b bench
	flag.StringVar(&b.weir, "weir", "bin/weir", "the program")
	flag.StringVar(&b.js, "js", "internal/peertest/testdata/js", "where the JavaScript clients are installed; empty leaves them out")
	flag.StringVar(&b.memory, "memory", "/dev/shm", "a directory in memory")
	flag.DurationVar(&b.span, "time", 5*time.Second, "how long a measure takes")
	flag.IntVar(&b.conns, "connections", 10_000, "idle connections")
	flag.IntVar(&b.devs, "devices", 1000, "MQTT devices")
	only := flag.String("only", "amqp,idle,latency,mqtt", "what is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, os.Stdout, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "hub:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, w io.Writer, only []string) error {
	for _, m := range []struct {
		name, title string
		run         func(context.Context) error
	}{
		{"amqp", "AMQP, official SDKs: events of 200 bytes in batches of 500; CPU is µs an event", b.amqp},
		{"idle", "idle AMQP connections: resident memory of the program", b.idle},
		{"latency", "from publishing to the receiver, one event at a time, fsync before every acknowledgement", b.latency},
		{"mqtt", "MQTT devices, QoS 1, 10 messages a second each, acknowledged after the fsync", b.mqtt},
	} {
		if !slices.Contains(only, m.name) {
			continue
		}
		b.w = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%s\n\n", m.title)
		if err := m.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err := b.w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

func (b *bench) row(cells ...string) { fmt.Fprintln(b.w, strings.Join(cells, "\t")) }

// thousands writes a number with commas.
func thousands(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// quantile of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
