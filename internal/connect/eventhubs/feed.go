package eventhubs

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
	"weir/internal/vec"
)

// feed brings the events of a partition. A goroutine receives them, so that time can go on
// while it waits.
type feed struct {
	s         *source
	partition string
	client    *azeventhubs.ConsumerClient
	link      *azeventhubs.PartitionClient
	meta      *message.Meta
	next      int64 // number of the first event that was not given
	checked   bool  // that nothing is missing before the first event
	list      []message.Incoming

	came   chan received
	cancel context.CancelFunc
	done   chan struct{}
	look   time.Time // when the service was last asked for its last event
	asked  int64     // and what it said
	same   time.Time // since when it has said that, and nothing was given
	given  int64     // next at that time
}

// received is what the goroutine has received, or why it has ended.
type received struct {
	events []*azeventhubs.ReceivedEventData
	err    error
}

// begin opens the feed of a partition from a number on.
func (s *source) begin(ctx context.Context, partition string, from int64, meta *message.Meta) (message.Feed, error) {
	fail := func(err error) (message.Feed, error) {
		return nil, s.at.failed(false, "read partition "+partition, err)
	}
	x, err := s.extent(ctx, partition)
	if err != nil {
		return fail(err)
	}
	if err := s.kept(partition, from, x); err != nil {
		return fail(err)
	}
	c, err := s.events.Get()
	if err != nil {
		return fail(err)
	}
	// Behind the event before it: a number that no event has yet is an error.
	start, before := azeventhubs.StartPosition{}, from-1
	if from > x.first {
		start.SequenceNumber = &before
	} else {
		start.Earliest = new(bool)
		*start.Earliest = true
	}
	link, err := c.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{StartPosition: start, Prefetch: s.prefetch})
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{s: s, partition: partition, client: c, link: link, meta: meta, next: from, came: make(chan received), cancel: cancel, done: make(chan struct{}),
		look: time.Now(), asked: -1, given: from}
	go f.receive(ctx)
	return f, nil
}

// kept is the error of a number whose event is not there any more, or cannot be.
func (s *source) kept(partition string, from int64, x extent) error {
	switch {
	case from < x.first:
		return fmt.Errorf("event hub %s at %s: partition %s: event %d: %w: the first one is %d", s.at.hub, s.at.Host, partition, from, connect.ErrGone, x.first)
	case from > x.next:
		return fmt.Errorf("it ends before event %d, up to which the job has read: it is not the event hub that the job was run with; start the job without its state", x.next)
	}
	return nil
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// leftOut is how long nothing must come of events that are to be there, before their numbers
// are taken for ones that no event has.
const leftOut = time.Minute

const (
	// gather is how long events are collected when they come one on the heels of the other,
	// which the last many have done; else each is handed over at once.
	gather = 5 * time.Millisecond
	many   = 16
)

// receive hands over what comes: it waits for one event, and takes along what is there. A call
// of the client costs as much as some events, so it is not made for each when many come.
func (f *feed) receive(ctx context.Context) {
	defer close(f.done)
	most := int(f.s.prefetch)
	for flow := false; ; {
		list, err := f.some(ctx, flow, most)
		if flow = len(list) >= many; len(list) == 0 && err == nil {
			continue
		}
		select {
		case f.came <- received{list, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// some are the next events; with flow there may be none.
func (f *feed) some(ctx context.Context, flow bool, most int) ([]*azeventhubs.ReceivedEventData, error) {
	if flow {
		limited, cancel := context.WithTimeout(ctx, gather)
		defer cancel()
		list, err := f.link.ReceiveEvents(limited, most, nil)
		if limited.Err() != nil && ctx.Err() == nil {
			err = nil // another one comes again
		}
		return list, err
	}
	list, err := f.link.ReceiveEvents(ctx, 1, nil)
	if err != nil {
		return nil, err
	}
	// With a context that has ended the client gives what it has, and does not wait.
	more, _ := f.link.ReceiveEvents(ended, most, nil)
	return append(list, more...), nil
}

// Next implements message.Feed.
func (f *feed) Next(ctx context.Context) ([]message.Incoming, vec.Time, int64, error) {
	since := time.Since(f.look)
	if since < lookEvery {
		select {
		case r := <-f.came:
			return f.take(ctx, r)
		default:
		}
	}
	timer := time.NewTimer(max(f.s.idle-since, 0))
	defer timer.Stop()
	select {
	case r := <-f.came:
		return f.take(ctx, r)
	case <-timer.C:
		clock, err := f.idle(ctx)
		return nil, clock, 0, err
	case <-ctx.Done():
		return nil, 0, 0, ctx.Err()
	}
}

// idle asks for the last event. When it was given, all was that came before the question.
func (f *feed) idle(ctx context.Context) (vec.Time, error) {
	now := message.ToTime(f.s.clock())
	x, err := f.s.extent(ctx, f.partition)
	f.look = time.Now()
	busy := f.next != f.given
	if err != nil {
		f.asked = -1
		if f.given = f.next; busy { // events come, and so does time with them
			return 0, nil
		}
		return 0, f.s.at.failed(false, "read partition "+f.partition, err)
	}
	if x.next != f.asked || busy {
		f.same = f.look
	}
	// Numbers may be left out at the end: nothing comes then for long. It is as long as a link
	// may take that is made anew, on which the events are that there are.
	all := x.next <= f.next || f.look.Sub(f.same) >= leftOut
	f.asked, f.given = x.next, f.next
	if !all {
		return 0, nil
	}
	return now - clockMargin, nil
}

// take makes messages of events.
func (f *feed) take(ctx context.Context, r received) ([]message.Incoming, vec.Time, int64, error) {
	if r.err != nil {
		f.s.check(f.client, r.err)
		return nil, 0, 0, f.s.at.failed(false, "read partition "+f.partition, r.err)
	}
	if !f.checked && r.events[0].SequenceNumber > f.next {
		// The service goes on behind events that were removed in the meantime.
		x, err := f.s.extent(ctx, f.partition)
		if err == nil {
			err = f.s.kept(f.partition, f.next, x)
		}
		if err != nil {
			return nil, 0, 0, f.s.at.failed(false, "read partition "+f.partition, err)
		}
	}
	f.checked = true
	clear(f.list)
	f.list = f.list[:0]
	clock := vec.Time(0)
	for _, e := range r.events {
		m := message.Incoming{Seq: e.SequenceNumber, Offset: e.SequenceNumber, Body: bodyOf(e)}
		if e.EnqueuedTime != nil {
			m.Arrival = message.ToTime(*e.EnqueuedTime)
		} else {
			m.Arrival = message.ToTime(f.s.clock())
		}
		m.Properties = f.of(e, m.Arrival)
		f.list = append(f.list, m)
		f.next, clock = e.SequenceNumber+1, m.Arrival
	}
	f.s.seen(f.partition, f.next)
	return f.list, clock, 0, nil
}

// Close implements message.Feed.
func (f *feed) Close() error {
	f.cancel()
	namespace.Shut(f.link)
	<-f.done
	return nil
}

// bodyOf is the payload of an event: its data, or a value that is a text or binary.
func bodyOf(e *azeventhubs.ReceivedEventData) []byte {
	if e.Body != nil || e.RawAMQPMessage == nil {
		return e.Body
	}
	b := &e.RawAMQPMessage.Body
	switch v := b.Value.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	}
	var all []byte
	for _, d := range b.Data {
		all = append(all, d...)
	}
	return all
}

// of is the metadata of an event; nil if it is that of all.
func (f *feed) of(e *azeventhubs.ReceivedEventData, arrival vec.Time) map[string]vec.Value {
	w := &f.meta.Wants
	key := w.Key && e.PartitionKey != nil
	user := w.User && len(e.Properties) > 0
	device := w.Device && fromDevice(e)
	if !w.Place && !key && !user && !device {
		return f.meta.Shared(arrival)
	}
	own := f.meta.Own(arrival)
	if w.Place {
		message.SetPlace(own, e.SequenceNumber, e.Offset)
	}
	if key {
		message.SetKey(own, *e.PartitionKey)
	}
	if user {
		own["User"] = message.RecordOf(e.Properties)
	}
	if device {
		id := vec.NullValue()
		if p := e.RawAMQPMessage.Properties; p != nil {
			id = message.ValueOf(p.MessageID)
		}
		message.SetDevice(own, id, message.ValueOf(e.CorrelationID), func(name string) (vec.Value, bool) {
			v, ok := e.SystemProperties[name]
			return message.ValueOf(v), ok
		})
	}
	return own
}

// fromDevice tells the events that IoT Hub has taken from a device.
func fromDevice(e *azeventhubs.ReceivedEventData) bool {
	for name := range e.SystemProperties {
		if len(name) > len(message.DevicePrefix) && name[:len(message.DevicePrefix)] == message.DevicePrefix {
			return true
		}
	}
	return false
}
