package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"math"

	"weir/internal/disk"
	"weir/internal/vec"
)

// spillName is the file of the messages of an epoch that are too many for memory.
const spillName = "epoch.messages"

// frame is a message that waits for its epoch to be committed, or a row that cannot be one:
// bad is then the name of the error, and Body the row.
type frame struct {
	Message
	bad    string
	column string
	reason string
}

// Spool is the messages of an epoch. Those before the ones in memory wait in a file.
type Spool struct {
	state disk.FS
	buf   []byte
	spill *disk.Tail // nil if there is none
	good  int        // messages
	bad   int        // rows that cannot be one
}

// Len is how many messages there are.
func (s *Spool) Len() int { return s.good }

// Each goes through the messages, from the one of an index on. One is valid during the call.
func (s *Spool) Each(from int, do func(index int, m *Message) error) error {
	i := 0
	return s.each(func(f *frame) error {
		if f.bad != "" {
			return nil
		}
		i++
		if i <= from {
			return nil
		}
		return do(i-1, &f.Message)
	})
}

// clean removes what a process has left.
func (s *Spool) clean() error {
	if err := s.state.Remove(spillName); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return nil
}

// room moves what is in memory to the file, if it is much.
func (s *Spool) room() error {
	if len(s.buf) <= maxBuffered {
		return nil
	}
	if s.spill == nil {
		f, err := s.state.Create(spillName)
		if err != nil {
			return fmt.Errorf("%s: %w", s.state.Path(spillName), err)
		}
		if s.spill, err = disk.NewTail(f, 0); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := s.spill.Append(s.buf); err != nil {
		return fmt.Errorf("%s: %w", s.state.Path(spillName), err)
	}
	s.buf = s.buf[:0]
	return nil
}

// drop forgets all. After an error only the file may be left.
func (s *Spool) drop() (err error) {
	if s.spill != nil {
		err = errors.Join(s.spill.Close(), s.state.Remove(spillName))
		s.spill = nil
	}
	if cap(s.buf) > 2*maxBuffered {
		s.buf = nil
	}
	s.buf, s.good, s.bad = s.buf[:0], 0, 0
	return err
}

// add adds a frame: length of the rest, time, and then texts with their lengths.
func (s *Spool) add(f frame) {
	start := len(s.buf)
	dst := append(s.buf, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.Time))
	if f.Key == nil {
		dst = append(dst, 0)
	} else {
		dst = append(binary.AppendUvarint(dst, uint64(len(f.Key))+1), f.Key...)
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(f.To))), f.To...)
	for _, t := range []string{f.bad, f.column, f.reason} {
		dst = append(binary.AppendUvarint(dst, uint64(len(t))), t...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Properties)))
	for _, p := range f.Properties {
		dst = append(binary.AppendUvarint(dst, uint64(len(p.Name))), p.Name...)
		dst = append(dst, byte(p.Value.Kind))
		switch p.Value.Kind {
		case vec.String:
			dst = append(binary.AppendUvarint(dst, uint64(len(p.Value.Str))), p.Value.Str...)
		case vec.Float:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.Value.Float))
		default:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Value.Int))
		}
	}
	dst = append(dst, f.Body...)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	s.buf = dst
	if f.bad == "" {
		s.good++
	} else {
		s.bad++
	}
}

// read makes f of the bytes of a frame behind their length. Its texts lie in b.
func (f *frame) read(b []byte) {
	word := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	bytes := func(n int) []byte {
		v := b[:n:n]
		b = b[n:]
		return v
	}
	size := func() int {
		n, w := binary.Uvarint(b)
		b = b[w:]
		return int(n)
	}
	f.Time = vec.Time(word())
	f.Key = nil
	if n := size(); n > 0 {
		f.Key = bytes(n - 1)
	}
	f.To = bytes(size())
	f.bad, f.column, f.reason = string(bytes(size())), string(bytes(size())), string(bytes(size()))
	before := f.Properties
	f.Properties = f.Properties[:0]
	for i := range size() {
		p := Property{}
		if name := bytes(size()); i < len(before) && before[i].Name == string(name) {
			p.Name = before[i].Name // as that of the message before, mostly
		} else {
			p.Name = string(name)
		}
		switch kind := vec.Kind(bytes(1)[0]); kind {
		case vec.String:
			p.Value = vec.StringValue(string(bytes(size())))
		case vec.Float:
			p.Value = vec.FloatValue(math.Float64frombits(word()))
		case vec.Bit:
			p.Value = vec.BitValue(word() != 0)
		default:
			p.Value = vec.IntValue(int64(word()))
		}
		f.Properties = append(f.Properties, p)
	}
	f.Body = b
}

// each goes through the frames. One is valid during the call.
func (s *Spool) each(do func(f *frame) error) error {
	var f frame
	through := func(b []byte) (rest []byte, err error) {
		for len(b) >= 4 {
			n := 4 + int(binary.LittleEndian.Uint32(b))
			if n > len(b) {
				break
			}
			f.read(b[4:n:n])
			if err := do(&f); err != nil {
				return nil, err
			}
			b = b[n:]
		}
		return b, nil
	}
	if s.spill != nil {
		buf := make([]byte, 0, 1<<20)
		for at := int64(0); at < s.spill.Size(); {
			n := int(min(int64(cap(buf)-len(buf)), s.spill.Size()-at))
			if _, err := s.spill.File().ReadAt(buf[len(buf):len(buf)+n], at); err != nil {
				return fmt.Errorf("read %s: %w", s.state.Path(spillName), err)
			}
			at += int64(n)
			rest, err := through(buf[:len(buf)+n])
			if err != nil {
				return err
			}
			if len(rest) == cap(buf) { // a frame larger than the buffer
				buf = make([]byte, 0, 2*cap(buf))
			}
			buf = append(buf[:0], rest...)
		}
	}
	_, err := through(s.buf)
	return err
}
