package testkit

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Way is a way of running a case. Rows must be the same in all ways.
type Way struct {
	Name string
	// Batch is the number of rows a batch; 0 takes the whole input at once.
	Batch int
	// Seed, if not 0, cuts the input at random: batches of 1 to 7 rows.
	Seed uint64
	// Snapshot saves all state after every batch and goes on in a new engine that has
	// read it.
	Snapshot bool
	// Crash, if not 0, leaves Snapshot only some of the batches, at random.
	Crash uint64
	// Shards is the number of shards of the keys; 0 leaves it to the engine.
	Shards int
}

// Whole is the plain way: the whole input at once.
var Whole = Way{Name: "whole"}

// Ways are all ways. The seed moves the random cuts; 0 is taken as 1.
func Ways(seed uint64) []Way {
	seed = max(seed, 1)
	return []Way{
		Whole,
		{Name: "one row a batch", Batch: 1},
		{Name: "three rows a batch", Batch: 3},
		{Name: fmt.Sprintf("random cuts, seed %d", seed), Seed: seed},
		{Name: "snapshot and restore after every batch of one", Batch: 1, Snapshot: true},
		{Name: "snapshot and restore after every batch of three", Batch: 3, Snapshot: true},
		{Name: "1 shard", Shards: 1},
		{Name: "2 shards", Shards: 2, Batch: 3},
		{Name: "7 shards", Shards: 7, Batch: 1},
	}
}

// Crashes says after which batches Snapshot saves and restores; nil after all of them.
func (w Way) Crashes() func() bool {
	if w.Crash == 0 {
		return nil
	}
	state := w.Crash
	return func() bool {
		state = state*6364136223846793005 + 1442695040888963407
		return state>>33%4 == 0
	}
}

// Cuts gives the sizes of the batches of n rows.
func (w Way) Cuts(n int) []int {
	var sizes []int
	state := w.Seed
	for n > 0 {
		size := n
		switch {
		case w.Seed != 0:
			// A linear congruence is random enough to cut differently each time.
			state = state*6364136223846793005 + 1442695040888963407
			size = 1 + int(state>>33%7)
		case w.Batch > 0:
			size = w.Batch
		}
		size = min(size, n)
		sizes = append(sizes, size)
		n -= size
	}
	return sizes
}

// Engine runs a case and gives the rows of its outputs, or the error that the user would
// see: all diagnostics of a query that does not compile, or why the run stopped.
type Engine func(c *Case, w Way) (map[string][]Row, error)

// Check runs c through e and says what is wrong, or gives "". A panic of the engine is a
// finding like any other.
func Check(c *Case, e Engine, w Way) (problem string) {
	defer func() {
		if r := recover(); r != nil {
			problem = fmt.Sprintf("the engine panicked: %v\n%s", r, debug.Stack())
		}
	}()
	got, err := e(c, w)
	switch {
	case c.Error != "" && err == nil:
		return fmt.Sprintf("the run must fail with a message about %q; it gave %s\n", c.Error, outputs(got))
	case c.Error != "":
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.Error)) {
			return fmt.Sprintf("the message must contain %q; it is:\n%s\n", c.Error, indent(err.Error()))
		}
		return ""
	case err != nil:
		return fmt.Sprintf("the run failed:\n%s\n", indent(err.Error()))
	}
	return c.Diff(got)
}

func outputs(got map[string][]Row) string {
	n := 0
	for _, rows := range got {
		n += len(rows)
	}
	return count(n, "row")
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
