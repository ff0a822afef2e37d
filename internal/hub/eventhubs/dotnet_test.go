package eventhubs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/internal/hub/amqp"
)

// dotNet is a connection that says what the SDK for .NET says (Azure.Messaging.EventHubs with
// Microsoft.Azure.Amqp), by their source: MSSBCBS, an open with properties, tokens for whole
// URLs over a link pair of a session of its own, addresses with a slash before them.
func (s *served) dotNet(nc net.Conn) *raw {
	s.t.Helper()
	s.t.Cleanup(func() { nc.Close() })
	r := &raw{t: s.t, conn: nc, in: bufio.NewReaderSize(nc, 256<<10)}
	r.write([]byte("AMQP\x03\x01\x00\x00"))
	r.skip(8)
	if _, list := r.frame(); !bytes.Contains(list, []byte("MSSBCBS")) {
		s.t.Fatalf("the mechanisms are %q", list)
	}
	r.say(1, 0x41, amqp.Symbol("MSSBCBS"))
	if code, _ := r.frame(); code != 0x44 {
		s.t.Fatalf("0x%x instead of an outcome", code)
	}
	r.write([]byte("AMQP\x00\x01\x00\x00"))
	r.skip(8)
	r.say(0, codeOpen, "orders-1f2e3d4c", "localhost", uint32(65536), uint16(65535), uint32(60_000), nil, nil, nil, nil,
		[]amqp.Pair{{Key: "product", Value: "azsdk-net-Azure.Messaging.EventHubs"}, {Key: "user-agent", Value: "azsdk-net"}})
	r.await(codeOpen)
	return r
}

// on is a frame on a channel.
func (r *raw) on(channel uint16, code uint64, payload []byte, fields ...any) {
	b := performative(0, code, payload, fields...)
	binary.BigEndian.PutUint16(b[6:], channel)
	r.write(b)
}

// answer reads until a frame of a code has come, and gives its fields.
func (r *raw) answer(code byte) []any {
	r.t.Helper()
	v, _, err := amqp.DecodeValue(r.await(code))
	if err != nil {
		r.t.Fatal(err)
	}
	return v.(amqp.Described).Value.([]any)
}

// session begins a session as .NET does, whose first outgoing number is 1.
func (r *raw) session(channel uint16) {
	r.on(channel, codeBegin, nil, nil, uint32(1), uint32(5000), uint32(5000), uint32(1<<31-1), nil, nil, []amqp.Pair{})
	r.await(codeBegin)
}

// node attaches the link pair of a node, both settled as they are sent.
func (r *raw) node(channel uint16, address string) {
	settled := byte(1)
	r.session(channel)
	r.on(channel, codeAttach, nil, "out", uint32(0), false, settled, byte(0), described(0x28, "reply-"+address), described(0x29, address), nil, nil, uint32(0))
	r.on(channel, codeAttach, nil, "in", uint32(1), true, settled, byte(0), described(0x28, address), described(0x29, "reply-"+address))
	r.await(codeAttach)
	r.await(codeAttach)
	r.on(channel, codeFlow, nil, uint32(0), uint32(5000), uint32(1), uint32(5000), uint32(1), uint32(0), uint32(50))
}

// ask sends a request over the pair and gives the answer's status.
func (r *raw) ask(channel uint16, id uint32, address string, body any, fields []amqp.Pair) (int32, amqp.Message) {
	r.t.Helper()
	m := amqp.AppendValue(amqp.AppendSection(nil, amqp.SectionProperties), []any{"request" + string('0'+rune(id)), nil, nil, nil, "reply-" + address})
	m = amqp.AppendValue(amqp.AppendSection(m, amqp.SectionApplicationProperties), fields)
	m = amqp.AppendValue(amqp.AppendSection(m, amqp.SectionValue), body)
	r.on(channel, codeTransfer, m, uint32(0), id, []byte{byte(id)}, uint32(0), true)
	b := r.await(codeTransfer)
	_, rest, err := amqp.DecodeValue(b)
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := amqp.Decode(rest)
	if err != nil {
		r.t.Fatal(err)
	}
	if got.Properties.CorrelationID != "request"+string('0'+rune(id)) {
		r.t.Errorf("the correlation-id is %v", got.Properties.CorrelationID)
	}
	for _, p := range got.Application {
		if status, ok := p.Value.(int32); ok && p.Key == "status-code" {
			return status, got
		}
	}
	r.t.Fatalf("no status-code of the type int: %v", got.Application)
	return 0, got
}

// TestDotNet sends and receives as the SDK for .NET does, over TCP and a WebSocket.
func TestDotNet(t *testing.T) {
	f := func(name string, dial func(s *served) net.Conn) {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			r := s.dotNet(dial(s))
			token := s.token("amqps://localhost/orders")
			r.node(0, cbsNode)
			for i, audience := range []string{"amqps://localhost/orders/Partitions/0", "amqps://localhost/orders/ConsumerGroups/$Default/Partitions/0"} {
				status, _ := r.ask(0, uint32(i), cbsNode, token, []amqp.Pair{{Key: "operation", Value: "put-token"}, {Key: "type", Value: typeSAS},
					{Key: "name", Value: audience}, {Key: "expiration", Value: time.Now().Add(time.Hour)}})
				if status != 202 {
					t.Fatalf("put-token for %s: %d", audience, status)
				}
			}
			r.node(1, managementNode)
			status, _ := r.ask(1, 0, managementNode, nil, []amqp.Pair{{Key: "operation", Value: "READ"}, {Key: "name", Value: "orders"},
				{Key: "type", Value: typePartition}, {Key: "partition", Value: "0"}, {Key: "security_token", Value: token}})
			if status != 200 {
				t.Errorf("READ of the partition: %d", status)
			}

			// A sender leaves the settle modes to the server, and sends batches.
			r.session(2)
			r.on(2, codeAttach, nil, "orders-1;connection:session:link", uint32(0), false, nil, nil, described(0x28, "6f9619ff"), described(0x29, "/orders/Partitions/0"),
				nil, nil, uint32(0), nil, nil, nil, []amqp.Pair{{Key: "com.microsoft:timeout", Value: uint32(60_000)}, {Key: "com.microsoft:entity-type", Value: int32(7)}})
			if a := r.answer(codeAttach); a[10] != uint64(1<<20) {
				t.Errorf("max-message-size is %v", a[10])
			}
			r.await(codeFlow)
			batch := amqp.AppendBinary(amqp.AppendSection(nil, amqp.SectionData), (&amqp.Message{Body: []byte("one")}).Append(nil))
			batch = amqp.AppendBinary(amqp.AppendSection(batch, amqp.SectionData), (&amqp.Message{Body: []byte("two")}).Append(nil))
			r.on(2, codeTransfer, batch, uint32(0), uint32(0), []byte{1, 2, 3, 4}, uint32(batchFormat), false)
			if d := r.answer(codeDisposition); d[0] != true || d[3] != true || d[4].(amqp.Described).Descriptor != uint64(0x24) {
				t.Errorf("the batch became %v", d)
			}

			// A receiver settles as it is sent (SettleOnSend), and wants one capability, which is
			// no array.
			r.session(3)
			filter := amqp.Described{Descriptor: amqp.Symbol(selectorName), Value: "amqp.annotation.x-opt-offset > '-1'"}
			source := described(0x28, "/orders/ConsumerGroups/$Default/Partitions/0", nil, nil, nil, nil, nil, nil, []amqp.Pair{{Key: selectorName, Value: filter}})
			r.on(3, codeAttach, nil, "orders-1;connection:session:receiver", uint32(0), true, byte(1), byte(0), source, described(0x29, "f64a11d0"),
				nil, nil, nil, nil, nil, amqp.Symbol(capRuntimeMetric), []amqp.Pair{{Key: propEpoch, Value: int64(3)}, {Key: "com.microsoft:entity-type", Value: int32(9)}})
			if a := r.answer(codeAttach); a[3] != uint8(1) || a[4] != uint8(0) {
				t.Errorf("the settle modes are %v and %v", a[3], a[4])
			}
			r.on(3, codeFlow, nil, uint32(0), uint32(5000), uint32(1), uint32(5000), uint32(0), uint32(0), uint32(300))
			for _, want := range []string{"one", "two"} {
				b := r.await(codeTransfer)
				v, rest, err := amqp.DecodeValue(b)
				if err != nil || v.(amqp.Described).Value.([]any)[4] != true {
					t.Fatalf("%v, %v is not settled", v, err)
				}
				m, err := amqp.Decode(rest)
				if err != nil || string(m.Body) != want {
					t.Errorf("%q, %v; want %q", m.Body, err, want)
				}
				sections, err := amqp.Split(rest)
				if err != nil || !strings.Contains(string(sections.DeliveryAnnotations), "last_enqueued_sequence_number") {
					t.Errorf("delivery annotations %q, %v", sections.DeliveryAnnotations, err)
				}
			}
			r.on(3, codeDetach, nil, uint32(0), true)
			for code := byte(0); code != codeDetach; {
				code, _ = r.frame()
			}
			r.say(0, 0x18)
			for code := byte(0); code != 0x18; {
				code, _ = r.frame()
			}
			if _, err := r.in.ReadByte(); err != io.EOF {
				t.Errorf("behind the close there is %v", err)
			}
		})
	}
	f("TCP", func(s *served) net.Conn {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		return nc
	})
	f("WebSocket", func(s *served) net.Conn {
		ws, _, err := websocket.Dial(t.Context(), s.webSocketServer()+"/$servicebus/websocket/", &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
		if err != nil {
			t.Fatal(err)
		}
		return websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	})
}
