package twin

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/testkit"
)

// TestCases runs the conformance cases through the twin, which so has to agree with rows
// that people worked out by hand. A case of what it does not know is left out.
func TestCases(t *testing.T) {
	for dir, least := range map[string]int{"../../testdata/saql": 60, "../../../shared/conformance": 250} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		files, err := testkit.Find([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for _, file := range files {
			c, err := testkit.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.Error != "" || len(c.Functions) > 0 || c.Level != "" {
				continue
			}
			got, err := slowly(c)
			var u *Unknown
			switch {
			case errors.As(err, &u):
				t.Logf("%s: %v", filepath.Base(file), err)
				continue
			case err != nil:
				t.Errorf("%s: %v", file, err)
				continue
			}
			if diff := c.Diff(got); diff != "" {
				t.Errorf("%s: %s", file, diff)
				continue
			}
			passed++
		}
		t.Logf("%s: %d of %d cases", dir, passed, len(files))
		if passed < least {
			t.Errorf("%s: only %d cases were compared", dir, passed)
		}
	}
}

// slowly runs a case through the twin and gives rows as the engine does.
func slowly(c *testkit.Case) (map[string][]testkit.Row, error) {
	j := Job{Query: c.Query, Sample: true, Start: runStart, Drop: c.Policies.Drop,
		Late: int64(c.Policies.Late / 100), OutOfOrder: int64(c.Policies.OutOfOrder / 100)}
	input := func(in testkit.Input) Input {
		x := Input{Name: in.Name, Events: in.Events}
		for _, a := range in.Arrival {
			x.Arrival = append(x.Arrival, ticks(a.In(time.UTC)))
		}
		return x
	}
	for _, in := range c.Inputs {
		j.Inputs = append(j.Inputs, input(in))
		j.Sample = j.Sample && in.Arrival == nil
	}
	for _, in := range c.Reference {
		j.Reference = append(j.Reference, input(in))
	}
	outputs, err := slow(j)
	if err != nil {
		return nil, err
	}
	rows := map[string][]testkit.Row{}
	for name, o := range outputs {
		rows[name] = nil
		for _, r := range o.Rows {
			v, err := testkit.ParseValue([]byte(recordValue(r.Fields).JSON()))
			if err != nil {
				return nil, err
			}
			rows[name] = append(rows[name], v)
		}
	}
	return rows, nil
}
