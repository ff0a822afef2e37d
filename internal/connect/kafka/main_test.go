package kafka

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// TestMain has many tests run at a time: most of what they do is wait for pauses of the client.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// cluster is brokers that tests use: kfake, or real ones.
type cluster struct {
	t      testing.TB
	addrs  []string
	fake   *kfake.Cluster // nil if they are real
	client *kgo.Client    // of the test
	prefix string         // of topics
	topics atomic.Int64
	given  map[string]any // settings of how to get in
	opts   []kgo.Opt      // the same, for clients of the test
}

// fakes starts brokers in this process.
func fakes(t testing.TB, opts ...kfake.Opt) *cluster {
	t.Helper()
	f, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.DefaultNumPartitions(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return clusterOf(t, f, f.ListenAddrs()...)
}

// clusterOf uses brokers by their addresses.
func clusterOf(t testing.TB, f *kfake.Cluster, addrs ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, addrs: addrs, fake: f, prefix: fmt.Sprintf("t%d-", time.Now().UnixNano())}
	c.connect()
	return c
}

// connect makes the client of the test.
func (c *cluster) connect() {
	c.t.Helper()
	c.client = c.clientOf(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(50*time.Millisecond))
	c.t.Cleanup(c.client.Close)
}

func (c *cluster) clientOf(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(slices.Concat([]kgo.Opt{kgo.SeedBrokers(c.addrs...), kgo.DisableClientMetrics()}, c.opts, opts)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// topic makes a topic.
func (c *cluster) topic(partitions int32, configs ...string) string {
	c.t.Helper()
	name := fmt.Sprintf("%s%d", c.prefix, c.topics.Add(1))
	set := map[string]*string{}
	for i := 0; i+1 < len(configs); i += 2 {
		set[configs[i]] = &configs[i+1]
	}
	if _, err := kadm.NewClient(c.client).CreateTopic(c.within(), partitions, 1, set, name); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// within is a context for one thing that tests do.
func (c *cluster) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c.t.Cleanup(cancel)
	return ctx
}

// config is settings with the defaults of the others.
func (c *cluster) config(topic string, given map[string]any) connect.Config {
	values := map[string]any{"brokers": c.addrs, "topic": []string{topic}}
	for _, f := range spec.Fields {
		if f.Default == "" {
			continue
		}
		switch f.Type {
		case connect.Bool:
			values[f.Name] = f.Default == "true"
		case connect.Duration:
			values[f.Name] = 2 * time.Minute
		case connect.Size:
			values[f.Name] = int64(64 << 10)
		default:
			values[f.Name] = f.Default
		}
	}
	maps.Copy(values, c.given)
	maps.Copy(values, given)
	return connect.Config{Values: values}
}

// put writes records to a partition.
func (c *cluster) put(topic string, partition int32, values ...string) {
	c.t.Helper()
	var list []*kgo.Record
	for _, v := range values {
		list = append(list, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)})
	}
	c.records(list...)
}

func (c *cluster) records(list ...*kgo.Record) {
	c.t.Helper()
	if err := c.client.ProduceSync(c.within(), list...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// transaction writes records in a transaction, which is committed or aborted.
func (c *cluster) transaction(commit bool, list ...*kgo.Record) {
	c.t.Helper()
	cl := c.clientOf(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(fmt.Sprint("tx", list[0].Topic)))
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	if err := cl.ProduceSync(c.within(), list...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
	if err := cl.EndTransaction(c.within(), kgo.TransactionEndTry(commit)); err != nil {
		c.t.Fatal(err)
	}
}

// ends is where the partitions of a topic end.
func (c *cluster) ends(topic string) map[int32]int64 {
	c.t.Helper()
	m, err := kadm.NewClient(c.client).ListEndOffsets(c.within(), topic)
	if err == nil {
		err = m.Error()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	ends := map[int32]int64{}
	for _, o := range m[topic] {
		ends[o.Partition] = o.Offset
	}
	return ends
}

// committed are the records of a topic that readers of committed ones see, partition by
// partition.
func (c *cluster) committed(topic string) ([]*kgo.Record, error) {
	// A transaction is committed a moment before its readers are told.
	var ends kadm.ListedOffsets
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if ends, err = kadm.NewClient(c.client).ListCommittedOffsets(c.within(), topic); err == nil {
			err = ends.Error()
		}
		if err != nil {
			return nil, err
		}
		open := false
		for p, n := range c.ends(topic) {
			open = open || ends[topic][p].Offset < n
		}
		if !open || time.Now().After(end) {
			break
		}
	}
	from := map[int32]kgo.Offset{}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition] = kgo.NewOffset().At(0)
			left++
		}
	})
	if left == 0 {
		return nil, nil
	}
	cl := c.clientOf(kgo.KeepControlRecords(), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	defer cl.Close()
	parts := make([][]*kgo.Record, len(ends[topic]))
	for ctx := c.within(); left > 0; {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return nil, err
		}
		f.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				parts[r.Partition] = append(parts[r.Partition], r)
			}
			if r.Offset+1 == ends[topic][r.Partition].Offset {
				left--
			}
		})
	}
	return slices.Concat(parts...), nil
}

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// rows are the rows of records.
func rowsOf(records []*kgo.Record) (list []connecttest.Row, err error) {
	for _, r := range records {
		text := r.Value
		if text[0] != '[' {
			text = append(append([]byte{'['}, text...), ']')
		}
		var e []event
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, err
		}
		for _, x := range e {
			list = append(list, connecttest.Row(x))
		}
	}
	return list, nil
}

// sinkTarget is a target of the suite: a topic.
func (c *cluster) sinkTarget(partitions int32, given map[string]any) *connecttest.Target {
	topic := c.topic(partitions)
	var last *publisher
	return &connecttest.Target{
		Open: func(env connect.SinkEnv) (connect.Sink, error) {
			s, p, err := newSink(context.Background(), c.config(topic, given), env)
			if err != nil {
				return nil, err
			}
			last = p
			return s, nil
		},
		Rows: func() ([]connecttest.Row, error) {
			list, err := c.committed(topic)
			if err != nil {
				return nil, err
			}
			return rowsOf(list)
		},
		Kill: func(connect.Sink) {
			if last.session != nil {
				last.session.cl.Close() // the connections end, and nothing is said
			}
		},
	}
}

// sinks is the suite over topics. The jobs in it have one name, so one is at work at a time on
// a cluster: only where each has its own are they parallel.
func sinks(t *testing.T, parallel bool, on func(t testing.TB) *cluster) {
	f := func(name string, partitions int32, unknown bool, given map[string]any) {
		t.Run(name, func(t *testing.T) {
			if parallel {
				t.Parallel()
			}
			c := on(t)
			connecttest.Sinks{Unordered: partitions > 1 || unknown, Unknown: unknown, New: func(t testing.TB) *connecttest.Target {
				return c.sinkTarget(partitions, given)
			}}.Run(t)
		})
	}
	f("one", 1, false, nil)
	f("keys", 3, false, map[string]any{"partition_key": "text", "compression": "zstd"})
	f("plain", 1, true, map[string]any{"transactional": "off"})
}

// sources is the suite over a topic in which some transactions were aborted.
func sources(t *testing.T, on func(t testing.TB) *cluster) {
	f := func(name string, given map[string]any) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := on(t)
			connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
				topic := c.topic(1)
				feed := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
				rounds := 0
				feed.Add = func(rows []connecttest.Row) error {
					for some := range slices.Chunk(rows, 17) {
						var list []*kgo.Record
						for i, r := range some {
							body, err := json.Marshal(event(r))
							if err != nil {
								return err
							}
							if i%3 == 1 { // an array, and white space
								body = fmt.Appendf(nil, " [\n%s\n] \r\n", body)
							}
							list = append(list, &kgo.Record{Topic: topic, Value: body})
						}
						if rounds++; rounds%3 != 0 || given != nil {
							c.records(list...)
							continue
						}
						c.transaction(false, &kgo.Record{Topic: topic, Value: []byte(`{"id":-1}`)}, &kgo.Record{Topic: topic, Value: []byte(`{"id":-2}`)})
						c.transaction(true, list...)
					}
					return nil
				}
				feed.Open = func(env connect.SourceEnv) (connect.Source, error) {
					return openSource(context.Background(), c.config(topic, given), env)
				}
				if err := feed.Add(feed.Rows); err != nil {
					t.Fatal(err)
				}
				return feed
			}}.Run(t)
		})
	}
	f("committed", nil)
	f("all", map[string]any{"isolation": readUncommitted})
}

func TestSinkSuite(t *testing.T) {
	t.Parallel()
	sinks(t, true, func(t testing.TB) *cluster { return fakes(t) })
}

func TestSourceSuite(t *testing.T) {
	t.Parallel()
	sources(t, func(t testing.TB) *cluster { return fakes(t) })
}

// putRows writes rows of the suite, a record each.
func (c *cluster) putRows(topic string, rows []connecttest.Row) error {
	var list []*kgo.Record
	for _, r := range rows {
		body, err := json.Marshal(event(r))
		if err != nil {
			return err
		}
		list = append(list, &kgo.Record{Topic: topic, Value: body})
	}
	c.records(list...)
	return nil
}
