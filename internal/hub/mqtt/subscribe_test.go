package mqtt

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

func (w *world) append(name string, bodies ...string) {
	w.t.Helper()
	h, err := w.broker.Hub(name)
	if err != nil {
		w.t.Fatal(err)
	}
	var events []hub.Event
	for _, b := range bodies {
		events = append(events, hub.Event{Message: (&amqp.Message{Body: []byte(b)}).Append(nil)})
	}
	if _, err := h.Route([]byte("k")).Append(events, nil); err != nil {
		w.t.Fatal(err)
	}
}

func numbered(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestWatch(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		w := start(t, func(o *Options) { o.Limits.Window = 4 })
		w.append("plain", "before")
		got := make(chan string, 1000)
		c := w.connect(w.plainOptions("watcher"))
		if err := wait(t, c.Subscribe("hubs/plain/events", qos, func(_ paho.Client, m paho.Message) {
			got <- fmt.Sprintf("%s %s %d", m.Topic(), m.Payload(), m.Qos())
		})); err != nil {
			t.Fatal(err)
		}
		w.append("iothub", "elsewhere")
		w.append("plain", numbered(0, 100)...)
		for i := range 100 {
			if text, want := <-got, fmt.Sprintf("hubs/plain/events %d %d", i, qos); text != want {
				t.Fatalf("got %s, want %s", text, want)
			}
		}
		if st := w.s.Stats(); st.Subscriptions != 1 || st.Delivered != 100 {
			t.Errorf("%+v", st)
		}
		if err := wait(t, c.Unsubscribe("hubs/plain/events")); err != nil {
			t.Fatal(err)
		}
		if st := w.s.Stats(); st.Subscriptions != 0 {
			t.Errorf("%+v", st)
		}
	}
}

func TestWatchNeedsListen(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Subscriptions = 1 })
	c := w.connect(w.plainOptions("w"))
	f := func(filter string, want byte) {
		t.Helper()
		token := c.Subscribe(filter, 1, nil).(*paho.SubscribeToken)
		_ = wait(t, token)
		if got := token.Result()[filter]; got != want {
			t.Errorf("%s: %x", filter, got)
		}
	}
	f("hubs/nothing/events", 0x80)
	f("hubs/+/events", 0x80)
	f("hubs/plain/events/x", 0x80)
	f("hubs/plain/events", 1)
	f("hubs/plain/events", 1) // again
	f("hubs/iothub/events", 0x80)
}

// TestSlowSubscriber: who does not read is disconnected, and others do not wait for it.
func TestSlowSubscriber(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.WriteTime = 200 * time.Millisecond })
	c := w.raw()
	mustWrite(t, c, w.connect5("slow", w.root().Name, w.root().Primary, nil))
	next(t, c)
	sub := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "hubs/plain/events"}}}
	var b bytes.Buffer
	if err := sub.SubscribeEncode(&b); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, c, b.Bytes())
	if got := next(t, c); got.FixedHeader.Type != packets.Suback || got.ReasonCodes[0] != 0 {
		t.Fatalf("%+v", got)
	}
	body := strings.Repeat("x", 100_000)
	until(t, "the subscriber is disconnected", func() bool {
		w.append("plain", body, body, body, body)
		return w.s.Stats().Slow == 1
	})
	until(t, "its connection ends", func() bool { return w.s.Stats().Connections == 0 && w.s.Stats().Subscriptions == 0 })
}

// TestWindow: no more is sent than the client says it can take.
func TestWindow(t *testing.T) {
	w := start(t)
	c := w.raw()
	mustWrite(t, c, w.connect5("few", w.root().Name, w.root().Primary, func(pk *packets.Packet) {
		pk.Properties.ReceiveMaximum = 2
		pk.Properties.MaximumPacketSize = 200
	}))
	next(t, c)
	sub := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "hubs/plain/events", Qos: 1}}}
	var b bytes.Buffer
	if err := sub.SubscribeEncode(&b); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, c, b.Bytes())
	next(t, c)
	w.append("plain", strings.Repeat("y", 300))
	w.append("plain", numbered(0, 5)...)
	seen := map[uint16]bool{}
	for i := range 5 {
		pk := next(t, c)
		if string(pk.Payload) != fmt.Sprint(i) || pk.FixedHeader.Qos != 1 {
			t.Fatalf("got %s", pk.Payload)
		}
		if seen[pk.PacketID] || len(seen) == 2 {
			t.Fatal("a third one is sent before the first is acknowledged")
		}
		seen[pk.PacketID] = true
		if len(seen) == 2 {
			for id := range seen {
				mustWrite(t, c, []byte{0x40, 2, byte(id >> 8), byte(id)})
				delete(seen, id)
			}
		}
	}
	if st := w.s.Stats(); st.Missed != 1 || st.Delivered != 5 {
		t.Errorf("%+v", st)
	}
}
