package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/vec"
)

// outlet is a sink over a broker of its own.
type outlet struct {
	t        *testing.T
	w        *world
	env      connect.SinkEnv
	rejected []string
}

func newOutlet(t *testing.T, partitions int, columns ...string) *outlet {
	t.Helper()
	o := &outlet{t: t, w: &world{disk: disk.NewMem(1), made: hub.Config{Name: "events", Partitions: partitions}}}
	if err := o.w.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.w.broker.Close() })
	state, err := o.w.disk.Sub("state")
	if err != nil {
		t.Fatal(err)
	}
	o.env = connect.SinkEnv{Job: "job", Output: "out", Instance: "one", Columns: connect.Columns{Names: columns}, State: state, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Reject: func(e connect.RowError) error {
			o.rejected = append(o.rejected, fmt.Sprintf("%s %s: %s %s", e.Name, e.Column, e.Reason, e.Row))
			return nil
		}}
	return o
}

func (o *outlet) open(given map[string]any) connect.Sink {
	o.t.Helper()
	s, err := openSink(o.w.ctx(), config(false, given), o.env)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { s.Close() })
	return s
}

// batch makes rows of values.
func batch(rows ...[]vec.Value) *vec.Batch {
	b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, len(rows[0]))}
	for i, r := range rows {
		b.Time = append(b.Time, vec.Time(i))
		for c, v := range r {
			b.Cols[c].Append(v)
		}
	}
	return b
}

// epoch writes an epoch to its end.
func (o *outlet) epoch(s connect.Sink, n int64, batches ...*vec.Batch) {
	o.t.Helper()
	ctx := context.Background()
	for _, b := range batches {
		if err := s.Write(ctx, n, b); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := s.Prepare(ctx, n, vec.MinTime); err != nil {
		o.t.Fatal(err)
	}
	if err := s.Commit(ctx, n); err != nil {
		o.t.Fatal(err)
	}
}

// messages are those of the hub as "KEY|PROPERTIES|BODY".
func (o *outlet) messages() (list []string) {
	o.t.Helper()
	err := messagesOf(o.w.broker, "events", func(_ int, key []byte, m amqp.Message) {
		k := "-"
		if key != nil {
			k = string(key)
		}
		var props []string
		for _, p := range m.Application {
			props = append(props, fmt.Sprintf("%s=%v", p.Key, p.Value))
		}
		list = append(list, k+"|"+strings.Join(props, " ")+"|"+m.Properties.ContentType+"|"+string(m.Body))
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return list
}

// TestMessages: what rows become under each setting.
func TestMessages(t *testing.T) {
	text, num, null := vec.StringValue, vec.IntValue, vec.NullValue()
	list := vec.ArrayValue(&vec.Rec{Vals: []vec.Value{num(1)}})
	f := func(format connect.Format, given map[string]any, rows [][]vec.Value, rejected []string, want ...string) {
		t.Helper()
		o := newOutlet(t, 1, "k", "n", "x")
		o.env.Format = format
		o.epoch(o.open(given), 1, batch(rows...))
		if got := o.messages(); !slices.Equal(got, want) {
			t.Errorf("%v:\n got %q\nwant %q", given, got, want)
		}
		if !slices.Equal(o.rejected, rejected) {
			t.Errorf("%v: rejected\n got %q\nwant %q", given, o.rejected, rejected)
		}
	}
	none, csv, array := connect.Format{}, connect.Format{Type: "csv"}, connect.Format{Type: "json", Array: true}
	rows := [][]vec.Value{{text("a"), num(1), text("x\ny")}, {text("a"), num(2), null}, {null, num(3), text("")}, {text("b"), num(4), text("q,")}}
	f(none, nil, rows, nil, `-|||{"k":"a","n":1,"x":"x\ny"}`, `-|||{"k":"a","n":2,"x":null}`, `-|||{"k":null,"n":3,"x":""}`, `-|||{"k":"b","n":4,"x":"q,"}`)
	f(none, map[string]any{"partition_key": "K", "content_type": "application/json"}, rows[:1], nil, `a||application/json|{"k":"a","n":1,"x":"x\ny"}`)
	f(none, map[string]any{"partition_key": "n"}, rows[1:2], nil, `2|||{"k":"a","n":2,"x":null}`)
	f(none, map[string]any{"property_columns": []string{"K", "n"}}, rows, nil,
		`-|K=a n=1||{"x":"x\ny"}`, `-|K=a n=2||{"x":null}`, `-|n=3||{"x":""}`, `-|K=b n=4||{"x":"q,"}`)
	f(none, map[string]any{"pack": message.PackLines}, rows[:3], nil, "-|||"+`{"k":"a","n":1,"x":"x\ny"}`+"\n"+`{"k":"a","n":2,"x":null}`+"\n"+`{"k":null,"n":3,"x":""}`)
	f(none, map[string]any{"pack": message.PackArray, "partition_key": "k"}, rows, nil,
		`a|||[{"k":"a","n":1,"x":"x\ny"},{"k":"a","n":2,"x":null}]`, `-|||[{"k":null,"n":3,"x":""}]`, `b|||[{"k":"b","n":4,"x":"q,"}]`)
	f(none, map[string]any{"pack": message.PackLines, "pack_bytes": int64(50)}, rows[:2], nil, `-|||{"k":"a","n":1,"x":"x\ny"}`, `-|||{"k":"a","n":2,"x":null}`)
	f(array, nil, rows[1:2], nil, `-|||[{"k":"a","n":2,"x":null}]`)
	f(csv, nil, rows[:2], nil, "-|||k,n,x\na,1,\"x\ny\"", "-|||k,n,x\na,2,")
	f(csv, map[string]any{"pack": message.PackLines}, rows[:2], nil, "-|||k,n,x\na,1,\"x\ny\"\na,2,")
	// What no message can hold.
	f(none, map[string]any{"partition_key": "x"}, [][]vec.Value{{text("a"), num(1), list}, rows[3]},
		[]string{`OutputDataConversionError.TypeConversionError x: a partition key cannot be array {"k":"a","n":1,"x":[1]}`}, `q,|||{"k":"b","n":4,"x":"q,"}`)
	f(none, map[string]any{"property_columns": []string{"x"}}, [][]vec.Value{{text("a"), num(1), list}},
		[]string{`OutputDataConversionError.TypeConversionError x: a property cannot be array {"k":"a","n":1,"x":[1]}`})
	for size := hub.DefaultMaxMessage - 200; size < hub.DefaultMaxMessage+50; size += 7 { // at the limit a row is a message or rejected, and no error
		o := newOutlet(t, 1, "x", "k")
		o.env.Job = strings.Repeat("a long name ", 100)
		o.epoch(o.open(map[string]any{"property_columns": []string{"k"}, "content_type": "application/json"}), 1, batch([]vec.Value{text(strings.Repeat("y", size)), text("k")}))
		if len(o.rejected)+len(o.messages()) != 1 {
			t.Errorf("%d bytes: %d rejected", size, len(o.rejected))
		}
	}
	f(none, map[string]any{"partition_key": "k"}, [][]vec.Value{{text(strings.Repeat("k", hub.MaxKey+1)), num(1), null}},
		[]string{`OutputDataConversionError.RecordExceededSizeLimit k: a partition key of 32769 bytes; 32768 is the most {"k":"` + strings.Repeat("k", hub.MaxKey+1) + `","n":1,"x":null}`})
	long := strings.Repeat("y", hub.DefaultMaxMessage)
	o := newOutlet(t, 1, "x")
	o.epoch(o.open(nil), 1, batch([]vec.Value{text(long)}, []vec.Value{text("z")}))
	if len(o.rejected) != 1 || !strings.HasPrefix(o.rejected[0], "OutputDataConversionError.RecordExceededSizeLimit") || len(o.messages()) != 1 {
		t.Errorf("%.200q", o.rejected)
	}
}

// TestRecordRows: rows that are records give up the fields that are properties.
func TestRecordRows(t *testing.T) {
	o := newOutlet(t, 1, "row")
	o.env.Columns.Row = true
	r := vec.RecordValue(&vec.Rec{Names: []string{"Team", "n"}, Vals: []vec.Value{vec.StringValue("a"), vec.IntValue(1)}})
	o.epoch(o.open(map[string]any{"property_columns": []string{"team", "gone"}, "partition_key": "TEAM"}), 1, batch([]vec.Value{r}))
	if got := o.messages(); !slices.Equal(got, []string{`a|team=a||{"n":1}`}) {
		t.Errorf("%q", got)
	}
}

var errHalf = errors.New("half of it is there")

// half is a publisher whose process ends after so many messages.
type half struct {
	*publisher
	rows int
}

func (h half) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	if ctx.Err() != nil {
		return h.publisher.Publish(ctx, epoch, messages)
	}
	p, err := h.begin(epoch)
	if err != nil {
		return err
	}
	p.limit = 1 << 20
	return messages.Each(0, func(i int, m *message.Message) error {
		if i == h.rows {
			return errHalf
		}
		_, err := p.add(m)
		return err
	})
}

// TestLargeEpoch: an epoch of many appends is there once, in the order of its partitions, also
// when it is committed again by another process that finds it half there.
func TestLargeEpoch(t *testing.T) {
	o := newOutlet(t, 3, "n", "pad")
	pad := vec.StringValue(strings.Repeat("p", 2000))
	const rows = 9000 // 18 MB: beyond what is held in memory
	var batches []*vec.Batch
	for at := 0; at < rows; at += 500 {
		var list [][]vec.Value
		for i := range 500 {
			list = append(list, []vec.Value{vec.IntValue(int64(at + i)), pad})
		}
		batches = append(batches, batch(list...))
	}
	check := func() {
		t.Helper()
		seen := 0
		last := map[int]int{}
		err := messagesOf(o.w.broker, "events", func(p int, _ []byte, m amqp.Message) {
			n := 0
			fmt.Sscanf(string(m.Body), `{"n":%d`, &n)
			if seen++; last[p] > n {
				t.Errorf("partition %d: %d behind %d", p, n, last[p])
			}
			last[p] = n
		})
		if err != nil || seen != rows || len(last) != 3 {
			t.Errorf("%d messages in %d partitions, %v", seen, len(last), err)
		}
	}
	ctx := context.Background()
	p := &publisher{broker: o.w.broker, name: "events", id: producerID(o.env), touched: map[int]bool{}}
	s, err := p.sink(ctx, config(false, nil), o.env, half{p, rows / 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, b := range batches {
		if err := s.Write(ctx, 5, b); err != nil {
			t.Fatal(err)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Commit(stopped, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("a commit that was cancelled gives %v", err)
	}
	if err := s.Commit(ctx, 5); err != errHalf { // the process ends in the midst
		t.Fatal(err)
	}
	again := o.open(nil)
	if last, err := again.Committed(ctx); last != 4 || err != nil {
		t.Fatalf("committed is %d, %v", last, err)
	}
	o.epoch(again, 5, batches...)
	check()
	o.epoch(again, 5, batches...)
	check()
	if last, _ := o.open(nil).Committed(ctx); last != 5 {
		t.Errorf("committed is %d", last)
	}
}

// TestTwice: a job that runs in two processes at once is told so.
func TestTwice(t *testing.T) {
	o := newOutlet(t, 1, "n")
	row := func(n int64) *vec.Batch { return batch([]vec.Value{vec.IntValue(n)}) }
	a, b := o.open(nil), o.open(nil)
	o.epoch(a, 1, row(1))
	ctx := context.Background()
	if err := b.Write(ctx, 1, row(7)); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(ctx, 1); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "running twice") {
		t.Errorf("got %v", err)
	}
	if got := o.messages(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestOpen: what keeps an input or output from being opened is said with what to do.
func TestOpen(t *testing.T) {
	o := newOutlet(t, 1, "n")
	f := func(ctx context.Context, given map[string]any, format connect.Format, want string) {
		t.Helper()
		env := o.env
		env.Format = format
		_, err := openSink(ctx, config(false, given), env)
		if err == nil || !connect.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ctx := o.w.ctx()
	f(ctx, map[string]any{"hub": "nowhere"}, connect.Format{}, `there is no such event hub: "nowhere"; make it with "weir hub create nowhere", or write create: true`)
	f(context.Background(), nil, connect.Format{}, `no hubs are open in this process; run the job under "weir serve", or with "weir run --live"`)
	f(ctx, nil, connect.Format{Compression: "gzip"}, "messages are not compressed")
	f(ctx, map[string]any{"partition_key": "team"}, connect.Format{}, `the rows have no column "team", which partition_key names`)
	f(ctx, map[string]any{"property_columns": []string{"team"}}, connect.Format{}, `the rows have no column "team", which property_columns names`)
	f(ctx, map[string]any{"property_columns": []string{"n", "N"}}, connect.Format{}, `"N" stands twice`)
	f(ctx, map[string]any{"pack": message.PackArray}, connect.Format{Type: "csv"}, "an array is JSON")
	f(ctx, map[string]any{"hub": "a/b"}, connect.Format{}, `"a/b" is no name of an event hub`)
	f(ctx, map[string]any{"partitions": int64(0)}, connect.Format{}, "0 partitions are too few or too many")
	o.open(map[string]any{"hub": "made", "create": true, "partitions": int64(2), "retention": time.Hour})
	if h, err := o.w.broker.Hub("made"); err != nil || len(h.Partitions()) != 2 || h.Config().Retention != time.Hour {
		t.Errorf("%v", err)
	}
	in := func(given map[string]any, env connect.SourceEnv, want string) {
		t.Helper()
		env.Input = "in"
		if _, err := openSource(ctx, config(true, given), env); err == nil || !connect.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	in(nil, connect.SourceEnv{Reference: true}, "it cannot be reference data")
	in(map[string]any{"hub": "nowhere"}, connect.SourceEnv{}, "weir hub create nowhere")
	in(map[string]any{"unwrap": "records"}, connect.SourceEnv{Format: connect.Format{Type: "csv"}}, "unwrap is for JSON")
	in(map[string]any{"consumer_group": " "}, connect.SourceEnv{}, "not a name")
}
