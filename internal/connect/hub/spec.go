// Package hub makes event hubs of the same process sources and sinks of jobs: events are read
// from the broker's log and appended to it without a network between.
//
// # Input
//
// A partition of the hub is a partition of the input, and a position is a sequence number.
// What a message holds may be an event, an array, or several: it is brought onto lines, so
// that the message is whole lines of its chunk, and one broken message is one dead letter.
//
// # Output
//
// Rows of an epoch wait until Commit, which appends them to their partitions under numbers
// that are made of the epoch (hub.Producer). So an append that is done again, after an error
// or a crash, is kept once. The last append of an epoch has a number of its own kind: a
// partition that has it says that the epoch is complete.
package hub

import (
	"context"
	"fmt"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub"
)

// maxKeptChunk is the largest chunk whose memory is kept for the next one, in bytes.
const maxKeptChunk = 4 << 20

type brokerKey struct{}

// With gives the jobs that are started with a context the broker that their hubs are in.
func With(ctx context.Context, b *hub.Broker) context.Context {
	return context.WithValue(ctx, brokerKey{}, b)
}

// From is the broker of a context, nil if it has none.
func From(ctx context.Context) *hub.Broker {
	b, _ := ctx.Value(brokerKey{}).(*hub.Broker)
	return b
}

// Name is the type of the connector in job files.
const Name = "hub"

var spec = &connect.Spec{
	Name:      Name,
	Summary:   "Event hubs of this process: streams that clients of Event Hubs, Kafka, MQTT and HTTP send and receive.",
	Source:    openSource,
	Sink:      openSink,
	FormatsIn: connect.MessageFormats,
	In:        "exactly once: positions are sequence numbers of the hub's log",
	Out:       "exactly once: the number of the epoch is kept with the events",
	Check:     check,
	Example: `type: hub
hub: downtime
`,
	Fields: append([]connect.Field{
		{Name: "hub", Type: connect.Text, Required: true, Doc: "The name of the event hub."},
		{Name: "create", Type: connect.Bool, Default: "false", Doc: "Make the hub if there is none of the name."},
		{Name: "partitions", Type: connect.Int, Default: "4", Doc: "With `create`: how many partitions the hub gets, 1 to 1024."},
		{Name: "retention", Type: connect.Duration, Default: "24h", Doc: "With `create`: how long the hub keeps events, read or not."},

		{Name: "consumer_group", Type: connect.Text, Default: hub.DefaultGroup, Input: true,
			Doc: "The consumer group in which others see how far the job is. It is made if it is not there. Where the job goes on is in its own state."},
		{Name: "metadata_columns", Type: connect.Bool, Default: "true", Input: true,
			Doc: "`SELECT *` shows `EventProcessedUtcTime`, `PartitionId` and `EventEnqueuedUtcTime`, and `IoTHub` for events of devices. Queries can name them in any case."},
		{Name: "unwrap", Type: connect.Text, Input: true,
			Doc: "A field of each message, such as `records`, that is an array: its elements are the events. Messages without it are taken as they are."},

		{Name: "partition_key", Type: connect.Text, Output: true, Doc: "A column whose value, as text, is the partition key: rows of one key stay in their order."},
		{Name: "content_type", Type: connect.Text, Output: true, Doc: "The content type of messages; it tells receivers what they hold."},
	}, message.Fields()...),
}

func init() { connect.Register(spec) }

func check(c connect.Config, input bool) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if name := c.Text("hub"); strings.ContainsAny(name, "/;=:") || strings.TrimSpace(name) == "" {
		add("hub", fmt.Sprintf("%q is no name of an event hub", name), "write the name alone: hub: downtime")
	}
	if n := c.Int("partitions"); n < 1 || n > hub.MaxPartitions {
		add("partitions", fmt.Sprintf("%d partitions are too few or too many", n), fmt.Sprintf("it is 1 to %d", hub.MaxPartitions))
	}
	if c.Duration("retention") <= 0 {
		add("retention", "\"retention\" must be more than 0", "write retention: 24h")
	}
	if input {
		return out
	}
	return append(out, message.CheckFields(c)...)
}

// open finds the hub of a configuration, or makes it.
func open(ctx context.Context, c connect.Config) (*hub.Broker, *hub.Hub, error) {
	b := From(ctx)
	if b == nil {
		return nil, nil, connect.Permanent(fmt.Errorf("the event hub %q: no hubs are open in this process; run the job under \"weir serve\", or with \"weir run --live\"", c.Text("hub")))
	}
	h, err := Ensure(b, c)
	return b, h, err
}

// Ensure finds the hub of an input or output by its settings, and makes it if they say so.
func Ensure(b *hub.Broker, c connect.Config) (*hub.Hub, error) {
	h, err := find(b, c.Text("hub"))
	if err == nil || !c.Bool("create") {
		return h, err
	}
	h, err = b.Create(hub.Config{Name: c.Text("hub"), Partitions: int(c.Int("partitions")), Retention: c.Duration("retention")})
	if err != nil { // another job may have been faster
		if again, e := b.Hub(c.Text("hub")); e == nil {
			return again, nil
		}
	}
	return h, err
}

// find finds a hub. If there is none the error says how to make it.
func find(b *hub.Broker, name string) (*hub.Hub, error) {
	h, err := b.Hub(name)
	if isMissing(err) {
		return nil, connect.Permanent(fmt.Errorf("%w; make it with \"weir hub create %s\", or write create: true", err, name))
	}
	return h, err
}
