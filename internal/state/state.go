// Package state is the format of snapshots: a version, then fields that operators
// write and read in the same order. Reading damaged bytes gives an error, never a
// panic, and never allocates more than the bytes could hold.
package state

import (
	"encoding/binary"
	"errors"
	"math"
)

// Version of the format. A snapshot of another version is refused.
const Version = 2

// Writer collects a snapshot.
type Writer struct{ buf []byte }

// NewWriter starts a snapshot with the version.
func NewWriter() *Writer {
	w := &Writer{}
	w.Uint(Version)
	return w
}

// Bytes is what has been written. It stays valid until the next write.
func (w *Writer) Bytes() []byte { return w.buf }

// Part is a writer of a part of a snapshot: it has no version.
func Part() *Writer { return &Writer{} }

// Raw writes bytes as they are.
func (w *Writer) Raw(b []byte) { w.buf = append(w.buf, b...) }

// Section writes a part with its length in front, so that a reader can pass over it.
func (w *Writer) Section(b []byte) {
	w.Uint(uint64(len(b)))
	w.Raw(b)
}

// Uint writes an unsigned number.
func (w *Writer) Uint(x uint64) { w.buf = binary.AppendUvarint(w.buf, x) }

// Int writes a signed number.
func (w *Writer) Int(x int64) { w.buf = binary.AppendVarint(w.buf, x) }

// Float writes the bits of a float.
func (w *Writer) Float(x float64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(x))
}

// Bool writes a truth value.
func (w *Writer) Bool(b bool) {
	if b {
		w.Uint(1)
	} else {
		w.Uint(0)
	}
}

// String writes a text.
func (w *Writer) String(s string) {
	w.Uint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

// ErrCorrupt is the error of a snapshot that cannot be read.
var ErrCorrupt = errors.New("state: damaged snapshot")

// ErrVersion is the error of a snapshot of another format version.
var ErrVersion = errors.New("state: snapshot of another version")

// Reader reads a snapshot. After an error every read gives zero; check Err at the end.
type Reader struct {
	buf []byte
	err error
}

// NewReader reads the version and gives a reader of the rest.
func NewReader(b []byte) *Reader {
	r := &Reader{buf: b}
	if v := r.Uint(); r.err == nil && v != Version {
		r.err = ErrVersion
	}
	return r
}

// PartReader reads what a writer of Part has written.
func PartReader(b []byte) *Reader { return &Reader{buf: b} }

// Section reads a section. Its own reader has its own error; without an error it should end
// with nothing left, see Done.
func (r *Reader) Section() *Reader {
	n := r.Count()
	if r.err != nil {
		return &Reader{err: r.err}
	}
	part := &Reader{buf: r.buf[:n:n]}
	r.buf = r.buf[n:]
	return part
}

// Done is the first error, or ErrCorrupt if something is left.
func (r *Reader) Done() error {
	if len(r.buf) > 0 {
		r.Fail()
	}
	return r.err
}

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Fail records that the snapshot makes no sense.
func (r *Reader) Fail() {
	if r.err == nil {
		r.err = ErrCorrupt
	}
}

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	if r.err != nil {
		return 0
	}
	x, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.buf = r.buf[n:]
	return x
}

// Count reads a number of things that take at least one byte each, so that damaged
// bytes cannot ask for more memory than they hold.
func (r *Reader) Count() int {
	x := r.Uint()
	if x > uint64(len(r.buf)) {
		r.Fail()
		return 0
	}
	return int(x)
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	if r.err != nil {
		return 0
	}
	x, n := binary.Varint(r.buf)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.buf = r.buf[n:]
	return x
}

// Float reads a float.
func (r *Reader) Float() float64 {
	if r.err != nil || len(r.buf) < 8 {
		r.Fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.buf)
	r.buf = r.buf[8:]
	return math.Float64frombits(x)
}

// Bool reads a truth value.
func (r *Reader) Bool() bool { return r.Uint() != 0 }

// String reads a text; it owns its memory.
func (r *Reader) String() string {
	n := r.Count()
	if r.err != nil {
		return ""
	}
	s := string(r.buf[:n])
	r.buf = r.buf[n:]
	return s
}

// Rest is the number of bytes not read.
func (r *Reader) Rest() int { return len(r.buf) }
