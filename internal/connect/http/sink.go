package http

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

const (
	committedName = "committed" // the last epoch that was sent, in the state directory
	spillName     = "epoch"     // rows of an epoch that are too many for memory
	// maxBuffered is how many bytes of an epoch's rows are held in memory; what comes before
	// them waits in a file.
	maxBuffered = 8 << 20
)

// sink posts rows. Those of an epoch wait, cut into the pieces that are sent as requests, so
// that the requests depend on the epoch alone.
type sink struct {
	env    connect.SinkEnv
	target *target
	o      sinkOptions
	encode *codec.Encoder
	text   []byte // of a batch, a row a line

	last    int64     // epoch that is committed
	durable int64     // and known to be so after a crash
	log     *disk.Log // of durable

	epoch   int64 // that the rows below are of
	sent    bool  // all of them
	rows    int   // so far
	pieces  []piece
	buf     []byte     // frames of rows, behind those in spilled
	spilled *disk.Tail // nil if there are none
}

type sinkOptions struct {
	rows     int
	bytes    int64
	lines    bool // a row a line, not an array
	attempts int
}

// piece is a run of rows that is sent in one request.
type piece struct {
	first, n  int   // rows of the epoch
	off, size int64 // their frames
	body      int64 // bytes of the rows
}

// A frame is a row as it waits: its time, its length, its text.
const frameHead = 12

func openSink(_ context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if env.Format.Type != "" && env.Format.Type != "json" {
		return fail(connect.Permanent(fmt.Errorf("rows are posted as JSON; remove the format %q", env.Format.Type)))
	}
	if problems := checkOutput(c); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	t, err := newTarget(c)
	if err != nil {
		return fail(connect.Permanent(err))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s := &sink{env: env, target: t, encode: codec.NewEncoder(codec.JSONLines, env.Columns.Names, env.Columns.Row),
		o: sinkOptions{rows: int(min(c.Int("batch_rows"), 1<<20)), bytes: c.Int("batch_bytes"), lines: c.Text("body") == "lines", attempts: int(min(c.Int("attempts"), 100))}}
	switch c.Text("body") {
	case "single":
		s.o.rows, s.target.single = 1, true
	case bodyRows:
		s.target.wrap = "rows"
	}
	if err := s.recall(); err != nil {
		return fail(err)
	}
	return s, nil
}

// committed is what the state directory says.
type committed struct {
	Instance string `json:"instance"`
	Epoch    int64  `json:"epoch"`
}

// recall reads which epoch was sent last.
func (s *sink) recall() error {
	if err := s.env.State.Remove(spillName); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	log, err := disk.OpenLog(s.env.State, committedName, func(record []byte) error {
		var c committed
		if err := json.Unmarshal(record, &c); err != nil {
			return err
		}
		s.last = 0
		if c.Instance == s.env.Instance {
			s.last = c.Epoch
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", s.env.State.Path(committedName), err)
	}
	s.log = log
	// A process that ended may have written it and not synced it.
	if err := log.Sync(); err != nil {
		return errors.Join(err, log.Close())
	}
	s.durable = s.last
	return nil
}

// Committed implements connect.Sink.
func (s *sink) Committed(context.Context) (int64, error) { return s.last, nil }

// Write implements connect.Sink.
func (s *sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch <= s.last || b.N == 0 {
		return nil
	}
	if epoch != s.epoch {
		s.drop()
		s.epoch = epoch
	}
	if len(s.buf) > maxBuffered {
		if err := s.spill(); err != nil {
			return fmt.Errorf("%s: %w", s.env.State.Path(spillName), err)
		}
	}
	s.text = s.encode.Encode(s.text[:0], b)
	i := 0
	for row := range bytes.Lines(s.text) {
		s.add(bytes.TrimSuffix(row, []byte("\n")), b.Time[i])
		i++
	}
	if cap(s.text) > maxBuffered {
		s.text = nil
	}
	return nil
}

// add puts a row into the last piece, or into a new one.
func (s *sink) add(row []byte, t vec.Time) {
	size := int64(len(row))
	if n := len(s.pieces); n == 0 || s.pieces[n-1].n >= s.o.rows || s.pieces[n-1].body+size+1 > s.o.bytes {
		s.pieces = append(s.pieces, piece{first: s.rows, off: s.size()})
	}
	p := &s.pieces[len(s.pieces)-1]
	s.buf = binary.LittleEndian.AppendUint64(s.buf, uint64(t))
	s.buf = binary.LittleEndian.AppendUint32(s.buf, uint32(len(row)))
	s.buf = append(s.buf, row...)
	p.n++
	p.size += frameHead + size
	p.body += size + 1
	s.rows++
}

// size is how long the frames of the epoch are.
func (s *sink) size() int64 { return s.spillSize() + int64(len(s.buf)) }

func (s *sink) spillSize() int64 {
	if s.spilled == nil {
		return 0
	}
	return s.spilled.Size()
}

// spill moves the rows in memory to the file.
func (s *sink) spill() error {
	if s.spilled == nil {
		f, err := s.env.State.Create(spillName)
		if err != nil {
			return err
		}
		if s.spilled, err = disk.NewTail(f, 0); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := s.spilled.Append(s.buf); err != nil {
		return err
	}
	s.buf = s.buf[:0]
	return nil
}

// drop forgets the rows of the epoch.
func (s *sink) drop() {
	if s.spilled != nil {
		// What stays of the file is in nobody's way: the next one begins empty.
		if err := errors.Join(s.spilled.Close(), s.env.State.Remove(spillName)); err != nil {
			s.env.Log.Warn("rows that were sent could not be removed", "file", s.env.State.Path(spillName), "error", err)
		}
		s.spilled = nil
	}
	if cap(s.buf) > maxBuffered {
		s.buf = nil
	}
	s.buf, s.pieces, s.rows, s.sent = s.buf[:0], s.pieces[:0], 0, false
}

// frames are the rows of a piece and their times.
func (s *sink) frames(p piece) (rows [][]byte, times []vec.Time, err error) {
	b := make([]byte, p.size)
	n := 0
	if in := s.spillSize(); p.off < in {
		n = int(min(p.size, in-p.off))
		if _, err := s.spilled.File().ReadAt(b[:n], p.off); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", s.env.State.Path(spillName), err)
		}
		copy(b[n:], s.buf)
	} else {
		copy(b, s.buf[p.off-in:])
	}
	for len(b) > 0 {
		times = append(times, vec.Time(binary.LittleEndian.Uint64(b)))
		end := frameHead + int(binary.LittleEndian.Uint32(b[8:]))
		rows = append(rows, b[frameHead:end:end])
		b = b[end:]
	}
	return rows, times, nil
}

// Prepare implements connect.Sink: it sends the rows. What was sent stays sent if it is
// called again after an error; rows that the target did not take are tried again, since
// somebody may have seen to it, and told of again.
func (s *sink) Prepare(ctx context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.last || epoch != s.epoch || s.sent {
		return nil
	}
	for i := 0; i < len(s.pieces); {
		p := s.pieces[i]
		rows, times, err := s.frames(p)
		if err != nil {
			return err
		}
		answer, err := s.send(ctx, p, rows)
		if err != nil {
			return err
		}
		switch {
		case answer.ok:
			s.pieces = slices.Delete(s.pieces, i, i+1)
		case p.n > 1:
			s.pieces = slices.Replace(s.pieces, i, i+1, halves(p, rows)...)
		default:
			name := "OutputDataConversionError.TypeConversionError"
			if answer.status == http.StatusRequestEntityTooLarge {
				name = "OutputDataConversionError.RecordExceededSizeLimit"
			}
			if err := s.env.Reject(connect.RowError{Row: rows[0], Time: times[0], Name: name, Reason: answer.String()}); err != nil {
				return err
			}
			i++
		}
	}
	s.sent = true
	return nil
}

// halves cuts a piece that the target does not take in two: to make it smaller, or to find
// the rows that it does not take.
func halves(p piece, rows [][]byte) []piece {
	a := piece{first: p.first, n: p.n / 2, off: p.off}
	for _, row := range rows[:a.n] {
		a.size += int64(frameHead + len(row))
		a.body += int64(len(row) + 1)
	}
	return []piece{a, {first: p.first + a.n, n: p.n - a.n, off: p.off + a.size, size: p.size - a.size, body: p.body - a.body}}
}

// send posts the rows of a piece, and tries again a few times if that may help.
func (s *sink) send(ctx context.Context, p piece, rows [][]byte) (answer, error) {
	r := post{epoch: s.epoch, rows: rows, lines: s.o.lines,
		key: fmt.Sprintf("%s/%s/%s/%d/%d-%d", url.PathEscape(s.env.Job), url.PathEscape(s.env.Output), url.PathEscape(s.env.Instance), s.epoch, p.first, p.first+p.n)}
	var err error
	for try := range s.o.attempts {
		if try > 0 {
			if e := s.target.pause(ctx, try); e != nil {
				return answer{}, errors.Join(err, e)
			}
		}
		var a answer
		if a, err = s.target.post(ctx, r); err == nil {
			return a, nil
		}
		if ctx.Err() != nil || s.target.waits() > longestPause {
			break
		}
	}
	return answer{}, err
}

// Commit implements connect.Sink.
func (s *sink) Commit(_ context.Context, epoch int64) error {
	if epoch <= s.last {
		return nil
	}
	if epoch == s.epoch && !s.sent && len(s.pieces) > 0 {
		return fmt.Errorf("commit epoch %d: its rows were not sent", epoch)
	}
	s.drop()
	s.last = epoch
	return nil
}

// Sync implements connect.Sink: it notes down what was sent, so that it is not sent again.
func (s *sink) Sync(context.Context) error {
	if s.durable == s.last {
		return nil
	}
	record, err := json.Marshal(committed{s.env.Instance, s.last})
	if err == nil {
		err = s.log.Replace(record)
	}
	if err == nil {
		err = s.log.Sync()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.env.State.Path(committedName), err)
	}
	s.durable = s.last
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error {
	s.target.client.CloseIdleConnections()
	s.drop()
	return s.log.Close()
}

// pauses between tries of one call: 100 ms and on, twice as long each, to which up to as much
// again is added by chance so that many jobs do not come at once.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)
