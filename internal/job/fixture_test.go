package job

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/disk"
)

var update = flag.Bool("update", false, "make testdata/state anew: only for a new version of the format, beside the old ones")

// fixtureDir holds a state directory of version 1 of all formats, as a process that was killed
// has left it: checkpoints, epochs behind them, dead letters, one output that lacks the last
// epoch. Later versions must go on from it.
const fixtureDir = "testdata/state/v1"

const fixtureQuery = `
	SELECT k, COUNT(*) AS c, SUM(n) AS s, System.Timestamp() AS t INTO o1 FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10);
	SELECT k, MAX(n) AS m, System.Timestamp() AS t INTO o2 FROM e TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 20, 5);
	SELECT k, COUNT(*) AS c, System.Timestamp() AS t INTO o3 FROM e TIMESTAMP BY at GROUP BY k, SessionWindow(second, 4, 30);
	SELECT k, COUNT(*) AS c, System.Timestamp() AS t INTO o4 FROM e TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 7) HAVING COUNT(*) > 2;
	SELECT n, LAG(n) OVER (PARTITION BY k LIMIT DURATION(second, 30)) AS p INTO o5 FROM e TIMESTAMP BY at;
	SELECT a.n, b.n AS m INTO o6 FROM e a TIMESTAMP BY at JOIN e b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 6`

// fixtureTarget is what an output has.
type fixtureTarget struct {
	Committed map[string]int64 `json:"committed"`
	Rows      []string         `json:"rows"`
}

// fixtureCase is the job of the fixture, over the first n of its events.
func fixtureCase(t *testing.T, n int) (*liveCase, map[string]*memTarget) {
	c := newLiveCase(t, fixtureQuery)
	c.spec.Shards, c.spec.OutOfOrder = 3, 3*time.Second
	targets := map[string]*memTarget{}
	for i := range c.spec.Outputs {
		o := &c.spec.Outputs[i]
		targets[o.Name] = &memTarget{}
		o.Open = targets[o.Name].open
	}
	c.source.marks = true
	for i := range n {
		e := event(i, float64(i)-float64(i*7%4))
		e.arrival = moment(float64(i))
		if i%17 == 5 {
			e.text = e.text[:9]
		}
		c.source.add([]string{"p", "q"}[i%2], e)
	}
	return c, targets
}

func TestFixture(t *testing.T) {
	if *update {
		synctest.Test(t, makeFixture)
	}
	want := map[string]string{}
	synctest.Test(t, func(t *testing.T) {
		c, targets := fixtureCase(t, 120)
		c.source.end()
		if _, err := c.run(t); err != nil {
			t.Fatal(err)
		}
		for name, target := range targets {
			want[name] = strings.Join(target.all(), "")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, targets := fixtureCase(t, 120)
		c.source.end()
		if err := copyIn(c.disk, filepath.Join(fixtureDir, "state"), "."); err != nil {
			t.Fatal(err)
		}
		for name, target := range targets {
			var had fixtureTarget
			text, err := os.ReadFile(filepath.Join(fixtureDir, name+".json"))
			if err == nil {
				err = json.Unmarshal(text, &had)
			}
			if err != nil {
				t.Fatal(err)
			}
			target.rows, target.committed = had.Rows, had.Committed
		}
		c.spec.Start = StartLast
		l, err := c.run(t)
		if err != nil {
			t.Fatal(err)
		}
		for name, target := range targets {
			if got := strings.Join(target.all(), ""); got != want[name] {
				t.Errorf("%s: %d bytes of rows, want %d\n%s", name, len(got), len(want[name]), got)
			}
		}
		if list, err := l.DeadLetters(0, 100); len(list) != 7 || err != nil {
			t.Errorf("%d dead letters, error %v", len(list), err)
		}
	})
}

// makeFixture runs the job over a half of the events and kills it in the commit of an epoch.
func makeFixture(t *testing.T) {
	c, targets := fixtureCase(t, 0)
	all, _ := fixtureCase(t, 60)
	l, err := OpenLive(t.Context(), c.disk.Boot(), c.spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- l.Run(ctx) }()
	for i := range 30 {
		for _, p := range all.source.parts {
			c.source.add(p.name, p.events[i])
		}
		time.Sleep(150 * time.Millisecond)
		if i == 28 {
			targets["o5"].mu.Lock()
			targets["o5"].fault = func(op string) (error, error) {
				if op == "commit" {
					return errors.New("no answer"), nil
				}
				return nil, nil
			}
			targets["o5"].mu.Unlock()
		}
	}
	c.disk.Kill()
	cancel()
	<-end
	if err := os.RemoveAll(fixtureDir); err != nil {
		t.Fatal(err)
	}
	if err := copyOut(c.disk, ".", filepath.Join(fixtureDir, "state")); err != nil {
		t.Fatal(err)
	}
	for name, target := range targets {
		text, err := json.MarshalIndent(fixtureTarget{target.committed, target.rows}, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(fixtureDir, name+".json"), append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// copyOut copies the files of a directory to one of this machine.
func copyOut(from disk.FS, dir, to string) error {
	list, err := from.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, f := range list {
		name, target := path.Join(dir, f.Name), filepath.Join(to, f.Name)
		if f.Dir {
			if err := copyOut(from, name, target); err != nil {
				return err
			}
			continue
		}
		data, err := readAll(from, name)
		if err != nil || f.Name == lockName {
			continue
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// copyIn copies the files of a directory of this machine.
func copyIn(to disk.FS, from, dir string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := to.MkdirAll(dir); err != nil {
		return err
	}
	for _, f := range list {
		source, name := filepath.Join(from, f.Name()), path.Join(dir, f.Name())
		if f.IsDir() {
			if err := copyIn(to, source, name); err != nil {
				return err
			}
			continue
		}
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		w, err := to.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err == nil {
			err = w.Sync()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
