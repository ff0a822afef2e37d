package job

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/state"
	"weir/internal/vec"
)

// The manifest is the log of epochs: what each has read, with which clock. A record is
// durable before any sink makes the epoch visible, so after a crash every epoch that anybody
// may have seen can be made again, from the same events.
//
// It is a directory of segments, each named by the first epoch in it. A checkpoint starts a
// new one; segments that no kept checkpoint needs are removed.

const (
	manifestDir     = "manifest"
	manifestExt     = ".log"
	manifestMagic   = "weir manifest"
	manifestVersion = 1
)

// epochRecord is an epoch in the manifest. Its parts are applied in the order of the fields.
type epochRecord struct {
	N     int64
	Clock vec.Time // the runner's clock: arrival of events that bring none
	// Ticks are the clocks of inputs that had nothing to read, up to this epoch.
	Ticks []tickedPartition
	// Added are partitions that the epoch is the first to know.
	Added []addedPartition
	// References are the versions of reference data that come into force.
	References []referenceRecord
	// Ranges are what is read, one chunk each.
	Ranges []readRange
	// Redriven are dead letters that are tried again.
	Redriven []redrivenLetter
	// Acked is the last epoch that was committed, for each output whose sink cannot tell; 0
	// for the others. It is about epochs before this one.
	Acked []int64
	// Careful: the record was kept before the events were touched (livecareful.go).
	Careful bool
}

type addedPartition struct {
	Input int
	Name  string
}

type tickedPartition struct {
	Input, Part int
	Clock       vec.Time
}

type readRange struct {
	Input, Part  int
	After, Until connect.Position
	End          bool // nothing follows in the partition
}

type redrivenLetter struct {
	ID            int64
	Input, Output int // the other one is -1
	Part          int
	Arrival       vec.Time
	Payload       string
}

// redrivenIDs are the ids of the letters that are tried again.
func (e *epochRecord) redrivenIDs() []int64 {
	var ids []int64
	for _, r := range e.Redriven {
		ids = append(ids, r.ID)
	}
	return ids
}

func (e *epochRecord) encode() []byte {
	w := state.NewWriter()
	w.Int(e.N)
	w.Int(int64(e.Clock))
	w.Uint(uint64(len(e.Added)))
	for _, a := range e.Added {
		w.Uint(uint64(a.Input))
		w.String(a.Name)
	}
	w.Uint(uint64(len(e.Ticks)))
	for _, t := range e.Ticks {
		w.Uint(uint64(t.Input))
		w.Uint(uint64(t.Part))
		w.Int(int64(t.Clock))
	}
	w.Uint(uint64(len(e.Ranges)))
	for _, r := range e.Ranges {
		w.Uint(uint64(r.Input))
		w.Uint(uint64(r.Part))
		w.String(string(r.After))
		w.String(string(r.Until))
		w.Bool(r.End)
	}
	w.Uint(uint64(len(e.Redriven)))
	for _, r := range e.Redriven {
		w.Int(r.ID)
		w.Int(int64(r.Input))
		w.Int(int64(r.Output))
		w.Uint(uint64(r.Part))
		w.Int(int64(r.Arrival))
		w.String(r.Payload)
	}
	w.Uint(uint64(len(e.Acked)))
	for _, n := range e.Acked {
		w.Int(n)
	}
	w.Bool(e.Careful)
	if len(e.References) == 0 {
		return w.Bytes() // as it was before there were versions
	}
	w.Uint(uint64(len(e.References)))
	for i := range e.References {
		ref := &e.References[i]
		w.Uint(uint64(ref.Input))
		w.Bool(ref.Reset)
		ref.save(w)
	}
	return w.Bytes()
}

func decodeEpoch(b []byte) (*epochRecord, error) {
	r := state.NewReader(b)
	e := &epochRecord{N: r.Int(), Clock: vec.Time(r.Int())}
	for range r.Count() {
		e.Added = append(e.Added, addedPartition{int(r.Uint()), r.String()})
	}
	for range r.Count() {
		e.Ticks = append(e.Ticks, tickedPartition{int(r.Uint()), int(r.Uint()), vec.Time(r.Int())})
	}
	for range r.Count() {
		e.Ranges = append(e.Ranges, readRange{int(r.Uint()), int(r.Uint()), connect.Position(r.String()), connect.Position(r.String()), r.Bool()})
	}
	for range r.Count() {
		e.Redriven = append(e.Redriven, redrivenLetter{r.Int(), int(r.Int()), int(r.Int()), int(r.Uint()), vec.Time(r.Int()), r.String()})
	}
	for range r.Count() {
		e.Acked = append(e.Acked, r.Int())
	}
	e.Careful = r.Bool()
	if r.Err() == nil && r.Rest() > 0 {
		for range r.Count() {
			e.References = append(e.References, referenceRecord{int(r.Uint()), r.Bool(), loadReferenceVersion(r)})
		}
	}
	if r.Err() == nil && r.Rest() != 0 {
		r.Fail()
	}
	return e, r.Err()
}

// DamageError is the error of a file of the state directory that makes no sense. Nothing is
// skipped: whoever looks after the job decides.
type DamageError struct {
	File   string
	Offset int64
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s; bring the file back from a copy, or begin anew without the state (--discard-state)", e.File, e.Offset, e.Reason)
}

// manifest appends epochs. One goroutine uses it.
type manifest struct {
	fs       disk.FS
	instance string
	segments []segment
	file     disk.File // the last segment, if it is open
	fresh    bool      // the last segment is not durable yet
	rotated  bool      // the next record starts a segment
}

// segment is a file of the manifest.
type segment struct {
	first, last int64 // epochs
	size        int64 // of what is durable
}

func (s segment) name() string { return fmt.Sprintf("%s/%020d%s", manifestDir, s.first, manifestExt) }

// load reads the epochs behind n. A torn record at the very end is cut off; any other damage
// is a *DamageError. Segments of another instance, which is what may be left of a state that
// was discarded, are removed; those that end before n are kept and not read.
func (m *manifest) load(n int64) ([]*epochRecord, error) {
	names, err := m.own()
	if err != nil {
		return nil, err
	}
	start := 0
	for i, first := range names {
		if first <= n+1 {
			start = i
		}
	}
	var all []*epochRecord
	m.segments = m.segments[:0]
	for i, first := range names {
		seg := segment{first: first, last: first - 1}
		if i < start {
			seg.last = names[i+1] - 1
			m.segments = append(m.segments, seg)
			continue
		}
		if i > start && m.segments[i-1].last != first-1 || i == start && first > n+1 {
			return nil, &DamageError{m.fs.Path(seg.name()), 0, fmt.Sprintf("it begins with epoch %d, and what is before it does not end there", first)}
		}
		list, err := m.loadSegment(&seg, i == len(names)-1)
		if err != nil {
			return nil, err
		}
		m.segments = append(m.segments, seg)
		for _, e := range list {
			if e.N > n {
				all = append(all, e)
			}
		}
	}
	m.rotated = len(m.segments) == 0 || m.segments[len(m.segments)-1].last < n
	return all, m.settle()
}

// settle makes durable what was read, as from now on others rely on it.
func (m *manifest) settle() error {
	if n := len(m.segments); n > 0 && !m.rotated {
		seg := &m.segments[n-1]
		if err := disk.Renew(m.fs, seg.name(), seg.size); err != nil {
			return err
		}
	}
	return m.fs.SyncDir(manifestDir)
}

// own are the first epochs of the segments of this instance. The last one may lack even its
// head: then it was never finished, and is removed.
func (m *manifest) own() ([]int64, error) {
	names, err := listNumbered(m.fs, manifestDir, manifestExt)
	if err != nil {
		return nil, err
	}
	var out []int64
	for i, first := range names {
		seg := segment{first: first}
		data, err := readStart(m.fs, seg.name(), 4<<10)
		if err != nil {
			return nil, err
		}
		head, _, ok := frameAt(data, 0)
		if ok {
			err = m.checkHead(head)
		} else if i == len(names)-1 && !frameBehind(data, 0) {
			err = errForeign
		} else {
			err = errors.New("its head is no manifest of Weir")
		}
		switch {
		case err == errForeign:
			if err := m.fs.Remove(seg.name()); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, &DamageError{m.fs.Path(seg.name()), 0, err.Error()}
		default:
			out = append(out, first)
		}
	}
	return out, nil
}

var errForeign = errors.New("of another instance")

func (m *manifest) loadSegment(seg *segment, last bool) ([]*epochRecord, error) {
	data, err := readAll(m.fs, seg.name())
	if err != nil {
		return nil, err
	}
	damage := func(pos int, why string) error {
		return &DamageError{m.fs.Path(seg.name()), int64(pos), why}
	}
	_, pos, ok := frameAt(data, 0)
	if !ok {
		return nil, damage(0, "its head is no manifest of Weir")
	}
	var list []*epochRecord
	for pos < len(data) {
		payload, next, ok := frameAt(data, pos)
		if !ok {
			if last && !frameBehind(data, pos) {
				break
			}
			return nil, damage(pos, "a record of the manifest does not have its checksum")
		}
		e, err := decodeEpoch(payload)
		if err != nil {
			return nil, damage(pos, err.Error())
		}
		if e.N != seg.last+1 {
			return nil, damage(pos, fmt.Sprintf("epoch %d stands behind epoch %d", e.N, seg.last))
		}
		seg.last = e.N
		list = append(list, e)
		pos = next
	}
	seg.size = int64(pos)
	return list, nil
}

func (m *manifest) checkHead(head []byte) error {
	r := state.NewReader(head)
	magic, version, instance := r.String(), r.Uint(), r.String()
	switch {
	case r.Err() != nil:
		return r.Err()
	case magic != manifestMagic:
		return errors.New("it is no manifest")
	case version != manifestVersion:
		return fmt.Errorf("it has version %d of the format, and this program knows version %d", version, manifestVersion)
	case instance != m.instance:
		return errForeign
	}
	return nil
}

func (m *manifest) head() []byte {
	w := state.NewWriter()
	w.String(manifestMagic)
	w.Uint(manifestVersion)
	w.String(m.instance)
	return w.Bytes()
}

// append makes an epoch durable. After an error it can be called again: what was not synced
// is cut off and written anew, as nothing that a failed Sync was about can be relied on.
func (m *manifest) append(e *epochRecord) (err error) {
	if m.rotated {
		m.close()
		m.segments = append(m.segments, segment{first: e.N, last: e.N - 1})
		m.rotated, m.fresh = false, true
	}
	seg := &m.segments[len(m.segments)-1]
	if e.N != seg.last+1 {
		panic(fmt.Sprintf("job: epoch %d is to stand behind epoch %d", e.N, seg.last))
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.file == nil {
		if err := m.open(seg); err != nil {
			return err
		}
	}
	var out []byte
	if seg.size == 0 {
		out = appendFrame(out, m.head())
	}
	out = appendFrame(out, e.encode())
	if _, err := m.file.Write(out); err != nil {
		return err
	}
	if err := m.file.Sync(); err != nil {
		return err
	}
	if m.fresh {
		if err := m.fs.SyncDir(manifestDir); err != nil {
			return err
		}
		m.fresh = false
	}
	seg.size += int64(len(out))
	seg.last = e.N
	return nil
}

// open opens the last segment behind what is durable in it.
func (m *manifest) open(seg *segment) error {
	f, err := m.fs.Edit(seg.name())
	if err != nil {
		return err
	}
	m.file = f
	if err := f.Truncate(seg.size); err != nil {
		return err
	}
	_, err = f.Seek(seg.size, io.SeekStart)
	return err
}

func (m *manifest) close() {
	if m.file != nil {
		m.file.Close() // what counts has been synced
		m.file = nil
	}
}

// rotate lets the next epoch start a segment.
func (m *manifest) rotate() {
	if n := len(m.segments); n > 0 && m.segments[n-1].last >= m.segments[n-1].first {
		m.rotated = true
	}
}

// forget removes the segments that have no epoch behind n.
func (m *manifest) forget(n int64) error {
	for len(m.segments) > 0 && m.segments[0].last <= n && (len(m.segments) > 1 || m.rotated) {
		if len(m.segments) == 1 {
			m.close()
		}
		if err := m.fs.Remove(m.segments[0].name()); err != nil && !isNotExist(err) {
			return err
		}
		m.segments = m.segments[1:]
	}
	return nil
}

// size is how many bytes all segments have.
func (m *manifest) size() int64 {
	n := int64(0)
	for _, s := range m.segments {
		n += s.size
	}
	return n
}

// listNumbered are the numbers of the files of a directory that are named by a number and an
// extension, in order.
func listNumbered(fs disk.FS, dir, ext string) ([]int64, error) {
	list, err := fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, f := range list {
		if base, ok := strings.CutSuffix(f.Name, ext); ok && !f.Dir {
			if n, err := strconv.ParseInt(base, 10, 64); err == nil {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}
