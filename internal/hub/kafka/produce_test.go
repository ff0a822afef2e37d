package kafka

import (
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// numbered is a batch of a producer.
func numbered(id int64, epoch int16, first int32, values ...string) []byte {
	return batchOf(func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = id, epoch, first }, values...)
}

// content is the texts of a partition, in order.
func content(t *testing.T, p *hub.Partition) string {
	t.Helper()
	r, err := p.Read(p.Range().First)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var list []string
	var m body
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return strings.Join(list, " ")
		}
		for _, rec := range b.Records {
			m.read(rec.Value)
			list = append(list, string(m.value))
		}
	}
}

func TestIdempotentProducer(t *testing.T) {
	s := newSite(t, Options{})
	p := s.hub("hub", 1).Partitions()[0]
	r := s.login()
	f := func(id int64, epoch int16, first int32, values string, code int16, offset int64) {
		t.Helper()
		a := r.ask(produceOf(0, -1, numbered(id, epoch, first, strings.Fields(values)...))).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if a.ErrorCode != code || a.BaseOffset != offset {
			t.Errorf("producer %d, epoch %d, from %d: code %d, offset %d; want %d, %d", id, epoch, first, a.ErrorCode, a.BaseOffset, code, offset)
		}
	}
	f(1, 0, 0, "a b", 0, 0)
	f(1, 0, 2, "c", 0, 2)
	f(1, 0, 0, "a b", 0, 0) // again: the place of then
	f(1, 0, 2, "c", 0, 2)
	f(1, 0, 4, "e", errOutOfOrderSequence, -1)
	f(1, 0, 3, "d", 0, 3)
	f(2, 5, 0, "x", 0, 4) // another producer
	f(1, 0, 4, "e", 0, 5)
	f(1, 1, 0, "f", 0, 6) // begins anew
	f(1, 0, 5, "late", errInvalidProducerEpoch, -1)
	// The numbers begin with 0 again after 2^31-1.
	f(3, 0, math.MaxInt32-1, "m n o", 0, 7)
	f(3, 0, 1, "p", 0, 10)
	f(3, 0, math.MaxInt32-1, "m n o", 0, 7)
	f(3, 0, 3, "r", errOutOfOrderSequence, -1)
	f(3, 0, 2, "q", 0, 11)
	if got, want := content(t, p), "a b c d x e f m n o p q"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if n := s.server.Stats(); n.RecordsIn != 12 || n.Duplicates != 3 || n.Rejected != 3 {
		t.Errorf("%+v", n)
	}
	// What was sent is known after a restart, too.
	s.restart(Options{})
	r = s.login()
	f(3, 0, 2, "q", 0, 11)
	f(3, 0, 3, "r", 0, 12)
}

func TestUnwrap(t *testing.T) {
	f := func(number int32, expected, want int64) {
		t.Helper()
		if got := unwrap(number, expected); got != want {
			t.Errorf("%d where %d is expected: %d; want %d", number, expected, got, want)
		}
	}
	f(0, 0, 0)
	f(5, 5, 5)
	f(3, 5, 3)
	f(7, 5, 7)
	f(0, 1<<31, 1<<31)
	f(2, 1<<31, 1<<31+2)
	f(math.MaxInt32, 1<<31, math.MaxInt32)
	f(math.MaxInt32, 1<<31+5, math.MaxInt32)
	f(1, 5<<31, 5<<31+1)
	f(math.MaxInt32, 0, 0)
}

// A batch that is larger than an append may be goes in several. When it comes again, what was
// taken is left out.
func TestLargeBatchesGoInParts(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 1)
	p := h.Partitions()[0]
	big := func(c string) string { return strings.Repeat(c, 600_000) }
	r := s.login()
	batch := func(values ...string) []byte {
		return batchOf(func(b *kmsg.RecordBatch) {
			b.ProducerID, b.ProducerEpoch, b.FirstSequence = 1, 0, 0
			b.Attributes, b.Records = codecZstd, compressed(codecZstd, b.Records)
		}, values...)
	}
	f := func(code int16, offset int64, want string, values ...string) {
		t.Helper()
		a := r.ask(produceOf(0, -1, batch(values...))).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		list := strings.Fields(content(t, p))
		for i, v := range list {
			if v == big(v[:1]) {
				list[i] = v[:1]
			}
		}
		got := strings.Join(list, " ")
		if a.ErrorCode != code || a.BaseOffset != offset || got != want {
			t.Errorf("code %d, offset %d, %.40q; want %d, %d, %q", a.ErrorCode, a.BaseOffset, got, code, offset, want)
		}
	}
	f(0, 0, "a b", big("a"), big("b"))
	f(0, 2, "a b c d e", big("a"), big("b"), big("c"), big("d"), big("e")) // as if the first answer had not come
	f(0, 0, "a b c d e", big("a"), big("b"), big("c"), big("d"), big("e"))
	a := r.ask(produceOf(0, -1, batchOf(nil, "small", strings.Repeat("x", 1<<20)))).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if a.ErrorCode != errMessageTooLarge || !strings.Contains(*a.ErrorMessage, "1048576 is the most") {
		t.Errorf("%+v", a)
	}
}

func TestProduceErrors(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Inflated: 10_000}})
	s.hub("hub", 1)
	r := s.login()
	f := func(q *kmsg.ProduceRequest, code int16, text string) {
		t.Helper()
		a := r.ask(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		got := ""
		if a.ErrorMessage != nil {
			got = *a.ErrorMessage
		}
		if a.ErrorCode != code || !strings.Contains(got, text) {
			t.Errorf("code %d, %q; want %d, %q", a.ErrorCode, got, code, text)
		}
	}
	good := batchOf(nil, "x")
	q := produceOf(0, 1, good)
	q.Topics[0].Topic = "nothing"
	f(q, errUnknownTopic, `there is no such event hub: "nothing"`)
	f(produceOf(1, 1, good), errUnknownTopic, "there is no such partition")
	f(produceOf(-1, 1, good), errUnknownTopic, "there is no such partition")
	f(produceOf(0, 1, nil), errInvalidRecord, "there are no records")
	bomb := batchOf(func(b *kmsg.RecordBatch) { b.Attributes, b.Records = codecGzip, compressed(codecGzip, b.Records) }, strings.Repeat("x", 20_000))
	f(produceOf(0, 1, bomb), errMessageTooLarge, "10000 bytes are the most")
	f(produceOf(0, 1, batchOf(func(b *kmsg.RecordBatch) { b.Attributes = 6 }, "x")), errUnsupportedCompression, "the codec 6")
	q = produceOf(0, 1, good)
	q.Version = 13
	f(q, errUnknownTopicID, "no topic with this ID")
	h, _ := s.broker.Hub("hub")
	q.Topics[0].TopicID = s.server.topicID(h)
	f(q, 0, "")
	for v := int16(3); v <= 12; v++ {
		q := produceOf(0, -1, good)
		q.Version = v
		f(q, 0, "")
	}
}

// With acks=0 nothing is answered, and what cannot be taken ends the connection.
func TestProduceWithoutAnswer(t *testing.T) {
	s := newSite(t, Options{})
	p := s.hub("hub", 1).Partitions()[0]
	r := s.login()
	r.send(produceOf(0, 0, batchOf(nil, "a")))
	r.send(produceOf(0, 0, batchOf(nil, "b")))
	r.ask(produceOf(0, 1, batchOf(nil, "c")))
	if got := content(t, p); got != "a b c" {
		t.Errorf("%q", got)
	}
	r.send(produceOf(7, 0, batchOf(nil, "d")))
	r.ended()
	if got := s.why(); !strings.Contains(got, "acks=0 cannot be taken: there is no such partition") {
		t.Errorf("%q", got)
	}
}

func TestProducerIDs(t *testing.T) {
	s := newSite(t, Options{})
	r := s.login()
	seen := map[int64]bool{}
	for range 1000 {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.Version, q.ProducerID, q.ProducerEpoch = 4, -1, -1
		a := r.ask(q).(*kmsg.InitProducerIDResponse)
		if a.ErrorCode != 0 || a.ProducerID < 0 || a.ProducerEpoch != 0 || seen[a.ProducerID] {
			t.Fatalf("%+v", a)
		}
		seen[a.ProducerID] = true
	}
	// An ID that is asked with does not count: clients that have none ask with 0, too.
	for _, id := range []int64{0, 0, 77} {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.Version, q.ProducerID, q.ProducerEpoch = 4, id, 0
		a := r.ask(q).(*kmsg.InitProducerIDResponse)
		if a.ErrorCode != 0 || a.ProducerID == id || a.ProducerEpoch != 0 || seen[a.ProducerID] {
			t.Errorf("%+v", a)
		}
		seen[a.ProducerID] = true
	}
}

func TestRights(t *testing.T) {
	s := newSite(t, Options{})
	s.hub("hub", 1)
	s.hub("hub10", 1)
	conns := map[string]*raw{}
	for name, rule := range map[string]hub.Rule{
		"send": {Name: "send", Rights: hub.Send}, "listen": {Name: "listen", Rights: hub.Listen},
		"manage": {Name: "manage", Rights: hub.Manage}, "hub": {Name: "own", Hub: "hub", Rights: hub.Send | hub.Listen}} {
		made, err := s.broker.AddRule(rule)
		if err != nil {
			t.Fatal(err)
		}
		conns[name] = s.loginAs(made.Name, made.Primary)
	}
	ask := func(who string, q kmsg.Request) kmsg.Response {
		t.Helper()
		if q.Key() != int16(kmsg.Produce) {
			q.SetVersion(1)
		}
		return conns[who].ask(q)
	}
	f := func(who, what string, want int16) {
		t.Helper()
		got := int16(-99)
		topic, what, _ := strings.Cut(what, " ")
		switch what {
		case "produce":
			q := produceOf(0, 1, batchOf(nil, "x"))
			q.Topics[0].Topic = topic
			got = ask(who, q).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		case "list":
			q := kmsg.NewPtrListOffsetsRequest()
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp = -1
			q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
			got = ask(who, q).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode
		case "create":
			q := kmsg.NewPtrCreateTopicsRequest()
			c := kmsg.NewCreateTopicsRequestTopic()
			c.Topic, c.NumPartitions, c.ReplicationFactor = topic, 1, 1
			q.Topics, q.ValidateOnly = append(q.Topics, c), true
			got = ask(who, q).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
		case "commit":
			q := kmsg.NewPtrOffsetCommitRequest()
			q.Group, q.Generation = "g", -1
			q.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
			got = ask(who, q).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
		case "join":
			q := kmsg.NewPtrHeartbeatRequest()
			q.Group = topic
			got = ask(who, q).(*kmsg.HeartbeatResponse).ErrorCode
		case "see":
			q := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = kmsg.StringPtr(topic)
			q.Topics = append(q.Topics, rt)
			got = ask(who, q).(*kmsg.MetadataResponse).Topics[0].ErrorCode
		case "number":
			got = ask(who, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse).ErrorCode
		}
		if got != want {
			t.Errorf("%s: %s %s: code %d; want %d", who, what, topic, got, want)
		}
	}
	for _, who := range []string{"send", "manage", "hub"} {
		f(who, "hub produce", 0)
		f(who, "hub number", 0)
	}
	for _, who := range []string{"listen", "manage", "hub"} {
		f(who, "hub list", 0)
		f(who, "hub commit", 0)
		f(who, "g join", errUnknownMember)
	}
	f("send", "hub list", errTopicAuthorization)
	f("send", "hub commit", errGroupAuthorization)
	f("send", "g join", errGroupAuthorization)
	f("listen", "hub produce", errTopicAuthorization)
	f("listen", "hub number", errClusterAuthorization)
	f("hub", "hub10 produce", errTopicAuthorization)
	f("hub", "hub10 list", errTopicAuthorization)
	f("hub", "hub10 see", errTopicAuthorization)
	f("hub", "nowhere see", errTopicAuthorization) // no more is told of what is not there
	f("hub", "hub see", 0)
	f("hub", "hub create", errTopicAuthorization)
	f("listen", "new create", errTopicAuthorization)
	f("manage", "new create", 0)
	meta := ask("hub", kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
	if len(meta.Topics) != 1 || *meta.Topics[0].Topic != "hub" {
		t.Errorf("%+v", meta.Topics)
	}
}
