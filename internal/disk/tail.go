package disk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Castagnoli is the table of the checksums of what is kept on disk.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrChanged says that a file is not as its only writer left it.
var ErrChanged = errors.New("somebody else changed the file")

// Tail is a file that grows at its end, by one writer. It is for one goroutine.
type Tail struct {
	f      File
	size   int64  // of what was appended
	synced int64  // of what is durable
	sum    uint32 // of what lies between the two
	ragged bool   // the file may be longer than size, by our own doing
	unsure bool   // a Sync failed: what lies between synced and size may be lost
}

// NewTail goes on behind the first size bytes of a file, which count as durable. What the
// file has behind them is cut off. It is ErrChanged if the file is shorter. The file is
// the Tail's from now on.
func NewTail(f File, size int64) (*Tail, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size < size {
		return nil, fmt.Errorf("it has %d bytes and had %d: %w", info.Size, size, ErrChanged)
	}
	t := &Tail{f: f, size: size, synced: size, ragged: info.Size > size}
	return t, t.level()
}

// Doubt says that only the first bytes, that many, are known to be durable: the next Sync
// writes the rest again.
func (t *Tail) Doubt(durable int64) error {
	h := crc32.New(Castagnoli)
	if _, err := io.Copy(h, io.NewSectionReader(t.f, durable, t.size-durable)); err != nil {
		return err
	}
	t.synced, t.sum, t.unsure = durable, h.Sum32(), true
	return nil
}

// Size is the number of bytes, all that were appended included.
func (t *Tail) Size() int64 { return t.size }

// Dirty reports whether Sync has work.
func (t *Tail) Dirty() bool { return t.size > t.synced || t.unsure }

// File is the file, for reading it.
func (t *Tail) File() File { return t.f }

// level cuts what an Append that failed may have left, and goes to the end.
func (t *Tail) level() error {
	if t.ragged {
		if err := t.f.Truncate(t.size); err != nil {
			return err
		}
		t.ragged = false
	}
	_, err := t.f.Seek(t.size, io.SeekStart)
	return err
}

// Check is ErrChanged if the file has not the size that we gave it.
func (t *Tail) Check() error {
	if t.ragged {
		return nil
	}
	info, err := t.f.Stat()
	if err == nil && info.Size != t.size {
		err = fmt.Errorf("it has %d bytes and should have %d: %w", info.Size, t.size, ErrChanged)
	}
	return err
}

// Append adds bytes. After an error none was added.
func (t *Tail) Append(p []byte) error {
	if t.ragged {
		if err := t.level(); err != nil {
			return err
		}
	}
	if _, err := t.f.Write(p); err != nil {
		t.ragged = true
		t.level() // else before the next Append
		return err
	}
	t.size += int64(len(p))
	t.sum = crc32.Update(t.sum, Castagnoli, p)
	return nil
}

// Cut takes away what was appended since a mark.
func (t *Tail) Cut(m Mark) error {
	if m.size <= t.synced {
		t.synced, m.sum = m.size, 0
	}
	t.size, t.sum, t.ragged = m.size, m.sum, true
	return t.level()
}

// Park closes the file and keeps all that is known of it.
func (t *Tail) Park() error {
	f := t.f
	t.f = nil
	return f.Close()
}

// Unpark goes on with the file, opened again; it is only to be used if Parked.
func (t *Tail) Unpark(f File) error {
	t.f = f
	return t.level()
}

// Parked reports whether the file is closed.
func (t *Tail) Parked() bool { return t.f == nil }

// Mark is a place in a Tail that Cut goes back to.
type Mark struct {
	size int64
	sum  uint32
}

// Mark is the end as it is now.
func (t *Tail) Mark() Mark { return Mark{t.size, t.sum} }

// Size is the number of bytes up to the place.
func (m Mark) Size() int64 { return m.size }

// Sync makes all that was appended durable. A file system that failed to do so may have
// dropped the data and say nothing the next time; so after an error Sync reads what is not
// durable again, compares it with its checksum and writes it once more. It is ErrChanged if
// that data is gone.
func (t *Tail) Sync() error {
	if !t.Dirty() && !t.ragged {
		return nil
	}
	if err := t.level(); err != nil {
		return err
	}
	if t.unsure {
		if err := t.rewrite(); err != nil {
			return err
		}
	}
	if err := t.f.Sync(); err != nil {
		t.unsure = true
		return err
	}
	t.unsure = false
	t.synced, t.sum = t.size, 0
	return nil
}

func (t *Tail) rewrite() error {
	b := make([]byte, 256<<10)
	sum := uint32(0)
	for at := t.synced; at < t.size; {
		p := b[:min(int64(len(b)), t.size-at)]
		if _, err := t.f.ReadAt(p, at); err != nil && err != io.EOF {
			return err
		}
		sum = crc32.Update(sum, Castagnoli, p)
		if _, err := t.f.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := t.f.Write(p); err != nil {
			return err
		}
		at += int64(len(p))
	}
	if sum != t.sum {
		return fmt.Errorf("data that the disk failed to keep is lost: %w", ErrChanged)
	}
	return t.level()
}

// Close closes the file as it is.
func (t *Tail) Close() error {
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}
