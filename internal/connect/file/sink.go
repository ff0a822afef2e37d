package file

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// The names in the state directory.
const (
	journalName = "journal"
	spillName   = "epoch"
	asidePrefix = "unknown-"
)

// Limits of the output.
const (
	// maxBuffered is how many bytes of an epoch are held in memory; the rest waits in a file
	// of the state directory.
	maxBuffered = 8 << 20
	// maxAside is how much unknown text at the end of the file is put aside by itself.
	maxAside = 64 << 20
	// maxKept is how many of these are kept; the oldest go.
	maxKept = 16
	// maxUnnoted is how many bytes the file may have behind those that the journal surely has
	// after a loss of power. Less than maxAside, so that they can be put aside then.
	maxUnnoted = maxAside / 2
	// maxJournal is how long the journal gets before it is written anew.
	maxJournal = 1 << 20
)

// entry is a record of the journal: the file has Size bytes once the epoch is in it, of
// which Crc is the checksum of those behind From. It is written before the bytes are, so
// that after a crash all that this output wrote is known. A Base has no bytes of its own:
// everything up to Size is durable.
type entry struct {
	Instance string `json:"instance,omitempty"` // in a Base
	Base     bool   `json:"base,omitempty"`
	Closed   bool   `json:"closed,omitempty"` // a Base: nothing was under way
	Epoch    int64  `json:"epoch"`
	From     int64  `json:"from,omitempty"`
	Size     int64  `json:"size"`
	Crc      uint32 `json:"crc,omitempty"`
	// Path and ID, in a Base, are those of the file.
	Path string `json:"path,omitempty"`
	ID   uint64 `json:"id,omitempty"`
}

// sink appends rows to a file.
//
// What is visible is the file; the journal says what of it counts. Both are written without
// waiting for the disk, and Sync makes them durable. After a crash the file is compared
// with the journal, epoch by epoch from the last Base on, and cut behind the last epoch
// that is whole; later ones come again.
type sink struct {
	d    disk.FS // the directory of the file
	name string
	env  connect.SinkEnv

	id      uint64    // of the file
	lock    io.Closer // on the file
	tail    *disk.Tail
	journal *disk.Log
	enc     *codec.Encoder
	csv     bool

	last    int64 // epoch that is in the file
	synced  int64 // epoch that is durable
	noted   int64 // bytes that the journal knows of durably
	intent  *entry
	epoch   int64 // that the rows below are of
	buf     []byte
	limit   int        // of buf
	spilled *disk.Tail // what came before buf
	names   []string   // of the header, for rows that are records
	open    bool       // the file ends in the midst of a line
}

// openSink opens the file name in d.
func openSink(d disk.FS, name string, env connect.SinkEnv) (_ connect.Sink, err error) {
	if env.Format.Array {
		return nil, connect.Permanent(errors.New(`a file that grows has no end for a JSON array: leave "array" out, or use an output of type blob`))
	}
	if c := env.Format.Compression; c != "" && c != "none" {
		return nil, connect.Permanent(fmt.Errorf("a file that grows is not compressed (%s): use an output of type blob", c))
	}
	s := &sink{d: d, name: name, env: env, csv: env.Format.Type == "csv", limit: maxBuffered}
	kind := codec.JSONLines
	if s.csv {
		kind = codec.CSV
	}
	s.enc = codec.NewEncoder(kind, env.Columns.Names, env.Columns.Row)
	if env.Format.Delimiter != 0 {
		s.enc.Delimiter(env.Format.Delimiter)
	}
	if err := s.recover(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// recover finds out what the file has.
func (s *sink) recover() error {
	var log []entry
	var err error
	s.journal, err = disk.OpenLog(s.env.State, journalName, func(record []byte) error {
		var e entry
		if err := json.Unmarshal(record, &e); err != nil {
			return connect.Permanent(err)
		}
		if e.Base {
			log = log[:0]
		}
		log = append(log, e)
		return nil
	})
	if err != nil {
		return err
	}
	ours := len(log) > 0 && log[0].Base && log[0].Instance == s.env.Instance
	if ours {
		other, err := s.elsewhere(&log[0])
		if err != nil {
			return err
		}
		if other {
			s.env.Log.Info("the output goes to another file from now on", "file", s.path(), "before", log[0].Path)
			s.last, ours = log[0].Epoch, false
		}
	}
	f, err := s.file(ours)
	if err != nil {
		return err
	}
	err = s.alone()
	if err == nil {
		err = s.adopt(f, ours, log)
	}
	if err != nil {
		f.Close()
		s.tail = nil
		return err
	}
	return s.base(false, true)
}

// elsewhere reports whether the settings name another file than the journal is about.
func (s *sink) elsewhere(base *entry) (bool, error) {
	if base.Path == "" || base.Path == s.path() {
		return false, nil
	}
	info, err := s.d.Stat(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	// The directory may have been moved with all that is in it.
	return err == nil && info.ID != base.ID, err
}

// alone locks the file, so that nobody writes to it beside us: not another output of the job,
// whatever path it has for the file, and not another process.
func (s *sink) alone() (err error) {
	name := s.name
	if runtime.GOOS == "windows" { // there a lock keeps others from opening the file
		name = "." + name + ".lock"
	}
	if s.lock, err = s.d.Lock(name); errors.Is(err, disk.ErrLocked) {
		return connect.Permanent(fmt.Errorf("%s: another output or another process writes to it: every output needs a file of its own", s.path()))
	}
	return err
}

// adopt makes the file one that can be appended to.
func (s *sink) adopt(f disk.File, ours bool, log []entry) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.id = info.ID
	size, durable := info.Size, int64(0)
	if ours {
		if size, err = s.judge(f, info.Size, log); err != nil {
			return err
		}
		durable = log[0].Size
	} else {
		durable = size
	}
	if err := s.head(f, size); err != nil {
		return err
	}
	if s.tail, err = disk.NewTail(f, size); err != nil {
		return err
	}
	// What only the memory of the machine may have must not be taken for durable.
	if err := s.tail.Doubt(durable); err != nil {
		return err
	}
	return s.tail.Sync()
}

// file opens the file, and makes it if it never was ours.
func (s *sink) file(ours bool) (disk.File, error) {
	info, err := s.d.Stat(s.name)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh && ours:
		return nil, s.changed("it is gone; the job has written to it")
	case err != nil && !fresh:
		return nil, err
	case err == nil && info.Dir:
		return nil, connect.Permanent(fmt.Errorf("%s is a directory: give the name of a file, or use an output of type blob", s.path()))
	}
	f, err := s.d.Edit(s.name)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := s.d.SyncDir(path.Dir(s.name)); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

func (s *sink) path() string { return s.d.Path(s.name) }

// changed is the error about a file that somebody else changed.
func (s *sink) changed(what string) error {
	return connect.Permanent(fmt.Errorf("%s: %s. Only this output may write to the file: "+
		"put it back as it was, or begin anew with --discard-state, which appends after what is there", s.path(), what))
}

// judge is how much of the file counts: all epochs of the journal that are whole.
func (s *sink) judge(f disk.File, size int64, log []entry) (int64, error) {
	base := log[0]
	s.last = base.Epoch
	if size < base.Size {
		return 0, s.changed(fmt.Sprintf("it has %d bytes and had %d", size, base.Size))
	}
	good, known := base.Size, base.Size
	for _, e := range log[1:] {
		known = max(known, e.Size)
		if e.From != good || e.Size > size {
			continue
		}
		sum, err := checksum(f, e.From, e.Size)
		if err != nil {
			return 0, err
		}
		if sum != e.Crc {
			continue
		}
		good, s.last = e.Size, e.Epoch
	}
	if size > known {
		if base.Closed && len(log) == 1 {
			return 0, s.changed(fmt.Sprintf("it has %d bytes and had %d when the job was stopped", size, base.Size))
		}
		if err := s.putAside(f, good, size); err != nil {
			return 0, err
		}
	}
	return good, nil
}

// putAside keeps what is at the end of the file and in no journal: rows whose journal the
// loss of power took, which come again, or what somebody else wrote meanwhile.
func (s *sink) putAside(f disk.File, from, to int64) error {
	if to-from > maxAside {
		return s.changed(fmt.Sprintf("its last %d bytes are unknown, and %d are the most that are kept aside", to-from, maxAside))
	}
	if err := s.forgetAside(); err != nil {
		return err
	}
	name := fmt.Sprintf("%s%d-%d", asidePrefix, from, to)
	out, err := s.env.State.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(f, from, to-from))
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = s.env.State.SyncDir(".")
	}
	if err == nil {
		s.env.Log.Warn("the end of the output file is of no epoch: it is kept aside and cut off; rows of this job in it come again",
			"file", s.path(), "bytes", to-from, "kept", s.env.State.Path(name))
	}
	return err
}

// forgetAside makes room for another file that is put aside.
func (s *sink) forgetAside() error {
	list, err := s.env.State.ReadDir(".")
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(i disk.Info) bool { return !strings.HasPrefix(i.Name, asidePrefix) })
	slices.SortFunc(list, func(a, b disk.Info) int { return a.Modified.Compare(b.Modified) })
	for _, i := range list[:max(0, len(list)-maxKept+1)] {
		s.env.Log.Warn("the oldest end of a file that was kept aside is removed", "file", s.env.State.Path(i.Name))
		if err := s.env.State.Remove(i.Name); err != nil {
			return err
		}
	}
	return nil
}

// checksum is that of a range of a file.
func checksum(r io.ReaderAt, from, to int64) (uint32, error) {
	h := crc32.New(disk.Castagnoli)
	_, err := io.Copy(h, io.NewSectionReader(r, from, to-from))
	return h.Sum32(), err
}

// head finds out how the file goes on: the header of a CSV file that has rows, and a last
// line without end, which somebody else wrote.
func (s *sink) head(f disk.File, size int64) error {
	if size == 0 {
		return nil
	}
	var end [1]byte
	if _, err := f.ReadAt(end[:], size-1); err != nil {
		return err
	}
	s.open = end[0] != '\n'
	if !s.csv {
		return nil
	}
	r := csv.NewReader(bufio.NewReader(io.NewSectionReader(f, 0, min(size, codec.MaxEventBytes))))
	r.Comma = ','
	if s.env.Format.Delimiter != 0 {
		r.Comma = rune(s.env.Format.Delimiter)
	}
	r.LazyQuotes = true
	names, err := r.Read()
	if err != nil {
		return connect.Permanent(fmt.Errorf("%s has no header row that can be read: %w", s.path(), err))
	}
	if !s.env.Columns.Row && !slices.Equal(names, s.env.Columns.Names) {
		return connect.Permanent(fmt.Errorf("%s has the columns %q, and the output %q: give it another file", s.path(), names, s.env.Columns.Names))
	}
	s.names = names
	return nil
}

// base writes a Base to the journal. With fresh set it is the only record from now on.
func (s *sink) base(closed, fresh bool) error {
	b, err := json.Marshal(entry{Instance: s.env.Instance, Base: true, Closed: closed, Epoch: s.last, Size: s.tail.Size(), Path: s.path(), ID: s.id})
	if err != nil {
		return err
	}
	if fresh || s.journal.Size() > maxJournal {
		err = s.journal.Replace(b)
	} else {
		err = s.journal.Append(b)
	}
	if err == nil {
		err = s.journal.Sync()
	}
	if err == nil {
		s.noted = s.tail.Size()
	}
	return err
}

// Committed implements connect.Sink.
func (s *sink) Committed(context.Context) (int64, error) { return s.last, nil }

// Write implements connect.Sink.
func (s *sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch <= s.last || b.N == 0 {
		return nil
	}
	if epoch != s.epoch {
		if err := s.clear(); err != nil {
			return err
		}
		s.epoch = epoch
	}
	if s.tail.Size() > 0 || len(s.buf) > 0 || s.spilled != nil && s.spilled.Size() > 0 {
		s.enc.Resume(s.names)
	} else {
		s.enc.Restart()
	}
	was := len(s.buf)
	if s.open && was == 0 && s.spilled == nil {
		s.buf = append(s.buf, '\n')
	}
	s.buf = s.enc.Encode(s.buf, b)
	if len(s.buf) > s.limit {
		if err := s.spill(); err != nil {
			s.buf = s.buf[:was]
			return fmt.Errorf("%s: %w", s.env.State.Path(spillName), err)
		}
	}
	s.names = s.enc.Names()
	return nil
}

// clear drops rows that were not committed.
func (s *sink) clear() error {
	s.buf = s.buf[:0]
	s.intent = nil
	if s.spilled == nil {
		return nil
	}
	err := errors.Join(s.spilled.Close(), s.env.State.Remove(spillName))
	s.spilled = nil
	return err
}

// spill moves the buffer to a file.
func (s *sink) spill() error {
	if s.spilled == nil {
		f, err := s.env.State.Create(spillName)
		if err != nil {
			return err
		}
		if s.spilled, err = disk.NewTail(f, 0); err != nil {
			f.Close()
			return err
		}
	}
	if err := s.spilled.Append(s.buf); err != nil {
		return err
	}
	s.buf = s.buf[:0]
	return nil
}

// Prepare implements connect.Sink: every row has been encoded, and no text is refused.
func (s *sink) Prepare(context.Context, int64, vec.Time) error { return nil }

// Commit implements connect.Sink.
func (s *sink) Commit(_ context.Context, epoch int64) error {
	if epoch <= s.last || epoch != s.epoch || len(s.buf) == 0 && s.spilled == nil {
		return nil
	}
	if err := s.same(); err != nil {
		return err
	}
	if err := s.announce(epoch); err != nil {
		return err
	}
	mark := s.tail.Mark()
	if err := s.append(); err != nil {
		s.tail.Cut(mark)
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	s.last, s.open = epoch, false
	return s.clear()
}

// same makes sure that the file is the one that was opened, and as we left it.
func (s *sink) same() error {
	info, err := s.d.Stat(s.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.changed("it was moved or removed while the job wrote to it")
	case err != nil:
		return err
	case info.ID != s.id:
		return s.changed("it is another file than the one that the job wrote to")
	}
	if err := s.tail.Check(); errors.Is(err, disk.ErrChanged) {
		return s.changed(err.Error())
	} else if err != nil {
		return err
	}
	return nil
}

// announce writes to the journal what is going to be appended.
func (s *sink) announce(epoch int64) error {
	if s.intent != nil {
		return s.note(s.intent.Size)
	}
	e := entry{Epoch: epoch, From: s.tail.Size(), Size: s.tail.Size() + int64(len(s.buf))}
	if s.spilled != nil {
		sum, err := checksum(s.spilled.File(), 0, s.spilled.Size())
		if err != nil {
			return err
		}
		e.Crc = sum
		e.Size += s.spilled.Size()
	}
	e.Crc = crc32.Update(e.Crc, disk.Castagnoli, s.buf)
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := s.journal.Append(b); err != nil {
		return fmt.Errorf("%s: %w", s.env.State.Path(journalName), err)
	}
	s.intent = &e
	return s.note(e.Size)
}

// note makes the journal durable before the file gets far beyond what that is known to have.
func (s *sink) note(size int64) error {
	if size-s.noted <= maxUnnoted {
		return nil
	}
	if err := s.journal.Sync(); err != nil {
		return fmt.Errorf("%s: %w", s.env.State.Path(journalName), err)
	}
	s.noted = size
	return nil
}

// append adds the rows of the epoch to the file.
func (s *sink) append() error {
	if s.spilled != nil {
		b := make([]byte, min(1<<20, s.spilled.Size()))
		for at := int64(0); at < s.spilled.Size(); {
			n, err := s.spilled.File().ReadAt(b, at)
			if err != nil && err != io.EOF {
				return err
			}
			if n == 0 {
				return io.ErrUnexpectedEOF
			}
			if err := s.tail.Append(b[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
	}
	if len(s.buf) == 0 {
		return nil
	}
	return s.tail.Append(s.buf)
}

// Sync implements connect.Sink.
func (s *sink) Sync(context.Context) error {
	if s.synced == s.last && !s.tail.Dirty() {
		return nil
	}
	if err := s.tail.Sync(); errors.Is(err, disk.ErrChanged) {
		return s.changed(err.Error())
	} else if err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	if err := s.base(false, false); err != nil {
		return fmt.Errorf("%s: %w", s.env.State.Path(journalName), err)
	}
	s.synced = s.last
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error {
	var errs []error
	if s.tail != nil && s.journal != nil {
		if s.same() == nil && s.tail.Sync() == nil {
			errs = append(errs, s.base(true, false))
		}
	}
	if s.tail != nil {
		errs = append(errs, s.tail.Close())
	}
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	if s.spilled != nil {
		errs = append(errs, s.spilled.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
