package job

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"sync"
	"unicode/utf8"

	"weir/internal/disk"
)

// Dead letters are kept as lines of JSON, in segments that are named by the id of their first
// letter. The letters of an epoch end with a line that commits them: it has the epoch and a
// checksum of the lines, and the counts of all letters so far. What stands behind the last
// such line does not count, and an epoch that is made again writes none of its letters twice.

const (
	deadDir = "dead"
	deadExt = ".jsonl"
	// DefaultDeadBytes is how much text of dead letters is kept. Beyond it the oldest
	// segments go, and DeadCounts says how many letters that were.
	DefaultDeadBytes = 256 << 20
	deadSegments     = 32 // segments of the whole
	// maxDeadEpoch bounds the text of the dead letters of an epoch; those beyond it are
	// counted and not kept.
	maxDeadEpoch = 64 << 20
	// maxPayload is how much of an event or row a dead letter holds.
	maxPayload = 64 << 10
)

// deadCommit is the line behind the letters of an epoch.
type deadCommit struct {
	Commit   int64            `json:"commit"` // the epoch; 0 in a line that begins a segment
	Instance string           `json:"instance"`
	Last     int64            `json:"last"` // id of the last letter
	Sum      uint32           `json:"sum"`  // CRC-32C of the lines since the commit before, and of this one with the sum 0
	Counts   map[string]int64 `json:"counts"`
	Unkept   int64            `json:"unkept,omitempty"`
	Redriven []int64          `json:"redriven,omitempty"` // ids of letters that the epoch has tried again
}

// sum is the checksum of the line behind lines with the checksum lines.
func (c deadCommit) sum(lines uint32) uint32 {
	c.Sum = 0
	text, err := json.Marshal(c)
	if err != nil {
		panic("job: the end of dead letters cannot be written: " + err.Error())
	}
	return crc32.Update(lines, castagnoli, text)
}

var deadCommitStart = []byte(`{"commit":`)

// deadLog keeps dead letters. One goroutine commits; any may read.
type deadLog struct {
	fs       disk.FS
	instance string
	limit    int64
	log      *slog.Logger

	file  disk.File // the last segment, if it is open
	fresh bool      // the last segment is not durable yet

	mu       sync.Mutex
	segments []deadSegment
	end      deadCommit     // the last commit
	redriven map[int64]bool // letters that were tried again; nil until somebody asks
}

type deadSegment struct{ first, size int64 }

func (s deadSegment) name() string { return fmt.Sprintf("%s/%020d%s", deadDir, s.first, deadExt) }

// load finds what is committed.
func (l *deadLog) load() error {
	if l.limit <= 0 {
		l.limit = DefaultDeadBytes
	}
	l.end = deadCommit{Instance: l.instance, Counts: map[string]int64{}}
	firsts, err := listNumbered(l.fs, deadDir, deadExt)
	if err != nil {
		return err
	}
	for _, first := range firsts {
		info, err := l.fs.Stat(deadSegment{first: first}.name())
		if err != nil {
			return err
		}
		l.segments = append(l.segments, deadSegment{first, info.Size})
	}
	for len(l.segments) > 0 {
		last := &l.segments[len(l.segments)-1]
		found, err := l.scan(last)
		if err != nil {
			return err
		}
		if found {
			break
		}
		// It was begun and never committed.
		if err := l.fs.Remove(last.name()); err != nil {
			return err
		}
		l.segments = l.segments[:len(l.segments)-1]
	}
	return l.settle()
}

// settle makes durable what was read.
func (l *deadLog) settle() error {
	if n := len(l.segments); n > 0 {
		if err := disk.Renew(l.fs, l.segments[n-1].name(), l.segments[n-1].size); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(deadDir)
}

// scan reads a segment up to its last commit. It reports false if there is none.
func (l *deadLog) scan(seg *deadSegment) (found bool, err error) {
	data, err := readAll(l.fs, seg.name())
	if err != nil {
		return false, err
	}
	seg.size = 0
	sum, from, damaged := uint32(0), 0, -1
	for pos := 0; pos < len(data); {
		n := bytes.IndexByte(data[pos:], '\n') + 1
		if n == 0 {
			break
		}
		line := data[pos : pos+n]
		pos += n
		if !bytes.HasPrefix(line, deadCommitStart) {
			sum = crc32.Update(sum, castagnoli, line)
			continue
		}
		var c deadCommit
		if json.Unmarshal(line, &c) != nil || c.sum(sum) != c.Sum && damaged < 0 {
			damaged = from
			continue
		}
		if damaged >= 0 {
			l.log.Error("dead letters are damaged; the others are kept", "file", l.fs.Path(seg.name()), "offset", damaged)
			damaged = -1
		}
		l.end, seg.size, sum, from, found = c, int64(pos), 0, pos, true
	}
	if l.end.Instance != l.instance {
		l.end.Instance, l.end.Commit = l.instance, 0
	}
	if l.end.Counts == nil {
		l.end.Counts = map[string]int64{}
	}
	return found, nil
}

// commit keeps the letters of an epoch, and the ids of those that it has tried again, durably,
// unless it has been committed before. It gives the letters their ids. After an error it can
// be called again.
func (l *deadLog) commit(epoch int64, letters []DeadLetter, redriven []int64) error {
	if len(letters)+len(redriven) == 0 || epoch <= l.end.Commit {
		return nil
	}
	return l.add(epoch, letters, redriven)
}

// add keeps letters of an epoch behind those that it has.
func (l *deadLog) add(epoch int64, letters []DeadLetter, redriven []int64) (err error) {
	end := l.end
	end.Commit, end.Counts, end.Redriven = epoch, maps.Clone(end.Counts), redriven
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	for i := range letters {
		d := &letters[i]
		end.Counts[d.Name]++
		if text.Len() > maxDeadEpoch {
			end.Unkept++
			continue
		}
		end.Last++
		d.ID = end.Last
		if err := enc.Encode(d); err != nil {
			return fmt.Errorf("dead letter: %w", err)
		}
	}
	end.Sum = end.sum(crc32.Checksum(text.Bytes(), castagnoli))
	if err := enc.Encode(end); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	seg, err := l.place()
	if err != nil {
		return err
	}
	if _, err := l.file.Write(text.Bytes()); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	if l.fresh {
		if err := l.fs.SyncDir(deadDir); err != nil {
			return err
		}
		l.fresh = false
	}
	l.mu.Lock()
	seg.size += int64(text.Len())
	l.end = end
	if l.redriven != nil {
		l.markRedriven(end)
	}
	l.mu.Unlock()
	return l.forget()
}

// place opens the segment that takes the next letters, behind what is committed in it.
func (l *deadLog) place() (*deadSegment, error) {
	n := len(l.segments)
	if n == 0 || l.segments[n-1].size >= l.limit/deadSegments {
		l.close()
		l.mu.Lock()
		l.segments = append(l.segments, deadSegment{first: l.end.Last + 1})
		l.mu.Unlock()
		l.fresh = true
		n++
	}
	seg := &l.segments[n-1]
	if l.file != nil {
		return seg, nil
	}
	return seg, l.open(seg)
}

// open opens a segment behind what is committed in it.
func (l *deadLog) open(seg *deadSegment) error {
	f, err := l.fs.Edit(seg.name())
	if err != nil {
		return err
	}
	l.file = f
	if err := f.Truncate(seg.size); err != nil {
		return err
	}
	_, err = f.Seek(seg.size, io.SeekStart)
	return err
}

// forget removes the oldest segments beyond the limit.
func (l *deadLog) forget() error {
	size := int64(0)
	for _, s := range l.segments {
		size += s.size
	}
	for size > l.limit && len(l.segments) > 1 {
		if err := l.fs.Remove(l.segments[0].name()); err != nil && !isNotExist(err) {
			l.log.Warn("old dead letters cannot be removed", "error", err)
			return nil
		}
		size -= l.segments[0].size
		l.mu.Lock()
		l.segments = l.segments[1:]
		l.mu.Unlock()
	}
	return nil
}

func (l *deadLog) close() {
	if l.file != nil {
		l.file.Close() // what counts has been synced
		l.file = nil
	}
}

// counts are all letters so far by name, and how many of them are not kept any more.
func (l *deadLog) counts() (byName map[string]int64, forgotten int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	forgotten = l.end.Unkept
	if len(l.segments) > 0 {
		forgotten += l.segments[0].first - 1
	}
	return maps.Clone(l.end.Counts), forgotten
}

// markRedriven remembers which letters an epoch has tried again; l.mu is held.
func (l *deadLog) markRedriven(c deadCommit) {
	for _, id := range c.Redriven {
		l.redriven[id] = true
	}
}

// findRedriven reads which letters were tried again, unless that is known; l.mu is held. The
// mark of a letter never stands in a segment before that of the letter, so what is forgotten
// leaves no letter without its mark.
func (l *deadLog) findRedriven() error {
	if l.redriven != nil {
		return nil
	}
	l.redriven = map[int64]bool{}
	for _, seg := range l.segments {
		err := l.lines(seg, func(line []byte) bool {
			var c deadCommit
			if bytes.HasPrefix(line, deadCommitStart) && json.Unmarshal(line, &c) == nil {
				l.markRedriven(c)
			}
			return true
		})
		if err != nil && !isNotExist(err) {
			l.redriven = nil
			return err
		}
	}
	return nil
}

// read gives up to n letters with larger ids than after.
func (l *deadLog) read(after int64, n int) ([]DeadLetter, error) {
	l.mu.Lock()
	segments := append([]deadSegment(nil), l.segments...)
	err := l.findRedriven()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var out []DeadLetter
	for i, seg := range segments {
		if i+1 < len(segments) && segments[i+1].first <= after+1 {
			continue
		}
		var err error
		if out, err = l.readSegment(out, seg, after, n); err != nil && !isNotExist(err) { // removed meanwhile
			return out, err
		}
		if len(out) >= n {
			break
		}
	}
	return out, nil
}

func (l *deadLog) readSegment(out []DeadLetter, seg deadSegment, after int64, n int) ([]DeadLetter, error) {
	err := l.lines(seg, func(line []byte) bool {
		var d DeadLetter
		if !bytes.HasPrefix(line, deadCommitStart) && json.Unmarshal(line, &d) == nil && d.ID > after {
			out = append(out, d)
		}
		return len(out) < n
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range out {
		out[i].Redriven = l.redriven[out[i].ID]
	}
	return out, err
}

// lines reads the lines of a segment that are committed, until f gives false.
func (l *deadLog) lines(seg deadSegment, f func(line []byte) bool) error {
	file, err := l.fs.Open(seg.name())
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(io.LimitReader(file, seg.size), 256<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil || !f(line) {
			return err
		}
	}
}

// payloadOf is the text of an event or row as a dead letter has it.
func payloadOf(text []byte) (payload string, cut bool) {
	if len(text) <= maxPayload {
		return string(text), false
	}
	n := maxPayload
	for n > maxPayload-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return string(text[:n]), true
}
