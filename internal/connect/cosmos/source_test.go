package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// inlet is a source over a fake, and what was read of it.
type inlet struct {
	*source
	f      *fake
	c      *fakeContainer
	disk   *disk.Mem
	values map[string]any
}

func newInlet(t testing.TB, values map[string]any, ends ...string) *inlet {
	t.Helper()
	in := &inlet{f: newFake(t), disk: disk.NewMem(1), values: values}
	in.c = in.f.container("shop", "teams", "/id", ends...)
	in.open(t)
	t.Cleanup(func() { in.Close() })
	return in
}

// open opens the source as another process does.
func (in *inlet) open(t testing.TB) {
	t.Helper()
	src, err := in.tryOpen()
	if err != nil {
		t.Fatal(err)
	}
	in.source = src.(*source)
}

func (in *inlet) tryOpen() (connect.Source, error) {
	return openSource(context.Background(), in.f.config(true, in.values), connect.SourceEnv{Input: "in", State: in.disk.Boot(), Metadata: []string{"EventEnqueuedUtcTime"}})
}

// crash leaves the source as a killed process does, and opens another one.
func (in *inlet) crash(t testing.TB) {
	t.Helper()
	in.disk.Kill()
	old := in.source
	for _, p := range old.parts {
		p.halt()
		p.log.Close() // its goroutines end; its disk is gone
	}
	old.target.Close()
	in.open(t)
}

// put writes documents of the ids.
func (in *inlet) put(ids ...string) {
	for _, id := range ids {
		in.f.put(in.c, fmt.Sprintf(`{"id":%q}`, id))
	}
}

// from reads what lies behind a position of a partition, and waits until want is there; the chunk
// is the last one.
func (in *inlet) from(t testing.TB, part string, after connect.Position, want string) (last connect.Chunk) {
	t.Helper()
	r, err := in.Open(t.Context(), part, after)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := ""
	deadline := time.After(10 * time.Second)
	for {
		c, err := r.Read(t.Context(), 1<<20, "")
		if connect.IsPermanent(err) {
			t.Fatal(err)
		}
		if err == nil {
			got += string(c.Data)
			last = c
		}
		if strings.Join(strings.Fields(got), "") == strings.Join(strings.Fields(want), "") {
			return last
		}
		select {
		case <-r.Ready():
		case <-deadline:
			t.Fatalf("there is\n%s\nand must be\n%s", got, want)
		}
	}
}

func docs(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "{\"id\":%q}\n", id)
	}
	return b.String()
}

// seek finds a position.
func (in *inlet) seek(t testing.TB, part string, arrived vec.Time) connect.Position {
	t.Helper()
	pos, err := in.Seek(t.Context(), part, arrived)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

// TestStarts: from the beginning, from now, from a time; in a feed that has not begun, in one that
// has, and before the place where it began.
func TestStarts(t *testing.T) {
	in := newInlet(t, nil)
	var now atomic.Int64
	now.Store(1_700_000_000)
	in.f.now = func() time.Time { return time.Unix(now.Load(), 0) }
	in.put("a", "b")
	now.Add(100)
	in.put("c")
	mid := toTime(now.Load())
	now.Add(100)
	pos := in.seek(t, "0", vec.MaxTime)
	in.put("d")
	in.from(t, "0", pos, docs("d"))
	// It began at the end: what is before that is asked of the feed again.
	pos = in.seek(t, "0", mid)
	c := in.from(t, "0", pos, docs("c", "d"))
	if a := c.Marks[0].Arrival; a != mid || c.Marks[0].Properties[enqueuedName].Int != int64(mid) || c.Properties["PartitionId"].Str != "0" {
		t.Errorf("it arrived at %v: %v", a, c.Marks[0].Properties)
	}
	pos = in.seek(t, "0", vec.MinTime)
	in.from(t, "0", pos, docs("a", "b", "c", "d"))
	// Now all is in the log, and found there.
	before := in.part0().note()
	in.from(t, "0", in.seek(t, "0", mid), docs("c", "d"))
	in.from(t, "0", in.seek(t, "0", mid+1), docs("d"))
	in.from(t, "0", in.seek(t, "0", vec.MinTime), docs("a", "b", "c", "d"))
	end := in.seek(t, "0", vec.MaxTime)
	if after := in.part0().note(); after.Base != before.Base || string(end) != fmt.Sprint(after.Next) {
		t.Errorf("the feed began anew: %v, and was %v; the end is %s", after, before, end)
	}
	in.put("a")
	in.from(t, "0", end, docs("a"))
}

func (in *inlet) part0() *part { return in.parts[0] }

// TestFromNowSurvives: what comes after a start from now comes, though the process ends before
// anything has come.
func TestFromNowSurvives(t *testing.T) {
	in := newInlet(t, nil)
	in.put("old")
	pos := in.seek(t, "0", vec.MaxTime)
	in.crash(t)
	in.part0().halt()
	in.put("new")
	in.crash(t)
	in.from(t, "0", pos, docs("new"))
}

// TestExact: a document that changes after it was read is read again as it was, by another
// process too; the feed has only its latest version.
func TestExact(t *testing.T) {
	in := newInlet(t, map[string]any{"system_fields": true})
	in.f.put(in.c, `{"id":"a","v":1}`)
	r, err := in.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	caughtUp(t, in.source)
	c, err := r.Read(t.Context(), 1<<20, "")
	if err != nil || !strings.Contains(string(c.Data), `"v": 1`) || !strings.Contains(string(c.Data), `"_etag"`) || !strings.Contains(string(c.Data), `"_ts"`) {
		t.Fatalf("%s %v", c.Data, err)
	}
	r.Close()
	first := string(c.Data)
	for i := range 5 {
		in.f.put(in.c, fmt.Sprintf(`{"id":"a","v":%d}`, i+2))
		caughtUp(t, in.source)
		in.crash(t)
		if r, err = in.Open(t.Context(), "0", ""); err != nil {
			t.Fatal(err)
		}
		again, err := r.Read(t.Context(), 1, c.Next)
		if err != nil || string(again.Data) != first {
			t.Fatalf("%s %v\nand was\n%s", again.Data, err, first)
		}
		r.Close()
	}
	if in.seek(t, "0", vec.MaxTime) != "6" {
		t.Error("versions are missing, or come twice")
	}
}

// TestSplit: a range splits twice while it is read, and while nothing runs; each version of a
// document comes once.
func TestSplit(t *testing.T) {
	in := newInlet(t, nil, "20")
	in.c.limit = 7
	seen := map[string]int{}
	read := func() {
		t.Helper()
		parts, err := in.Partitions(t.Context())
		if err != nil || len(parts) != 2 {
			t.Fatal(parts, err)
		}
		caughtUp(t, in.source)
		clear(seen)
		for _, p := range parts {
			r, err := in.Open(t.Context(), p, "")
			if err != nil {
				t.Fatal(err)
			}
			c, err := r.Read(t.Context(), 1<<20, "")
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(c.Data)) {
				seen[strings.TrimSpace(line)]++
			}
			r.Close()
		}
	}
	n := 0
	more := func() {
		for range 40 {
			n++
			in.put(fmt.Sprint(n))
		}
	}
	more()
	read()
	in.f.split(in.c, "0", "10")
	more()
	read()
	in.f.split(in.c, "02", "18")
	more()
	in.crash(t)
	in.f.split(in.c, "1", "30")
	more()
	read()
	if len(seen) != n {
		t.Errorf("%d documents, and must be %d", len(seen), n)
	}
	for doc, times := range seen {
		if times != 1 {
			t.Errorf("%s came %d times", doc, times)
		}
	}
}

// failure reads until an error comes.
func (in *inlet) failure(t testing.TB, part string) error {
	t.Helper()
	r, err := in.Open(t.Context(), part, "")
	if err != nil {
		return err
	}
	defer r.Close()
	deadline := time.After(20 * time.Second)
	for {
		if _, err := r.Read(t.Context(), 1<<20, ""); err != nil {
			return err
		}
		select {
		case <-r.Ready():
		case <-deadline:
			t.Fatal("no error")
		}
	}
}

// TestMerged: ranges that the service merged cannot be told apart; nothing comes twice.
func TestMerged(t *testing.T) {
	in := newInlet(t, nil, "20")
	in.put("a", "b", "c", "d")
	caughtUp(t, in.source)
	in.f.merge(in.c)
	in.put("e")
	err := in.failure(t, "0")
	if want := "partitions of the container teams of database shop at " + in.f.URL + ` were merged, and the feed of "" to "20" cannot be told from its neighbour's any more; start the job without its state`; err == nil || err.Error() != want || !connect.IsPermanent(err) {
		t.Errorf("%v\nand must be\n%s", err, want)
	}
}

// TestAnew: a container that was deleted and made again is another one.
func TestAnew(t *testing.T) {
	in := newInlet(t, nil)
	in.put("a")
	caughtUp(t, in.source)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	in.c = in.f.container("shop", "teams", "/id")
	in.c.rid = "another"
	if _, err := in.tryOpen(); err == nil || !connect.IsPermanent(err) || !strings.HasSuffix(err.Error(), "was made anew since the input began; start the job without its state") {
		t.Errorf("%v", err)
	}
}

// TestFeedFaults: errors of all kinds show, and heal; nothing is lost or doubled.
func TestFeedFaults(t *testing.T) {
	in := newInlet(t, nil)
	in.c.limit = 3
	var kind atomic.Int64
	in.f.setFault(func(what string, r *http.Request) *fakeFault {
		if what != "feed" {
			return nil
		}
		switch kind.Add(1) % 9 {
		case 1:
			return &fakeFault{status: http.StatusTooManyRequests, after: time.Millisecond}
		case 2:
			return &fakeFault{status: http.StatusForbidden, after: time.Millisecond}
		case 3:
			return &fakeFault{status: http.StatusGone, after: time.Millisecond}
		case 4:
			return &fakeFault{status: statusRetry, after: time.Millisecond}
		}
		return nil
	})
	err := in.failure(t, "0")
	var f *fault
	if !errors.As(err, &f) || connect.IsPermanent(err) || !strings.HasPrefix(err.Error(), "container teams of database shop at "+in.f.URL+": HTTP 4") {
		t.Errorf("%v", err)
	}
	want := []string{}
	for i := range 30 {
		in.put(fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	in.f.setFault(nil)
	in.from(t, "0", "", docs(want...))
}

// TestClock: a range that has nothing moves time on, and one that has something does not.
func TestClock(t *testing.T) {
	in := newInlet(t, nil)
	in.f.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	in.put("a")
	caughtUp(t, in.source)
	r, err := in.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if c, err := r.Read(t.Context(), 1<<20, ""); err != nil || c.Clock != toTime(1_700_000_000-5) || len(c.Data) == 0 {
		t.Errorf("the clock is %v, %v", c.Clock, err)
	}
	in.put("b", "c")
	caughtUp(t, in.source)
	if c, err := r.Read(t.Context(), 1, ""); err != nil || c.Clock != 0 || !strings.Contains(string(c.Data), `"b"`) || len(c.Marks) != 1 {
		t.Errorf("the clock is %v with %q, %v", c.Clock, c.Data, err)
	}
	if n, ok := in.Waiting("0", ""); n != 3 || !ok {
		t.Errorf("%d wait", n)
	}
	if err := in.Done(t.Context(), "0", "3"); err != nil {
		t.Fatal(err)
	}
}

// TestFullLog: a job that is behind has the feed wait; memory and log stay in their limits.
func TestFullLog(t *testing.T) {
	in := newInlet(t, map[string]any{"retention": time.Duration(0)})
	const limit = 1 << 20 // settings must be larger
	in.source.log.MaxLog = limit
	long := strings.Repeat("x", 50<<10)
	for i := range 60 {
		in.f.put(in.c, fmt.Sprintf(`{"id":"%d","t":%q}`, i, long))
	}
	in.c.limit = 3
	r, err := in.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	deadline := time.After(60 * time.Second)
	for n < 60 {
		c, err := r.Read(t.Context(), 1<<20, "")
		if err != nil {
			t.Fatal(err)
		}
		n += len(c.Marks)
		if _, _, bytes := in.part0().log.Range(); bytes > limit {
			t.Fatalf("%d bytes in the log", bytes)
		}
		if err := in.Done(t.Context(), "0", c.Next); err != nil {
			t.Fatal(err)
		}
		if len(c.Marks) == 0 {
			select {
			case <-r.Ready():
			case <-deadline:
				t.Fatalf("%d documents", n)
			}
		}
	}
	if n != 60 {
		t.Errorf("%d documents", n)
	}
	in.crash(t) // the last record has the place
	in.put("last")
	in.from(t, "0", "60", docs("last"))
}

// TestQuietRequests: a feed that has nothing costs one request each time.
func TestQuietRequests(t *testing.T) {
	in := newInlet(t, nil)
	in.put("a")
	caughtUp(t, in.source)
	feeds, others := in.f.count("feed"), in.f.count("ranges")+in.f.count("container")+in.f.count("account")
	for range 5 {
		caughtUp(t, in.source)
	}
	if in.f.count("feed") < feeds+5 {
		t.Error("the feed was not asked")
	}
	if n := in.f.count("ranges") + in.f.count("container") + in.f.count("account"); n != others {
		t.Errorf("%d more requests", n-others)
	}
}

func TestAppendItem(t *testing.T) {
	f := func(doc string, system bool, want string, seconds int64) {
		t.Helper()
		line, s := appendItem([]byte("|"), []byte(doc), system)
		if string(line) != "|"+want || s != seconds {
			t.Errorf("%s %d\nand must be\n%s %d", line[1:], s, want, seconds)
		}
	}
	f(`{}`, false, `{}`, 0)
	f("{ \"a\" : {\"_ts\":[1,\n\"}\"]} ,\n\"_ts\":\t5 }", false, `{"a" : {"_ts":[1, "}"]}}`, 5)
	f(`{"_rid":"x","_self":"y","_etag":"\"z\"","_attachments":"a/","_ts":1700000000,"_lsn":3,"_own":1,"a\"_ts":2}`, false, `{"_own":1,"a\"_ts":2}`, 1700000000)
	f(`{"_rid":"x","a":"_ts","_ts":7}`, true, `{"_rid":"x","a":"_ts","_ts":7}`, 7)
	f(`{"a":"\\","_ts":9}`, false, `{"a":"\\"}`, 9)
}
