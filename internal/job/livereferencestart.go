package job

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// startPatience is how long a job that goes on waits for a source of reference data to tell of
// new versions. Then it goes on with those that it has.
const startPatience = 30 * time.Second

// openReferences finds the versions of all reference data of a job that begins or goes on.
func (l *Live) openReferences() error {
	l.references = newReferences(&l.spec)
	for _, r := range l.references {
		if r == nil {
			continue
		}
		if l.restored != nil && l.resumeReference(r) {
			continue
		}
		from := l.readFrom
		if l.restored != nil {
			from = l.readFromNow(&l.spec) // the query has come to read it
		}
		if err := l.beginReference(r, from); err != nil {
			return err
		}
	}
	return nil
}

// resumeReference takes the versions of the checkpoint. It reports false if there are none.
func (l *Live) resumeReference(r *liveReference) bool {
	for _, s := range l.restored.References {
		if strings.EqualFold(s.Name, r.spec.Name) && len(s.Versions) > 0 {
			r.versions, r.changed = slices.Clone(s.Versions), s.ID != r.spec.ID
			return true
		}
	}
	// Before there were versions, a job had one copy, and used it for epochs to be made again.
	if _, err := l.fs.Stat(copyName(r.spec.Name, 0)); err != nil || len(l.pending) == 0 {
		return false
	}
	r.versions = []referenceVersion{{Effective: vec.MinTime, Since: l.clock, Rows: -1}}
	return true
}

// beginReference finds the first versions of reference data, and reads the one that is in force
// first: what is wrong with it shows at once.
func (l *Live) beginReference(r *liveReference, from vec.Time) error {
	return l.insist(l.ctx, r.what(), nil, func(ctx context.Context) error { return l.tryReference(ctx, r, from) })
}

func (l *Live) tryReference(ctx context.Context, r *liveReference, from vec.Time) error {
	list, err := l.listVersions(ctx, r, from)
	if err != nil {
		return err
	}
	start := max(l.start, from)
	if l.spec.Start == StartBeginning && l.restored == nil {
		start = l.clock
	}
	if len(list) == 0 || list[0].Effective > start {
		return connect.Permanent(noVersion(list, start))
	}
	r.versions = nil
	for i, v := range list {
		if i > 0 && v.Effective > l.clock {
			break // the goroutine that looks for versions reads them before their time
		}
		r.versions = append(r.versions, referenceVersion{Serial: l.shelf.next(r.spec.Name), Name: v.Name, Effective: v.Effective, Since: l.clock, Rows: -1})
	}
	first := &r.versions[0]
	for i := range r.versions {
		if r.versions[i].Effective <= start && l.spec.Start != StartBeginning {
			first = &r.versions[i]
		}
	}
	r.first, err = l.fetch(ctx, r, first, true)
	r.firstOf, r.begun = first.Effective, true
	return err
}

// noVersion says that there is nothing to begin with (jobmodel.md 4).
func noVersion(list []connect.Version, start vec.Time) error {
	if len(list) == 0 {
		return fmt.Errorf("there is no version at or before %s, when the job starts: put one there, or check the settings that say where the versions are", start)
	}
	return fmt.Errorf("there is no version at or before %s, when the job starts: the first one is %q, of %s; put an older one there, or start the job at a later time",
		start, list[0].Name, list[0].Effective)
}

// renewReferences brings the reference data of a job that goes on to where its sources are.
func (l *Live) renewReferences() error {
	if l.restored == nil {
		return nil
	}
	for _, r := range l.references {
		if r == nil || r.begun { // the query has just come to read it
			continue
		}
		if err := l.renewReference(r); err != nil {
			return err
		}
		if err := l.warm(r); err != nil {
			return err
		}
	}
	return nil
}

// warm loads the version in force before the first row asks for it, unless another one comes.
func (l *Live) warm(r *liveReference) error {
	r.mu.Lock()
	wait := len(r.arrived) > 0
	r.mu.Unlock()
	if wait || l.graph.LoadedReferences(r.index) > 0 || len(r.versions) == 0 {
		return nil
	}
	v := r.versions[0]
	for _, x := range r.versions {
		if x.Effective <= l.clock {
			v = x
		}
	}
	load := l.loader(r, v)
	rows, err := load()
	if err == nil {
		l.graph.LoadReference(r.index, v.Effective, rows, load)
		r.publish(l.graph)
	}
	return err
}

// renewReference reads a source without versions anew. One with versions tells of new ones; if
// it does not answer, the job goes on with those that it has.
func (l *Live) renewReference(r *liveReference) error {
	open := func(context.Context) error {
		r.reading.Lock()
		defer r.reading.Unlock()
		return l.openReference(r)
	}
	if err := l.insist(l.ctx, r.what(), nil, open); err != nil {
		return err
	}
	if r.versioned() && !r.changed {
		ctx, cancel := context.WithTimeout(l.work, startPatience)
		defer cancel()
		l.looked(r, guarded(func() error { return l.seekVersions(ctx, r, newFinder(r)) }))
		return nil
	}
	return l.insist(l.ctx, r.what(), nil, func(ctx context.Context) error {
		list, err := l.listVersions(ctx, r, l.readFromNow(&l.spec))
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return connect.Permanent(noVersion(nil, l.clock))
		}
		var found []arrivedVersion
		for i, v := range list {
			a := arrivedVersion{referenceRecord: referenceRecord{r.index, i == 0, referenceVersion{Serial: l.shelf.next(r.spec.Name), Name: v.Name, Effective: v.Effective, Rows: -1}}}
			if i == 0 {
				if a.rows, err = l.fetch(ctx, r, &a.referenceVersion, true); err != nil {
					return err
				}
			}
			found = append(found, a)
		}
		if len(found) == 1 && len(r.versions) == 1 && r.versions[0].Sum == found[0].Sum && r.versions[0].Effective == found[0].Effective && !r.changed {
			l.shelf.drop(r.spec.Name, found[0].Serial)
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.arrived = found
		return nil
	})
}
