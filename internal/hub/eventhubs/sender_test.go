package eventhubs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	client "github.com/Azure/go-amqp"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// bench is a sender without a connection.
func bench(t testing.TB, b *hub.Broker, address string) *sender {
	t.Helper()
	a, err := parseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&conn{s: New(Options{Broker: b})}).newSender(&amqp.Link{}, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kept are the keys and bodies of a partition, and in which append they came.
func kept(t testing.TB, p *hub.Partition) (texts []string, appends int) {
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
			return texts, appends
		}
		appends++
		for _, e := range b.Records {
			body, err := amqp.Body(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, fmt.Sprintf("%s=%s", e.Key, body))
		}
	}
}

// TestOneAppend says that what waits on a link is appended at once, in order, an append for
// each partition.
func TestOneAppend(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	s := bench(t, b, "orders")
	var list []amqp.Delivery
	want := make([][]string, 4)
	add := func(key, text string) {
		list = append(list, amqp.Delivery{Message: annotated(t, text, "x-opt-partition-key", key)})
		p := hub.PartitionOf([]byte(key), 4)
		want[p] = append(want[p], key+"="+text)
	}
	for i := range 100 {
		add(fmt.Sprint("k", i%10), fmt.Sprint("e", i))
	}
	s.Deliver(t.Context(), list)
	for i, d := range list {
		if d.Err != nil {
			t.Fatal(i, d.Err)
		}
	}
	for i, p := range h.Partitions() {
		texts, appends := kept(t, p)
		if !slices.Equal(texts, want[i]) || appends > 1 {
			t.Errorf("partition %d has %v in %d appends; want %v", i, texts, appends, want[i])
		}
	}

	// Those without a key go to one partition together, another one the next time.
	places := map[int]bool{}
	for range 4 {
		before := make([]int64, 4)
		for i, p := range h.Partitions() {
			before[i] = p.Range().Next
		}
		s.Deliver(t.Context(), []amqp.Delivery{{Message: annotated(t, "a")}, {Message: annotated(t, "b")}})
		for i, p := range h.Partitions() {
			if n := p.Range().Next - before[i]; n == 2 {
				places[i] = true
			} else if n != 0 {
				t.Errorf("partition %d got %d of two events", i, n)
			}
		}
	}
	equal(t, len(places), 4)
}

// TestChunks appends more than an append may have: in several, each delivery whole.
func TestChunks(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	s := bench(t, b, "orders/partitions/1")
	var list []amqp.Delivery
	var want []string
	for i := range 10 {
		text := fmt.Sprint(i, strings.Repeat("x", 600_000))
		list = append(list, amqp.Delivery{Message: annotated(t, text)})
		want = append(want, "="+text)
	}
	for round := range 2 { // the second time with the memory of the first
		s.Deliver(t.Context(), list)
		for i, d := range list {
			if d.Err != nil {
				t.Fatal(i, d.Err)
			}
		}
		texts, appends := kept(t, h.Partitions()[1])
		if !slices.Equal(texts[10*round:], want) || appends < 2*(round+1) {
			t.Errorf("%d events in %d appends", len(texts), appends)
		}
	}
}

// TestSome says that what is wrong with one delivery is no matter of the others.
func TestSome(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	s := bench(t, b, "orders/partitions/0")
	list := []amqp.Delivery{
		{Message: annotated(t, "a")},
		{Message: []byte("rubbish")},
		{Message: annotated(t, "b", "x-opt-partition-key", "k")},
		{Format: batchFormat, Message: batchOf(t, nil, annotated(t, "c"), []byte("rubbish"))},
		{Message: annotated(t, strings.Repeat("x", 1<<20+1))},
		{Format: batchFormat, Message: batchOf(t, nil, annotated(t, "d"), annotated(t, "e"))},
	}
	s.Deliver(t.Context(), list)
	var got []string
	for _, d := range list {
		got = append(got, condition(d.Err))
	}
	equal(t, got, []string{"<nil>", condDecode, condNotAllowed, condDecode, condTooLarge, "<nil>"})
	texts, _ := kept(t, h.Partitions()[0])
	equal(t, texts, []string{"=a", "=d", "=e"})
}

// TestDiskFull has the disk refuse what is appended: the client is told to come again, and
// finds the way free when there is room.
func TestDiskFull(t *testing.T) {
	m := disk.NewMem(1)
	b := newBroker(t, hub.Options{FS: m.Boot()})
	s := serve(t, b)
	sender, err := s.dial(nil).NewSender(soon(t), "orders/partitions/0", nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Limit(1)
	refusedWith(t, sender.Send(soon(t), client.NewMessage(make([]byte, 1000)), nil), "com.microsoft:server-busy")
	m.Limit(-1)
	if err := sender.Send(soon(t), client.NewMessage([]byte("a")), nil); err != nil {
		t.Fatal(err)
	}
	h, _ := b.Hub("orders")
	texts, _ := kept(t, h.Partitions()[0])
	equal(t, texts, []string{"=a"})
}

// TestDiskFails acknowledges nothing that is not durable.
func TestDiskFails(t *testing.T) {
	m := disk.NewMem(1)
	b := newBroker(t, hub.Options{FS: m.Boot()})
	s := bench(t, b, "orders/partitions/0")
	m.Hook(func(op disk.Op, name string) error {
		if op == disk.OpSync {
			return errors.New("the disk is broken at /secret")
		}
		return nil
	})
	list := []amqp.Delivery{{Message: annotated(t, "a")}, {Message: annotated(t, "b")}}
	s.Deliver(t.Context(), list)
	for _, d := range list {
		if condition(d.Err) != condInternal || strings.Contains(d.Err.Error(), "/secret") {
			t.Errorf("%v", d.Err)
		}
	}
	m.Hook(nil)
}

// numbered opens a link of an idempotent producer.
func numbered(t *testing.T, session *client.Session, properties map[string]any) (*client.Sender, error) {
	return session.NewSender(soon(t), "orders/Partitions/0", &client.SenderOptions{Properties: properties, DesiredCapabilities: []string{capIdempotent}})
}

// sendNumbered sends one event for each number, in a batch, as the SDK for JavaScript does.
func sendNumbered(t *testing.T, s *client.Sender, id, epoch any, numbers ...int32) error {
	t.Helper()
	var events [][]byte
	for _, n := range numbers {
		events = append(events, annotated(t, fmt.Sprint("e", n), annotProducer, id, annotEpoch, epoch, annotNumber, n))
	}
	return s.Send(soon(t), &client.Message{Format: batchFormat, Data: events}, nil)
}

func TestIdempotentProducer(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	s := serve(t, b)
	session := s.dial(nil)
	has := func(want ...string) {
		t.Helper()
		texts, _ := kept(t, h.Partitions()[0])
		equal(t, texts, want)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := numbered(t, session, nil)
	ok(err)
	p := a.Properties()
	id, _ := p[annotProducer].(int64)
	if id <= 0 || id > 1<<53 || p[annotEpoch] != int16(0) || p[annotNumber] != int32(0) {
		t.Fatalf("the hub's choice: %v", p)
	}
	ok(sendNumbered(t, a, id, int16(0), 1, 2, 3))
	ok(sendNumbered(t, a, id, int16(0), 1, 2, 3)) // the same again is as good as once
	ok(sendNumbered(t, a, id, int16(0), 4))
	has("=e1", "=e2", "=e3", "=e4")
	refusedWith(t, sendNumbered(t, a, id, int16(0), 6), condOutOfOrder)
	refusedWith(t, sendNumbered(t, a, id+1, int16(0), 5), "com.microsoft:argument-error")
	refusedWith(t, a.Send(soon(t), client.NewMessage([]byte("none")), nil), "com.microsoft:argument-error")
	has("=e1", "=e2", "=e3", "=e4")

	// A link that is opened again with what the client knows: it does not know that 4 arrived.
	again, err := numbered(t, session, map[string]any{annotProducer: id, annotEpoch: int16(0), annotNumber: int32(3)})
	ok(err)
	equal(t, fmt.Sprint(again.Properties()), fmt.Sprint(map[string]any{annotProducer: id, annotEpoch: 0, annotNumber: 3}))
	ok(sendNumbered(t, again, id, int16(0), 4))
	ok(sendNumbered(t, again, id, int16(0), 5))
	has("=e1", "=e2", "=e3", "=e4", "=e5")

	// What it does not say it is told: JavaScript sends nulls.
	told, err := numbered(t, session, map[string]any{annotProducer: id, annotEpoch: int16(0), annotNumber: nil})
	ok(err)
	equal(t, told.Properties()[annotNumber], 5)

	// A newer instance: the older ones end.
	newer, err := numbered(t, session, map[string]any{annotProducer: id, annotEpoch: nil, annotNumber: nil})
	ok(err)
	equal(t, fmt.Sprint(newer.Properties()), fmt.Sprint(map[string]any{annotProducer: id, annotEpoch: 1, annotNumber: 0}))
	refusedWith(t, sendNumbered(t, told, id, int16(0), 6), condProducerStolen)
	ok(sendNumbered(t, newer, id, int16(1), 1))
	has("=e1", "=e2", "=e3", "=e4", "=e5", "=e1")
	session = s.dial(nil) // go-amqp may use the handle of a displaced link before its detach is out
	_, err = numbered(t, session, map[string]any{annotProducer: id, annotEpoch: int16(0)})
	refusedWith(t, err, condProducerStolen)

	_, err = session.NewSender(soon(t), "orders", &client.SenderOptions{DesiredCapabilities: []string{capIdempotent}})
	refusedWith(t, err, "amqp:not-allowed")
	_, err = numbered(t, session, map[string]any{annotProducer: "x"})
	refusedWith(t, err, "com.microsoft:argument-error")
	_, err = numbered(t, session, map[string]any{annotEpoch: int32(math.MaxInt16 + 1)})
	refusedWith(t, err, "com.microsoft:argument-out-of-range")
}

// TestProducersForgotten says that links that have ended leave nothing.
func TestProducersForgotten(t *testing.T) {
	var ps producers
	ended := 0
	add := func(id int64, epoch int32) *producer {
		p := &producer{id: id, epoch: epoch, life: t.Context(), detach: func(*amqp.Error) { ended++ }}
		if err := ps.add(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	list := []*producer{add(1, 0), add(1, 0), add(2, 0), add(1, 3)}
	equal(t, ended, 2)
	if err := ps.add(&producer{id: 1, epoch: 2, life: t.Context()}); condition(err) != condProducerStolen {
		t.Error(err)
	}
	for _, p := range list {
		ps.remove(p)
	}
	equal(t, len(ps.open), 0)
}
