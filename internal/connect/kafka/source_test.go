package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/vec"
)

// open opens a source of a topic.
func (c *cluster) open(topic string, given map[string]any, env connect.SourceEnv) *source {
	c.t.Helper()
	s, err := openSource(c.within(), c.config(topic, given), env)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s.(*source)
}

// reading opens a reader.
func (s *source) reading(t testing.TB, partition string, after connect.Position) connect.Reader {
	t.Helper()
	r, err := s.Open(context.Background(), partition, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// taken is what was read in several chunks.
type taken struct {
	text     string
	arrivals []vec.Time
	props    []map[string]vec.Value
	next     connect.Position
	clock    vec.Time
}

// until reads until something holds, for some seconds.
func until(t testing.TB, r connect.Reader, done func(*taken) bool) *taken {
	t.Helper()
	all := &taken{}
	for end := time.Now().Add(15 * time.Second); ; {
		c, err := r.Read(context.Background(), 1<<20, "")
		if err != nil {
			t.Fatalf("behind %d bytes: %v", len(all.text), err)
		}
		all.add(&c)
		if done(all) {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("it does not come: %d bytes, clock %v", len(all.text), all.clock)
		}
		if len(c.Data) > 0 {
			continue
		}
		select {
		case <-r.Ready():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (x *taken) add(c *connect.Chunk) {
	x.text += string(c.Data)
	for _, m := range c.Marks {
		x.arrivals = append(x.arrivals, m.Arrival)
		x.props = append(x.props, m.Properties)
	}
	x.next, x.clock = c.Next, max(x.clock, c.Clock)
}

func lines(n int) func(*taken) bool {
	return func(x *taken) bool { return strings.Count(x.text, "\n") >= n }
}

// numbered are events with numbers from one on.
func numbered(from, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(`{"n":%d}`, from+i))
	}
	return list
}

func text(list ...string) string { return strings.Join(list, "\n") + "\n" }

// millis is a time of a record, and the same as a time of queries.
func millis(n int64) (time.Time, vec.Time) {
	t := time.UnixMilli(1_700_000_000_000 + n)
	return t, message.ToTime(t)
}

// TestArrivals: they do not go back, do not lie in the future, and are the same again.
func TestArrivals(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	var list []*kgo.Record
	for _, at := range []int64{100, 50, 200, 150, 900_000, 201, 9_000_000_000, 300} {
		stamp, _ := millis(at)
		list = append(list, &kgo.Record{Topic: topic, Value: []byte(`{}`), Timestamp: stamp})
	}
	c.records(list...)
	var now atomic.Int64
	now.Store(1000)
	env := connect.SourceEnv{Now: func() time.Time { at, _ := millis(now.Load()); return at }}
	s := c.open(topic, nil, env)
	f := func(arrivals []vec.Time, want ...int64) {
		t.Helper()
		var got []int64
		for _, a := range arrivals {
			got = append(got, int64((a-func() vec.Time { _, z := millis(0); return z }())/vec.Millisecond))
		}
		if !slices.Equal(got, want) {
			t.Errorf("arrivals are %d, and must be %d", got, want)
		}
	}
	r := s.reading(t, "0", "")
	first := until(t, r, lines(8))
	f(first.arrivals, 100, 100, 200, 200, 1000, 1000, 1000, 1000)
	now.Store(5_000_000)
	c.put(topic, 0, `{}`) // of today, which is later
	second := until(t, r, lines(1))
	f(second.arrivals, 5_000_000)
	now.Store(7_000_000)
	again := c.open(topic, nil, env)
	r = again.reading(t, "0", "")
	chunk, err := r.Read(context.Background(), 1, first.next)
	if err != nil {
		t.Fatal(err)
	}
	var got taken
	got.add(&chunk)
	f(got.arrivals, 100, 100, 200, 200, 1000, 1000, 1000, 1000)
	if chunk, err = r.Read(context.Background(), 1, second.next); err != nil || chunk.Next != second.next {
		t.Fatal(chunk.Next, err)
	}
	got = taken{}
	got.add(&chunk)
	f(got.arrivals, 5_000_000)
	r.Close()
	// Where a time is found there is no arrival before.
	_, at := millis(150)
	p, err := s.Seek(context.Background(), "0", at)
	if err != nil || p != "2" {
		t.Errorf("the first record of 150 or later is at %q, %v", p, err)
	}
	_, at = millis(99_000_000_000)
	if p, err = s.Seek(context.Background(), "0", at); err != nil || p != "9" {
		t.Errorf("the end is at %q, %v", p, err)
	}
	f(until(t, again.reading(t, "0", "2"), lines(7)).arrivals, 200, 200, 900_000, 900_000, 7_000_000, 7_000_000, 7_000_000)
}

// TestGaps: what transactions leave in a topic is no event, positions go over it, and it is
// waited for.
func TestGaps(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	of := func(values ...string) (list []*kgo.Record) {
		for _, v := range values {
			list = append(list, &kgo.Record{Topic: topic, Value: []byte(v)})
		}
		return list
	}
	c.transaction(true, of(`{"n":1}`, `{"n":2}`)...) // 0, 1; 2 is the mark
	c.transaction(false, of(`{"n":-1}`, `{"n":-2}`)...)
	c.transaction(true, of(`{"n":3}`)...) // 6; 7
	c.transaction(false, of(`{"n":-3}`)...)
	s := c.open(topic, nil, connect.SourceEnv{})
	r := s.reading(t, "0", "")
	got := until(t, r, func(x *taken) bool { return strings.HasPrefix(string(x.next), "10/") })
	r.Close()
	if want := text(numbered(1, 3)...); got.text != want {
		t.Errorf("read %q, and must be %q", got.text, want)
	}
	f := func(after, until connect.Position, want string) {
		t.Helper()
		r := s.reading(t, "0", after)
		defer r.Close()
		chunk, err := r.Read(c.within(), 1, until)
		if err != nil || string(chunk.Data) != want || chunk.Next != until {
			t.Errorf("from %q to %q: %q to %q, %v", after, until, chunk.Data, chunk.Next, err)
		}
	}
	f("", got.next, text(numbered(1, 3)...))
	f("2", got.next, text(numbered(3, 1)...))
	f("3", "5", "")
	f("3", "6", "")
	f("7", got.next, "")
	// What is no longer kept are marks and aborted records only.
	if err := c.fake.DeleteRecords(topic, 0, 10); err != nil {
		t.Fatal(err)
	}
	c.put(topic, 0, `{"n":4}`)
	after := until(t, s.reading(t, "0", got.next), lines(1))
	if after.text != text(numbered(4, 1)...) {
		t.Errorf("read %q behind all", after.text)
	}
}

// TestGone: events that are no longer kept, and a topic that was made again.
func TestGone(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	c.put(topic, 0, numbered(0, 20)...)
	s := c.open(topic, nil, connect.SourceEnv{})
	fails := func(r connect.Reader, until connect.Position) error {
		t.Helper()
		defer r.Close()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			chunk, err := r.Read(c.within(), 1, until)
			if err != nil {
				return err
			}
			if len(chunk.Data) > 0 {
				t.Fatalf("it reads %q", chunk.Data)
			}
			select {
			case <-r.Ready():
			case <-time.After(100 * time.Millisecond):
			}
		}
		t.Fatal("there is no error")
		return nil
	}
	if err := c.fake.DeleteRecords(topic, 0, 10); err != nil {
		t.Fatal(err)
	}
	err := fails(s.reading(t, "0", "5"), "")
	if !errors.Is(err, connect.ErrGone) || !strings.Contains(err.Error(), topic) {
		t.Error(err)
	}
	if got := until(t, s.reading(t, "0", ""), lines(10)); got.text != text(numbered(10, 10)...) {
		t.Errorf("read %q from the start", got.text)
	}
	for _, err := range []error{fails(s.reading(t, "0", "30"), ""), fails(s.reading(t, "0", "15"), "30")} {
		if errors.Is(err, connect.ErrGone) || connect.IsPermanent(err) || !strings.Contains(err.Error(), "ends before offset 30") {
			t.Error(err)
		}
	}
}

// TestClock: a partition with nothing to read moves time on, as long as the broker says so.
func TestClock(t *testing.T) {
	t.Parallel()
	c, g := gated(t)
	topic := c.topic(2)
	c.put(topic, 1, `{"n":1}`)
	var ms atomic.Int64
	s := c.open(topic, nil, connect.SourceEnv{Now: func() time.Time { at, _ := millis(ms.Load()); return at }})
	a, b := s.reading(t, "0", ""), s.reading(t, "1", "")
	reaches := func(r connect.Reader, n int64) {
		t.Helper()
		_, at := millis(n)
		until(t, r, func(x *taken) bool { return x.clock >= at })
	}
	ms.Store(5000)
	reaches(a, 5000)
	reaches(b, 5000)
	ms.Store(6000)
	reaches(a, 6000)
	g.cut(true)
	ms.Store(9000)
	_, late := millis(7000)
	failed := false
	for end := time.Now().Add(15 * time.Second); !failed && time.Now().Before(end); {
		chunk, err := a.Read(context.Background(), 1, "")
		if failed = err != nil; failed {
			if connect.IsPermanent(err) || !strings.Contains(err.Error(), c.addrs[0]) {
				t.Error(err)
			}
		} else if chunk.Clock > late {
			t.Fatal("time goes on without a broker")
		}
		select {
		case <-a.Ready():
		case <-time.After(50 * time.Millisecond):
		}
	}
	if !failed {
		t.Error("a broker that does not answer is no error")
	}
	g.heal()
	c.put(topic, 0, `{"n":2}`)
	a.Close()
	if got := until(t, s.reading(t, "0", ""), lines(1)); got.text != text(`{"n":2}`) {
		t.Errorf("read %q", got.text)
	}
}

// TestPartitions: their names, new ones, and several topics.
func TestPartitions(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	one, two := c.topic(2), c.topic(1)
	s := c.open(one, nil, connect.SourceEnv{})
	both := c.open(one, map[string]any{"topic": []string{two, one}}, connect.SourceEnv{})
	f := func(s *source, want ...string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got, err := s.Partitions(c.within())
			if err == nil && slices.Equal(got, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%q, %v, and must be %q", got, err, want)
			}
		}
	}
	f(s, "0", "1")
	f(both, two+"/0", one+"/0", one+"/1")
	if _, err := kadm.NewClient(c.client).CreatePartitions(c.within(), 1, one); err != nil {
		t.Fatal(err)
	}
	f(s, "0", "1", "2")
	c.put(one, 1, `{"n":1}`)
	c.put(two, 0, `{"n":2}`)
	for name, want := range map[string]string{one + "/1": text(`{"n":1}`), two + "/0": text(`{"n":2}`)} {
		if got := until(t, both.reading(t, name, ""), lines(1)); got.text != want {
			t.Errorf("%s: %q", name, got.text)
		}
	}
	if _, err := s.Open(context.Background(), "x", ""); err == nil {
		t.Error("a partition x opens")
	}
	if n, ok := both.Waiting(one+"/1", "0"); n != 1 || !ok {
		t.Errorf("%d wait, %v", n, ok)
	}
}

// TestMetadata: what queries read beside the text.
func TestMetadata(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(1)
	stamp, at := millis(5)
	c.records(&kgo.Record{Topic: topic, Value: []byte(`{}`), Key: []byte("k\xff"), Timestamp: stamp, Headers: []kgo.RecordHeader{
		{Key: "tenant", Value: []byte("b")}, {Key: "none"}, {Key: "tenant", Value: []byte("a")}}},
		&kgo.Record{Topic: topic, Value: []byte(`{}`), Timestamp: stamp})
	f := func(names []string, want ...string) {
		t.Helper()
		s := c.open(topic, nil, connect.SourceEnv{Metadata: names})
		got := until(t, s.reading(t, "0", ""), lines(2))
		for i, w := range want {
			keys := []string{}
			for k, v := range got.props[i] {
				keys = append(keys, k+"="+v.String())
			}
			slices.Sort(keys)
			if g := strings.Join(keys, " "); g != w {
				t.Errorf("%q, record %d:\n got %s\nwant %s", names, i, g, w)
			}
		}
	}
	time := "EventEnqueuedUtcTime=" + vec.TimeValue(at).String()
	f([]string{}, "", "")
	f([]string{"EventEnqueuedUtcTime"}, time+" PartitionId=0", time+" PartitionId=0")
	f([]string{"User.tenant"}, time+` PartitionId=0 User={"tenant":"a","none":null}`, "")
	f([]string{"EventHub.Offset", "EventHub.PartitionKey"}, time+` Offset="0" PartitionId=0 PartitionKey="k�" SequenceNumber=0`, time+` Offset="1" PartitionId=0 SequenceNumber=1`)
	f([]string{"Kafka.Key"}, time+` Kafka={"Topic":"`+topic+`","Partition":0,"Offset":0,"Key":"k�","Headers":{"tenant":"a","none":null}} PartitionId=0`,
		time+` Kafka={"Topic":"`+topic+`","Partition":0,"Offset":1,"Key":null,"Headers":null} PartitionId=0`)
}

// TestGroupShowsProgress: others see how far a job is; that it cannot be shown is no error.
func TestGroupShowsProgress(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(2)
	log := make(logged, 10)
	s := c.open(topic, map[string]any{"consumer_group": "weir"}, connect.SourceEnv{Log: slog.New(slog.NewTextHandler(log, nil))})
	c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed})
	done := func(partition string, p connect.Position) {
		t.Helper()
		if err := s.Done(context.Background(), partition, p); err != nil {
			t.Fatal(err)
		}
	}
	done("0", "3/17")
	select {
	case text := <-log:
		if !strings.Contains(text, "grant the user Read of the consumer group") {
			t.Errorf("the log says %s", text)
		}
	case <-c.within().Done():
		t.Fatal("the log says nothing")
	}
	done("1", "7")
	s.Close()
	got, err := kadm.NewClient(c.client).FetchOffsets(c.within(), "weir")
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range []int64{3, 7} { // the first one was tried again
		if o, ok := got.Lookup(topic, int32(p)); !ok || o.At != want {
			t.Errorf("partition %d: %v", p, o)
		}
	}
}

// logged gets the lines of a log.
type logged chan string

func (l logged) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestLeaders: records come whole when partitions move, and brokers refuse and break off.
func TestLeaders(t *testing.T) {
	t.Parallel()
	c, g := gated(t, kfake.NumBrokers(3))
	topic := c.topic(1)
	s := c.open(topic, nil, connect.SourceEnv{})
	r := s.reading(t, "0", "")
	all := ""
	for round := range 6 {
		switch round {
		case 1, 3:
			if err := c.fake.MoveTopicPartition(topic, 0, int32(round%3)); err != nil {
				t.Fatal(err)
			}
		case 2:
			c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 2})
		case 4:
			g.cut(false)
		case 5:
			g.slow(20 * time.Millisecond)
		}
		c.put(topic, 0, numbered(10*round, 10)...)
		all += until(t, r, lines(10)).text
	}
	if want := text(numbered(0, 60)...); all != want {
		t.Errorf("read %q", all)
	}
}

// TestSlowReader: a partition that nobody reads holds little memory, and holds up no other.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	c := fakes(t)
	topic := c.topic(2)
	big := `{"x":"` + strings.Repeat("x", 100<<10) + `"}`
	for p := range int32(2) {
		for range 4 {
			c.put(topic, p, slices.Repeat([]string{big}, 40)...)
		}
	}
	s := c.open(topic, nil, connect.SourceEnv{})
	s.pump.most.Store(4 << 20)
	slow, fast := s.reading(t, "0", ""), s.reading(t, "1", "")
	if _, err := slow.Read(context.Background(), 1, ""); err != nil { // it begins
		t.Fatal(err)
	}
	until(t, fast, lines(160))
	held := func() (n int) {
		s.pump.mu.Lock()
		defer s.pump.mu.Unlock()
		for _, f := range s.pump.opened {
			f.mu.Lock()
			n += f.bytes
			f.mu.Unlock()
		}
		return n
	}
	if n := held(); n > 6<<20 || int64(n) != s.pump.held.Load() {
		t.Errorf("%d bytes wait, and the pump knows of %d", n, s.pump.held.Load())
	}
	if got := until(t, slow, lines(160)); len(got.text) != 160*(len(big)+1) {
		t.Errorf("%d bytes came", len(got.text))
	}
}
