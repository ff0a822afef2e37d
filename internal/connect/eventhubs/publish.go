package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
	"weir/internal/hub"
)

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	c, err := p.sends.Get()
	if err != nil {
		return err
	}
	err = message.Publish(ctx, &p.batches, epoch, messages, &batching{p: p, client: c, epoch: epoch})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if k := namespace.KindOf(err); k == namespace.Lost || errors.Is(err, context.DeadlineExceeded) {
		p.sends.Drop(c)
	}
	return p.at.failed(false, "send", err)
}

// batching makes batches of events. A place is a partition key, or a partition.
type batching struct {
	p      *publisher
	client *azeventhubs.ProducerClient
	epoch  int64
}

// Place implements message.Batching.
func (b *batching) Place(dst []byte, m *message.Message) (place []byte, free bool) {
	if m.Key == nil {
		return dst, true
	}
	if n := len(b.p.partitions); n > 0 {
		return append(dst, b.p.partitions[hub.PartitionOf(m.Key, n)]...), false
	}
	return append(dst, m.Key...), false
}

// Begin implements message.Batching.
func (b *batching) Begin(ctx context.Context, place string, free bool) (*azeventhubs.EventDataBatch, error) {
	o := &azeventhubs.EventDataBatchOptions{}
	switch {
	case free:
	case b.p.partitions != nil:
		o.PartitionID = &place
	default:
		o.PartitionKey = &place
	}
	return b.client.NewEventDataBatch(ctx, o)
}

// Add implements message.Batching.
func (b *batching) Add(to *azeventhubs.EventDataBatch, index int, m *message.Message) (int, error) {
	before := to.NumBytes()
	err := to.AddEventData(b.event(index, m), nil)
	if !errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
		return int(to.NumBytes() - before), err
	}
	if to.NumEvents() == 0 {
		return 0, connect.Permanent(fmt.Errorf("message %d of the epoch is too large for the event hub, which takes less than it said", index))
	}
	return 0, message.ErrFull
}

// event makes an event of a message.
func (b *batching) event(index int, m *message.Message) *azeventhubs.EventData {
	id := make([]byte, 0, len(b.p.sender)+24)
	id = append(append(id, b.p.sender...), '/')
	id = append(strconv.AppendInt(id, b.epoch, 10), '/')
	id = strconv.AppendInt(id, int64(index), 10)
	text := string(id)
	e := &azeventhubs.EventData{Body: m.Body, ContentType: b.p.contentType, MessageID: &text}
	if len(m.Properties) > 0 {
		e.Properties = make(map[string]any, len(m.Properties))
		for _, x := range m.Properties {
			e.Properties[x.Name] = x.Any()
		}
	}
	return e
}

// Send implements message.Batching.
func (b *batching) Send(ctx context.Context, batch *azeventhubs.EventDataBatch) error {
	limited, cancel := context.WithTimeout(ctx, b.p.at.within)
	defer cancel()
	err := b.client.SendEventDataBatch(limited, batch, nil)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("a batch was not acknowledged in %s: %w", b.p.at.within, context.DeadlineExceeded)
	}
	return err
}
