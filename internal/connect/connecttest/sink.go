// Package connecttest is the conformance suite of connectors: what internal/connect
// promises, as tests that every source and sink runs. The driver in it does what the
// runner does (epochs, a manifest, replay after a crash) with nothing but the contract.
package connecttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// Row is a row of the suite: the columns are "id" bigint and "text" nvarchar(max). Its
// time is Origin plus id seconds.
type Row struct {
	ID   int64
	Text string
}

// Origin is before the time of all rows.
const Origin = 638_000_000_000_000_000 // 2022-09-28T22:13:20Z

// Time is the time T of a row.
func (r Row) Time() vec.Time { return Origin + vec.Time(r.ID)*vec.Second }

// Target is the outside of a sink, fresh and empty.
type Target struct {
	// Open opens the sink over what the target holds now.
	Open func(env connect.SinkEnv) (connect.Sink, error)
	// Rows are those that others can see now, in the order in which they were written if
	// Sinks.Unordered is not set.
	Rows func() ([]Row, error)
	// Disk holds the target, if it lies on a disk in memory: the suite takes its power away
	// and ends its process. The state of the sink is in its directory "state". If it is nil
	// only processes end: the sink is left as it is, without Close, and another one opened.
	Disk *disk.Mem
	// Kill, if set, does what the end of a process does to connections; it is called with
	// the sink that is left.
	Kill func(connect.Sink)
	// Finish, if set, does what makes the last rows visible after everything was committed
	// with the watermark vec.MaxTime.
	Finish func() error
}

// Sinks is a connector's sink under test.
type Sinks struct {
	// New makes a target. It may register cleanups.
	New func(t testing.TB) *Target
	// Format is that of SinkEnv.
	Format connect.Format
	// Unordered targets give rows in any order.
	Unordered bool
	// Delayed targets show rows later than their commit: finished files.
	Delayed bool
	// Unknown targets cannot tell what they have: Committed is -1, rows come at least once.
	Unknown bool
	// Early targets show rows from Prepare on: what is sent to a service cannot be taken back.
	// Its rows come once if it knows the keys that come with them.
	Early bool
	// Seeds is how many disks each moment of a crash is tried on; 0 is 2.
	Seeds int
	// Stride leaves out moments of a crash: 3 tries every third one; 0 is 1.
	Stride int
}

// Run runs the suite.
func (s Sinks) Run(t *testing.T) {
	t.Run("calm", s.calm)
	t.Run("twice", s.twice)
	t.Run("drop", s.drop)
	t.Run("instance", s.instance)
	t.Run("cancelled", s.cancelled)
	t.Run("reopen", s.reopen)
	t.Run("fail", s.fail)
	t.Run("kill", func(t *testing.T) { s.crash(t, (*disk.Mem).KillAt, false) })
	t.Run("power", func(t *testing.T) { s.crash(t, (*disk.Mem).CrashAt, true) })
}

// epoch is one of a run, with the watermark that Prepare is given.
type epoch struct {
	n    int64
	rows []Row
	mark vec.Time
}

// story is what every run of the suite writes: epochs of several sizes, an empty one, and
// texts that formats find hard.
func story() []epoch {
	texts := []string{"plain", "", "comma, quote \" and 'single'", "line\nend\r\n", "ünïcödé 🚀", "\x01control\ttab", "NULL", "{\"a\":1}", "long " + string(slices.Repeat([]byte("x"), 9000))}
	var list []epoch
	id := int64(0)
	for n, size := range []int{1, 3, 0, 40, 2, 0, 7, 1} {
		e := epoch{n: int64(n) + 1}
		for range size {
			id++
			e.rows = append(e.rows, Row{id, texts[int(id)%len(texts)]})
		}
		e.mark = Origin + vec.Time(id)*vec.Second
		list = append(list, e)
	}
	list[len(list)-1].mark = vec.MaxTime
	return list
}

// Batch makes a batch of rows.
func Batch(rows []Row) *vec.Batch {
	b := &vec.Batch{N: len(rows)}
	var ids []int64
	var texts []string
	for _, r := range rows {
		b.Time = append(b.Time, r.Time())
		ids = append(ids, r.ID)
		texts = append(texts, r.Text)
	}
	b.Cols = []vec.Vec{vec.Ints(ids...), vec.Strings(texts...)}
	return b
}

// Columns are those of Row.
func Columns() connect.Columns {
	return connect.Columns{Names: []string{"id", "text"},
		Types: []vec.Kinds{vec.KindsOf(vec.Int), vec.KindsOf(vec.String)}}
}

// runner drives a sink as the real one does. Its manifest and checkpoint are durable.
type runner struct {
	s      Sinks
	target *Target
	state  *disk.Mem
	name   string // of the instance
	// manifest has the epochs that are durable, in order; synced is the last one whose
	// rows are forgotten because the sink was synced after it.
	manifest []epoch
	synced   int64
	sink     connect.Sink
	retries  int // of a method that fails
}

func (s Sinks) runner(t testing.TB) *runner {
	r := &runner{s: s, target: s.New(t), name: "one"}
	r.state = r.target.Disk
	if r.state == nil {
		r.state = disk.NewMem(1)
	}
	return r
}

// open opens the sink, checks what it says, and replays what it lacks.
func (r *runner) open() error {
	if err := r.only(); err != nil {
		return err
	}
	last, err := r.sink.Committed(context.Background())
	if err != nil {
		return err
	}
	if last >= 0 {
		if last < r.lastRows(r.synced) {
			return fmt.Errorf("committed is %d, and epoch %d was synced", last, r.synced)
		}
		if n := len(r.manifest); n == 0 && last > 0 || n > 0 && last > r.manifest[n-1].n {
			return fmt.Errorf("committed is %d, which never was", last)
		}
		if err := r.check(last); err != nil {
			return fmt.Errorf("after it was opened: %w", err)
		}
	}
	for _, e := range r.manifest {
		if e.n <= max(last, r.synced) {
			continue
		}
		if err := r.write(e); err != nil {
			return err
		}
		if err := r.commit(e); err != nil {
			return err
		}
	}
	return nil
}

// lastRows is the last epoch up to n that has rows: sinks need not keep others.
func (r *runner) lastRows(n int64) int64 {
	last := int64(0)
	for _, e := range r.manifest {
		if e.n <= n && len(e.rows) > 0 {
			last = e.n
		}
	}
	return last
}

// only opens the sink and no more.
func (r *runner) only() error {
	return r.try(func() error {
		state, err := r.state.Boot().Sub("state")
		if err != nil {
			return err
		}
		r.sink, err = r.target.Open(connect.SinkEnv{Job: "job", Output: "out", Instance: r.name,
			Columns: Columns(), Format: r.s.Format, State: state,
			Reject: func(e connect.RowError) error { return fmt.Errorf("row rejected: %s: %s", e.Name, e.Reason) },
			Log:    slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
		return err
	})
}

// try calls a method until it gives no error that a retry may heal.
func (r *runner) try(f func() error) error {
	for n := 0; ; n++ {
		err := f()
		if err == nil || connect.IsPermanent(err) || errors.Is(err, disk.ErrPower) || n >= r.retries {
			return err
		}
	}
}

func (r *runner) write(e epoch) error {
	for rows := range slices.Chunk(e.rows, 5) {
		if err := r.try(func() error { return r.sink.Write(context.Background(), e.n, Batch(rows)) }); err != nil {
			return fmt.Errorf("write epoch %d: %w", e.n, err)
		}
	}
	return nil
}

func (r *runner) commit(e epoch) error {
	ctx := context.Background()
	if err := r.try(func() error { return r.sink.Prepare(ctx, e.n, e.mark) }); err != nil {
		return fmt.Errorf("prepare epoch %d: %w", e.n, err)
	}
	if err := r.try(func() error { return r.sink.Commit(ctx, e.n) }); err != nil {
		return fmt.Errorf("commit epoch %d: %w", e.n, err)
	}
	return nil
}

// run does the epochs that the manifest has not, with a checkpoint after every third one.
func (r *runner) run(list []epoch) error {
	for _, e := range list {
		if n := len(r.manifest); n > 0 && e.n <= r.manifest[n-1].n {
			continue
		}
		if err := r.write(e); err != nil {
			return err
		}
		r.manifest = append(r.manifest, e)
		if err := r.commit(e); err != nil {
			return err
		}
		if e.n%3 == 0 {
			if err := r.checkpoint(); err != nil {
				return err
			}
		}
	}
	return r.checkpoint()
}

func (r *runner) checkpoint() error {
	if err := r.try(func() error { return r.sink.Sync(context.Background()) }); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if n := len(r.manifest); n > 0 {
		r.synced = r.manifest[n-1].n
	}
	return nil
}

// end closes the sink and compares the rows with all epochs of the manifest.
func (r *runner) end() error {
	if err := r.sink.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if r.target.Finish != nil {
		if err := r.target.Finish(); err != nil {
			return err
		}
	}
	return r.compare(1<<62, false)
}

// check compares what can be seen with the epochs up to last.
func (r *runner) check(last int64) error { return r.compare(last, r.s.Delayed) }

func (r *runner) compare(last int64, some bool) error {
	got, err := r.target.Rows()
	if err != nil {
		return err
	}
	var want []Row
	for _, e := range r.manifest {
		if e.n <= last {
			want = append(want, e.rows...)
		}
	}
	if r.s.Unordered || some {
		slices.SortFunc(got, func(a, b Row) int { return int(a.ID - b.ID) })
	}
	if r.s.Unknown {
		got = slices.Compact(got)
	}
	if r.s.Early && last < 1<<62 && len(got) > len(want) {
		got = got[:len(want)] // the next epoch has been prepared
	}
	if some {
		i := 0
		for _, row := range got {
			for i < len(want) && want[i] != row {
				i++
			}
			if i == len(want) {
				return fmt.Errorf("row %d can be seen twice, or before its commit, or is not as it was written", row.ID)
			}
			i++
		}
		return nil
	}
	if slices.Equal(got, want) {
		return nil
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("row %d of %d is %.80q, and must be %.80q", i, len(got), fmt.Sprint(got[i]), fmt.Sprint(want[i]))
		}
	}
	return fmt.Errorf("there are %d rows, and must be %d", len(got), len(want))
}
