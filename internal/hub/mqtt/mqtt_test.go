package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/disk"
	"weir/internal/hub/sas"
)

func TestTelemetryOfADevice(t *testing.T) {
	w := start(t)
	c := w.connect(w.deviceOptions("dev-1"))
	w.send(c, "devices/dev-1/messages/events/%24.mid=m1&%24.cid=c1&%24.ct=application%2Fjson&%24.ce=utf-8&level=hot%20%26%20high&empty", 1, `{"t":1}`)
	w.send(c, "devices/dev-1/messages/events/", 0, `{"t":2}`)
	w.send(c, "devices/dev-1/messages/events", 1, `{"t":3}`)
	events, list := w.stored("iothub")
	if len(list) != 3 {
		t.Fatalf("%d events are stored", len(list))
	}
	for i, want := range []string{`{"t":1}`, `{"t":2}`, `{"t":3}`} {
		if got := string(list[i].Body); got != want || string(events[i].Key) != "dev-1" {
			t.Errorf("event %d: %s of %s", i, got, events[i].Key)
		}
	}
	m := list[0]
	p := m.Properties
	if p.MessageID != "m1" || p.CorrelationID != "c1" || p.ContentType != "application/json" || p.ContentEncoding != "utf-8" || p.To != "/devices/dev-1/messages/events" {
		t.Errorf("properties %+v", p)
	}
	if fmt.Sprint(m.Application) != "[{level hot & high} {empty }]" {
		t.Errorf("application properties %v", m.Application)
	}
	for key, want := range map[string]any{
		"iothub-connection-device-id":          "dev-1",
		"iothub-connection-auth-method":        `{"scope":"device","type":"sas","issuer":"iothub"}`,
		"iothub-connection-auth-generation-id": "1",
		"iothub-message-source":                "Telemetry",
	} {
		if got := get(m.Annotations, key); got != want {
			t.Errorf("%s is %v", key, got)
		}
	}
	if at, ok := get(m.Annotations, "iothub-enqueuedtime").(time.Time); !ok || time.Since(at).Abs() > time.Minute {
		t.Errorf("iothub-enqueuedtime is %v", get(m.Annotations, "iothub-enqueuedtime"))
	}
	if st := w.s.Stats(); st.Events != 3 || st.Accepted != 1 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestHubByHost(t *testing.T) {
	w := start(t)
	o := w.deviceOptions("d").SetUsername("Plain.azure-devices.net/d/?api-version=2021-04-12")
	c := w.connect(o)
	w.send(c, "devices/d/messages/events/", 1, "x")
	if got := w.bodies("plain"); len(got) != 1 {
		t.Errorf("plain has %v", got)
	}
}

func TestPolicyToken(t *testing.T) {
	w := start(t)
	r := w.root()
	for i, token := range []string{
		sas.Sign("localhost/devices/d", r.Name, r.Primary, in(time.Hour)),
		sas.Sign("localhost/devices/d", r.Name, string(decodeKey(r.Secondary)), in(time.Hour)),
		sas.Sign("localhost", r.Name, string(decodeKey(r.Primary)), in(time.Hour)),
	} {
		c := w.connect(w.deviceOptions("d").SetPassword(token))
		w.send(c, "devices/d/messages/events/", 1, "x")
		_, list := w.stored("iothub")
		if len(list) != i+1 || get(list[i].Annotations, "iothub-connection-auth-method") != `{"scope":"hub","type":"sas","issuer":"iothub"}` {
			t.Errorf("token %d: %v", i, list)
		}
		c.Disconnect(0)
	}
}

func TestRefused(t *testing.T) {
	w := start(t)
	r := w.root()
	f := func(what string, want string, change func(o *paho.ClientOptions)) {
		t.Helper()
		o := w.deviceOptions("dev")
		change(o)
		c := paho.NewClient(o)
		err := wait(t, c.Connect())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			c.Disconnect(0)
		}
	}
	no := "not Authorized"
	f("no password", "bad user name or password", func(o *paho.ClientOptions) { o.SetUsername("x").SetPassword("") })
	f("no token", no, func(o *paho.ClientOptions) { o.SetPassword("secret") })
	f("of another device", no, func(o *paho.ClientOptions) { o.SetPassword(w.deviceToken("dev2", in(time.Hour))) })
	f("client id of another device", "identifier rejected", func(o *paho.ClientOptions) { o.SetClientID("dev2") })
	f("user name of another device", no, func(o *paho.ClientOptions) {
		o.SetClientID("dev2").SetUsername("localhost/dev2/?api-version=1")
	})
	f("expired", no, func(o *paho.ClientOptions) { o.SetPassword(w.deviceToken("dev", in(-time.Second))) })
	f("prefix", no, func(o *paho.ClientOptions) {
		o.SetPassword(sas.Sign("localhost/devices/de", r.Name, r.Primary, in(time.Hour)))
	})
	f("unknown policy", no, func(o *paho.ClientOptions) {
		o.SetPassword(sas.Sign("localhost/devices/dev", "nobody", r.Primary, in(time.Hour)))
	})
	f("wrong key", no, func(o *paho.ClientOptions) {
		o.SetPassword(sas.Sign("localhost/devices/dev", r.Name, "bm8=", in(time.Hour)))
	})
	f("policy's key as the device's", no, func(o *paho.ClientOptions) {
		o.SetPassword(strings.TrimSuffix(sas.Sign("localhost/devices/dev", "x", string(decodeKey(r.Primary)), in(time.Hour)), "&skn=x"))
	})
	f("a device key for all devices", no, func(o *paho.ClientOptions) {
		o.SetPassword(strings.TrimSuffix(sas.Sign("localhost", "x", string(decodeKey(DeviceKey(r.Primary, "dev"))), in(time.Hour)), "&skn=x"))
	})
	f("wrong key of a plain client", no, func(o *paho.ClientOptions) { o.SetUsername(r.Name).SetPassword(r.Primary + "x") })
	f("will for another topic", no, func(o *paho.ClientOptions) { o.SetWill("devices/other/messages/events/", "x", 1, false) })
	f("a long client id", "identifier rejected", func(o *paho.ClientOptions) {
		o.SetUsername(r.Name).SetPassword(r.Primary).SetClientID(strings.Repeat("x", 257))
	})
	if st := w.s.Stats(); st.Accepted != 0 || st.Refused != 14 {
		t.Errorf("%+v", st)
	}
	if got := w.bodies("iothub"); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
	log := w.log.String()
	for _, secret := range []string{r.Primary, r.Secondary, DeviceKey(r.Primary, "dev"), "sr=", "sig=", "secret"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q in it", secret)
		}
	}
	if !strings.Contains(log, "the token has expired") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

// TestEmptyPassword: it counts as none, and the answer is one that the client's MQTT has.
func TestEmptyPassword(t *testing.T) {
	w := start(t)
	f := func(version byte, password string, want byte) {
		t.Helper()
		c := w.raw()
		mustWrite(t, c, w.connect5("", w.root().Name, password, func(pk *packets.Packet) { pk.ProtocolVersion = version }))
		answer, err := io.ReadAll(c)
		if err != nil || len(answer) < 4 || answer[0] != 0x20 || answer[3] != want {
			t.Errorf("MQTT %d, %q: % x, %v", version, password, answer, err)
		}
	}
	f(4, "", packets.ErrMalformedUsernameOrPassword.Code)
	f(4, "wrong", packets.Err3NotAuthorized.Code)
	f(5, "", packets.ErrBadUsernameOrPassword.Code)
	f(5, "wrong", packets.ErrNotAuthorized.Code)
	if log := w.log.String(); strings.Count(log, `client="" `) != 4 || strings.Count(log, errAnonymous.Error()) != 2 {
		t.Errorf("the log:\n%s", log)
	}
}

func TestDeviceKeyIsThatOfProvisioning(t *testing.T) {
	// The example of "How to use symmetric key attestation with an enrollment group".
	key := "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
	if got := DeviceKey(key, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"); got != "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=" {
		t.Error(got)
	}
}

func TestPlainClients(t *testing.T) {
	w := start(t)
	c := w.connect(w.plainOptions("gateway"))
	w.send(c, "hubs/plain/messages", 1, "a")
	w.send(c, "hubs/PLAIN/messages/x=1", 1, "b")
	events, list := w.stored("plain")
	if len(list) != 2 || string(events[0].Key) != "gateway" || get(list[1].Application, "x") != "1" || len(list[0].Annotations) != 0 {
		t.Fatalf("%v %v", events, list)
	}
	none := w.connect(w.plainOptions("").SetCleanSession(true))
	for i := range 5 {
		w.send(none, "hubs/iothub/messages", 1, fmt.Sprint(i))
	}
	events, _ = w.stored("iothub")
	if got := w.bodies("iothub"); strings.Join(got, "") != "01234" || events[0].Key != nil {
		t.Errorf("without a client id: %v, key %q", got, events[0].Key)
	}
	token := sas.Sign("sb://localhost/plain", w.root().Name, w.root().Primary, in(time.Hour))
	byToken := w.connect(w.plainOptions("t").SetUsername("anything").SetPassword(token))
	w.send(byToken, "hubs/plain/messages", 1, "c")
	if err := wait(t, byToken.Publish("hubs/iothub/messages", 1, false, "x")); err == nil {
		until(t, "the connection ends", func() bool { return !byToken.IsConnected() })
	}
	// A publisher's token would send as any other publisher.
	narrow := w.plainOptions("other").SetUsername("anything").SetPassword(sas.Sign("sb://localhost/plain/publishers/t", w.root().Name, w.root().Primary, in(time.Hour)))
	if err := wait(t, paho.NewClient(narrow).Connect()); err == nil {
		t.Error("a token of a publisher lets any client in")
	}
	if got := w.bodies("iothub"); len(got) != 5 {
		t.Errorf("a token of one hub has sent to another: %v", got)
	}
}

func TestTopicsThatAreNotTheirs(t *testing.T) {
	w := start(t)
	for _, topic := range []string{"devices/other/messages/events/", "devices/dev/messages/other", "hubs/iothub/messages", "x", "$SYS/x", "devices/dev/messages/events/a=%zz", "devices/dev/messages/events/a=%ff"} {
		c := w.connect(w.deviceOptions("dev"))
		c.Publish(topic, 1, false, "x")
		if topic == "$SYS/x" { // mochi drops it
			continue
		}
		until(t, "the connection ends after "+topic, func() bool { return !c.IsConnected() })
	}
	if got := w.bodies("iothub"); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
}

func TestNothingIsPassedOn(t *testing.T) {
	w := start(t)
	c := w.connect(w.deviceOptions("dev"))
	got := make(chan string, 10)
	f := func(filter string, allowed bool) {
		t.Helper()
		token := c.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { got <- m.Topic() }).(*paho.SubscribeToken)
		_ = wait(t, token)
		if code := token.Result()[filter]; (code < 0x80) != allowed {
			t.Errorf("%s: %x", filter, code)
		}
		if !allowed { // or its handler would have all
			c.AddRoute(filter, func(paho.Client, paho.Message) {})
		}
	}
	f("devices/dev/messages/devicebound/#", true)
	f("$iothub/methods/POST/#", true)
	f("$iothub/twin/PATCH/properties/desired/#", true)
	f("devices/dev/messages/events/#", false)
	f("devices/other/messages/devicebound/#", false)
	f("#", false)
	f("+/+/#", false)
	f("$SYS/#", false)
	f("hubs/iothub/events", false) // a device's key does not listen
	w.send(c, "devices/dev/messages/events/", 1, "x")
	f("$iothub/twin/res/#", true)
	w.send(c, "$iothub/twin/GET/?$rid=7", 0, "")
	if topic := <-got; topic != "$iothub/twin/res/200/?$rid=7" {
		t.Errorf("the twin's answer has the topic %s", topic)
	}
	w.send(c, "$iothub/twin/PATCH/properties/reported/?$rid=8", 1, `{"a":1}`)
	if topic := <-got; topic != "$iothub/twin/res/501/?$rid=8" {
		t.Errorf("the twin's answer has the topic %s", topic)
	}
}

func TestWill(t *testing.T) {
	w := start(t)
	o := w.deviceOptions("dev").SetWill("devices/dev/messages/events/a=b", "gone", 1, true)
	w.connect(o).Disconnect(10)
	until(t, "the first connection has ended", func() bool { return w.s.Stats().Connections == 0 })
	if got := w.bodies("iothub"); len(got) != 0 {
		t.Fatalf("a client that has said good-bye left %v", got)
	}
	var conn net.Conn
	o = w.deviceOptions("dev").SetWill("devices/dev/messages/events/a=b", "gone", 1, true)
	o.SetDialer(&net.Dialer{})
	w.connect(o)
	w.s.mu.Lock()
	for x := range w.s.open {
		conn = x.sock.Conn
	}
	w.s.mu.Unlock()
	conn.Close()
	until(t, "the second connection has ended", func() bool { return w.s.Stats().Connections == 0 })
	_, list := w.stored("iothub")
	if len(list) != 1 || string(list[0].Body) != "gone" || get(list[0].Application, "iothub-MessageType") != "Will" || get(list[0].Application, "a") != "b" {
		t.Errorf("left %v", list)
	}
}

func TestTakenOver(t *testing.T) {
	w := start(t)
	lost := make(chan error, 1)
	o := w.deviceOptions("dev").SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	w.connect(o)
	second := w.connect(w.deviceOptions("dev"))
	<-lost
	w.send(second, "devices/dev/messages/events/", 1, "x")
	// The same client id with other credentials is another client.
	other := w.connect(w.plainOptions("dev"))
	w.send(second, "devices/dev/messages/events/", 1, "y")
	w.send(other, "hubs/plain/messages", 1, "z")
	if st := w.s.Stats(); st.TakenOver != 1 || st.Connections != 2 {
		t.Errorf("%+v", st)
	}
}

func TestTokenExpires(t *testing.T) {
	w := start(t)
	lost := make(chan error, 1)
	o := w.deviceOptions("dev").SetPassword(w.deviceToken("dev", in(2*time.Second))).SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	w.connect(o)
	<-lost
	if st := w.s.Stats(); st.Expired != 1 {
		t.Errorf("%+v", st)
	}
}

// TestFailedAppend: what could not be appended is not acknowledged.
func TestFailedAppend(t *testing.T) {
	w := start(t)
	lost := make(chan error, 1)
	c := w.connect(w.deviceOptions("dev").SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }))
	w.send(c, "devices/dev/messages/events/", 1, "kept")
	broken := errors.New("the disk is broken")
	w.mem.Hook(func(op disk.Op, _ string) error {
		if op == disk.OpSync || op == disk.OpWrite {
			return broken
		}
		return nil
	})
	token := c.Publish("devices/dev/messages/events/", 1, false, "lost")
	<-lost
	w.mem.Hook(nil)
	select {
	case <-token.Done():
		if token.Error() == nil {
			t.Error("a message that was not stored is acknowledged")
		}
	default:
	}
	if st := w.s.Stats(); st.Events != 1 || st.Failed != 1 {
		t.Errorf("%+v", st)
	}
}

func TestTooLarge(t *testing.T) {
	w := start(t)
	lost := make(chan error, 1)
	c := w.connect(w.deviceOptions("dev").SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }))
	most, _ := w.broker.Limits()
	w.send(c, "devices/dev/messages/events/", 1, strings.Repeat("x", most-1000))
	c.Publish("devices/dev/messages/events/", 1, false, strings.Repeat("x", most))
	<-lost
	if got := w.bodies("iothub"); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
}

func TestManyAtOnce(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.QueueBytes = 4096 })
	const devices, each = 8, 200
	var all sync.WaitGroup
	for d := range devices {
		c := w.connect(w.deviceOptions(fmt.Sprintf("dev-%d", d)))
		all.Go(func() {
			var list []paho.Token
			for i := range each {
				list = append(list, c.Publish(fmt.Sprintf("devices/dev-%d/messages/events/", d), 1, false, fmt.Sprintf("%d/%d", d, i)))
			}
			for _, token := range list {
				if err := wait(t, token); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	next := map[string]int{}
	events, list := w.stored("iothub")
	for i, m := range list {
		id := string(events[i].Key)
		if want := fmt.Sprintf("%s/%d", strings.TrimPrefix(id, "dev-"), next[id]); string(m.Body) != want {
			t.Fatalf("%s comes after %d of its kind", m.Body, next[id])
		}
		next[id]++
	}
	if len(list) != devices*each {
		t.Errorf("%d events are stored", len(list))
	}
}

func TestMQTT5(t *testing.T) {
	w := start(t)
	c := w.raw()
	mustWrite(t, c, w.connect5("dev", "localhost/dev/?api-version=2021-04-12", w.deviceToken("dev", in(time.Hour)), func(pk *packets.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
	}))
	ack := next(t, c)
	if ack.ReasonCode != 0 || ack.SessionPresent || ack.Properties.MaximumQos != 1 || !ack.Properties.SessionExpiryIntervalFlag || ack.Properties.SessionExpiryInterval != 0 {
		t.Fatalf("CONNACK %+v", ack)
	}
	mustWrite(t, c, publish5(t, "devices/dev/messages/events/", "a", 1, 5, func(pk *packets.Packet) {
		pk.Properties.User = []packets.UserProperty{{Key: "u", Val: "v"}}
		pk.Properties.ContentType = "text/plain"
	}))
	if got := next(t, c); got.FixedHeader.Type != packets.Puback || got.PacketID != 5 || got.ReasonCode != 0 {
		t.Errorf("PUBACK %+v", got)
	}
	// What MQTT 5 can be told of, it is, and the connection stays.
	mustWrite(t, c, publish5(t, "devices/other/messages/events/", "b", 1, 6, nil))
	if got := next(t, c); got.PacketID != 6 || got.ReasonCode != packets.ErrTopicNameInvalid.Code {
		t.Errorf("PUBACK %+v", got)
	}
	_, list := w.stored("iothub")
	if len(list) != 1 || get(list[0].Application, "u") != "v" || list[0].Properties.ContentType != "text/plain" {
		t.Errorf("stored %v", list)
	}
	mustWrite(t, c, publish5(t, "devices/dev/messages/events/", "c", 2, 7, nil))
	if got := next(t, c); got.FixedHeader.Type != packets.Disconnect || got.ReasonCode != packets.ErrQosNotSupported.Code {
		t.Errorf("after QoS 2: %+v", got)
	}
	bad := w.raw()
	mustWrite(t, bad, w.connect5("dev", "localhost/dev/?api-version=2021-04-12", w.deviceToken("dev2", in(time.Hour)), nil))
	if got := next(t, bad); got.ReasonCode != packets.ErrNotAuthorized.Code {
		t.Errorf("CONNACK %+v", got)
	}
}

func TestBadBytes(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.ConnectTime = 300 * time.Millisecond })
	good := w.connect(w.deviceOptions("good"))
	f := func(what string, b []byte) {
		t.Helper()
		c := w.raw()
		mustWrite(t, c, b)
		if n, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") || n > 8 {
			t.Errorf("%s: %d bytes, %v", what, n, err)
		}
	}
	f("268 MB before CONNECT", []byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	f("length without end", []byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff})
	f("PUBLISH first", []byte{0x30, 5, 0, 1, 'a', 'b', 'c'})
	f("HTTP", []byte("GET / HTTP/1.1\r\n\r\n"))
	f("nothing", nil)
	f("half a CONNECT", []byte{0x10, 20, 0, 4, 'M', 'Q'})
	f("no protocol", []byte{0x10, 12, 0, 4, 'M', 'Q', 'T', 'X', 4, 2, 0, 60, 0, 0})
	f("version 3.1", append([]byte{0x10, 14, 0, 6}, "MQIsdp\x03\x02\x00\x3c\x00\x00"...))
	connect := w.connect5("bad", w.root().Name, w.root().Primary, nil)
	g := func(what string, b []byte) {
		t.Helper()
		c := w.raw()
		mustWrite(t, c, connect)
		if got := next(t, c); got.ReasonCode != 0 {
			t.Fatalf("CONNACK %+v", got)
		}
		mustWrite(t, c, b)
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", what, err)
		}
	}
	g("a second CONNECT", connect)
	g("268 MB", []byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	g("a topic alias", publish5(t, "hubs/plain/messages", "x", 0, 0, func(pk *packets.Packet) {
		pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 1, true
	}))
	g("type 0", []byte{0, 0})
	g("SUBSCRIBE to nothing", []byte{0x82, 3, 0, 1, 0})
	w.send(good, "devices/good/messages/events/", 1, "x")
	if strings.Contains(w.log.String(), w.root().Primary) {
		t.Error("the log has a key in it")
	}
}

// TestPanicOfTheDecoder: a SUBSCRIBE of MQTT 5 whose last filter has no options makes mochi's
// decoder read behind its end. The connection ends, and no other.
func TestPanicOfTheDecoder(t *testing.T) {
	w := start(t)
	good := w.connect(w.deviceOptions("good"))
	bad := w.connect(w.deviceOptions("bad"))
	c := w.raw()
	mustWrite(t, c, w.connect5("x", w.root().Name, w.root().Primary, nil))
	mustWrite(t, c, []byte{0x82, 5, 0, 1, 0, 0, 0})
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	until(t, "the connection has ended", func() bool { return w.s.Stats().Connections == 2 })
	if st := w.s.Stats(); st.Broken != 1 {
		t.Errorf("%+v\n%s", st, w.log)
	}
	w.send(good, "devices/good/messages/events/", 1, "x")
	w.send(bad, "devices/bad/messages/events/", 1, "x")
}

func TestTooManyConnections(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Connections = 2 })
	w.connect(w.deviceOptions("a"))
	w.connect(w.deviceOptions("b"))
	c := w.raw()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is served")
	}
	if st := w.s.Stats(); st.Refused != 1 || st.Connections != 2 {
		t.Errorf("%+v", st)
	}
}
