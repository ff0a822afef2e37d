package message

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// Publisher sends the messages of epochs to a service. One goroutine at a time uses it.
type Publisher interface {
	// Committed is the last epoch that the service has whole, and knows of; 0 if it knows of
	// none. noted is the epoch that a Sync has left in the state: it has that one too, unless
	// its data were lost. -1 says that it cannot know.
	Committed(ctx context.Context, noted int64) (int64, error)
	// Publish sends all messages of an epoch, in their order, and returns when the service has
	// them for good. After an error it is called again: what it remembers of how far it came
	// (Spool.Each starts from an index) spares repeats, and ID lets receivers know them.
	Publish(ctx context.Context, epoch int64, messages *Spool) error
	// Sync makes what was published survive a loss of power, if the service has not done so.
	Sync(ctx context.Context) error
	Close() error
}

// Sink is a connect.Sink of messages: those of an epoch wait until Commit, which has the
// Publisher send them.
type Sink struct {
	env     connect.SinkEnv
	sender  string
	rows    *Rows
	spool   Spool
	publish Publisher

	last    int64 // epoch that is committed
	noted   int64 // epoch that the state has as committed
	epoch   int64 // that the rows below are of
	unknown bool  // the service cannot know what it has
}

// Sender is the name that a job's output sends under: another state of the job is another
// sender, since its epochs count anew.
func Sender(env connect.SinkEnv) string { return env.Job + "/" + env.Output + "/" + env.Instance }

// NewSink makes the sink of a publisher, which it closes. sender names the job to the service,
// as Sender does.
func NewSink(ctx context.Context, env connect.SinkEnv, sender string, rows *Rows, p Publisher) (*Sink, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	s := &Sink{env: env, sender: sender, rows: rows, publish: p, spool: Spool{state: env.State}}
	err := s.spool.clean()
	if err == nil {
		s.noted, err = readNote(env.State, sender)
	}
	if err == nil {
		s.last, err = p.Committed(ctx, s.noted)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if s.last < 0 {
		s.last, s.unknown = s.noted, true
	}
	return s, nil
}

// Committed implements connect.Sink.
func (s *Sink) Committed(context.Context) (int64, error) {
	if s.unknown {
		return -1, nil
	}
	return s.last, nil
}

// Write implements connect.Sink.
func (s *Sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch <= s.last || b.N == 0 {
		return nil
	}
	if epoch != s.epoch {
		s.begin(epoch)
	}
	if err := s.spool.room(); err != nil {
		return err
	}
	s.rows.Add(b, &s.spool)
	return nil
}

// begin forgets the rows that wait, for those of an epoch.
func (s *Sink) begin(epoch int64) {
	s.rows.Drop()
	if err := s.spool.drop(); err != nil {
		// What stays of the file is in nobody's way: the next one begins empty.
		s.env.Log.Warn("rows that were written could not be removed", "file", s.env.State.Path(spillName), "error", err)
	}
	s.epoch = epoch
}

// Prepare implements connect.Sink: it tells of the rows that no message can hold.
func (s *Sink) Prepare(_ context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.last || epoch != s.epoch {
		return nil
	}
	s.rows.Seal(&s.spool)
	if s.spool.bad == 0 {
		return nil
	}
	return s.spool.each(func(f *frame) error {
		if f.bad == "" {
			return nil
		}
		return s.env.Reject(connect.RowError{Row: bytes.Clone(f.Body), Time: f.Time, Name: f.bad, Column: f.column, Reason: f.reason})
	})
}

// Commit implements connect.Sink.
func (s *Sink) Commit(ctx context.Context, epoch int64) error {
	if epoch <= s.last {
		return nil
	}
	if epoch == s.epoch {
		s.rows.Seal(&s.spool)
		if s.spool.good > 0 {
			if err := s.publish.Publish(ctx, epoch, &s.spool); err != nil {
				return err
			}
		}
		s.begin(0)
	}
	s.last = epoch
	return nil
}

// Sync implements connect.Sink.
func (s *Sink) Sync(ctx context.Context) error {
	if err := s.publish.Sync(ctx); err != nil {
		return err
	}
	if s.noted >= s.last {
		return nil
	}
	if err := writeNote(s.env.State, s.sender, s.last); err != nil {
		return err
	}
	s.noted = s.last
	return nil
}

// Close implements connect.Sink.
func (s *Sink) Close() error { return errors.Join(s.spool.drop(), s.publish.Close()) }

// noteName has the epoch of the last Sync.
const noteName = "committed.json"

type note struct {
	Producer string `json:"producer"`
	Epoch    int64  `json:"epoch"`
}

// readNote is the epoch that was noted for a sender.
func readNote(state disk.FS, sender string) (int64, error) {
	f, err := state.Open(noteName)
	if errors.Is(err, iofs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4<<10))
	var n note
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", state.Path(noteName), err)
	}
	if n.Producer != sender {
		return 0, nil
	}
	return n.Epoch, nil
}

func writeNote(state disk.FS, sender string, epoch int64) error {
	b, err := json.Marshal(note{sender, epoch})
	if err != nil {
		return err
	}
	return disk.WriteWhole(state, noteName, b)
}
