package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"

	"weir/internal/disk"
	"weir/internal/vec"
)

// due are the files that are complete and not being finished: no row can come to them any
// more, or they are as full as they may get.
func (s *sink) due() []int64 {
	if s.mark < s.next && s.unfinished() <= s.s.maxFiles {
		return nil
	}
	s.ledger.passed(s.mark)
	var ids, rest []int64
	s.next = vec.MaxTime
	for _, id := range s.sorted() {
		if s.files[id].queued {
			continue
		}
		if at := s.dueAt(s.ledger.files[id]); s.mark >= at {
			ids = append(ids, id)
		} else {
			rest = append(rest, id)
			s.next = min(s.next, at)
		}
	}
	if over := len(rest) - s.s.maxFiles; over > 0 && s.s.template.sequence {
		slices.SortFunc(rest, func(a, b int64) int {
			x, y := s.ledger.files[a], s.ledger.files[b]
			if x.Epoch != y.Epoch {
				return int(x.Epoch - y.Epoch)
			}
			return int(a - b)
		})
		ids = append(ids, rest[:over]...)
		slices.Sort(ids)
	}
	return ids
}

// unfinished is the number of files that rows may go to.
func (s *sink) unfinished() int { return len(s.files) - s.queued }

// dueAt is the watermark at which a file is complete.
func (s *sink) dueAt(f *fileState) vec.Time {
	switch {
	case f.Full:
		return vec.MinTime
	case s.s.maxAge > 0:
		return min(f.Last, f.From+vec.Time(s.s.maxAge/100))
	}
	return f.Last
}

// finish gives complete files their final names, and those that were begun before.
func (s *sink) finish(ids []int64) error {
	if s.up != nil {
		return s.enqueue(ids)
	}
	return s.finishHere(ids)
}

// begun makes the record durable that files are being finished: no row goes to them.
func (s *sink) begun(r *record, ids []int64) error {
	if err := s.syncFiles(); err != nil {
		return err
	}
	if err := s.put(r, true); err != nil {
		return err
	}
	s.ledger.apply(r)
	s.synced = s.ledger.Epoch
	for _, id := range ids {
		f := s.files[id]
		s.shut(f)
		if s.byStem[f.Stem] == f {
			delete(s.byStem, f.Stem)
		}
	}
	return nil
}

// closed is the name of the file in our own directory that is to get the final name, ended
// and packed and durable; "" if it has it already.
func (s *sink) closed(f *fileState) (string, error) {
	part, packed := partName(f.ID), packedName(f.ID)
	_, err := s.own.Stat(part)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := s.own.Stat(packed); errors.Is(err, fs.ErrNotExist) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		return packed, nil
	}
	if err != nil {
		return "", err
	}
	h, err := s.own.Edit(part)
	if err != nil {
		return "", err
	}
	defer h.Close()
	t, err := disk.NewTail(h, f.Size)
	if err != nil {
		return "", s.lost(f, err)
	}
	if s.env.Format.Array && !s.csv {
		if err := t.Append([]byte("]\n")); err != nil {
			return "", err
		}
	}
	if err := h.Sync(); err != nil {
		return "", err
	}
	if s.p.pack == nil {
		return part, nil
	}
	if err := s.pack(packed, io.NewSectionReader(h, 0, t.Size())); err != nil {
		return "", err
	}
	if err := s.own.Remove(part); err != nil {
		return "", err
	}
	return packed, s.own.SyncDir(".")
}

// pack writes a packed file and makes it durable, with its name.
func (s *sink) pack(name string, staged *io.SectionReader) error {
	out, err := s.own.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := s.p.pack(out, staged); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return s.own.SyncDir(".")
}

// digest is the size and checksum of a file.
func digest(d disk.FS, name string) (int64, string, error) {
	f, err := d.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// ended reports whether all inputs have.
func (s *sink) ended() bool { return s.mark == vec.MaxTime }
