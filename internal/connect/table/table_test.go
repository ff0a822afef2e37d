package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(values map[string]any) connect.Config {
	return connect.Config{Values: values}
}

// clock is a clock that moves when it is told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// output is an open sink.
type output struct {
	connect.Sink
	t       testing.TB
	rejects []connect.RowError
}

func sinkEnv(job string, columns connect.Columns, state disk.FS) connect.SinkEnv {
	return connect.SinkEnv{Job: job, Output: "out", Instance: "i1", Columns: columns, State: state, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func openOutput(t testing.TB, env connect.SinkEnv, values map[string]any) *output {
	t.Helper()
	o := &output{t: t}
	env.Reject = func(e connect.RowError) error { o.rejects = append(o.rejects, e); return nil }
	s, err := openSink(ctx, config(values), env)
	must(t, err)
	o.Sink = s
	t.Cleanup(func() { s.Close() })
	return o
}

// rowColumns are those of rows that are records.
var rowColumns = connect.Columns{Names: []string{"*"}, Row: true}

// documents is a batch of records, from JSON.
func documents(t testing.TB, texts ...string) *vec.Batch {
	t.Helper()
	b := &vec.Batch{N: len(texts), Cols: make([]vec.Vec, 1)}
	for i, s := range texts {
		v, err := vec.ParseJSON([]byte(s))
		must(t, err)
		b.Time = append(b.Time, connecttest.Origin+vec.Time(i)*vec.Second)
		b.Cols[0].Append(v)
	}
	return b
}

func (o *output) epoch(n int64, texts ...string) {
	o.t.Helper()
	must(o.t, o.Write(ctx, n, documents(o.t, texts...)))
	o.rejects = nil
	must(o.t, o.Prepare(ctx, n, vec.MaxTime))
	must(o.t, o.Commit(ctx, n))
}

// feed is the feed of a table: position, id, version and document.
func feedOf(t testing.TB, s *Store, after int64) (out []string) {
	t.Helper()
	list, err := s.Feed(ctx, after, MaxLimit)
	must(t, err)
	for _, d := range list {
		out = append(out, fmt.Sprintf("%d %s v%d %s", d.Position, d.ID, d.Version, d.Doc))
	}
	return out
}

func want(t testing.TB, got []string, list ...string) {
	t.Helper()
	if !slices.Equal(got, list) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(list, "\n"))
	}
}

func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestModes(t *testing.T) {
	f := func(values map[string]any, rejects string, feed ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "new", "t?#%.db")
		values["path"] = path
		o := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), values)
		o.epoch(1, `{"team":"A","n":1,"r":{"x":1,"y":[1,2]}}`, `{"team":"B","n":2}`)
		o.epoch(3, `{"team":"A","n":3,"r":{"y":[3],"z":null}}`)
		got := ""
		for _, e := range o.rejects {
			got += e.Name + " " + e.Column + ": " + e.Reason + " " + string(e.Row)
		}
		if got != rejects {
			t.Errorf("%v: rejected %q, want %q", values, got, rejects)
		}
		want(t, feedOf(t, openStore(t, path), 0), feed...)
	}
	one, two := `1 A v1 {"team":"A","n":1,"r":{"x":1,"y":[1,2]}}`, `2 B v1 {"team":"B","n":2}`
	f(map[string]any{"key": []string{"TEAM"}}, "", one, two, `3 A v2 {"team":"A","n":3,"r":{"y":[3],"z":null}}`)
	f(map[string]any{"key": []string{"team"}, "mode": "merge"}, "", one, two, `3 A v2 {"team":"A","n":3,"r":{"x":1,"y":[3],"z":null}}`)
	f(map[string]any{"key": []string{"team"}, "mode": "insert"},
		`OutputDataConversionError.DuplicateKey team: there is a document with the id "A" {"team":"A","n":3,"r":{"y":[3],"z":null}}`, one, two)
	f(map[string]any{"key": []string{"team", "n"}}, "", `1 A|1 v1 {"team":"A","n":1,"r":{"x":1,"y":[1,2]}}`, `2 B|2 v1 {"team":"B","n":2}`, `3 A|3 v1 {"team":"A","n":3,"r":{"y":[3],"z":null}}`)
	f(map[string]any{}, "", `1 job/out/i1/1/0 v1 {"team":"A","n":1,"r":{"x":1,"y":[1,2]}}`, `2 job/out/i1/1/1 v1 {"team":"B","n":2}`, `3 job/out/i1/3/0 v1 {"team":"A","n":3,"r":{"y":[3],"z":null}}`)
}

func TestIDs(t *testing.T) {
	f := func(values map[string]any, row, id, partition, reject string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "t.db")
		values["path"] = path
		o := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), values)
		o.epoch(1, row)
		list, err := openStore(t, path).Feed(ctx, 0, 0)
		must(t, err)
		if reject != "" {
			if len(list) != 0 || len(o.rejects) != 1 || o.rejects[0].Name != "OutputDataConversionError."+reject {
				t.Errorf("%s: documents %v, rejected %v", row, list, o.rejects)
			}
			return
		}
		if len(list) != 1 || list[0].ID != id || list[0].Partition != partition || list[0].Time != connecttest.Origin {
			t.Errorf("%s: documents %+v, rejected %v; want the id %q in %q", row, list, o.rejects, id, partition)
		}
	}
	k := func(names ...string) map[string]any { return map[string]any{"key": names} }
	f(k("a"), `{"a":"x|y\\"}`, `x|y\`, "", "")
	f(k("a", "b"), `{"a":"x|y","b":"z\\"}`, `x\|y|z\\`, "", "")
	f(k("a", "b"), `{"a":1.5,"b":true}`, `1.5|true`, "", "")
	f(k("a"), `{"A":1,"a":2}`, `2`, "", "")
	f(k("a"), `{"b":1}`, "", "", "RequiredColumnMissing")
	f(k("a"), `{"a":null}`, "", "", "RequiredColumnMissing")
	f(k("a"), `{"a":[1]}`, "", "", "TypeConversionError")
	f(k("a"), `{"a":"`+strings.Repeat("x", 1024)+`"}`, "", "", "RecordExceededSizeLimit")
	f(k("a"), `{"a":1,"b":"`+strings.Repeat("x", 2<<20)+`"}`, "", "", "RecordExceededSizeLimit")
	f(map[string]any{}, `{"ID":7}`, "7", "", "")
	f(map[string]any{}, `{"id":{}}`, "", "", "TypeConversionError")
	f(map[string]any{"key": []string{"a"}, "partition": "p"}, `{"a":"x","p":3}`, "x", "3", "")
	f(map[string]any{"key": []string{"a"}, "partition": "p"}, `{"a":"x"}`, "x", "", "")
	f(map[string]any{"key": []string{"a"}, "partition": "p"}, `{"a":"x","p":{}}`, "", "", "TypeConversionError")
}

// TestDuplicates: of rows with one id in one epoch an insert takes the first.
func TestDuplicates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	o := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), map[string]any{"path": path})
	o.epoch(1, `{"id":1,"n":1}`, `{"id":1,"n":2}`, `{"id":2,"n":3}`)
	if len(o.rejects) != 1 || string(o.rejects[0].Row) != `{"id":1,"n":2}` {
		t.Errorf("rejected %v", o.rejects)
	}
	want(t, feedOf(t, openStore(t, path), 0), `1 1 v1 {"id":1,"n":1}`, `2 2 v1 {"id":2,"n":3}`)
}

func TestGetAndScan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	o := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), map[string]any{"path": path, "key": []string{"id"}})
	o.epoch(1, `{"id":"b%","n":1}`, `{"id":"a","n":2}`, `{"id":"bé","n":3}`, `{"id":"c","n":4}`, `{"id":"B","n":5}`)
	s := openStore(t, path)
	d, err := s.Get(ctx, "", "bé")
	if err != nil || string(d.Doc) != `{"id":"bé","n":3}` || d.Position != 3 || d.Epoch != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	d.Stored = time.Unix(0, 0).UTC()
	text, err := json.Marshal(d)
	if want := `{"id":"bé","version":1,"position":3,"stored":"1970-01-01T00:00:00Z","epoch":1,"doc":{"id":"bé","n":3},"time":"2022-09-28T22:13:22.0000000Z"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	if _, err := s.Get(ctx, "", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a document that is not there: %v", err)
	}
	f := func(q Query, ids ...string) {
		t.Helper()
		list, err := s.Scan(ctx, q)
		var got []string
		for _, d := range list {
			got = append(got, d.ID)
		}
		if err != nil || !slices.Equal(got, ids) {
			t.Errorf("%+v: %q, %v; want %q", q, got, err, ids)
		}
	}
	f(Query{}, "B", "a", "b%", "bé", "c")
	f(Query{Prefix: "b"}, "b%", "bé")
	f(Query{Prefix: "bé"}, "bé")
	f(Query{Limit: 2}, "B", "a")
	f(Query{Limit: 2, AfterID: "a"}, "b%", "bé")
	f(Query{AfterID: "c"})
	if r, err := s.Range(ctx); err != nil || r != (Range{1, 5, 5}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSpill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	state := disk.NewMem(1)
	o := openOutput(t, sinkEnv("job", rowColumns, state), map[string]any{"path": path, "key": []string{"id"}})
	text := strings.Repeat("x", 100_000)
	for i := range 200 {
		must(t, o.Write(ctx, 1, documents(t, fmt.Sprintf(`{"id":%d,"text":"%s"}`, i, text))))
	}
	must(t, o.Write(ctx, 1, documents(t, fmt.Sprintf(`{"id":200,"text":"%s"}`, text[:1<<16]+strings.Repeat("y", 1_900_000)))))
	if n := cap(o.Sink.(*sink).buf); n > 3*maxBuffered {
		t.Errorf("%d bytes are held in memory", n)
	}
	must(t, o.Prepare(ctx, 1, 0))
	must(t, o.Commit(ctx, 1))
	s := openStore(t, path)
	if r, err := s.Range(ctx); err != nil || r.Documents != 201 {
		t.Errorf("%+v, %v", r, err)
	}
	d, err := s.Get(ctx, "", "117")
	if err != nil || string(d.Doc) != fmt.Sprintf(`{"id":117,"text":"%s"}`, text) {
		t.Errorf("the document has %d bytes, %v", len(d.Doc), err)
	}
	if _, err := state.Stat(spillName); err == nil {
		t.Error("the file is left behind")
	}
}

// TestRetention: replaced entries go when they are old, documents and positions stay, and a
// reader from before is told.
func TestRetention(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	c := &clock{time.Unix(1_000_000, 0)}
	env := sinkEnv("job", rowColumns, disk.NewMem(1))
	env.Now = c.now
	o := openOutput(t, env, map[string]any{"path": path, "key": []string{"id"}, "retention": time.Hour})
	for i := range int64(6) {
		o.epoch(i+1, fmt.Sprintf(`{"id":%d,"n":%d}`, i%2, i), fmt.Sprintf(`{"id":"once %d"}`, i))
		c.t = c.t.Add(20 * time.Minute)
	}
	s := openStore(t, path)
	// Entries of the first three epochs are older than an hour now; three of them are documents.
	if _, err := s.Feed(ctx, 0, 10); !errors.Is(err, connect.ErrGone) {
		t.Errorf("from the start: %v", err)
	}
	r, err := s.Range(ctx)
	must(t, err)
	if r.First < 4 || r.First > 8 || r.Last != 12 || r.Documents != 8 {
		t.Errorf("%+v", r)
	}
	if list := feedOf(t, s, r.First-1); len(list) != int(r.Last-r.First+1) {
		t.Errorf("behind %d: %q", r.First-1, list)
	}
	if d, err := s.Get(ctx, "", "once 0"); err != nil || d.Position != 2 {
		t.Errorf("an old document: %+v, %v", d, err)
	}
	// An entry that was kept because it was the document goes when it is replaced.
	o.epoch(10, `{"id":"once 0","n":1}`)
	var n int
	must(t, s.read.QueryRow("SELECT count(*) FROM feed WHERE position = 2").Scan(&n))
	if n != 0 {
		t.Error("a replaced entry stays for ever")
	}
}

// TestOthersFile: what is no table of ours is refused and stays as it is.
func TestOthersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(path, []byte(strings.Repeat("some text of somebody's ", 100)), 0o600))
	if _, err := Create(path); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "no table of ours") {
		t.Errorf("a text: %v", err)
	}
	if b, _ := os.ReadFile(path); !strings.HasPrefix(string(b), "some text") {
		t.Error("the file was changed")
	}
	other := filepath.Join(t.TempDir(), "o.db")
	db, err := connection(other, 1)
	must(t, err)
	_, err = db.Exec("CREATE TABLE x (y)")
	must(t, errors.Join(err, db.Close()))
	if _, err := Create(other); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "no table of ours") {
		t.Errorf("another database: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	newer := filepath.Join(t.TempDir(), "n.db")
	s, err := Create(newer)
	must(t, err)
	_, err = s.write.Exec("PRAGMA user_version = 9")
	must(t, errors.Join(err, s.Close()))
	if _, err := Create(newer); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("a newer format: %v", err)
	}
}

// TestSinkSuite: the table has every row once. Only processes end: SQLite syncs by itself.
func TestSinkSuite(t *testing.T) {
	for _, values := range []map[string]any{{"key": []string{"id"}}, {}, {"key": []string{"id"}, "mode": "merge", "partition": "id"}} {
		connecttest.Sinks{New: func(t testing.TB) *connecttest.Target {
			v := map[string]any{"path": filepath.Join(t.TempDir(), "t.db")}
			for k, x := range values {
				v[k] = x
			}
			return &connecttest.Target{
				Open: func(env connect.SinkEnv) (connect.Sink, error) { return openSink(ctx, config(v), env) },
				Rows: func() ([]connecttest.Row, error) { return feedRows(v["path"].(string)) },
			}
		}}.Run(t)
	}
}

func feedRows(path string) (rows []connecttest.Row, err error) {
	s, err := Create(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	list, err := s.Feed(ctx, 0, MaxLimit)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		var r connecttest.Row
		if err := json.Unmarshal(d.Doc, &r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// TestSourceSuite: the feed is read as the contract says.
func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		path := filepath.Join(t.TempDir(), "t.db")
		o := openOutput(t, sinkEnv("writer", connecttest.Columns(), disk.NewMem(1)), map[string]any{"path": path, "key": []string{"id"}})
		n := int64(0)
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Add = func(rows []connecttest.Row) error {
			for some := range slices.Chunk(rows, 7) {
				n++
				must(t, o.Write(ctx, n, connecttest.Batch(some)))
				must(t, o.Prepare(ctx, n, 0))
				must(t, o.Commit(ctx, n))
			}
			return nil
		}
		must(t, f.Add(f.Rows))
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return openSource(ctx, config(map[string]any{"path": path}), env)
		}
		return f
	}}.Run(t)
}

func TestSeekAndClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	c := &clock{time.Unix(1_000_000, 0)}
	src, err := openSource(ctx, config(map[string]any{"path": path}), connect.SourceEnv{Now: c.now}) // before there is a table
	must(t, err)
	defer src.Close()
	r, err := src.Open(ctx, "0", "")
	must(t, err)
	defer r.Close()
	read := func() connect.Chunk {
		t.Helper()
		c.t = c.t.Add(time.Second)
		chunk, err := r.Read(ctx, 1<<20, "")
		must(t, err)
		return chunk
	}
	if got := read(); got.Clock != toTime(c.t) || got.Next != "0" {
		t.Errorf("an empty table: %+v", got)
	}
	env := sinkEnv("job", rowColumns, disk.NewMem(1))
	env.Now = c.now
	o := openOutput(t, env, map[string]any{"path": path, "key": []string{"id"}})
	start := c.t
	for i := range int64(100) {
		o.epoch(i+1, fmt.Sprintf(`{"id":%d}`, i))
		if i%2 == 1 {
			c.t = c.t.Add(time.Second)
		}
	}
	got := read()
	if len(got.Marks) != 100 || got.Clock > got.Marks[99].Arrival || got.Next != "100" {
		t.Errorf("%d changes, clock %v, next %q", len(got.Marks), got.Clock, got.Next)
	}
	if m := got.Marks[7]; m.Offset != 8 || m.Arrival != toTime(start.Add(3*time.Second)) || m.Properties["DocumentId"].Str != "7" {
		t.Errorf("%+v", m)
	}
	if got := read(); got.Clock != toTime(c.t) {
		t.Errorf("idle: clock %v, want %v", got.Clock, toTime(c.t))
	}
	// While somebody writes, the clock stands: their changes may have an earlier time.
	before := read().Clock
	tx, err := o.Sink.(*sink).store.write.Begin()
	must(t, err)
	if got := read(); got.Clock > before {
		t.Errorf("the clock goes to %v while a change may be stored before it", got.Clock)
	}
	must(t, tx.Rollback())
	f := func(at vec.Time, want connect.Position) {
		t.Helper()
		if got, err := src.Seek(ctx, "0", at); err != nil || got != want {
			t.Errorf("seek %v: %q, %v; want %q", at, got, err, want)
		}
	}
	f(vec.MinTime, "0")
	f(vec.MaxTime, "100")
	f(toTime(start), "0")
	f(toTime(start)+1, "2")
	f(toTime(start.Add(10*time.Second)), "20")
	f(toTime(start.Add(time.Hour)), "100")
	if _, err := src.Open(ctx, "0", "101"); err == nil {
		t.Error("a position that never was is taken")
	}
}

// TestReady: a follower hears of changes by this process and by others.
func TestReady(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	o := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), map[string]any{"path": path, "key": []string{"id"}})
	s := openStore(t, path)
	done := make(chan error, 1)
	wait := func(after int64) { go func() { done <- s.Wait(ctx, after) }() }
	wait(0)
	o.epoch(1, `{"id":1}`)
	must(t, <-done)
	wait(1)
	must(t, child(path, "5", 1).Run())
	must(t, <-done)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := s.Wait(short, 1<<40); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait that was cancelled: %v", err)
	}
}

const childEnv = "WEIR_TEST_TABLE_WRITER"

// child is this test as a process of its own that writes epochs of ten changes each.
func child(path, job string, epochs int) *exec.Cmd {
	c := exec.Command(os.Args[0], "-test.run=TestChild$")
	c.Env = append(os.Environ(), childEnv+"="+path, "WEIR_TEST_JOB="+job, "WEIR_TEST_EPOCHS="+strconv.Itoa(epochs))
	return c
}

// TestChild is the body of child. It goes on where the table is, as the runner does.
func TestChild(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		return
	}
	epochs, err := strconv.ParseInt(os.Getenv("WEIR_TEST_EPOCHS"), 10, 64)
	must(t, err)
	o := openOutput(t, sinkEnv(os.Getenv("WEIR_TEST_JOB"), rowColumns, disk.NewMem(1)), map[string]any{"path": path, "key": []string{"id", "job"}})
	last, err := o.Committed(ctx)
	must(t, err)
	for n := last + 1; n <= epochs; n++ {
		var rows []string
		for i := range 10 {
			rows = append(rows, fmt.Sprintf(`{"id":%d,"job":%q,"epoch":%d}`, (int(n)+i)%25, os.Getenv("WEIR_TEST_JOB"), n))
		}
		o.epoch(n, rows...)
	}
}

// TestKillAndShare: two processes write a table, are killed again and again, and this one
// reads meanwhile. The feed then has each epoch of each once, in order and whole.
func TestKillAndShare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	s, err := Create(path)
	must(t, err)
	defer s.Close()
	const epochs = 150
	ended := make(chan string)
	for _, job := range []string{"a", "b"} {
		go func() {
			for kills := 0; ; kills++ {
				c := child(path, job, epochs)
				if err := c.Start(); err != nil {
					ended <- err.Error()
					return
				}
				if kills < 6 {
					after, cancel := context.WithTimeout(ctx, 10*time.Second)
					r, err := s.Range(ctx)
					if err == nil {
						_ = s.Wait(after, r.Last+int64(kills*20)) // or it has ended
					}
					cancel()
					_ = c.Process.Kill()
				}
				if err := c.Wait(); err == nil || kills >= 6 {
					text := ""
					if err != nil {
						text = err.Error()
					}
					ended <- text
					return
				}
			}
		}()
	}
	at, seen := int64(0), map[string]int64{}
	for running := 2; ; {
		list, err := s.Feed(ctx, at, 0)
		must(t, err)
		for _, d := range list {
			var row struct {
				Job   string
				Epoch int64
			}
			must(t, json.Unmarshal(d.Doc, &row))
			if n := seen[row.Job]; d.Position != at+1 || row.Epoch != n/10+1 {
				t.Fatalf("position %d behind %d, epoch %d of %s behind %d changes", d.Position, at, row.Epoch, row.Job, n)
			}
			seen[row.Job]++
			at = d.Position
		}
		if len(list) > 0 {
			continue
		}
		if running == 0 {
			break
		}
		select {
		case text := <-ended:
			if text != "" {
				t.Errorf("a writer ended with %s", text)
			}
			running--
		case <-time.After(time.Millisecond):
		}
	}
	if seen["a"] != epochs*10 || seen["b"] != epochs*10 {
		t.Errorf("changes %v, want %d each", seen, epochs*10)
	}
}

func TestCheck(t *testing.T) {
	f := func(values map[string]any, want string) {
		t.Helper()
		got := fmt.Sprint(check(config(values), false))
		if want == "" && got != "[]" || !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %q", values, got, want)
		}
	}
	f(map[string]any{}, "")
	f(map[string]any{"key": []string{"a", "b"}, "mode": "merge"}, "")
	f(map[string]any{"mode": "upsert"}, "upsert needs a key")
	f(map[string]any{"key": []string{"a", "A"}}, "stands twice")
	f(map[string]any{"retention": -time.Second}, "negative")
}

// BenchmarkCommit: epochs of 1000 rows, upserted over 100,000 ids, each on the disk.
func BenchmarkCommit(b *testing.B) {
	o := openOutput(b, sinkEnv("job", connecttest.Columns(), disk.NewMem(1)), map[string]any{"path": filepath.Join(b.TempDir(), "t.db"), "key": []string{"id"}})
	n := int64(0)
	for b.Loop() {
		n++
		rows := make([]connecttest.Row, 1000)
		for i := range rows {
			rows[i] = connecttest.Row{ID: (n*1000 + int64(i)*97) % 100_000, Text: "some text of a row that is not long"}
		}
		must(b, o.Write(ctx, n, connecttest.Batch(rows)))
		must(b, o.Prepare(ctx, n, 0))
		must(b, o.Commit(ctx, n))
	}
	b.ReportMetric(float64(n*1000)/b.Elapsed().Seconds(), "rows/s")
}

// TestTwice: a job runs twice, with a copy of its state. The one that comes second must not
// take the other's epoch for its own.
func TestTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	values := map[string]any{"path": path, "key": []string{"n"}}
	a := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(1)), values)
	a.epoch(1, `{"n":1}`)
	b := openOutput(t, sinkEnv("job", rowColumns, disk.NewMem(2)), values)
	a.epoch(2, `{"n":2}`)
	must(t, b.Write(ctx, 2, documents(t, `{"n":3}`)))
	must(t, b.Prepare(ctx, 2, vec.MaxTime))
	for range 2 {
		if err := b.Commit(ctx, 2); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "the job is running twice") {
			t.Errorf("error %v", err)
		}
	}
	want(t, feedOf(t, openStore(t, path), 0), `1 1 v1 {"n":1}`, `2 2 v1 {"n":2}`)
	// An answer that was lost.
	must(t, a.Write(ctx, 3, documents(t, `{"n":4}`)))
	must(t, a.Prepare(ctx, 3, vec.MaxTime))
	s := a.Sink.(*sink)
	_, err := s.store.commit(ctx, s.id, s.mode, 3, time.Now(), func(put func(put) error) error {
		return s.each(func(_ int64, f frame) error { return put(f.put) })
	})
	must(t, err)
	s.doubt = 3
	must(t, a.Commit(ctx, 3))
	want(t, feedOf(t, openStore(t, path), 2), `3 4 v1 {"n":4}`)
}
