package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/vec"
)

// The sizes of fetching, in bytes as they lie in the topic: packed records may come to much more
// in memory. A broker waits for fetchWait before it says that there is nothing.
const (
	fetchBytes     = 4 << 20
	fetchPartBytes = 512 << 10
	maxBatch       = 128 << 20 // of a batch that was unpacked
	fetchWait      = 500 * time.Millisecond
)

// source is an input. One client fetches all partitions that are open.
type source struct {
	link      *link
	cl        *kgo.Client
	health    *health
	pump      *pump
	committed bool // read_committed
	group     string
	format    connect.Format
	unwrap    string
	wants     wants
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex
	done    map[place]int64 // to commit for the group
	grumble string          // the last error of a commit that was logged
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	switch {
	case env.Reference:
		return fail(connect.Permanent(errors.New("a topic has no end, so it cannot be reference data")))
	case env.Format.Type == "csv" && c.Text("unwrap") != "":
		return fail(connect.Permanent(errors.New("unwrap is for JSON; remove it, or the format csv")))
	}
	l, err := linkOf(c, true)
	if err != nil {
		return fail(err)
	}
	s := &source{link: l, health: newHealth(), committed: c.Text("isolation") != readUncommitted, group: c.Text("consumer_group"),
		format: env.Format, unwrap: c.Text("unwrap"), wants: wantsOf(env.Metadata), now: env.Now, log: env.Log, done: map[place]int64{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	level := kgo.ReadUncommitted()
	if s.committed {
		level = kgo.ReadCommitted()
	}
	s.cl, err = l.client(s.health, kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.MaxDecompressBatchBytes(maxBatch), kgo.FetchMaxWait(fetchWait), kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(fetchPartBytes))
	if err != nil {
		return fail(err)
	}
	if err := settled(ctx, s.cl, l.topics); err != nil {
		s.cl.Close()
		return fail(l.atStart("topic "+strings.Join(l.topics, ", "), s.health, err))
	}
	s.pump = newPump(s)
	return s, nil
}

// Partitions implements connect.Source: "0", "1" ... of one topic, "orders/0" ... of several.
func (s *source) Partitions(ctx context.Context) ([]string, error) {
	counts, err := partitionsOf(ctx, s.cl, s.link.topics)
	if err != nil {
		return nil, s.link.while("topic "+strings.Join(s.link.topics, ", "), s.health, err)
	}
	var names []string
	for _, t := range s.link.topics {
		for i := range counts[t] {
			if len(s.link.topics) == 1 {
				names = append(names, strconv.Itoa(i))
			} else {
				names = append(names, t+"/"+strconv.Itoa(i))
			}
		}
	}
	return names, nil
}

// place reads the name of a partition.
func (s *source) place(name string) (place, error) {
	topic, number := s.link.topics[0], name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		topic, number = name[:i], name[i+1:]
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 0 {
		return place{}, fmt.Errorf("there is no partition %.80q", name)
	}
	return place{topic, int32(n)}, nil
}

// Seek implements connect.Source.
func (s *source) Seek(ctx context.Context, partition string, arrived vec.Time) (connect.Position, error) {
	p, err := s.place(partition)
	if err != nil {
		return "", err
	}
	millis := int64(offsetEnd)
	switch {
	case arrived < unixTicks:
		millis = offsetFirst
	case arrived < vec.MaxTime:
		millis = int64((arrived - unixTicks + vec.Millisecond - 1) / vec.Millisecond)
	}
	n, err := listOffset(ctx, s.cl, millis, s.committed, p)
	if err == nil && n < 0 { // nothing is as late
		n, err = listOffset(ctx, s.cl, offsetEnd, s.committed, p)
	}
	if err != nil {
		return "", s.link.while(p.String(), s.health, err)
	}
	return position(n, vec.MinTime), nil
}

// Open implements connect.Source.
func (s *source) Open(ctx context.Context, partition string, after connect.Position) (connect.Reader, error) {
	p, err := s.place(partition)
	if err != nil {
		return nil, err
	}
	from, high := int64(0), vec.MinTime
	if after != "" {
		from, high, err = parsePosition(after)
	} else if from, err = listOffset(ctx, s.cl, offsetFirst, s.committed, p); err != nil {
		err = s.link.while(p.String(), s.health, err)
	}
	if err != nil {
		return nil, err
	}
	begin := func(_ context.Context, from int64) (message.Feed, error) { return s.pump.open(p, from), nil }
	r := message.NewReader(from, begin, message.NewCutter(s.format, s.unwrap), newMeta(s.wants, p).Chunk())
	return &reader{Reader: r, source: s, place: p, high: high}, nil
}

// Done implements connect.Source: a group that is named shows how far the job is.
func (s *source) Done(_ context.Context, partition string, upTo connect.Position) error {
	if s.group == "" || upTo == "" {
		return nil
	}
	p, err := s.place(partition)
	if err != nil {
		return err
	}
	n, _, err := parsePosition(upTo)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[p] = n
	return nil
}

// Waiting implements connect.Backlog, by what the last answers said.
func (s *source) Waiting(partition string, after connect.Position) (events int64, ok bool) {
	p, err := s.place(partition)
	if err != nil {
		return 0, false
	}
	from := int64(0)
	if after != "" {
		if from, _, err = parsePosition(after); err != nil {
			return 0, false
		}
	}
	end, ok := s.pump.endOf(p)
	return max(end-from, 0), ok
}

// Close implements connect.Source.
func (s *source) Close() error {
	s.pump.close()
	s.cl.Close()
	return nil
}

// outOfRange says why a partition does not have an offset.
func (s *source) outOfRange(ctx context.Context, p place, at int64) error {
	first, err := listOffset(ctx, s.cl, offsetFirst, s.committed, p)
	if err != nil {
		return err
	}
	if at < first {
		return fmt.Errorf("offset %d, and the first that is kept is %d: %w", at, first, connect.ErrGone)
	}
	return s.endsBefore(at)
}

// endsBefore is the error of a topic that has lost records which the job has read.
func (s *source) endsBefore(at int64) error {
	return fmt.Errorf("the topic ends before offset %d, up to which the job has read: it was made again, or a broker has lost records; start the job without its state", at)
}

// isGone tells the answer of a broker to an offset that it does not have.
func isGone(err error) bool { return errors.Is(err, kerr.OffsetOutOfRange) }
