package eventhubs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
)

const defaultGroup = "$Default"

// maxPrefetch is the most that the client's window takes.
const maxPrefetch = 5000

func inputFields() []connect.Field {
	return []connect.Field{
		{Name: "consumer_group", Type: connect.Text, Default: defaultGroup, Input: true,
			Doc: "The consumer group to read as. It must be there. At most five readers share a group and partition, so give each job a group of its own. Where the job goes on is in its own state, not in the group."},
		{Name: "prefetch", Type: connect.Int, Default: "1000", Input: true,
			Doc: "How many events of a partition may be on their way, 1 to 5000. More is faster, and takes more memory."},
		{Name: "idle_check", Type: connect.Duration, Default: "2s", Input: true,
			Doc: "How often a partition in which nothing happens is asked for its last event, so that time goes on in it. The service answers about 50 such questions a second for each hub."},
		{Name: "metadata_columns", Type: connect.Bool, Default: "true", Input: true,
			Doc: "`SELECT *` shows `EventProcessedUtcTime`, `PartitionId` and `EventEnqueuedUtcTime`, and `IoTHub` for events of devices. Queries can name them in any case."},
		{Name: "unwrap", Type: connect.Text, Input: true,
			Doc: "A field of each message, such as `records`, that is an array: its elements are the events. Messages without it are taken as they are."},
	}
}

var spec = &connect.Spec{
	Name:      "eventhub",
	Aliases:   []string{"eventhubs", "event-hub"},
	Summary:   "Azure Event Hubs over AMQP; connection strings work unchanged, those of emulators too.",
	Source:    openSource,
	Sink:      openSink,
	FormatsIn: connect.MessageFormats,
	In:        "exactly once: positions are sequence numbers of the partitions",
	Out:       "at least once: messages have ids that stay the same when an epoch is sent again",
	Check:     check,
	Probe:     probe,
	Example: `type: eventhub
connection_string: ${env:HUB_CONNECTION}
hub: downtime
consumer_group: weir
`,
	Fields: slices.Concat(namespace.Fields(), []connect.Field{
		{Name: "hub", Type: connect.Text, Doc: "The name of the event hub, if the connection string has no `EntityPath`."},
	}, inputFields(), []connect.Field{
		{Name: "partition_key", Type: connect.Text, Output: true, Doc: "A column whose value, as text, is the partition key: rows of one key stay in their order."},
		{Name: "routing", Type: connect.Enum, Values: []string{routeService, routeClient}, Default: routeService, Output: true,
			Doc: "Who finds the partition of a key. `service`: Event Hubs; each key has batches of its own. `client`: the output, by the hash that Azure's buffered producers have; rows of many keys share a batch, which is much faster when there are many keys, and messages do not show their key."},
		{Name: "content_type", Type: connect.Text, Output: true, Doc: "The content type of messages; it tells receivers what they hold."},
	}, message.Fields()),
}

var iotSpec = &connect.Spec{
	Name:      "iothub",
	Aliases:   []string{"iot-hub"},
	Summary:   "What devices send to an Azure IoT Hub, from its endpoint that is compatible with Event Hubs.",
	Source:    openSource,
	FormatsIn: connect.MessageFormats,
	In:        "exactly once: positions are sequence numbers of the partitions",
	Check:     check,
	Probe:     probe,
	Example: `type: iothub
connection_string: ${env:IOTHUB_EVENTS}
consumer_group: weir
`,
	Fields: slices.Concat(namespace.Fields(), []connect.Field{
		{Name: "hub", Type: connect.Text, Doc: "The name that the endpoint is compatible under, if the connection string has no `EntityPath`."},
	}, inputFields()),
}

func init() {
	connect.Register(spec)
	connect.Register(iotSpec)
}

// check finds what single fields cannot tell.
func check(c connect.Config, input bool) []connect.Problem {
	_, out := endpointOf(c)
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if !input {
		if c.Text("routing") == routeClient && c.Text("partition_key") == "" {
			add("routing", "routing is about partition keys, and there is none", "set partition_key, or remove routing")
		}
		return append(out, message.CheckFields(c)...)
	}
	if n := c.Int("prefetch"); n < 1 || n > maxPrefetch {
		add("prefetch", fmt.Sprintf("%d events are too few or too many", n), fmt.Sprintf("it is 1 to %d", maxPrefetch))
	}
	if c.Duration("idle_check") < 100*time.Millisecond {
		add("idle_check", "\"idle_check\" is too short", "the least is 100ms")
	}
	if g := c.Text("consumer_group"); g == "" || strings.ContainsAny(g, "/?#") {
		add("consumer_group", fmt.Sprintf("%q is no name of a consumer group", g), "write consumer_group: weir")
	}
	return out
}
