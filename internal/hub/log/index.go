package log

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"weir/internal/disk"
)

// mark is the place of a batch: the index of a segment has one for every indexEvery bytes.
type mark struct{ off, seq, micros int64 }

const (
	indexEvery = 64 << 10
	markBytes  = 24
)

func addMark(index []mark, m mark) []mark {
	if n := len(index); n > 0 && m.off-index[n-1].off < indexEvery {
		return index
	}
	return append(index, m)
}

// lastMark is the last mark for which before holds, which is true up to some mark and false
// from there on. It is the start of the segment if it holds for none.
func (s *segment) lastMark(before func(mark) bool) mark {
	i := sort.Search(len(s.index), func(i int) bool { return !before(s.index[i]) })
	if i == 0 {
		return mark{s.base, s.seq, s.before}
	}
	return s.index[i-1]
}

// saveIndex writes the index of a finished segment beside it. It is not synced: a bad one is
// made again from the segment.
func (s *segment) saveIndex(fs disk.FS) error {
	b := make([]byte, 0, 16+markBytes*len(s.index))
	b = le.AppendUint64(b, uint64(s.base))
	b = le.AppendUint64(b, uint64(s.end))
	for _, m := range s.index {
		b = le.AppendUint64(b, uint64(m.off))
		b = le.AppendUint64(b, uint64(m.seq))
		b = le.AppendUint64(b, uint64(m.micros))
	}
	b = le.AppendUint32(b, crc32.Checksum(b, castagnoli))
	f, err := fs.Create(s.name + indexSuffix)
	if err != nil {
		return fmt.Errorf("write an index: %w", err)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// loadIndex sets the index of a finished segment, from its file or else from the segment.
func (s *segment) loadIndex(fs disk.FS) error {
	if s.indexed {
		return nil
	}
	if index, ok := readIndex(fs, s); ok {
		s.index, s.indexed = index, true
		return nil
	}
	f, err := fs.Open(s.name)
	if err != nil {
		return fmt.Errorf("open %s: %w", fs.Path(s.name), err)
	}
	fresh := s.blank()
	err = fresh.scan(fs, f, s.at(s.end))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if fresh.end != s.end {
		return &DamageError{fs.Path(s.name), s.at(fresh.end), "a batch cannot be read"}
	}
	s.index, s.indexed = fresh.index, true
	return nil
}

func readIndex(fs disk.FS, s *segment) ([]mark, bool) {
	f, err := fs.Open(s.name + indexSuffix)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 16+markBytes*((s.end-s.base)/indexEvery+2)+4))
	if err != nil || len(b) < 20 || (len(b)-20)%markBytes != 0 {
		return nil, false
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != le.Uint32(b[len(b)-4:]) || int64(le.Uint64(b)) != s.base || int64(le.Uint64(b[8:])) != s.end {
		return nil, false
	}
	var index []mark
	for b := body[16:]; len(b) > 0; b = b[markBytes:] {
		index = append(index, mark{int64(le.Uint64(b)), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))})
	}
	return index, true
}
