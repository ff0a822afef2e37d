package cosmos

import (
	"encoding/binary"

	"weir/internal/vec"
)

// windowBytes is how much of an epoch is read and sent at a time, in bytes.
const windowBytes = 4 << 20

// A frame lies in memory as: length of the rest, time, what it has, and five texts with their
// lengths, and then the document. What it has:
const (
	frameKey  = 1 << iota // the partition key is a text
	frameMade             // the id is ours
)

func appendFrame(dst []byte, f *frame) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.time))
	has := byte(0)
	if f.key != nil {
		has |= frameKey
	}
	if f.made {
		has |= frameMade
	}
	dst = append(dst, has)
	for _, b := range [][]byte{f.key, f.id} {
		dst = append(binary.AppendUvarint(dst, uint64(len(b))), b...)
	}
	for _, s := range []string{f.bad, f.column, f.reason} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	dst = append(dst, f.doc...)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// read makes f of the bytes of a frame behind their length. It lies in b.
func (f *frame) read(b []byte) {
	f.time = vec.Time(binary.LittleEndian.Uint64(b))
	has := b[8]
	b = b[9:]
	take := func() []byte {
		n, size := binary.Uvarint(b)
		text := b[size : size+int(n) : size+int(n)]
		b = b[size+int(n):]
		return text
	}
	f.key, f.id = take(), take()
	if has&frameKey == 0 {
		f.key = nil
	}
	f.made = has&frameMade != 0
	f.bad, f.column, f.reason = string(take()), string(take()), string(take())
	f.doc = b
}

// size is how long the frames of the epoch are.
func (s *sink) size() int64 { return s.spilled() + int64(len(s.buf)) }

func (s *sink) spilled() int64 {
	if s.spill == nil {
		return 0
	}
	return s.spill.Size()
}

// bytesAt gives n bytes of the frames from an offset on, or what there is.
func (s *sink) bytesAt(off, n int64) ([]byte, error) {
	n = min(n, s.size()-off)
	in := s.spilled()
	if off >= in {
		return s.buf[off-in : off-in+n], nil
	}
	if int64(cap(s.read)) < n {
		s.read = make([]byte, n)
	}
	b := s.read[:n]
	from := min(n, in-off)
	if _, err := s.spill.File().ReadAt(b[:from], off); err != nil {
		return nil, err
	}
	copy(b[from:], s.buf)
	return b, nil
}

// window reads some frames from an offset on, the first of which is the row of an index. The
// documents are valid until the next call. next is behind them.
func (s *sink) window(off int64, index int) (list []*document, next int64, err error) {
	b, err := s.bytesAt(off, windowBytes)
	if err == nil && len(b) >= 4 {
		if n := 4 + int64(binary.LittleEndian.Uint32(b)); n > int64(len(b)) { // a frame larger than the window
			b, err = s.bytesAt(off, n)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	for len(b) >= 4 {
		n := 4 + int(binary.LittleEndian.Uint32(b))
		if n > len(b) {
			break
		}
		d := &document{index: index, done: s.done[index]}
		d.frame.read(b[4:n:n])
		list = append(list, d)
		b, off, index = b[n:], off+int64(n), index+1
	}
	return list, off, nil
}
