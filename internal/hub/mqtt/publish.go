package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// message is something published that waits for the log.
type message struct {
	to    *hub.Partition
	event hub.Event
	id    uint16       // packet id; 0 is QoS 0
	no    packets.Code // why it is not for the log; no.Code is 0 if it is
}

func (m message) size() int { return len(m.event.Key) + len(m.event.Message) + 64 }

// target is a topic that the client may publish to.
type target struct {
	hub *hub.Hub
	bag []pair
}

// denied is why something published is not taken.
type denied struct {
	code packets.Code
	err  error
}

// Error says why.
func (d *denied) Error() string { return d.err.Error() }

func (x *session) target(topic string) (target, *denied) {
	invalid := func(code packets.Code, format string, args ...any) (target, *denied) {
		return target{}, &denied{code, fmt.Errorf(format, args...)}
	}
	var h *hub.Hub
	var bag string
	var ok bool
	if x.device.id != "" {
		h = x.hub
		if bag, ok = x.device.telemetry(topic); !ok {
			return invalid(packets.ErrTopicNameInvalid, "a device sends to devices/{its id}/messages/events/ and not to %.80q", topic)
		}
	} else {
		var name string
		if name, bag, ok = hubTopic(topic, "messages"); !ok {
			return invalid(packets.ErrTopicNameInvalid, "events are sent to hubs/{hub}/messages and not to %.80q", topic)
		}
		var err error
		if h, err = x.s.o.Broker.Hub(name); err != nil {
			return invalid(packets.ErrTopicNameInvalid, "%w", err)
		}
	}
	if err := x.grant.May(hub.Send, h.Name(), x.s.now()); err != nil {
		return invalid(packets.ErrNotAuthorized, "%w", err)
	}
	list, ok := parseBag(bag)
	if !ok {
		return invalid(packets.ErrTopicNameInvalid, "the properties in the topic are not URL-encoded")
	}
	return target{h, list}, nil
}

// publish queues a message for the log. It waits while the queue is full.
func (x *session) publish(pk packets.Packet) {
	m := message{id: pk.PacketID}
	t, no := x.target(pk.TopicName)
	if no == nil {
		m.event = hub.Event{Key: x.key, Message: x.encode(t, pk)}
		m.to = x.route(t.hub)
		if most, _ := x.s.o.Broker.Limits(); len(m.event.Message) > most {
			no = &denied{packets.ErrPacketTooLarge, fmt.Errorf("%w: %d bytes is the most", hub.ErrTooLarge, most)}
		}
	}
	if no != nil {
		x.s.log.Warn("an MQTT message is refused", "remote", x.sock.RemoteAddr().String(), "error", no.err)
		m.no, m.event, m.to = no.code, hub.Event{}, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for n := m.size(); x.queued > 0 && x.queued+x.taken+n > x.s.o.Limits.QueueBytes; {
		x.changed.Wait()
	}
	x.queue = append(x.queue, m)
	x.queued += m.size()
	if !x.working {
		x.working = true
		go x.work()
	}
}

// route is the partition of what the client sends: that of its key or, without one, the same
// for all it sends, so that its order is kept.
func (x *session) route(h *hub.Hub) *hub.Partition {
	if x.key != nil {
		return h.Route(x.key)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.parts[h.Name()]
	if p == nil || p.Hub() != h {
		if x.parts == nil {
			x.parts = map[string]*hub.Partition{}
		}
		p = h.Route(nil)
		x.parts[h.Name()] = p
	}
	return p
}

// work writes what is queued until nothing is.
func (x *session) work() {
	var list []message
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.queue) > 0 {
		list, x.queue = x.queue, list[:0]
		x.taken, x.queued = x.queued, 0
		x.changed.Broadcast()
		x.mu.Unlock()
		x.write(list)
		clear(list)
		x.mu.Lock()
		x.taken = 0
	}
	x.queue = nil
	x.working = false
	x.changed.Broadcast()
}

// write appends messages in their order, as many at once as go to the same partition and fit,
// and answers them.
func (x *session) write(list []message) {
	_, most := x.s.o.Broker.Limits()
	var acks []byte
	var events []hub.Event
	for len(list) > 0 {
		n, size := 0, 0
		events = events[:0]
		for ; n < len(list) && list[n].to == list[0].to && list[n].no.Code == 0; n++ {
			size += list[n].size()
			if n > 0 && size > most {
				break
			}
			events = append(events, list[n].event)
		}
		code := list[0].no
		if n == 0 {
			n = 1
			x.s.n.failed.Add(1)
		} else {
			code = x.append(list[0].to, events)
		}
		for _, m := range list[:n] {
			if m.id == 0 {
				continue
			}
			if code.Code != 0 && !x.v5 {
				// MQTT 3.1.1 cannot say no: the client sees its connection end, and sends again
				// what was not acknowledged.
				x.flush(acks)
				x.s.disconnect(x.client(), code)
				return
			}
			acks = appendAck(acks, m.id, code.Code)
		}
		list = list[n:]
	}
	x.flush(acks)
}

func (x *session) flush(acks []byte) {
	if len(acks) > 0 {
		_, _ = x.sock.Write(acks) // it closes the connection if it fails
	}
}

// appendAck appends a PUBACK. With a reason that is not success it is MQTT 5's (3.4.2).
func appendAck(b []byte, id uint16, reason byte) []byte {
	if reason == 0 {
		return append(b, byte(packets.Puback)<<4, 2, byte(id>>8), byte(id))
	}
	return append(b, byte(packets.Puback)<<4, 3, byte(id>>8), byte(id), reason)
}

// append appends events and says how MQTT 5 calls what went wrong.
func (x *session) append(p *hub.Partition, events []hub.Event) packets.Code {
	_, err := p.Append(events, nil)
	if err == nil {
		x.s.n.events.Add(int64(len(events)))
		return packets.Code{}
	}
	x.s.n.failed.Add(int64(len(events)))
	x.s.log.Warn("events of an MQTT client could not be appended", "hub", p.Hub().Name(), "partition", p.ID(), "events", len(events), "error", err)
	switch {
	case errors.Is(err, hub.ErrTooLarge):
		return packets.ErrPacketTooLarge
	case errors.Is(err, log.ErrBusy), errors.Is(err, log.ErrLogFull):
		return packets.ErrQuotaExceeded
	}
	return packets.ErrUnspecifiedError
}

// sendWill appends the last message of a device, as IoT Hub does (iothub-MessageType: Will).
func (x *session) sendWill() {
	t, no := x.target(x.will.TopicName)
	if no != nil {
		x.s.n.failed.Add(1)
		x.s.log.Warn("the will of an MQTT client is refused", "error", no.err)
		return
	}
	t.bag = append(t.bag, pair{"iothub-MessageType", "Will"})
	x.append(x.route(t.hub), []hub.Event{{Key: x.key, Message: x.encode(t, *x.will)}})
}

// encode makes the event of a message: what IoT Hub makes of a device's, or a plain one.
func (x *session) encode(t target, pk packets.Packet) []byte {
	now := x.s.now().UTC()
	m := amqp.Message{Body: pk.Payload}
	if d := x.device; d.id != "" {
		m.Annotations = append(m.Annotations,
			amqp.Pair{Key: "iothub-connection-device-id", Value: d.id},
			amqp.Pair{Key: "iothub-connection-auth-method", Value: string(x.method)},
			amqp.Pair{Key: "iothub-connection-auth-generation-id", Value: generation},
			amqp.Pair{Key: "iothub-enqueuedtime", Value: now},
			amqp.Pair{Key: "iothub-message-source", Value: "Telemetry"})
		if d.module != "" {
			m.Annotations = append(m.Annotations, amqp.Pair{Key: "iothub-connection-module-id", Value: d.module})
		}
		m.Properties.To = "/" + d.resource() + "/messages/events"
	}
	if p := &pk.Properties; x.v5 {
		setSymbol(&m.Properties.ContentType, p.ContentType)
		if len(p.CorrelationData) > 0 {
			m.Properties.CorrelationID = p.CorrelationData
		}
		for _, u := range p.User {
			m.Application = append(m.Application, amqp.Pair{Key: u.Key, Value: u.Val})
		}
	}
	for _, p := range t.bag {
		if !strings.HasPrefix(p.name, "$.") || !system(&m, p) {
			m.Application = append(m.Application, amqp.Pair{Key: p.name, Value: p.value})
		}
	}
	if pk.FixedHeader.Retain {
		m.Application = append(m.Application, amqp.Pair{Key: "mqtt-retain", Value: "true"})
	}
	return m.Append(nil)
}

// generation tells devices apart that had the same id one after the other. Here there is no
// registry of devices, so there is one of each.
const generation = "1"

// system sets a property of IoT Hub's own from a property bag; false is none that is known.
func system(m *amqp.Message, p pair) bool {
	switch p.name {
	case "$.mid":
		m.Properties.MessageID = p.value
	case "$.cid":
		m.Properties.CorrelationID = p.value
	case "$.uid":
		m.Properties.UserID = []byte(p.value)
	case "$.to":
		m.Properties.To = p.value
	case "$.ct":
		return setSymbol(&m.Properties.ContentType, p.value)
	case "$.ce":
		return setSymbol(&m.Properties.ContentEncoding, p.value)
	case "$.exp":
		return parseTime(&m.Properties.Expires, p.value)
	case "$.ctime":
		var at time.Time
		if !parseTime(&at, p.value) {
			return false
		}
		m.Annotations = append(m.Annotations, amqp.Pair{Key: "iothub-creation-time-utc", Value: at})
	case "$.on":
		m.Annotations = append(m.Annotations, amqp.Pair{Key: "iothub-output-name", Value: p.value})
	case "$.sub":
		m.Annotations = append(m.Annotations, amqp.Pair{Key: "dt-subject", Value: p.value})
	case "$.ifid":
		m.Annotations = append(m.Annotations, amqp.Pair{Key: "iothub-interface-id", Value: p.value})
	default:
		return false
	}
	return true
}

func parseTime(to *time.Time, s string) bool {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil {
		*to = t.UTC()
	}
	return err == nil
}

// setSymbol sets a property that AMQP has as a symbol, which is ASCII.
func setSymbol(to *string, s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	*to = s
	return true
}
