package twin

import (
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/testkit"
)

var (
	rounds    = flag.Int("rounds", 10000, "how many random queries to compare")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first random query")
	without   = flag.String("without", "", "leave out queries that match this expression")
	verbose   = flag.Bool("rejected", false, "show the queries that the compiler does not take")
	failures  = flag.Int("failures", 1, "after how many differences to stop")
)

// TestTwin compares the engine with its slow twin on random queries over random events,
// cut, interrupted and sharded at random.
func TestTwin(t *testing.T) {
	r := &results{reasons: map[string]int{}, next: *firstSeed, last: *firstSeed + uint64(*rounds)}
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() { r.work(t) })
	}
	all.Wait()
	for i, n := range r.counts {
		t.Logf("%s: %d", verdictNames[i], n)
	}
	for reason, n := range r.reasons {
		t.Logf("%5d %s", n, reason)
	}
	if n := r.counts[agree] + r.counts[bothFail]; n < *rounds*19/20 && !t.Failed() && *without == "" {
		t.Errorf("only %d of %d queries were compared", n, *rounds)
	}
}

// results gathers how the rounds of all workers ended.
type results struct {
	sync.Mutex
	next, last uint64 // seeds
	counts     [len(verdictNames)]int
	reasons    map[string]int // of the compiler, to take no query
}

// seed is the next one to try; ok is false when all are done or enough have failed.
func (r *results) seed() (seed uint64, ok bool) {
	r.Lock()
	defer r.Unlock()
	r.next++
	return r.next - 1, r.next <= r.last && r.counts[differ] < *failures
}

func (r *results) work(t *testing.T) {
	leftOut := regexp.MustCompile(*without)
	for {
		seed, ok := r.seed()
		if !ok {
			return
		}
		g := newGen(seed)
		job, way := g.job(), g.way()
		if *without != "" && leftOut.MatchString(job.Query) {
			continue
		}
		v, text := check(job, way)
		r.Lock()
		r.counts[v]++
		if v == rejected {
			r.reasons[firstError(text)]++
		}
		r.Unlock()
		switch {
		case v == differ:
			report(t, seed, job, way)
		case v == rejected && *verbose:
			t.Logf("seed %d: %s\n%s", seed, job.Query, text)
		}
	}
}

// FuzzTwin lets the fuzzer choose the seeds: it looks for those that reach new code.
func FuzzTwin(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := newGen(seed)
		job, way := g.job(), g.way()
		if v, _ := check(job, way); v == differ {
			report(t, seed, job, way)
		}
	})
}

// firstError is the first error among what the compiler says.
func firstError(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "error") {
			code, _, _ := strings.Cut(line, ":")
			return code
		}
	}
	return text
}

// sortOf is the beginning of a difference: who fails, or that rows differ. The shrinker
// keeps to it.
func sortOf(text string) string { return text[:min(len(text), 10)] }

// report shows a difference, made small, as a conformance case.
func report(t *testing.T, seed uint64, job Job, way testkit.Way) {
	t.Helper()
	_, first := check(job, way)
	small := shrink(job, func(j Job) bool {
		v, text := check(j, way)
		return v == differ && sortOf(text) == sortOf(first)
	}, 10*time.Second)
	_, text := check(small, way)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %+v\n%s\n", seed, way, small.Query)
	for _, in := range append(append([]Input(nil), small.Inputs...), small.Reference...) {
		fmt.Fprintf(&b, "  %s: %s\n", in.Name, strings.Join(in.Events, "\n     "))
	}
	t.Errorf("%s%s\ncase: %s", b.String(), text, caseText(small))
}
