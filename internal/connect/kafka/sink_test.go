package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/vec"
)

// output is a sink of a topic under test.
type output struct {
	*message.Sink
	p   *publisher
	t   testing.TB
	bad []connect.RowError
}

// writing opens a sink over a state; nil is a fresh one.
func (c *cluster) writing(topic string, state *disk.Mem, given map[string]any) (*output, error) {
	if state == nil {
		state = disk.NewMem(1)
	}
	o := &output{t: c.t}
	env := connect.SinkEnv{Job: "job", Output: topic, Instance: "one", Columns: connecttest.Columns(), State: state.Boot(),
		Reject: func(e connect.RowError) error { o.bad = append(o.bad, e); return nil }}
	var err error
	if o.Sink, o.p, err = newSink(c.within(), c.config(topic, given), env); err != nil {
		return nil, err
	}
	o.p.second = 50 * time.Millisecond // of patience
	c.t.Cleanup(func() { o.Close() })
	return o, nil
}

func (c *cluster) mustWrite(topic string, state *disk.Mem, given map[string]any) *output {
	c.t.Helper()
	o, err := c.writing(topic, state, given)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// write prepares an epoch of rows.
func (o *output) write(epoch int64, rows []connecttest.Row) {
	o.t.Helper()
	for some := range slices.Chunk(rows, 1000) {
		if err := o.Write(context.Background(), epoch, connecttest.Batch(some)); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := o.Prepare(context.Background(), epoch, vec.MaxTime); err != nil {
		o.t.Fatal(err)
	}
}

// commit commits an epoch, as often as it takes.
func (o *output) commit(epoch int64) (errs []error) {
	o.t.Helper()
	for end := time.Now().Add(90 * time.Second); ; { // a broker that starts may take its time
		err := o.Commit(context.Background(), epoch)
		if err == nil {
			return errs
		}
		if errs = append(errs, err); connect.IsPermanent(err) || time.Now().After(end) {
			o.t.Fatalf("epoch %d: %v", epoch, errs)
		}
		time.Sleep(min(time.Duration(len(errs))*5*time.Millisecond, 200*time.Millisecond)) // as the runner does
	}
}

// shows compares the topic with rows.
func (c *cluster) shows(topic string, want []connecttest.Row) {
	c.t.Helper()
	list, err := c.committed(topic)
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := rowsOf(list)
	if err != nil {
		c.t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("%d rows are there, and must be %d, in their order", len(got), len(want))
	}
}

// TestFaultsOfCommit: whatever fails while an epoch is written, its rows are there once.
func TestFaultsOfCommit(t *testing.T) {
	t.Parallel()
	rows := connecttest.Rows(1, 30)
	f := func(name string, disturb func(c *cluster, g *gate)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, g := gated(t)
			topic := c.topic(1)
			state := disk.NewMem(1)
			o := c.mustWrite(topic, state, nil)
			o.write(1, rows[:10])
			o.commit(1)
			o.write(2, rows[10:20])
			disturb(c, g)
			errs := o.commit(2)
			for _, err := range errs {
				if !strings.Contains(err.Error(), topic) {
					t.Errorf("no place in %v", err)
				}
			}
			o.write(3, rows[20:])
			o.commit(3)
			c.shows(topic, rows)
			if last, err := c.mustWrite(topic, state, nil).Committed(context.Background()); last != 3 || err != nil {
				t.Errorf("committed is %d, %v", last, err)
			}
		})
	}
	fault := func(key kmsg.Key, err *kerr.Error) func(*cluster, *gate) {
		return func(c *cluster, _ *gate) { c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err}) }
	}
	// cuts has the broker do a request and the connections end before its answer.
	cuts := func(key kmsg.Key) func(*cluster, *gate) {
		return func(c *cluster, g *gate) {
			once := false
			c.fake.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				if !once {
					once = true
					g.cut(false)
				}
				return nil, nil, false
			})
		}
	}
	f("nothing", func(*cluster, *gate) {})
	f("produce is fenced", fault(kmsg.Produce, kerr.InvalidProducerEpoch))
	f("produce is refused", fault(kmsg.Produce, kerr.TopicAuthorizationFailed))
	f("produce moves", fault(kmsg.Produce, kerr.NotLeaderForPartition))
	f("produce is cut", cuts(kmsg.Produce))
	f("add partitions", fault(kmsg.AddPartitionsToTxn, kerr.ConcurrentTransactions))
	f("add partitions is cut", cuts(kmsg.AddPartitionsToTxn))
	f("add offsets", fault(kmsg.AddOffsetsToTxn, kerr.ConcurrentTransactions))
	f("add offsets is cut", cuts(kmsg.AddOffsetsToTxn))
	f("offset commit", fault(kmsg.TxnOffsetCommit, kerr.GroupAuthorizationFailed))
	f("offset commit is cut", cuts(kmsg.TxnOffsetCommit))
	f("end is fenced", fault(kmsg.EndTxn, kerr.ProducerFenced))
	f("end is not known", fault(kmsg.EndTxn, kerr.UnknownServerError))
	f("end is elsewhere", fault(kmsg.EndTxn, kerr.NotCoordinator))
	f("end is cut", cuts(kmsg.EndTxn))
	f("the next id", func(c *cluster, g *gate) {
		fault(kmsg.EndTxn, kerr.InvalidTxnState)(c, g)
		c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ConcurrentTransactions, Count: 2})
		fault(kmsg.OffsetFetch, kerr.UnstableOffsetCommit)(c, g)
	})
}

// TestCrash: a process that dies behind any request of an epoch leaves it whole or not at all,
// and the next one knows which.
func TestCrash(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	rows := connecttest.Rows(1, 20)
	for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			topic := c.topic(1)
			state := disk.NewMem(1)
			o := c.mustWrite(topic, state, nil)
			o.write(1, rows[:10])
			o.commit(1)
			o.write(2, rows[10:])
			cl := o.p.session.cl
			c.fake.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				go cl.Close()
				return nil, nil, false
			})
			if err := o.Commit(context.Background(), 2); err == nil {
				t.Log("it was faster than its end")
			}
			next := c.mustWrite(topic, state, nil)
			last, err := next.Committed(context.Background())
			if err != nil || last < 1 || last > 2 {
				t.Fatalf("committed is %d, %v", last, err)
			}
			c.shows(topic, rows[:10*last])
			if last == 1 {
				next.write(2, rows[10:])
				next.commit(2)
			}
			c.shows(topic, rows)
		})
	}
}

// TestTwice: of two processes with the state of one job, the later one writes.
func TestTwice(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	rows := connecttest.Rows(1, 30)
	first := c.mustWrite(topic, nil, nil)
	first.write(1, rows[:10])
	first.commit(1)
	second := c.mustWrite(topic, nil, nil)
	first.write(2, rows[10:20])
	var err error
	for range 3 {
		if err = first.Commit(context.Background(), 2); err == nil || connect.IsPermanent(err) {
			break
		}
	}
	if !connect.IsPermanent(err) || !errors.Is(err, errTwice) {
		t.Errorf("the first process: %v", err)
	}
	if last, err := second.Committed(context.Background()); last != 1 || err != nil {
		t.Errorf("the second process has %d, %v", last, err)
	}
	second.write(2, rows[10:20])
	second.commit(2)
	second.write(3, rows[20:])
	second.commit(3)
	c.shows(topic, rows)
}

// TestBroken: brokers that are gone are an error soon, and rows come once when they are back.
func TestBroken(t *testing.T) {
	t.Parallel()
	c, g := gated(t)
	rows := connecttest.Rows(1, 30)
	for _, given := range []map[string]any{nil, {"transactional": "off"}} {
		topic := c.topic(1)
		o := c.mustWrite(topic, nil, given)
		o.write(1, rows[:10])
		o.commit(1)
		o.write(2, rows[10:])
		g.cut(true)
		for range 2 {
			if err := o.Commit(c.within(), 2); err == nil || connect.IsPermanent(err) || !strings.Contains(err.Error(), c.addrs[0]) {
				t.Errorf("without brokers: %v", err)
			}
		}
		g.heal()
		g.slow(5 * time.Millisecond)
		o.commit(2)
		g.slow(0)
		c.shows(topic, rows)
	}
}

// TestPlain: without transactions, what has come is not sent again, and what may be has an id.
func TestPlain(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(2)
	o := c.mustWrite(topic, nil, map[string]any{"transactional": "off", "partition_key": "id"})
	if last, err := o.Committed(context.Background()); last != -1 || err != nil {
		t.Errorf("committed is %d, %v", last, err)
	}
	rows := connecttest.Rows(1, 40)
	o.p.second = time.Second
	o.write(1, rows)
	c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed})
	if errs := o.commit(1); len(errs) != 1 || !strings.Contains(errs[0].Error(), "grant the user the right to the topic") {
		t.Errorf("errors: %v", errs)
	}
	list, err := c.committed(topic)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range list {
		ids[string(r.Headers[0].Value)] = true
		if r.Headers[0].Key != headerID || !strings.HasPrefix(string(r.Headers[0].Value), "weir/job/"+topic+"/one/1/") {
			t.Errorf("header %v", r.Headers)
		}
	}
	if len(list) != 40 || len(ids) != 40 {
		t.Errorf("%d records with %d ids", len(list), len(ids))
	}
}

// TestRefused: Event Hubs lists transactions and refuses them in some tiers; others that refuse
// them are an error.
func TestRefused(t *testing.T) {
	t.Parallel()
	c := fakes(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", stringUser, namespace), kfake.SeedTopics(1, "orders"))
	c.given = map[string]any{"connection_string": connect.NewHidden(namespace), "tls": false}
	c.opts = []kgo.Opt{kgo.SASL(plain.Auth{User: stringUser, Pass: namespace}.AsMechanism())}
	c.connect()
	c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TxnID: "weir/job/orders/one", Err: kerr.TransactionalIDAuthorizationFailed, Count: -1})
	o := c.mustWrite("orders", nil, nil)
	if last, err := o.Committed(context.Background()); last != -1 || err != nil {
		t.Errorf("committed is %d, %v", last, err)
	}
	rows := connecttest.Rows(1, 10)
	o.write(1, rows)
	o.commit(1)
	c.shows("orders", rows)
	for _, given := range []map[string]any{{"transactional": "on"}, {"connection_string": connect.Hidden{}, "sasl": "plain", "user": stringUser, "password": connect.NewHidden(namespace)}} {
		if _, err := c.writing("orders", nil, given); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "transactional: off") {
			t.Errorf("%v: %v", given, err)
		}
	}
}

// TestRecords: keys, headers, partitions by key, and rows that are too large.
func TestRecords(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(3, "max.message.bytes", "20000")
	o := c.mustWrite(topic, nil, map[string]any{"partition_key": "text", "property_columns": []string{"id"}, "compression": "lz4"})
	rows := []connecttest.Row{{ID: 1, Text: "a"}, {ID: 2, Text: strings.Repeat("x", 30_000)}, {ID: 3, Text: "a"}, {ID: 4, Text: strings.Repeat("y", 9000)}}
	o.write(1, rows)
	if len(o.bad) != 1 || o.bad[0].Name != "OutputDataConversionError.RecordExceededSizeLimit" {
		t.Errorf("rejected: %v", o.bad)
	}
	o.commit(1)
	list, err := c.committed(topic)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range list {
		h := r.Headers[0]
		got[string(h.Value)] = fmt.Sprintf("%.1s %s %.12s", r.Key, h.Key, r.Value)
	}
	want := map[string]string{"1": `a id {"text":"a"}`, "3": `a id {"text":"a"}`, "4": `y id {"text":"yyy`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	of := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	for _, r := range list {
		if p := of.Partition(&kgo.Record{Key: r.Key}, 3); p != int(r.Partition) {
			t.Errorf("key %.1s lies in partition %d, and other clients say %d", r.Key, r.Partition, p)
		}
	}
}

// TestLargeEpoch: an epoch that memory does not hold is one transaction all the same.
func TestLargeEpoch(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	o := c.mustWrite(topic, nil, nil)
	var rows []connecttest.Row
	for i := range 13_000 {
		rows = append(rows, connecttest.Row{ID: int64(i), Text: strings.Repeat("0123456789", 70)})
	}
	o.write(1, rows)
	o.commit(1)
	c.shows(topic, rows)
}

// TestTopicIsMade: with create the topic is made, as the settings say.
func TestTopicIsMade(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.prefix + "made"
	_, err := c.writing(topic, nil, nil)
	if !connect.IsPermanent(err) || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "make the topic") {
		t.Error(err)
	}
	o := c.mustWrite(topic, nil, map[string]any{"create": true, "partitions": int64(3), "replication": int64(1)})
	o.write(1, connecttest.Rows(1, 1))
	o.commit(1)
	if n := len(c.ends(topic)); n != 3 {
		t.Errorf("%d partitions", n)
	}
	c.mustWrite(topic, nil, map[string]any{"create": true})
}

// TestSenderID: long names are hashed, so that brokers take them.
func TestSenderID(t *testing.T) {
	t.Parallel()
	a := senderID(connect.SinkEnv{Job: "j", Output: "o", Instance: "i"})
	b := senderID(connect.SinkEnv{Job: strings.Repeat("j", 300), Output: "o", Instance: "i"})
	c := senderID(connect.SinkEnv{Job: strings.Repeat("j", 300), Output: "o", Instance: "k"})
	if a != "weir/j/o/i" || len(b) > maxID || b == c || !strings.HasPrefix(b, "weir/") {
		t.Error(a, b, c)
	}
}
