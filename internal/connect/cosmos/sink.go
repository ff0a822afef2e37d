package cosmos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"strings"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

const (
	noteName  = "committed.json" // the epoch of the last Sync, in the state directory
	spillName = "epoch.rows"     // rows of an epoch that are too many for memory
	// maxBuffered is how many bytes of an epoch's rows are held in memory; what comes before
	// them waits in a file.
	maxBuffered = 8 << 20
)

// sink writes rows as documents. Those of an epoch wait until Prepare, which sends them.
type sink struct {
	env  connect.SinkEnv
	docs *documents
	to   *writer

	last  int64 // epoch that is committed
	noted int64 // epoch that the state has as committed

	epoch int64 // that the rows below are of
	n     int64 // rows of it
	done  []bool
	sent  bool
	buf   []byte     // frames, behind those in spill
	spill *disk.Tail // nil if there are none
	read  []byte     // a window of frames
}

// note is what the state directory says.
type note struct {
	Job, Output, Instance string
	Epoch                 int64
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if env.Format.Type != "" && env.Format.Type != "json" {
		return fail(connect.Permanent(fmt.Errorf("documents are JSON; remove the format %q", env.Format.Type)))
	}
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s := &sink{env: env}
	if err := s.recall(); err != nil {
		return fail(err)
	}
	target, err := dial(ctx, c, int(c.Int("writers")))
	if err != nil {
		return fail(err)
	}
	key, err := keyField(c, target)
	if err == nil {
		s.docs, err = newDocuments(env, c.Text("document_id"), key)
	}
	if err != nil {
		return fail(errors.Join(connect.Permanent(fmt.Errorf("%s: %w", target.where, err)), target.Close()))
	}
	s.to = newWriter(target, c, key != "")
	return s, nil
}

// keyField is the field of the container's partition key; "" if it has none.
func keyField(c connect.Config, target *container) (string, error) {
	want := strings.TrimPrefix(c.Text("partition_key"), "/")
	switch {
	case len(target.keys) == 0 || target.keys[0] == "/_partitionKey":
		if want != "" {
			return "", fmt.Errorf("the container has no partition key; remove partition_key: %s", want)
		}
		return "", nil
	case len(target.keys) > 1:
		return "", fmt.Errorf("the container has a partition key of several levels (%s); outputs write containers with one, at the top level of documents", strings.Join(target.keys, ", "))
	}
	key := strings.Trim(strings.TrimPrefix(target.keys[0], "/"), `"`)
	if strings.Contains(key, "/") {
		return "", fmt.Errorf("the partition key of the container is %s; outputs write containers whose key is at the top level of documents", target.keys[0])
	}
	if want != "" && !strings.EqualFold(want, key) {
		return "", fmt.Errorf("the partition key of the container is /%s, not /%s; remove partition_key, or make a container with that key", key, want)
	}
	return key, nil
}

// recall reads which epoch is known to be there.
func (s *sink) recall() error {
	if err := s.env.State.Remove(spillName); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	f, err := s.env.State.Open(noteName)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var n note
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.env.State.Path(noteName), err)
	}
	if n.Job == s.env.Job && n.Output == s.env.Output && n.Instance == s.env.Instance {
		s.last, s.noted = n.Epoch, n.Epoch
	}
	return nil
}

// Committed implements connect.Sink: the epoch of the last Sync. Later ones may be there too;
// they replace themselves when they come again.
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
		if err := s.unload(); err != nil {
			return fmt.Errorf("%s: %w", s.env.State.Path(spillName), err)
		}
	}
	for _, f := range s.docs.make(b, epoch, s.n) {
		s.buf = appendFrame(s.buf, &f)
	}
	s.n += int64(b.N)
	return nil
}

// unload moves the rows in memory to the file.
func (s *sink) unload() error {
	if s.spill == nil {
		f, err := s.env.State.Create(spillName)
		if err != nil {
			return err
		}
		if s.spill, err = disk.NewTail(f, 0); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := s.spill.Append(s.buf); err != nil {
		return err
	}
	s.buf = s.buf[:0]
	return nil
}

// drop forgets the rows of the epoch.
func (s *sink) drop() {
	if s.spill != nil {
		// What stays of the file is in nobody's way: the next one begins empty.
		if err := errors.Join(s.spill.Close(), s.env.State.Remove(spillName)); err != nil {
			s.env.Log.Warn("rows that were written could not be removed", "file", s.env.State.Path(spillName), "error", err)
		}
		s.spill = nil
	}
	if cap(s.buf) > 2*maxBuffered {
		s.buf = nil
	}
	s.buf, s.n, s.done, s.sent = s.buf[:0], 0, nil, false
}

// Prepare implements connect.Sink: it sends the documents, some megabytes at a time. What was
// taken stays so if it is called again after an error; rows that the container did not take are
// tried again, since somebody may have seen to it, and told of again.
func (s *sink) Prepare(ctx context.Context, epoch int64, _ vec.Time) error {
	if epoch <= s.last || epoch != s.epoch || s.sent {
		return nil
	}
	if s.done == nil {
		s.done = make([]bool, s.n)
	}
	s.to.begin()
	index := 0
	for off := int64(0); off < s.size(); {
		list, next, err := s.window(off, index)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.env.State.Path(spillName), err)
		}
		off, index = next, index+len(list)
		err = s.to.write(ctx, list)
		for _, d := range list {
			s.done[d.index] = d.done
		}
		if err != nil {
			return err
		}
		if err := s.tell(list); err != nil {
			return err
		}
	}
	s.sent = true
	if units := s.to.charged(); units > 0 {
		s.env.Log.Debug("documents were written", "epoch", epoch, "rows", s.n, "request_units", units)
	}
	return nil
}

// tell tells of the rows that are no documents.
func (s *sink) tell(list []*document) error {
	for _, d := range list {
		if d.bad == "" {
			continue
		}
		if err := s.env.Reject(connect.RowError{Row: bytes.Clone(d.doc), Time: d.time, Name: d.bad, Column: d.column, Reason: d.reason}); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements connect.Sink.
func (s *sink) Commit(_ context.Context, epoch int64) error {
	if epoch <= s.last {
		return nil
	}
	if epoch == s.epoch && !s.sent && s.n > 0 {
		return fmt.Errorf("commit epoch %d: its rows were not sent", epoch)
	}
	s.drop()
	s.last = epoch
	return nil
}

// Sync implements connect.Sink: it notes down what was sent, so that it is not sent again.
func (s *sink) Sync(context.Context) error {
	if s.noted >= s.last {
		return nil
	}
	b, err := json.Marshal(note{s.env.Job, s.env.Output, s.env.Instance, s.last})
	if err == nil {
		err = disk.WriteWhole(s.env.State, noteName, b)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.env.State.Path(noteName), err)
	}
	s.noted = s.last
	return nil
}

// Close implements connect.Sink.
func (s *sink) Close() error {
	s.drop()
	return s.to.target.Close()
}
