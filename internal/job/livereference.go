package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/vec"
)

// Reference data is read whole, a version at a time. What was read is kept in the state
// directory before a row sees it (livereferencecopy.go). Which version comes into force with
// which epoch stands in the record of the epoch, and the versions that rows may still need stand
// in the checkpoint. So an epoch that is made again sees what it saw.
//
// A source with versions is asked for new ones while the job runs, on a goroutine of its own
// (livereferencewatch.go). A version that is found when rows of its time have passed already is
// for the rows behind them: nothing is taken back. A source without versions has one for as long
// as the job runs, and is read anew when the job starts or is reloaded.

// DefaultMaxVersions is LiveInput.MaxVersions unless it is set.
const DefaultMaxVersions = 10_000

// referenceVersion is a version of reference data that a job knows.
type referenceVersion struct {
	Serial    int64  // of its copy
	Name      string // partition of the source; "" is all that a source without versions has
	Effective vec.Time
	Since     vec.Time // clock of the epoch that put it in force
	Rows      int64    // -1: it has not been read yet
	Sum       string   // digest of what was read; "" if that was not yet, or long ago
}

// referenceRecord is a version that an epoch puts in force.
type referenceRecord struct {
	Input int
	Reset bool // all versions before it are gone: they are of another source
	referenceVersion
}

// referenceSnapshot is what a checkpoint knows of an input of reference data.
type referenceSnapshot struct {
	Name     string
	ID       string // of its configuration
	Versions []referenceVersion
}

// liveReference is an input of reference data of a live job.
type liveReference struct {
	spec     LiveInput
	of       *LiveSpec // that it belongs to
	index    int       // in the plan
	versions []referenceVersion
	begun    bool       // in this start: the versions are those of now
	changed  bool       // the versions are of another source than the job reads now
	first    *vec.Batch // rows of the version that the job begins with, until the graph has them
	firstOf  vec.Time

	reading sync.Mutex     // held while the source is used
	source  connect.Source // nil until it is needed

	stop   func()       // ends the goroutine that looks for versions; nil if there is none
	oldest atomic.Int64 // time of the first version that rows may need
	loaded atomic.Int32 // versions that are in memory

	mu      sync.Mutex
	arrived []arrivedVersion // found and not in force yet
	checked time.Time        // when the source last said what versions it has; guarded by mu
	failure string           // of the last look; guarded by mu
}

// arrivedVersion is a version that was found. rows is nil if it was not decoded.
type arrivedVersion struct {
	referenceRecord
	rows *vec.Batch
}

func (r *liveReference) what() string { return fmt.Sprintf("reference data %q", r.spec.Name) }

// newReferences are the inputs of reference data of a plan; nil for streams.
func newReferences(spec *LiveSpec) []*liveReference {
	refs, of := make([]*liveReference, len(spec.Plan.Inputs)), *spec // what it points to is not the job's to change
	for i, in := range spec.Plan.Inputs {
		if in.Reference {
			refs[i] = &liveReference{spec: *spec.input(in.Name), of: &of, index: i}
		}
	}
	return refs
}

// listVersions asks a source for its versions; it is opened if it is not. A source that knows of
// none has one, for ever.
func (l *Live) listVersions(ctx context.Context, r *liveReference, from vec.Time) ([]connect.Version, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if err := l.openReference(r); err != nil {
		return nil, err
	}
	list := []connect.Version{{Effective: vec.MinTime}}
	if src, ok := r.source.(connect.Versions); ok {
		var err error
		if list, err = src.Versions(ctx, from); err != nil {
			return nil, err
		}
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b connect.Version) int { return cmp.Compare(a.Effective, b.Effective) })
	if over := len(list) - r.maxVersions(); over > 0 {
		l.log.Warn("reference data has more versions than are kept; rows of the time of the oldest ones are joined with the oldest that is kept",
			"input", r.spec.Name, "versions", len(list), "kept", r.maxVersions())
		list = list[over:]
	}
	r.mu.Lock()
	r.checked = l.now()
	r.mu.Unlock()
	return list, nil
}

func (r *liveReference) maxVersions() int {
	if r.spec.MaxVersions > 0 {
		return r.spec.MaxVersions
	}
	return DefaultMaxVersions
}

// openReference opens the source, unless it is open. The caller has r.reading.
func (l *Live) openReference(r *liveReference) error {
	if r.source != nil {
		return nil
	}
	env := l.sourceEnv(r.of, &r.spec, true)
	if !r.changed {
		for _, v := range r.versions {
			env.Known = append(env.Known, connect.Version{Name: v.Name, Effective: v.Effective})
		}
	}
	src, err := r.spec.Open(env)
	if err == nil {
		r.source = src
	}
	return err
}

// versioned reports whether the source knows versions. It is open.
func (r *liveReference) versioned() bool {
	_, ok := r.source.(connect.Versions)
	return ok
}

// enforceAll gives a new graph the versions of its reference data.
func (l *Live) enforceAll(g *exec.Graph, refs []*liveReference) {
	for _, r := range refs {
		if r == nil {
			continue
		}
		for i := range r.versions {
			v := r.versions[i]
			var rows *vec.Batch
			if r.first != nil && v.Effective == r.firstOf {
				rows, r.first = r.first, nil
				l.peeks.table(r.spec.Name, rows)
			}
			g.LoadReference(r.index, v.Effective, rows, l.loader(r, v))
			l.shelf.shelve(r.spec.Name, v.Serial)
		}
		r.publish(g)
	}
}

// loader loads the rows of a version when a row needs them: from the copy, or if it was never
// read from the source.
func (l *Live) loader(r *liveReference, v referenceVersion) func() (*vec.Batch, error) {
	return func() (rows *vec.Batch, err error) {
		err = l.insist(l.ctx, r.what(), nil, func(ctx context.Context) (err error) {
			rows, err = l.table(ctx, r, v)
			return err
		})
		if err == nil {
			r.loaded.Add(1)
			l.peeks.table(r.spec.Name, rows)
		}
		return rows, err
	}
}

// enforce puts a version in force, from the epoch at hand on.
func (l *Live) enforce(r *liveReference, a *arrivedVersion) {
	if a.Reset {
		r.versions, r.changed = nil, false
		l.graph.ClearReference(r.index)
	}
	at, found := slices.BinarySearchFunc(r.versions, a.Effective, func(v referenceVersion, t vec.Time) int { return cmp.Compare(v.Effective, t) })
	if found {
		r.versions[at] = a.referenceVersion
	} else {
		r.versions = slices.Insert(r.versions, at, a.referenceVersion)
	}
	l.shelf.shelve(r.spec.Name, a.Serial)
	l.graph.LoadReference(r.index, a.Effective, a.rows, l.loader(r, a.referenceVersion))
	if over := len(r.versions) - r.maxVersions(); over > 0 {
		r.versions = slices.Delete(r.versions, 0, over)
		l.graph.DropReferences(r.index, r.versions[0].Effective)
	}
	if a.rows != nil {
		l.peeks.table(r.spec.Name, a.rows)
	}
	r.publish(l.graph)
}

// takeArrived puts the versions in force that were found since the last epoch, and notes them in
// the record.
func (l *Live) takeArrived(rec *epochRecord) (list []arrivedVersion) {
	for _, r := range l.references {
		if r == nil {
			continue
		}
		r.mu.Lock()
		list = append(list, r.arrived...)
		r.arrived = nil
		r.mu.Unlock()
	}
	for i := range list {
		list[i].Since = l.clock
		rec.References = append(rec.References, list[i].referenceRecord)
	}
	return list
}

// publish shows the goroutine that looks for versions what the graph has.
func (r *liveReference) publish(g *exec.Graph) {
	oldest := vec.MinTime
	if times := g.References(r.index); len(times) > 0 {
		oldest = times[0]
	}
	r.oldest.Store(int64(oldest))
	r.loaded.Store(int32(g.LoadedReferences(r.index)))
}

// trim forgets the versions that no row to come needs.
func (r *liveReference) trim(g *exec.Graph) {
	needed := g.References(r.index)
	r.versions = slices.DeleteFunc(r.versions, func(v referenceVersion) bool {
		_, found := slices.BinarySearch(needed, v.Effective)
		return !found
	})
	r.publish(g)
}

// referenceSnapshots are the versions for a checkpoint.
func (l *Live) referenceSnapshots() []referenceSnapshot {
	var list []referenceSnapshot
	for _, r := range l.references {
		if r == nil {
			continue
		}
		r.trim(l.graph)
		id := r.spec.ID
		if r.changed {
			id = ""
		}
		list = append(list, referenceSnapshot{r.spec.Name, id, slices.Clone(r.versions)})
	}
	return list
}

// referencesOf are the inputs of reference data by the numbers that epochs behind the checkpoint
// use.
func (s *snapshot) referencesOf(l *Live) []*liveReference {
	out := make([]*liveReference, len(s.Inputs))
	for i, x := range s.Inputs {
		for _, r := range l.references {
			if r != nil && strings.EqualFold(r.spec.Name, x.Name) {
				out[i] = r
			}
		}
	}
	return out
}

// stats are what people see of it.
func (r *liveReference) stats(clock vec.Time, now time.Time) *ReferenceStats {
	s := &ReferenceStats{Versions: len(r.versions)}
	for i := range r.versions {
		if v := &r.versions[i]; i == 0 || v.Effective <= clock {
			s.Version, s.Effective, s.Rows = v.Name, v.Effective, v.Rows
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Failure = r.failure
	if !r.checked.IsZero() {
		s.Age = max(now.Sub(r.checked), 0)
	}
	return s
}

// close ends looking for versions, and frees the source.
func (r *liveReference) close() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.source != nil {
		r.source.Close() // it was only read
		r.source = nil
	}
}

// abandon closes it, and gives up the versions that no epoch has put in force.
func (l *Live) abandon(refs []*liveReference) {
	for _, r := range refs {
		if r == nil {
			continue
		}
		r.close()
		r.mu.Lock()
		for _, a := range r.arrived {
			l.shelf.drop(r.spec.Name, a.Serial)
		}
		r.arrived = nil
		r.mu.Unlock()
	}
}
