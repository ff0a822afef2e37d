package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

const (
	// lookPatience is how long a look for new versions may take, with reading them.
	lookPatience = 15 * time.Minute
	// lookAgain is how long after a look that failed the next one comes, at first; each pause is
	// twice the one before, up to the source's own time between looks.
	lookAgain = time.Second
	// readAtOnce is how many of the versions that are found and in force already are read at once,
	// those before them when a row needs them; and how many are read before their time.
	readAtOnce = 2
)

// finder is what the goroutine that looks for versions knows: the versions that the source has
// told of and that are in force, are going to be, or are the same as the ones before them.
type finder struct{ seen []referenceVersion }

func newFinder(r *liveReference) *finder { return &finder{slices.Clone(r.versions)} }

// before is the version that is in force when one comes.
func (f *finder) before(t vec.Time) *referenceVersion {
	var out *referenceVersion
	for i := range f.seen {
		if v := &f.seen[i]; v.Effective <= t && (out == nil || v.Effective >= out.Effective) {
			out = v
		}
	}
	return out
}

// watchReferences starts looking for new versions.
func (l *Live) watchReferences() {
	for _, r := range l.references {
		if r == nil || r.stop != nil || r.source == nil {
			continue
		}
		src, ok := r.source.(connect.Versions)
		if !ok {
			continue
		}
		every := src.Every()
		if every <= 0 {
			continue
		}
		ctx, cancel := context.WithCancel(l.work)
		done := make(chan struct{})
		r.stop = func() {
			cancel()
			<-done
		}
		f := newFinder(r)
		r.mu.Lock()
		for _, a := range r.arrived {
			f.seen = append(f.seen, a.referenceVersion)
		}
		r.mu.Unlock()
		go func() {
			defer close(done)
			l.watch(ctx, r, f, every)
		}()
	}
}

// watch looks for new versions until ctx ends.
func (l *Live) watch(ctx context.Context, r *liveReference, f *finder, every time.Duration) {
	failures := 0
	if r.failed() {
		failures = 1
	}
	for {
		wait := every
		if failures > 0 {
			wait = min(every, lookAgain<<min(failures-1, 10))
		}
		if !l.pause(ctx, wait) {
			return
		}
		err := guarded(func() error {
			ctx, cancel := context.WithTimeout(ctx, lookPatience)
			defer cancel()
			return l.seekVersions(ctx, r, f)
		})
		if ctx.Err() != nil {
			return
		}
		l.looked(r, err)
		if failures++; err == nil {
			failures = 0
		}
	}
}

func (r *liveReference) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure != ""
}

// looked notes how a look for versions went. While it fails, the versions that are there stay
// in force.
func (l *Live) looked(r *liveReference, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	before := r.failure
	r.failure = text
	r.mu.Unlock()
	switch {
	case err == nil && before != "":
		l.board.heal(r.what())
		l.log.Info("it works again", "what", r.what())
	case err != nil:
		l.board.degrade(r.what(), fmt.Errorf("%w (the job goes on with the version that it has)", err))
		if text != before {
			l.log.Warn("reference data cannot be renewed; the job goes on with the version that it has and tries again", "input", r.spec.Name, "error", err)
		}
	}
}

// seekVersions asks the source for versions and hands over those that are new.
func (l *Live) seekVersions(ctx context.Context, r *liveReference, f *finder) error {
	list, err := l.listVersions(ctx, r, vec.Time(r.oldest.Load()))
	if err != nil {
		return err
	}
	var fresh []referenceVersion
	for _, v := range list {
		if !slices.ContainsFunc(f.seen, func(s referenceVersion) bool { return s.Name == v.Name && s.Effective == v.Effective }) {
			fresh = append(fresh, referenceVersion{Name: v.Name, Effective: v.Effective, Rows: -1})
		}
	}
	// What is neither listed nor in force needs not be remembered.
	f.seen = slices.DeleteFunc(f.seen, func(s referenceVersion) bool {
		return s.Effective < vec.Time(r.oldest.Load()) && !slices.Contains(list, connect.Version{Name: s.Name, Effective: s.Effective})
	})
	now, _ := slices.BinarySearchFunc(fresh, timeOf(l.now()), func(v referenceVersion, t vec.Time) int {
		if v.Effective <= t {
			return -1
		}
		return 1
	})
	ahead := 0
	for i := range f.seen {
		if f.seen[i].Effective > timeOf(l.now()) {
			ahead++
		}
	}
	fresh = fresh[:min(now+max(readAtOnce-ahead, 0), len(fresh))]
	var failed error
	for i := range fresh {
		failed = errors.Join(failed, l.take(ctx, r, f, &fresh[i], i >= now-readAtOnce, i == len(fresh)-1))
	}
	return failed
}

// take reads a new version, if it has to be read now, and hands it over: with its rows, if it is
// the last one.
func (l *Live) take(ctx context.Context, r *liveReference, f *finder, v *referenceVersion, now, last bool) error {
	v.Serial = l.shelf.next(r.spec.Name)
	a := arrivedVersion{referenceRecord: referenceRecord{Input: r.index, referenceVersion: *v}}
	if now {
		var err error
		wanted := last && r.loaded.Load() < 2 // else there were three in memory
		if a.rows, err = l.fetch(ctx, r, &a.referenceVersion, wanted); err != nil {
			l.shelf.drop(r.spec.Name, v.Serial)
			return fmt.Errorf("version %q: %w", v.Name, err)
		}
	}
	before := f.before(v.Effective)
	same := before != nil && before.Sum != "" && before.Sum == a.Sum && before.Effective != a.Effective
	f.seen = append(f.seen, a.referenceVersion)
	slices.SortStableFunc(f.seen, func(a, b referenceVersion) int { return cmp.Compare(a.Effective, b.Effective) })
	if same {
		l.shelf.drop(r.spec.Name, v.Serial)
		return nil
	}
	r.mu.Lock()
	r.arrived = append(r.arrived, a)
	r.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}
