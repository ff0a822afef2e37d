package eventhubs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/Azure/go-amqp"

	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// message is an encoded message as the client of Microsoft's makes it.
func message(t testing.TB, m *client.Message) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// annotated is a message with annotations, in pairs, and a body.
func annotated(t testing.TB, body string, pairs ...any) []byte {
	t.Helper()
	m := client.NewMessage([]byte(body))
	for i := 0; i < len(pairs); i += 2 {
		if m.Annotations == nil {
			m.Annotations = client.Annotations{}
		}
		m.Annotations[pairs[i]] = pairs[i+1]
	}
	return message(t, m)
}

// batchOf is a batch of Event Hubs with the annotations of its envelope.
func batchOf(t testing.TB, envelope client.Annotations, events ...[]byte) []byte {
	t.Helper()
	return message(t, &client.Message{Annotations: envelope, Data: events})
}

// delivered is an event as a receiver gets it, decoded by the client.
func delivered(t testing.TB, key, stored_ []byte) *client.Message {
	t.Helper()
	r := log.Record{Key: key, Value: stored_, Offset: 4096}
	entries, pairs, tail := stored(r.Value)
	b := appendAnnotations(nil, placed{seq: 77, enqueued: time.UnixMilli(1795312604789).Add(999 * time.Microsecond), record: &r}, entries, pairs)
	m := new(client.Message)
	if err := m.UnmarshalBinary(slices.Concat(b, entries, tail)); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	a := m.Annotations
	if a["x-opt-sequence-number"] != int64(77) || a["x-opt-offset"] != "4096" || !a["x-opt-enqueued-time"].(time.Time).Equal(time.UnixMilli(1795312604789)) {
		t.Errorf("the hub's annotations: %v", a)
	}
	for _, k := range []string{"x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time"} {
		delete(a, k)
	}
	return m
}

func TestIntake(t *testing.T) {
	big := strings.Repeat("v", 300)
	f := func(in intake, format uint32, message []byte, key string, want ...client.Annotations) {
		t.Helper()
		in.maxEvent = 1 << 20
		got, err := in.take(&amqp.Delivery{Format: format, Message: message})
		if err != nil || string(got.key) != key || (got.key == nil) != (key == "") || len(in.events) != len(want) {
			t.Errorf("key %q, %d events, %v; want %q, %d", got.key, len(in.events), err, key, len(want))
			return
		}
		for i, e := range in.events {
			m := delivered(t, e.Key, e.Message)
			if k := m.Annotations["x-opt-partition-key"]; key != "" && k != key || key == "" && k != nil {
				t.Errorf("event %d has the key %v", i, k)
			}
			delete(m.Annotations, "x-opt-partition-key")
			if fmt.Sprint(m.Annotations) != fmt.Sprint(want[i]) || string(m.Data[0]) != fmt.Sprint("e", i) {
				t.Errorf("event %d: %v %s; want %v", i, m.Annotations, m.Data[0], want[i])
			}
		}
	}
	none := client.Annotations{}
	f(intake{}, 0, annotated(t, "e0"), "", none)
	f(intake{}, 0, annotated(t, "e0", "x-opt-partition-key", "k"), "k", none)
	f(intake{}, 0, annotated(t, "e0", "x-opt-partition-key", ""), "", none)
	f(intake{}, 0, annotated(t, "e0", "x-opt-partition-key", nil), "", none)
	f(intake{}, 0, annotated(t, "e0", "mine", "1"), "", client.Annotations{"mine": "1"})
	f(intake{}, 0, annotated(t, "e0", "mine", big, "x-opt-offset", "forged", "x-opt-partition-key", "k", "x-opt-sequence-number", int64(5)), "k", client.Annotations{"mine": big})
	f(intake{}, 0, annotated(t, "e0", "x-opt-publisher", "forged"), "", none)
	f(intake{publisher: "p1"}, 0, annotated(t, "e0", "x-opt-publisher", "forged"), "p1", client.Annotations{"x-opt-publisher": "p1"})
	f(intake{publisher: "p1"}, 0, annotated(t, "e0"), "p1", client.Annotations{"x-opt-publisher": "p1"})
	f(intake{publisher: "p1"}, 0, annotated(t, "e0", "mine", int32(3)), "p1", client.Annotations{"mine": int32(3), "x-opt-publisher": "p1"})
	f(intake{}, batchFormat, batchOf(t, nil, annotated(t, "e0"), annotated(t, "e1", "a", true)), "", none, client.Annotations{"a": true})
	f(intake{}, batchFormat, batchOf(t, client.Annotations{"x-opt-partition-key": "k", "b": "c"}, annotated(t, "e0"), annotated(t, "e1")), "k", none, none)
	f(intake{}, batchFormat, batchOf(t, nil, annotated(t, "e0", "x-opt-partition-key", "k"), annotated(t, "e1", "x-opt-partition-key", "k")), "k", none, none)
}

// TestKept says that all of a message but the header and the annotations of the delivery and
// of the hub comes out as it was sent.
func TestKept(t *testing.T) {
	m := &client.Message{
		Header:                &client.MessageHeader{Durable: true},
		DeliveryAnnotations:   client.Annotations{"d": "x"},
		Annotations:           client.Annotations{"a": uint8(1)},
		Properties:            &client.MessageProperties{MessageID: uint64(9), UserID: []byte{1}},
		ApplicationProperties: map[string]any{"p": int64(1)},
		Data:                  [][]byte{[]byte("x"), []byte("y")},
		Footer:                client.Annotations{"f": "z"},
	}
	in := intake{maxEvent: 1 << 20}
	if _, err := in.take(&amqp.Delivery{Message: message(t, m)}); err != nil {
		t.Fatal(err)
	}
	got := delivered(t, nil, in.events[0].Message)
	m.Header, m.DeliveryAnnotations = nil, nil
	if a, b := message(t, got), message(t, m); !bytes.Equal(a, b) {
		t.Errorf("%x; want %x", a, b)
	}
}

func TestIntakeRefuses(t *testing.T) {
	f := func(in intake, format uint32, message []byte, want string) {
		t.Helper()
		if in.maxEvent == 0 {
			in.maxEvent = 1 << 20
		}
		_, err := in.take(&amqp.Delivery{Format: format, Message: message})
		if condition(err) != want || len(in.events) != 0 {
			t.Errorf("%v and %d events; want %s", err, len(in.events), want)
		}
	}
	one := annotated(t, "e0")
	f(intake{}, 7, one, condNotImplemented)
	f(intake{}, 0, []byte("rubbish"), condDecode)
	f(intake{}, batchFormat, batchOf(t, nil), condArgument)
	f(intake{}, batchFormat, batchOf(t, nil, one, []byte("rubbish")), condDecode)
	f(intake{}, batchFormat, message(t, &client.Message{Value: "x"}), condArgument)
	f(intake{maxEvent: 100}, 0, annotated(t, strings.Repeat("x", 101)), condTooLarge)
	f(intake{maxEvent: 100}, batchFormat, batchOf(t, nil, one, annotated(t, strings.Repeat("x", 101))), condTooLarge)
	f(intake{}, 0, annotated(t, "e", "x-opt-partition-key", int64(1)), condArgument)
	f(intake{}, 0, annotated(t, "e", "x-opt-partition-key", strings.Repeat("ä", MaxPartitionKey+1)), condArgument)
	f(intake{}, batchFormat, batchOf(t, nil, annotated(t, "e0", "x-opt-partition-key", "a"), annotated(t, "e1", "x-opt-partition-key", "b")), condArgument)
	f(intake{}, batchFormat, batchOf(t, client.Annotations{"x-opt-partition-key": "b"}, annotated(t, "e0", "x-opt-partition-key", "a")), condArgument)
	f(intake{publisher: "p"}, 0, annotated(t, "e", "x-opt-partition-key", "q"), condNotAllowed)
	numbered := func(n int32) []byte {
		return annotated(t, "e", annotProducer, int64(3), annotEpoch, int16(1), annotNumber, n)
	}
	f(intake{numbered: true}, 0, one, condArgument)
	f(intake{numbered: true}, batchFormat, batchOf(t, nil, numbered(4), numbered(6)), condOutOfOrder)
	f(intake{numbered: true}, 0, annotated(t, "e", annotNumber, "x"), condArgument)
	// What receivers could not decode: a text that is not UTF-8, a content type that is a number.
	f(intake{}, 0, []byte{0, 0x53, 0x77, 0xa1, 1, 0xff}, condDecode)
	f(intake{}, 0, []byte{0, 0x53, 0x73, 0xc0, 9, 7, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x54, 1, 0, 0x53, 0x75, 0xa0, 0}, condDecode)
	// A map whose count is less than what is in it would shift what the hub puts before it.
	f(intake{}, 0, []byte{0, 0x53, 0x72, 0xc1, 7, 2, 0xa3, 1, 'a', 0x41, 0x41, 0x41, 0, 0x53, 0x75, 0xa0, 0}, condDecode)
}

func TestNumbers(t *testing.T) {
	in := intake{numbered: true, maxEvent: 1000}
	numbered := func(n int32) []byte {
		return annotated(t, "e", annotProducer, int64(3), annotEpoch, int16(1), annotNumber, n)
	}
	got, err := in.take(&amqp.Delivery{Format: batchFormat, Message: batchOf(t, nil, numbered(4), numbered(5), numbered(6))})
	if p := got.producer; err != nil || p.id != 3 || p.epoch != 1 || p.first != 4 || p.last != 6 {
		t.Errorf("%+v, %v", got, err)
	}
	if m := delivered(t, nil, in.events[1].Message); len(m.Annotations) != 0 {
		t.Errorf("the producer's numbers are kept: %v", m.Annotations)
	}
}

// TestForeign delivers what other protocols and other encoders have written.
func TestForeign(t *testing.T) {
	own := (&amqp.Message{Annotations: []amqp.Pair{{Key: "a", Value: int64(1)}}, Application: []amqp.Pair{{Key: "h", Value: []byte("v")}}, Body: []byte("b")}).Append(nil)
	m := delivered(t, []byte{0xff, 0xfe}, own) // a key of Kafka that is no text
	if want := (client.Annotations{"a": int64(1)}); !maps.Equal(m.Annotations, want) || string(m.Data[0]) != "b" {
		t.Errorf("%v %s", m.Annotations, m.Data)
	}
	long := append([]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x72, 0xc1, 5, 2, 0xa3, 1, 'a', 0x41}, 0, 0x53, 0x75, 0xa0, 1, 'b')
	m = delivered(t, nil, long)
	if m.Annotations["a"] != true || string(m.Data[0]) != "b" {
		t.Errorf("%v %s", m.Annotations, m.Data)
	}
	m = delivered(t, nil, []byte{0, 0x53, 0x77, 0x54, 7})
	if m.Value != int32(7) {
		t.Errorf("%v", m.Value)
	}
}

func TestRuntime(t *testing.T) {
	at := time.UnixMilli(1795312604789).UTC()
	b := appendRuntime(nil, runtime{seq: 5, offset: "99", enqueued: at, retrieved: at.Add(time.Second)})
	m := new(client.Message)
	if err := m.UnmarshalBinary(append(b, 0, 0x53, 0x75, 0xa0, 0)); err != nil {
		t.Fatal(err)
	}
	d := m.DeliveryAnnotations
	if d["last_enqueued_sequence_number"] != int64(5) || d["last_enqueued_offset"] != "99" || !d["last_enqueued_time_utc"].(time.Time).Equal(at) ||
		!d["runtime_info_retrieval_time_utc"].(time.Time).Equal(at.Add(time.Second)) {
		t.Errorf("%v", d)
	}
}

// TestNoAllocation holds the ways in and out to no allocation an event.
func TestNoAllocation(t *testing.T) {
	batch := batchOf(t, client.Annotations{"x-opt-partition-key": "k"}, annotated(t, "e0", "x-opt-partition-key", "k"), annotated(t, "e1", "x-opt-partition-key", "k", "mine", "x"))
	in := intake{maxEvent: 1000}
	d := amqp.Delivery{Format: batchFormat, Message: batch}
	if n := testing.AllocsPerRun(100, func() {
		in.reset()
		if _, err := in.take(&d); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations on the way in", n)
	}
	r := log.Record{Key: []byte("k"), Value: in.events[1].Message, Offset: 1 << 40}
	buf := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		entries, pairs, _ := stored(r.Value)
		buf = appendAnnotations(buf[:0], placed{seq: 1 << 40, enqueued: time.UnixMilli(1), record: &r}, entries, pairs)
	}); n > 0 {
		t.Errorf("%v allocations on the way out", n)
	}
}

func BenchmarkTake(b *testing.B) {
	events := make([][]byte, 500)
	for i := range events {
		events[i] = annotated(b, strings.Repeat("x", 200), "x-opt-partition-key", "device-1")
	}
	d := amqp.Delivery{Format: batchFormat, Message: batchOf(b, nil, events...)}
	in := intake{maxEvent: 1 << 20}
	b.ReportAllocs()
	for b.Loop() {
		in.reset()
		if _, err := in.take(&d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}

func BenchmarkAnnotate(b *testing.B) {
	in := intake{maxEvent: 1 << 20}
	if _, err := in.take(&amqp.Delivery{Message: annotated(b, strings.Repeat("x", 200), "x-opt-partition-key", "device-1")}); err != nil {
		b.Fatal(err)
	}
	r := log.Record{Key: in.events[0].Key, Value: in.events[0].Message, Offset: 1 << 40}
	buf := make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		entries, pairs, _ := stored(r.Value)
		buf = appendAnnotations(buf[:0], placed{seq: 1 << 40, enqueued: time.UnixMilli(1), record: &r}, entries, pairs)
	}
}
