package servicebus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
)

const (
	// within is how long the service may take to acknowledge a batch, or to be reached.
	within = 30 * time.Second
	// maxSender is the longest name in ids as it is: with an epoch and an index an id stays
	// short enough for the service.
	maxSender = 86
	// leastLimit is the least that a service takes as a message, in bytes; most is not asked for.
	leastLimit, mostLimit = 16 << 10, 8 << 20
)

// retries are those within a call; what takes longer is tried again by the runner.
var retries = azservicebus.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second}

// link is a connection with a sender.
type link struct {
	client *azservicebus.Client
	sender *azservicebus.Sender
}

// Close closes the connection too.
func (l *link) Close(ctx context.Context) error {
	return errors.Join(l.sender.Close(ctx), l.client.Close(ctx))
}

// link makes the client; it does not connect yet.
func (e *endpoint) link() (*link, error) {
	config, err := e.TLS()
	if err != nil {
		return nil, err
	}
	o := &azservicebus.ClientOptions{ApplicationID: "weir", RetryOptions: retries, TLSConfig: config}
	if dial := e.Dial(config); dial != nil {
		o.NewWebSocketConn = func(ctx context.Context, a azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
			return dial(ctx, a.Host)
		}
	}
	l := &link{}
	if e.Entra {
		who, err := e.Credential()
		if err != nil {
			return nil, err
		}
		l.client, err = azservicebus.NewClient(e.Host, who, o)
		if err != nil {
			return nil, err
		}
	} else if l.client, err = azservicebus.NewClientFromConnectionString(e.String, o); err != nil {
		return nil, err
	}
	l.sender, err = l.client.NewSender(e.name, nil)
	return l, err
}

// publisher sends messages to a queue or topic.
type publisher struct {
	at          *endpoint
	sends       namespace.Held[*link]
	sender      string // that ids begin with
	contentType *string
	columns     columns
	batches     message.Batches
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	at, _ := endpointOf(c)
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if _, err := at.TLS(); err != nil {
		return fail(connect.Permanent(err))
	}
	p := newPublisher(at, c, message.Sender(env))
	limit, err := p.open(ctx)
	if err != nil {
		return fail(errors.Join(at.failed(true, "open it for sending", err), p.Close()))
	}
	// What a batch adds to a message: its envelope has the properties of the first one again,
	// with the id and the content type.
	o := message.FromConfig(c, env, limit-512-2*(maxID+len(c.Text("content_type"))))
	o.Properties, o.Repeats = p.columns.all(), 2
	o.Refuse = func(m *message.Message) (column, reason string) {
		return p.columns.apply(&azservicebus.Message{}, m.Properties)
	}
	rows, err := message.NewRows(o)
	if err != nil {
		return fail(errors.Join(connect.Permanent(err), p.Close()))
	}
	s, err := message.NewSink(ctx, env, message.Sender(env), rows, p)
	if err != nil {
		return fail(err)
	}
	return s, nil
}

func newPublisher(at *endpoint, c connect.Config, sender string) *publisher {
	p := &publisher{at: at, sender: sender, columns: columns{application: c.List("property_columns")}}
	p.sends.Make = at.link
	if len([]rune(sender)) > maxSender {
		h := sha256.Sum256([]byte(sender))
		p.sender = hex.EncodeToString(h[:16])
	}
	if kind := c.Text("content_type"); kind != "" {
		p.contentType = &kind
	}
	for name, column := range c.Map("system_property_columns") {
		p.columns.system = append(p.columns.system, systemColumn{name, column, setters[strings.ToLower(name)], strings.EqualFold(name, "SessionId") || strings.EqualFold(name, "PartitionKey")})
	}
	slices.SortFunc(p.columns.system, func(a, b systemColumn) int { return strings.Compare(a.property, b.property) })
	return p
}

// open opens the link, and gives the largest message that it takes, in bytes. The client does
// not tell it: it is found by what a batch takes.
func (p *publisher) open(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	l, err := p.sends.Get()
	if err != nil {
		return 0, err
	}
	body := make([]byte, mostLimit)
	fits := func(n int) (bool, error) {
		b, err := l.sender.NewMessageBatch(ctx, nil)
		if err != nil {
			return false, err
		}
		err = b.AddMessage(&azservicebus.Message{Body: body[:n]}, nil)
		if errors.Is(err, azservicebus.ErrMessageTooLarge) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := 0, 2*mostLimit
	for high-low > 1<<10 && low < mostLimit {
		mid := low + (high-low)/2
		if high > mostLimit {
			mid = max(2*low, 64<<10)
		}
		ok, err := fits(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	if low < leastLimit {
		return 0, fmt.Errorf("it takes messages of %d bytes at most", low)
	}
	return low, nil
}

// Committed implements message.Publisher: the service does not know what it has.
func (p *publisher) Committed(context.Context, int64) (int64, error) { return -1, nil }

// Sync implements message.Publisher: what was acknowledged is durable.
func (p *publisher) Sync(context.Context) error { return nil }

// Close implements message.Publisher.
func (p *publisher) Close() error {
	p.sends.Close()
	return nil
}

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	l, err := p.sends.Get()
	if err != nil {
		return err
	}
	err = message.Publish(ctx, &p.batches, epoch, messages, &batching{p: p, link: l, epoch: epoch})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if namespace.KindOf(err) == namespace.Lost || errors.Is(err, context.DeadlineExceeded) {
		p.sends.Drop(l)
	}
	return p.at.failed(false, "send", err)
}

// batching makes batches of messages. A place is a session or a partition key: in queues and
// topics that have partitions all messages of a batch must have the same.
type batching struct {
	p     *publisher
	link  *link
	epoch int64
}

// Place implements message.Batching. Messages without a session and key have a place too, so
// that they stay in order.
func (b *batching) Place(dst []byte, m *message.Message) (place []byte, free bool) {
	for _, s := range b.p.columns.system {
		if !s.place {
			continue
		}
		for _, x := range m.Properties {
			if strings.EqualFold(x.Name, s.column) {
				return append(append(dst, '='), textOf(x.Value)...), false
			}
		}
	}
	return dst, false
}

// Begin implements message.Batching.
func (b *batching) Begin(ctx context.Context, _ string, _ bool) (*azservicebus.MessageBatch, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return b.link.sender.NewMessageBatch(ctx, nil)
}

// Add implements message.Batching.
func (b *batching) Add(to *azservicebus.MessageBatch, index int, m *message.Message) (int, error) {
	id := message.ID(b.p.sender, b.epoch, index)
	out := &azservicebus.Message{Body: m.Body, ContentType: b.p.contentType, MessageID: &id}
	if column, reason := b.p.columns.apply(out, m.Properties); reason != "" {
		return 0, connect.Permanent(fmt.Errorf("column %s: %s", column, reason)) // it was looked at before
	}
	before := to.NumBytes()
	err := to.AddMessage(out, nil)
	if !errors.Is(err, azservicebus.ErrMessageTooLarge) {
		return int(to.NumBytes() - before), err
	}
	if to.NumMessages() == 0 {
		return 0, connect.Permanent(fmt.Errorf("message %d of the epoch is too large, and the service takes less than it said", index))
	}
	return 0, message.ErrFull
}

// Send implements message.Batching.
func (b *batching) Send(ctx context.Context, batch *azservicebus.MessageBatch) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := b.link.sender.SendMessageBatch(limited, batch, nil)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("a batch was not acknowledged in %s: %w", within, context.DeadlineExceeded)
	}
	return err
}

// probe implements connect.Spec.Probe: it opens the link as the job does, and sends nothing.
func probe(ctx context.Context, c connect.Config, _ connect.ProbeEnv) []connect.Problem {
	if bad := check(c, false); len(bad) > 0 {
		return bad
	}
	at, _ := endpointOf(c)
	p := newPublisher(at, c, "")
	defer p.Close()
	if _, err := p.open(ctx); err != nil {
		return []connect.Problem{at.Problem(at.thing, "open it for sending", err, hints)}
	}
	return nil
}
