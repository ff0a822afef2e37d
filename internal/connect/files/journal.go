package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// journalName is the journal in the state directory of the output.
const journalName = "journal"

// maxJournal is how long the journal gets before it is written anew, if that makes it
// shorter.
const maxJournal = 4 << 20

// fileState is a file that rows go to, as the journal has it. Its bytes lie in a file of
// our own directory until it is finished.
type fileState struct {
	ID    int64    `json:"id"`
	Name  string   `json:"name"` // the final one
	Stem  string   `json:"stem"`
	N     int64    `json:"n"`
	Last  vec.Time `json:"span"` // last tick of the span of time in the name; MaxTime without one
	Size  int64    `json:"size"`
	Rows  int64    `json:"rows"`
	From  vec.Time `json:"from"` // of its first row
	To    vec.Time `json:"to"`
	Epoch int64    `json:"epoch"` // the last one with rows of it
	Full  bool     `json:"full,omitempty"`
	Head  []string `json:"head,omitempty"` // names of the CSV header, for rows that are records
}

// record is a record of the journal.
type record struct {
	// Base is everything there is: the records before do not matter.
	Base *base `json:"base,omitempty"`
	// Epoch: the files of Put have these states once their new bytes are written, which have
	// these checksums. The record comes after the bytes; both may be lost together or alone.
	// Mark is the watermark of the epoch.
	Epoch int64    `json:"epoch,omitempty"`
	Put   []change `json:"put,omitempty"`
	Mark  vec.Time `json:"mark,omitempty"`
	// Synced: everything up to here is durable, bytes too.
	Synced bool `json:"synced,omitempty"`
	// Finish: the files are being finished, and their lines go to the manifest behind
	// Manifest bytes. Everything up to here is durable.
	Finish   []int64 `json:"finish,omitempty"`
	Manifest int64   `json:"manifest,omitempty"`
	// Finished: they are, and the manifest has Manifest bytes.
	Finished bool `json:"finished,omitempty"`
	// Queue: the files are complete and wait for the store. Everything up to here is durable.
	Queue []int64 `json:"queue,omitempty"`
	// Named: a file that waits gets another number, because its name is taken.
	Named *named `json:"named,omitempty"`
	// Placed: the file is in the store.
	Placed int64 `json:"placed,omitempty"`
}

type named struct {
	ID   int64  `json:"id"`
	N    int64  `json:"n"`
	Name string `json:"name"`
}

// sure reports whether everything up to the record is durable.
func (r *record) sure() bool {
	return r.Synced || r.Finish != nil || r.Queue != nil || r.Base != nil
}

type change struct {
	fileState
	Was int64  `json:"was"` // size before
	Crc uint32 `json:"crc"` // of what came
}

type base struct {
	Instance string           `json:"instance"`
	Epoch    int64            `json:"epoch"`
	NextID   int64            `json:"next_id"`
	Files    []fileState      `json:"files"`
	Numbers  map[string]int64 `json:"numbers"` // the next {n} by stem, for names without time
	// Spans has them for names with times, until the watermark has passed those.
	Spans    map[string]spanNumber `json:"spans,omitempty"`
	Finish   []int64               `json:"finish,omitempty"`
	Manifest int64                 `json:"manifest"`
	Mark     vec.Time              `json:"mark"`
}

type spanNumber struct {
	N    int64    `json:"n"`
	Last vec.Time `json:"span"` // as of fileState
}

// ledger is what the journal says.
type ledger struct {
	base
	files map[int64]*fileState
	// durable are the sizes of files that are known to be so.
	durable map[int64]int64
	// first is the least Last of Spans.
	first vec.Time
}

func newLedger(b base) *ledger {
	l := &ledger{base: b, files: map[int64]*fileState{}, durable: map[int64]int64{}, first: vec.MaxTime}
	if l.Numbers == nil {
		l.Numbers = map[string]int64{}
	}
	if l.Spans == nil {
		l.Spans = map[string]spanNumber{}
	}
	for _, n := range l.Spans {
		l.first = min(l.first, n.Last)
	}
	for i := range b.Files {
		f := b.Files[i]
		l.files[f.ID] = &f
		l.durable[f.ID] = f.Size
	}
	return l
}

// apply brings the ledger up to a record.
func (l *ledger) apply(r *record) {
	switch {
	case r.Base != nil:
		*l = *newLedger(*r.Base)
	case r.Epoch != 0:
		l.Epoch, l.Mark = r.Epoch, r.Mark
		for i := range r.Put {
			f := r.Put[i].fileState
			l.files[f.ID] = &f
			l.NextID = max(l.NextID, f.ID+1)
		}
	case r.Finished:
		for _, id := range l.Finish {
			l.forget(id)
		}
		l.Finish, l.Manifest = nil, r.Manifest
	case r.Named != nil:
		if f := l.files[r.Named.ID]; f != nil {
			other := *f
			other.N, other.Name = r.Named.N, r.Named.Name
			l.files[r.Named.ID] = &other
		}
	case r.Placed != 0:
		l.forget(r.Placed)
		l.Finish = slices.DeleteFunc(slices.Clone(l.Finish), func(id int64) bool { return id == r.Placed })
	}
	l.Finish = append(l.Finish, r.Queue...)
	if r.Finish != nil {
		l.Finish, l.Manifest = r.Finish, r.Manifest
	}
	if r.sure() {
		for id, f := range l.files {
			l.durable[id] = f.Size
		}
	}
}

// forget drops a file that is finished. A name with a number has a next one.
func (l *ledger) forget(id int64) {
	f := l.files[id]
	if f == nil {
		return
	}
	switch {
	case !strings.ContainsRune(f.Stem, hole):
	case f.Last == vec.MaxTime:
		l.Numbers[f.Stem] = max(l.Numbers[f.Stem], f.N+1)
	default:
		l.Spans[f.Stem] = spanNumber{max(l.Spans[f.Stem].N, f.N+1), f.Last}
		l.first = min(l.first, f.Last)
	}
	delete(l.files, id)
	delete(l.durable, id)
}

// number is the next {n} of a stem, for all that is known of finished files.
func (l *ledger) number(stem string) int64 { return max(l.Numbers[stem], l.Spans[stem].N) }

// passed forgets the numbers of names whose times the watermark has passed.
func (l *ledger) passed(mark vec.Time) {
	if mark < l.first {
		return
	}
	l.first = vec.MaxTime
	for stem, n := range l.Spans {
		if n.Last <= mark {
			delete(l.Spans, stem)
		} else {
			l.first = min(l.first, n.Last)
		}
	}
}

// readJournal opens the journal of an instance and says what of it is true: epochs behind
// the last record that says Synced count if the bytes of their files are there.
func readJournal(state, own disk.FS, instance string) (*disk.Log, *ledger, error) {
	var records []record
	log, err := disk.OpenLog(state, journalName, func(b []byte) error {
		var r record
		if err := json.Unmarshal(b, &r); err != nil {
			return connect.Permanent(err)
		}
		if r.Base != nil {
			records = records[:0]
		}
		records = append(records, r)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if len(records) == 0 || records[0].Base == nil || records[0].Base.Instance != instance {
		return log, nil, nil
	}
	sure := 0
	for i, r := range records {
		if r.sure() {
			sure = i
		}
	}
	l := newLedger(base{})
	torn := false // what came of epochs is not all there
	for i := range records {
		r := &records[i]
		if torn && r.Epoch != 0 {
			continue
		}
		if i > sure {
			whole, err := present(own, r.Put)
			if err != nil {
				log.Close()
				return nil, nil, err
			}
			if !whole {
				torn = true
				continue
			}
		}
		l.apply(r)
	}
	return log, l, nil
}

// present reports whether the bytes of an epoch are there.
func present(own disk.FS, put []change) (bool, error) {
	for _, c := range put {
		f, err := own.Open(partName(c.ID))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		h := crc32.New(disk.Castagnoli)
		n, err := io.Copy(h, io.NewSectionReader(f, c.Was, c.Size-c.Was))
		f.Close()
		if err != nil {
			return false, err
		}
		if n != c.Size-c.Was || h.Sum32() != c.Crc {
			return false, nil
		}
	}
	return true, nil
}

// The names in our own directory.
func partName(id int64) string   { return strconv.FormatInt(id, 10) + ".part" }
func packedName(id int64) string { return strconv.FormatInt(id, 10) + ".packed" }

// put writes a record to the journal.
func (s *sink) put(r *record, sync bool) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := s.journal.Append(b); err != nil {
		return s.inState(err)
	}
	if sync {
		return s.inState(s.journal.Sync())
	}
	return nil
}

func (s *sink) inState(err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", s.env.State.Path(journalName), err)
	}
	return err
}

// compact writes the journal anew. Everything that it names must be durable.
func (s *sink) compact() error {
	b := s.ledger.base
	b.Files = b.Files[:0:0]
	for _, f := range s.sorted() {
		b.Files = append(b.Files, *s.ledger.files[f])
	}
	text, err := json.Marshal(record{Base: &b})
	if err == nil {
		err = s.journal.Replace(text)
	}
	if err == nil {
		err = s.journal.Sync()
	}
	return s.inState(err)
}
