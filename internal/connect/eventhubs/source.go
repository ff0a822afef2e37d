package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
	"weir/internal/vec"
)

const (
	// listEvery is how often the service is asked for its partitions, and listWithin how long
	// it may take to answer when they are known.
	listEvery  = time.Minute
	listWithin = 5 * time.Second
	// clockMargin is how far the clocks of this machine and of the service may be apart: as
	// much is time behind in partitions in which nothing happens.
	clockMargin = vec.Second
	// lookEvery is how often the last event of a partition is asked for while events come.
	lookEvery = 10 * time.Second
)

// source is an input that reads an event hub. Positions are sequence numbers.
type source struct {
	at       *endpoint
	format   connect.Format
	unwrap   string
	prefetch int32
	idle     time.Duration
	wants    message.Wants
	log      *slog.Logger
	clock    func() time.Time

	events namespace.Held[*azeventhubs.ConsumerClient]
	asks   namespace.Held[*azeventhubs.ProducerClient] // questions take no right to send
	asking sync.WaitGroup

	parts  []string
	listed time.Time
	ends   sync.Map // partition: *atomic.Int64, the number behind the last event that is known of
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	at, problems := endpointOf(c)
	problems = append(problems, check(c, true)...)
	switch {
	case len(problems) > 0:
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	case env.Reference:
		return fail(connect.Permanent(errors.New("an event hub has no end, so it cannot be reference data")))
	case env.Format.Type == "csv" && c.Text("unwrap") != "":
		return fail(connect.Permanent(errors.New("unwrap is for JSON; remove it, or the format csv")))
	}
	if err := message.Check(env.Format); err != nil {
		return fail(connect.Permanent(err))
	}
	if _, err := at.TLS(); err != nil {
		return fail(connect.Permanent(err))
	}
	s := &source{at: at, format: env.Format, unwrap: c.Text("unwrap"), prefetch: int32(c.Int("prefetch")), idle: c.Duration("idle_check"),
		wants: message.WantsOf(env.Metadata), log: env.Log, clock: env.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.events.Make, s.asks.Make = at.consumer, at.producer
	if err := s.list(ctx); err != nil {
		return fail(errors.Join(at.failed(true, "ask for its partitions", err), s.Close()))
	}
	return s, nil
}

// ask asks the service a question. The client's own calls go on when their context has ended;
// closing its connection ends them.
func ask[T any](ctx context.Context, s *source, within time.Duration, question func(context.Context, *azeventhubs.ProducerClient) (T, error)) (answer T, err error) {
	c, err := s.asks.Get()
	if err != nil {
		return answer, err
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	done := make(chan error, 1)
	got := new(T)
	s.asking.Go(func() {
		var err error
		*got, err = question(limited, c)
		done <- err
	})
	select {
	case err = <-done:
	case <-limited.Done():
		if err = ctx.Err(); err == nil {
			err = fmt.Errorf("no answer in %s", within)
		}
		s.asks.Drop(c)
		return answer, err
	}
	if err != nil {
		if k := namespace.KindOf(err); k == namespace.Lost || k == namespace.Other {
			s.asks.Drop(c)
		}
		return answer, err
	}
	return *got, nil
}

// list asks for the partitions. New ones come behind those that are known.
func (s *source) list(ctx context.Context) error {
	within := s.at.within
	if s.parts != nil {
		within = min(within, listWithin)
	}
	s.listed = s.clock()
	p, err := ask(ctx, s, within, func(ctx context.Context, c *azeventhubs.ProducerClient) (azeventhubs.EventHubProperties, error) {
		return c.GetEventHubProperties(ctx, nil)
	})
	if err != nil {
		return err
	}
	ids := slices.Clone(p.PartitionIDs)
	slices.SortFunc(ids, func(a, b string) int { return number(a) - number(b) })
	for _, id := range ids {
		if !slices.Contains(s.parts, id) {
			s.parts = append(s.parts, id)
		}
	}
	if len(s.parts) == 0 {
		return errors.New("it has no partitions")
	}
	return nil
}

func number(partition string) int {
	n, _ := strconv.Atoi(partition)
	return n
}

// Partitions are those of the hub: "0", "1" ... When they are known and the service does not
// answer, they stay as they are.
func (s *source) Partitions(ctx context.Context) ([]string, error) {
	if s.clock().Sub(s.listed) >= listEvery {
		if err := s.list(ctx); err != nil {
			s.log.Debug("the partitions of an event hub are not known anew", "hub", s.at.hub, "error", s.at.failed(false, "ask for its partitions", err))
		}
	}
	return slices.Clone(s.parts), nil
}

// extent is the events that a partition has: first is the number of the first one that is kept,
// and next the one behind the last.
type extent struct {
	first, next int64
	lastAt      time.Time
}

func (s *source) extent(ctx context.Context, partition string) (extent, error) {
	p, err := ask(ctx, s, s.at.within, func(ctx context.Context, c *azeventhubs.ProducerClient) (azeventhubs.PartitionProperties, error) {
		return c.GetPartitionProperties(ctx, partition, nil)
	})
	if err != nil {
		return extent{}, err
	}
	x := extent{first: p.BeginningSequenceNumber, next: p.LastEnqueuedSequenceNumber + 1, lastAt: p.LastEnqueuedOn}
	if p.IsEmpty {
		x.first = x.next
	}
	s.seen(partition, x.next)
	return x, nil
}

// seen notes that a partition goes up to a number.
func (s *source) seen(partition string, next int64) {
	v, ok := s.ends.Load(partition)
	if !ok {
		v, _ = s.ends.LoadOrStore(partition, new(atomic.Int64))
	}
	n := v.(*atomic.Int64)
	for old := n.Load(); old < next && !n.CompareAndSwap(old, next); old = n.Load() {
	}
}

// Seek implements connect.Source.
func (s *source) Seek(ctx context.Context, partition string, arrived vec.Time) (connect.Position, error) {
	doing := "look into partition " + partition
	x, err := s.extent(ctx, partition)
	switch {
	case err != nil:
		return "", s.at.failed(false, doing, err)
	case arrived <= 0:
		return message.Position(x.first), nil
	case arrived > vec.MaxDatetime || x.first == x.next:
		return message.Position(x.next), nil
	}
	from := message.FromTime(arrived)
	if up := from.Truncate(time.Millisecond); up != from { // the service counts in milliseconds
		from = up.Add(time.Millisecond)
	}
	if x.lastAt.Before(from) {
		return message.Position(x.next), nil
	}
	seq, err := s.firstSince(ctx, partition, from)
	if err != nil {
		return "", s.at.failed(false, doing, err)
	}
	return message.Position(max(seq, x.first)), nil
}

// firstSince is the number of the first event at or after a time. There is one.
func (s *source) firstSince(ctx context.Context, partition string, from time.Time) (int64, error) {
	c, err := s.events.Get()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.at.within)
	defer cancel()
	p, err := c.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{Prefetch: 1,
		StartPosition: azeventhubs.StartPosition{EnqueuedTime: &from, Inclusive: true}})
	if err != nil {
		return 0, err
	}
	defer namespace.Shut(p)
	list, err := p.ReceiveEvents(ctx, 1, nil)
	if err != nil {
		s.check(c, err)
		return 0, err
	}
	return list[0].SequenceNumber, nil
}

// check drops the connection of events when an error says that it is of no use any more.
func (s *source) check(c *azeventhubs.ConsumerClient, err error) {
	if k := namespace.KindOf(err); k == namespace.Lost || errors.Is(err, context.DeadlineExceeded) {
		s.events.Drop(c)
	}
}

// Open implements connect.Source.
func (s *source) Open(ctx context.Context, partition string, after connect.Position) (connect.Reader, error) {
	from := int64(0)
	var err error
	if after == "" {
		var x extent
		if x, err = s.extent(ctx, partition); err != nil {
			return nil, s.at.failed(false, "look into partition "+partition, err)
		}
		from = x.first
	} else if from, err = message.Number(after); err != nil {
		return nil, err
	}
	meta := message.NewMeta(s.wants, number(partition))
	begin := func(ctx context.Context, from int64) (message.Feed, error) {
		return s.begin(ctx, partition, from, meta)
	}
	return message.NewReader(from, begin, message.NewCutter(s.format, s.unwrap), meta.Chunk()), nil
}

// Done has nothing to tell: the service keeps events as long as it is told to, read or not.
func (s *source) Done(context.Context, string, connect.Position) error { return nil }

// Waiting implements connect.Backlog, by what the service said last. Numbers that were left out
// count.
func (s *source) Waiting(partition string, after connect.Position) (int64, bool) {
	v, ok := s.ends.Load(partition)
	n, err := message.Number(after)
	if !ok || err != nil {
		return 0, false
	}
	return max(v.(*atomic.Int64).Load()-n, 0), true
}

// Close implements connect.Source.
func (s *source) Close() error {
	s.events.Close()
	s.asks.Close()
	s.asking.Wait()
	return nil
}
