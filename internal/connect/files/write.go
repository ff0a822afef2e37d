package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

// Write implements connect.Sink.
func (s *sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch <= s.ledger.Epoch || b.N == 0 {
		return nil
	}
	if epoch != s.epoch {
		if err := s.clear(); err != nil {
			return err
		}
		s.epoch = epoch
	}
	before := len(s.rejected)
	batch, err := s.assign(b)
	if err != nil {
		for _, f := range batch {
			f.rows -= int64(len(f.sel))
			f.sel = f.sel[:0]
		}
		s.touched = slices.DeleteFunc(s.touched, func(f *file) bool { return f.rows == 0 })
		s.rejected = s.rejected[:before]
		return err
	}
	for _, f := range batch {
		s.encode(f, b)
	}
	if s.held <= maxHeld {
		return nil
	}
	for _, f := range s.touched {
		if len(f.buf) == 0 {
			continue
		}
		// An error is none of this Write: the rows stay in memory, and Commit tries again.
		if err := s.flush(f); err != nil {
			s.env.Log.Warn("rows stay in memory", "error", err)
			break
		}
	}
	return nil
}

// assign finds the file of each row, and gives the files that have rows of the batch.
func (s *sink) assign(b *vec.Batch) (batch []*file, err error) {
	var last *file
	var lastStem []byte
	for i := range b.N {
		stem, bad := s.s.template.stem(s.stem[:0], b.Time[i], func(k *token) vec.Value { return s.column(b, k, i) })
		if bad != nil {
			s.reject(b, i, bad.text, fmt.Sprintf("a %s cannot be a part of a file name", s.column(b, bad, i).Kind), "TypeConversionError")
			continue
		}
		s.stem = stem
		if last == nil || !bytes.Equal(stem, lastStem) || s.fullWith(last) {
			last, err = s.fileOf(string(stem), b.Time[i])
			var long *nameError
			if errors.As(err, &long) {
				s.reject(b, i, "", err.Error(), "RecordExceededSizeLimit")
				last = nil
				continue
			}
			if err != nil {
				return batch, err
			}
			lastStem = append(lastStem[:0], stem...)
			if len(last.sel) == 0 {
				batch = append(batch, last)
			}
		}
		if last.rows == 0 {
			last.from = b.Time[i]
			s.touched = append(s.touched, last)
		}
		last.to = b.Time[i]
		last.rows++
		last.sel = append(last.sel, int32(i))
	}
	return batch, nil
}

// fullWith reports whether a file takes no more rows.
func (s *sink) fullWith(f *file) bool {
	return f.Full || s.s.maxRows > 0 && f.Rows+f.rows >= s.s.maxRows
}

// column is the value of a column of row i.
func (s *sink) column(b *vec.Batch, k *token, i int) vec.Value {
	if k.col >= 0 {
		return b.Cols[k.col].At(i)
	}
	row := b.Cols[0].At(i)
	if row.Kind != vec.Record {
		return vec.Value{}
	}
	v, _ := row.Rec.Get(k.text)
	return v
}

// reject notes a row that has no file. Prepare tells.
func (s *sink) reject(b *vec.Batch, i int, column, reason, name string) {
	s.sel = append(s.sel[:0], int32(i))
	s.gather(b, s.sel)
	e := codec.NewEncoder(codec.JSONLines, s.env.Columns.Names, s.env.Columns.Row)
	s.rejected = append(s.rejected, connect.RowError{Row: bytes.TrimSuffix(e.Encode(nil, &s.one), []byte("\n")), Time: b.Time[i],
		Name: "OutputDataConversionError." + name, Column: column, Reason: reason})
}

// gather sets s.one to some rows of b.
func (s *sink) gather(b *vec.Batch, sel []int32) {
	if len(s.one.Cols) != len(b.Cols) {
		s.one.Cols = make([]vec.Vec, len(b.Cols))
	}
	for c := range b.Cols {
		s.one.Cols[c].Gather(&b.Cols[c], sel)
	}
	s.one.N = len(sel)
}

// nameError is a row whose values make no good name.
type nameError struct{ error }

// fileOf is the file that a row of a stem goes to.
func (s *sink) fileOf(stem string, at vec.Time) (*file, error) {
	f := s.byStem[stem]
	if f != nil && !s.fullWith(f) {
		return f, nil
	}
	if n := s.unfinished(); n >= s.s.maxFiles && !s.s.template.sequence {
		return nil, &nameError{fmt.Errorf("%d files are not finished, and max_files allows no more: use a column with fewer values, or put {n} in the path so that the oldest are finished early", n)}
	}
	st := fileState{ID: s.ledger.NextID, Stem: stem, Last: vec.MaxTime, From: at}
	if s.s.template.timed() {
		st.Last = s.s.template.last(at)
	}
	if f != nil {
		st.N = f.N + 1
	} else {
		st.N = s.ledger.number(stem)
	}
	for _, o := range s.files { // one that is full and not finished yet
		if o.Stem == stem {
			st.N = max(st.N, o.N+1)
		}
	}
	if err := s.freeName(&st); err != nil {
		return nil, err
	}
	s.ledger.NextID++
	f = &file{fileState: &st}
	s.files[st.ID], s.byStem[stem] = f, f
	s.made = append(s.made, f)
	return f, nil
}

// freeName gives a file a name that no finished one has.
func (s *sink) freeName(st *fileState) error {
	for {
		text, err := name(st.Stem, st.N, s.s.manifest)
		if err != nil {
			return &nameError{err}
		}
		st.Name = text
		if s.s.replace || s.up != nil { // a store is asked when the file is complete
			return nil
		}
		_, err = s.d.Stat(text)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !strings.ContainsRune(st.Stem, hole) {
			return connect.Permanent(fmt.Errorf("%s is there already, and finished files are not overwritten: move it away, put {n} in the path, or set exists: replace", s.d.Path(text)))
		}
		st.N++
	}
}

// encode appends the rows of a batch that go to a file to its held bytes.
func (s *sink) encode(f *file, b *vec.Batch) {
	rows := b
	if len(f.sel) < b.N {
		s.gather(b, f.sel)
		rows = &s.one
	}
	f.sel = f.sel[:0]
	was := len(f.buf)
	first := f.Size == 0 && was == 0 && f.early.Size() == 0
	if f.head == nil {
		f.head = f.Head
	}
	switch {
	case first:
		s.enc.Restart()
	default:
		s.enc.Resume(f.head)
	}
	f.buf = s.enc.Encode(f.buf, rows)
	if s.csv && s.env.Columns.Row {
		f.head = s.enc.Names()
	}
	if s.env.Format.Array && !s.csv {
		f.buf = array(f.buf, was, first)
	}
	s.held += len(f.buf) - was
}

// array turns lines of JSON behind was into elements of an array that is still open.
func array(b []byte, was int, first bool) []byte {
	lines := bytes.TrimSuffix(b[was:], []byte("\n"))
	open := ",\n"
	if first {
		open = "["
	}
	text := bytes.ReplaceAll(lines, []byte("\n"), []byte(",\n"))
	return append(append(b[:was:was], open...), text...)
}
