package job

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/plan"
)

// The simulation is the test of "jobs that never lose": a job runs over a source in memory, on
// a disk whose power can go at any operation, with outputs that fail before and after the
// deed. However often it dies, its outputs and dead letters must be those of a calm run.

var (
	simRounds = flag.Int("rounds", 200, "simulations to run")
	simSeed   = flag.Uint64("seed", 1, "the first seed")
)

// simQueries have an output "o" of windows, whose rows come in the order of time, and some
// others.
var simQueries = []string{
	`SELECT System.Timestamp() AS t, k, COUNT(*) AS c, SUM(n) AS s INTO o FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`,
	`SELECT n, k, LAG(n) OVER (PARTITION BY k LIMIT DURATION(second, 5)) AS before INTO o FROM e TIMESTAMP BY at`,
	`WITH w AS (SELECT k, COUNT(*) AS c FROM e TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 2, 1))
		SELECT k, c INTO o FROM w; SELECT k, n, CAST(n AS nvarchar(max)) AS x INTO o2 FROM e TIMESTAMP BY at WHERE n % 2 = 0`,
	`SELECT k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY at GROUP BY k, SessionWindow(millisecond, 300, 2000)`,
	`SELECT a.n, b.n AS m, a.k INTO o FROM e a TIMESTAMP BY at JOIN e b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(millisecond, a, b) BETWEEN 1 AND 200`,
	`SELECT k, n, 100 / (n % 7) AS x INTO o FROM e TIMESTAMP BY at`,
	`SELECT System.Timestamp() AS t, k, n INTO o FROM e`,
	simTwins,
	simJoins,
}

// simTwins has two outputs of the same rows, and nobody says when events arrived: the runner's
// clock does. Whatever happens between the two, they must agree.
const simTwins = `SELECT k, n, System.Timestamp() AS t INTO o FROM e; SELECT k, n, System.Timestamp() AS t INTO o2 FROM e`

// simJoins has two outputs as simTwins, of rows joined with reference data that changes all the
// time, and whose source fails: which version a row meets is a matter of chance, and the outputs
// must agree all the same.
const simJoins = `SELECT e.k, e.n, r.v AS t INTO o FROM e TIMESTAMP BY at JOIN r ON e.k = r.k; SELECT e.k, e.n, r.v AS t INTO o2 FROM e TIMESTAMP BY at JOIN r ON e.k = r.k`

// twins reports whether the outputs are twins, and the last column is not that of a calm run.
func (w *simWorld) twins() bool { return w.query == simTwins || w.query == simJoins }

// simWorld is what a seed makes: all that a run is about.
type simWorld struct {
	seed    uint64
	query   string
	plan    *plan.Plan
	events  []simEvent // in the order in which they arrive
	parts   int
	marks   bool
	ready   bool
	drop    bool
	late    time.Duration
	order   time.Duration
	every   time.Duration // checkpoints
	logged  bool          // the output is a file
	rejects bool
	appear  bool // partitions appear with their first event
}

type simEvent struct {
	part  int
	after time.Duration // since the start
	text  string
}

func newWorld(t testing.TB, seed uint64) *simWorld {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &simWorld{seed: seed, query: simQueries[r.IntN(len(simQueries))], parts: 1 + r.IntN(3), marks: r.IntN(2) == 0, ready: r.IntN(2) == 0,
		drop: r.IntN(2) == 0, late: time.Duration(r.IntN(3)) * 500 * time.Millisecond, order: time.Duration(r.IntN(3)) * 200 * time.Millisecond,
		every: time.Duration(1+r.IntN(10)) * 100 * time.Millisecond, logged: r.IntN(2) == 0, rejects: r.IntN(3) == 0}
	if r.IntN(5) == 0 {
		w.late = -1
	}
	w.appear = !w.drop && strings.Contains(w.query, "100 / (n % 7)") // rows without time: when a partition is found does not show
	w.rejects = w.rejects && !w.twins()
	if w.query == simJoins {
		w.plan = joinPlan(t, w.query)
	} else {
		w.plan = compile(t, w.query)
	}
	at := time.Duration(0)
	for n := range 40 + r.IntN(60) {
		at += time.Duration(r.IntN(60)) * time.Millisecond
		if r.IntN(20) == 0 {
			at += time.Duration(r.IntN(1000)) * time.Millisecond // a pause
		}
		own := at - time.Duration(r.IntN(400))*time.Millisecond
		text := fmt.Sprintf(`{"n":%d,"k":"k%d","at":%q}`, n, r.IntN(4), simStart.Add(own).Format("2006-01-02T15:04:05.000Z"))
		switch r.IntN(15) {
		case 0:
			text = text[:r.IntN(len(text))]
		case 1:
			text = strings.Replace(text, `"at"`, `"att"`, 1)
		}
		w.events = append(w.events, simEvent{r.IntN(w.parts), at, text})
	}
	return w
}

var simStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of the clock of a bubble

// simFaults are the faults of a run; nil is a calm one.
type simFaults struct {
	mu   sync.Mutex
	rand *rand.Rand
	seen map[string]int
}

func (f *simFaults) note(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[kind]++
}

// IntN is a number below n.
func (f *simFaults) IntN(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand.IntN(n)
}

// simRun is a run of a world.
type simRun struct {
	w      *simWorld
	f      *simFaults
	disk   *disk.Mem
	source *memSource
	tables *memVersions
	target map[string]*memTarget                 // by output
	fault  func(op string) (before, after error) // of all outputs
	calls  int                                   // of outputs until it dies in one
	dead   atomic.Bool                           // the process has died in a call of an output
	live   *Live
}

// simResult is what is left of a run.
type simResult struct {
	rows    map[string][]string // by output
	letters []string
	counts  map[string]int64
}

func (w *simWorld) run(t *testing.T, f *simFaults) *simResult {
	r := &simRun{w: w, f: f, disk: disk.NewMem(w.seed), source: &memSource{marks: w.marks, ready: w.ready}, target: map[string]*memTarget{}}
	r.disk.Clock(time.Now)
	r.source.timely = w.query == simTwins
	for i := range w.parts {
		if !w.appear || i == 0 {
			r.source.add(fmt.Sprint("p", i))
		}
	}
	r.tables = &memVersions{every: 15 * time.Millisecond}
	r.tables.add("v0", -1, simTable(0)...)
	fed := make(chan struct{})
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for i := 1; i <= 120 && w.query == simJoins; i++ {
			r.tables.add(fmt.Sprint("v", i), 0.03*float64(i), simTable(i)...)
			time.Sleep(30 * time.Millisecond)
		}
	}()
	go func() {
		defer close(fed)
		for _, e := range w.events {
			time.Sleep(time.Until(simStart.Add(e.after)))
			r.source.add(fmt.Sprint("p", e.part), memEvent{e.text, timeOf(time.Now())})
		}
		r.source.end()
	}()
	lives := 1
	if f != nil {
		lives += f.IntN(8)
		r.faults()
	}
	for i := 1; !r.life(t, i < lives); i++ {
	}
	<-fed
	<-changed
	return r.result(t)
}

// simTable is a version of reference data.
func simTable(i int) (rows []string) {
	for k := range 4 {
		rows = append(rows, fmt.Sprintf(`{"k":"k%d","v":"v%d"}`, k, i))
	}
	return rows
}

// faults orders what goes wrong beside deaths.
func (r *simRun) faults() {
	f := r.f
	if f.IntN(2) == 0 {
		r.source.fault = func(op string) error {
			if f.IntN(40) != 0 {
				return nil
			}
			f.note("source " + op)
			return errors.New("the source does not answer")
		}
	}
	if f.IntN(2) == 0 {
		r.tables.fault = func(op string) error {
			if f.IntN(10) != 0 {
				return nil
			}
			f.note("reference " + op)
			return errors.New("the database does not answer")
		}
	}
	r.calls = 1 + f.IntN(400)
	wild := f.IntN(2) == 0
	r.fault = func(op string) (before, after error) {
		if r.dead.Load() {
			return errDead, nil
		}
		if r.calls--; r.calls == 0 {
			r.dead.Store(true)
			if f.IntN(2) == 0 {
				f.note("death before " + op)
				return errDead, nil
			}
			f.note("death after " + op)
			return nil, errDead
		}
		if !wild {
			return nil, nil
		}
		switch f.IntN(30) {
		case 0:
			f.note("error before " + op)
			return errors.New("no answer"), nil
		case 1:
			f.note("error after " + op)
			return nil, errors.New("the answer is lost")
		}
		return nil, nil
	}
	if f.IntN(3) == 0 {
		r.disk.Hook(func(op disk.Op, name string) error {
			if f.IntN(60) != 0 || op == disk.OpLock {
				return nil
			}
			switch op {
			case disk.OpSync, disk.OpWrite, disk.OpSyncDir, disk.OpRename, disk.OpTruncate, disk.OpEdit, disk.OpCreate:
				f.note("error of disk " + string(op))
				return errors.New("input/output error")
			}
			return nil
		})
	}
}

var errDead = errors.New("the process has died")

// life is a life of the process. It reports whether the job has completed.
func (r *simRun) life(t *testing.T, dies bool) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if dies {
		r.order()
	}
	l, err := OpenLive(ctx, r.disk.Boot(), r.spec())
	for err != nil {
		if !dies && !errors.Is(err, disk.ErrPower) && strings.Contains(err.Error(), "input/output error") {
			l, err = OpenLive(ctx, r.disk.Boot(), r.spec())
			continue
		}
		if !errors.Is(err, disk.ErrPower) && !strings.Contains(err.Error(), "input/output error") {
			t.Fatalf("seed %d: %v", r.w.seed, err)
		}
		r.revive()
		return false
	}
	end := make(chan error, 1)
	go func() { end <- l.Run(ctx) }()
	full := dies && r.f.IntN(3) == 0
	for {
		select {
		case err := <-end:
			if err != nil {
				t.Fatalf("seed %d: %v", r.w.seed, err)
			}
			if r.down() { // it died in its last checkpoint
				r.revive()
				return false
			}
			r.live = l
			return true
		case <-time.After(10 * time.Millisecond):
		}
		if r.down() {
			cancel()
			<-end
			r.revive()
			return false
		}
		if full && r.f.IntN(100) == 0 {
			r.fill()
			full = false
		}
		if dies && r.f.IntN(2000) == 0 {
			r.f.note("stop")
			cancel()
			if err := <-end; err != nil {
				t.Fatalf("seed %d: %v", r.w.seed, err)
			}
			r.revive()
			return false
		}
	}
}

// order has the process die at some operation of the disk.
func (r *simRun) order() {
	n := int64(1 + r.f.IntN(40))
	if r.f.IntN(2) == 0 {
		n = int64(1 + r.f.IntN(1500))
	}
	if r.f.IntN(3) == 0 {
		r.disk.KillAt(n)
		r.f.note("kill")
	} else {
		r.disk.CrashAt(n)
		r.f.note("power")
	}
}

func (r *simRun) down() bool {
	_, err := r.disk.Stat(".")
	return errors.Is(err, disk.ErrPower) || r.dead.Load()
}

// revive turns the power on again.
func (r *simRun) revive() {
	if r.dead.Load() {
		if r.f.IntN(2) == 0 {
			r.disk.Crash()
		} else {
			r.disk.Kill()
		}
	}
	r.dead.Store(false)
	r.calls = 1 + r.f.IntN(800)
	r.disk.Limit(-1)
	r.disk.Restart()
	r.damage()
	if r.f.IntN(2) == 0 {
		time.Sleep(time.Duration(r.f.IntN(2000)) * time.Millisecond)
	}
}

// damage turns a bit of the newest checkpoint over, now and then.
func (r *simRun) damage() {
	files, err := listNumbered(r.disk, checkpointDir, checkpointExt)
	if err != nil || len(files) < 2 || r.f.IntN(4) != 0 {
		return
	}
	name := checkpointName(files[len(files)-1])
	older, err := readAll(r.disk, checkpointName(files[len(files)-2]))
	if err != nil || len(older) == 0 {
		return
	}
	data, err := readAll(r.disk, name)
	if err != nil || len(data) == 0 {
		return
	}
	f, err := r.disk.Edit(name)
	if err != nil {
		return
	}
	defer f.Close()
	data[r.f.IntN(len(data))] ^= 4
	if _, err := f.Write(data); err == nil && f.Sync() == nil {
		r.f.note("bit flip")
	}
}

// fill takes the space of the disk for a while.
func (r *simRun) fill() {
	r.f.note("full")
	r.disk.Limit(0)
	time.Sleep(300 * time.Millisecond)
	r.disk.Limit(-1)
}

// outcome is what becomes of a call of an output.
func (r *simRun) outcome(op string) (before, after error) {
	if r.fault == nil {
		return nil, nil
	}
	return r.fault(op)
}

// rejection is what the target does not take.
func (w *simWorld) rejection() func(row string) *connect.RowError {
	if !w.rejects {
		return nil
	}
	return func(row string) *connect.RowError {
		if !strings.Contains(row, "3") {
			return nil
		}
		return &connect.RowError{Name: "OutputDataConversionError.TypeConversionError", Reason: "no threes"}
	}
}

func (r *simRun) spec() LiveSpec {
	s := LiveSpec{Name: "sim", Plan: r.w.plan, Late: r.w.late, OutOfOrder: r.w.order, Drop: r.w.drop, DropErrors: true, Start: StartBeginning, Checkpoint: r.w.every}
	if r.f != nil {
		s.Shards = r.f.IntN(4)
	}
	s.Inputs = []LiveInput{{Name: "e", Open: func(connect.SourceEnv) (connect.Source, error) { return r.source, nil }}}
	if r.w.query == simJoins {
		s.Inputs = append(s.Inputs, LiveInput{Name: "r", ID: "1", Open: r.tables.open})
	}
	for i, out := range s.Plan.Outputs {
		o := LiveOutput{Name: out.Name, OnError: OnErrorDeadLetter}
		if r.target[out.Name] == nil {
			r.target[out.Name] = &memTarget{fault: r.outcome, reject: r.w.rejection()}
		}
		o.Open = r.target[out.Name].open
		if r.w.logged && i == 0 {
			o.Open = func(env connect.SinkEnv) (connect.Sink, error) { return openLogSink(env, r.outcome) }
		}
		s.Outputs = append(s.Outputs, o)
	}
	return s
}

func (r *simRun) result(t *testing.T) *simResult {
	out := &simResult{rows: map[string][]string{}}
	for i, o := range r.w.plan.Outputs {
		if r.w.logged && i == 0 {
			data, err := readAll(r.disk, "outputs/"+dirName(o.Name)+"/"+logSinkName)
			if err != nil {
				t.Fatal(err)
			}
			_, _, epochs := readLogSink(data)
			out.rows[o.Name] = slices.Collect(strings.Lines(strings.Join(epochs, "")))
		} else {
			out.rows[o.Name] = r.target[o.Name].all()
			if late := r.target[o.Name].late; len(late) > 0 {
				t.Errorf("seed %d: output %s: %s", r.w.seed, o.Name, late[0])
			}
		}
	}
	letters, err := r.live.DeadLetters(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range letters {
		if d.ID != int64(i+1) {
			t.Errorf("seed %d: dead letter %d has id %d", r.w.seed, i+1, d.ID)
		}
		out.letters = append(out.letters, fmt.Sprint(d.Name, d.Output, d.Partition, d.Offset, d.Arrival, r.w.payload(d.Payload)))
	}
	out.counts, _ = r.live.DeadCounts()
	for name, target := range r.target {
		if target.again > 0 {
			t.Errorf("seed %d: output %s: %d times an epoch was written that it had", r.w.seed, name, target.again)
		}
	}
	return out
}

// payload is what dead letters are compared by: rows of simTwins have their own time each run.
func (w *simWorld) payload(text string) string {
	if w.twins() {
		text, _, _ = strings.Cut(text, `,"t":`)
	}
	return text
}

// differ says how a run differs from the calm one; "" if it does not. What comes from several
// partitions may take other turns, so that only the order of each key is the same.
func (w *simWorld) differ(calm, got *simResult) string {
	if w.twins() {
		if d := differ(got.rows["o"], got.rows["o2"], true, func(row string) string { return row }); d != "" {
			return "the outputs differ: " + d
		}
		for _, r := range []*simResult{calm, got} {
			for name := range r.rows {
				r.rows[name] = timeless(r.rows[name])
			}
		}
	}
	for name, want := range calm.rows {
		key := keyOf
		if w.twins() || name == "o2" || !strings.Contains(w.query, "BY k") && !strings.Contains(w.query, "JOIN") {
			key = func(row string) string { return row } // rows that never wait: partitions take turns
		}
		if d := differ(want, got.rows[name], w.parts > 1, key); d != "" {
			return "output " + name + ": " + d
		}
	}
	if d := differ(calm.letters, got.letters, true, func(s string) string { return s }); d != "" {
		return "dead letters: " + d
	}
	if fmt.Sprint(calm.counts) != fmt.Sprint(got.counts) {
		return fmt.Sprintf("counts of dead letters: %v, want %v", got.counts, calm.counts)
	}
	return ""
}

// timeless are rows without their time.
func timeless(rows []string) []string {
	var out []string
	for _, row := range rows {
		row, _, _ := strings.Cut(row, `,"t":`)
		out = append(out, row)
	}
	return out
}

func keyOf(row string) string {
	at := strings.Index(row, `"k":`)
	return row[at : at+8]
}

func differ(want, got []string, byKey bool, key func(string) string) string {
	if byKey {
		order := func(a, b string) int { return strings.Compare(key(a), key(b)) }
		want, got = slices.Clone(want), slices.Clone(got)
		slices.SortStableFunc(want, order)
		slices.SortStableFunc(got, order)
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d rows of %d; the first that is missing: %s", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Sprintf("%d rows, want %d; the first that is too much: %s", len(got), len(want), got[i])
		case want[i] != got[i]:
			return fmt.Sprintf("row %d of %d (want %d):\n%swant\n%s", i, len(got), len(want), got[i], want[i])
		}
	}
	return ""
}

// TestSimulation: whatever goes wrong, nothing is lost and nothing comes twice.
func TestSimulation(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a seed is then mostly the same story again
	seen := map[string]int{}
	rows := 0
	for i := range *simRounds {
		seed := *simSeed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			calm := w.run(t, nil)
			rows += len(calm.rows["o"])
			time.Sleep(time.Until(simStart.Add(time.Hour)))
			_ = calm
			synctest.Wait()
			results[seed] = calm
		})
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			got := w.run(t, &simFaults{rand: rand.New(rand.NewPCG(seed, 2)), seen: seen})
			if d := w.differ(results[seed], got); d != "" {
				t.Errorf("seed %d (go test ./internal/job -run Simulation -rounds 1 -seed %d): %s\n%s", seed, seed, w.query, d)
			}
		})
		delete(results, seed)
		if t.Failed() {
			break
		}
	}
	if t.Failed() || *simRounds < 200 {
		return
	}
	t.Logf("%d rows; %v", rows, seen)
	for _, kind := range []string{"power", "kill", "stop", "full", "error before write", "error after commit", "error before prepare", "death after commit",
		"death before commit", "source read", "reference versions", "reference open", "reference read", "error of disk sync", "error of disk write", "error of disk rename", "bit flip"} {
		if seen[kind] == 0 {
			t.Errorf("it never came to %q", kind)
		}
	}
}

var results = map[uint64]*simResult{}
