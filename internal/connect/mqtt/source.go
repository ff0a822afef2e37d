package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"

	"weir/internal/connect"
	"weir/internal/connect/intake"
	"weir/internal/connect/message"
	"weir/internal/disk"
)

// The pauses before a broker is tried again; each is twice the one before.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 15 * time.Second
)

// source is an input. Its log is the Source; a goroutine fills it.
type source struct {
	*intake.Log
	broker *broker
	o      options
	qos    byte
	topics []string
	state  disk.FS
	log    *slog.Logger
	most   int // bytes of an append

	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	fault error // why no message can come; nil if they can
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	if problems := check(c, true); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	switch {
	case env.Reference:
		return fail(connect.Permanent(errors.New("topics have no end, so they cannot be reference data")))
	case env.Format.Type == "csv" && c.Text("unwrap") != "":
		return fail(connect.Permanent(errors.New("unwrap is for JSON; remove it, or the format csv")))
	}
	b, err := newBroker(c, "in/"+env.Job+"/"+env.Input)
	if err != nil {
		return fail(err)
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s := &source{broker: b, qos: c.Text("qos")[0] - '0', topics: c.List("topics"), state: env.State, log: env.Log, done: make(chan struct{})}
	keep := intake.FromConfig(c)
	s.most = int(min(keep.MaxLog/8, MaxPacket))
	s.o = options{receive: uint16(c.Int("window")), packet: uint32(s.most), cleanStart: c.Bool("clean_start"), expiry: c.Duration("session_expiry")}
	keep.MaxAppend = 3 * s.most
	keep.Cutter = func() *message.Cutter { return message.NewCutter(env.Format, c.Text("unwrap")) }
	keep.Meta, keep.Trouble = metaOf(env.Metadata), s.trouble
	if s.Log, err = intake.Open(env, keep); err != nil {
		return fail(err)
	}
	if err := s.begin(ctx); err != nil {
		return fail(errors.Join(err, s.Log.Close()))
	}
	return s, nil
}

// begin tries the broker once, so that a refusal is told at the start, and goes on in the
// background. A broker that does not answer is waited for: what the log has can be read.
func (s *source) begin(ctx context.Context) error {
	d, err := s.subscribe(ctx)
	if err = atStart(err); connect.IsPermanent(err) {
		return err
	}
	s.setTrouble(err)
	s.o.cleanStart = s.o.cleanStart && err != nil
	var work context.Context
	work, s.stop = context.WithCancel(context.Background())
	go s.run(work, d)
	return nil
}

// Close ends the connection and closes the log. The broker keeps the session.
func (s *source) Close() error {
	s.stop()
	<-s.done
	return s.Log.Close()
}

func (s *source) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *source) setTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// run keeps the subscription up. d is the delivery that is there, nil if there is none.
func (s *source) run(ctx context.Context, d *delivery) {
	defer close(s.done)
	pause := firstPause
	for {
		if d != nil {
			s.setTrouble(nil)
			began := time.Now()
			err := d.keep(ctx)
			if ctx.Err() != nil {
				return
			}
			s.setTrouble(err)
			if time.Since(began) > longestPause {
				pause = firstPause
			}
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
		pause = min(2*pause, longestPause)
		var err error
		if d, err = s.subscribe(ctx); err != nil {
			s.setTrouble(err)
			continue
		}
		s.o.cleanStart = false
	}
}

// delivery is a connection that messages are delivered on.
type delivery struct {
	session.SessionManager
	s    *source
	link *link
	come chan *packets.Publish
	end  chan struct{} // nobody takes from come any more
}

// Ack is called when paho has handed a message over. It is acknowledged later: see keep.
func (d *delivery) Ack(pb *packets.Publish) error {
	select {
	case d.come <- pb:
	case <-d.end:
	}
	return nil
}

// subscribe connects and subscribes.
func (s *source) subscribe(ctx context.Context) (*delivery, error) {
	d := &delivery{SessionManager: state.NewInMemory(), s: s, come: make(chan *packets.Publish, int(s.o.receive)), end: make(chan struct{})}
	o := s.o
	o.session = d
	var err error
	if d.link, err = s.broker.connect(ctx, o); err != nil {
		return nil, err
	}
	if err = d.link.subscribe(ctx, s.topics, s.qos, retainNew); err == nil {
		err = s.unsubscribe(ctx, d.link)
	}
	if err != nil {
		close(d.end)
		d.link.bye()
		return nil, err
	}
	return d, nil
}

// The ways to deal with messages that the broker has retained (MQTT 5, 3.8.3.1).
const (
	retainNew  = 1 // give them when the subscription is new
	retainNone = 2
)

// subscribe subscribes to topics.
func (l *link) subscribe(ctx context.Context, topics []string, qos, retain byte) error {
	p := &paho.Subscribe{}
	for _, t := range topics {
		p.Subscriptions = append(p.Subscriptions, paho.SubscribeOptions{Topic: t, QoS: qos, RetainHandling: retain})
	}
	ack, err := l.Subscribe(ctx, p)
	if ack != nil {
		for i, code := range ack.Reasons {
			if code >= 0x80 && i < len(topics) {
				err = &refused{fmt.Sprintf("it refuses the subscription to %.200q", topics[i]), code, ""}
				break
			}
			if code < qos && i < len(topics) {
				err = &refused{fmt.Sprintf("it grants qos %d for %.200q, and %d is asked for", code, topics[i], qos), 0x9b, ""}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("MQTT broker %s: %w", l.broker.address(), err)
	}
	return nil
}

// topicsName has what the session of the broker is subscribed to.
const topicsName = "topics.json"

type subscribed struct {
	ClientID string   `json:"client_id"`
	Topics   []string `json:"topics"`
}

// unsubscribe ends the subscriptions that the settings no longer have: the session remembers
// them. Then it notes those that they have.
func (s *source) unsubscribe(ctx context.Context, l *link) error {
	now := subscribed{s.broker.clientID, s.topics}
	was, err := readTopics(s.state)
	if err != nil {
		return err
	}
	if was.ClientID != now.ClientID {
		was.Topics = nil
	}
	var gone []string
	for _, t := range was.Topics {
		if !slices.Contains(now.Topics, t) {
			gone = append(gone, t)
		}
	}
	if len(gone) > 0 && l.connack.SessionPresent {
		if _, err := l.Unsubscribe(ctx, &paho.Unsubscribe{Topics: gone}); err != nil {
			return fmt.Errorf("MQTT broker %s: unsubscribe from %.200q: %w", s.broker.address(), strings.Join(gone, " "), err)
		}
	}
	if was.ClientID == now.ClientID && slices.Equal(was.Topics, now.Topics) {
		return nil
	}
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return disk.WriteWhole(s.state, topicsName, b)
}

func readTopics(fs disk.FS) (t subscribed, err error) {
	f, err := fs.Open(topicsName)
	if errors.Is(err, iofs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil {
		return t, fmt.Errorf("read %s: %w", fs.Path(topicsName), err)
	}
	return t, nil
}

// keep puts what is delivered into the log and acknowledges it, until the connection ends.
func (d *delivery) keep(ctx context.Context) error {
	err := d.drain(ctx)
	close(d.end) // paho may be waiting for us
	d.link.bye()
	return err
}

func (d *delivery) drain(ctx context.Context) error {
	var held []*packets.Publish
	var records []intake.Record
	for {
		select {
		case pb := <-d.come:
			held = d.gather(append(held[:0], pb))
		case <-ctx.Done():
			return ctx.Err()
		case <-d.link.Done():
			// What came and is not in the log comes again; what needs no acknowledgement does not.
			if len(d.come) == 0 {
				return d.link.why()
			}
			held = d.gather(held[:0])
		}
		records = records[:0]
		for _, pb := range held {
			records = append(records, recordOf(pb))
		}
		if _, err := d.s.Keep(ctx, records); err != nil {
			return err
		}
		d.link.wire.cork(true)
		for i, pb := range held {
			if pb.QoS > 0 {
				// What cannot be acknowledged is delivered again.
				_ = d.SessionManager.Ack(pb)
			}
			held[i] = nil
		}
		d.link.wire.cork(false)
		clear(records)
	}
}

// gather takes what has come, as far as an append may be large.
func (d *delivery) gather(held []*packets.Publish) []*packets.Publish {
	size := 0
	for _, pb := range held {
		size += sizeOf(pb)
	}
	for size < d.s.most && len(held) < MaxWindow {
		select {
		case pb := <-d.come:
			held = append(held, pb)
			size += sizeOf(pb)
		default:
			return held
		}
	}
	return held
}

// perMessage is about what a message takes in the log beside its payload and topic.
const perMessage = 64

func sizeOf(pb *packets.Publish) int {
	n := len(pb.Payload) + len(pb.Topic) + perMessage
	if pb.Properties != nil {
		for _, u := range pb.Properties.User {
			n += len(u.Key) + len(u.Value) + 8
		}
	}
	return n
}
