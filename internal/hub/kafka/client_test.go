package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// send produces texts to a partition, or to any with -1.
func send(t *testing.T, cl *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	var list []*kgo.Record
	for _, v := range values {
		list = append(list, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)})
	}
	if err := cl.ProduceSync(patience(t), list...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func texts(list []*kgo.Record) string {
	var s []string
	for _, r := range list {
		s = append(s, string(r.Value))
	}
	return strings.Join(s, " ")
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestConsumeFromPlaces(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 1)
	cl := s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	send(t, cl, "hub", 0, "a", "b", "c")
	p := h.Partitions()[0]
	middle := p.Range().LastEnqueued.Truncate(time.Millisecond).Add(time.Millisecond)
	s.skip.Add(int64(time.Hour)) // the next records have a later time
	send(t, cl, "hub", 0, "d", "e")
	f := func(o kgo.Offset, want string) {
		t.Helper()
		c := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"hub": {0: o}}))
		if got := texts(fetch(t, c, len(strings.Fields(want)))); got != want {
			t.Errorf("%v: %q; want %q", o, got, want)
		}
	}
	f(kgo.NewOffset().AtStart(), "a b c d e")
	f(kgo.NewOffset().At(2), "c d e")
	f(kgo.NewOffset().AtEnd().Relative(-2), "d e")
	f(kgo.NewOffset().AfterMilli(middle.UnixMilli()), "d e")
	f(kgo.NewOffset().AfterMilli(0), "a b c d e")
	adm := kadm.NewClient(cl)
	at := func(name string, list kadm.ListedOffsets, err error, want int64) {
		t.Helper()
		o, ok := list.Lookup("hub", 0)
		if err != nil || !ok || o.Err != nil || o.Offset != want {
			t.Errorf("%s: %+v %v; want %d", name, o, err, want)
		}
	}
	list, err := adm.ListStartOffsets(patience(t), "hub")
	at("start", list, err, 0)
	list, err = adm.ListEndOffsets(patience(t), "hub")
	at("end", list, err, 5)
	list, err = adm.ListOffsetsAfterMilli(patience(t), middle.UnixMilli(), "hub")
	at("middle", list, err, 3)
	list, err = adm.ListMaxTimestampOffsets(patience(t), "hub")
	if o, _ := list.Lookup("hub", 0); err != nil || o.Offset < 3 || o.Timestamp != p.Range().LastEnqueued.UnixMilli() {
		t.Errorf("highest time: %+v %v", o, err)
	}
}

func TestAConsumerAtTheEndGetsWhatComes(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 2)
	c := s.client(kgo.ConsumeTopics("hub"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(10*time.Second))
	var m amqp.Message
	for i := range 20 {
		m.Body = fmt.Append(nil, i)
		p := h.Partitions()[i%2]
		if _, err := p.Append([]hub.Event{{Key: []byte("k"), Message: m.Append(nil)}}, nil); err != nil {
			t.Fatal(err)
		}
		r := fetch(t, c, 1)
		if texts(r) != fmt.Sprint(i) || string(r[0].Key) != "k" || int(r[0].Partition) != i%2 {
			t.Fatalf("%+v; want %d", r[0], i)
		}
	}
}

func TestGroupOfTwo(t *testing.T) {
	s := newSite(t, Options{})
	s.hub("hub", 4)
	opts := []kgo.Opt{kgo.ConsumeTopics("hub"), kgo.ConsumerGroup("Group"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(50 * time.Millisecond), kgo.SessionTimeout(10 * time.Second), kgo.DisableAutoCommit()}
	changes := make(chan string, 100)
	member := func(name string) *kgo.Client {
		return s.client(append(opts,
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
				for range m["hub"] {
					changes <- name + "+"
				}
			}),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
				for range m["hub"] {
					changes <- name + "-"
				}
			}))...)
	}
	has := map[byte]int{}
	until := func(a, b int) {
		t.Helper()
		ctx := patience(t)
		for has['a'] != a || has['b'] != b {
			select {
			case c := <-changes:
				if has[c[0]]++; c[1] == '-' {
					has[c[0]] -= 2
				}
			case <-ctx.Done():
				t.Fatalf("a has %d partitions and b %d; want %d and %d", has['a'], has['b'], a, b)
			}
		}
	}
	cl := s.client()
	send(t, cl, "hub", -1, numbers(0, 40)...)
	a := member("a")
	until(4, 0)
	first := fetch(t, a, 40)
	if err := a.CommitRecords(patience(t), first...); err != nil {
		t.Fatal(err)
	}
	b := member("b")
	// What is dealt out anew shows to a member when it polls.
	polled, stop := context.WithCancel(context.Background())
	defer stop()
	records := make(chan string, 1000)
	for _, c := range []*kgo.Client{a, b} {
		go func() {
			for polled.Err() == nil {
				for _, r := range c.PollFetches(polled).Records() {
					records <- string(r.Value)
				}
			}
		}()
	}
	until(2, 2)
	send(t, cl, "hub", -1, numbers(40, 80)...)
	seen := map[string]bool{}
	ctx := patience(t)
	for len(seen) < 40 {
		select {
		case r := <-records:
			if seen[r] || len(r) < 2 || r < "40" {
				t.Fatalf("%q comes twice", r)
			}
			seen[r] = true
		case <-ctx.Done():
			t.Fatalf("%d of 40 records", len(seen))
		}
	}
	d, err := kadm.NewClient(cl).DescribeGroups(patience(t), "Group")
	if g := d["Group"]; err != nil || g.State != "Stable" || len(g.Members) != 2 || len(g.AssignedPartitions()["hub"]) != 4 {
		t.Errorf("%+v %v", g, err)
	}
	if n := s.server.Stats(); n.Groups != 1 || n.Members != 2 || n.Rebalances < 2 {
		t.Errorf("%+v", n)
	}
	a.LeaveGroup()
	until(0, 4)
}

func TestCommitsSurviveARestart(t *testing.T) {
	s := newSite(t, Options{})
	s.hub("hub", 1)
	cl := s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	send(t, cl, "hub", 0, numbers(0, 10)...)
	opts := []kgo.Opt{kgo.ConsumeTopics("hub"), kgo.ConsumerGroup("a group: of mine"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()}
	c := s.client(opts...)
	got := fetch(t, c, 10)
	if err := c.CommitRecords(patience(t), got[:4]...); err != nil {
		t.Fatal(err)
	}
	c.Close()
	cl.Close()
	s.restart(Options{})
	c = s.client(opts...)
	if got := texts(fetch(t, c, 6)); got != "4 5 6 7 8 9" {
		t.Errorf("%q", got)
	}
	adm := kadm.NewClient(s.client())
	lags, err := adm.Lag(patience(t), "a group: of mine")
	if l, ok := lags["a group: of mine"].Lag.Lookup("hub", 0); err != nil || !ok || l.Lag != 6 || l.Commit.At != 4 {
		t.Errorf("%+v %v", l, err)
	}
	// The topic IDs are those of before, so that clients go on.
	if _, err := adm.DeleteGroup(patience(t), "a group: of mine"); !errors.Is(err, kerr.NonEmptyGroup) {
		t.Errorf("a group with a member: %v", err)
	}
	c.Close()
	if _, err := adm.DeleteOffsets(patience(t), "a group: of mine", kadm.TopicsSet{"hub": {0: {}}}); err != nil {
		t.Error(err)
	}
	if all, err := adm.FetchOffsets(patience(t), "a group: of mine"); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
	if _, err := adm.DeleteGroup(patience(t), "a group: of mine"); err != nil {
		t.Error(err)
	}
	if _, err := adm.DeleteGroup(patience(t), "a group: of mine"); !errors.Is(err, kerr.GroupIDNotFound) {
		t.Errorf("%v", err)
	}
}

func TestTransactionsAreRefused(t *testing.T) {
	s := newSite(t, Options{})
	s.hub("hub", 1)
	cl := s.client(kgo.TransactionalID("mine"), kgo.DefaultProduceTopic("hub"))
	if err := cl.BeginTransaction(); err == nil || !strings.Contains(err.Error(), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED") {
		t.Errorf("%v", err)
	}
	r := s.login()
	q := produceOf(0, -1, batchOf(nil, "x"))
	q.TransactionID = kmsg.StringPtr("mine")
	p := r.ask(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if p.ErrorCode != errTransactionalID || !strings.Contains(*p.ErrorMessage, "there are no transactions here") {
		t.Errorf("%+v", p)
	}
}

func TestTopicAdministration(t *testing.T) {
	s := newSite(t, Options{})
	adm := kadm.NewClient(s.client())
	hour := "3600000"
	made, err := adm.CreateTopic(patience(t), 3, -1, map[string]*string{"retention.ms": &hour, "cleanup.policy": kadm.StringPtr("delete")}, "Topic")
	if err != nil || made.NumPartitions != 3 || made.ReplicationFactor != 1 {
		t.Fatalf("%+v %v", made, err)
	}
	h, err := s.broker.Hub("topic")
	if err != nil || h.Config().Retention != time.Hour || h.Config().Name != "Topic" {
		t.Fatalf("%+v %v", h, err)
	}
	f := func(partitions int32, replicas int16, name, setting, value string, want error, text string) {
		t.Helper()
		var configs map[string]*string
		if setting != "" {
			configs = map[string]*string{setting: &value}
		}
		r, err := adm.CreateTopic(patience(t), partitions, replicas, configs, name)
		if !errors.Is(err, want) || !strings.Contains(r.ErrMessage, text) {
			t.Errorf("%s: %v %q; want %v %q", name, err, r.ErrMessage, want, text)
		}
	}
	f(1, 1, "TOPIC", "", "", kerr.TopicAlreadyExists, "")
	f(1, 1, "no/name", "", "", kerr.InvalidTopicException, "not a name")
	f(0, 1, "new", "", "", kerr.InvalidPartitions, "")
	f(5000, 1, "new", "", "", kerr.InvalidPartitions, "1 to 1024")
	f(1, 0, "new", "", "", kerr.InvalidReplicationFactor, "")
	f(1, 3, "new", "cleanup.policy", "compact", kerr.InvalidConfig, "cleanup.policy is always delete here")
	f(1, 3, "new", "retention.ms", "-1", kerr.InvalidConfig, "events do not stay for ever")
	f(1, 3, "new", "retention.ms", "soon", kerr.InvalidConfig, "is not a number")
	f(1, 3, "new", "flush.ms", "1", kerr.InvalidConfig, "cannot be given")
	f(-1, 3, "new", "retention.bytes", "1000000", nil, "")

	more, err := adm.UpdatePartitions(patience(t), 5, "topic")
	if err != nil || more["topic"].Err != nil || len(h.Partitions()) != 5 {
		t.Errorf("%+v %v: %d partitions", more, err, len(h.Partitions()))
	}
	if more, _ = adm.UpdatePartitions(patience(t), 2, "topic"); !errors.Is(more["topic"].Err, kerr.InvalidPartitions) {
		t.Errorf("%+v", more)
	}
	day := "86400000"
	changed, err := adm.AlterTopicConfigs(patience(t), []kadm.AlterConfig{{Name: "retention.ms", Value: &day}, {Name: "retention.bytes", Value: &hour}}, "topic")
	if err != nil || changed[0].Err != nil || h.Config().Retention != 24*time.Hour || h.Config().RetentionBytes != 3600000 {
		t.Errorf("%+v %v %+v", changed, err, h.Config())
	}
	if changed, _ = adm.AlterTopicConfigs(patience(t), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &day}}, "topic"); !errors.Is(changed[0].Err, kerr.InvalidConfig) {
		t.Errorf("%+v", changed)
	}
	if changed, _ = adm.AlterTopicConfigs(patience(t), []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.bytes"}}, "topic"); changed[0].Err != nil || h.Config().RetentionBytes != 0 {
		t.Errorf("%+v %+v", changed, h.Config())
	}
	configs, err := adm.DescribeTopicConfigs(patience(t), "topic")
	got := ""
	for _, c := range configs[0].Configs {
		got += c.Key + "=" + c.MaybeValue() + " "
	}
	if want := "cleanup.policy=delete compression.type=uncompressed max.message.bytes=1048576 message.timestamp.type=LogAppendTime min.insync.replicas=1 retention.bytes=-1 retention.ms=86400000 "; err != nil || got != want {
		t.Errorf("%s %v; want %s", got, err, want)
	}
	if brokers, err := adm.DescribeBrokerConfigs(patience(t), nodeID); err != nil || len(brokers[0].Configs) == 0 {
		t.Errorf("%+v %v", brokers, err)
	}
	dirs, err := adm.DescribeAllLogDirs(patience(t), nil)
	if d := dirs[nodeID]["weir"]; err != nil || len(d.Topics["Topic"]) != 5 {
		t.Errorf("%+v %v", dirs, err)
	}
	meta, err := adm.Metadata(patience(t))
	if err != nil || meta.Cluster != "weir" || len(meta.Brokers) != 1 || fmt.Sprint(meta.Topics.Names()) != "[Topic new]" {
		t.Errorf("%+v %v", meta, err)
	}
	id := meta.Topics["Topic"].ID
	gone, err := adm.DeleteTopics(patience(t), "topic", "nothing")
	if err != nil || gone["topic"].Err != nil || !errors.Is(gone["nothing"].Err, kerr.UnknownTopicOrPartition) {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := s.server.find(id); err == nil {
		t.Error("the ID of a topic that is gone still finds it")
	}
	// A topic of the same name is another one.
	if again, err := adm.CreateTopic(patience(t), 1, 1, nil, "topic"); err != nil || again.ID == id {
		t.Errorf("%+v %v", again, err)
	}
}

func TestTopicsAreMadeOnDemandOnlyIfAllowed(t *testing.T) {
	f := func(o Options, want error) {
		t.Helper()
		s := newSite(t, o)
		cl := s.client(kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("new"), kgo.UnknownTopicRetries(1))
		if err := cl.ProduceSync(patience(t), kgo.StringRecord("x")).FirstErr(); !errors.Is(err, want) {
			t.Errorf("%v; want %v", err, want)
		}
	}
	f(Options{}, kerr.UnknownTopicOrPartition)
	f(Options{AutoCreate: true}, nil)
}
