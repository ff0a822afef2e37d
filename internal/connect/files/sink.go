package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// settings are those of an output.
type settings struct {
	template  *template
	manifest  string // "" for none
	replace   bool   // finished files that are in the way
	maxRows   int64  // of a file; 0 is no limit
	maxSize   int64  // bytes
	maxAge    time.Duration
	maxFiles  int   // that are not finished
	maxOpen   int   // that are open
	maxStaged int64 // bytes of complete files that wait for a store
}

// maxHeld is how many bytes of an epoch are held in memory. Beyond it they are written to
// the files at once, behind what counts.
const maxHeld = 64 << 20

// sink writes finished files. See the package comment.
type sink struct {
	d   disk.FS  // the directory; nil with a store
	up  *uploads // to a store; nil with a directory
	own disk.FS  // for files that are not finished
	s   settings
	p   packing
	env connect.SinkEnv

	// mu guards all that follows: methods hold it, and uploads do when they note what they did.
	mu sync.Mutex

	lock    io.Closer
	journal *disk.Log
	ledger  *ledger
	enc     *codec.Encoder
	csv     bool

	files    map[int64]*file
	queued   int              // of them, those that wait for the store
	byStem   map[string]*file // the one that rows go to
	open     []*file          // with an open file, the one used last at the end
	newNames bool             // our directory has names that are not durable
	mark     vec.Time         // the watermark
	next     vec.Time         // before this watermark no file is complete

	epoch    int64 // that the rows below are of
	held     int   // bytes in memory
	touched  []*file
	made     []*file // in this epoch
	rejected []connect.RowError
	told     int // of rejected
	stem     []byte
	sel      []int32
	one      vec.Batch
	synced   int64 // epoch
}

// file is a file that is not finished. The fileState is as of the last commit.
type file struct {
	*fileState
	tail  *disk.Tail // nil before its first byte
	mark  disk.Mark  // of the committed end
	early disk.Mark  // of the end with bytes that were written before their commit
	spill uint32     // checksum of those

	buf      []byte // of the epoch, behind those
	rows     int64
	from, to vec.Time
	head     []string
	sel      []int32
	queued   bool // it waits for the store
}

// openSink opens the output in the directory d, or over the store of up.
func openSink(d disk.FS, up *uploads, cfg settings, env connect.SinkEnv) (_ connect.Sink, err error) {
	s := &sink{d: d, up: up, s: cfg, env: env, csv: env.Format.Type == "csv", mark: vec.MinTime,
		files: map[int64]*file{}, byStem: map[string]*file{}}
	if s.p, err = packingOf(env.Format, env.Columns); err != nil {
		return nil, connect.Permanent(err)
	}
	s.enc = codec.NewEncoder(s.p.staged, env.Columns.Names, env.Columns.Row)
	if env.Format.Delimiter != 0 {
		s.enc.Delimiter(env.Format.Delimiter)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if up != nil {
		up.changed = sync.NewCond(&s.mu)
	}
	if err := s.recover(); err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// stagedName is the directory in the state for files that are to go to a store.
const stagedName = "staged"

// ownName is the directory for what an output has not finished. Its name does not depend on
// the instance: what another one left is found there.
func ownName(job, output string) string {
	sum := sha256.Sum256([]byte(job + "\x00" + output))
	return ownPrefix + hex.EncodeToString(sum[:6])
}

// recover finds out what there is, and finishes what was being finished.
func (s *sink) recover() error {
	var err error
	if s.up != nil {
		s.own, err = s.env.State.Sub(stagedName)
	} else {
		s.own, err = s.d.Sub(ownName(s.env.Job, s.env.Output))
	}
	if err != nil {
		return err
	}
	if s.lock, err = s.own.Lock("lock"); errors.Is(err, disk.ErrLocked) {
		return connect.Permanent(fmt.Errorf("%s: another process writes this output: stop it, or give this job another name", s.own.Path(".")))
	} else if err != nil {
		return err
	}
	if s.journal, s.ledger, err = readJournal(s.env.State, s.own, s.env.Instance); err != nil {
		return err
	}
	if s.ledger == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	if err := s.tidy(); err != nil {
		return err
	}
	for id, f := range s.ledger.files {
		s.files[id] = &file{fileState: f}
	}
	if err := s.resume(); err != nil {
		return err
	}
	if err := s.compact(); err != nil {
		return err
	}
	// A crash may have come between the rows of an epoch and what its watermark completes.
	if err := s.finish(nil); err != nil {
		return err
	}
	s.mark, s.next = s.ledger.Mark, vec.MinTime
	return s.finish(s.due())
}

// begin is the start of an instance. What another one left unfinished is put aside.
func (s *sink) begin() error {
	size := int64(0)
	var err error
	if s.up == nil {
		if size, err = s.manifestSize(); err != nil {
			return err
		}
	}
	list, err := s.own.ReadDir(".")
	if err != nil {
		return err
	}
	left := 0
	for _, i := range list {
		if !strings.HasSuffix(i.Name, ".part") || strings.HasPrefix(i.Name, "left-") {
			continue
		}
		for k := 0; ; k++ {
			to := fmt.Sprintf("left-%d-%s", k, i.Name)
			if _, err := s.own.Stat(to); errors.Is(err, fs.ErrNotExist) {
				if err := s.own.Rename(i.Name, to); err != nil {
					return err
				}
				left++
				break
			} else if err != nil {
				return err
			}
		}
	}
	if left > 0 {
		s.env.Log.Warn("rows of an earlier state of the job were never finished: they are kept aside and are in no file",
			"directory", s.own.Path("."), "files", left)
	}
	s.ledger = newLedger(base{Instance: s.env.Instance, NextID: 1, Manifest: size, Mark: vec.MinTime})
	return s.own.SyncDir(".")
}

// tidy removes what no record names: files of epochs that did not happen.
func (s *sink) tidy() error {
	list, err := s.own.ReadDir(".")
	if err != nil {
		return err
	}
	wanted := map[string]bool{"lock": true}
	for id := range s.ledger.files {
		wanted[partName(id)], wanted[packedName(id)] = true, true
	}
	for _, i := range list {
		if !wanted[i.Name] && !strings.HasPrefix(i.Name, "left-") {
			if err := s.own.Remove(i.Name); err != nil {
				return err
			}
		}
	}
	return s.own.SyncDir(".")
}

// resume cuts the files to what counts, and makes that durable.
func (s *sink) resume() error {
	for _, id := range s.sorted() {
		f := s.files[id]
		if slices.Contains(s.ledger.Finish, id) {
			continue // finish looks at it
		}
		s.byStem[f.Stem] = f
		if f.Full {
			delete(s.byStem, f.Stem)
		}
		if err := s.use(f); err != nil {
			return err
		}
		if err := f.tail.Doubt(s.ledger.durable[id]); err != nil {
			return err
		}
		if err := f.tail.Sync(); err != nil {
			return s.lost(f.fileState, err)
		}
	}
	s.synced = s.ledger.Epoch
	return nil
}

// sorted are the ids of all files, in order.
func (s *sink) sorted() []int64 { return slices.Sorted(maps.Keys(s.ledger.files)) }

// lost says what it means that a file of ours is not as we left it.
func (s *sink) lost(f *fileState, err error) error {
	if errors.Is(err, disk.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
		return connect.Permanent(fmt.Errorf("%s: %w. The rows of %s are in it: put it back, or begin anew with --discard-state",
			s.own.Path(partName(f.ID)), err, f.Name))
	}
	return fmt.Errorf("%s: %w", s.own.Path(partName(f.ID)), err)
}

// use opens a file for appending, and closes one that was not used for long.
func (s *sink) use(f *file) error {
	if i := slices.Index(s.open, f); i >= 0 {
		s.open = append(slices.Delete(s.open, i, i+1), f)
		return nil
	}
	for len(s.open) >= s.s.maxOpen {
		if err := s.open[0].tail.Park(); err != nil {
			return err
		}
		s.open = slices.Delete(s.open, 0, 1)
	}
	name := partName(f.ID)
	if f.tail == nil && f.Size > 0 {
		if _, err := s.own.Stat(name); err != nil {
			return s.lost(f.fileState, err)
		}
	}
	h, err := s.own.Edit(name)
	if err != nil {
		return fmt.Errorf("%s: %w", s.own.Path(name), err)
	}
	if f.tail == nil {
		if f.Size == 0 {
			s.newNames = true
		}
		if f.tail, err = disk.NewTail(h, f.Size); err != nil {
			h.Close()
			return s.lost(f.fileState, err)
		}
		f.mark = f.tail.Mark()
		f.early = f.mark
	} else if err := f.tail.Unpark(h); err != nil {
		f.tail.Park()
		return s.lost(f.fileState, err)
	}
	s.open = append(s.open, f)
	return nil
}

// shut closes a file for good.
func (s *sink) shut(f *file) {
	if i := slices.Index(s.open, f); i >= 0 {
		s.open = slices.Delete(s.open, i, i+1)
		f.tail.Park() // it was synced, or is not wanted any more
	}
}

// Committed implements connect.Sink.
func (s *sink) Committed(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.Epoch, nil
}

// Prepare implements connect.Sink.
func (s *sink) Prepare(_ context.Context, epoch int64, watermark vec.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = max(s.mark, watermark)
	if epoch != s.epoch {
		return nil
	}
	for s.told < len(s.rejected) {
		if err := s.env.Reject(s.rejected[s.told]); err != nil {
			return err
		}
		s.told++
	}
	return nil
}

// Commit implements connect.Sink. Files are finished after the rows have been written, so
// that a repeated Commit of the epoch goes on with that.
func (s *sink) Commit(ctx context.Context, epoch int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch > s.ledger.Epoch && epoch == s.epoch {
		if err := s.append(epoch); err != nil {
			return err
		}
	}
	if epoch < s.ledger.Epoch {
		return nil
	}
	if err := s.finish(s.due()); err != nil || s.up == nil {
		return err
	}
	return s.room(ctx)
}

// append writes the rows of the epoch to their files.
func (s *sink) append(epoch int64) error {
	r := &record{Epoch: epoch, Mark: s.mark}
	var next []*file
	for _, f := range s.touched {
		if f.rows == 0 {
			continue
		}
		if err := s.flush(f); err != nil {
			return err
		}
		st := *f.fileState
		st.Size, st.Rows, st.To, st.Epoch, st.Head = f.tail.Size(), st.Rows+f.rows, f.to, epoch, f.head
		if f.Rows == 0 {
			st.From = f.from
		}
		st.Full = st.Full || s.s.maxRows > 0 && st.Rows >= s.s.maxRows || s.s.maxSize > 0 && st.Size >= s.s.maxSize
		r.Put = append(r.Put, change{fileState: st, Was: f.Size, Crc: f.spill})
		next = append(next, f)
	}
	if len(r.Put) > 0 {
		if err := s.put(r, false); err != nil {
			return err
		}
		s.ledger.apply(r)
		for _, f := range next {
			f.fileState = s.ledger.files[f.ID]
			f.mark = f.tail.Mark()
			s.next = min(s.next, s.dueAt(f.fileState))
			if f.Full && s.byStem[f.Stem] == f {
				delete(s.byStem, f.Stem)
			}
		}
	}
	s.made = slices.DeleteFunc(s.made, func(f *file) bool { return f.Rows > 0 })
	s.clear() // there is nothing to cut: it cannot fail
	return nil
}

// flush writes the held bytes of a file behind what it has.
func (s *sink) flush(f *file) error {
	if err := s.use(f); err != nil {
		return err
	}
	if f.tail.Size() != f.early.Size() {
		if err := f.tail.Cut(f.early); err != nil {
			return s.lost(f.fileState, err)
		}
	}
	if err := f.tail.Append(f.buf); err != nil {
		return s.lost(f.fileState, err)
	}
	f.spill = crc32.Update(f.spill, disk.Castagnoli, f.buf)
	f.early = f.tail.Mark()
	s.held -= len(f.buf)
	f.buf = f.buf[:0]
	return nil
}

// clear forgets the rows of an epoch, committed or not.
func (s *sink) clear() error {
	var errs []error
	for _, f := range s.touched {
		f.buf, f.rows, f.spill, f.head = f.buf[:0], 0, 0, nil
		if f.fileState != nil && f.tail != nil && f.tail.Size() != f.mark.Size() {
			if err := s.use(f); err != nil {
				errs = append(errs, err)
			} else {
				errs = append(errs, f.tail.Cut(f.mark))
			}
		}
		f.early = f.mark
	}
	for _, f := range s.made { // in an epoch that did not happen
		s.shut(f)
		delete(s.files, f.ID)
		if s.byStem[f.Stem] == f {
			delete(s.byStem, f.Stem)
		}
	}
	s.touched, s.made, s.rejected = s.touched[:0], s.made[:0], s.rejected[:0]
	s.told, s.held, s.epoch = 0, 0, 0
	return errors.Join(errs...)
}

// Sync implements connect.Sink.
func (s *sink) Sync(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sync()
}

func (s *sink) sync() error {
	if s.synced == s.ledger.Epoch && !s.newNames {
		return nil
	}
	if err := s.syncFiles(); err != nil {
		return err
	}
	if err := s.put(&record{Synced: true}, true); err != nil {
		return err
	}
	s.ledger.apply(&record{Synced: true})
	s.synced = s.ledger.Epoch
	if size := s.journal.Size(); size > maxJournal && size > int64(2000*len(s.files)) {
		return s.compact()
	}
	return nil
}

// syncFiles makes all bytes durable that were committed.
func (s *sink) syncFiles() error {
	for _, id := range s.sorted() {
		f := s.files[id]
		if f.tail == nil || !f.tail.Dirty() {
			continue
		}
		if err := s.use(f); err != nil {
			return err
		}
		if err := f.tail.Sync(); err != nil {
			return s.lost(f.fileState, err)
		}
	}
	if s.newNames {
		if err := s.own.SyncDir("."); err != nil {
			return err
		}
		s.newNames = false
	}
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.clear()
	if err == nil {
		err = s.sync()
	}
	if err == nil && s.up != nil {
		s.linger()
	}
	err = errors.Join(err, s.free())
	if s.up != nil {
		if c, ok := s.up.store.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

func (s *sink) free() error {
	if s.up != nil {
		s.stop()
	}
	var errs []error
	for _, f := range s.open {
		errs = append(errs, f.tail.Park())
	}
	s.open = nil
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
