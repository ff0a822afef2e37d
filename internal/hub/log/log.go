// Package log is a durable log: partitions of records that are appended, kept, read from
// anywhere, and forgotten from the front.
//
// # Promise
//
// An Append that returns no error is on the disk: it survives a kill and a loss of power,
// whole and in its place. One that returns an error may or may not be there after a crash,
// and is not there otherwise. Readers see what is durable, so that what they have read
// cannot be taken back. With Fsync set to Interval or None that holds for kills only, and a
// loss of power takes what the last moments, or all unwritten pages, brought.
//
// # Files
//
// A partition is a directory of segments. A segment begins with a header that has the
// number, the byte offset and the time from which it goes on; batches follow, one for each
// Append. It is named by its offset. A new segment appears whole: written under another
// name, synced, renamed.
//
// The next segment's offset says where a segment ends. So after a failed fsync the rest of
// the file is dead without being touched: what was not acknowledged goes into a new
// segment, which begins where the last good fsync ended (reliability.md 3.7).
//
// A batch has its length, a CRC-32C, its first sequence number, its time, and how far back
// the last known fsync was when it was written. The last tells a torn tail from damage: a
// bad place is a torn tail if no good batch behind it was written after that place was
// synced. A torn tail is cut; it was never acknowledged. Damage is an error that names the
// file and the place, and nothing is cut.
//
// With a weaker Fsync, records that were read may be gone after a loss of power. A log that
// is opened again then leaves out 2^32 numbers and offsets, so that a reader that comes back
// to its place never takes new records for those it had.
//
// # Group commit
//
// Appends that come while one is being written wait in a group; the next write and fsync
// take all of it. So the number of acknowledged records a second grows with the number of
// appenders, and a lone one waits for one fsync only.
package log

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"weir/internal/disk"
)

// Fsync says when records are forced to the disk.
type Fsync string

// The choices.
const (
	// Always: before an append is acknowledged.
	Always Fsync = "always"
	// Interval: every Options.Interval. A loss of power takes what was acknowledged since;
	// the end of the process takes nothing.
	Interval Fsync = "interval"
	// None: when the system likes, and when a segment is full. A loss of power may take all
	// that was acknowledged in the last segment; the end of the process takes nothing.
	None Fsync = "none"
)

// Options of a log. Zero values are the defaults.
type Options struct {
	// Partitions is how many there are; 1 by default. A log can get more of them later, never
	// fewer.
	Partitions int
	Fsync      Fsync
	Interval   time.Duration // DefaultInterval
	// SegmentBytes and SegmentAge end a segment; what is forgotten is whole segments.
	SegmentBytes int64         // DefaultSegmentBytes
	SegmentAge   time.Duration // DefaultSegmentAge
	// MaxAppend bounds the bytes of one Append, MaxPending those of all that wait.
	MaxAppend  int   // DefaultMaxAppend
	MaxPending int64 // DefaultMaxPending
	// MaxBytes bounds a partition: appends fail with ErrLogFull. 0 is no limit.
	MaxBytes int64
	// Keep is how long records stay that Trim gave free, as far as MaxBytes lets them.
	Keep time.Duration
	// Expire and ExpireBytes forget the oldest records, read or not. 0: they do not.
	Expire      time.Duration
	ExpireBytes int64

	Log *slog.Logger
	Now func() time.Time
}

// The defaults and limits of Options.
const (
	DefaultInterval     = 200 * time.Millisecond
	DefaultSegmentBytes = 64 << 20
	DefaultSegmentAge   = time.Hour
	DefaultMaxAppend    = 16 << 20
	DefaultMaxPending   = 64 << 20
	MaxPartitions       = 1024
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 1 << 30
)

func (o Options) withDefaults() Options {
	o.Partitions = max(o.Partitions, 1)
	if o.Fsync == "" {
		o.Fsync = Always
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Interval, DefaultInterval)
	def(&o.SegmentAge, DefaultSegmentAge)
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.MaxBytes > 0 { // several segments must fit, or nothing can be forgotten in time
		o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/4)
	}
	o.SegmentBytes = min(max(o.SegmentBytes, minSegmentBytes), maxSegmentBytes)
	if o.MaxAppend <= 0 {
		o.MaxAppend = DefaultMaxAppend
	}
	o.MaxAppend = min(o.MaxAppend, maxSegmentBytes)
	if o.MaxPending <= 0 {
		o.MaxPending = DefaultMaxPending
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Record is an entry of a partition.
type Record struct {
	Key        []byte // nil if it has none
	Properties []Property
	Value      []byte
	// Offset is the byte offset in the partition, for people and protocols; Append does not
	// read it.
	Offset int64
}

// Property is a named text of a record.
type Property struct{ Name, Value string }

// The errors of a log, apart from those of the disk.
var (
	// ErrClosed: the log has been closed.
	ErrClosed = errors.New("the log is closed")
	// ErrLogFull: the partition has reached MaxBytes and nothing of it may be forgotten yet.
	ErrLogFull = errors.New("the log is full")
	// ErrBusy: MaxPending bytes wait to be written. Trying again soon helps.
	ErrBusy = errors.New("too much waits to be written to the log")
	// ErrTooLarge: one append has more than MaxAppend bytes.
	ErrTooLarge = errors.New("the records are too large for one append")
	// ErrAfter: the append that was to come before has failed.
	ErrAfter = errors.New("the append before it failed")
	// ErrGone: the records are no longer kept.
	ErrGone = errors.New("the records are no longer kept")
)

// DamageError is a part of a log that was written well and cannot be read any more. Nothing
// has been changed.
type DamageError struct {
	File   string // path of the segment
	Offset int64  // in the file, in bytes
	Reason string
}

// Error says where the damage is and what can be done.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s; nothing was cut or skipped; put the file back from a copy, or move it and all that follow it away to lose them",
		e.File, e.Offset, e.Reason)
}

// Log is a directory of partitions. Any number of goroutines may use it.
type Log struct {
	fs    disk.FS
	o     Options
	lock  io.Closer
	parts []*Partition
}

// Open opens a log, makes it if it is not there, and recovers what a crash has left. The
// directory is locked until Close: disk.ErrLocked says that another process has it.
func Open(fs disk.FS, o Options) (*Log, error) {
	o = o.withDefaults()
	if o.Partitions > MaxPartitions {
		return nil, fmt.Errorf("a log of %d partitions is asked for; %d is the most", o.Partitions, MaxPartitions)
	}
	switch o.Fsync {
	case Always, Interval, None:
	default:
		return nil, fmt.Errorf("fsync %q: it is always, interval or none", o.Fsync)
	}
	lock, err := fs.Lock("lock")
	if err != nil {
		return nil, fmt.Errorf("lock the log %s: %w", fs.Path("."), err)
	}
	l := &Log{fs: fs, o: o, lock: lock}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) open() error {
	n, err := countPartitions(l.fs)
	if err != nil {
		return err
	}
	if n > l.o.Partitions {
		return fmt.Errorf("the log %s has %d partitions and %d are asked for; there cannot be fewer than there were", l.fs.Path("."), n, l.o.Partitions)
	}
	return l.Grow(l.o.Partitions)
}

// Grow opens, and makes if they are not there, so many partitions that there are n. Other
// methods of the log must not be called meanwhile; those of its partitions may.
func (l *Log) Grow(n int) error {
	if n > MaxPartitions {
		return fmt.Errorf("a log of %d partitions is asked for; %d is the most", n, MaxPartitions)
	}
	there, err := countPartitions(l.fs)
	if err != nil {
		return err
	}
	for i := len(l.parts); i < n; i++ {
		sub, err := l.fs.Sub(strconv.Itoa(i))
		if err == nil && i >= there {
			err = l.fs.SyncDir(".")
		}
		if err != nil {
			return fmt.Errorf("open partition %d of the log: %w", i, err)
		}
		p, err := openPartition(sub, l.o)
		if err != nil {
			return fmt.Errorf("open partition %d of the log: %w", i, err)
		}
		l.parts = append(l.parts, p)
	}
	return nil
}

// countPartitions is one more than the highest partition that is there.
func countPartitions(fs disk.FS) (int, error) {
	names, err := fs.ReadDir(".")
	if err != nil {
		return 0, fmt.Errorf("list the log %s: %w", fs.Path("."), err)
	}
	n := 0
	for _, d := range names {
		if i, err := strconv.Atoi(d.Name); err == nil && d.Dir && i >= 0 && i < MaxPartitions {
			n = max(n, i+1)
		}
	}
	return n, nil
}

// Partitions is how many there are.
func (l *Log) Partitions() int { return len(l.parts) }

// Partition is one of them, from 0.
func (l *Log) Partition(i int) *Partition { return l.parts[i] }

// Close waits for appends that are being written, forces all to the disk, and gives the
// directory free. Later appends and reads fail with ErrClosed.
func (l *Log) Close() error {
	var errs []error
	for _, p := range l.parts {
		errs = append(errs, p.close())
	}
	l.parts = l.parts[:0:0]
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(errs...)
}
