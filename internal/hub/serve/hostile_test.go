package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/internal/hub"
	message "weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

// allPorts is a server with all protocols, each on a port of its own.
func allPorts(t *testing.T) *site {
	t.Helper()
	return newSite(t, Options{AMQP: anyPort, HTTPS: anyPort, Kafka: anyPort, MQTT: anyPort, Forward: anyPort, ForwardHub: "hub1", HandshakeTime: time.Second}, nil)
}

func (s *site) root() hub.Rule { return s.broker.Rules("")[0] }

// deadline bounds what a test waits for.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// notUTF8 is a text that is none.
const notUTF8 = "a\xff\xc3z"

// A message that one protocol takes is one that each of the others can read: texts that are not
// UTF-8 are refused at the door, or made texts.
func TestNoDoorTakesWhatReadersCannotDecode(t *testing.T) {
	s := allPorts(t)
	sent := 0
	s.postBad(t, &sent)
	s.produceBad(t, &sent)
	s.publishBad(t, &sent)
	s.forwardBad(t, &sent)
	h, err := s.broker.Hub("hub1")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range h.Partitions() {
		rg := p.Range()
		s.receive(t, p.ID(), int(rg.Next-rg.First))
		n += int(rg.Next - rg.First)
		checkStored(t, p)
	}
	if n != sent {
		t.Errorf("%d events are kept of %d that were acknowledged", n, sent)
	}
}

// checkStored checks that what is in a partition can be decoded.
func checkStored(t *testing.T, p *hub.Partition) {
	t.Helper()
	r, err := p.Read(p.Range().First)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return
		}
		for i := range b.Records {
			sections, err := message.Split(b.Records[i].Value)
			if err == nil {
				err = sections.Check()
			}
			if err != nil {
				t.Errorf("%q: %v", b.Records[i].Value, err)
			}
		}
	}
}

// receive has a client of AMQP take n events from a partition.
func (s *site) receive(t *testing.T, partition, n int) {
	t.Helper()
	c, err := amqp.Dial(deadline(t), "amqp://"+s.address("amqp"), &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(s.root().Name, s.root().Primary)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	session, err := c.NewSession(deadline(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	from := amqp.NewLinkFilter("apache.org:selector-filter:string", 0x468C00000004, "amqp.annotation.x-opt-offset > '-1'")
	r, err := session.NewReceiver(deadline(t), fmt.Sprintf("hub1/ConsumerGroups/$Default/Partitions/%d", partition), &amqp.ReceiverOptions{Filters: []amqp.LinkFilter{from}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := r.Receive(deadline(t), nil); err != nil {
			t.Errorf("event %d of %d of partition %d: %v", i, n, partition, err)
			return
		}
	}
}

// postBad posts events; each status that is not 201 is a refusal.
func (s *site) postBad(t *testing.T, sent *int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.trust()}}
	defer client.CloseIdleConnections()
	post := func(path, body string, header ...string) {
		t.Helper()
		q, err := http.NewRequestWithContext(deadline(t), http.MethodPost, "https://"+s.address("https")+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", sas.Sign("https://localhost/hub1", s.root().Name, s.root().Primary, time.Now().Add(time.Hour)))
		for i := 0; i < len(header); i += 2 {
			q.Header[header[i]] = []string{header[i+1]}
		}
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode == http.StatusCreated {
			*sent++
		} else if a.StatusCode != http.StatusBadRequest {
			t.Error(a.Status)
		}
	}
	post("/hub1/messages", notUTF8)
	post("/hub1/messages", "x", "X-Bad", notUTF8)
	post("/hub1/messages", "x", "Content-Type", notUTF8)
	post("/hub1/messages", "x", "Content-Type", "text/é")
	post("/hub1/messages", "x", "Brokerproperties", `{"PartitionKey":"`+notUTF8+`","Label":"`+notUTF8+`","MessageId":"`+notUTF8+`"}`)
	post("/hub1/publishers/%ff%fe/messages", "x")
	post("/hub1/messages", `[{"Body":"`+notUTF8+`","UserProperties":{"`+notUTF8+`":"`+notUTF8+`"},"BrokerProperties":{"PartitionKey":"`+notUTF8+`"}}]`,
		"Content-Type", "application/vnd.microsoft.servicebus.json")
	post("/hub1/messages", `[{"Body":"\ud800","UserProperties":{"\udfff":"\ud800"}}]`, "Content-Type", "application/vnd.microsoft.servicebus.json")
}

// produceBad sends with a client of Kafka.
func (s *site) produceBad(t *testing.T, sent *int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.address("kafka")), kgo.SASL(plain.Auth{User: s.root().Name, Pass: s.root().Primary}.AsMechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	produce := func(r *kgo.Record) {
		t.Helper()
		r.Topic = "hub1"
		if err := c.ProduceSync(deadline(t), r).FirstErr(); err == nil {
			*sent++
		} else if deadline(t).Err() != nil {
			t.Error(err)
		}
	}
	produce(&kgo.Record{Key: []byte(notUTF8), Value: []byte(notUTF8)})
	produce(&kgo.Record{Value: nil, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte(notUTF8)}, {Key: "h", Value: nil}, {Key: "", Value: []byte{}}}})
	produce(&kgo.Record{Value: []byte("x"), Headers: []kgo.RecordHeader{{Key: notUTF8, Value: []byte("x")}}})
}

// mqttText is a text of MQTT with its length.
func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// mqttPacket is a packet with its length.
func mqttPacket(kind byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)
}

// publishBad publishes with QoS 1, as a client of MQTT 5; each on a connection of its own.
func (s *site) publishBad(t *testing.T, sent *int) {
	t.Helper()
	property := func(code byte, texts ...string) []byte {
		b := []byte{code}
		for _, x := range texts {
			b = append(b, mqttText(x)...)
		}
		return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
	}
	publish := func(id, topic string, properties []byte) {
		t.Helper()
		c := s.dial("mqtt", false)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write(mqttPacket(0x10, mqttText("MQTT"), []byte{5, 0xc2, 0, 60, 0}, mqttText(id), mqttText(s.root().Name), mqttText(s.root().Primary)))
		_, _ = c.Write(mqttPacket(0x32, mqttText(topic), []byte{0, 1}, properties, []byte(notUTF8)))
		if ok := published(c); ok {
			*sent++
		}
	}
	none := []byte{0}
	publish("d", "hubs/hub1/messages", none)
	publish(notUTF8, "hubs/hub1/messages", none)
	publish("d", "hubs/hub1/messages/a=%ff&%fe=b", none)
	publish("d", "hubs/hub1/messages/"+notUTF8+"=b", none)
	publish("d", "hubs/hub1/messages/a=é&$.ct=é&$.to=%00", none)
	publish("d", "hubs/hub1/messages", property(0x26, notUTF8, "b"))
	publish("d", "hubs/hub1/messages", property(0x26, "a", notUTF8))
	publish("d", "hubs/hub1/messages", property(0x03, notUTF8))
	publish("d", "hubs/hub1/messages", property(0x03, "text/é"))
	publish("d", "hubs/hub1/messages", property(0x09, notUTF8)) // correlation data, which are bytes
}

// published reads packets until one acknowledges or the connection ends.
func published(c net.Conn) bool {
	for {
		var head [2]byte // all answers are short
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return false
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(c, body); err != nil {
			return false
		}
		if head[0] == 0x40 {
			return len(body) == 2 || body[2] == 0
		}
	}
}

// forwardBad sends events of the forward protocol, to be acknowledged.
func (s *site) forwardBad(t *testing.T, sent *int) {
	t.Helper()
	text := func(x string) []byte { return append([]byte{0xa0 | byte(len(x))}, x...) }
	for i, tag := range []string{"good", notUTF8} {
		for _, record := range []string{notUTF8, "é"} {
			c := s.dial("forward", false)
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			b := append([]byte{0x94}, text(tag)...)
			b = append(b, byte(i), 0x81)
			b = append(append(b, text(record)...), text(record)...)
			b = append(append(append(b, 0x81), text("chunk")...), text("id"+tag+record)...)
			_, _ = c.Write(b)
			if n, _ := c.Read(make([]byte, 100)); n > 0 {
				*sent++
			}
			c.Close()
		}
	}
}

// What is malformed ends its connection within the time for handshakes, each counted, and
// nobody else is harmed.
func TestMalformedBeginnings(t *testing.T) {
	s := allPorts(t)
	bystander := s.dial("forward", false)
	defer bystander.Close()
	_, _ = bystander.Write([]byte{0xc0}) // a heartbeat
	cases := 0
	var all sync.WaitGroup
	for _, f := range []struct {
		protocol string
		bytes    string
	}{
		{"amqp", "AMQP\x03\x01\x00\x00\xff\xff\xff\xff\x02\x01\x00\x00"},
		{"amqp", "AMQP\x03\x01\x00\x00\x00\x00\x00\x08\x01\x01\x00\x00"}, // doff 1
		{"amqp", "AMQP\x00\x01\x00\x00"},
		{"amqp", "AMQP\x03\x01\x00\x00\x00\x00\x00\x20\x02\x01\x00\x00"},
		{"amqp", "A"},
		{"amqp", "POST /hub1/messages HTTP/1.1\r\n"},
		{"https", "\x00"},
		{"https", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"},
		{"kafka", "\xff\xff\xff\xff"},
		{"kafka", "\x00\x00\x00\x0a\x00\x03\x00\x00\x00\x00\x00\x01\xff\xff"},
		{"kafka", "POST / HTTP/1.1\r\n\r\n"},
		{"mqtt", "\x10\xff\xff\xff\x7f"},
		{"mqtt", "\x30\x00"},
		{"mqtt", "\x10"},
		{"forward", "\xdd\xff\xff\xff\xff"},
		{"forward", "\xc6\xff\xff\xff\xff"},
		{"forward", strings.Repeat("\x91", 100_000)},
		{"forward", "POST / HTTP/1.1\r\n\r\n\x93\xa1a\x01\x81\xa1a\x01"},
	} {
		cases++
		all.Go(func() {
			c := s.dial(f.protocol, false)
			defer c.Close()
			_, _ = c.Write([]byte(f.bytes))
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
				t.Errorf("%s %.40q: the connection stays", f.protocol, f.bytes)
			}
		})
	}
	all.Wait()
	refusals := 0.0
	for _, l := range []string{"https", "kafka", "mqtt", "forward", "header", "handshake", "protocol"} {
		refusals += s.metric("weir_hub_connections_refused_total", l) + s.metric("weir_hub_amqp_connections_cut_total", l) + s.metric("weir_hub_client_problems_total", l)
	}
	if want := float64(cases - 2); refusals < want { // heads of HTTP that are none are not counted
		t.Errorf("%v refusals are counted of %v", refusals, want)
	}
	_, _ = bystander.Write([]byte("\x94\xa1a\x01\x80\x81\xa5chunk\xa1i"))
	_ = bystander.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := bystander.Read(make([]byte, 100)); n == 0 {
		t.Errorf("another client is harmed: %v", err)
	}
}

func isTimeout(err error) bool {
	late, ok := errors.AsType[net.Error](err)
	return ok && late.Timeout()
}
