package connecttest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"weir/internal/disk"
	"weir/internal/vec"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// calm is a run in which nothing happens.
func (s Sinks) calm(t *testing.T) {
	r := s.runner(t)
	must(t, r.open())
	must(t, r.run(story()))
	must(t, r.end())
}

// twice commits epochs again, and older ones.
func (s Sinks) twice(t *testing.T) {
	r := s.runner(t)
	must(t, r.open())
	ctx := context.Background()
	for _, e := range story() {
		must(t, r.write(e))
		r.manifest = append(r.manifest, e)
		for range 3 {
			must(t, r.sink.Prepare(ctx, e.n, e.mark))
			must(t, r.sink.Commit(ctx, e.n))
		}
		if e.n > 1 {
			must(t, r.sink.Commit(ctx, e.n-1))
			must(t, r.sink.Commit(ctx, 1))
		}
		must(t, r.check(e.n))
	}
	must(t, r.checkpoint())
	if last, err := r.sink.Committed(ctx); err != nil || !s.Unknown && last < r.lastRows(1<<62) {
		t.Errorf("committed is %d, %v", last, err)
	}
	must(t, r.end())
}

// drop closes with rows that were written, and prepared, and not committed.
func (s Sinks) drop(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		if prepared && s.Early {
			return // the runner prepares only what its manifest has
		}
		r := s.runner(t)
		must(t, r.open())
		list := story()
		must(t, r.run(list[:2]))
		must(t, r.write(list[3]))
		if prepared {
			must(t, r.sink.Prepare(context.Background(), list[3].n, list[3].mark))
		}
		must(t, r.check(2))
		must(t, r.sink.Close())
		must(t, r.open())
		must(t, r.check(2))
		// The epoch that was never in the manifest comes with other rows.
		list[3].rows = list[3].rows[:11]
		must(t, r.run(list))
		must(t, r.end())
	}
}

// instance begins anew over the same target: epochs count from 1 again, and what is there
// stays.
func (s Sinks) instance(t *testing.T) {
	if s.Delayed {
		return // names of files are the same again: that is the connector's own test
	}
	r := s.runner(t)
	must(t, r.open())
	list := story()
	list[1].mark = vec.MaxTime
	must(t, r.run(list[:2]))
	must(t, r.end())
	old := r.manifest
	r.name, r.manifest, r.synced = "two", nil, 0
	must(t, r.only())
	if last, err := r.sink.Committed(context.Background()); err != nil || !s.Unknown && last != 0 {
		t.Errorf("a new instance has committed %d, %v", last, err)
	}
	must(t, r.write(list[3]))
	e := list[3]
	e.n = 1
	must(t, r.sink.Close())
	must(t, r.only())
	must(t, r.write(e))
	must(t, r.commit(e))
	must(t, r.sink.Sync(context.Background()))
	r.manifest = slices.Concat(old, []epoch{e})
	must(t, r.end())
}

// cancelled has methods that are called when the run has been told to stop.
func (s Sinks) cancelled(t *testing.T) {
	r := s.runner(t)
	must(t, r.open())
	list := story()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// Whether they look at the context is theirs; an error must leave all as it was.
	wrote := r.sink.Write(ctx, 1, Batch(list[0].rows)) == nil
	if !wrote {
		must(t, r.write(list[0]))
	}
	r.manifest = append(r.manifest, list[0])
	_ = r.sink.Prepare(ctx, 1, list[0].mark)
	_ = r.sink.Commit(ctx, 1)
	_ = r.sink.Sync(ctx)
	must(t, r.commit(list[0]))
	must(t, r.run(list))
	must(t, r.end())
}

// reopen leaves the sink as a killed process does, after every step.
func (s Sinks) reopen(t *testing.T) {
	for step := 0; ; step++ {
		r := s.runner(t)
		must(t, r.open())
		n := 0
		left := false
		leave := func() bool {
			n++
			if n-1 != step {
				return false
			}
			left = true
			if r.target.Disk != nil {
				r.target.Disk.Kill()
			}
			if r.target.Kill != nil {
				r.target.Kill(r.sink)
			}
			must(t, r.open())
			return true
		}
		ctx := context.Background()
		for _, e := range story() {
			must(t, r.write(e))
			if leave() {
				must(t, r.write(e))
			}
			r.manifest = append(r.manifest, e)
			must(t, r.sink.Prepare(ctx, e.n, e.mark))
			if !leave() {
				must(t, r.sink.Commit(ctx, e.n))
			}
			leave()
			if e.n%2 == 0 {
				must(t, r.checkpoint())
				leave()
			}
		}
		if err := r.end(); err != nil {
			t.Fatalf("left after step %d: %v", step, err)
		}
		if !left {
			return
		}
	}
}

// fail has each operation of the disk fail once: full, or broken. The runner tries again.
func (s Sinks) fail(t *testing.T) {
	for _, fault := range []error{disk.ErrFull, errors.New("input/output error")} {
		s.moments(t, func(r *runner, n int64) { r.target.Disk.FailAt(n, fault); r.retries = 2 }, func(r *runner) error {
			if err := r.open(); err != nil {
				return err
			}
			if err := r.run(story()); err != nil {
				return err
			}
			// What a Sync that failed may have lost shows when the power goes.
			r.target.Disk.Crash()
			if err := r.open(); err != nil {
				return err
			}
			return r.end()
		})
	}
}

// moments does a run for each operation of the disk that can be disturbed.
func (s Sinks) moments(t *testing.T, disturb func(*runner, int64), run func(*runner) error) {
	for n := int64(1); ; n += int64(max(s.Stride, 1)) {
		r := s.runner(t)
		if r.target.Disk == nil {
			return
		}
		begin := r.target.Disk.Ops()
		disturb(r, n)
		if err := run(r); err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		if r.target.Disk.Ops()-begin < n {
			if n < 10 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
	}
}

// crash ends the process or takes the power away in every operation of the disk, and once
// more while the sink comes back.
func (s Sinks) crash(t *testing.T, at func(*disk.Mem, int64), power bool) {
	seeds := s.Seeds
	if seeds == 0 {
		seeds = 2
	}
	for seed := range seeds {
		s.moments(t, func(r *runner, n int64) {
			for range seed { // another disk: the dice have been thrown before
				r.target.Disk.Crash()
			}
			at(r.target.Disk, n)
		}, func(r *runner) error { return r.survive(at, int64(seed)) })
	}
}

// survive runs the story to its end over crashes.
func (r *runner) survive(at func(*disk.Mem, int64), seed int64) error {
	for crashes := int64(0); ; {
		err := r.open()
		if err == nil {
			err = r.run(story())
		}
		if err == nil {
			err = r.end()
		}
		if !errors.Is(err, disk.ErrPower) {
			return err
		}
		r.target.Disk.Restart()
		crashes++
		switch crashes {
		case 1:
			at(r.target.Disk, 3+5*seed)
		case 2: // what only a process had left must not count as durable
			r.target.Disk.CrashAt(6 + 5*seed)
		}
	}
}
