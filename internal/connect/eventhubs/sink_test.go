package eventhubs

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/vec"
)

// TestSinkSuite: rows come at least once, each under an id of its own.
func TestSinkSuite(t *testing.T) {
	f := func(name string, partitions int, given map[string]any) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sinks{Unknown: true, Unordered: true, Early: true, Stride: 7, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
				w := newWorld(t, partitions, hub.Options{})
				return &connecttest.Target{Disk: disk.NewMem(1), Rows: w.rows,
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						s, err := openSink(t.Context(), w.config(false, given), env)
						if err == nil {
							t.Cleanup(func() { s.Close() }) // what the suite leaves as a killed process does
						}
						return s, err
					}}
			}}.Run(t)
		})
	}
	f("one", 1, nil)
	f("keys", 3, map[string]any{"partition_key": "id", "routing": routeClient})
	f("packed", 2, map[string]any{"pack": message.PackArray, "pack_bytes": int64(300), "partition_key": "id"})
}

func (w *world) sink(given map[string]any, env connect.SinkEnv) *message.Sink {
	w.t.Helper()
	if env.Columns.Names == nil {
		env.Columns = connecttest.Columns()
	}
	if env.State == nil {
		env.State = disk.NewMem(1).Boot()
	}
	env.Job, env.Output, env.Instance = "job", "out", "one"
	s, err := openSink(w.t.Context(), w.config(false, given), env)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s.(*message.Sink)
}

func write(t testing.TB, s connect.Sink, epoch int64, b *vec.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), epoch, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), epoch, 0); err != nil {
		t.Fatal(err)
	}
}

// commit commits, over errors, and says how many there were.
func commit(t testing.TB, s connect.Sink, epoch int64) (failed int) {
	t.Helper()
	for {
		err := s.Commit(t.Context(), epoch)
		if err == nil {
			return failed
		}
		if failed++; failed > 50 || connect.IsPermanent(err) {
			t.Fatal(failed, err)
		}
		wait(t.Context(), 50_000_000, nil)
	}
}

// keyed makes rows of so many keys, numbered in their order.
func keyed(n, keys int) *vec.Batch {
	b := &vec.Batch{N: n}
	var ids []int64
	var texts []string
	for i := range n {
		b.Time = append(b.Time, connecttest.Origin)
		ids = append(ids, int64(i))
		texts = append(texts, fmt.Sprint("key ", i%keys))
	}
	b.Cols = []vec.Vec{vec.Ints(ids...), vec.Strings(texts...)}
	return b
}

// inOrder checks that rows of a key are there, once and in their order, in one partition.
func inOrder(t testing.TB, list []stored, n, keys int, repeats bool) {
	t.Helper()
	last, home, seen := map[string]int{}, map[string]int{}, map[int]bool{}
	for _, m := range list {
		var id int
		var key string
		if _, err := fmt.Sscanf(string(m.Body), `{"id":%d,"text":%q}`, &id, &key); err != nil {
			t.Fatalf("%s: %v", m.Body, err)
		}
		if p, ok := home[key]; ok && p != m.partition {
			t.Fatalf("%s is in two partitions", key)
		}
		home[key] = m.partition
		if seen[id] && repeats {
			continue
		}
		if before, ok := last[key]; ok && id <= before || seen[id] {
			t.Fatalf("%s: %d behind %d", key, id, before)
		}
		last[key], seen[id] = id, true
	}
	if len(seen) != n {
		t.Errorf("%d rows of %d", len(seen), n)
	}
}

// TestKeys: rows of a key stay in order, whoever finds their partition, over many batches.
func TestKeys(t *testing.T) {
	f := func(keys int, routing string) {
		t.Helper()
		w := newWorld(t, 4, hub.Options{})
		s := w.sink(map[string]any{"partition_key": "text", "routing": routing}, connect.SinkEnv{})
		write(t, s, 1, keyed(6000, keys))
		if n := commit(t, s, 1); n != 0 {
			t.Errorf("%d errors", n)
		}
		list := w.messages()
		inOrder(t, list, 6000, keys, false)
		for _, m := range list {
			if (routing == routeService) != (m.key != "") || hub.PartitionOf([]byte("key 0"), 4) != m.partition && strings.Contains(string(m.Body), `"key 0"`) {
				t.Fatalf("key %q in partition %d", m.key, m.partition)
			}
		}
	}
	f(3, routeService)
	f(1000, routeService)
	f(1000, routeClient)
	f(1, routeClient)
}

// TestMessage: what a message has beside its body.
func TestMessage(t *testing.T) {
	w := newWorld(t, 1, hub.Options{})
	var rejected []string
	s := w.sink(map[string]any{"property_columns": []string{"text", "big"}, "content_type": "application/json", "partition_key": "text"}, connect.SinkEnv{
		Columns: connect.Columns{Names: []string{"id", "text", "big", "body"}},
		Reject:  func(e connect.RowError) error { rejected = append(rejected, e.Name+" "+e.Reason); return nil }})
	b := keyed(3, 3)
	big := vec.Vec{}
	for _, v := range []vec.Value{vec.IntValue(1 << 40), vec.NullValue(), vec.FloatValue(0.5)} {
		big.Append(v)
	}
	b.Cols = append(b.Cols, big, vec.Strings("x", "y", strings.Repeat("z", 2<<20)))
	write(t, s, 7, b)
	commit(t, s, 7)
	var got []string
	for _, m := range w.messages() {
		got = append(got, fmt.Sprintf("%s %v %v %s %s", m.Body, m.Properties.MessageID, m.Properties.ContentType, m.key, fmt.Sprint(m.Application)))
	}
	slices.Sort(got)
	want := []string{
		`{"id":0,"body":"x"} job/out/one/7/0 application/json key 0 [{big 1099511627776} {text key 0}]`,
		`{"id":1,"body":"y"} job/out/one/7/1 application/json key 1 [{text key 1}]`,
	}
	for i := range got {
		got[i] = strings.Replace(got[i], "[{text key 0} {big 1099511627776}]", "[{big 1099511627776} {text key 0}]", 1) // a map
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(rejected) != 1 || !strings.HasPrefix(rejected[0], "OutputDataConversionError.RecordExceededSizeLimit the message would have 2097") {
		t.Error(rejected)
	}
}

// TestLargest: a message of the size that is just taken arrives, with all that it has beside
// its body.
func TestLargest(t *testing.T) {
	w := newWorld(t, 1, hub.Options{})
	reject := func(e connect.RowError) error { return fmt.Errorf("%s", e.Reason) }
	s := w.sink(map[string]any{"property_columns": []string{"text"}, "partition_key": "id"}, connect.SinkEnv{Columns: connect.Columns{Names: []string{"id", "text", "body"}}, Reject: reject})
	text := strings.Repeat("p", 100_000)
	low, high := 1<<16, 2<<20 // the largest body that is not refused
	try := func(n int) bool {
		b := &vec.Batch{N: 1, Time: []vec.Time{1}, Cols: []vec.Vec{vec.Ints(1), vec.Strings(text), vec.Strings(strings.Repeat("b", n))}}
		epoch := int64(n)
		if err := s.Write(t.Context(), epoch, b); err != nil {
			t.Fatal(err)
		}
		return s.Prepare(t.Context(), epoch, 0) == nil
	}
	for high-low > 1 {
		if mid := (low + high) / 2; try(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	if !try(low) || low < 700_000 {
		t.Fatalf("%d bytes", low)
	}
	if n := commit(t, s, int64(low)); n != 0 {
		t.Errorf("%d errors", n)
	}
	if list := w.messages(); len(list) != 1 || len(list[0].Body) < low {
		t.Errorf("%d messages", len(list))
	}
}

// cutter breaks the connections that are accepted, after so many bytes each.
func cutter(limits ...int) func(net.Conn) net.Conn {
	n := 0
	return func(nc net.Conn) net.Conn {
		if n++; n > len(limits) {
			return nc
		}
		return &cutConn{Conn: nc, left: limits[n-1]}
	}
}

type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left -= n; c.left < 0 {
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// TestSinkCut: connections that break while rows are sent. What was acknowledged is not sent
// again, nothing is missing, and the order of each key stays.
func TestSinkCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, hub.Options{})
	cut := cutter(100_000, 150_000, 20_000, 250_000)
	w.wrap.Store(&cut)
	s := w.sink(map[string]any{"partition_key": "text"}, connect.SinkEnv{})
	const n, keys = 10_000, 40
	write(t, s, 1, keyed(n, keys))
	failed := commit(t, s, 1)
	list := w.messages()
	inOrder(t, list, n, keys, true)
	if len(list) > n+8*10_000 || failed == 0 && len(list) == n {
		t.Errorf("%d messages for %d rows, %d errors", len(list), n, failed)
	}
	t.Logf("%d messages for %d rows, %d errors", len(list), n, failed)
}

// TestSinkStopped: the hub goes away and comes back.
func TestSinkStopped(t *testing.T) {
	w := newWorld(t, 2, hub.Options{})
	s := w.sink(nil, connect.SinkEnv{})
	write(t, s, 1, keyed(100, 1))
	commit(t, s, 1)
	w.stop()
	write(t, s, 2, keyed(100, 1))
	if err := s.Commit(t.Context(), 2); err == nil || connect.IsPermanent(err) {
		t.Fatal(err)
	}
	w.start()
	commit(t, s, 2)
	if list := w.messages(); len(list) != 200 {
		t.Errorf("%d messages", len(list))
	}
}
