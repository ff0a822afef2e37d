package eventhubs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	client "github.com/Azure/go-amqp"
	"github.com/coder/websocket"

	"weir/internal/hub"
	"weir/internal/hub/sas"
)

// clientCondition is the condition that a client was told.
func clientCondition(err error) string {
	var link *client.LinkError
	var e *client.Error
	var conn *client.ConnError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &link) && link.RemoteErr != nil:
		return string(link.RemoteErr.Condition)
	case errors.As(err, &e):
		return string(e.Condition)
	case errors.As(err, &conn) && conn.RemoteErr != nil:
		return string(conn.RemoteErr.Condition)
	}
	// The SDK's own errors say what they wrap in their text only.
	_, rest, _ := strings.Cut(err.Error(), "Condition: ")
	cond, _, _ := strings.Cut(rest, ",")
	return cond
}

// code is that of an error of the SDK.
func code(err error) azeventhubs.ErrorCode {
	var e *azeventhubs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return azeventhubs.ErrorCode(fmt.Sprint(err))
}

func equal[T any](t testing.TB, got, want T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v; want %v", got, want)
	}
}

func TestSendAndReceive(t *testing.T) {
	s := serve(t, nil)
	p, c := s.producer(nil), s.consumer(nil)

	send(t, p, to("1"), "a", "b", "c")
	one := open(t, c, "1", nil)
	equal(t, receive(t, one, 3), []string{"a", "b", "c"})
	send(t, p, to("1"), "d")
	equal(t, receive(t, one, 1), []string{"d"})

	// All that the SDK can say of an event, with a key.
	b, err := p.NewEventDataBatch(soon(t), &azeventhubs.EventDataBatchOptions{PartitionKey: ptr("team-7")})
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1795312604789).UTC()
	if err := b.AddEventData(&azeventhubs.EventData{Body: []byte("full"), ContentType: ptr("application/json"), CorrelationID: uint64(9), MessageID: ptr("m-1"),
		Properties: map[string]any{"s": "x", "i": int64(7), "t": at, "b": []byte{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.AddAMQPAnnotatedMessage(&azeventhubs.AMQPAnnotatedMessage{MessageAnnotations: map[any]any{"mine": "kept"}, Footer: map[any]any{"f": "g"},
		Body: azeventhubs.AMQPAnnotatedMessageBody{Value: int32(3)}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.SendEventDataBatch(soon(t), b, nil); err != nil {
		t.Fatal(err)
	}
	home := fmt.Sprint(hub.PartitionOf([]byte("team-7"), 4))
	list, err := open(t, c, home, &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{EnqueuedTime: ptr(time.UnixMilli(0)), Inclusive: true}}).
		ReceiveEvents(soon(t), 2+4*b2i(home == "1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := list[len(list)-2]
	equal(t, []any{string(e.Body), *e.ContentType, e.CorrelationID, *e.MessageID, *e.PartitionKey}, []any{"full", "application/json", uint64(9), "m-1", "team-7"})
	equal(t, e.Properties, map[string]any{"s": "x", "i": int64(7), "t": at, "b": []byte{1}})
	if e.Offset == "" || e.EnqueuedTime == nil || time.Since(*e.EnqueuedTime) > time.Hour {
		t.Errorf("offset %q, enqueued %v", e.Offset, e.EnqueuedTime)
	}
	raw := list[len(list)-1].RawAMQPMessage
	equal(t, []any{raw.Body.Value, raw.MessageAnnotations["mine"], raw.Footer["f"]}, []any{int32(3), "kept", "g"})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestRouting says that events without a key go round the partitions and those with one stay
// together.
func TestRouting(t *testing.T) {
	b := newBroker(t, hub.Options{})
	s := serve(t, b)
	p := s.producer(nil)
	for range 8 {
		send(t, p, nil, "x")
	}
	h, _ := b.Hub("orders")
	for _, part := range h.Partitions() {
		equal(t, part.Range().Next, 2)
	}
	for range 3 {
		send(t, p, &azeventhubs.EventDataBatchOptions{PartitionKey: ptr("k")}, "y", "z")
	}
	equal(t, h.Route([]byte("k")).Range().Next, 8)
}

func TestPositions(t *testing.T) {
	b := newBroker(t, hub.Options{})
	s := serve(t, b)
	p, c := s.producer(nil), s.consumer(nil)
	for i := range 5 {
		send(t, p, to("0"), fmt.Sprint("e", i))
	}
	list, err := open(t, c, "0", nil).ReceiveEvents(soon(t), 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := func(start azeventhubs.StartPosition, want ...string) {
		t.Helper()
		pc, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: start})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, receive(t, pc, len(want)), want)
		pc.Close(context.Background())
		s.awaitReaders(t, 1) // the first of all still is open
	}
	f(azeventhubs.StartPosition{Earliest: ptr(true)}, "e0", "e1", "e2", "e3", "e4")
	f(azeventhubs.StartPosition{Offset: &list[2].Offset}, "e3", "e4")
	f(azeventhubs.StartPosition{Offset: &list[2].Offset, Inclusive: true}, "e2", "e3", "e4")
	f(azeventhubs.StartPosition{SequenceNumber: ptr(int64(1))}, "e2", "e3", "e4")
	f(azeventhubs.StartPosition{SequenceNumber: ptr(int64(1)), Inclusive: true}, "e1", "e2", "e3", "e4")
	f(azeventhubs.StartPosition{EnqueuedTime: ptr(list[0].EnqueuedTime.Add(-time.Hour))}, "e0")
	// A time that is behind: the next event comes, and none before it.
	late, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Latest: ptr(true)}})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close(context.Background())
	got := make(chan []string)
	go func() {
		list, _ := late.ReceiveEvents(soon(t), 1, nil) // this is what opens the link
		got <- bodies(list)
	}()
	s.awaitReaders(t, 2)
	send(t, p, to("0"), "e5")
	equal(t, <-got, []string{"e5"})
}

// awaitReaders waits until so many receivers are known.
func (s *served) awaitReaders(t testing.TB, n int) {
	t.Helper()
	ctx := soon(t)
	for {
		have := s.Stats().Readers
		if have == n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d receivers; want %d", have, n)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestOwnerLevels(t *testing.T) {
	s := serve(t, nil)
	p := s.producer(nil)
	send(t, p, to("0"), "a")
	level := func(n int64, id string) (*azeventhubs.PartitionClient, error) {
		c := s.consumerOf(s.connection(), "orders", "g1", &azeventhubs.ConsumerClientOptions{RetryOptions: once, InstanceID: id})
		pc := open(t, c, "0", &azeventhubs.PartitionClientOptions{OwnerLevel: &n, StartPosition: azeventhubs.StartPosition{Earliest: ptr(true)}})
		_, err := pc.ReceiveEvents(soon(t), 1, nil)
		return pc, err
	}
	first, err := level(1, "first")
	if err != nil {
		t.Fatal(err)
	}
	second, err := level(2, "second")
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.ReceiveEvents(soon(t), 1, nil)
	equal(t, code(err), azeventhubs.ErrorCodeOwnershipLost)
	if !strings.Contains(fmt.Sprint(err), "New receiver 'second' with higher epoch of '2' is created hence current receiver 'first' with epoch '1' is getting disconnected") {
		t.Errorf("the displaced receiver is told: %v", err)
	}
	_, err = level(1, "third")
	refusedWith(t, err, "amqp:link:stolen")
	if !strings.Contains(fmt.Sprint(err), "Receiver 'second' with a higher epoch '2' already exists. Receiver 'third' with epoch 1 cannot be created. Make sure you are creating receiver with increasing epoch value") {
		t.Errorf("the receiver with a lower level is told: %v", err) // the words that the SDK's own tests look for
	}

	// Without a level there is no way in; in another group there is.
	none := open(t, s.consumerOf(s.connection(), "orders", "G1", nil), "0", nil)
	_, err = none.ReceiveEvents(soon(t), 1, nil)
	refusedWith(t, err, "amqp:link:stolen")
	equal(t, receive(t, open(t, s.consumer(nil), "0", nil), 1), []string{"a"})

	equal(t, s.Stats().Refused["amqp:link:stolen"], 3) // one displaced, two refused

	// An equal level takes over too: a processor that starts again has the level it had.
	if _, err = level(2, "fourth"); err != nil {
		t.Fatal(err)
	}
	_, err = second.ReceiveEvents(soon(t), 1, nil)
	equal(t, code(err), azeventhubs.ErrorCodeOwnershipLost)
}

func TestFiveReaders(t *testing.T) {
	s := serve(t, nil)
	send(t, s.producer(nil), to("0"), "a")
	for range MaxReaders {
		equal(t, receive(t, open(t, s.consumer(nil), "0", nil), 1), []string{"a"})
	}
	_, err := open(t, s.consumer(nil), "0", nil).ReceiveEvents(soon(t), 1, nil)
	refusedWith(t, err, "amqp:resource-limit-exceeded")
}

func TestProperties(t *testing.T) {
	b := newBroker(t, hub.Options{})
	s := serve(t, b)
	p := s.producer(&azeventhubs.ProducerClientOptions{RetryOptions: once})
	got, err := p.GetEventHubProperties(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, _ := b.Hub("orders")
	equal(t, got, azeventhubs.EventHubProperties{Name: "Orders", PartitionIDs: []string{"0", "1", "2", "3"}, CreatedOn: h.Created().Truncate(time.Millisecond)})

	empty, err := p.GetPartitionProperties(soon(t), "2", nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, []any{empty.EventHubName, empty.PartitionID, empty.IsEmpty, empty.BeginningSequenceNumber, empty.LastEnqueuedSequenceNumber, empty.LastEnqueuedOffset, empty.LastEnqueuedOn.UTC().Year()},
		[]any{"Orders", "2", true, 0, -1, "-1", 1})

	send(t, p, to("2"), "a", "b", "c")
	full, err := p.GetPartitionProperties(soon(t), "2", nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := open(t, s.consumer(nil), "2", nil).ReceiveEvents(soon(t), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, []any{full.IsEmpty, full.LastEnqueuedSequenceNumber, full.LastEnqueuedOffset, full.LastEnqueuedOn.UTC()},
		[]any{false, 2, list[2].Offset, list[2].EnqueuedTime.UTC()})

	_, err = p.GetPartitionProperties(soon(t), "9", nil)
	if err == nil || !strings.Contains(err.Error(), "status code 400") {
		t.Errorf("a partition that is not there: %v", err)
	}
	_, err = s.producerOf(s.connection(), "nope", &azeventhubs.ProducerClientOptions{RetryOptions: once}).GetEventHubProperties(soon(t), nil)
	if err == nil || !strings.Contains(err.Error(), "status code 404") {
		t.Errorf("a hub that is not there: %v", err)
	}
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	s := serveWith(t, Options{}, &tls.Config{Certificates: []tls.Certificate{cert}})
	// The endpoint is a name that leads nowhere; the custom endpoint says where to connect.
	connection := fmt.Sprintf("Endpoint=sb://name.example/;SharedAccessKeyName=%s;SharedAccessKey=%s", s.root.Name, s.root.Primary)
	config := &tls.Config{RootCAs: pool, ServerName: "name.example"}
	p := s.producerOf(connection, "orders", &azeventhubs.ProducerClientOptions{RetryOptions: once, CustomEndpoint: s.addr, TLSConfig: config})
	send(t, p, to("0"), "over TLS")
	c := s.consumerOf(connection, "orders", "$Default", &azeventhubs.ConsumerClientOptions{RetryOptions: once, CustomEndpoint: s.addr, TLSConfig: config})
	equal(t, receive(t, open(t, c, "0", nil), 1), []string{"over TLS"})
}

// webSocketServer serves the WebSockets of a server over HTTP.
func (s *served) webSocketServer() string {
	mux := http.NewServeMux()
	mux.Handle(WebSocketPath, s.WebSocket())
	mux.Handle(WebSocketPath+"/", s.WebSocket())
	web := httptest.NewUnstartedServer(mux)
	ctx, stop := context.WithCancel(context.Background())
	web.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	web.Start()
	s.t.Cleanup(func() { stop(); web.Close() })
	return web.URL
}

func TestWebSocket(t *testing.T) {
	f := func(path, protocol string) {
		t.Helper()
		s := serve(t, nil)
		url := s.webSocketServer()
		dial := func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
			if !strings.HasSuffix(args.Host, WebSocketPath) {
				t.Errorf("the SDK asks for %s", args.Host)
			}
			ws, _, err := websocket.Dial(ctx, url+path, &websocket.DialOptions{Subprotocols: []string{protocol}})
			if err != nil {
				return nil, err
			}
			return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
		}
		big := strings.Repeat("x", 300_000) // more than a frame
		send(t, s.producer(&azeventhubs.ProducerClientOptions{NewWebSocketConn: dial, RetryOptions: once}), to("0"), "one", big)
		c := s.consumer(&azeventhubs.ConsumerClientOptions{NewWebSocketConn: dial, RetryOptions: once})
		equal(t, receive(t, open(t, c, "0", nil), 2), []string{"one", big})
	}
	f("/$servicebus/websocket", "AMQPWSB10")
	f("/$servicebus/websocket/", "AMQPWSB10") // .NET
	f("/$servicebus/websocket", "amqp")       // the example of the SDK for Go
}

func TestWebSocketRefused(t *testing.T) {
	s := serve(t, nil)
	url := s.webSocketServer()
	f := func(o *websocket.DialOptions, want int) {
		t.Helper()
		ws, res, err := websocket.Dial(soon(t), url+WebSocketPath, o)
		if err == nil {
			_, _, err = ws.Read(soon(t))
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("%+v: %v", o, err)
			}
			return
		}
		if res == nil || res.StatusCode != want {
			t.Errorf("%+v: %v, %v; want %d", o, res, err, want)
		}
	}
	f(&websocket.DialOptions{Subprotocols: []string{"mqtt"}}, 0)
	f(&websocket.DialOptions{}, 0)
	f(&websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}, http.StatusForbidden)
	res, err := http.Get(url + WebSocketPath)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	equal(t, res.StatusCode, http.StatusUpgradeRequired)
}

func TestUnauthorized(t *testing.T) {
	b := newBroker(t, hub.Options{})
	s := serve(t, b)
	try := func(connection string) error {
		p := s.producerOf(connection, "orders", &azeventhubs.ProducerClientOptions{RetryOptions: once})
		_, err := p.NewEventDataBatch(soon(t), nil)
		return err
	}
	equal(t, code(try(s.with(s.root.Name, "d3Jvbmc="))), azeventhubs.ErrorCodeUnauthorizedAccess)
	equal(t, code(try(s.with("nobody", s.root.Primary))), azeventhubs.ErrorCodeUnauthorizedAccess)
	equal(t, try(s.with(s.root.Name, s.root.Secondary)), nil)
	// A connection string with a token: for the hub, and one that has ended.
	signature := func(resource string, life time.Duration) string {
		return fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", s.addr, sas.Sign(resource, s.root.Name, s.root.Primary, time.Now().Add(life)))
	}
	equal(t, try(signature("amqp://"+s.addr+"/orders", time.Hour)), nil)
	equal(t, code(try(signature("amqp://"+s.addr+"/orders", -time.Second))), azeventhubs.ErrorCodeUnauthorizedAccess)
	equal(t, code(try(signature("amqp://"+s.addr+"/order", time.Hour))), azeventhubs.ErrorCodeUnauthorizedAccess)
	err := try(s.with(s.root.Name, "CANARYd3Jvbmc="))
	if err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "SharedAccessSignature sr=") {
		t.Errorf("the error says too much: %v", err)
	}
}

// TestNotThere asks for hubs, partitions and groups that are not there.
func TestNotThere(t *testing.T) {
	s := serve(t, nil)
	p := s.producerOf(s.connection(), "nope", &azeventhubs.ProducerClientOptions{RetryOptions: once})
	_, err := p.NewEventDataBatch(soon(t), nil)
	refusedWith(t, err, "amqp:not-found")
	if !strings.Contains(fmt.Sprint(err), "The messaging entity 'nope' could not be found") {
		t.Errorf("%v", err)
	}
	_, err = s.producer(nil).NewEventDataBatch(soon(t), to("4"))
	refusedWith(t, err, "com.microsoft:argument-out-of-range")
	_, err = open(t, s.consumer(nil), "17", nil).ReceiveEvents(soon(t), 1, nil)
	refusedWith(t, err, "com.microsoft:argument-out-of-range")
	_, err = open(t, s.consumerOf(s.connection(), "orders", "nobody", nil), "0", nil).ReceiveEvents(soon(t), 1, nil)
	refusedWith(t, err, "amqp:not-found")
}

func TestOversized(t *testing.T) {
	s := serve(t, nil)
	p := s.producer(nil)
	b, err := p.NewEventDataBatch(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddEventData(&azeventhubs.EventData{Body: make([]byte, 1<<20)}, nil); !errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
		t.Errorf("the SDK knows the size that a batch may have: %v", err)
	}
	if err := b.AddEventData(&azeventhubs.EventData{Body: make([]byte, 1<<20-200)}, nil); err != nil {
		t.Error(err)
	}
	if err := p.SendEventDataBatch(soon(t), b, nil); err != nil {
		t.Error(err)
	}
	// A client that does not look at the size is told.
	session := s.dial(nil)
	sender, err := session.NewSender(soon(t), "orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, sender.MaxMessageSize(), 1<<20)
}

// TestHubRemoved removes a hub that is read and sent to.
func TestHubRemoved(t *testing.T) {
	b := newBroker(t, hub.Options{})
	s := serve(t, b)
	p := s.producer(&azeventhubs.ProducerClientOptions{RetryOptions: once})
	send(t, p, to("0"), "a")
	pc := open(t, s.consumer(nil), "0", nil)
	equal(t, receive(t, pc, 1), []string{"a"})
	if err := b.Remove("orders"); err != nil {
		t.Fatal(err)
	}
	_, err := pc.ReceiveEvents(soon(t), 1, nil)
	if got := clientCondition(err); got != "amqp:link:detach-forced" && got != "amqp:not-found" {
		t.Errorf("the receiver is told %v", err)
	}
	batch, err := p.NewEventDataBatch(soon(t), to("0"))
	if err == nil {
		batch.AddEventData(&azeventhubs.EventData{Body: []byte("b")}, nil)
		err = p.SendEventDataBatch(soon(t), batch, nil)
	}
	if got := clientCondition(err); got != "amqp:link:detach-forced" && got != "amqp:not-found" {
		t.Errorf("the sender is told %v", err)
	}
}

// TestSlowReader says that a receiver that takes nothing holds up nobody.
func TestSlowReader(t *testing.T) {
	s := serve(t, nil)
	session := s.dial(nil)
	slow, err := session.NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", &client.ReceiverOptions{Credit: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := s.producer(nil)
	var want []string
	for i := range 50 {
		text := fmt.Sprint(i, strings.Repeat("x", 100_000))
		send(t, p, to("0"), text)
		want = append(want, text)
	}
	equal(t, receive(t, open(t, s.consumer(nil), "0", nil), 50), want)
	m, err := slow.Receive(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(m.Data[0]), want[0])
}

// TestProcessor runs the event processor of the SDK, twice: the second begins where the first
// has left its checkpoint.
func TestProcessor(t *testing.T) {
	s := serve(t, nil)
	p := s.producer(nil)
	store := newStore()
	run := func(want int) []string {
		t.Helper()
		c := s.consumer(nil)
		processor, err := azeventhubs.NewProcessor(c, store, &azeventhubs.ProcessorOptions{LoadBalancingStrategy: azeventhubs.ProcessorStrategyGreedy,
			UpdateInterval: 50 * time.Millisecond, StartPositions: azeventhubs.StartPositions{Default: azeventhubs.StartPosition{Earliest: ptr(true)}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(soon(t))
		defer stop()
		got := make(chan string)
		go func() {
			for {
				pc := processor.NextPartitionClient(ctx)
				if pc == nil {
					return
				}
				go drainPartition(ctx, pc, got)
			}
		}()
		ended := make(chan error, 1)
		go func() { ended <- processor.Run(ctx) }()
		var all []string
		for len(all) < want {
			select {
			case text := <-got:
				all = append(all, text)
			case err := <-ended:
				t.Fatalf("the processor has ended: %v", err)
			case <-ctx.Done():
				t.Fatalf("%d events of %d", len(all), want)
			}
		}
		stop()
		<-ended
		slices.Sort(all)
		return all
	}
	var want []string
	for i := range 8 {
		send(t, p, to(fmt.Sprint(i%4)), fmt.Sprint("e", i))
		want = append(want, fmt.Sprint("e", i))
	}
	equal(t, run(8), want)
	send(t, p, to("3"), "f0")
	equal(t, run(1), []string{"f0"})
}

// drainPartition takes events one by one, with a checkpoint behind each.
func drainPartition(ctx context.Context, pc *azeventhubs.ProcessorPartitionClient, got chan<- string) {
	defer pc.Close(context.Background())
	for {
		list, err := pc.ReceiveEvents(ctx, 1, nil)
		if err != nil {
			return
		}
		for _, e := range list {
			if err := pc.UpdateCheckpoint(ctx, e, nil); err != nil {
				return
			}
			select {
			case got <- string(e.Body):
			case <-ctx.Done():
				return
			}
		}
	}
}
