package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// post is a service that keeps what it is sent. Messages have ids, by which it leaves out what
// it has, if it is told to.
type post struct {
	has     []sent
	ids     map[string]bool
	failAt  int // the message before which an epoch breaks off; 0 never
	said    int64
	closed  int
	memory  map[int64]int // epochs and how far they came, in this process
	repeats int
}

type sent struct {
	to, key, body string
	properties    string
}

type sender struct {
	*post
	knows bool
}

func (s sender) Committed(_ context.Context, noted int64) (int64, error) {
	if !s.knows {
		return -1, nil
	}
	return max(noted, s.said), nil
}

func (s sender) Publish(_ context.Context, epoch int64, messages *Spool) error {
	n := 0
	err := messages.Each(s.memory[epoch], func(i int, m *Message) error {
		if n++; n == s.failAt {
			s.failAt = 0
			return errors.New("cut off")
		}
		if id := ID("me", epoch, i); !s.ids[id] {
			s.ids[id] = true
			s.has = append(s.has, sent{string(m.To), string(m.Key), string(m.Body), fmt.Sprint(m.Properties)})
		} else {
			s.repeats++
		}
		s.memory[epoch] = i + 1
		return nil
	})
	if err == nil {
		s.said = max(s.said, epoch)
	}
	return err
}

func (s sender) Sync(context.Context) error { return nil }
func (s sender) Close() error               { s.closed++; return nil }

func newPost() *post { return &post{ids: map[string]bool{}, memory: map[int64]int{}} }

// TestSinkSuite: what every sink promises, for a service that knows its epochs and one that
// does not.
func TestSinkSuite(t *testing.T) {
	f := func(name string, knows bool) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sinks{Early: true, Unknown: !knows, Stride: 3, New: func(t testing.TB) *connecttest.Target {
				d := disk.NewMem(1)
				p := newPost()
				instance := ""
				return &connecttest.Target{Disk: d,
					Rows: func() (list []connecttest.Row, err error) {
						for _, m := range p.has {
							var e struct {
								ID   int64  `json:"id"`
								Text string `json:"text"`
							}
							if err := json.Unmarshal([]byte(m.body), &e); err != nil {
								return nil, err
							}
							list = append(list, connecttest.Row(e))
						}
						return list, nil
					},
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						rows, err := NewRows(Options{Columns: env.Columns, Format: env.Format, Limit: 1 << 20})
						if err != nil {
							return nil, err
						}
						p.memory = map[int64]int{}
						if env.Instance != instance {
							instance, p.said, p.ids = env.Instance, 0, map[string]bool{}
						}
						return NewSink(context.Background(), env, Sender(env), rows, sender{p, knows})
					}}
			}}.Run(t)
		})
	}
	f("knows", true)
	f("ids", false)
}

// begun is a sink over a disk of its own.
func begun(t *testing.T, p *post, columns connect.Columns, o Options, reject func(connect.RowError) error) *Sink {
	t.Helper()
	d := disk.NewMem(1)
	o.Columns = columns
	if o.Limit == 0 {
		o.Limit = 1 << 20
	}
	rows, err := NewRows(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSink(context.Background(), connect.SinkEnv{Job: "j", Output: "o", Instance: "i", Columns: columns, State: d.Boot(), Reject: reject}, "j/o/i", rows, sender{p, true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if names, err := d.Boot().ReadDir("."); err != nil || len(names) > 1 {
			t.Errorf("left: %v, %v", names, err)
		}
	})
	return s
}

func commit(t *testing.T, s *Sink, epoch int64) {
	t.Helper()
	if err := s.Prepare(t.Context(), epoch, vec.MaxTime); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), epoch); err != nil {
		t.Fatal(err)
	}
}

// TestSinkMuch: an epoch that is more than what memory holds, sent with breaks; nothing is
// missing, in its order, and what was sent before a break is not sent again.
func TestSinkMuch(t *testing.T) {
	p := newPost()
	s := begun(t, p, connecttest.Columns(), Options{}, nil)
	long := strings.Repeat("x", 3000)
	id := int64(0)
	for range 60 {
		var rows []connecttest.Row
		for range 100 {
			id++
			rows = append(rows, connecttest.Row{ID: id, Text: long})
		}
		if id == 3000 { // a message larger than the buffer that reads the file
			rows[0].Text = strings.Repeat("y", 1<<20-100)
		}
		if err := s.Write(t.Context(), 1, connecttest.Batch(rows)); err != nil {
			t.Fatal(err)
		}
		if len(s.spool.buf) > maxBuffered+2<<20 {
			t.Fatalf("%d bytes in memory", len(s.spool.buf))
		}
	}
	if s.spool.spill == nil || s.spool.Len() != 6000 {
		t.Fatalf("%d messages, all in memory: %v", s.spool.Len(), s.spool.spill == nil)
	}
	if err := s.Prepare(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	for _, p.failAt = range []int{1, 10, 5000} {
		if err := s.Commit(t.Context(), 1); err == nil {
			t.Fatal("no error")
		}
	}
	commit(t, s, 1)
	if p.repeats != 0 || len(p.has) != 6000 {
		t.Errorf("%d messages, %d repeats", len(p.has), p.repeats)
	}
	for i, m := range p.has {
		if !strings.HasPrefix(m.body, fmt.Sprintf(`{"id":%d,`, i+1)) {
			t.Fatalf("message %d is %.40s", i, m.body)
		}
	}
	if s.spool.spill != nil || cap(s.spool.buf) > 2*maxBuffered {
		t.Error("the memory of an epoch is kept")
	}
}

// TestSinkProperties: properties of all kinds, keys and names come as they are, out of memory
// and out of the file.
func TestSinkProperties(t *testing.T) {
	columns := connect.Columns{Names: []string{"k", "s", "i", "f", "b", "d", "pad"}}
	var rejected []string
	reject := func(e connect.RowError) error {
		rejected = append(rejected, e.Name+" "+e.Column+": "+e.Reason)
		return nil
	}
	p := newPost()
	s := begun(t, p, columns, Options{Key: "K", Properties: []string{"S", "i", "f", "b", "d"}, To: "teams/{k}/{{x}}", MaxKey: 5, Limit: 9 << 20}, reject)
	row := func(vals ...vec.Value) {
		t.Helper()
		b := &vec.Batch{N: 1, Time: []vec.Time{7}}
		for _, v := range vals {
			c := vec.Vec{}
			c.Append(v)
			b.Cols = append(b.Cols, c)
		}
		if err := s.Write(t.Context(), 1, b); err != nil {
			t.Fatal(err)
		}
	}
	text, null, pad := vec.StringValue, vec.NullValue(), vec.StringValue(strings.Repeat("p", maxBuffered/2))
	row(text("a"), text("ünï\x00"), vec.IntValue(-5), vec.FloatValue(0.25), vec.BitValue(true), vec.TimeValue(connecttest.Origin), pad)
	row(vec.IntValue(12), null, vec.IntValue(1<<62), null, vec.BitValue(false), null, pad)
	row(text(""), text(""), null, null, null, null, pad)
	row(text("b"), vec.RecordValue(&vec.Rec{}), null, null, null, null, null) // a record is no property
	row(text("much too long"), null, null, null, null, null, null)
	row(null, null, null, null, null, null, null) // no key, and so no name
	row(vec.ArrayValue(&vec.Rec{}), null, null, null, null, null, null)
	row(text("c"), text("t"), null, null, null, null, null)
	if s.spool.spill == nil {
		t.Fatal("all in memory")
	}
	commit(t, s, 1)
	var got []string
	for _, m := range p.has {
		got = append(got, fmt.Sprintf("%s|%s|%s|%d", m.to, m.key, m.properties, len(m.body)))
	}
	n := maxBuffered / 2
	want := []string{
		fmt.Sprintf(`teams/a/{x}|a|%v|%d`, []Property{{"S", text("ünï\x00")}, {"i", vec.IntValue(-5)}, {"f", vec.FloatValue(0.25)}, {"b", vec.BitValue(true)},
			{"d", text("2022-09-28T22:13:20.0000000Z")}}, n+len(`{"k":"a","pad":""}`)),
		fmt.Sprintf(`teams/12/{x}|12|%v|%d`, []Property{{"i", vec.IntValue(1 << 62)}, {"b", vec.BitValue(false)}}, n+len(`{"k":12,"pad":""}`)),
		fmt.Sprintf(`teams//{x}||%v|%d`, []Property{{"S", text("")}}, n+len(`{"k":"","pad":""}`)),
		fmt.Sprintf(`teams/c/{x}|c|%v|%d`, []Property{{"S", text("t")}}, len(`{"k":"c","pad":null}`)),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantRejected := []string{
		"OutputDataConversionError.TypeConversionError S: a property cannot be record",
		"OutputDataConversionError.RecordExceededSizeLimit K: a partition key of 13 bytes; 5 is the most",
		"OutputDataConversionError.TypeConversionError k: a name cannot be null",
		"OutputDataConversionError.TypeConversionError K: a partition key cannot be array",
	}
	if strings.Join(rejected, "\n") != strings.Join(wantRejected, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(rejected, "\n"), strings.Join(wantRejected, "\n"))
	}
}

// TestSinkReject: rows that are not taken, when keeping them fails, are told of again.
func TestSinkReject(t *testing.T) {
	broken := true
	var rejected []string
	p := newPost()
	s := begun(t, p, connecttest.Columns(), Options{Limit: 200}, func(e connect.RowError) error {
		if broken {
			return errors.New("disk full")
		}
		rejected = append(rejected, fmt.Sprintf("%.10s at %d", e.Row, e.Time))
		return nil
	})
	rows := []connecttest.Row{{ID: 1, Text: "a"}, {ID: 2, Text: strings.Repeat("x", 200)}, {ID: 3, Text: "b"}}
	if err := s.Write(t.Context(), 1, connecttest.Batch(rows)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), 1, 0); err == nil || err.Error() != "disk full" {
		t.Fatal(err)
	}
	broken = false
	commit(t, s, 1)
	if fmt.Sprint(rejected) != fmt.Sprintf("[{\"id\":2,\"t at %d]", rows[1].Time()) || len(p.has) != 2 {
		t.Error(rejected, len(p.has))
	}
}

// TestSinkNote: the note of a sender is not that of another one, and one that is broken is told.
func TestSinkNote(t *testing.T) {
	d := disk.NewMem(1).Boot()
	f := func(sender string, want int64, fails string) {
		t.Helper()
		n, err := readNote(d, sender)
		if n != want || (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%d, %v; want %d, %s", n, err, want, fails)
		}
	}
	f("a", 0, "")
	if err := writeNote(d, "a", 7); err != nil {
		t.Fatal(err)
	}
	f("a", 7, "")
	f("b", 0, "")
	if err := disk.WriteWhole(d, noteName, []byte("{")); err != nil {
		t.Fatal(err)
	}
	f("a", 0, noteName)
}

func TestTemplate(t *testing.T) {
	f := func(columns connect.Columns, text, want, fails string) {
		t.Helper()
		m, err := NewRows(Options{Columns: columns, To: text, Limit: 1 << 20})
		if err != nil || fails != "" {
			if fails == "" || err == nil || !strings.Contains(err.Error(), fails) {
				t.Errorf("%s: %v; want %q", text, err, fails)
			}
			return
		}
		b := &vec.Batch{N: 1, Time: []vec.Time{1}}
		if columns.Row {
			c := vec.Vec{}
			c.Append(vec.RecordValue(&vec.Rec{Names: []string{"id", "Text"}, Vals: []vec.Value{vec.IntValue(4), vec.StringValue("t")}}))
			b.Cols = []vec.Vec{c}
		} else {
			b.Cols = []vec.Vec{vec.Ints(4), vec.Strings("t")}
		}
		got, column, kind := m.to.append(nil, m, b, 0)
		if s := string(got); column != "" {
			if s = fmt.Sprintf("!%s %s", column, kind); s != want {
				t.Errorf("%s: %s; want %s", text, s, want)
			}
		} else if s != want {
			t.Errorf("%s: %s; want %s", text, s, want)
		}
	}
	plain, row := connecttest.Columns(), connect.Columns{Names: []string{"row"}, Row: true}
	f(plain, "", "", "")
	f(plain, "fixed", "fixed", "")
	f(plain, "{id}", "4", "")
	f(plain, "a/{ID}/{text}", "a/4/t", "")
	f(plain, "{{{id}}}", "{4}", "")
	f(plain, "{nope}", "", `no column "nope"`)
	f(plain, "{id", "", "braces")
	f(plain, "id}", "", "braces")
	f(plain, "{}", "", "braces")
	f(row, "{id}-{text}", "4-t", "")
	f(row, "{none}", "!none missing", "")
}
