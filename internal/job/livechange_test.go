package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// A job is started with another definition than the one that wrote its state: what is in the
// manifest must mean the same to all that come after.

// changeCase is a job with two inputs, each with a source of its own, and an output for each.
type changeCase struct {
	*liveCase
	sources map[string]*memSource
	targets map[string]*memTarget
}

func newChangeCase(t *testing.T) *changeCase {
	c := &changeCase{&liveCase{disk: disk.NewMem(1)}, map[string]*memSource{}, map[string]*memTarget{}}
	c.use(t, `SELECT n, 'a' AS o INTO oa FROM a; SELECT n, 'b' AS o INTO ob FROM b`)
	return c
}

// use changes the query; inputs and outputs of the same name stay.
func (c *changeCase) use(t *testing.T, query string) {
	t.Helper()
	c.spec = LiveSpec{Name: "j", Plan: compile(t, query), Late: 5 * time.Second, Start: StartBeginning, Checkpoint: time.Hour}
	for _, in := range c.spec.Plan.Inputs {
		s := c.sources[in.Name]
		if s == nil {
			s = &memSource{marks: true}
			c.sources[in.Name] = s
			s.add("0")
		}
		c.spec.Inputs = append(c.spec.Inputs, LiveInput{Name: in.Name, ID: "1", Open: func(connect.SourceEnv) (connect.Source, error) { return s, nil }})
	}
	for _, out := range c.spec.Plan.Outputs {
		if c.targets[out.Name] == nil {
			c.targets[out.Name] = &memTarget{}
		}
		c.spec.Outputs = append(c.spec.Outputs, LiveOutput{Name: out.Name, ID: "1", Open: c.targets[out.Name].open})
	}
}

// feed brings events, now.
func (c *changeCase) feed(input string, from, n int) {
	for i := from; i < from+n; i++ {
		e := event(i, 0)
		e.arrival = timeOf(time.Now())
		c.sources[input].add("0", e)
	}
}

// life runs the job, does something, and kills it.
func (c *changeCase) life(t *testing.T, do func(l *Live)) {
	t.Helper()
	l, stop := c.start(t)
	time.Sleep(2 * time.Second)
	do(l)
	time.Sleep(2 * time.Second)
	if s := l.Stats(); s.State != Running && s.State != Degraded {
		t.Fatalf("%s: %s", s.State, s.Reason)
	}
	c.disk.Kill()
	stop()
	c.disk.Restart()
}

func (c *changeCase) check(t *testing.T, output string, rows ...string) {
	t.Helper()
	if got := strings.Join(c.targets[output].all(), ""); got != strings.Join(rows, "\n")+"\n" {
		t.Errorf("%s has\n%s", output, got)
	}
}

// TestLiveOtherInputs: the numbers of inputs and outputs change from one start to the next,
// and the process is killed before it has made a checkpoint.
func TestLiveOtherInputs(t *testing.T) {
	f := func(query string, more func(c *changeCase), oa, ob []string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newChangeCase(t)
			c.life(t, func(*Live) { c.feed("a", 1, 2); c.feed("b", 1, 2) })
			c.use(t, query)
			c.life(t, func(*Live) { c.feed("a", 3, 1); c.feed("b", 3, 2); more(c) })
			c.life(t, func(*Live) { c.feed("a", 4, 1); c.feed("b", 5, 1) })
			c.check(t, "oa", oa...)
			c.check(t, "ob", ob...)
		})
	}
	all := []string{`{"n":1,"o":"a"}`, `{"n":2,"o":"a"}`, `{"n":3,"o":"a"}`, `{"n":4,"o":"a"}`}
	five := []string{`{"n":1,"o":"b"}`, `{"n":2,"o":"b"}`, `{"n":3,"o":"b"}`, `{"n":4,"o":"b"}`, `{"n":5,"o":"b"}`}
	none := func(*changeCase) {}
	f(`SELECT n, 'b' AS o INTO ob FROM b; SELECT n, 'a' AS o INTO oa FROM a`, none, all, five)
	f(`SELECT n, 'b' AS o INTO ob FROM b`, none, all[:2], five)
	f(`SELECT n, 'c' AS o INTO oc FROM c; SELECT n, 'b' AS o INTO ob FROM b; SELECT n, 'a' AS o INTO oa FROM a`, func(c *changeCase) {
		c.feed("c", 1, 3)
	}, all, five)
}

// TestLiveOtherOutput: an output that another version did not have gets no rows of that
// version's epochs, which another output of the same target may have.
func TestLiveOtherOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChangeCase(t)
		c.life(t, func(*Live) { c.feed("a", 1, 2) })
		c.use(t, `SELECT n, 'a' AS o INTO renamed FROM a; SELECT n, 'b' AS o INTO ob FROM b`)
		c.life(t, func(*Live) { c.feed("a", 3, 2) })
		c.life(t, func(*Live) { c.feed("a", 5, 1) })
		c.check(t, "oa", `{"n":1,"o":"a"}`, `{"n":2,"o":"a"}`)
		c.check(t, "renamed", `{"n":3,"o":"a"}`, `{"n":4,"o":"a"}`, `{"n":5,"o":"a"}`)
	})
}

// TestLiveReloadDamaged: the newest checkpoint behind a reload is damaged.
func TestLiveReloadDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChangeCase(t)
		c.life(t, func(l *Live) {
			c.feed("a", 1, 2)
			c.feed("b", 1, 1)
			time.Sleep(time.Second)
			c.use(t, `SELECT n, 'b' AS o INTO ob FROM b; SELECT n, 'a' AS o INTO oa FROM a`)
			if _, err := l.Reload(t.Context(), c.spec, ReloadOptions{}); err != nil {
				t.Fatal(err)
			}
			c.feed("a", 3, 1)
			c.feed("b", 2, 2)
		})
		files, _ := listNumbered(c.disk, checkpointDir, checkpointExt)
		name := checkpointName(slices.Max(files))
		data, _ := readAll(c.disk, name)
		data[len(data)/2] ^= 1
		overwrite(t, c.disk, name, string(data))
		c.life(t, func(*Live) { c.feed("a", 4, 1); c.feed("b", 4, 1) })
		c.check(t, "oa", `{"n":1,"o":"a"}`, `{"n":2,"o":"a"}`, `{"n":3,"o":"a"}`, `{"n":4,"o":"a"}`)
		c.check(t, "ob", `{"n":1,"o":"b"}`, `{"n":2,"o":"b"}`, `{"n":3,"o":"b"}`, `{"n":4,"o":"b"}`)
	})
}

// TestLiveReloadUndone: a reload whose checkpoint may or may not be durable is taken back, so
// that a crash leads to the version that runs.
func TestLiveReloadUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChangeCase(t)
		c.life(t, func(l *Live) {
			c.feed("a", 1, 2)
			time.Sleep(time.Second)
			first := c.spec
			c.use(t, `SELECT n, 'b' AS o INTO ob FROM b`)
			c.disk.Hook(func(op disk.Op, name string) error {
				if op == disk.OpSyncDir && strings.Contains(name, checkpointDir) {
					return errors.New("input/output error")
				}
				return nil
			})
			if _, err := l.Reload(t.Context(), c.spec, ReloadOptions{DiscardState: true}); err == nil {
				t.Fatal("the reload has succeeded")
			}
			c.disk.Hook(nil)
			c.spec = first
			c.feed("a", 3, 1)
			c.feed("b", 1, 1)
		})
		c.life(t, func(*Live) { c.feed("a", 4, 1); c.feed("b", 2, 1) })
		c.check(t, "oa", `{"n":1,"o":"a"}`, `{"n":2,"o":"a"}`, `{"n":3,"o":"a"}`, `{"n":4,"o":"a"}`)
		c.check(t, "ob", `{"n":1,"o":"b"}`, `{"n":2,"o":"b"}`)
	})
}

// TestLiveTraceless: a target that keeps no trace of epochs without rows has all that was
// written to it; one that was put back to an older state is told of.
func TestLiveTraceless(t *testing.T) {
	f := func(lost, warned bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := newLiveCase(t, `SELECT n INTO o FROM e TIMESTAMP BY at`)
			c.target.traceless = true
			c.source.marks = true
			c.spec.Outputs[0].OnError = OnErrorDrop
			c.target.reject = func(row string) *connect.RowError {
				if strings.Contains(row, "9") {
					return &connect.RowError{Name: "x"}
				}
				return nil
			}
			c.source.add("p", texts(0, 2)...)
			l, stop := c.start(t)
			time.Sleep(3 * time.Second)
			c.source.add("p", texts(9, 1)...)
			time.Sleep(10 * time.Second)
			mustStop(t, stop)
			if c.target.committed[l.dir.instance] >= l.epoch {
				t.Fatalf("no epoch without rows: %d of %d", c.target.committed[l.dir.instance], l.epoch)
			}
			if lost {
				c.target.committed[l.dir.instance]--
			}
			c.spec.Log = slog.New(slog.NewTextHandler(&log, nil))
			_, stop = c.start(t)
			time.Sleep(time.Second)
			mustStop(t, stop)
			if got := strings.Contains(log.String(), "the target of an output has less"); got != warned {
				t.Errorf("warned %v, want %v: %s", got, warned, log.String())
			}
		})
	}
	f(false, false)
	f(true, true)
}

// TestLiveOutageIsNoPoison: a process that is killed again and again while an output does not
// answer has not been ended by an event.
func TestLiveOutageIsNoPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.spec.Late, c.source.marks = -1, true
		var out atomic.Bool
		c.target.fault = func(op string) (before, after error) {
			if out.Load() && op == "prepare" {
				return errors.New("connection refused"), nil
			}
			return nil, nil
		}
		life := func(do func()) {
			_, stop := c.start(t)
			time.Sleep(time.Second)
			do()
			time.Sleep(time.Second)
			c.disk.Kill()
			stop()
			c.disk.Restart()
		}
		life(func() {})
		for n := range 3 {
			life(func() { out.Store(true); c.source.add("p", texts(n, 1)...) })
			for range maxStarts + 2 {
				life(func() {})
			}
			out.Store(false)
		}
		l, stop := c.start(t)
		time.Sleep(time.Second)
		if list, err := l.DeadLetters(0, 10); len(list) > 0 || err != nil {
			t.Errorf("dead letters %+v, %v", list, err)
		}
		mustStop(t, stop)
		if got := strings.Join(c.target.all(), ""); got != "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n" {
			t.Errorf("rows %s", got)
		}
	})
}

// TestLiveOtherName: a job that gets another name stays the same one to its targets, which
// would else take what they have once more.
func TestLiveOtherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChangeCase(t)
		open := c.spec.Outputs[0].Open
		var names []string
		c.spec.Outputs[0].Open = func(env connect.SinkEnv) (connect.Sink, error) {
			names = append(names, env.Job)
			return open(env)
		}
		c.life(t, func(*Live) { c.feed("a", 1, 1) })
		c.spec.Name = "renamed"
		c.life(t, func(l *Live) {
			next := c.spec
			next.Outputs = slices.Clone(next.Outputs)
			next.Outputs[0].ID = "2"
			if _, err := l.Reload(t.Context(), next, ReloadOptions{}); err != nil {
				t.Error(err)
			}
		})
		c.life(t, func(*Live) {})
		c.spec.DiscardState, c.spec.Start = true, StartNow
		c.life(t, func(*Live) {})
		if got := strings.Join(names, " "); got != "j j j j renamed" {
			t.Errorf("the target sees %s", got)
		}
	})
}

// TestLiveStartSettled: what arrives after the job was started now is in its results, also if
// the process is killed before its first checkpoint is durable. After an end that is known,
// now is a later time.
func TestLiveStartSettled(t *testing.T) {
	f := func(killed bool, mode StartMode, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, plainQuery)
			c.source.marks, c.spec.Start = true, StartNow
			c.source.add("p", memEvent{`{"n":0}`, timeOf(time.Now()) - vec.Hour})
			c.disk.Hook(func(op disk.Op, name string) error {
				if op == disk.OpRename && strings.Contains(name, checkpointExt) {
					return disk.ErrFull
				}
				return nil
			})
			_, stop := c.start(t)
			time.Sleep(time.Second)
			c.source.add("p", memEvent{`{"n":1}`, timeOf(time.Now())})
			time.Sleep(time.Second)
			if killed {
				c.disk.Crash()
			}
			mustStop(t, stop)
			c.disk.Restart()
			c.disk.Hook(nil)
			time.Sleep(time.Hour)
			c.source.add("p", memEvent{`{"n":2}`, timeOf(time.Now())})
			c.spec.Start = mode
			_, stop = c.start(t)
			time.Sleep(time.Second)
			mustStop(t, stop)
			if got := strings.Join(c.target.all(), ""); got != want {
				t.Errorf("killed %v, then from %s: rows %s", killed, mode, got)
			}
		})
	}
	f(true, StartNow, "{\"n\":1}\n{\"n\":2}\n")
	f(false, StartNow, "{\"n\":2}\n")
	f(true, StartBeginning, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n")
}

// TestLiveFirstPartition: the time that has passed while an input had no partition is in the
// record of the epoch that brings the first one.
func TestLiveFirstPartition(t *testing.T) {
	f := func(killed bool) (rows string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT n, System.Timestamp() AS t INTO o FROM e TIMESTAMP BY at`)
			c.spec.Late, c.source.marks, c.spec.Checkpoint = 0, true, time.Hour
			var down atomic.Bool
			c.target.fault = func(op string) (before, after error) {
				if down.Load() && op == "prepare" {
					return errors.New("no answer"), nil
				}
				return nil, nil
			}
			_, stop := c.start(t)
			time.Sleep(10*time.Second + 300*time.Millisecond)
			e := event(0, 3)
			e.arrival = moment(10)
			down.Store(killed)
			c.source.add("p", e)
			time.Sleep(2 * time.Second)
			if killed {
				c.disk.Kill()
				stop()
				c.disk.Restart()
				down.Store(false)
				_, stop = c.start(t)
				time.Sleep(2 * time.Second)
			}
			mustStop(t, stop)
			rows = strings.Join(c.target.all(), "")
		})
		return rows
	}
	if calm, again := f(false), f(true); calm != again {
		t.Errorf("rows %s, and in a calm run %s", again, calm)
	}
}

// lateSink finds out at Commit that its target does not take a row.
type lateSink struct {
	connect.Sink
	env   connect.SinkEnv
	tries int
}

func (s *lateSink) Commit(ctx context.Context, epoch int64) error {
	if err := s.env.Reject(connect.RowError{Name: "late", Row: fmt.Appendf(nil, `{"epoch":%d}`, epoch)}); err != nil {
		return err
	}
	if s.tries++; s.tries == 1 {
		return errors.New("no answer")
	}
	return s.Sink.Commit(ctx, epoch)
}

// TestLiveLateRejects: rows that are rejected as late as at Commit are dead letters too, once.
func TestLiveLateRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.spec.Late, c.source.marks = -1, true
		c.spec.Outputs[0].OnError = OnErrorDeadLetter
		c.spec.Outputs[0].Open = func(env connect.SinkEnv) (connect.Sink, error) {
			s, err := c.target.open(env)
			return &lateSink{Sink: s, env: env}, err
		}
		c.target.reject = func(row string) *connect.RowError { return &connect.RowError{Name: "early"} }
		c.source.add("p", texts(0, 1)...)
		l, stop := c.start(t)
		time.Sleep(3 * time.Second)
		mustStop(t, stop)
		for range 2 {
			var got []string
			list, err := l.DeadLetters(0, 10)
			for _, d := range list {
				got = append(got, fmt.Sprint(d.ID, d.Name, strings.TrimSpace(d.Payload)))
			}
			counts, _ := l.DeadCounts()
			if s := strings.Join(got, " "); err != nil || s != `1early{"n":0} 2late{"epoch":1}` || counts["late"] != 1 {
				t.Errorf("%s, %v, %v", s, counts, err)
			}
			l, stop = c.start(t)
			mustStop(t, stop)
		}
	})
}

// TestLiveRedriveBounds: a row that is tried again is not of a time that the output takes for
// past, and what is tried again fits into the record of an epoch.
func TestLiveRedriveBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n INTO o FROM e TIMESTAMP BY at`)
		c.spec.Inputs[0].EventArrival = true
		c.spec.Outputs[0].OnError = OnErrorDeadLetter
		c.target.reject = func(row string) *connect.RowError {
			if strings.Contains(row, "7") {
				return &connect.RowError{Name: "x"}
			}
			return nil
		}
		c.source.add("p", event(7, 3600), event(8, 7200))
		l, stop := c.start(t)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		c.target.reject = nil
		if err := l.Redrive(t.Context(), []Redriven{{ID: 1}}); err != nil {
			t.Error(err)
		}
		if rows := strings.Join(c.target.all(), ""); rows != "{\"n\":8}\n{\"n\":7}\n" || len(c.target.late) > 0 {
			t.Errorf("rows %s, %s", rows, c.target.late)
		}
		much := make([]Redriven, 3)
		for i := range much {
			much[i] = Redriven{1, bytes.Repeat([]byte(" "), maxFrame/3)}
		}
		if err := l.Redrive(t.Context(), much); err == nil || !strings.Contains(err.Error(), "try fewer at a time") {
			t.Errorf("error %v", err)
		}
		mustStop(t, stop)
	})
}

// soleSource can be open once at a time, as one that listens on an address.
type soleSource struct {
	*memSource
	open *bool
}

func (s soleSource) Close() error {
	*s.open = false
	return s.memSource.Close()
}

// TestLiveReloadInput: the settings of an input change whose source can be open once at a
// time. If the reload fails, the old one is there again.
func TestLiveReloadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChangeCase(t)
		in, open := &c.spec.Inputs[0], false
		in.Open = func(connect.SourceEnv) (connect.Source, error) {
			if open {
				return nil, errors.New("the address is in use")
			}
			open = true
			return soleSource{c.sources["a"], &open}, nil
		}
		c.life(t, func(l *Live) {
			next := c.spec
			for i, broken := range []bool{false, true, false} {
				next.Inputs, next.Outputs = slices.Clone(next.Inputs), slices.Clone(next.Outputs)
				next.Inputs[0].ID = fmt.Sprint("other ", i)
				next.Outputs[0].ID = fmt.Sprint("other ", i)
				if broken {
					next.Outputs[0].Open = func(connect.SinkEnv) (connect.Sink, error) { return nil, errors.New("refused") }
				} else {
					next.Outputs[0].Open = c.spec.Outputs[0].Open
				}
				_, err := l.Reload(t.Context(), next, ReloadOptions{})
				if (err != nil) != broken || broken && err.Error() != `output "oa": refused` {
					t.Errorf("reload %d: %v", i, err)
				}
				c.feed("a", i, 1)
				time.Sleep(2 * time.Second)
			}
			next.Plan = compile(t, `SELECT n, 'a' AS o INTO oa FROM a GROUP BY n, TumblingWindow(second, 1); SELECT n, 'b' AS o INTO ob FROM b`)
			next.Inputs = slices.Clone(next.Inputs)
			next.Inputs[0].ID = "last"
			next.Inputs[1].ID, next.Inputs[1].Open = "last", func(connect.SourceEnv) (connect.Source, error) { return nil, errors.New("no input") }
			if _, err := l.Reload(t.Context(), next, ReloadOptions{}); err == nil || err.Error() == "" || !strings.Contains(err.Error(), "no input") {
				t.Errorf("error %v", err)
			}
			c.feed("a", 3, 1)
			c.feed("b", 0, 1)
		})
		c.check(t, "oa", `{"n":0,"o":"a"}`, `{"n":1,"o":"a"}`, `{"n":2,"o":"a"}`, `{"n":3,"o":"a"}`)
		c.check(t, "ob", `{"n":0,"o":"b"}`)
	})
}
