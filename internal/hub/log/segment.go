package log

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"weir/internal/disk"
)

// The header of a segment, little-endian: magic and version; offset, sequence number and
// time from which it goes on; when it was made; offset and sequence number at which the one
// before it ends; 1 if not every append to it is synced; CRC-32C of all that.
const (
	segmentHeader = 64
	magic         = "weirlog\x01"
	suffix        = ".log"
	indexSuffix   = ".idx"
	newName       = "new.tmp" // a segment that is being made
)

// segment is a file of a partition, or the part of it that counts.
type segment struct {
	name    string
	base    int64 // offset of its first batch in the partition
	seq     int64 // of its first record
	before  int64 // time of the last record before it, microseconds; records in it are not older
	created int64 // microseconds
	// prevEnd and prevSeq are where the segment before ends; they differ from base and seq
	// where numbers were left out.
	prevEnd, prevSeq int64
	weak             bool  // appends to it may have been acknowledged before an fsync
	end              int64 // offset behind its last batch that counts
	nextSeq          int64 // behind its last record
	last             int64 // time of its last record, or before
	index            []mark
	indexed          bool // index is complete up to end
}

func segmentName(base int64) string { return fmt.Sprintf("%020d", base) + suffix }

// at is where in the file an offset of the partition stands.
func (s *segment) at(off int64) int64 { return segmentHeader + off - s.base }

func (s *segment) header() []byte {
	b := make([]byte, segmentHeader)
	copy(b, magic)
	le.PutUint64(b[8:], uint64(s.base))
	le.PutUint64(b[16:], uint64(s.seq))
	le.PutUint64(b[24:], uint64(s.before))
	le.PutUint64(b[32:], uint64(s.created))
	le.PutUint64(b[40:], uint64(s.prevEnd))
	le.PutUint64(b[48:], uint64(s.prevSeq))
	if s.weak {
		le.PutUint32(b[56:], 1)
	}
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// follow is a segment without records behind s.
func (s *segment) follow(created int64, weak bool) *segment {
	return &segment{name: segmentName(s.end), base: s.end, seq: s.nextSeq, before: s.last, created: created,
		prevEnd: s.end, prevSeq: s.nextSeq, weak: weak, end: s.end, nextSeq: s.nextSeq, last: s.last, indexed: true}
}

// lostNumbers is how many sequence numbers and offsets are left out when a log goes on that
// may have lost acknowledged records: more than could be lost, so that a reader that had
// read them finds others under new numbers only.
const lostNumbers = 1 << 32

// skip leaves numbers out before s.
func (s *segment) skip() {
	s.base, s.seq = s.base+lostNumbers, s.seq+lostNumbers
	s.name, s.end, s.nextSeq = segmentName(s.base), s.base, s.seq
}

// blank is s before anything was read of it.
func (s *segment) blank() *segment {
	b := *s
	b.end, b.nextSeq, b.last, b.index, b.indexed = s.base, s.seq, s.before, nil, true
	return &b
}

// createSegment makes the file of s with its first batches in it, durable, and gives it open
// for writing at its end.
func createSegment(fs disk.FS, s *segment, batches []byte) (disk.File, error) {
	fail := func(err error) (disk.File, error) {
		return nil, fmt.Errorf("make the segment %s: %w", fs.Path(s.name), err)
	}
	f, err := fs.Create(newName)
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(s.header())
	if err == nil && len(batches) > 0 {
		_, err = f.Write(batches)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		// What is left of it is in the way when the disk is full.
		return fail(errors.Join(err, ignoreMissing(fs.Remove(newName))))
	}
	if err := fs.Rename(newName, s.name); err != nil {
		return fail(err)
	}
	if err := fs.SyncDir("."); err != nil {
		return fail(err)
	}
	f, err = openEnd(fs, s.name)
	if err != nil {
		return fail(err)
	}
	return f, nil
}

// openEnd opens a file for writing at its end.
func openEnd(fs disk.FS, name string) (disk.File, error) {
	f, err := fs.Edit(name)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// listSegments reads the headers of all segments, in their order, and throws away what an
// unfinished one left. Extents are set for all but the last.
func listSegments(fs disk.FS) ([]*segment, error) {
	// Names that a process before us has made or removed must stay so: what follows builds
	// on them.
	if err := fs.SyncDir("."); err != nil {
		return nil, fmt.Errorf("sync %s: %w", fs.Path("."), err)
	}
	infos, err := fs.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", fs.Path("."), err)
	}
	var segs []*segment
	var sizes []int64
	for _, d := range infos {
		if d.Name == newName {
			if err := fs.Remove(newName); err != nil {
				return nil, fmt.Errorf("remove an unfinished segment: %w", err)
			}
		}
		if !strings.HasSuffix(d.Name, suffix) || d.Dir {
			continue
		}
		s, err := readSegmentHeader(fs, d.Name)
		if err != nil {
			return nil, err
		}
		segs, sizes = append(segs, s), append(sizes, d.Size)
	}
	// Names have the offset in digits of one length, and ReadDir goes by names.
	for i, s := range segs[:max(0, len(segs)-1)] {
		next := segs[i+1]
		if s.end = next.prevEnd; s.end < s.base || next.prevSeq < s.seq || next.base < next.prevEnd || next.seq < next.prevSeq || sizes[i] < s.at(s.end) {
			return nil, &DamageError{fs.Path(s.name), sizes[i],
				fmt.Sprintf("the next segment %s goes on from offset %d, and this one ends at %d; a file is missing or was cut", next.name, next.prevEnd, s.base+sizes[i]-segmentHeader)}
		}
		s.nextSeq, s.last = next.prevSeq, next.before
	}
	return segs, nil
}

func readSegmentHeader(fs disk.FS, name string) (*segment, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", fs.Path(name), err)
	}
	b := make([]byte, segmentHeader)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", fs.Path(name), err)
	}
	bad := func(reason string) (*segment, error) { return nil, &DamageError{fs.Path(name), 0, reason} }
	switch {
	case n >= len(magic) && string(b[:len(magic)-1]) == magic[:len(magic)-1] && b[len(magic)-1] > magic[len(magic)-1]:
		return bad(fmt.Sprintf("it has version %d of the format and was written by a newer program", b[len(magic)-1]))
	case n < segmentHeader || string(b[:len(magic)]) != magic || crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]):
		return bad("the header of the segment cannot be read")
	}
	s := &segment{
		name:    name,
		base:    int64(le.Uint64(b[8:])),
		seq:     int64(le.Uint64(b[16:])),
		before:  int64(le.Uint64(b[24:])),
		created: int64(le.Uint64(b[32:])),
		prevEnd: int64(le.Uint64(b[40:])),
		prevSeq: int64(le.Uint64(b[48:])),
		weak:    le.Uint32(b[56:]) != 0,
	}
	if segmentName(s.base) != name || s.base < 0 || s.seq < 0 {
		return bad("its header belongs to another name")
	}
	s.end, s.nextSeq, s.last = s.base, s.seq, s.before
	return s, nil
}

// recoverTail finds where the last segment ends, cuts a torn tail off, makes what is left
// durable, and opens the file for writing at its end. torn is how many bytes were cut.
func recoverTail(fs disk.FS, s *segment) (f disk.File, torn int64, err error) {
	fail := func(err error) (disk.File, int64, error) {
		return nil, 0, fmt.Errorf("recover %s: %w", fs.Path(s.name), err)
	}
	if f, err = openEnd(fs, s.name); err != nil {
		return fail(err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = s.scan(fs, f, size)
	}
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	torn = size - s.at(s.end)
	if torn > 0 {
		err = f.Truncate(s.at(s.end))
		if err == nil {
			_, err = f.Seek(0, io.SeekEnd)
		}
	}
	// Readers are shown what lies here: it must not go any more, whoever wrote it last.
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	return f, torn, nil
}

// scanWindow is how much of a segment is read at once.
const scanWindow = 256 << 10

// scan reads the batches of a file of the given size, sets the extent of s and its index. It
// stops at a torn tail; damage is an error.
func (s *segment) scan(fs disk.FS, f disk.File, size int64) error {
	w := window{f: f, size: size}
	defer w.free()
	s.index, s.indexed = nil, true
	for {
		pos := s.at(s.end)
		if pos >= size {
			return nil
		}
		b, err := w.batch(pos)
		if err != nil {
			return err
		}
		h, problem := checkBatch(b, s.nextSeq)
		if problem == "" {
			s.add(h)
			continue
		}
		later, err := s.syncedBehind(&w, pos)
		if err != nil {
			return err
		}
		if later {
			return &DamageError{fs.Path(s.name), pos, problem}
		}
		return nil
	}
}

// add makes a batch the last one of s.
func (s *segment) add(h header) {
	if s.indexed {
		s.index = addMark(s.index, mark{s.end, h.seq, h.micros})
	}
	s.end += int64(h.size)
	s.nextSeq = h.seq + int64(h.count)
	s.last = max(s.last, h.micros)
}

// syncedBehind looks for a good batch behind a bad place that was written when the bad
// place was known to be durable. Batches start anywhere, so every byte is tried; the
// sequence number tells nearly all of them apart from a batch.
func (s *segment) syncedBehind(w *window, bad int64) (bool, error) {
	for pos := bad + 1; pos+batchHeader < w.size; pos++ {
		b, err := w.bytes(pos, batchHeader)
		if err != nil {
			return false, err
		}
		h, ok := readHeader(b, w.size-pos)
		if !ok || h.seq <= s.nextSeq || h.seq-s.nextSeq > w.size || pos-h.back <= bad {
			continue
		}
		if b, err = w.bytes(pos, h.size); err != nil {
			return false, err
		}
		if _, problem := checkBatch(b, -1); problem == "" {
			return true, nil
		}
	}
	return false, nil
}

// window is a part of a file in memory.
type window struct {
	f    disk.File
	size int64 // of the file, as far as it counts
	pos  int64
	buf  []byte
}

// free gives the memory of w back. What bytes gave is no longer valid.
func (w *window) free() {
	giveBuffer(w.buf)
	w.buf = nil
}

// bytes gives n bytes at pos, fewer where the file ends. They are valid until the next call.
func (w *window) bytes(pos int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-pos))
	if pos < w.pos || pos+int64(n) > w.pos+int64(len(w.buf)) {
		want := int(min(int64(max(n, scanWindow)), w.size-pos))
		if w.buf == nil {
			w.buf = takeBuffer(want)
		}
		w.buf = slices.Grow(w.buf[:0], want)[:want]
		got, err := w.f.ReadAt(w.buf, pos)
		if got < want {
			w.buf = w.buf[:0]
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("read %d bytes at %d: %w", want, pos, err)
		}
		w.pos = pos
	}
	return w.buf[pos-w.pos:][:n], nil
}

// batch gives the bytes of the batch at pos: a header only, or less, if its length is wrong.
func (w *window) batch(pos int64) ([]byte, error) {
	b, err := w.bytes(pos, batchHeader)
	if err != nil {
		return nil, err
	}
	h, ok := readHeader(b, w.size-pos)
	if !ok {
		return b, nil
	}
	return w.bytes(pos, h.size)
}
