package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// memVersions is reference data in memory whose versions come while jobs run.
type memVersions struct {
	mu    sync.Mutex
	list  []memVersion
	every time.Duration
	looks int
	reads []string // names of versions that were opened
	known [][]connect.Version
	from  []vec.Time
	fault func(op string) error // nil: none
}

type memVersion struct {
	connect.Version
	text string
}

// add makes a version of rows, in force from a second on.
func (m *memVersions) add(name string, s float64, rows ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, memVersion{connect.Version{Name: name, Effective: moment(s)}, strings.Join(rows, "\n")})
}

func (m *memVersions) open(env connect.SourceEnv) (connect.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = append(m.known, env.Known)
	return &memVersionSource{m}, nil
}

func (m *memVersions) fail(op string) error {
	if m.fault == nil {
		return nil
	}
	return m.fault(op)
}

// opened are the names of the versions that were read.
func (m *memVersions) opened() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.reads)
}

type memVersionSource struct{ m *memVersions }

func (s *memVersionSource) Every() time.Duration { return s.m.every }

func (s *memVersionSource) Versions(_ context.Context, from vec.Time) ([]connect.Version, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.looks++
	s.m.from = append(s.m.from, from)
	if err := s.m.fail("versions"); err != nil {
		return nil, err
	}
	var out []connect.Version
	for _, v := range s.m.list {
		out = append(out, v.Version)
	}
	slices.SortFunc(out, func(a, b connect.Version) int { return int(a.Effective - b.Effective) })
	for len(out) > 1 && out[1].Effective <= from {
		out = out[1:]
	}
	return out, nil
}

func (s *memVersionSource) Partitions(context.Context) ([]string, error) { return nil, nil }

func (s *memVersionSource) Seek(context.Context, string, vec.Time) (connect.Position, error) {
	return "", nil
}

func (s *memVersionSource) Open(_ context.Context, name string, _ connect.Position) (connect.Reader, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.fail("open"); err != nil {
		return nil, err
	}
	for _, v := range s.m.list {
		if v.Name == name {
			s.m.reads = append(s.m.reads, name)
			return &memVersionReader{s.m, v.text}, nil
		}
	}
	return nil, fmt.Errorf("there is no version %q", name)
}

func (s *memVersionSource) Done(context.Context, string, connect.Position) error { return nil }
func (s *memVersionSource) Close() error                                         { return nil }

type memVersionReader struct {
	m    *memVersions
	text string
}

func (r *memVersionReader) Read(context.Context, int, connect.Position) (connect.Chunk, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if err := r.m.fail("read"); err != nil {
		return connect.Chunk{}, err
	}
	return connect.Chunk{Data: []byte(r.text + "\n"), Fresh: true, Last: true, End: true, Next: "1"}, nil
}

func (r *memVersionReader) Ready() <-chan struct{} { return nil }
func (r *memVersionReader) Close() error           { return nil }

const joinQuery = `SELECT e.n, r.name INTO o FROM e TIMESTAMP BY at JOIN r ON e.k = r.k`

// joinPlan compiles a query whose input r is reference data.
func joinPlan(t testing.TB, query string) *plan.Plan {
	t.Helper()
	script, _ := saql.Parse(query)
	p, list := plan.Compile(script, plan.Env{Inputs: []plan.InputDecl{{Name: "e"}, {Name: "r", Reference: true}}, AnyOutput: true})
	if list.HasErrors() {
		t.Fatal(query, list)
	}
	return p
}

// joinCase is a job that joins events with reference data of versions.
func joinCase(t testing.TB, query string) (*liveCase, *memVersions) {
	c := newLiveCase(t, plainQuery)
	m := &memVersions{every: time.Second}
	c.spec.Plan, c.spec.Start = joinPlan(t, query), StartNow
	c.spec.Inputs = append(c.spec.Inputs, LiveInput{Name: "r", ID: "1", Open: m.open})
	c.source.add("p")
	return c, m
}

// at adds an event of a time, and waits until it has been processed.
func (c *liveCase) at(n int, s float64) {
	e := event(n, s)
	e.text = strings.Replace(e.text, fmt.Sprintf(`"k%d"`, n%3), `"k"`, 1)
	e.arrival = timeOf(time.Now())
	c.source.add("p", e)
	time.Sleep(50 * time.Millisecond)
}

// until waits for a second of the clock of the bubble.
func until(s float64) { time.Sleep(time.Until(instant(moment(s)))) }

// names are the joined names, in the order of the rows.
func (c *liveCase) names() string {
	var out []string
	for _, row := range c.target.all() {
		_, name, _ := strings.Cut(row, `"name":"`)
		name, _, _ = strings.Cut(name, `"`)
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func row(name string) string { return fmt.Sprintf(`{"k":"k","name":%q}`, name) }

// TestLiveVersions: a row meets the version in force at its time, also when it is late; what is
// found late is for the rows behind it.
func TestLiveVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.OutOfOrder = 0
		c.spec.Late = 30 * time.Second
		m.add("old", -100, row("old"))
		m.add("a", -10, row("a"))
		m.add("b", 10, row("b"))
		l, stop := c.start(t)
		time.Sleep(time.Second)
		c.at(0, 0)
		m.add("c", 20, row("c"))
		until(9)
		c.at(1, 9)
		c.at(2, 10)
		until(21)
		c.at(3, 19)
		c.at(4, 21)
		// It is of a time for which rows have passed.
		until(30)
		c.at(5, 29)
		m.add("d", 25, row("d"))
		until(33)
		c.at(6, 30)
		until(35)
		stats := l.Stats().Inputs[1].Reference
		mustStop(t, stop)
		if got := c.names(); got != "a a b b c c d" {
			t.Errorf("names %s", got)
		}
		if want := []string{"a", "b", "c", "d"}; !slices.Equal(m.reads, want) {
			t.Errorf("read %q, want %q", m.reads, want)
		}
		if stats == nil || stats.Version != "d" || stats.Effective != moment(25) || stats.Rows != 1 || stats.Age > 2*time.Second || stats.Failure != "" {
			t.Errorf("stats %+v", stats)
		}
	})
}

// TestLiveVersionsLate: late rows meet the version of their time, as long as any can come; then
// the version and its copy are gone.
func TestLiveVersionsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.OutOfOrder, c.spec.Late = 20*time.Second, 20*time.Second
		m.add("a", -10, row("a"))
		l, stop := c.start(t)
		time.Sleep(time.Second)
		for i, name := range []string{"b", "c", "d"} {
			m.add(name, float64(5*i+5), row(name))
		}
		until(18)
		for n, s := range []float64{17, 14, 4, 9, 12, 2} {
			c.at(n, s)
		}
		until(60)
		c.at(7, 55)
		until(100)
		c.at(8, 95)
		until(130)
		c.at(9, 130)
		until(180)
		if n := l.Stats().Inputs[1].Reference.Versions; n != 1 {
			t.Errorf("%d versions", n)
		}
		mustStop(t, stop)
		if got := c.names(); got != "d c a b c a d d d" {
			t.Errorf("names %s", got)
		}
		if files, err := c.disk.ReadDir(copyDir("r")); err != nil || len(files) != 1 {
			t.Errorf("copies %v, error %v", files, err)
		}
	})
}

// TestLiveVersionsNone: a job does not start without a version.
func TestLiveVersionsNone(t *testing.T) {
	f := func(start StartMode, want string, versions ...float64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c, m := joinCase(t, joinQuery)
			c.spec.Start = start
			for i, s := range versions {
				m.add(fmt.Sprint("v", i), s, row("x"))
			}
			_, err := c.run(t)
			if err == nil || err.Error() != want {
				t.Errorf("the job ends with %v\nwant %s", err, want)
			}
		})
	}
	f(StartNow, `reference data "r": there is no version at or before 2000-01-01T00:00:00.0000000Z, when the job starts: put one there, or check the settings that say where the versions are`)
	f(StartNow, `reference data "r": there is no version at or before 2000-01-01T00:00:00.0000000Z, when the job starts: the first one is "v0", of 2000-01-01T00:00:10.0000000Z; put an older one there, or start the job at a later time`, 10, 20)
	f(StartBeginning, `reference data "r": there is no version at or before 2000-01-01T00:00:00.0000000Z, when the job starts: the first one is "v0", of 2000-01-01T00:00:10.0000000Z; put an older one there, or start the job at a later time`, 10)
}

// TestLiveVersionsBeginning: a job over old events meets the versions of their times, and has no
// more than a few in memory.
func TestLiveVersionsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.Start, c.spec.Late = StartBeginning, -1
		until(1000)
		for i := range 50 {
			m.add(fmt.Sprint("v", i), float64(10*i), row(fmt.Sprint("v", i)))
		}
		var want []string
		for i := range 100 {
			e := event(i, float64(5*i))
			e.text = strings.Replace(e.text, fmt.Sprintf(`"k%d"`, i%3), `"k"`, 1)
			c.source.add("p", e)
			want = append(want, fmt.Sprint("v", i/2))
		}
		l, stop := c.start(t)
		time.Sleep(5 * time.Second)
		if n := l.references[1].loaded.Load(); n > 2 {
			t.Errorf("%d versions are in memory", n)
		}
		mustStop(t, stop)
		if got := c.names(); got != strings.Join(want, " ") {
			t.Errorf("names %s", got)
		}
	})
}

// TestLiveVersionsFail: while the source fails, the version that is there stays in force and the
// job says so.
func TestLiveVersionsFail(t *testing.T) {
	for _, op := range []string{"versions", "open", "read"} {
		synctest.Test(t, func(t *testing.T) {
			c, m := joinCase(t, joinQuery)
			m.every = 10 * time.Second
			m.add("a", -10, row("a"))
			l, stop := c.start(t)
			until(1)
			m.mu.Lock()
			m.fault = func(at string) error {
				if at == op {
					return errors.New("no answer")
				}
				return nil
			}
			m.mu.Unlock()
			m.add("b", 5, row("b"))
			until(30)
			c.at(0, 30)
			s := l.Stats()
			if s.State != Degraded || !strings.Contains(s.Reason, `reference data "r"`) || !strings.Contains(s.Reason, "no answer") || !strings.Contains(s.Reason, "goes on with the version that it has") {
				t.Errorf("%s: state %s: %s", op, s.State, s.Reason)
			}
			if r := s.Inputs[1].Reference; r.Version != "a" || r.Failure == "" || op == "versions" && r.Age < 25*time.Second {
				t.Errorf("%s: %+v", op, r)
			}
			m.mu.Lock()
			looks := m.looks
			m.fault = nil
			m.mu.Unlock()
			if looks < 4 || looks > 30 {
				t.Errorf("%s: %d looks", op, looks)
			}
			until(45)
			c.at(1, 45)
			if s := l.Stats(); s.State != Running {
				t.Errorf("%s: state %s: %s", op, s.State, s.Reason)
			}
			mustStop(t, stop)
			if got := c.names(); got != "a b" {
				t.Errorf("%s: names %s", op, got)
			}
		})
	}
}

// TestLiveVersionsBad: a version that cannot be read does not keep the next one out.
func TestLiveVersionsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.Inputs[1].Format = connect.Format{Type: "csv"}
		m.add("a", -10, "k,name\nk,a")
		l, stop := c.start(t)
		until(1)
		m.add("bad", 5, "k,k\nk,bad")
		until(8)
		c.at(0, 8)
		if s := l.Stats(); s.State != Degraded || !strings.Contains(s.Reason, `version "bad"`) {
			t.Errorf("state %s: %s", s.State, s.Reason)
		}
		m.add("b", 10, "k,name\nk,b")
		until(13)
		c.at(1, 13)
		mustStop(t, stop)
		if got := c.names(); got != "a b" {
			t.Errorf("names %s", got)
		}
	})
}

// TestLiveVersionsSame: a version that is like the one before it is none.
func TestLiveVersionsSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		m.add("a", -10, row("a"))
		l, stop := c.start(t)
		for i := range 20 {
			m.add(fmt.Sprint("a", i), float64(i), row("a"))
			time.Sleep(time.Second)
		}
		if n := len(m.opened()); n < 19 || n > 21 {
			t.Errorf("%d reads", n)
		}
		if r := l.Stats().Inputs[1].Reference; r.Versions != 1 || r.Version != "a0" || r.Age > 2*time.Second {
			t.Errorf("%+v", r)
		}
		mustStop(t, stop)
		if files, err := c.disk.ReadDir(copyDir("r")); err != nil || len(files) != 1 {
			t.Errorf("copies %v, error %v", files, err)
		}
	})
}

// TestLiveVersionsStop: a job that was stopped has the versions of then, and those that have
// come since, at their times.
func TestLiveVersionsStop(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, m := joinCase(t, joinQuery)
			c.spec.Late = time.Hour
			m.add("a", -10, row("a"))
			_, stop := c.start(t)
			until(5)
			c.at(0, 5)
			mustStop(t, stop)
			until(20)
			m.add("b", 10, row("b"))
			m.add("c", 15, row("c"))
			if !answers {
				m.fault = func(string) error { return errors.New("no answer") }
			}
			c.spec.Start = StartLast
			for i, s := range []float64{6, 9, 11, 14, 16} {
				e := event(i, s)
				e.text = strings.Replace(e.text, fmt.Sprintf(`"k%d"`, i%3), `"k"`, 1)
				c.source.add("p", e)
			}
			l, stop := c.start(t)
			until(21)
			want := "a a a b b c"
			if !answers {
				want = "a a a a a a"
				if s := l.Stats(); s.State != Degraded {
					t.Errorf("state %s: %s", s.State, s.Reason)
				}
			}
			mustStop(t, stop)
			if got := c.names(); got != want {
				t.Errorf("names %s, want %s", got, want)
			}
			if last := m.known[len(m.known)-1]; len(last) != 1 || last[0].Name != "a" {
				t.Errorf("the source was opened with %v", m.known)
			}
		})
	}
}

// TestLiveVersionsCrash: epochs that are made again see what they saw, although the source has
// other rows by then, and none of the old ones.
func TestLiveVersionsCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery+`; SELECT e.n, r.name INTO o2 FROM e TIMESTAMP BY at JOIN r ON e.k = r.k`)
		c.spec.Checkpoint = time.Hour
		second := &memTarget{fault: func(op string) (error, error) {
			if op == "commit" && len(c.target.all()) > 2 { // the first output has the epoch
				return errors.New("no answer"), nil
			}
			return nil, nil
		}}
		c.spec.Outputs = append(c.spec.Outputs, LiveOutput{Name: "o2", Open: second.open})
		m.add("a", -10, row("a"))
		_, stop := c.start(t)
		until(3)
		c.at(0, 3)
		m.add("b", 5, row("b"))
		until(8)
		c.at(1, 4)
		c.at(2, 8)
		time.Sleep(time.Second)
		c.disk.CrashAt(1)
		stop()
		c.disk.Restart()
		m.list, second.fault = nil, nil
		m.add("x", -10, row("x"))
		m.add("y", 9, row("y"))
		c.spec.Start = StartLast
		_, stop = c.start(t)
		until(15)
		c.at(3, 15)
		mustStop(t, stop)
		other := &liveCase{target: second}
		if c.names() != "a a b y" || other.names() != "a a b y" {
			t.Errorf("names %s and %s", c.names(), other.names())
		}
	})
}

// TestLiveVersionsReload: the next version of a job has the versions of reference data that the
// old one has, and reads another source from its beginning.
func TestLiveVersionsReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		m.add("a", -10, row("a"))
		l, stop := c.start(t)
		until(1)
		m.add("b", 5, row("b"))
		until(4)
		c.at(0, 3)
		next := c.spec
		next.Version, next.Plan = 2, joinPlan(t, `SELECT e.n, r.name, 2 AS x INTO o FROM e TIMESTAMP BY at JOIN r ON e.k = r.k`)
		if _, err := l.Reload(t.Context(), next, ReloadOptions{}); err != nil {
			t.Fatal(err)
		}
		reads := len(m.opened())
		c.at(1, 4)
		until(8)
		c.at(2, 7)
		if got := m.opened(); len(got) != reads {
			t.Errorf("read again: %q", got)
		}
		m.add("c", 9, row("c"))
		until(12)
		c.at(3, 12)
		// Another source that does not answer leaves everything as it was.
		other := &memVersions{every: time.Second, fault: func(string) error { return errors.New("no answer") }}
		last := next
		last.Version, last.Inputs = 3, slices.Clone(next.Inputs)
		last.Inputs[1].ID, last.Inputs[1].Open = "2", other.open
		if _, err := l.Reload(t.Context(), last, ReloadOptions{}); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Fatal(err)
		}
		m.add("d", 15, row("d"))
		until(18)
		c.at(4, 18)
		other.mu.Lock()
		other.fault = nil
		other.mu.Unlock()
		other.add("A", 0, row("A"))
		if _, err := l.Reload(t.Context(), last, ReloadOptions{}); err != nil {
			t.Fatal(err)
		}
		until(20)
		c.at(5, 20)
		other.add("B", 22, row("B"))
		until(25)
		c.at(6, 25)
		mustStop(t, stop)
		c.spec, c.spec.Start = last, StartLast
		_, stop = c.start(t)
		c.at(7, 26)
		mustStop(t, stop)
		// The source is another one after a start, too.
		c.spec.Inputs[1].ID, c.spec.Inputs[1].Open = "1", m.open
		_, stop = c.start(t)
		until(27)
		c.at(8, 27)
		mustStop(t, stop)
		if got := c.names(); got != "a a b c d A B B d" {
			t.Errorf("names %s", got)
		}
	})
}

// TestLiveVersionsRedrive: an event that is tried again meets the version of its time.
func TestLiveVersionsRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.Late, c.spec.OutOfOrder = time.Hour, time.Hour
		m.add("a", -10, row("a"))
		m.add("b", 10, row("b"))
		l, stop := c.start(t)
		until(5)
		c.source.add("p", memEvent{`{"k":"k","n":0,"at":`, timeOf(time.Now())})
		until(20)
		payload := []byte(fmt.Sprintf(`{"k":"k","n":0,"at":%q}`, moment(5)))
		if err := l.Redrive(t.Context(), []Redriven{{ID: 1, Payload: payload}}); err != nil {
			t.Fatal(err)
		}
		c.at(1, 20)
		c.source.end()
		time.Sleep(time.Second)
		stop()
		if got := c.names(); got != "a b" {
			t.Errorf("names %s", got)
		}
	})
}

// TestLiveVersionsMax: no more versions are known than there may be; old rows meet the oldest.
func TestLiveVersionsMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		c.spec.Late, c.spec.OutOfOrder, c.spec.Inputs[1].MaxVersions = time.Hour, time.Minute, 3
		m.add("a", -10, row("a"))
		l, stop := c.start(t)
		for i := range 10 {
			m.add(fmt.Sprint("v", i), float64(i), row(fmt.Sprint("v", i)))
			until(float64(i) + 0.5)
		}
		until(12)
		for i, s := range []float64{2, 7.1, 8.1, 9.1} {
			c.at(i, s)
		}
		if n := l.Stats().Inputs[1].Reference.Versions; n != 3 {
			t.Errorf("%d versions", n)
		}
		c.source.end()
		time.Sleep(time.Second)
		stop()
		if got := c.names(); got != "v7 v7 v8 v9" {
			t.Errorf("names %s", got)
		}
	})
}

// TestLiveVersionsUpgrade: the copy of a state of before there were versions is what its epochs
// see when they are made again.
func TestLiveVersionsUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m := joinCase(t, joinQuery)
		m.add("a", -10, row("a"))
		m.every = 0
		_, stop := c.start(t)
		until(3)
		c.at(0, 3)
		mustStop(t, stop)
		files, err := c.disk.ReadDir(copyDir("r"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if err := c.disk.Rename(copyDir("r")+"/"+files[0].Name, copyName("r", 0)); err != nil {
			t.Fatal(err)
		}
		s := &snapshot{Epoch: 7, Inputs: []inputSnapshot{{Name: "e"}, {Name: "r"}}}
		l := &Live{fs: c.disk, restored: s, pending: []*epochRecord{{N: 8}}, spec: c.spec}
		r := &liveReference{spec: c.spec.Inputs[1], of: &c.spec, index: 1}
		if !l.resumeReference(r) || len(r.versions) != 1 {
			t.Fatal("the copy is not found")
		}
		rows, err := l.table(t.Context(), r, r.versions[0])
		if err != nil || rows.N != 1 {
			t.Errorf("rows %v, error %v", rows, err)
		}
		if l.pending = nil; l.resumeReference(&liveReference{spec: c.spec.Inputs[1]}) {
			t.Error("a copy is used that no epoch needs")
		}
	})
}

// TestReferenceRecords: what a checkpoint and an epoch know of versions comes back.
func TestReferenceRecords(t *testing.T) {
	v := referenceVersion{3, "x/2021.json", moment(5), moment(6), 7, "abc"}
	rec := &epochRecord{N: 5, References: []referenceRecord{{1, true, v}, {2, false, referenceVersion{Rows: -1}}}}
	got, err := decodeEpoch(rec.encode())
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", rec) {
		t.Errorf("%+v, error %v", got, err)
	}
	s := &snapshot{References: []referenceSnapshot{{"r", "id", []referenceVersion{v}}}}
	back, err := decodeSnapshot(checkpointVersion, s.encode())
	if err != nil || fmt.Sprintf("%+v", back.References) != fmt.Sprintf("%+v", s.References) {
		t.Errorf("%+v, error %v", back, err)
	}
}

// TestReadFrame: frames of a file, whole and damaged.
func TestReadFrame(t *testing.T) {
	data := appendFrame(appendFrame(nil, []byte("one")), []byte("two"))
	for cut := range len(data) {
		in, n := strings.NewReader(string(data[:cut])), 0
		var buf []byte
		var err error
		for ; err == nil; n++ {
			_, err = readFrame(in, &buf)
		}
		whole := cut == 0 || cut == len(data)/2
		if whole == errors.Is(err, errFrame) || n-1 != cut/(len(data)/2) {
			t.Errorf("%d bytes: %d frames, error %v", cut, n-1, err)
		}
	}
	data[9] ^= 1
	var buf []byte
	if _, err := readFrame(strings.NewReader(string(data)), &buf); !errors.Is(err, errFrame) {
		t.Errorf("damage gives %v", err)
	}
}
