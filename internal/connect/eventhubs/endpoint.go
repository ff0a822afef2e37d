package eventhubs

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/namespace"
)

// askTimeout is how long an answer may take: of a question, and of a batch that was sent.
const askTimeout = 30 * time.Second

// endpoint is the event hub of a configuration.
type endpoint struct {
	*namespace.Reach
	hub    string
	group  string
	within time.Duration // how long an answer may take: of a question, and of a batch
}

// endpointOf reads the settings that inputs and outputs have.
func endpointOf(c connect.Config) (*endpoint, []connect.Problem) {
	reach, bad := namespace.Read(c)
	e := &endpoint{Reach: reach, hub: c.Text("hub"), group: c.Text("consumer_group"), within: askTimeout}
	switch {
	case reach.Entity != "" && e.hub != "" && !strings.EqualFold(reach.Entity, e.hub):
		bad = append(bad, connect.Problem{Field: "hub", Text: fmt.Sprintf("the connection string is of the event hub %q, and hub is %q", reach.Entity, e.hub), Hint: "remove hub, or take the connection string of the namespace"})
	case e.hub == "":
		if e.hub = reach.Entity; e.hub == "" && len(bad) == 0 {
			bad = append(bad, connect.Problem{Field: "hub", Text: "nothing says which event hub it is", Hint: "write hub: NAME"})
		}
	case strings.ContainsAny(e.hub, "?#;=: ") || strings.HasPrefix(e.hub, "/"):
		bad = append(bad, connect.Problem{Field: "hub", Text: fmt.Sprintf("%q is no name of an event hub", e.hub), Hint: "write the name alone: hub: downtime"})
	}
	return e, bad
}

// retries are those within a call: enough for a link that the service has closed because it
// was idle. What takes longer is tried again by the runner.
var retries = azeventhubs.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second}

type dialer = func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)

func (e *endpoint) network() (config *tls.Config, dial dialer, err error) {
	if config, err = e.TLS(); err != nil {
		return nil, nil, err
	}
	if d := e.Dial(config); d != nil {
		dial = func(ctx context.Context, p azeventhubs.WebSocketConnParams) (net.Conn, error) { return d(ctx, p.Host) }
	}
	return config, dial, nil
}

func (e *endpoint) producer() (*azeventhubs.ProducerClient, error) {
	config, dial, err := e.network()
	if err != nil {
		return nil, err
	}
	o := &azeventhubs.ProducerClientOptions{ApplicationID: "weir", NewWebSocketConn: dial, RetryOptions: retries, TLSConfig: config}
	if !e.Entra {
		return azeventhubs.NewProducerClientFromConnectionString(e.String, e.hub, o)
	}
	who, err := e.Credential()
	if err != nil {
		return nil, err
	}
	return azeventhubs.NewProducerClient(e.Host, e.hub, who, o)
}

func (e *endpoint) consumer() (*azeventhubs.ConsumerClient, error) {
	config, dial, err := e.network()
	if err != nil {
		return nil, err
	}
	o := &azeventhubs.ConsumerClientOptions{ApplicationID: "weir", NewWebSocketConn: dial, RetryOptions: retries, TLSConfig: config}
	if !e.Entra {
		return azeventhubs.NewConsumerClientFromConnectionString(e.String, e.hub, e.group, o)
	}
	who, err := e.Credential()
	if err != nil {
		return nil, err
	}
	return azeventhubs.NewConsumerClient(e.Host, e.hub, e.group, who, o)
}

// failed is an error with where it was, and what to do; see namespace.Failed.
func (e *endpoint) failed(starting bool, doing string, err error) error {
	return e.Failed("event hub "+e.hub, starting, doing, err, hints)
}

var hints = map[namespace.Kind]string{
	namespace.Refused: "check the key and the rights of its policy: Listen to read, Send to write",
	namespace.Missing: "check the names of the event hub and of the consumer group",
	namespace.Crowded: "a consumer group has at most five readers of a partition: give the job a consumer group of its own",
	namespace.Busy:    "the service is busy: the namespace may need more throughput units",
}
