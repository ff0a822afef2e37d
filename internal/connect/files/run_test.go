package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// records is a log that several sinks may write at once: one that was left and the next.
type records struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// output is a sink driven by hand.
type output struct {
	t        *testing.T
	d        disk.FS
	state    disk.FS
	m        *disk.Mem
	text     string
	change   func(*settings)
	format   connect.Format
	cols     connect.Columns
	inst     string
	rejected []connect.RowError
	log      records
	sink     connect.Sink
	n        int64
	store    *shelf // instead of d
	up       *uploads
}

func newOutput(t *testing.T, text string, change func(*settings)) *output {
	o := &output{t: t, m: disk.NewMem(5), text: text, change: change, cols: connecttest.Columns(), inst: "i"}
	o.d = o.m
	return o
}

func (o *output) open() error {
	var err error
	d := o.d
	if o.m != nil {
		d = o.m.Boot()
		if o.state, err = d.Sub("state"); err != nil {
			return err
		}
	}
	cfg := config(o.t, o.text, o.format, o.cols)
	if o.change != nil {
		o.change(&cfg)
	}
	if o.store != nil {
		if d = nil; o.up != nil {
			o.up.stop()
		}
		o.up = newUploads(o.store)
	}
	o.sink, err = openSink(d, o.up, cfg, connect.SinkEnv{Job: "job", Output: "out", Instance: o.inst, Columns: o.cols, Format: o.format, State: o.state,
		Reject: func(e connect.RowError) error { o.rejected = append(o.rejected, e); return nil },
		Log:    slog.New(slog.NewTextHandler(&o.log, nil)), Now: func() time.Time { return time.Unix(0, 0) }})
	return err
}

func (o *output) epoch(mark vec.Time, b *vec.Batch) error {
	o.n++
	return o.repeat(mark, b)
}

func (o *output) repeat(mark vec.Time, b *vec.Batch) error {
	ctx := context.Background()
	if b != nil {
		if err := o.sink.Write(ctx, o.n, b); err != nil {
			return err
		}
	}
	if err := o.sink.Prepare(ctx, o.n, mark); err != nil {
		return err
	}
	return o.sink.Commit(ctx, o.n)
}

// files are the names of what can be seen.
func (o *output) files() string {
	o.t.Helper()
	files, err := tree(o.d, ".")
	ok(o.t, err)
	return strings.Join(slices.Sorted(maps.Keys(files)), " ")
}

func (o *output) want(files string) {
	o.t.Helper()
	list := strings.Fields(files)
	slices.Sort(list)
	files = strings.Join(list, " ")
	if got := o.files(); got != files {
		o.t.Errorf("there are %s, and must be %s", got, files)
	}
}

// rows makes rows at seconds of a day, each with the text.
func rows(text string, seconds ...int) *vec.Batch {
	b := &vec.Batch{N: len(seconds), Cols: make([]vec.Vec, 2)}
	for _, s := range seconds {
		b.Time = append(b.Time, second(s))
		b.Cols[0].Append(vec.IntValue(int64(s)))
		b.Cols[1].Append(vec.StringValue(text))
	}
	return b
}

func second(s int) vec.Time { return vec.FromCivil(2024, 2, 29) + vec.Time(s)*vec.Second }

// TestSpans finishes a file when its span of time has passed, and not before.
func TestSpans(t *testing.T) {
	o := newOutput(t, "{date}/{datetime:HHmm}.json", nil)
	ok(t, o.open())
	ok(t, o.epoch(second(50), rows("x", 0, 30, 50)))
	o.want("")
	ok(t, o.epoch(second(60)-2, rows("x", 59)))
	o.want("")
	ok(t, o.epoch(second(60)-1, nil)) // no row of that time or older comes
	o.want("2024/02/29/0000.json _manifest.jsonl")
	ok(t, o.epoch(second(61), rows("x", 60, 61)))
	ok(t, o.epoch(second(600), rows("x", 200)))
	o.want("2024/02/29/0000.json 2024/02/29/0001.json 2024/02/29/0003.json _manifest.jsonl")
	got, err := rowsOf(o.d, o.format)
	ok(t, err)
	var ids []int64
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, []int64{0, 30, 50, 59, 60, 61, 200}) {
		t.Error(ids)
	}
	ok(t, o.epoch(vec.MaxTime, rows("x", 700)))
	o.want("2024/02/29/0000.json 2024/02/29/0001.json 2024/02/29/0003.json 2024/02/29/0011.json _manifest.jsonl")
}

// TestLateRow has a row that the contract rules out: it is not lost in silence, and the
// finished file stays.
func TestLateRow(t *testing.T) {
	o := newOutput(t, "{date}/{datetime:HHmm}.json", nil)
	ok(t, o.open())
	ok(t, o.epoch(second(60), rows("x", 1)))
	err := o.epoch(second(61), rows("x", 2))
	if !connect.IsPermanent(err) || !strings.Contains(err.Error(), "not overwritten") {
		t.Error(err)
	}
	got, err := rowsOf(o.d, o.format)
	if err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

// TestLimits has files that are complete by rows, bytes and age, and numbers that count on
// over restarts.
func TestLimits(t *testing.T) {
	f := func(change func(*settings), want string) {
		t.Helper()
		o := newOutput(t, "{text}-{n}", change)
		ok(t, o.open())
		ok(t, o.epoch(second(2), rows("a", 0, 1, 2)))
		ok(t, o.epoch(second(3), rows("b", 3)))
		ok(t, o.sink.Close())
		ok(t, o.open())
		ok(t, o.epoch(second(7), rows("a", 4, 5, 6, 7)))
		ok(t, o.epoch(second(20), nil))
		o.want(want + " _manifest.jsonl")
		ok(t, o.epoch(vec.MaxTime, nil))
		got, err := rowsOf(o.d, o.format)
		if err != nil || len(got) != 8 {
			t.Error(len(got), err)
		}
	}
	f(func(s *settings) { s.maxRows = 2 }, "a-0 a-1 a-2")
	f(func(s *settings) { s.maxRows = 7 }, "a-0")
	f(func(s *settings) { s.maxSize = 30 }, "a-0 a-1")
	f(func(s *settings) { s.maxAge = 15 * time.Second }, "a-0 b-0")
	f(func(s *settings) { s.maxAge = 5 * time.Second }, "a-0 b-0")
	f(func(s *settings) { s.maxAge = 2 * time.Second }, "a-0 a-1 b-0")
}

// TestReplay writes the same epochs again from a fresh state: the same files come, byte for
// byte, whatever is between.
func TestReplay(t *testing.T) {
	var want map[string][]byte
	for round := range 4 {
		o := newOutput(t, "{date}/{datetime:HHmm}/{text}{ext}", func(s *settings) { s.maxOpen = 1 + round })
		o.format = connect.Format{Array: true, Compression: "gzip"}
		ok(t, o.open())
		r := rand.New(rand.NewPCG(1, 1))
		for s := 0; s < 600; s += 20 {
			b := rows(string(rune('a'+r.IntN(5))), s, s+5, s+19)
			ok(t, o.epoch(second(s+19), b))
			if round > 1 && s%100 == 0 {
				ok(t, o.sink.Sync(context.Background()))
				o.m.Crash()
				ok(t, o.open())
			} else if round > 0 && s%80 == 0 {
				o.m.Kill()
				ok(t, o.open())
			}
		}
		ok(t, o.epoch(vec.MaxTime, nil))
		files, err := tree(o.d, ".")
		ok(t, err)
		if len(files) < 20 {
			t.Fatalf("%d files", len(files))
		}
		if want == nil {
			want = files
		}
		if !maps.EqualFunc(files, want, bytes.Equal) {
			t.Errorf("round %d has other files: %s", round, o.files())
		}
	}
}

// TestExists has files that are there from before.
func TestExists(t *testing.T) {
	put := func(o *output, name string) {
		ok(t, o.d.MkdirAll("2024/02/29"))
		f, err := o.d.Create("2024/02/29/" + name)
		ok(t, err)
		_, err = f.Write([]byte("theirs\n"))
		ok(t, err)
	}
	o := newOutput(t, "{date}/x", nil)
	put(o, "x")
	ok(t, o.open())
	if err := o.epoch(vec.MaxTime, rows("x", 1)); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "exists: replace") {
		t.Error(err)
	}
	o = newOutput(t, "{date}/x", nil)
	ok(t, o.open())
	ok(t, o.epoch(second(1), rows("x", 1)))
	put(o, "x") // comes while the rows are collected
	if err := o.epoch(vec.MaxTime, nil); !connect.IsPermanent(err) {
		t.Error(err)
	}
	if b, _ := tree(o.d, "2024"); string(b["2024/02/29/x"]) != "theirs\n" {
		t.Error("it was overwritten")
	}
	o = newOutput(t, "{date}/x", func(s *settings) { s.replace = true })
	put(o, "x")
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rows("x", 1)))
	if got, err := rowsOf(o.d, o.format); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	o = newOutput(t, "{date}/x{n}", nil)
	put(o, "x0")
	put(o, "x1")
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rows("x", 1)))
	o.want("2024/02/29/x0 2024/02/29/x1 2024/02/29/x2 _manifest.jsonl")
	// Another instance goes on behind it, and keeps what the one before left unfinished.
	ok(t, o.sink.Close())
	o.inst, o.n = "between", 0
	ok(t, o.open())
	ok(t, o.epoch(second(1), rows("x", 1)))
	ok(t, o.sink.Close())
	o.inst, o.n = "j", 0
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rows("x", 1)))
	o.want("2024/02/29/x0 2024/02/29/x1 2024/02/29/x2 2024/02/29/x3 _manifest.jsonl")
	if !strings.Contains(o.log.String(), "kept aside") {
		t.Error(o.log.String())
	}
}

// TestBothNames has a loss of power that keeps the new name of a file and the old one in our
// own directory, as file systems may between two directories.
func TestBothNames(t *testing.T) {
	o := newOutput(t, "{date}/x", nil)
	ok(t, o.open())
	ok(t, o.epoch(second(1), rows("x", 1)))
	o.m.Hook(func(op disk.Op, name string) error {
		if op == disk.OpRename {
			return errors.New("no")
		}
		return nil
	})
	if err := o.epoch(vec.MaxTime, nil); err == nil {
		t.Fatal("finished without a rename")
	}
	o.m.Hook(nil)
	files, err := tree(o.d, ownName("job", "out"))
	ok(t, err)
	part := path.Join(ownName("job", "out"), partName(1))
	ok(t, o.d.MkdirAll("2024/02/29"))
	f, err := o.d.Create("2024/02/29/x")
	ok(t, err)
	_, err = f.Write(files[part])
	ok(t, err)
	ok(t, f.Sync())
	o.m.Kill()
	ok(t, o.open())
	ok(t, o.repeat(vec.MaxTime, nil))
	o.want("2024/02/29/x _manifest.jsonl")
	if _, err := o.d.Stat(part); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", part, err)
	}
	if got, err := rowsOf(o.d, o.format); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

// TestReject has rows that no name can be made of.
func TestReject(t *testing.T) {
	o := newOutput(t, "{text}/{date}", nil)
	ok(t, o.open())
	b := rows("x", 1, 2, 3, 4)
	b.Cols[1].Set(1, vec.TimeValue(5))
	b.Cols[1].Set(2, vec.RecordValue(&vec.Rec{Names: []string{"a"}, Vals: []vec.Value{vec.IntValue(1)}}))
	ok(t, o.epoch(vec.MaxTime, b))
	if len(o.rejected) != 2 || o.rejected[0].Column != "text" || o.rejected[0].Name != "OutputDataConversionError.TypeConversionError" ||
		string(o.rejected[1].Row) != `{"id":3,"text":{"a":1}}` || o.rejected[1].Time != second(3) {
		t.Errorf("%+v", o.rejected)
	}
	if got, err := rowsOf(o.d, o.format); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
	// An error from Reject ends the epoch; the next try tells again.
	o = newOutput(t, "{text}/{date}", func(s *settings) { s.maxFiles = 1 })
	ok(t, o.open())
	ok(t, o.epoch(second(1), rows("a", 1)))
	ok(t, o.epoch(vec.MaxTime, rows("b", 2)))
	if len(o.rejected) != 1 || !strings.Contains(o.rejected[0].Reason, "max_files") {
		t.Errorf("%+v", o.rejected)
	}
}

// TestManyKeys has more files than may be open, and more than may be unfinished.
func TestManyKeys(t *testing.T) {
	o := newOutput(t, "{text}/{n}", func(s *settings) { s.maxOpen, s.maxFiles, s.maxRows = 3, 50, 1000 })
	ok(t, o.open())
	n := 0
	for e := range 10 {
		all := &vec.Batch{Cols: make([]vec.Vec, 2)}
		for k := range 40 {
			n++
			b := rows(fmt.Sprint("key", e*20+k), e)
			all.N++
			all.Time = append(all.Time, b.Time[0])
			all.Cols[0].Append(b.Cols[0].At(0))
			all.Cols[1].Append(b.Cols[1].At(0))
		}
		ok(t, o.epoch(second(e), all))
		s := o.sink.(*sink)
		if len(s.open) > 3 || len(s.files) > 50 {
			t.Fatalf("%d open, %d unfinished", len(s.open), len(s.files))
		}
		ok(t, o.sink.Sync(context.Background()))
	}
	ok(t, o.epoch(vec.MaxTime, nil))
	got, err := rowsOf(o.d, o.format)
	if err != nil || len(got) != n {
		t.Error(len(got), n, err)
	}
}

// TestHostile writes hostile values to a real directory, with a canary beside it and links
// in it that lead out.
func TestHostile(t *testing.T) {
	top := t.TempDir()
	canary := filepath.Join(top, "canary")
	ok(t, os.WriteFile(canary, []byte("alive"), 0o600))
	ok(t, os.MkdirAll(filepath.Join(top, "outside"), 0o700))
	d, err := disk.Shared(filepath.Join(top, "out"))
	ok(t, err)
	ok(t, os.Symlink(filepath.Join(top, "outside"), filepath.Join(top, "out", "link")))
	state, err := disk.At(filepath.Join(top, "state"))
	ok(t, err)
	o := newOutput(t, "{text}/{date}.json", nil)
	o.m, o.d, o.state = nil, d, state
	ok(t, o.open())
	values := []string{"../../x", "../canary", "/etc/x", "..\\x", "a\x00b", "a\nb", "CON", strings.Repeat("x", 5000), "．．／", "🚀", "", "..", ".", "~", "-rf", "%2e%2e", "_manifest.jsonl", ".weir-x"}
	for i, v := range values {
		ok(t, o.epoch(second(i), rows(v, i)))
	}
	ok(t, o.epoch(vec.MaxTime, nil))
	got, err := rowsOf(d, o.format)
	ok(t, err)
	if len(got) != len(values) {
		t.Errorf("%d rows of %d", len(got), len(values))
	}
	// A link in the directory is not followed out of it.
	err = o.epoch(vec.MaxTime, rows("link", 99))
	if err == nil {
		t.Error("a file went through a link")
	}
	list, err := os.ReadDir(filepath.Join(top, "outside"))
	if err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	list, err = os.ReadDir(top)
	if b, e := os.ReadFile(canary); err != nil || e != nil || string(b) != "alive" || len(list) != 4 {
		t.Error(list, err, e)
	}
}

// TestTwo has a second process on the same output, and another output on the same manifest.
func TestTwo(t *testing.T) {
	o := newOutput(t, "{date}/x{n}", nil)
	ok(t, o.open())
	first := o.sink
	state, err := o.m.Boot().Sub("other")
	ok(t, err)
	_, err = openSink(o.m.Boot(), nil, config(t, o.text, o.format, o.cols), connect.SinkEnv{Job: "job", Output: "out", State: state, Columns: o.cols})
	if !connect.IsPermanent(err) || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	second, err := openSink(o.m.Boot(), nil, config(t, "b/{date}", o.format, o.cols), connect.SinkEnv{Job: "job", Output: "out2", State: state, Columns: o.cols,
		Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(t, err)
	ctx := context.Background()
	ok(t, second.Write(ctx, 1, rows("x", 1)))
	ok(t, second.Prepare(ctx, 1, vec.MaxTime))
	ok(t, second.Commit(ctx, 1))
	o.sink = first
	if err := o.epoch(vec.MaxTime, rows("x", 1)); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "manifest of its own") {
		t.Error(err)
	}
}

// TestRecords has rows that are records: columns of names are their fields.
func TestRecords(t *testing.T) {
	o := newOutput(t, "{Team}/{date}{ext}", nil)
	o.cols = connect.Columns{Names: []string{"*"}, Row: true}
	o.format = connect.Format{Type: "csv"}
	ok(t, o.open())
	rec := func(text string) *vec.Batch {
		v, err := vec.ParseJSON([]byte(text))
		ok(t, err)
		return &vec.Batch{N: 1, Time: []vec.Time{second(1)}, Cols: []vec.Vec{vec.Values(v)}}
	}
	ok(t, o.epoch(second(1), rec(`{"team":"a","x":1}`)))
	ok(t, o.epoch(second(1), rec(`{"y":2}`)))
	o.m.Kill()
	ok(t, o.open())
	ok(t, o.epoch(vec.MaxTime, rec(`{"x":3,"team":"a","z":1}`)))
	files, err := tree(o.d, ".")
	ok(t, err)
	delete(files, "_manifest.jsonl")
	got := map[string]string{}
	for n, b := range files {
		got[n] = string(b)
	}
	b, _ := json.Marshal(got)
	if want := `{"%NULL/2024/02/29.csv":"y\n2\n","a/2024/02/29.csv":"team,x\na,1\na,3\n"}`; string(b) != want {
		t.Errorf("%s\n%s", b, want)
	}
}

// TestSpill has an epoch that does not fit the memory for it, and fails half-way.
func TestSpill(t *testing.T) {
	o := newOutput(t, "{text}/{date}", nil)
	ok(t, o.open())
	ctx := context.Background()
	ok(t, o.epoch(second(1), rows("a", 1)))
	s := o.sink.(*sink)
	o.n = 2
	ok(t, o.sink.Write(ctx, 2, rows("a", 2)))
	s.held = maxHeld // as if much more had come
	ok(t, o.sink.Write(ctx, 2, rows("b", 3)))
	ok(t, o.sink.Write(ctx, 2, rows("a", 4)))
	o.m.Kill()
	ok(t, o.open()) // the epoch did not happen
	ok(t, o.sink.Write(ctx, 2, rows("a", 5)))
	o.sink.(*sink).held = maxHeld
	ok(t, o.sink.Write(ctx, 2, rows("b", 6)))
	o.m.FailAt(2, disk.ErrFull)
	err := o.repeat(vec.MinTime, rows("a", 7))
	if err != nil {
		ok(t, o.sink.Commit(ctx, 2))
	}
	ok(t, o.epoch(vec.MaxTime, nil))
	got, err := rowsOf(o.d, o.format)
	ok(t, err)
	var ids []int64
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, []int64{1, 5, 7, 6}) {
		t.Error(ids)
	}
}
