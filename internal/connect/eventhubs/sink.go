package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
)

// Who finds the partition of a key.
const (
	routeService = "service"
	routeClient  = "client"
)

// maxKey is the longest partition key that the service takes, in bytes.
const maxKey = 128

// publisher sends messages to an event hub.
type publisher struct {
	at          *endpoint
	sends       namespace.Held[*azeventhubs.ProducerClient]
	sender      string // that ids begin with
	contentType *string
	// partitions are those that keys are mapped to; nil leaves it to the service.
	partitions []string

	batches message.Batches
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	at, problems := endpointOf(c)
	if problems = append(problems, check(c, false)...); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	if _, err := at.TLS(); err != nil {
		return fail(connect.Permanent(err))
	}
	p := &publisher{at: at, sender: message.Sender(env)}
	p.sends.Make = at.producer
	if kind := c.Text("content_type"); kind != "" {
		p.contentType = &kind
	}
	limit, err := p.open(ctx, c.Text("routing") == routeClient)
	if err != nil {
		return fail(errors.Join(at.failed(true, "open it for sending", err), p.Close()))
	}
	// What a batch adds to a message: its envelope has the properties of the first one again,
	// with the id and the content type.
	o := message.FromConfig(c, env, limit-512-2*(len(p.sender)+len(c.Text("content_type"))))
	o.MaxKey, o.Repeats = maxKey, 2
	rows, err := message.NewRows(o)
	if err != nil {
		return fail(errors.Join(connect.Permanent(err), p.Close()))
	}
	s, err := message.NewSink(ctx, env, p.sender, rows, p)
	if err != nil {
		return fail(err)
	}
	return s, nil
}

// open opens the link, and gives the largest message that it takes, in bytes.
func (p *publisher) open(ctx context.Context, route bool) (limit int, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.at.within)
	defer cancel()
	c, err := p.sends.Get()
	if err != nil {
		return 0, err
	}
	if _, err := c.NewEventDataBatch(ctx, nil); err != nil {
		return 0, err
	}
	if route {
		h, err := c.GetEventHubProperties(ctx, nil)
		if err != nil {
			return 0, err
		}
		p.partitions = slices.Clone(h.PartitionIDs)
		slices.SortFunc(p.partitions, func(a, b string) int { return number(a) - number(b) })
	}
	// The client does not tell the limit, and refuses batches beyond it without asking anybody.
	low, high := 0, 1<<30
	for high-low > 1 {
		mid := low + (high-low)/2
		if _, err := c.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{MaxBytes: uint64(mid)}); err == nil {
			low = mid
		} else if ctx.Err() != nil {
			return 0, ctx.Err()
		} else {
			high = mid
		}
	}
	if low < 16<<10 {
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
