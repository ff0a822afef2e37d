package file

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// readAll is a file's content, nothing if it is not there.
func readAll(d disk.FS, name string) ([]byte, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func jsonRows(b []byte) (rows []connecttest.Row, err error) {
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var r connecttest.Row
		if err := d.Decode(&r); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
}

func csvRows(b []byte) (rows []connecttest.Row, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\\r\\n"))))
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	for _, cells := range all[1:] {
		id, err := strconv.ParseInt(cells[0], 10, 64)
		if err != nil {
			return nil, err
		}
		text := bytes.ReplaceAll([]byte(cells[1]), []byte("\\r\\n"), []byte("\r\n"))
		rows = append(rows, connecttest.Row{ID: id, Text: string(text)})
	}
	return rows, nil
}

// TestSinkSuite runs the conformance suite.
func TestSinkSuite(t *testing.T) {
	for format, rows := range map[string]func([]byte) ([]connecttest.Row, error){"json": jsonRows, "csv": csvRows} {
		t.Run(format, func(t *testing.T) {
			connecttest.Sinks{
				Format: connect.Format{Type: format},
				New: func(t testing.TB) *connecttest.Target {
					m := disk.NewMem(7)
					return &connecttest.Target{
						Disk: m,
						Open: func(env connect.SinkEnv) (connect.Sink, error) {
							return openSink(m.Boot(), "out", env)
						},
						Rows: func() ([]connecttest.Row, error) {
							b, err := readAll(m, "out")
							if err != nil {
								return nil, err
							}
							return rows(b)
						},
					}
				},
			}.Run(t)
		})
	}
}

// output is a sink over a disk in memory, driven by hand.
type output struct {
	t      *testing.T
	m      *disk.Mem
	format connect.Format
	cols   connect.Columns
	inst   string
	name   string
	state  string
	log    bytes.Buffer
	sink   connect.Sink
}

func newOutput(t *testing.T) *output {
	return &output{t: t, m: disk.NewMem(9), cols: connecttest.Columns(), inst: "i", name: "out", state: "state", format: connect.Format{Type: "json"}}
}

// open opens the sink and gives its error.
func (o *output) open() error {
	state, err := o.m.Boot().Sub(o.state)
	if err != nil {
		return err
	}
	o.sink, err = openSink(o.m.Boot(), o.name, connect.SinkEnv{Job: "j", Output: "o", Instance: o.inst, Columns: o.cols, Format: o.format,
		State: state, Log: slog.New(slog.NewTextHandler(&o.log, nil)), Now: time.Now})
	return err
}

// epoch commits rows with the ids, and gives the first error.
func (o *output) epoch(n int64, ids ...int64) error {
	var rows []connecttest.Row
	for _, id := range ids {
		rows = append(rows, connecttest.Row{ID: id, Text: "x"})
	}
	return o.batch(n, connecttest.Batch(rows))
}

func (o *output) batch(n int64, b *vec.Batch) error {
	ctx := context.Background()
	if err := o.sink.Write(ctx, n, b); err != nil {
		return err
	}
	if err := o.sink.Prepare(ctx, n, vec.MinTime); err != nil {
		return err
	}
	return o.sink.Commit(ctx, n)
}

func (o *output) put(text string) {
	o.t.Helper()
	f, err := o.m.Edit("out")
	ok(o.t, err)
	_, err = f.Seek(0, io.SeekEnd)
	ok(o.t, err)
	_, err = io.WriteString(f, text)
	ok(o.t, err)
	ok(o.t, f.Sync())
	ok(o.t, o.m.SyncDir("."))
}

func (o *output) want(text string) {
	o.t.Helper()
	b, err := readAll(o.m, "out")
	ok(o.t, err)
	if string(b) != text {
		o.t.Errorf("the file has %q, and must have %q", b, text)
	}
}

// refused is a permanent error that says something.
func refused(t *testing.T, err error, say string) {
	t.Helper()
	if err == nil || !connect.IsPermanent(err) || !strings.Contains(err.Error(), say) {
		t.Errorf("%v (permanent %v), and must say %q", err, connect.IsPermanent(err), say)
	}
}

func line(id int) string { return fmt.Sprintf("{\"id\":%d,\"text\":\"x\"}\n", id) }

// TestForeign has somebody else at the file, at every moment. Nothing of theirs is lost.
func TestForeign(t *testing.T) {
	// What is there before the job has state stays, an unended line too.
	o := newOutput(t)
	o.put("theirs")
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	o.want("theirs\n" + line(1))
	// While it runs.
	o.put("more\n")
	refused(t, o.epoch(2, 2), "Only this output may write to the file")
	o.want("theirs\n" + line(1) + "more\n")

	// After it was stopped.
	o = newOutput(t)
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.sink.Close())
	o.put("more\n")
	refused(t, o.open(), "when the job was stopped")
	o.want(line(1) + "more\n")
	o.inst = "another"
	ok(t, o.open())
	ok(t, o.epoch(1, 2))
	o.want(line(1) + "more\n" + line(2))

	// After a crash nobody can tell: it is kept aside.
	o = newOutput(t)
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.sink.Sync(context.Background()))
	o.m.Crash()
	o.put("more\n")
	ok(t, o.open())
	o.want(line(1))
	kept, err := readAll(o.m, fmt.Sprintf("state/unknown-%d-%d", len(line(1)), len(line(1))+5))
	if err != nil || string(kept) != "more\n" || !strings.Contains(o.log.String(), "kept aside") {
		t.Errorf("%q, %v, log %s", kept, err, o.log.String())
	}

	// Shorter, gone, replaced.
	for name, harm := range map[string]func(o *output){
		"and had": func(o *output) {
			f, err := o.m.Edit("out")
			ok(t, err)
			ok(t, f.Truncate(3))
		},
		"is gone": func(o *output) { ok(t, o.m.Remove("out")) },
	} {
		for _, running := range []bool{true, false} {
			o = newOutput(t)
			ok(t, o.open())
			ok(t, o.epoch(1, 1))
			if running {
				harm(o)
				err := o.epoch(2, 2)
				refused(t, err, "Only this output")
				continue
			}
			ok(t, o.sink.Close())
			harm(o)
			refused(t, o.open(), name)
		}
	}
	o = newOutput(t)
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.m.Rename("out", "out.1"))
	o.put("new")
	refused(t, o.epoch(2, 2), "another file")
	o.want("new")
}

// TestAlone: a file has one output at a time.
func TestAlone(t *testing.T) {
	o := newOutput(t)
	ok(t, o.open())
	first := o.sink
	o.state = "state2"
	refused(t, o.open(), "another output or another process writes to it")
	o.state = "state"
	o.sink = first
	ok(t, o.epoch(1, 1))
	ok(t, o.sink.Close())
	o.state = "state2"
	ok(t, o.open())
	ok(t, o.epoch(1, 2))
	o.want(line(1) + line(2))
}

// TestElsewhere: the settings of an output name another file.
func TestElsewhere(t *testing.T) {
	o := newOutput(t)
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.epoch(2, 2))
	ok(t, o.sink.Close())
	o.put("not ours\n")
	ok(t, o.m.Rename("out", "first"))
	o.name = "second" // there is none
	ok(t, o.open())
	if n, err := o.sink.Committed(t.Context()); n != 2 || err != nil {
		t.Errorf("committed is %d, %v", n, err)
	}
	ok(t, o.epoch(3, 3))
	o.m.Kill()
	o.m.Restart()
	o.put("theirs\n")
	o.name = "out" // there is one, which is somebody else's
	ok(t, o.open())
	ok(t, o.epoch(3, 3))
	ok(t, o.sink.Close())
	o.want("theirs\n" + line(3))
	for name, want := range map[string]string{"first": line(1) + line(2) + "not ours\n", "second": line(3)} {
		if b, err := readAll(o.m, name); string(b) != want {
			t.Errorf("%s has %q, %v", name, b, err)
		}
	}
	// The directory was moved with the file in it: it is the same one.
	ok(t, o.open())
	ok(t, o.epoch(4, 4))
	o.m.Kill()
	o.m.Restart()
	ok(t, o.m.Rename("out", "moved"))
	o.name = "moved"
	ok(t, o.open())
	if n, err := o.sink.Committed(t.Context()); n != 4 || err != nil {
		t.Errorf("committed is %d, %v", n, err)
	}
}

// TestAside: the power goes often, and takes the journal and not the file; and a file grows
// far between two checkpoints.
func TestAside(t *testing.T) {
	o := newOutput(t)
	for i := range 3 * maxKept {
		ok(t, o.open())
		ok(t, o.sink.Sync(t.Context()))
		o.m.Crash()
		o.m.Restart()
		o.put(fmt.Sprintf("%0*d\n", i+1, 0))
	}
	ok(t, o.open())
	list, err := o.m.ReadDir("state")
	if err != nil || len(list) != maxKept+1 {
		t.Errorf("%d files, %v", len(list), err)
	}
	s := o.sink.(*sink)
	text := strings.Repeat("x", 4<<20)
	for i := range int64(16) {
		ok(t, o.batch(i+1, connecttest.Batch([]connecttest.Row{{ID: i, Text: text}})))
		if s.tail.Size()-s.noted > maxUnnoted {
			t.Fatalf("the journal durably knows of %d bytes of %d", s.noted, s.tail.Size())
		}
	}
}

// TestFormats has formats and headers that fit, and some that do not.
func TestFormats(t *testing.T) {
	f := func(format connect.Format, say string) {
		t.Helper()
		o := newOutput(t)
		o.format = format
		refused(t, o.open(), say)
	}
	f(connect.Format{Array: true}, "blob")
	f(connect.Format{Compression: "gzip"}, "blob")

	o := newOutput(t)
	o.format = connect.Format{Type: "csv", Delimiter: ';'}
	o.put("id;text\n7;y\n")
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.epoch(2, 2))
	o.want("id;text\n7;y\n1;x\n2;x\n")
	ok(t, o.sink.Close())
	ok(t, o.open())
	ok(t, o.epoch(3, 3))
	o.want("id;text\n7;y\n1;x\n2;x\n3;x\n")

	o = newOutput(t)
	o.format = connect.Format{Type: "csv"}
	o.put("other,columns\n")
	refused(t, o.open(), "other")

	// Odd names of columns.
	o = newOutput(t)
	o.format = connect.Format{Type: "csv"}
	o.cols.Names = []string{"a \"b\", c", ""}
	ok(t, o.open())
	ok(t, o.epoch(1, 1))
	ok(t, o.sink.Close())
	ok(t, o.open())
	ok(t, o.epoch(2, 2))
	o.want("\"a \"\"b\"\", c\",\n1,x\n2,x\n")

	// Rows that are records: the header is the first one's, also over restarts.
	o = newOutput(t)
	o.format = connect.Format{Type: "csv"}
	o.cols = connect.Columns{Names: []string{"*"}, Row: true}
	rec := func(names string, vals ...int64) *vec.Batch {
		r := &vec.Rec{Names: strings.Fields(names)}
		for _, v := range vals {
			r.Vals = append(r.Vals, vec.IntValue(v))
		}
		return &vec.Batch{N: 1, Time: []vec.Time{1}, Cols: []vec.Vec{vec.Values(vec.RecordValue(r))}}
	}
	ok(t, o.open())
	ctx := context.Background()
	ok(t, o.sink.Write(ctx, 1, rec("never committed", 1, 2)))
	ok(t, o.sink.Close())
	ok(t, o.open())
	ok(t, o.batch(1, rec("b a", 1, 2)))
	ok(t, o.batch(2, rec("a c b", 3, 9, 4)))
	ok(t, o.sink.Close())
	ok(t, o.open())
	ok(t, o.batch(3, rec("a", 5)))
	o.want("b,a\n1,2\n4,3\n,5\n")
}

// TestBig has an epoch that does not fit the memory for it, over a crash at any operation.
func TestBig(t *testing.T) {
	big := strings.Repeat("x", 5000)
	var rows []connecttest.Row
	for i := range 8 {
		rows = append(rows, connecttest.Row{ID: int64(i), Text: big})
	}
	for n := int64(1); ; n++ {
		o := newOutput(t)
		begin := o.m.Ops()
		o.m.CrashAt(n)
		run := func() error {
			if err := o.open(); err != nil {
				return err
			}
			o.sink.(*sink).limit = 12_000
			last, err := o.sink.Committed(context.Background())
			if err != nil {
				return err
			}
			for _, r := range rows {
				if last == 0 {
					if err := o.sink.Write(context.Background(), 1, connecttest.Batch([]connecttest.Row{r})); err != nil {
						return err
					}
				}
			}
			if err := o.sink.Commit(context.Background(), 1); err != nil {
				return err
			}
			return o.sink.Sync(context.Background())
		}
		err := run()
		crashed := err != nil
		if crashed {
			o.m.Restart()
			ok(t, run())
		}
		b, err := readAll(o.m, "out")
		ok(t, err)
		got, err := jsonRows(b)
		ok(t, err)
		if !slices.Equal(got, rows) {
			t.Fatalf("operation %d: %d rows", n, len(got))
		}
		if !crashed && o.m.Ops()-begin < n {
			return
		}
	}
}
