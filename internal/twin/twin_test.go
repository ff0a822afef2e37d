package twin

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
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
	var counts [len(verdictNames)]int
	reasons := map[string]int{}
	leftOut := regexp.MustCompile(*without)
	for i := range *rounds {
		seed := *firstSeed + uint64(i)
		g := newGen(seed)
		job, way := g.job(), g.way()
		if *without != "" && leftOut.MatchString(job.Query) {
			continue
		}
		v, text := check(job, way)
		counts[v]++
		switch v {
		case rejected:
			reasons[firstError(text)]++
			if *verbose {
				t.Logf("seed %d: %s\n%s", seed, job.Query, text)
			}
		case differ:
			report(t, seed, job, way)
			if counts[differ] >= *failures {
				t.FailNow()
			}
		}
	}
	for i, n := range counts {
		t.Logf("%s: %d", verdictNames[i], n)
	}
	for reason, n := range reasons {
		t.Logf("%5d %s", n, reason)
	}
	if n := counts[agree] + counts[bothFail]; n < *rounds*19/20 && *without == "" {
		t.Errorf("only %d of %d queries were compared", n, *rounds)
	}
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
