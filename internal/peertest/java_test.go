//go:build peers

package peertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	eventhubsJava = java("EventHubs")
	kafkaJava     = java("Kafka")
)

// TestJavaEventHubs: the SDK for Java sends and receives each way that it connects.
func TestJavaEventHubs(t *testing.T) {
	w := program(t)
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			h := w.newHub(t, 2)
			sent := []event{
				{Base64: encoded("one"), Properties: map[string]string{"kind": "first", "größe": "3"}, ContentType: "application/json", MessageID: "m1"},
				{Base64: encoded("\x00\xff\x80 bytes")},
				{Base64: encoded("")},
			}
			max := one[struct{ Max int }](t, w.run(t, eventhubsJava, h, "send", args{"way": way, "partition": "1", "events": sent}), "max").Max
			if max != 1<<20 {
				t.Errorf("a batch has %d bytes", max)
			}
			got := w.run(t, eventhubsJava, h, "receive", args{"way": way, "partitions": []string{"1"}, "count": 3, "track": true})
			same(t, got.events(t), sent)
			if e := got.events(t)[0]; e.MessageID != "m1" {
				t.Errorf("the message id is %q", e.MessageID)
			}
			if last := one[struct{ Last int64 }](t, got, "last").Last; last != 2 {
				t.Errorf("the last event of the partition is %d", last)
			}
		})
	}
}

// TestJavaKeys: the SDKs for Java and JavaScript and Kafka's client see a key in the same
// partition, with the same body, key and properties.
func TestJavaKeys(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 8)
	e := event{Base64: encoded("keyed"), Key: "team-7", Properties: map[string]string{"kind": "k"}}
	w.run(t, eventhubsJava, h, "send", args{"key": e.Key, "events": []event{{Base64: e.Base64, Properties: e.Properties}}})
	w.run(t, eventhubsJS, h, "send", args{"key": e.Key, "events": []event{{Base64: e.Base64, Properties: e.Properties}}})
	f := func(c client, a args) {
		t.Helper()
		got := w.run(t, c, h, "receive", a).events(t)
		same(t, got, []event{e, e})
		if got[0].Partition != got[1].Partition {
			t.Errorf("%s: a key is in the partitions %s and %s", c.name, got[0].Partition, got[1].Partition)
		}
	}
	f(eventhubsJava, args{"count": 2})
	f(eventhubsJS, args{"count": 2})
	f(kafkaJava, args{"count": 2})
}

func TestJavaPositions(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	first := letters("a", 5)
	w.run(t, eventhubsJava, h, "send", args{"partition": "0", "events": first})
	all := w.run(t, eventhubsJava, h, "receive", args{"count": 5}).events(t)
	between := time.Now().UnixMilli() + 1
	for time.Now().UnixMilli() <= between { // the clock of the machine, which the hub stamps with
		time.Sleep(time.Millisecond)
	}
	second := letters("b", 3)
	w.run(t, eventhubsJava, h, "send", args{"partition": "0", "events": second})
	f := func(from args, want []event) {
		t.Helper()
		same(t, w.run(t, eventhubsJava, h, "receive", args{"from": from, "count": len(want)}).events(t), want)
	}
	both := slices.Concat(first, second)
	f(args{"kind": "sequence", "value": all[2].Seq}, both[3:])
	f(args{"kind": "sequence", "value": all[2].Seq, "inclusive": true}, both[2:])
	f(args{"kind": "offset", "value": all[2].Offset}, both[3:])
	f(args{"kind": "time", "value": between}, second)

	// Kafka's client finds the same by time: the first record of a millisecond, and nothing
	// behind the last.
	stamp := all[0].Enqueued
	got := w.run(t, kafkaJava, h, "times", args{"times": []int64{0, stamp, stamp + 1, between, between + 1e9}, "seek": 6})
	var found []int64
	for _, o := range each[struct{ Offset int64 }](t, got, "offset") {
		found = append(found, o.Offset)
	}
	if want := []int64{0, 0, 5, 5, -1}; !slices.Equal(found, want) {
		t.Errorf("offsets by time are %v, want %v", found, want)
	}
	end := one[struct {
		Begin, End int64
		Read       []int64
	}](t, got, "begin")
	if end.Begin != 0 || end.End != 8 || !slices.Equal(end.Read, []int64{6, 7}) {
		t.Errorf("the partition has %+v", end)
	}
}

// TestJavaEpochs: as TestEventHubsEpochs.
func TestJavaEpochs(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	w.run(t, eventhubsJava, h, "send", args{"partition": "0", "events": letters("x", 3)})
	got := w.run(t, eventhubsJava, h, "epochs", args{})
	ended := each[struct{ Reader, Ended, Code string }](t, got, "reader")
	for _, e := range ended {
		if e.Code != "amqp:link:stolen" {
			t.Errorf("the %s reader ended with %+v", e.Reader, e)
		}
	}
	end := one[struct {
		Events      map[string]bool
		SecondError *string
	}](t, got, "events")
	if len(ended) != 3 || !end.Events["first"] || !end.Events["second"] || end.Events["third"] || end.Events["fourth"] || end.SecondError != nil {
		t.Errorf("readers that have read: %+v", end)
	}
}

// TestJavaProcessors: as TestEventHubsProcessors, plain and over WebSockets.
func TestJavaProcessors(t *testing.T) {
	w := program(t)
	for _, way := range []string{"plain", "websocket"} {
		t.Run(way, func(t *testing.T) {
			const partitions = 4
			h := w.newHub(t, partitions)
			var want []string
			for p := range partitions {
				list := letters(fmt.Sprintf("p%d", p), 10)
				w.run(t, eventhubsJS, h, "send", args{"partition": fmt.Sprint(p), "events": list})
				for _, e := range list {
					want = append(want, e.body())
				}
			}
			got := w.run(t, eventhubsJava, h, "processors", args{"way": way, "partitionCount": partitions, "count": len(want)})
			slices.Sort(want)
			if first := one[struct{ First []string }](t, got, "first").First; !slices.Equal(first, want) {
				t.Errorf("the first two processors have read %q", first)
			}
			second := one[struct{ Second []string }](t, got, "second").Second
			if !slices.Equal(second, []string{"later 0", "later 1", "later 2", "later 3"}) {
				t.Errorf("the processor that went on has read %q", second)
			}
		})
	}
}

// TestJavaRefuses: what is wrong gives the SDK's errors of Event Hubs.
func TestJavaRefuses(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	f := func(hub, verb string, a args, code string) {
		t.Helper()
		if got, err := w.try(t, eventhubsJava, hub, verb, a); err == nil || err.Code != code {
			t.Errorf("%s: %+v, want %s; %s", verb, err, code, got)
		}
	}
	wrong := strings.Replace(w.plain, w.key, encoded("not the key"), 1)
	f(h, "send", args{"events": letters("x", 1), "connection": wrong}, "UNAUTHORIZED_ACCESS")
	f("nowhere", "send", args{"events": letters("x", 1)}, "NOT_FOUND")
	f(h, "send", args{"events": letters("x", 1), "partition": "17"}, "ARGUMENT_OUT_OF_RANGE_ERROR")
	f(h, "receive", args{"group": "nobody", "count": 1, "partitions": []string{"0"}}, "NOT_FOUND")
}

// TestJavaKafka: Kafka's own client, with each codec.
func TestJavaKafka(t *testing.T) {
	w := program(t)
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			h := w.newHub(t, 1)
			sent := []event{
				{Base64: encoded("one"), Key: "k1", Properties: map[string]string{"kind": "first", "größe": "3"}},
				{Base64: encoded("\x00\xff\x80 bytes"), Key: "k2"},
				{Base64: encoded("three")},
			}
			a := args{"ssl": i%2 == 0, "idempotent": i%2 == 0, "codec": codec, "events": sent, "count": 3, "group": "java-" + h}
			w.run(t, kafkaJava, h, "send", a)
			same(t, w.run(t, kafkaJava, h, "receive", a).events(t), sent)
			a["events"], a["count"] = sent[:1], 1
			w.run(t, kafkaJava, h, "send", a)
			same(t, w.run(t, kafkaJava, h, "receive", a).events(t), sent[:1])
		})
	}
}

// TestJavaKafkaGroup: members come and go, with eager and with cooperative assignment.
func TestJavaKafkaGroup(t *testing.T) {
	w := program(t)
	const partitions = 4
	h := w.newHub(t, partitions)
	var sent []event
	for i := range 40 {
		at := i % partitions
		sent = append(sent, event{Base64: encoded(fmt.Sprint(i)), Partition: &at})
	}
	w.run(t, kafkaJava, h, "send", args{"events": sent})
	assignors := []string{"RangeAssignor", "CooperativeStickyAssignor"}
	got := w.run(t, kafkaJava, h, "group", args{"partitionCount": partitions, "count": len(sent), "assignors": assignors})
	type dealt struct {
		Assignor    string
		Dealt, Read int
	}
	for i, d := range each[dealt](t, got, "assignor") {
		if d != (dealt{assignors[i], partitions, len(sent)}) {
			t.Errorf("the group has %+v", d)
		}
	}
}

// TestJavaKafkaAdmin: the administrator's client makes, grows, describes and deletes.
func TestJavaKafkaAdmin(t *testing.T) {
	w := program(t)
	got := w.run(t, kafkaJava, "unused", "admin", args{"topic": "made-by-java"})
	made := one[struct{ Created int }](t, got, "created").Created
	grown := one[struct{ Grown int }](t, got, "grown").Grown
	type group struct {
		Lag    int
		Listed bool
		State  string
		Nodes  int
	}
	g := one[group](t, got, "lag")
	left := one[struct{ Left bool }](t, got, "left").Left
	if made != 2 || grown != 3 || g != (group{6, true, "Empty", 1}) || left {
		t.Errorf("%d, then %d partitions, %+v, left %v", made, grown, g, left)
	}
}

// TestJavaRestart: clients at work go on when the program is killed and started again, and
// nothing is lost, changed or out of order.
func TestJavaRestart(t *testing.T) {
	w := program(t)
	amqp, kafka := w.newHub(t, 1), w.newHub(t, 1)
	first := w.start(t, eventhubsJava, amqp, "follow", args{"batches": 400, "retries": 8})
	second := w.start(t, kafkaJava, kafka, "follow", args{"records": 1500})
	for _, hub := range []string{amqp, kafka} {
		for end := time.Now().Add(patience); w.next(t, hub, 0) < 100; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s has %d events", hub, w.next(t, hub, 0))
			}
		}
	}
	w.restart(t)
	type outcome struct {
		Sent, Seen, Disorder int
		Changed              bool
	}
	f := func(name string, wait func() (answers, *failure), want outcome) {
		t.Helper()
		got, err := wait()
		if err != nil {
			t.Errorf("%s: %+v, %s", name, *err, got)
		} else if o := one[outcome](t, got, "sent"); o != want {
			t.Errorf("%s has %+v, want %+v", name, o, want)
		}
	}
	f("Event Hubs", first, outcome{Sent: 2000, Seen: 2000})
	f("Kafka", second, outcome{Sent: 1500, Seen: 1500})
}
