//go:build peers

package peertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/hub"
)

var eventhubsJS = javascript("eventhubs.mjs")

// args are what a verb is told.
type args map[string]any

// letters are n events, each with a body of its own.
func letters(prefix string, n int) []event {
	list := make([]event, n)
	for i := range list {
		list[i].Base64 = encoded(fmt.Sprintf("%s %d", prefix, i))
	}
	return list
}

// ways are how an Event Hubs client reaches the program.
var ways = []string{"plain", "tls", "websocket"}

func TestEventHubsSendReceive(t *testing.T) {
	w := program(t)
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			h := w.newHub(t, 2)
			sent := []event{
				{Base64: encoded("one"), Properties: map[string]string{"kind": "first", "größe": "3"}, ContentType: "application/json", MessageID: "m1"},
				{Base64: encoded("\x00\xff\x80 bytes")},
				{Base64: encoded("")},
			}
			w.run(t, eventhubsJS, h, "send", args{"way": way, "partition": "1", "events": sent})
			got := w.run(t, eventhubsJS, h, "receive", args{"way": way, "partitions": []string{"1"}, "count": 3, "track": true})
			same(t, got.events(t), sent)
			if e := got.events(t)[0]; e.MessageID != "m1" {
				t.Errorf("the message id is %q", e.MessageID)
			}
			last := one[struct{ Last map[string]any }](t, got, "last").Last
			if last["sequenceNumber"] != float64(2) {
				t.Errorf("the last event of the partition is %v", last)
			}
		})
	}
}

// TestEventHubsKeys: a batch with a key goes to one partition, and to the one that the SDK
// itself works out for the key.
func TestEventHubsKeys(t *testing.T) {
	w := program(t)
	const partitions, keys = 4, 20
	h, other := w.newHub(t, partitions), w.newHub(t, partitions)
	var each []event
	for i := range keys {
		each = append(each, event{Base64: encoded(fmt.Sprint(i)), Key: fmt.Sprintf("key-%d", i)})
	}
	w.run(t, eventhubsJS, h, "sendEach", args{"events": each})
	w.run(t, eventhubsJS, other, "buffered", args{"events": each})
	place := func(h string, withKey bool) map[string]string {
		t.Helper()
		of := map[string]string{}
		for _, e := range w.run(t, eventhubsJS, h, "receive", args{"count": keys}).events(t) {
			of[e.body()] = e.Partition
			if withKey && e.PartitionKey != "key-"+e.body() {
				t.Errorf("event %s has the key %q", e.body(), e.PartitionKey)
			}
		}
		return of
	}
	ours, theirs := place(h, true), place(other, false)
	seen := map[string]bool{}
	for body, p := range ours {
		seen[p] = true
		if theirs[body] != p {
			t.Errorf("key-%s is in partition %s, and the SDK sends it to %s", body, p, theirs[body])
		}
		if want := fmt.Sprint(hub.PartitionOf([]byte("key-"+body), partitions)); want != p {
			t.Errorf("key-%s is in partition %s, want %s", body, p, want)
		}
	}
	if len(ours) != keys || len(seen) != partitions {
		t.Errorf("%d keys in %d partitions", len(ours), len(seen))
	}
}

func TestEventHubsPositions(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	first := letters("a", 5)
	w.run(t, eventhubsJS, h, "send", args{"partition": "0", "events": first})
	all := w.run(t, eventhubsJS, h, "receive", args{"count": 5}).events(t)
	between := time.Now().UnixMilli() + 1
	for time.Now().UnixMilli() <= between { // the clock of the machine, which the hub stamps with
		time.Sleep(time.Millisecond)
	}
	second := letters("b", 3)
	w.run(t, eventhubsJS, h, "send", args{"partition": "0", "events": second})
	f := func(from args, want []event) {
		t.Helper()
		got := w.run(t, eventhubsJS, h, "receive", args{"from": from, "count": len(want)}).events(t)
		same(t, got, want)
	}
	both := slices.Concat(first, second)
	f(args{"kind": "earliest"}, both)
	f(args{"kind": "sequence", "value": all[2].Seq}, both[3:])
	f(args{"kind": "sequence", "value": all[2].Seq, "inclusive": true}, both[2:])
	f(args{"kind": "offset", "value": all[2].Offset}, both[3:])
	f(args{"kind": "offset", "value": all[2].Offset, "inclusive": true}, both[2:])
	f(args{"kind": "offset", "value": all[4].Offset}, second)
	f(args{"kind": "time", "value": between}, second)

	latest := w.start(t, eventhubsJS, h, "receive", args{"from": args{"kind": "latest"}, "count": 2, "ready": 3000})
	time.Sleep(3500 * time.Millisecond) // nothing tells from outside that a reader waits
	w.run(t, eventhubsJS, h, "send", args{"partition": "0", "events": letters("c", 2)})
	got, err := latest()
	if err != nil {
		t.Fatal(*err)
	}
	same(t, got.events(t), letters("c", 2))
}

// TestEventHubsEpochs: a reader with a higher owner level takes the partition over; a lower
// level and none are refused.
func TestEventHubsEpochs(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	w.run(t, eventhubsJS, h, "send", args{"partition": "0", "events": letters("x", 3)})
	got := w.run(t, eventhubsJS, h, "epochs", args{})
	for _, e := range each[struct{ Reader, Code, Message string }](t, got, "reader") {
		if e.Code != "ReceiverDisconnectedError" {
			t.Errorf("the %s reader ended with %+v", e.Reader, e)
		}
	}
	end := one[struct {
		Events      map[string]bool
		SecondError *string
	}](t, got, "events")
	if !end.Events["first"] || !end.Events["second"] || end.Events["third"] || end.Events["fourth"] || end.SecondError != nil {
		t.Errorf("readers that have read: %+v", end)
	}
}

// TestEventHubsProcessors: two event processors share a hub through a checkpoint store, and
// the next one goes on where they ended.
func TestEventHubsProcessors(t *testing.T) {
	w := program(t)
	const partitions = 4
	h := w.newHub(t, partitions)
	var want []string
	for p := range partitions {
		w.run(t, eventhubsJS, h, "send", args{"partition": fmt.Sprint(p), "events": letters(fmt.Sprintf("p%d", p), 25)})
		for _, e := range letters(fmt.Sprintf("p%d", p), 25) {
			want = append(want, e.body())
		}
	}
	got := w.run(t, eventhubsJS, h, "processors", args{"partitionCount": partitions, "count": len(want)})
	slices.Sort(want)
	if first := one[struct{ First []string }](t, got, "first").First; !slices.Equal(first, want) {
		t.Errorf("the first two processors have read %q", first)
	}
	second := one[struct{ Second []string }](t, got, "second").Second
	if !slices.Equal(second, []string{"later 0", "later 1", "later 2", "later 3"}) {
		t.Errorf("the processor that went on has read %q", second)
	}
	for _, mine := range one[struct{ Balanced [][]string }](t, got, "balanced").Balanced {
		if len(mine) != partitions/2 {
			t.Errorf("a processor has the partitions %v", mine)
		}
	}
}

// TestEventHubsIdempotent: a producer that numbers its events learns where it stands, and an
// older instance of it is fenced off.
func TestEventHubsIdempotent(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	got := w.run(t, eventhubsJS, h, "idempotent", args{"partition": "0", "events": letters("i", 3)})
	type state struct {
		State struct {
			IsIdempotentPublishingEnabled bool
			LastPublishedSequenceNumber   int
			OwnerLevel                    int
			ProducerGroupID               int `json:"producerGroupId"`
		}
		Name, Code, Message string
	}
	states := each[state](t, got, "state")
	if len(states) != 2 || !states[0].State.IsIdempotentPublishingEnabled || states[1].State.OwnerLevel != states[0].State.OwnerLevel+1 ||
		states[1].State.ProducerGroupID != states[0].State.ProducerGroupID {
		t.Errorf("the producer stands at %+v", states)
	}
	fenced := false
	for _, s := range each[state](t, got, "name") {
		if s.Name == "was fenced" {
			fenced = strings.Contains(s.Message, "a newer instance of the producer has taken over")
		}
	}
	if !fenced {
		t.Errorf("an older instance of the producer: %s", got)
	}
	same(t, w.run(t, eventhubsJS, h, "receive", args{"count": 4}).events(t), append(letters("i", 3), event{Base64: encoded("goes on")}))
}

func TestEventHubsDescribes(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 3)
	w.run(t, eventhubsJS, h, "send", args{"partition": "2", "events": letters("x", 7)})
	got := w.run(t, eventhubsJS, h, "describe", args{})
	d := one[struct {
		Hub struct {
			Name         string
			PartitionIDs []string `json:"partitionIds"`
		}
	}](t, got, "hub")
	if d.Hub.Name != h || !slices.Equal(d.Hub.PartitionIDs, []string{"0", "1", "2"}) {
		t.Errorf("the hub is %+v", d)
	}
	type partition struct {
		Partition struct {
			PartitionID                string `json:"partitionId"`
			BeginningSequenceNumber    int64
			LastEnqueuedSequenceNumber int64
			LastEnqueuedOffset         string
			IsEmpty                    bool
		}
	}
	for _, p := range each[partition](t, got, "partition") {
		p := p.Partition
		full := p.PartitionID == "2"
		if p.IsEmpty == full || full && (p.LastEnqueuedSequenceNumber != 6 || p.BeginningSequenceNumber != 0) {
			t.Errorf("partition %+v", p)
		}
	}
}

// TestEventHubsRefuses: wrong keys, hubs, groups and partitions, and events that are too
// large, give the SDK's errors of Event Hubs.
func TestEventHubsRefuses(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	f := func(name, hub, verb string, a args, codes ...string) {
		t.Helper()
		got, err := w.try(t, eventhubsJS, hub, verb, a)
		if err == nil || !slices.Contains(codes, err.Code) {
			t.Errorf("%s: %+v, want %s; %s", name, err, codes, got)
		}
	}
	wrong := strings.Replace(w.plain, w.key, encoded("not the key"), 1)
	plain := args{"events": letters("x", 1)}
	with := func(a args, k string, v any) args {
		b := args{k: v}
		for k, v := range a {
			b[k] = v
		}
		return b
	}
	f("a wrong key", h, "send", with(plain, "connection", wrong), "UnauthorizedError")
	f("no such hub", "nowhere", "send", plain, "MessagingEntityNotFoundError")
	f("no such partition", h, "send", with(plain, "partition", "17"), "ArgumentOutOfRangeError")
	f("no such group", h, "receive", args{"group": "nobody", "count": 1, "partitions": []string{"0"}}, "MessagingEntityNotFoundError")

	got := w.run(t, eventhubsJS, h, "oversized", args{})
	size := one[struct {
		Max        int
		Fits, Most bool
	}](t, got, "max")
	if size.Max != 1<<20 || size.Fits || !size.Most {
		t.Errorf("batches: %+v", size)
	}
	if r := one[struct{ Refused, Code string }](t, got, "refused"); r.Code != "MessageTooLargeError" {
		t.Errorf("an event that is too large: %+v", r)
	}
}
