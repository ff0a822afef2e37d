package disk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
)

// MaxRecord is the largest record of a Log, in bytes.
const MaxRecord = 64 << 20

// Log is a file of records, each with its length and a checksum. What a crash leaves of it
// is a run of whole records from the start: all that were synced, and maybe more. It is for
// one goroutine.
type Log struct {
	d       FS
	name    string
	tail    *Tail
	renamed bool // the directory is not durable yet
}

// OpenLog opens a log, or makes it, and gives its records to each, which keeps none of the
// memory. What is behind the last good record is cut off. An error of each ends it.
func OpenLog(d FS, name string, each func(record []byte) error) (*Log, error) {
	_, err := d.Stat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := d.Edit(name)
	if err != nil {
		return nil, err
	}
	good, err := readRecords(f, each)
	if err == nil && good > 0 {
		// Records that only a killed process left are made as durable as the rest.
		if err = errors.Join(f.Close(), Renew(d, name, good)); err == nil {
			f, err = d.Edit(name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Path(name), err)
		}
	}
	l := &Log{d: d, name: name}
	if err == nil {
		l.tail, err = NewTail(f, good)
	}
	if err == nil && fresh {
		err = d.SyncDir(path.Dir(name))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return l, nil
}

// renewName is the file that Renew writes, in the directory of the file that it is for.
const renewName = "renewed.new"

// Renew makes the first bytes of a file durable, for one who finds it: whoever wrote it may
// not have synced it. Its end may even lie in the memory of the machine alone, after a Sync
// that failed, and the next one would not tell. So the file is replaced by a copy, without
// what is behind these bytes. On a full disk it is only synced.
func Renew(d FS, name string, size int64) error {
	from, err := d.Edit(name)
	if err != nil {
		return err
	}
	copied := path.Join(path.Dir(name), renewName)
	err = copyFile(d, copied, from, size)
	if err != nil {
		rest := d.Remove(copied)
		if errors.Is(err, ErrFull) && (rest == nil || errors.Is(rest, fs.ErrNotExist)) {
			return errors.Join(from.Sync(), from.Close())
		}
		return errors.Join(err, from.Close())
	}
	if err := errors.Join(from.Close(), d.Rename(copied, name)); err != nil {
		return err
	}
	return d.SyncDir(path.Dir(name))
}

// copyFile writes the first bytes of a file into another one, durably but for its name.
func copyFile(d FS, name string, from File, size int64) error {
	to, err := d.Create(name)
	if err != nil {
		return err
	}
	n, err := io.Copy(to, io.NewSectionReader(from, 0, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// readRecords gives the good records and the length of them all.
func readRecords(f File, each func([]byte) error) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, info.Size), 64<<10)
	var good int64
	var head [8]byte
	var record []byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return good, ended(err)
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n > MaxRecord || n > info.Size-good-8 {
			return good, nil
		}
		if int64(cap(record)) < n {
			record = make([]byte, n)
		}
		record = record[:n]
		if _, err := io.ReadFull(r, record); err != nil {
			return good, ended(err)
		}
		if recordSum(head[:4], record) != binary.LittleEndian.Uint32(head[4:]) {
			return good, nil
		}
		if err := each(record); err != nil {
			return good, err
		}
		good += 8 + n
	}
}

// ended is nil for the errors that mean that the text is over.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// recordSum is never that of zeros for a record of zeros: blocks that were never written
// are no records.
func recordSum(length, record []byte) uint32 {
	return ^crc32.Update(crc32.Update(0x57, Castagnoli, length), Castagnoli, record)
}

func frameRecord(dst, record []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(record)))
	dst = binary.LittleEndian.AppendUint32(dst, recordSum(dst[at:at+4], record))
	return append(dst, record...)
}

// Append adds records, all or, after an error, none. A crash may leave the first of them.
func (l *Log) Append(records ...[]byte) error {
	var b []byte
	for _, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("a record of %s has %d bytes, %d are allowed", l.d.Path(l.name), len(r), MaxRecord)
		}
		b = frameRecord(b, r)
	}
	return l.tail.Append(b)
}

// Sync makes all records durable.
func (l *Log) Sync() error {
	if err := l.tail.Sync(); err != nil {
		return err
	}
	if l.renamed {
		if err := l.d.SyncDir(path.Dir(l.name)); err != nil {
			return err
		}
		l.renamed = false
	}
	return nil
}

// Size is the length of the log in bytes.
func (l *Log) Size() int64 { return l.tail.Size() }

// Replace puts other records in the place of all, at once. They are durable after Sync;
// until then a crash may bring the old ones back. After an error the log is as before.
func (l *Log) Replace(records ...[]byte) error {
	next := l.name + ".new"
	f, err := l.d.Create(next)
	if err != nil {
		return err
	}
	t, err := NewTail(f, 0)
	if err == nil {
		fresh := &Log{d: l.d, name: l.name, tail: t}
		if err = fresh.Append(records...); err == nil {
			err = t.Sync()
		}
	}
	if err == nil {
		err = l.d.Rename(next, l.name)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.tail.Close()
	l.tail, l.renamed = t, true
	return nil
}

// Close closes the file.
func (l *Log) Close() error { return l.tail.Close() }
