package main

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// ours is the log of the hub: one partition, an append per batch, as the hub's protocols do.
func ours() []engine {
	var list []engine
	for _, mode := range []struct {
		fsync log.Fsync
		text  string
	}{{log.Always, "before the acknowledgement"}, {log.Interval, "every 200 ms"}, {log.None, "when the system likes"}} {
		list = append(list, engine{name: "weir", sync: mode.text, open: func(dir string) (func(*atomic.Int64, *atomic.Bool) error, func() error, error) {
			l, err := openLog(dir, mode.fsync)
			if err != nil {
				return nil, nil, err
			}
			return func(acked *atomic.Int64, stop *atomic.Bool) error {
				return appendBatches(l.Partition(0), acked, stop)
			}, l.Close, nil
		}})
	}
	return list
}

func openLog(dir string, fsync log.Fsync) (*log.Log, error) {
	files, err := disk.At(dir)
	if err != nil {
		return nil, err
	}
	// Some minutes of a fast disk would fill it: what is old goes, as in a hub with a limit.
	return log.Open(files, log.Options{Fsync: fsync, ExpireBytes: 1 << 30})
}

func appendBatches(p *log.Partition, acked *atomic.Int64, stop *atomic.Bool) error {
	records := batch()
	for !stop.Load() {
		_, err := p.Append(records)
		if errors.Is(err, log.ErrBusy) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		acked.Add(batchEvents)
	}
	return nil
}

func batch() []log.Record {
	records := make([]log.Record, batchEvents)
	for i := range records {
		records[i].Value = event(i)
	}
	return records
}

// event is some text of the usual size.
func event(i int) []byte {
	b := make([]byte, eventBytes)
	for k := range b {
		b[k] = 'a' + byte((k*7+i)%26)
	}
	return b
}

// readOurs reads a partition from its start and gives how many events it had.
func readOurs(l *log.Log) (events int64, err error) {
	r, err := l.Partition(0).Read(0)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if err != nil || b == nil {
			return events, err
		}
		events += int64(len(b.Records))
	}
}

// filesOf are the segments of our log, as cat is given them.
func filesOf(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "0", "*.log"))
	if err == nil && len(names) == 0 {
		err = os.ErrNotExist
	}
	return names, err
}
