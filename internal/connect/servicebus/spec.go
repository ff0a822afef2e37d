package servicebus

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
)

var spec = &connect.Spec{
	Name:    "servicebus",
	Aliases: []string{"service-bus"},
	Summary: "Queues and topics of Azure Service Bus over AMQP.",
	Sink:    openSink,
	Out:     "at least once with message ids: exactly once within the window in which the queue or topic finds duplicates",
	Check:   check,
	Probe:   probe,
	Example: `type: servicebus
connection_string: ${env:BUS_CONNECTION}
queue: alerts
property_columns: [severity]
system_property_columns: {SessionId: DeviceId}
`,
	Fields: slices.Concat(namespace.Fields(), []connect.Field{
		{Name: "queue", Type: connect.Text, Output: true, Doc: "The queue that messages go to."},
		{Name: "topic", Type: connect.Text, Output: true, Doc: "The topic that messages go to, in the place of a queue."},
		{Name: "system_property_columns", Type: connect.Map, Output: true,
			Doc: "Columns that leave the payload and become properties of Service Bus itself, by these: `MessageId`, `SessionId`, `CorrelationId`, `Subject` (or `Label`), `To`, `ReplyTo`, `ReplyToSessionId`, `ContentType`, `PartitionKey`, `TimeToLive` (seconds, or `hh:mm:ss`) and `ScheduledEnqueueTimeUtc` (a datetime)."},
		{Name: "content_type", Type: connect.Text, Default: "application/json", Output: true, Doc: "The content type of messages whose rows do not say it."},
	}, message.Fields()),
}

func init() { connect.Register(spec) }

// endpoint is the queue or topic of a configuration.
type endpoint struct {
	*namespace.Reach
	thing string // for people: "queue alerts"
	name  string
}

func endpointOf(c connect.Config) (*endpoint, []connect.Problem) {
	reach, bad := namespace.Read(c)
	e := &endpoint{Reach: reach}
	queue, topic := c.Text("queue"), c.Text("topic")
	e.thing, e.name = "queue "+queue, queue
	field := "queue"
	if topic != "" {
		e.thing, e.name, field = "topic "+topic, topic, "topic"
	}
	add := func(text, hint string) { bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint}) }
	switch {
	case queue != "" && topic != "":
		add("rows go to a queue or to a topic", "remove the one or the other")
	case e.name == "" && reach.Entity != "":
		e.thing, e.name = "queue or topic "+reach.Entity, reach.Entity
	case e.name == "":
		if len(bad) == 0 {
			add("nothing says where rows go", "write queue: NAME or topic: NAME")
		}
	case reach.Entity != "" && !strings.EqualFold(reach.Entity, e.name):
		add(fmt.Sprintf("the connection string is of %q, and %s is %q", reach.Entity, field, e.name), "remove "+field+", or take the connection string of the namespace")
	case strings.ContainsAny(e.name, "?#;=:@ ") || strings.HasPrefix(e.name, "/"):
		add(fmt.Sprintf("%q is no name of a %s", e.name, field), "write the name alone")
	}
	return e, bad
}

// check finds what single fields cannot tell.
func check(c connect.Config, _ bool) []connect.Problem {
	_, out := endpointOf(c)
	for name, column := range c.Map("system_property_columns") {
		if _, ok := setters[strings.ToLower(name)]; !ok {
			out = append(out, connect.Problem{Field: "system_property_columns", Text: fmt.Sprintf("%q is no property that can be set", name), Hint: "they are " + strings.Join(settable, ", ")})
		} else if column == "" {
			out = append(out, connect.Problem{Field: "system_property_columns", Text: fmt.Sprintf("%s has no column", name), Hint: fmt.Sprintf("write {%s: COLUMN}", name)})
		}
	}
	return append(out, message.CheckFields(c)...)
}

var hints = map[namespace.Kind]string{
	namespace.Refused: "check the key and the rights of its policy: Send",
	namespace.Missing: "check the name of the queue or topic",
	namespace.Crowded: "it is full: receivers must take messages from it, or it must be larger",
	namespace.Busy:    "the service is busy and wants fewer requests",
}

func (e *endpoint) failed(starting bool, doing string, err error) error {
	return e.Failed(e.thing, starting, doing, err, hints)
}
