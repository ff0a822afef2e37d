package eventhubs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	client "github.com/Azure/go-amqp"

	"weir/internal/connect"
	"weir/internal/connect/namespace"
)

// The limits of what is waited for.
const (
	askTimeout   = 30 * time.Second
	closeTimeout = 2 * time.Second
)

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

// held is a client that is made when it is needed, and made anew when it was dropped.
type held[T interface {
	comparable
	Close(context.Context) error
}] struct {
	make func() (T, error)

	mu     sync.Mutex
	now    T
	closed bool
}

var errClosed = errors.New("it is closed")

func (h *held[T]) get() (c T, err error) {
	var none T
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return none, errClosed
	}
	if h.now == none {
		h.now, err = h.make()
	}
	return h.now, err
}

// drop closes a client, with its connection, if it is the one that is held.
func (h *held[T]) drop(c T) {
	var none T
	h.mu.Lock()
	mine := c != none && h.now == c
	if mine {
		h.now = none
	}
	h.mu.Unlock()
	if mine {
		shut(c)
	}
}

func (h *held[T]) close() {
	h.mu.Lock()
	h.closed = true
	c := h.now
	h.mu.Unlock()
	h.drop(c)
}

// shut closes a client or a link. An error of it is that the peer has not taken leave.
func shut(c interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.Close(ctx)
}

// kind is what an error of the service is about.
type kind int

const (
	other kind = iota
	refused
	missing
	crowded
	busy
	lost
	stranger // the certificate
	unknown  // the host
)

// kindOf tells what an error is about. Errors of the client say what they wrap in their text
// only.
func kindOf(err error) kind {
	var coded *azeventhubs.Error
	var answer interface{ RPCCode() int }
	var condition *client.Error
	text := err.Error()
	if errors.As(err, &condition) {
		text = string(condition.Condition) // a description may have anything in it
	}
	code := 0
	if errors.As(err, &answer) {
		code = answer.RPCCode()
	}
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("failed to verify certificate"):
		return stranger
	case namespace.IsNoHost(err), has("no such host"):
		return unknown
	case has("amqp:unauthorized-access"), code == 401, code == 403, errors.As(err, &coded) && coded.Code == azeventhubs.ErrorCodeUnauthorizedAccess:
		return refused
	case has("amqp:not-found"), code == 404:
		return missing
	case has("amqp:resource-limit-exceeded"):
		return crowded
	case has("server-busy"), code == 503:
		return busy
	case errors.As(err, &coded) && coded.Code == azeventhubs.ErrorCodeConnectionLost:
		return lost
	}
	return other
}

var hints = map[kind]string{
	refused:  "check the key and the rights of its policy: Listen to read, Send to write",
	missing:  "check the names of the event hub and of the consumer group",
	crowded:  "a consumer group has at most five readers of a partition: give the job a consumer group of its own",
	busy:     "the service is busy: the namespace may need more throughput units",
	stranger: "check the host name, and set tls_ca if a private authority signed the certificate",
	unknown:  "check the namespace",
}

// failed is an error with where it was, and what to do. starting says that the job is being
// started: what its settings cannot get right is permanent then, and tried again later on,
// when somebody may repair it.
func (e *endpoint) failed(starting bool, doing string, err error) error {
	if err == nil || errors.Is(err, connect.ErrGone) {
		return err
	}
	k := kindOf(err)
	text := fmt.Errorf("event hub %s at %s: %s: %w", e.hub, e.Host, doing, oneLine{err})
	if hint := hints[k]; hint != "" {
		text = fmt.Errorf("%w; %s", text, hint)
	}
	if starting && (k == refused || k == missing || k == stranger) {
		text = connect.Permanent(text)
	}
	return e.Error(text)
}

// oneLine is an error on one line: of the protocol, what people can use of it.
type oneLine struct{ error }

// described finds what the service says in an error of the client.
var described = regexp.MustCompile(`(?:Description: (.*?), Info: |and description: (.*))`)

func (o oneLine) Error() string {
	text := strings.Join(strings.Fields(o.error.Error()), " ")
	if m := described.FindStringSubmatch(text); m != nil && m[1]+m[2] != "" {
		text = m[1] + m[2]
	}
	return strings.TrimSuffix(text, ".")
}

func (o oneLine) Unwrap() error { return o.error }
