package hub

import (
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"

	"weir/internal/disk"
	"weir/internal/vec"
)

// spillName is the file of the messages of an epoch that are too many for memory.
const spillName = "epoch.messages"

// frame is a message that waits for its epoch to be committed, or a row that cannot be one:
// bad is then the name of the error, and message the row.
type frame struct {
	time    vec.Time
	key     []byte // nil if it has none
	message []byte
	bad     string
	column  string
	reason  string
}

// frames are the messages of an epoch. Those before the ones in memory wait in a file.
type frames struct {
	state disk.FS
	buf   []byte
	spill *disk.Tail // nil if there is none
	good  int        // messages
}

// clean removes what a process has left.
func (s *frames) clean() error {
	if err := s.state.Remove(spillName); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return nil
}

// room moves what is in memory to the file, if it is much.
func (s *frames) room() error {
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
func (s *frames) drop() (err error) {
	if s.spill != nil {
		err = errors.Join(s.spill.Close(), s.state.Remove(spillName))
		s.spill = nil
	}
	if cap(s.buf) > 2*maxBuffered {
		s.buf = nil
	}
	s.buf, s.good = s.buf[:0], 0
	return err
}

// add adds a frame: length of the rest, time, key with its length + 1, and three texts with
// their lengths, the message.
func (s *frames) add(f frame) {
	start := len(s.buf)
	dst := append(s.buf, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.time))
	if f.key == nil {
		dst = append(dst, 0)
	} else {
		dst = append(binary.AppendUvarint(dst, uint64(len(f.key))+1), f.key...)
	}
	for _, t := range []string{f.bad, f.column, f.reason} {
		dst = append(binary.AppendUvarint(dst, uint64(len(t))), t...)
	}
	dst = append(dst, f.message...)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	s.buf = dst
	if f.bad == "" {
		s.good++
	}
}

func readFrame(b []byte) (f frame) {
	f.time = vec.Time(binary.LittleEndian.Uint64(b))
	b = b[8:]
	take := func() []byte {
		n, size := binary.Uvarint(b)
		v := b[size : size+int(n) : size+int(n)]
		b = b[size+int(n):]
		return v
	}
	if n, size := binary.Uvarint(b); n > 0 {
		f.key = b[size : size+int(n)-1 : size+int(n)-1]
		b = b[size+int(n)-1:]
	} else {
		b = b[size:]
	}
	f.bad, f.column, f.reason = string(take()), string(take()), string(take())
	f.message = b
	return f
}

// each goes through the frames. One is valid during the call.
func (s *frames) each(do func(f frame) error) error {
	through := func(b []byte) (rest []byte, err error) {
		for len(b) >= 4 {
			n := 4 + int(binary.LittleEndian.Uint32(b))
			if n > len(b) {
				break
			}
			if err := do(readFrame(b[4:n:n])); err != nil {
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
