package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"weir/internal/hub/log"
)

// How many events are read: as many as lie in the page cache for certain.
const (
	readEvents     = 2_000_000
	readEventsNATS = 200_000
)

// reads measures reading from the page cache: our reader with its checksums, cat of the same
// files, and JetStream's ordered consumer.
func reads(w io.Writer, rounds int, dir string) error {
	mine := filepath.Join(dir, "read")
	if err := os.Mkdir(mine, 0o700); err != nil {
		return err
	}
	l, err := openLog(mine, log.None)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := fill(l.Partition(0)); err != nil {
		return err
	}
	store := filepath.Join(dir, "nats")
	s, err := startNATS(store, false)
	if err != nil {
		return err
	}
	defer stopNATS(s)
	if err := fillNATS(s); err != nil {
		return err
	}
	var weir, cat, js []figure
	var size int64
	for range rounds {
		f, n, err := timeOurs(l)
		if err != nil {
			return err
		}
		weir, size = append(weir, f), n
		if f, err = timeCat(mine); err != nil {
			return err
		}
		cat = append(cat, f)
		if f, err = timed(readEventsNATS, func() error { return readNATS(s, readEventsNATS) }); err != nil {
			return err
		}
		js = append(js, f)
	}
	fmt.Fprintf(w, "\nread from the page cache, one reader, medians of %d; %.0f bytes of the files an event\n\n", rounds, float64(size)/readEvents)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "reader\tevents/s\tMB/s\tCPU µs an event")
	for _, r := range []struct {
		name  string
		found []figure
	}{{"weir, checksums checked", weir}, {"cat of the same files to the null device", cat}, {"jetstream, ordered consumer", js}} {
		events := median(r.found, func(f figure) float64 { return f.events })
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\n", r.name, thousands(events), thousands(events*float64(size)/readEvents/1e6), median(r.found, func(f figure) float64 { return f.cpu }))
	}
	return t.Flush()
}

func fill(p *log.Partition) error {
	records := batch()
	for range readEvents / batchEvents {
		if _, err := p.Append(records); err != nil {
			return err
		}
	}
	return nil
}

func timeOurs(l *log.Log) (f figure, size int64, err error) {
	f, err = timed(readEvents, func() error {
		events, err := readOurs(l)
		if err == nil && events != readEvents {
			err = fmt.Errorf("read %d events of %d", events, readEvents)
		}
		return err
	})
	return f, l.Partition(0).Range().Bytes, err
}

// timed runs something that handles events, which is over in a moment.
func timed(events int64, f func() error) (figure, error) {
	cpu, began := processorTime(), time.Now()
	err := f()
	took, cpu := time.Since(began), processorTime()-cpu
	return figure{float64(events) / took.Seconds(), float64(cpu.Microseconds()) / float64(events)}, err
}

func timeCat(dir string) (figure, error) {
	names, err := filesOf(dir)
	if err != nil {
		return figure{}, err
	}
	cmd := exec.Command("cat", names...) // its output is the null device
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return figure{}, fmt.Errorf("cat: %w", err)
	}
	took := time.Since(began)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figure{readEvents / took.Seconds(), float64(cpu.Microseconds()) / readEvents}, nil
}

// ackError is what an acknowledgement says went wrong.
func ackError(answer []byte) error {
	var a struct {
		Error *struct{ Description string }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	if a.Error != nil {
		return fmt.Errorf("the server says: %s", a.Error.Description)
	}
	return nil
}
