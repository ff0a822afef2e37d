package mqtt

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker with the hubs iothub and plain, and a server before it.
type world struct {
	t      testing.TB
	mem    *disk.Mem
	broker *hub.Broker
	s      *Server
	addr   string
	log    *texts
}

// texts keeps what is logged.
type texts struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *texts) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *texts) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, mem: disk.NewMem(1), log: &texts{}}
	var err error
	if w.broker, err = hub.Open(hub.Options{FS: w.mem.Boot()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iothub", "plain"} {
		if _, err := w.broker.Create(hub.Config{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Broker: w.broker, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&o)
	}
	w.s = New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = w.s.Serve(context.Background(), c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.s.Close()
		all.Wait()
		if err := w.broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// root is the first key of the namespace.
func (w *world) root() hub.Rule { return w.broker.Rules("")[0] }

// deviceToken is what the SDK of a device signs with its own key.
func (w *world) deviceToken(id string, expires time.Time) string {
	key := decodeKey(DeviceKey(w.root().Primary, id))
	token := sas.Sign("localhost/devices/"+id, "x", string(key), expires)
	return strings.TrimSuffix(token, "&skn=x")
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// deviceOptions are what azure-iot-device-mqtt connects with.
func (w *world) deviceOptions(id string) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tcp://" + w.addr).SetClientID(id).SetCleanSession(false).
		SetUsername("localhost/" + id + "/?api-version=2021-04-12&DeviceClientType=test").
		SetPassword(w.deviceToken(id, in(time.Hour))).SetAutoReconnect(false).SetProtocolVersion(4)
}

func (w *world) plainOptions(id string) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tcp://" + w.addr).SetClientID(id).
		SetUsername(w.root().Name).SetPassword(w.root().Primary).SetAutoReconnect(false).SetProtocolVersion(4)
}

func wait(t testing.TB, token paho.Token) error {
	t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer within 10 s")
	}
	return token.Error()
}

func (w *world) connect(o *paho.ClientOptions) paho.Client {
	w.t.Helper()
	c := paho.NewClient(o)
	if err := wait(w.t, c.Connect()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func (w *world) send(c paho.Client, topic string, qos byte, body string) {
	w.t.Helper()
	if err := wait(w.t, c.Publish(topic, qos, false, body)); err != nil {
		w.t.Fatal(err)
	}
}

// stored are the events of a hub, partition by partition.
func (w *world) stored(name string) (events []hub.Event, messages []amqp.Message) {
	w.t.Helper()
	h, err := w.broker.Hub(name)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range h.Partitions() {
		r, err := p.Read(0)
		if err != nil {
			w.t.Fatal(err)
		}
		for {
			b, err := r.Next()
			if err != nil {
				w.t.Fatal(err)
			}
			if b == nil {
				break
			}
			for _, rec := range b.Records {
				value := bytes.Clone(rec.Value)
				m, err := amqp.Decode(value)
				if err != nil {
					w.t.Fatal(err)
				}
				events = append(events, hub.Event{Key: bytes.Clone(rec.Key), Message: value})
				messages = append(messages, m)
			}
		}
		r.Close()
	}
	return events, messages
}

// bodies are the bodies of a hub's events.
func (w *world) bodies(name string) []string {
	w.t.Helper()
	_, list := w.stored(name)
	var out []string
	for _, m := range list {
		out = append(out, string(m.Body))
	}
	return out
}

func get(list []amqp.Pair, key string) any {
	for _, p := range list {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// until waits for something that comes true on another goroutine.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-tick.C
	}
}

// raw is a client that sends what it likes.
func (w *world) raw() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// connect5 is the bytes of a CONNECT of MQTT 5.
func (w *world) connect5(id, user, password string, change func(*packets.Packet)) []byte {
	pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: id,
			UsernameFlag: true, Username: []byte(user), PasswordFlag: true, Password: []byte(password)}}
	if change != nil {
		change(&pk)
	}
	var b bytes.Buffer
	if err := pk.ConnectEncode(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

// next reads a packet of MQTT 5.
func next(t testing.TB, c net.Conn) packets.Packet {
	t.Helper()
	var b [1]byte
	pk := packets.Packet{ProtocolVersion: 5}
	if _, err := io.ReadFull(c, b[:]); err != nil {
		t.Fatal(err)
	}
	if err := pk.FixedHeader.Decode(b[0]); err != nil {
		t.Fatal(err)
	}
	var length [4]byte
	n := 0
	for {
		if _, err := io.ReadFull(c, length[n:n+1]); err != nil {
			t.Fatal(err)
		}
		pk.FixedHeader.Remaining |= int(length[n]&0x7f) << (7 * n)
		if length[n]&0x80 == 0 {
			break
		}
		n++
	}
	rest := make([]byte, pk.FixedHeader.Remaining)
	if _, err := io.ReadFull(c, rest); err != nil {
		t.Fatal(err)
	}
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(rest)
	case packets.Puback:
		err = pk.PubackDecode(rest)
	case packets.Publish:
		err = pk.PublishDecode(rest)
	case packets.Suback:
		err = pk.SubackDecode(rest)
	case packets.Disconnect:
		err = pk.DisconnectDecode(rest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pk
}

func publish5(t testing.TB, topic, body string, qos byte, id uint16, change func(*packets.Packet)) []byte {
	t.Helper()
	pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: topic, Payload: []byte(body), PacketID: id}
	if change != nil {
		change(&pk)
	}
	var b bytes.Buffer
	if err := pk.PublishEncode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mustWrite(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}
