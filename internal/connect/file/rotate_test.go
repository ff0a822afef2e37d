package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// follower is a source over real files, with a clock and a log of its own.
type follower struct {
	t      *testing.T
	dir    string
	path   string
	change func(*settings)
	format connect.Format
	now    time.Time
	log    bytes.Buffer
	state  *disk.Mem
	src    connect.Source
	r      connect.Reader
	pos    connect.Position
	steps  []followed
	d      *decodeChunks
}

type followed struct {
	after, next connect.Position
	events      []string
}

func follow(t *testing.T, path string, change func(*settings)) *follower {
	t.Helper()
	f := &follower{t: t, dir: t.TempDir(), path: path, change: change, now: time.Unix(1_700_000_000, 0), state: disk.NewMem(1), d: &decodeChunks{}}
	f.reopen()
	t.Cleanup(func() { f.r.Close(); f.src.Close() })
	return f
}

// reopen goes on in another process.
func (f *follower) reopen() {
	f.t.Helper()
	if f.r != nil {
		f.r.Close()
		f.src.Close()
	}
	p, err := newPattern(filepath.Join(f.dir, f.path))
	ok(f.t, err)
	s := settings{pattern: p, follow: true, scan: time.Second, wait: 5 * time.Second, open: 64}
	if f.change != nil {
		f.change(&s)
	}
	f.state.Kill()
	state, err := f.state.Boot().Sub("in")
	ok(f.t, err)
	f.src, err = openSource(disk.View(p.root), s, connect.SourceEnv{State: state, Now: func() time.Time { return f.now }, Format: f.format,
		Log: slog.New(slog.NewTextHandler(&f.log, nil))})
	ok(f.t, err)
	f.d.d = nil
	f.r, err = f.src.Open(context.Background(), partition, f.pos)
	ok(f.t, err)
}

func (f *follower) file(name string) string { return filepath.Join(f.dir, name) }

func (f *follower) add(name, text string) {
	f.t.Helper()
	ok(f.t, os.MkdirAll(filepath.Dir(f.file(name)), 0o700))
	ok(f.t, appendTo(f.file(name), []byte(text)))
}

// later lets time pass, and reads what there is: its events as "a" alone.
func (f *follower) later(d time.Duration) string {
	f.t.Helper()
	f.now = f.now.Add(d)
	var got []string
	for {
		c, err := f.r.Read(context.Background(), 1<<20, "")
		ok(f.t, err)
		if len(c.Data) == 0 {
			return strings.Join(got, " ")
		}
		f.d.events = nil
		ok(f.t, f.d.chunk(&c))
		f.steps = append(f.steps, followed{f.pos, c.Next, f.d.events})
		f.pos = c.Next
		for _, e := range f.d.events {
			got = append(got, e[strings.LastIndexByte(e, ' ')+1:])
		}
	}
}

func (f *follower) want(d time.Duration, events string) {
	f.t.Helper()
	if got := f.later(d); got != events {
		f.t.Errorf("%q, and must be %q", got, events)
	}
}

// again reads every chunk that ever came once more, in another process.
func (f *follower) again() {
	f.t.Helper()
	pos := f.pos
	for _, s := range f.steps {
		f.pos = s.after
		f.reopen()
		c, err := f.r.Read(context.Background(), 1, s.next)
		if err != nil {
			f.t.Fatalf("from %q to %q: %v", s.after, s.next, err)
		}
		f.d.events = nil
		ok(f.t, f.d.chunk(&c))
		if !slices.Equal(f.d.events, s.events) || c.Next != s.next {
			f.t.Fatalf("from %q to %q: %q, and was %q", s.after, s.next, f.d.events, s.events)
		}
	}
	f.pos = pos
	f.reopen()
}

func e(n ...int) string {
	var b strings.Builder
	for _, i := range n {
		fmt.Fprintf(&b, "{\"a\":%d}\n", i)
	}
	return b.String()
}

const soon, long = 2 * time.Second, 10 * time.Second

// TestGrow has a file that grows, and lines without end.
func TestGrow(t *testing.T) {
	f := follow(t, "log", nil)
	f.want(soon, "")
	f.add("log", e(1, 2)+"{\"a\":")
	f.want(soon, "1 2")
	f.want(0, "")
	f.add("log", "3}")
	f.want(0, "")
	f.want(long, "")
	f.add("log", "\n"+e(4))
	f.want(0, "3 4") // no look at the directory is needed
	f.reopen()
	f.want(long, "")
	f.add("log", e(5))
	f.want(0, "5")
	f.again()
	f.want(soon, "")
}

// TestRename has a file that is moved away and begun anew, with a writer that keeps it.
func TestRename(t *testing.T) {
	for _, pattern := range []string{"log", "log*"} {
		for _, restart := range []bool{false, true} {
			f := follow(t, pattern, nil)
			f.add("log", e(1, 2))
			f.want(soon, "1 2")
			ok(t, os.Rename(f.file("log"), f.file("log.1")))
			f.add("log", e(4))
			f.add("log.1", e(3))
			if restart {
				f.reopen()
			}
			f.want(soon, "3 4")
			f.add("log.1", "{\"a\":5}") // no line end: it is whole once the file is known to be left
			f.add("log", e(6))
			f.want(soon, "6")
			if pattern == "log" {
				f.want(long, "5")
			}
			f.add("log", e(7))
			f.want(soon, "7")
			ok(t, os.Rename(f.file("log.1"), f.file("log.2")))
			ok(t, os.Rename(f.file("log"), f.file("log.1")))
			f.add("log", e(8))
			f.want(soon, "8")
			f.want(long, "")
			f.again()
			f.want(long, "")
		}
	}
}

// TestTruncate has a file that is emptied and written anew, shorter, longer and equal.
func TestTruncate(t *testing.T) {
	f := follow(t, "log", nil)
	f.add("log", e(1, 2, 3))
	f.want(soon, "1 2 3")
	ok(t, os.Truncate(f.file("log"), 0))
	f.want(soon, "")
	f.add("log", e(4))
	f.want(soon, "4")
	ok(t, os.WriteFile(f.file("log"), []byte(e(5, 6, 7, 8)), 0o600)) // longer at once: its start tells
	f.want(soon, "5 6 7 8")
	f.reopen()
	ok(t, os.WriteFile(f.file("log"), []byte(e(9)), 0o600))
	f.want(soon, "9")
	f.want(long, "")
}

// TestReplace has another file under the name.
func TestReplace(t *testing.T) {
	f := follow(t, "log", nil)
	f.add("log", e(1))
	f.want(soon, "1")
	f.add("new", e(1, 2))
	ok(t, os.Rename(f.file("new"), f.file("log")))
	f.want(soon, "1 2")
	f.want(long, "")
	ok(t, os.Remove(f.file("log")))
	f.want(long, "")
	f.add("log", e(3))
	f.want(long, "3")
	f.reopen()
	f.want(long, "")
}

// TestGone reads a range again whose file is no longer there.
func TestGone(t *testing.T) {
	f := follow(t, "log", nil)
	f.add("log", e(1))
	f.want(soon, "1")
	ok(t, os.Remove(f.file("log")))
	f.pos = ""
	f.reopen()
	_, err := f.r.Read(context.Background(), 1, f.steps[0].next)
	if !errors.Is(err, connect.ErrGone) || !strings.Contains(err.Error(), "log") {
		t.Error(err)
	}
	f.add("log", e(2, 2))
	f.reopen()
	if _, err := f.r.Read(context.Background(), 1, f.steps[0].next); !errors.Is(err, connect.ErrGone) {
		t.Error(err)
	}
}

// TestMany has files that grow side by side, come late, in any order, and are too many.
func TestMany(t *testing.T) {
	f := follow(t, "**/*.log", func(s *settings) { s.open = 2 })
	f.add("b.log", e(1))
	f.add("a/x.log", e(2))
	f.add("a/y.txt", e(99))
	f.want(soon, "2 1") // a/x comes before b
	f.add("b.log", e(3))
	f.add("a/x.log", e(4))
	if got := f.later(0); got != "3 4" && got != "4 3" {
		t.Error(got)
	}
	f.add("0.log", e(5)) // before all in the order of names, and after all in time
	f.want(soon, "5")
	f.add("a/deep/er/z.log", e(6))
	f.want(soon, "6")
	f.add("a/deep/er/z.log", e(7))
	f.add("0.log", e(8))
	if got := f.later(0); got != "7 8" && got != "8 7" {
		t.Error(got)
	}
	f.again()
	f.want(long, "")
}

// TestCSVGrow goes to and fro between two files with other columns.
func TestCSVGrow(t *testing.T) {
	f := follow(t, "*.csv", nil)
	f.format.Type, f.d.csv = "csv", true
	f.reopen()
	f.add("1.csv", "a,b\n1,x\n")
	f.add("2.csv", "b;a")
	f.want(soon, `"1"`)
	f.add("2.csv", "\ny;2\n")
	f.want(soon, `"2"`)
	f.add("1.csv", "3,x\n")
	f.want(soon, `"3"`)
	f.add("2.csv", "\"y\ny\";4\n")
	f.want(soon, `"4"`)
	f.reopen()
	f.add("1.csv", "5,x\n")
	f.want(soon, `"5"`)
	f.again()
}

// TestPackedGrow has a packed file that is still being written.
func TestPackedGrow(t *testing.T) {
	f := follow(t, "*.gz", nil)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(e(1, 2)))
	w.Flush()
	first := b.Len()
	w.Write([]byte(e(3)))
	w.Close()
	f.add("x.gz", b.String()[:first-3])
	got := f.later(soon)
	f.add("x.gz", b.String()[first-3:first+2])
	got += " " + f.later(soon)
	f.add("x.gz", b.String()[first+2:])
	got += " " + f.later(soon)
	if fields := strings.Fields(got); !slices.Equal(fields, []string{"1", "2", "3"}) {
		t.Error(got)
	}
	f.again()
	ok(t, os.WriteFile(f.file("bad.gz"), []byte("\x1f\x8b\x08\x00 this is not what it says it is at all"), 0o600))
	f.want(soon, "")
	if !strings.Contains(f.log.String(), "bad.gz") {
		t.Errorf("the log does not say so: %s", f.log.String())
	}
	f.add("good.gz", b.String())
	f.want(soon, "1 2 3")
}

// TestContainersGrow has files of Avro and Parquet that are still being written; what is damaged
// in them is one bad event, and the next file is read.
func TestContainersGrow(t *testing.T) {
	f := follow(t, "*", nil)
	rows := func(n ...int) string {
		var b bytes.Buffer
		ok(t, codec.Pack(&b, strings.NewReader(e(n...)), codec.PackFormat{Type: "avro", Compression: "none", Row: true}))
		return b.String()
	}
	avro := rows(1, 2)
	f.add("x.avro", avro[:30])
	f.want(soon, "")
	f.add("x.avro", avro[30:len(avro)-5])
	f.want(soon, "")
	f.add("x.avro", avro[len(avro)-5:])
	f.want(soon, "1 2")
	f.add("x.avro", rows(3)[strings.Index(rows(3), "null\x00")+5+16:]) // another block
	f.want(soon, "3")
	f.again()
	var b bytes.Buffer
	ok(t, codec.Pack(&b, strings.NewReader(e(4, 5)), codec.PackFormat{Type: "parquet", Row: true}))
	f.add("y.parquet", b.String()[:b.Len()/2])
	f.want(soon, "")
	f.add("y.parquet", b.String()[b.Len()/2:])
	f.want(soon, "4 5")
	f.again()
	f.add("z1.parquet", "PAR1"+strings.Repeat("x", 100)+"PAR1")
	f.want(soon, "")
	f.add("z2.avro", "Obj\x01"+strings.Repeat("\x81", 100))
	f.want(soon, "")
	if f.d.bad != 2 {
		t.Errorf("%d bad events", f.d.bad)
	}
	f.add("z3.parquet", b.String())
	f.want(soon, "4 5")
	f.again()
}

// TestSeekTime begins behind the files of before a time, which may still grow.
func TestSeekTime(t *testing.T) {
	f := follow(t, "*", nil)
	old, recent := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	f.add("old", e(1))
	f.add("recent", e(2))
	ok(t, os.Chtimes(f.file("old"), old, old))
	ok(t, os.Chtimes(f.file("recent"), recent, recent))
	at, err := f.src.Seek(context.Background(), partition, vec.FromCivil(2024, 3, 1))
	ok(t, err)
	f.pos = at
	f.reopen()
	f.want(soon, "2")
	f.add("old", e(3))
	f.want(soon, "3")
	at, err = f.src.Seek(context.Background(), partition, vec.MaxTime)
	ok(t, err)
	f.pos = at
	f.reopen()
	f.want(soon, "")
	f.add("recent", e(4))
	f.want(soon, "4")
}

// TestWholeProperties has the arrival and properties of files that are read once.
func TestWholeProperties(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(dir+"/x.json", []byte(e(1)), 0o600))
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456700, time.UTC)
	ok(t, os.Chtimes(dir+"/x.json", at, at))
	src, err := input(dir, false)(connect.SourceEnv{State: disk.NewMem(1), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	r, err := src.Open(context.Background(), partition, "")
	ok(t, err)
	c, err := r.Read(context.Background(), 100, "")
	ok(t, err)
	b, _ := json.Marshal(map[string]any{"arrival": c.Arrival.String(), "name": c.Properties["BlobName"].Str, "time": c.Properties["BlobLastModifiedUtcTime"].String(),
		"object": strings.TrimPrefix(c.Object, filepath.ToSlash(dir)), "last": c.Last, "fresh": c.Fresh})
	base := filepath.Base(dir)
	if want := `{"arrival":"2024-05-06T07:08:09.1234567Z","fresh":true,"last":true,"name":"` + base + `/x.json","object":"/x.json","time":"\"2024-05-06T07:08:09.1234567Z\""}`; string(b) != want {
		t.Errorf("%s\n%s", b, want)
	}
	c, err = r.Read(context.Background(), 100, "")
	if err != nil || !c.End {
		t.Errorf("%+v %v", c, err)
	}
	ok(t, r.Close())
	if _, err := input(dir+"/nothing.json", false)(connect.SourceEnv{State: disk.NewMem(1), Now: time.Now}); err != nil {
		t.Fatal(err)
	}
}

// TestGlob has patterns.
func TestGlob(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a.json", "b.json", "c.txt", ".hidden.json", "_manifest.json", "x/a.json", "x/y/a.json", "x/y/z/b.json", "x/.git/a.json", "[odd].json"} {
		ok(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o700))
		ok(t, os.WriteFile(filepath.Join(dir, n), nil, 0o600))
	}
	f := func(text, want string) {
		t.Helper()
		p, err := newPattern(filepath.Join(dir, text))
		ok(t, err)
		list, err := p.list(disk.View(p.root))
		ok(t, err)
		var names []string
		for _, f := range list {
			full := filepath.ToSlash(disk.View(p.root).Path(f.name))
			names = append(names, strings.TrimPrefix(full, filepath.ToSlash(dir)+"/"))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, and must be %s", text, got, want)
		}
	}
	f("a.json", "a.json")
	f("*.json", "[odd].json _manifest.json a.json b.json")
	f("?.json", "a.json b.json")
	f("[ab].json", "a.json b.json")
	f(".*.json", ".hidden.json")
	f("**/*.json", "[odd].json _manifest.json a.json b.json x/a.json x/y/a.json x/y/z/b.json")
	f("**/a.json", "a.json x/a.json x/y/a.json")
	f("x/**/a.json", "x/a.json x/y/a.json")
	f("**/y/**/*.json", "x/y/a.json x/y/z/b.json")
	f("x/*/a.json", "x/y/a.json")
	f("x/**", "x/a.json x/y/a.json x/y/z/b.json")
	f("**/**/a.json", "a.json x/a.json x/y/a.json")
	f("x/y", "x/y/a.json")
	f(".", "[odd].json a.json b.json c.txt")
	if _, err := newPattern("x/[a"); err == nil {
		t.Error("an open bracket")
	}
}

// TestReferenceAgain reads reference data whole at every start, as it is then: edited,
// replaced, with files that are gone and new ones, and without a word about that.
func TestReferenceAgain(t *testing.T) {
	dir := t.TempDir()
	state := disk.NewMem(1)
	var log bytes.Buffer
	f := func(want string) {
		t.Helper()
		state.Kill()
		src, err := input(dir+"/*.json", false)(connect.SourceEnv{State: state.Boot(), Now: time.Now, Reference: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ok(t, err)
		defer src.Close()
		r, err := src.Open(context.Background(), partition, "")
		ok(t, err)
		defer r.Close()
		d := &decodeChunks{}
		for {
			c, err := r.Read(context.Background(), 1<<20, "")
			ok(t, err)
			if c.End {
				break
			}
			ok(t, d.chunk(&c))
		}
		var got []string
		for _, e := range d.events {
			got = append(got, e[strings.LastIndexByte(e, ' ')+1:])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q, and must be %q", s, want)
		}
	}
	write := func(name, text string) {
		t.Helper()
		ok(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("a.json", e(1, 2))
	write("b.json", e(3))
	f("1 2 3")
	f("1 2 3")
	write("a.json", e(4, 5, 6))
	f("3 4 5 6") // a new file to us
	ok(t, os.Remove(filepath.Join(dir, "b.json")))
	f("4 5 6")
	write("a.json", "")
	write("c.json", e(7))
	f("7")
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// A path that nothing matches may be mistyped, so it is told, once.
func TestNothingMatchesYet(t *testing.T) {
	f := follow(t, "logs/*.jsonl", nil)
	f.want(0, "")
	f.want(2*time.Second, "")
	if n := strings.Count(f.log.String(), "no file matches yet"); n != 1 || !strings.Contains(f.log.String(), "*.jsonl") {
		t.Errorf("told %d times: %s", n, f.log.String())
	}
	f.add("logs/a.jsonl", `{"a":1}`+"\n")
	f.want(2*time.Second, "1")
}
