package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/vec"
)

const (
	// maxBuffered is how many bytes of records are on their way.
	maxBuffered = 32 << 20
	// maxRecords is how many records are on their way.
	maxRecords = 100_000
	// stallLimit is how many seconds no record is acknowledged before an epoch is given up for
	// now; if a broker does not answer, brokenLimit is enough.
	stallLimit  = 30
	brokenLimit = 5
	// headerID is the header that receivers can know repeats by, where there are no
	// transactions.
	headerID = "weir-id"
)

var errNoProgress = errors.New("the brokers acknowledged nothing for a long time")

// publisher writes epochs to a topic.
type publisher struct {
	link          *link
	topic         string
	id            string
	limit         int // of a batch in bytes
	transactional bool
	auto          bool          // the settings leave that to the brokers
	eventHubs     bool          // which a connection string has named
	timeout       time.Duration // of a transaction
	compression   string
	health        *health
	log           *slog.Logger
	second        time.Duration // of the limits above

	token   string // of this process, once it has claimed the id
	session *session
	// sent are the messages of an epoch that are known to be in the topic, where there are no
	// transactions: what failed is sent again without them.
	sent      []atomic.Bool
	sentEpoch int64
}

// Committed implements message.Publisher.
func (p *publisher) Committed(ctx context.Context, noted int64) (int64, error) {
	if !p.transactional {
		return -1, nil
	}
	err := p.open(ctx)
	if err != nil && p.doesWithout(err) {
		p.log.Warn("the brokers refuse transactions, so rows come at least once", "error", p.link.while("topic "+p.topic, p.health, err))
		p.transactional = false
		return -1, nil
	}
	if err != nil {
		return 0, p.link.atStart("topic "+p.topic, p.health, err)
	}
	return max(noted, p.session.epoch), nil
}

// doesWithout says whether the brokers have just refused transactions, though they list them,
// and the job may do without: Event Hubs has them in some tiers.
func (p *publisher) doesWithout(err error) bool {
	var e *kerr.Error
	return p.auto && errors.As(err, &e) && !e.Retriable && !errors.Is(err, kerr.SaslAuthenticationFailed) && !errors.Is(err, kerr.InvalidTransactionTimeout) &&
		(p.eventHubs || errors.Is(err, kerr.UnsupportedVersion))
}

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	p.health.forget()
	err := p.open(ctx)
	if err == nil && p.session.epoch < epoch {
		err = p.write(ctx, epoch, messages)
	}
	if err == nil {
		return nil
	}
	p.drop()
	if connect.IsPermanent(err) {
		return err
	}
	return fmt.Errorf("write epoch %d: %w", epoch, p.link.while("topic "+p.topic, p.health, err))
}

// write writes an epoch in the session that is open.
func (p *publisher) write(ctx context.Context, epoch int64, messages *message.Spool) error {
	s := p.session
	if !p.transactional {
		if p.sentEpoch != epoch {
			p.sent, p.sentEpoch = make([]atomic.Bool, messages.Len()), epoch
		}
		if err := p.send(ctx, epoch, messages); err != nil {
			return err
		}
		p.sent, p.sentEpoch = nil, 0
		return nil
	}
	if err := s.cl.BeginTransaction(); err != nil {
		return err
	}
	s.open = true
	if err := p.send(ctx, epoch, messages); err != nil {
		return err
	}
	return s.commit(ctx, p, epoch)
}

// send sends the messages and waits until all are acknowledged.
func (p *publisher) send(ctx context.Context, epoch int64, messages *message.Spool) error {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	b := batch{p: p, epoch: epoch, give: give}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		b.watch(ctx)
	}()
	err := messages.Each(0, func(i int, m *message.Message) error {
		if p.sent != nil && p.sent[i].Load() {
			return nil
		}
		b.produce(ctx, i, m)
		return context.Cause(ctx)
	})
	if err == nil {
		err = p.session.cl.Flush(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = b.failed()
	}
	give(nil)
	<-watched
	return err
}

// batch is an epoch on its way.
type batch struct {
	p       *publisher
	epoch   int64
	give    context.CancelCauseFunc // gives up
	acked   atomic.Int64
	records []kgo.Record // room for the next ones
	bytes   []byte

	mu  sync.Mutex
	err error
}

// The room that is made at a time for records and what they hold.
const (
	roomRecords = 512
	roomBytes   = 256 << 10
)

// produce has a message sent. It is copied: it is valid during the call only.
func (b *batch) produce(ctx context.Context, index int, m *message.Message) {
	if len(b.records) == 0 {
		b.records = make([]kgo.Record, roomRecords)
	}
	r := &b.records[0]
	b.records = b.records[1:]
	r.Topic, r.Value = b.p.topic, b.copy(m.Body)
	if m.Key != nil {
		r.Key = b.copy(m.Key)
	}
	n := len(m.Properties)
	if !b.p.transactional {
		n++
	}
	if n > 0 {
		r.Headers = make([]kgo.RecordHeader, 0, n)
		for _, x := range m.Properties {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: x.Name, Value: []byte(textOf(x.Value))})
		}
	}
	if b.p.transactional {
		b.p.session.cl.Produce(ctx, r, b.answer)
		return
	}
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerID, Value: []byte(message.ID(b.p.id, b.epoch, index))})
	sent := b.p.sent
	b.p.session.cl.Produce(ctx, r, func(r *kgo.Record, err error) {
		if err == nil {
			sent[index].Store(true)
		}
		b.answer(r, err)
	})
}

// copy keeps bytes; records share what holds them.
func (b *batch) copy(x []byte) []byte {
	if len(x) > roomBytes/4 {
		return append([]byte{}, x...)
	}
	if len(b.bytes)+len(x) > cap(b.bytes) {
		b.bytes = make([]byte, 0, roomBytes)
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, x...)
	return b.bytes[at:len(b.bytes):len(b.bytes)]
}

// answer is told of each record, one after another.
func (b *batch) answer(_ *kgo.Record, err error) {
	if err == nil {
		b.acked.Add(1)
		return
	}
	b.mu.Lock()
	if b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.give(err)
}

func (b *batch) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// watch gives up when nothing goes on.
func (b *batch) watch(ctx context.Context) {
	tick := time.NewTicker(b.p.second)
	defer tick.Stop()
	seen, still := int64(0), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := b.acked.Load(); n != seen {
			seen, still = n, 0
			continue
		}
		still++
		if err := b.p.health.any(); err != nil && still >= brokenLimit {
			b.give(err)
		} else if still >= stallLimit {
			b.give(errNoProgress)
		}
	}
}

// textOf is a property as a header.
func textOf(v vec.Value) string {
	switch v.Kind {
	case vec.String:
		return v.Str
	case vec.Bit:
		return strconv.FormatBool(v.Int != 0)
	case vec.Int:
		return strconv.FormatInt(v.Int, 10)
	}
	return v.String()
}

// Sync implements message.Publisher: what was acknowledged by all replicas that are in sync is
// as durable as the topic says.
func (p *publisher) Sync(context.Context) error { return nil }

// Close implements message.Publisher.
func (p *publisher) Close() error {
	p.drop()
	return nil
}

// drop throws the client away. An epoch that was begun and not committed is given up.
func (p *publisher) drop() {
	if p.session == nil {
		return
	}
	p.session.close(p.health)
	p.session = nil
}
