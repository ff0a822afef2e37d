package job

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// logSink is an output on a disk: a log of epochs that is synced by Sync alone. What a loss of
// power takes from its end comes again.
type logSink struct {
	fs     disk.FS
	write  func(b *vec.Batch) []string
	fault  func(op string) (before, after error)
	rows   []string
	epoch  int64
	has    int64
	size   int64
	file   disk.File
	synced int64
	tail   []byte // what has to be written anew behind synced; nil: nothing
}

const logSinkName = "rows.log"

func openLogSink(env connect.SinkEnv, fault func(op string) (before, after error)) (connect.Sink, error) {
	s := &logSink{fs: env.State, write: rowWriter(env.Columns), fault: fault}
	data, err := readAll(s.fs, logSinkName)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	s.size, s.has, _ = readLogSink(data)
	_, err = writeWhole(s.fs, ".", logSinkName, func(w io.Writer) error { // what a killed process has left may not be durable
		_, err := w.Write(data[:s.size])
		return err
	})
	if err != nil {
		return nil, err
	}
	s.synced = s.size
	if s.file, err = s.fs.Edit(logSinkName); err != nil {
		return nil, err
	}
	_, err = s.file.Seek(s.size, io.SeekStart)
	return s, err
}

// readLogSink gives what is whole: its size, its last epoch, its rows.
func readLogSink(data []byte) (size, epoch int64, rows []string) {
	pos := 0
	for {
		payload, next, ok := frameAt(data, pos)
		if !ok {
			return int64(pos), epoch, rows
		}
		epoch = int64(binary.LittleEndian.Uint64(payload))
		rows = append(rows, string(payload[8:]))
		pos = next
	}
}

func (s *logSink) do(op string, effect func() error) error {
	before, after := s.fault(op)
	if before != nil {
		return before
	}
	if err := effect(); err != nil {
		return err
	}
	return after
}

func (s *logSink) Committed(context.Context) (int64, error) { return s.has, nil }

func (s *logSink) Write(_ context.Context, epoch int64, b *vec.Batch) (err error) {
	was, of := s.rows, s.epoch
	defer func() {
		if err != nil { // as if it had not been called
			s.rows, s.epoch = was, of
		}
	}()
	return s.do("write", func() error {
		if epoch != s.epoch {
			s.rows, s.epoch = nil, epoch
		}
		s.rows = append(s.rows[:len(s.rows):len(s.rows)], s.write(b)...)
		return nil
	})
}

func (s *logSink) Prepare(_ context.Context, epoch int64, _ vec.Time) error {
	return s.do("prepare", func() error {
		if epoch != s.epoch {
			s.rows, s.epoch = nil, epoch
		}
		return nil
	})
}

func (s *logSink) Commit(_ context.Context, epoch int64) error {
	return s.do("commit", func() error {
		if epoch <= s.has {
			return nil
		}
		if epoch != s.epoch {
			return fmt.Errorf("epoch %d is committed, and %d was written", epoch, s.epoch)
		}
		frame := appendFrame(nil, append(binary.LittleEndian.AppendUint64(nil, uint64(epoch)), strings.Join(s.rows, "")...))
		if err := s.file.Truncate(s.size); err != nil {
			return err
		}
		if _, err := s.file.Seek(s.size, io.SeekStart); err != nil {
			return err
		}
		if _, err := s.file.Write(frame); err != nil {
			return err
		}
		s.size += int64(len(frame))
		s.has, s.rows = epoch, nil
		return nil
	})
}

func (s *logSink) Sync(context.Context) error {
	return s.do("sync", func() error {
		if s.tail == nil {
			err := s.file.Sync()
			if err == nil {
				s.synced = s.size
				return nil
			}
			// What a failed Sync was about is gone: it is written anew.
			data, failed := readAll(s.fs, logSinkName)
			if failed == nil {
				s.tail = append([]byte{}, data[s.synced:s.size]...)
			}
			return err
		}
		if err := s.file.Truncate(s.synced); err != nil {
			return err
		}
		if _, err := s.file.Seek(s.synced, io.SeekStart); err != nil {
			return err
		}
		if _, err := s.file.Write(s.tail); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
		s.tail, s.synced = nil, s.size
		return nil
	})
}

func (s *logSink) Close() error { return s.file.Close() }
