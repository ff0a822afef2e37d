package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"

	"weir/internal/connect"
	"weir/internal/connect/message"
)

// publisher publishes the messages of epochs.
type publisher struct {
	broker      *broker
	sender      string
	topic       string // "" if messages say where they go
	qos         byte
	retain      bool
	contentType string
	window      int

	link  *link // nil if there is none
	acks  *answers
	epoch int64 // that came last, and how many of its messages have been answered
	from  int
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	sender := message.Sender(env)
	b, err := newBroker(c, "out/"+sender)
	if err != nil {
		return fail(err)
	}
	o := message.FromConfig(c, env, int(c.Int("max_message")))
	p := &publisher{broker: b, sender: sender, qos: c.Text("qos")[0] - '0', retain: c.Bool("retain"), contentType: c.Text("content_type"), window: int(c.Int("window"))}
	if t := c.Text("topic"); strings.ContainsAny(t, "{}") {
		o.To, o.CheckTo = t, badTopic
	} else {
		p.topic = t
	}
	if err := p.open(ctx); err != nil {
		return fail(atStart(err))
	}
	o.Limit = min(o.Limit, p.room()) - len(p.topic) - len(p.contentType) - len(sender) - idOverhead
	rows, err := message.NewRows(o)
	if err != nil {
		p.link.bye()
		return fail(connect.Permanent(err))
	}
	s, err := message.NewSink(ctx, env, sender, rows, p)
	if err != nil {
		return fail(err)
	}
	return s, nil
}

// idOverhead is about what the id and the framing add to a message, in bytes.
const idOverhead = 128

// room is the largest packet that the broker takes, in bytes.
func (p *publisher) room() int {
	if c := p.link.connack.Properties; c != nil && c.MaximumPacketSize != nil {
		return int(min(*c.MaximumPacketSize, MaxPacket))
	}
	return MaxPacket
}

// open connects, unless there is a connection.
func (p *publisher) open(ctx context.Context) error {
	if p.link != nil {
		select {
		case <-p.link.Done():
			p.link = nil
		default:
			return nil
		}
	}
	acks := &answers{SessionManager: state.NewInMemory(), come: make(chan packets.ControlPacket, p.window+1)}
	l, err := p.broker.connect(ctx, options{session: acks, receive: 1, packet: MaxPacket, cleanStart: true})
	if err != nil {
		return err
	}
	if err := p.fits(l); err != nil {
		l.bye()
		return err
	}
	p.link, p.acks = l, acks
	return nil
}

// fits says what the settings ask for and the broker does not have.
func (p *publisher) fits(l *link) error {
	c := l.connack.Properties
	var err error
	switch {
	case c == nil:
	case c.MaximumQoS != nil && *c.MaximumQoS < p.qos:
		err = &refused{fmt.Sprintf("its highest qos is %d, and %d is asked for", *c.MaximumQoS, p.qos), 0x9b, ""}
	case !c.RetainAvailable && p.retain:
		err = &refused{"the output has retain: true", 0x9a, ""}
	}
	if err != nil {
		return fmt.Errorf("MQTT broker %s: %w", p.broker.address(), err)
	}
	return nil
}

// answers is a session that has the answers to what was published in one place, in the order
// in which they come. paho's own way is a goroutine for each message, which keeps no order.
type answers struct {
	session.SessionManager
	come chan packets.ControlPacket // has room for all that is under way
	last uint16                     // identifier of the message that was added last
}

// AddToSession implements session.SessionManager.
func (a *answers) AddToSession(ctx context.Context, packet session.Packet, resp chan<- packets.ControlPacket) error {
	pb, ok := packet.(*packets.Publish)
	if !ok {
		return a.SessionManager.AddToSession(ctx, packet, resp)
	}
	err := a.SessionManager.AddToSession(ctx, packet, a.come)
	a.last = pb.PacketID
	return err
}

// Committed implements message.Publisher: a broker does not know what it has passed on.
func (p *publisher) Committed(context.Context, int64) (int64, error) { return -1, nil }

// Sync implements message.Publisher: what was answered is the broker's.
func (p *publisher) Sync(context.Context) error { return nil }

// Close implements message.Publisher.
func (p *publisher) Close() error {
	if p.link != nil {
		p.link.bye()
		p.link = nil
	}
	return nil
}

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	if epoch != p.epoch {
		p.epoch, p.from = epoch, 0
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	p.link.wire.cork(true)
	w := &flight{p: p, window: p.width(), under: make(map[uint16]int, p.window), next: p.from}
	err := messages.Each(p.from, func(i int, m *message.Message) error { return w.send(ctx, i, m) })
	for err == nil && len(w.under) > 0 {
		err = w.answer(ctx, true)
	}
	if err == nil {
		p.link.wire.cork(false)
		return nil
	}
	// Which answers are still to come is not known: a new connection begins without any.
	p.from = w.first()
	p.link.bye()
	p.link = nil
	return err
}

// flight is an attempt to publish an epoch.
type flight struct {
	p      *publisher
	window int
	under  map[uint16]int // index of each message that has no answer, by its identifier
	next   int            // index of the next message to send
}

// width is how many messages may be without an answer at a time.
func (p *publisher) width() int {
	if c := p.link.connack.Properties; c != nil && c.ReceiveMaximum != nil {
		return min(p.window, int(*c.ReceiveMaximum))
	}
	return p.window
}

// first is the index of the first message without an answer.
func (w *flight) first() int {
	least := w.next
	for _, i := range w.under {
		least = min(least, i)
	}
	return least
}

// send publishes a message, when the window has room.
func (w *flight) send(ctx context.Context, index int, m *message.Message) error {
	p := w.p
	// A window that is full is let half empty, so that packets leave together.
	for least := w.window; len(w.under) > 0; {
		full := len(w.under) >= least
		if full {
			least = w.window/2 + 1
		}
		if err := w.answer(ctx, full); errors.Is(err, errNone) {
			break
		} else if err != nil {
			return err
		}
	}
	topic := p.topic
	if topic == "" {
		topic = string(m.To)
	}
	pub := &paho.Publish{QoS: p.qos, Retain: p.retain, Topic: topic, Payload: m.Body,
		Properties: &paho.PublishProperties{ContentType: p.contentType, User: make(paho.UserProperties, 0, 1+len(m.Properties))}}
	pub.Properties.User = append(pub.Properties.User, paho.UserProperty{Key: IDProperty, Value: message.ID(p.sender, p.epoch, index)})
	for _, x := range m.Properties {
		pub.Properties.User = append(pub.Properties.User, paho.UserProperty{Key: x.Name, Value: textOf(x)})
	}
	_, err := p.link.PublishWithOptions(ctx, pub, paho.PublishOptions{Method: paho.PublishMethod_AsyncSend})
	if err != nil {
		return w.lost(ctx, err)
	}
	if p.qos > 0 {
		w.under[p.acks.last] = index
	}
	w.next = index + 1
	return nil
}

func textOf(p message.Property) string {
	if s, ok := p.Any().(string); ok {
		return s
	}
	return p.Value.String()
}

// errNone: there is no answer now.
var errNone = errors.New("no answer")

// answer takes the next answer. Without wait errNone says that there is none yet.
func (w *flight) answer(ctx context.Context, wait bool) error {
	p := w.p
	var got packets.ControlPacket
	select {
	case got = <-p.acks.come:
	default:
		if !wait {
			return errNone
		}
		p.link.wire.cork(false)
		defer p.link.wire.cork(true)
		t := time.NewTimer(p.broker.timeout)
		defer t.Stop()
		select {
		case got = <-p.acks.come:
		case <-p.link.Done():
			return p.link.why()
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return w.lost(ctx, context.DeadlineExceeded)
		}
	}
	id, code := got.PacketID(), byte(0)
	switch c := got.Content.(type) {
	case *packets.Puback:
		code = c.ReasonCode
	case *packets.Pubrec:
		code = c.ReasonCode
	case *packets.Pubcomp:
		code = c.ReasonCode
	default: // the session was cleaned: the connection has ended
		return p.link.why()
	}
	if code >= 0x80 {
		return fmt.Errorf("MQTT broker %s: %w", p.broker.address(), &refused{"it refuses a message on " + p.where(), code, ""})
	}
	delete(w.under, id)
	return nil
}

// where is the topic for people.
func (p *publisher) where() string {
	if p.topic == "" {
		return "one of the topics that rows name"
	}
	return fmt.Sprintf("%.200q", p.topic)
}

// lost is the error of a message that could not be sent, or had no answer.
func (w *flight) lost(ctx context.Context, err error) error {
	select {
	case <-w.p.link.Done():
		return w.p.link.why()
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it has not acknowledged a message within %s", w.p.broker.timeout)
	}
	return fmt.Errorf("MQTT broker %s: publish on %s: %w", w.p.broker.address(), w.p.where(), err)
}
