package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/vec"
)

// sink appends rows to a hub. Those of an epoch wait until Commit.
type sink struct {
	env    connect.SinkEnv
	broker *hub.Broker
	name   string // of the hub
	id     string // of the producer
	rows   *messages
	frames frames

	last  int64 // epoch that is committed
	noted int64 // epoch that the state has as committed
	epoch int64 // that the rows below are of
	// known is per partition the last number that was there when the sink was opened, and
	// doubt the last epoch that may be there without an answer that said so.
	known   []int64
	doubt   int64
	touched map[int]bool // partitions that were appended to since the last Sync
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if p := env.Format.Compression; p != "" && p != "none" {
		return fail(connect.Permanent(fmt.Errorf("messages are not compressed; remove the compression %q", p)))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	b, h, err := open(ctx, c)
	if err != nil {
		return fail(err)
	}
	s := &sink{env: env, broker: b, name: h.Name(), id: producerID(env), touched: map[int]bool{}}
	s.frames.state = env.State
	limit, _ := b.Limits()
	if s.rows, err = newMessages(c, env, limit); err != nil {
		return fail(connect.Permanent(err))
	}
	if err := s.frames.clean(); err != nil {
		return fail(err)
	}
	if err := s.recall(h); err != nil {
		return fail(err)
	}
	return s, nil
}

// producerID is the name that the job appends under.
func producerID(env connect.SinkEnv) string {
	id := env.Job + "/" + env.Output + "/" + env.Instance
	if len(id) <= hub.MaxProducerID {
		return id
	}
	h := sha256.Sum256([]byte(id))
	return hex.EncodeToString(h[:])
}

// An append of an epoch has a number of its own: the epoch, and which append to the partition
// it is. The last append of an epoch, over all partitions, has chunkLast: a partition that
// has it says that all others have theirs.
const (
	chunkBits = 20
	chunkLast = 1<<chunkBits - 1
)

func number(epoch int64, chunk int64) int64 { return epoch<<chunkBits | chunk }

// recall finds the last epoch that the hub has whole. What a partition knows of a producer is
// forgotten in time; the state has the epoch of the last Sync.
func (s *sink) recall(h *hub.Hub) error {
	n, err := readNote(s.env.State, s.id)
	if err != nil {
		return err
	}
	s.last, s.noted = n, n
	for _, p := range h.Partitions() {
		_, last, ok := p.Last(s.id)
		if !ok {
			last = -1
		}
		s.known = append(s.known, last)
		switch {
		case !ok:
		case last&chunkLast == chunkLast:
			s.last = max(s.last, last>>chunkBits)
		default: // it was begun, so the one before was whole
			s.last = max(s.last, last>>chunkBits-1)
		}
	}
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
		s.begin(epoch)
	}
	if err := s.frames.room(); err != nil {
		return err
	}
	s.rows.add(b, &s.frames)
	return nil
}

// begin forgets the rows that wait, for those of an epoch.
func (s *sink) begin(epoch int64) {
	s.rows.drop()
	if err := s.frames.drop(); err != nil {
		// What stays of the file is in nobody's way: the next one begins empty.
		s.env.Log.Warn("rows that were written could not be removed", "file", s.env.State.Path(spillName), "error", err)
	}
	s.epoch = epoch
}

// Prepare implements connect.Sink: it tells of the rows that no message can hold.
func (s *sink) Prepare(_ context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.last || epoch != s.epoch {
		return nil
	}
	s.rows.seal(&s.frames)
	return s.frames.each(func(f frame) error {
		if f.bad == "" {
			return nil
		}
		return s.env.Reject(connect.RowError{Row: bytes.Clone(f.message), Time: f.time, Name: f.bad, Column: f.column, Reason: f.reason})
	})
}

// Commit implements connect.Sink.
func (s *sink) Commit(ctx context.Context, epoch int64) error {
	if epoch <= s.last {
		return nil
	}
	if epoch == s.epoch {
		s.rows.seal(&s.frames)
		if err := s.publish(ctx, epoch); err != nil {
			return fmt.Errorf("append to the event hub %s: %w", s.name, err)
		}
		s.begin(0)
	}
	s.last = epoch
	return nil
}

// Sync implements connect.Sink.
func (s *sink) Sync(context.Context) error {
	if len(s.touched) > 0 {
		h, err := find(s.broker, s.name)
		if err != nil {
			return err
		}
		for i := range s.touched {
			p, err := h.Partition(i)
			if err == nil {
				err = p.Sync()
			}
			if err != nil {
				return fmt.Errorf("sync the event hub %s: %w", s.name, err)
			}
			delete(s.touched, i)
		}
	}
	if s.noted >= s.last {
		return nil
	}
	if err := writeNote(s.env.State, s.id, s.last); err != nil {
		return err
	}
	s.noted = s.last
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error { return s.frames.drop() }

// noteName has the epoch of the last Sync.
const noteName = "committed.json"

type note struct {
	Producer string `json:"producer"`
	Epoch    int64  `json:"epoch"`
}

// readNote is the epoch that was noted for a producer.
func readNote(state disk.FS, producer string) (int64, error) {
	f, err := state.Open(noteName)
	if errors.Is(err, iofs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<10))
	var n note
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", state.Path(noteName), err)
	}
	if n.Producer != producer {
		return 0, nil
	}
	return n.Epoch, nil
}

func writeNote(state disk.FS, producer string, epoch int64) error {
	b, err := json.Marshal(note{producer, epoch})
	if err != nil {
		return err
	}
	return disk.WriteWhole(state, noteName, b)
}
