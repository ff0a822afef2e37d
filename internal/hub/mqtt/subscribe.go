package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// subscription sends the events of a hub to a subscriber, from when it subscribed on. Each
// partition has its own reader of the log, so a slow subscriber needs no memory and misses
// nothing that the hub still keeps.
type subscription struct {
	x      *session
	topic  string
	qos    byte
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// maySubscribe says whether a filter is allowed.
func (x *session) maySubscribe(filter string) bool {
	if x.device.id != "" && x.device.deaf(filter) {
		return true
	}
	name, rest, ok := hubTopic(filter, "events")
	if !ok || rest != "" {
		return false
	}
	h, err := x.s.o.Broker.Hub(name)
	return err == nil && x.grant.May(hub.Listen, h.Name(), x.s.now()) == nil
}

// watch begins to send the events of a filter that maySubscribe allows.
func (x *session) watch(cl *mochi.Client, filter string, qos byte) error {
	name, _, ok := hubTopic(filter, "events")
	if !ok {
		return nil // one to which nothing comes
	}
	x.stop(filter)
	h, err := x.s.o.Broker.Hub(name)
	if err != nil {
		return err
	}
	n := x.s.n.subscriptions.Add(1)
	if most := x.s.o.Limits.Subscriptions; n > int64(most) {
		x.s.n.subscriptions.Add(-1)
		return fmt.Errorf("too many MQTT subscriptions: %d is the most", most)
	}
	if x.ids == nil {
		x.makeWindow(cl)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sub := &subscription{x: x, topic: filter, qos: qos, cancel: cancel}
	for _, p := range h.Partitions() {
		at, err := p.Seek(hub.Position{Where: hub.Latest})
		var r *log.Reader
		if err == nil {
			r, err = p.Read(at)
		}
		if err != nil {
			sub.end()
			return err
		}
		sub.done.Go(func() { sub.run(ctx, p, r) })
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.watching == nil {
		x.watching = map[string]*subscription{}
	}
	x.watching[filter] = sub
	return nil
}

func (sub *subscription) end() {
	sub.cancel()
	sub.done.Wait()
	sub.x.s.n.subscriptions.Add(-1)
}

// stop ends what was begun by watch.
func (x *session) stop(filter string) {
	x.mu.Lock()
	sub := x.watching[filter]
	delete(x.watching, filter)
	x.mu.Unlock()
	if sub != nil {
		sub.end()
	}
}

// unwatch ends all subscriptions; the connection has been closed.
func (x *session) unwatch() {
	x.mu.Lock()
	list := x.watching
	x.watching = nil
	x.mu.Unlock()
	for _, sub := range list {
		sub.end()
	}
}

// run sends the events of a partition until ctx ends.
func (sub *subscription) run(ctx context.Context, p *hub.Partition, r *log.Reader) {
	x := sub.x
	defer func() { r.Close() }()
	for {
		b, err := r.Next()
		switch {
		case errors.Is(err, log.ErrGone):
			first := p.Range().First
			x.s.n.missed.Add(first - r.Seq())
			next, err := p.Read(first)
			if err != nil {
				continue // it has gone on meanwhile
			}
			r.Close()
			r = next
		case err != nil:
			x.s.log.Error("a hub that is watched over MQTT cannot be read", "hub", p.Hub().Name(), "partition", p.ID(), "error", err)
			x.s.disconnect(x.client(), packets.ErrUnspecifiedError)
			return
		case b == nil:
			select {
			case <-r.Ready():
			case <-ctx.Done():
				return
			}
		default:
			bytes := 0
			for _, rec := range b.Records {
				bytes += len(rec.Key) + len(rec.Value)
			}
			if sub.send(ctx, b) != nil {
				return
			}
			p.CountRead(int64(len(b.Records)), int64(bytes))
		}
	}
}

// flushAt is how many bytes are written at once, so that events are not written one by one.
const flushAt = 32 << 10

// send writes the events of a batch. Its error means that the subscription has ended.
func (sub *subscription) send(ctx context.Context, b *log.Batch) error {
	x := sub.x
	var out bytes.Buffer
	flush := func() error {
		if out.Len() == 0 {
			return ctx.Err()
		}
		_, err := x.sock.Write(out.Bytes())
		out.Reset()
		return errors.Join(err, ctx.Err())
	}
	for _, rec := range b.Records {
		body, err := amqp.Body(rec.Value)
		if err != nil {
			x.s.n.missed.Add(1)
			continue
		}
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: sub.qos},
			TopicName: sub.topic, Payload: body}
		if x.v5 {
			pk.ProtocolVersion = 5
		}
		if len(body)+len(sub.topic)+16 > x.most {
			x.s.n.missed.Add(1)
			continue
		}
		if sub.qos > 0 {
			select {
			case pk.PacketID = <-x.ids:
			default: // before waiting for acknowledgements, what they are for must be out
				if err := flush(); err != nil {
					return err
				}
				select {
				case pk.PacketID = <-x.ids:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			x.sending(pk.PacketID)
		}
		if err := pk.PublishEncode(&out); err != nil {
			return err
		}
		x.s.n.delivered.Add(1)
		if out.Len() >= flushAt {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// makeWindow makes the packet ids that can wait for PUBACK at the same time: as many as the
// client takes (MQTT 5, 3.1.2.11.3) and Limits.Window allows.
func (x *session) makeWindow(cl *mochi.Client) {
	n := x.s.o.Limits.Window
	if most := int(cl.Properties.Props.ReceiveMaximum); most > 0 {
		n = min(n, most)
	}
	n = min(n, 1<<15)
	x.ids = make(chan uint16, n)
	x.sent = make([]bool, n+1)
	for id := 1; id <= n; id++ {
		x.ids <- uint16(id)
	}
}

func (x *session) sending(id uint16) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent[id] = true
}

// acked frees a packet id; one that was not waiting for it is ignored.
func (x *session) acked(id uint16) {
	x.mu.Lock()
	was := int(id) < len(x.sent) && x.sent[id]
	if was {
		x.sent[id] = false
	}
	x.mu.Unlock()
	if was {
		x.ids <- id // there is room: it came from there
	}
}
