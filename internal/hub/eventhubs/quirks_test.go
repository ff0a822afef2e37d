package eventhubs

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	client "github.com/Azure/go-amqp"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

// quirks has, for each row of eventhubs.md 1.2, the tests that hold us to it.
var quirks = map[int][]string{
	1:  {"TestQuirkSettleModes"},
	2:  {"TestQuirkSettled"},
	3:  {"TestQuirkAllFields"},
	4:  {"TestQuirkAttachReply"},
	5:  {"TestQuirkLenient", "TestTextOf"},
	6:  {"TestOversized", "TestQuirkAttachReply"},
	7:  {"TestQuirkReplyLink"},
	8:  {"TestAddress", "TestQuirkAddresses"},
	9:  {"TestQuirkRefusedLink"},
	10: {"TestQuirkDrain"},
	11: {"TestQuirkOffsetText"},
	12: {"TestQuirkCoalesce"},
}

// TestQuirks says that each quirk has tests, and that they are there.
func TestQuirks(t *testing.T) {
	var code strings.Builder
	for _, name := range []string{"quirks_test.go", "pure_test.go", "sdk_test.go", "node_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	for n := 1; n <= 12; n++ {
		if len(quirks[n]) == 0 {
			t.Errorf("quirk %d has no test", n)
		}
		for _, name := range quirks[n] {
			if !strings.Contains(code.String(), "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("quirk %d: there is no %s", n, name)
			}
		}
	}
}

// wire is what a server has written to a client.
type wire struct {
	mu     sync.Mutex
	b      []byte
	writes int
}

// performatives are the lists of the frames that were written, by their code, decoded.
func (w *wire) performatives(t *testing.T) map[byte][][]any {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[byte][][]any{}
	for b := w.b; len(b) > 0; {
		if string(b[:4]) == "AMQP" {
			b = b[8:]
			continue
		}
		size := binary.BigEndian.Uint32(b)
		f := b[4*int(b[4]) : size]
		b = b[size:]
		if len(f) == 0 {
			continue
		}
		v, _, err := amqp.DecodeValue(f)
		if err != nil {
			t.Fatal(err)
		}
		d := v.(amqp.Described)
		code := byte(d.Descriptor.(uint64))
		all[code] = append(all[code], d.Value.([]any))
	}
	return all
}

// The codes of performatives (amqp-core 2.7).
const (
	codeOpen        = 0x10
	codeBegin       = 0x11
	codeAttach      = 0x12
	codeFlow        = 0x13
	codeTransfer    = 0x14
	codeDisposition = 0x15
	codeDetach      = 0x16
)

// story is a connection on which everything happens once: sign-in, a question, events in and
// out, a refused link and a refused message, and the end.
func story(t *testing.T) *wire {
	t.Helper()
	s := serve(t, nil)
	w := s.record()
	p := s.producer(&azeventhubs.ProducerClientOptions{RetryOptions: once})
	send(t, p, to("0"), "a", "b")
	if _, err := p.GetEventHubProperties(soon(t), nil); err != nil {
		t.Fatal(err)
	}
	c := s.consumer(nil)
	equal(t, receive(t, open(t, c, "0", nil), 2), []string{"a", "b"})
	_, err := open(t, c, "9", nil).ReceiveEvents(soon(t), 1, nil)
	refusedWith(t, err, "com.microsoft:argument-out-of-range")
	session := s.dial(nil)
	sender, err := session.NewSender(soon(t), "orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := client.NewMessage([]byte("x"))
	m.Annotations = client.Annotations{"x-opt-partition-key": int64(1)}
	refusedWith(t, sender.Send(soon(t), m, nil), "com.microsoft:argument-error")
	return w
}

// record keeps what the server writes to its next clients.
func (s *served) record() *wire {
	w := &wire{}
	s.wrap.Store(&wrapper{func(nc net.Conn) net.Conn { return &recorded{nc, w} }})
	return w
}

type recorded struct {
	net.Conn
	w *wire
}

func (r *recorded) Write(b []byte) (int, error) {
	r.w.mu.Lock()
	r.w.b = append(r.w.b, b...)
	r.w.writes++
	r.w.mu.Unlock()
	return r.Conn.Write(b)
}

func TestQuirkAllFields(t *testing.T) {
	fields := map[byte]int{codeOpen: 10, codeBegin: 8, codeAttach: 14, codeFlow: 11, codeTransfer: 11, codeDisposition: 6, codeDetach: 3}
	all := story(t).performatives(t)
	for code, want := range fields {
		if len(all[code]) == 0 {
			t.Errorf("no performative 0x%x was written", code)
		}
		for _, list := range all[code] {
			if len(list) != want {
				t.Errorf("a performative 0x%x has %d fields of %d", code, len(list), want)
			}
		}
	}
	// Errors have their condition, description and info.
	for _, list := range append(all[codeDetach], all[codeDisposition]...) {
		for _, v := range list {
			if d, ok := v.(amqp.Described); ok && d.Descriptor == uint64(0x1d) && len(d.Value.([]any)) != 3 {
				t.Errorf("an error with %d fields", len(d.Value.([]any)))
			}
		}
	}
}

func TestQuirkAttachReply(t *testing.T) {
	refused := 0
	for _, a := range story(t).performatives(t)[codeAttach] {
		if a[5] == nil || a[6] == nil {
			refused++
			continue
		}
		if a[9] != uint32(0) {
			t.Errorf("initial-delivery-count is %v", a[9])
		}
		if n, _ := a[10].(uint64); n < 1<<20 {
			t.Errorf("max-message-size is %v", a[10])
		}
		if _, ok := a[13].([]amqp.Pair); !ok {
			t.Errorf("properties are %v and no map", a[13])
		}
	}
	equal(t, refused, 1)
}

// TestQuirkSettleModes says that the modes of a client come back as they were: the client for
// Go detaches a link with others.
func TestQuirkSettleModes(t *testing.T) {
	s := serve(t, nil)
	session := s.dial(nil)
	for _, mode := range []client.SenderSettleMode{client.SenderSettleModeUnsettled, client.SenderSettleModeSettled, client.SenderSettleModeMixed} {
		for _, receiver := range []client.ReceiverSettleMode{client.ReceiverSettleModeFirst, client.ReceiverSettleModeSecond} {
			if _, err := session.NewSender(soon(t), "orders", &client.SenderOptions{SettlementMode: &mode, RequestedReceiverSettleMode: &receiver}); err != nil {
				t.Errorf("%v %v: %v", mode, receiver, err)
			}
		}
	}
	for _, mode := range []client.SenderSettleMode{client.SenderSettleModeUnsettled, client.SenderSettleModeSettled} {
		r, err := session.NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", &client.ReceiverOptions{RequestedSenderSettleMode: &mode})
		if err != nil {
			t.Errorf("%v: %v", mode, err)
			continue
		}
		r.Close(soon(t))
	}
}

// TestQuirkSettled receives more than the credit of a client that settles nothing.
func TestQuirkSettled(t *testing.T) {
	const n = 2500
	s := serve(t, nil)
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprint(i)
	}
	send(t, s.producer(nil), to("0"), texts...)
	equal(t, receive(t, open(t, s.consumer(nil), "0", nil), n), texts)

	// A client that asks for it gets to settle.
	r, err := s.dial(nil).NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", &client.ReceiverOptions{
		Credit: 10, RequestedSenderSettleMode: client.SenderSettleModeUnsettled.Ptr(), SettlementMode: client.ReceiverSettleModeSecond.Ptr()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		m, err := r.Receive(soon(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, string(m.Data[0]), fmt.Sprint(i))
		if err := r.AcceptMessage(soon(t), m); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQuirkAddresses opens links as the clients name them.
func TestQuirkAddresses(t *testing.T) {
	s := serve(t, nil)
	session := s.dial(nil)
	for _, to := range []string{"orders", "/Orders", "amqps://localhost/ORDERS", "sb://x.example:99/orders/", "/orders/partitions/0", "/Orders/Publishers/p"} {
		if _, err := session.NewSender(soon(t), to, nil); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, from := range []string{"orders/ConsumerGroups/$default/Partitions/0", "/orders/consumergroups/$DEFAULT/partitions/1", "amqps://h/orders/ConsumerGroups/G1/Partitions/2"} {
		if _, err := session.NewReceiver(soon(t), from, nil); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	for _, to := range []string{"orders/ConsumerGroups/$Default/Partitions/0"} {
		_, err := session.NewSender(soon(t), to, nil)
		refusedWith(t, err, "amqp:not-allowed")
	}
	_, err := session.NewReceiver(soon(t), "orders", nil)
	refusedWith(t, err, "amqp:not-found")
}

// TestQuirkRefusedLink says that a link that is not to be is attached without its terminus of
// ours and then detached with the reason, and that the session goes on.
func TestQuirkRefusedLink(t *testing.T) {
	s := serve(t, nil)
	w := s.record()
	session := s.dial(nil)
	_, err := session.NewSender(soon(t), "nope", nil)
	refusedWith(t, err, "amqp:not-found")
	_, err = session.NewReceiver(soon(t), "nope/ConsumerGroups/$Default/Partitions/0", nil)
	refusedWith(t, err, "amqp:not-found")
	if _, err := session.NewSender(soon(t), "orders", nil); err != nil {
		t.Fatal(err)
	}
	all := w.performatives(t)
	attached, detached := all[codeAttach], all[codeDetach]
	if len(attached) != 3 || attached[0][6] != nil || attached[1][5] != nil || attached[2][6] == nil {
		t.Errorf("attached: %v", attached)
	}
	for _, d := range detached {
		if d[1] != true || d[2] == nil {
			t.Errorf("detached: %v", d)
		}
	}
	equal(t, len(detached), 2)
}

// TestQuirkDrain has the client take its credit back, with events and without.
func TestQuirkDrain(t *testing.T) {
	s := serve(t, nil)
	send(t, s.producer(nil), to("0"), "a", "b")
	r, err := s.dial(nil).NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", &client.ReceiverOptions{Credit: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{{"a", "b"}, nil, nil} {
		if err := r.IssueCredit(100); err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			m, err := r.Receive(soon(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, string(m.Data[0]), text)
		}
		if err := r.DrainCredit(soon(t), nil); err != nil {
			t.Fatal(err)
		}
		if m := r.Prefetched(); m != nil {
			t.Errorf("%s came with the drain", m.Data[0])
		}
	}
	// After a drain the link goes on.
	if err := r.IssueCredit(1); err != nil {
		t.Fatal(err)
	}
	send(t, s.producer(nil), to("0"), "c")
	m, err := r.Receive(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(m.Data[0]), "c")
}

// TestQuirkOffsetText looks at the types of what the hub annotates.
func TestQuirkOffsetText(t *testing.T) {
	s := serve(t, nil)
	send(t, s.producer(nil), &azeventhubs.EventDataBatchOptions{PartitionKey: ptr("k")}, "a")
	from := fmt.Sprintf("orders/ConsumerGroups/$Default/Partitions/%d", hub.PartitionOf([]byte("k"), 4))
	r, err := s.dial(nil).NewReceiver(soon(t), from, &client.ReceiverOptions{DesiredCapabilities: []string{capRuntimeMetric}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Receive(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	types := func(a client.Annotations) string {
		list := map[any]string{}
		for k, v := range a {
			list[k] = fmt.Sprintf("%T", v)
		}
		return fmt.Sprint(list)
	}
	equal(t, types(m.Annotations), "map[x-opt-enqueued-time:time.Time x-opt-offset:string x-opt-partition-key:string x-opt-sequence-number:int64]")
	equal(t, types(m.DeliveryAnnotations), "map[last_enqueued_offset:string last_enqueued_sequence_number:int64 last_enqueued_time_utc:time.Time runtime_info_retrieval_time_utc:time.Time]")
	d := m.DeliveryAnnotations
	equal(t, []any{d["last_enqueued_offset"], d["last_enqueued_sequence_number"], d["last_enqueued_time_utc"]},
		[]any{m.Annotations["x-opt-offset"], m.Annotations["x-opt-sequence-number"], m.Annotations["x-opt-enqueued-time"]})
}

// TestQuirkCoalesce counts the writes that many small events take.
func TestQuirkCoalesce(t *testing.T) {
	const n = 2000
	s := serve(t, nil)
	send(t, s.producer(nil), to("0"), make([]string, n)...)
	w := s.record()
	r, err := s.dial(nil).NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", &client.ReceiverOptions{Credit: n})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if _, err := r.Receive(soon(t), nil); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writes > n/20 {
		t.Errorf("%d writes for %d events", w.writes, n)
	}
}

// token is a token of the root key for an hour.
func (s *served) token(resource string) string {
	return sas.Sign(resource, s.root.Name, s.root.Primary, time.Now().Add(time.Hour))
}
