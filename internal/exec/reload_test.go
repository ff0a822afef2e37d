package exec_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

var update = flag.Bool("update", false, "write the snapshots of this version")

// story is events of a run that is interrupted in its midst.
type story struct {
	p    *plan.Plan
	g    *exec.Graph
	rows map[string][]string // per output
}

func newStory(t testing.TB, query string, o exec.Options) *story {
	s := &story{p: compile(t, query), rows: map[string][]string{}}
	o.OnRows = func(output int, b *vec.Batch) error {
		name := s.p.Outputs[output].Name
		s.rows[name] = append(s.rows[name], batchTexts(b)...)
		return nil
	}
	g, err := exec.Build(s.p, o)
	if err != nil {
		t.Fatal(err)
	}
	s.g = g
	return s
}

// feed pushes events, one a second, to every input of the plan.
func (s *story) feed(t testing.TB, from, to int) {
	t.Helper()
	for i := range s.p.Inputs {
		b := &vec.Batch{N: to - from, Cols: make([]vec.Vec, len(s.p.Inputs[i].Fields))}
		for c, f := range s.p.Inputs[i].Fields {
			for at := from; at < to; at++ {
				switch name := strings.Join(f.Path, "."); name {
				case "at":
					b.Cols[c].Append(vec.TimeValue(base + vec.Time(at)*vec.Second))
				case "k":
					b.Cols[c].Append(vec.StringValue(fmt.Sprint("k", at%3)))
				default:
					b.Cols[c].Append(vec.IntValue(int64(at * len(name))))
				}
			}
		}
		for at := from; at < to; at++ {
			b.Arrival = append(b.Arrival, base+vec.Time(at)*vec.Second)
		}
		if err := s.g.Push(i, b); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *story) end(t testing.TB) {
	t.Helper()
	for i := range s.p.Inputs {
		if err := s.g.Close(i); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReload: a changed query goes on with the state that is still true, and says what it
// does not keep. The rows of what is kept are those of a run without interruption.
func TestReload(t *testing.T) {
	const old = `WITH s AS (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 30))
		SELECT k, n, s INTO one FROM s WHERE n > 1;
		SELECT k, LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 1)) AS l INTO two FROM a TIMESTAMP BY at`
	o := exec.Options{Late: 5 * vec.Second, OutOfOrder: 2 * vec.Second}
	f := func(new string, kept []string, report string) {
		t.Helper()
		was := newStory(t, old, o)
		was.feed(t, 0, 50)
		is := newStory(t, new, o)
		got, err := is.g.RestoreKept(was.g.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(got); text != report {
			t.Errorf("%s\nreport %s\nwant   %s", new, text, report)
		}
		if events := is.g.Counts.Inputs[0].Events; events != 50 {
			t.Errorf("%s: %d events are counted, want 50", new, events)
		}
		is.feed(t, 50, 100)
		is.end(t)
		whole := newStory(t, new, o)
		whole.feed(t, 0, 100)
		before := newStory(t, new, o)
		before.feed(t, 0, 50)
		skip := before.rows
		whole.end(t)
		for _, out := range kept {
			if want := whole.rows[out][len(skip[out]):]; !slices.Equal(is.rows[out], want) || len(want) == 0 {
				t.Errorf("%s\noutput %s has %q\nwant %q", new, out, is.rows[out], want)
			}
		}
	}
	f(old, []string{"one", "two"}, "{[one: Stamp s: Group two: Order two: History] [] []}")
	// Another filter behind the state, other names; and another output.
	f(strings.ReplaceAll(strings.Replace(old, "n > 1", "n > 2", 1), " s ", " other ")+`; SELECT COUNT(*) AS n INTO three FROM a TIMESTAMP BY at GROUP BY TumblingWindow(second, 7)`,
		nil, "{[one: Stamp other: Group two: Order two: History] [three: Group] []}")
	f(strings.Replace(old, "n > 1", "n > 2", 1), []string{"one", "two"}, "{[one: Stamp s: Group two: Order two: History] [] []}")
	f(strings.Replace(old, "second, 30", "second, 20", 1), []string{"two"}, "{[one: Stamp two: Order two: History] [s: Group] [s: Group]}")
	f(old[strings.Index(old, "SELECT k, LAG"):], []string{"two"}, "{[two: Stamp two: Order two: History] [] [s: Group]}")
}

// TestReloadOtherTimes: a new node behind a watermark that has moved on takes it for its own.
func TestReloadOtherTimes(t *testing.T) {
	o := exec.Options{Late: 5 * vec.Second}
	was := newStory(t, `SELECT k INTO one FROM a TIMESTAMP BY at`, o)
	was.feed(t, 0, 50)
	is := newStory(t, `SELECT k, COUNT(*) AS n INTO one FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`, o)
	if _, err := is.g.RestoreKept(was.g.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if got, want := is.g.OutputWatermark(0), base+49*vec.Second; got != want {
		t.Errorf("the output's watermark is %v, want %v", got, want)
	}
	is.feed(t, 50, 75)
	if got := len(is.rows["one"]); got != 7 { // one of the window that was open
		t.Errorf("%d rows, want that of the window that was open and those of two with 3 keys: %q", got, is.rows["one"])
	}
}

func TestRestoreOfAnotherPlan(t *testing.T) {
	o := exec.Options{}
	was := newStory(t, `SELECT k, COUNT(*) AS n INTO one FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`, o)
	was.feed(t, 0, 5)
	is := newStory(t, `SELECT k, COUNT(*) AS n INTO one FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 20)`, o)
	if err := is.g.Restore(was.g.Snapshot()); err != exec.ErrOtherPlan {
		t.Errorf("error %v, want %v", err, exec.ErrOtherPlan)
	}
}

// TestFreezeWhileRunning: an image does not change with the graph that it is of, although it
// is encoded on another goroutine while the graph goes on.
func TestFreezeWhileRunning(t *testing.T) {
	for _, q := range restoreQueries {
		s := newStory(t, q, exec.Options{Late: 5 * vec.Second, OutOfOrder: 3 * vec.Second, DropErrors: true})
		s.feed(t, 0, 40)
		var images [][]byte
		for round := range 3 {
			want := s.g.Snapshot()
			image := s.g.Freeze()
			done := make(chan []byte)
			go func() { done <- image.Bytes() }()
			s.feed(t, 40+30*round, 70+30*round)
			got := <-done
			if !bytes.Equal(got, want) {
				t.Errorf("%s: the image has changed", q)
			}
			s.g.Release(image)
			images = append(images, got)
		}
		if bytes.Equal(images[0], images[1]) {
			t.Errorf("%s: no state has changed", q)
		}
	}
}

// fixtures are queries whose snapshots the next versions have to read. Their rows after the
// snapshot stand beside it.
var fixtures = []struct{ name, query string }{
	{"tumbling", `SELECT k, COUNT(*) AS n, SUM(v) AS s, AVG(w * 0.5) AS m, MIN(v) AS l FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 30)`},
	{"hopping", `SELECT k, MAX(v) AS m, STDEV(v) AS d, COUNT(DISTINCT v % 3) AS c FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 20, 5)`},
	{"sliding", `SELECT k, SUM(v) AS s, MIN(v) AS m FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 9)`},
	{"session", `SELECT k, Collect(v) AS c, TopOne(w) OVER (ORDER BY v DESC) AS t FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 4, 60) OVER (PARTITION BY k)`},
	{"history", `SELECT k, v, LAG(v, 2) OVER (PARTITION BY k LIMIT DURATION(minute, 1)) AS l, LAST(w) OVER (LIMIT DURATION(minute, 1) WHEN v % 2 = 0) AS e,
		ISFIRST(second, 40) OVER (PARTITION BY k) AS f, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 20)) AS s FROM a TIMESTAMP BY at`},
	{"join", `SELECT x.k, x.v, y.w FROM a x TIMESTAMP BY at LEFT JOIN b y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 6 AND y.w % 2 = 1`},
	{"match", `SELECT * FROM a TIMESTAMP BY at MATCH_RECOGNIZE (LIMIT DURATION(minute, 1) PARTITION BY k MEASURES First(A.v) AS f, Last(B.v) AS l
		PATTERN (A B+ C) DEFINE B AS B.v > First(A.v), C AS C.v % 4 = 0) AS m`},
	{"over", `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at OVER k GROUP BY k, TumblingWindow(second, 7)`},
	{"top", `SELECT TOP 2 k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, v % 5, TumblingWindow(second, 25) ORDER BY n DESC`},
}

// TestFixtures restores snapshots that a version of before has written, and goes on to the
// right rows: testdata/snapshots has a directory per format version that must be read.
// go test -run TestFixtures -update writes those of this version.
func TestFixtures(t *testing.T) {
	o := exec.Options{Late: 5 * vec.Second, OutOfOrder: 3 * vec.Second}
	const dir = "testdata/snapshots/v2"
	for _, x := range fixtures {
		path := filepath.Join(dir, x.name+".bin")
		whole := newStory(t, x.query, o)
		whole.feed(t, 0, 50)
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, whole.g.Snapshot(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		clear(whole.rows)
		whole.feed(t, 50, 120)
		whole.end(t)
		image, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, shards := range []int{1, 3} {
			o.Shards = shards
			is := newStory(t, x.query, o)
			if err := is.g.Restore(image); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			is.feed(t, 50, 120)
			is.end(t)
			if got, want := is.rows["output"], whole.rows["output"]; !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s, %d shards: rows\n%q\nwant\n%q", path, shards, got, want)
			}
		}
	}
}

// TestFreezeCopiesWhole: what a pause costs does not depend on the number of keys but for the
// bytes that are copied: nothing is taken per row or key, and the second image takes no
// memory of its own.
func TestFreezeCopiesWhole(t *testing.T) {
	for _, x := range millions {
		g := millionKeys(t, compile(t, x.query), 40_000)
		g.Release(g.Freeze())
		n := testing.AllocsPerRun(5, func() { g.Release(g.Freeze()) })
		if n > 150 {
			t.Errorf("%s: a freeze allocates %v times", x.name, n)
		}
	}
}
