package hub

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/internal/disk"
)

// state is what of a broker must survive.
func state(t *testing.T, b *Broker) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, h := range b.Hubs() {
		c := h.Config()
		out["hub "+c.Name] = fmt.Sprint(c.Partitions, c.Retention)
		for _, g := range h.Groups() {
			out["group "+c.Name+" "+g] = fmt.Sprint(h.Offsets(g))
		}
		for _, p := range h.Partitions() {
			out[fmt.Sprint("events ", c.Name, p.ID())] = fmt.Sprint(texts(t, p, p.Range().First))
			e, last, ok := p.Last("job")
			out[fmt.Sprint("job ", c.Name, p.ID())] = fmt.Sprint(e, last, ok)
		}
		for _, r := range b.Rules(c.Name) {
			out["rule "+c.Name+" "+r.Name] = fmt.Sprint(r.Rights, r.Primary, r.Secondary)
		}
	}
	for _, r := range b.Rules("") {
		out["rule "+r.Name] = fmt.Sprint(r.Rights, r.Primary, r.Secondary)
	}
	return out
}

// script is what a broker goes through. Each step is whole, or not at all.
var script = []func(b *Broker) error{
	func(b *Broker) error {
		_, err := b.Create(Config{Name: "h", Partitions: 2, Groups: []string{"g"}})
		return err
	},
	func(b *Broker) error { return appendJob(b, 1) },
	func(b *Broker) error { return commit(b, 1) },
	func(b *Broker) error { return commit(b, 2) },
	func(b *Broker) error {
		_, err := b.AddRule(Rule{Name: "k", Hub: "h", Rights: Send, Primary: "primary-key-of-k", Secondary: "secondary-key-of-k"})
		return err
	},
	func(b *Broker) error { return onHub(b, func(h *Hub) error { return h.CreateGroup("g2") }) },
	func(b *Broker) error { return onHub(b, func(h *Hub) error { return h.RemoveGroup("g") }) },
	func(b *Broker) error { return onHub(b, func(h *Hub) error { return h.CreateGroup("g") }) },
	func(b *Broker) error { return appendJob(b, 2) },
	func(b *Broker) error { return onHub(b, func(h *Hub) error { return h.Partitions()[0].trySnapshot() }) },
	func(b *Broker) error { return onHub(b, func(h *Hub) error { return together(h) }) },
	func(b *Broker) error { return b.Update(Config{Name: "h", Partitions: 4, Retention: time.Hour}) },
	func(b *Broker) error { return appendJob(b, 3) },
	func(b *Broker) error { _, err := b.Create(Config{Name: "other", Partitions: 1}); return err },
	func(b *Broker) error { return b.Remove("h") },
	func(b *Broker) error { _, err := b.Create(Config{Name: "h", Partitions: 2}); return err },
	func(b *Broker) error { return b.RemoveRule("", RootRule) },
}

func onHub(b *Broker, f func(*Hub) error) error {
	h, err := b.Hub("h")
	if err != nil {
		return err
	}
	return f(h)
}

func appendJob(b *Broker, n int64) error {
	return onHub(b, func(h *Hub) error {
		_, err := h.Partitions()[0].Append(event(fmt.Sprint(n)), &Producer{ID: "job", First: n, Last: n})
		return err
	})
}

func commit(b *Broker, n int64) error {
	return onHub(b, func(h *Hub) error {
		return h.SetOffsets("g", map[int]Commit{0: {Seq: n, Time: time.Unix(n, 0)}, 1: {Seq: n, Time: time.Unix(n, 0)}})
	})
}

// together writes the places together.
func together(h *Hub) error {
	h.offsets.compact.Lock()
	defer h.offsets.compact.Unlock()
	return h.offsets.writeImage()
}

// TestCrashAtEveryOperation takes the power away at each operation of the script, and once
// more while the broker opens again: what was acknowledged is there, a step that was cut off
// is whole or is not there, and the rest of the script goes on from either.
func TestCrashAtEveryOperation(t *testing.T) {
	// What there is after each step without a crash.
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	states := []map[string]string{state(t, b)}
	root := b.Rules("")
	for i, f := range script {
		if err := f(b); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		states = append(states, state(t, b))
	}
	ops := m.Ops()
	for at := int64(1); at <= ops+1; at++ {
		for _, again := range []int64{0, 1, 2, 3, 5, 8, 13} {
			crashOnce(t, at, again, states, root)
			if t.Failed() {
				t.Fatalf("crash at operation %d of %d, and at %d of the next start", at, ops, again)
			}
		}
	}
	t.Logf("%d operations", ops)
}

func crashOnce(t *testing.T, at, again int64, states []map[string]string, root []Rule) {
	t.Helper()
	m := disk.NewMem(uint64(at*100 + again))
	// The keys are made with chance; those of the run without a crash are put there.
	if err := writeJSON(m, keysFile, keyring{root}); err != nil {
		t.Fatal(err)
	}
	m.CrashAt(at)
	done := 0
	b, err := Open(Options{FS: m.Boot()})
	if err == nil {
		for done < len(script) && script[done](b) == nil {
			done++
		}
		b.Close()
	}
	m.Restart()
	m.Crash()
	if again > 0 {
		m.CrashAt(again)
		if b, err := Open(Options{FS: m.Boot()}); err == nil {
			b.Close()
		} else if !errors.Is(err, disk.ErrPower) {
			t.Fatal(err)
		}
		m.Restart()
		m.Crash()
	}
	b, err = Open(Options{FS: m.Boot()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { b.Close() }()
	got := state(t, b)
	if same(got, states[done]) {
		if done == len(script) {
			return
		}
		err = script[done](b)
		is(t, err, nil)
		got = state(t, b)
	}
	if done < len(script) && !same(got, states[done+1]) {
		t.Errorf("after step %d there is\n%v\nwant\n%v", done, got, states[done+1])
		return
	}
	for i := done + 1; i < len(script); i++ {
		if err := script[i](b); err != nil {
			t.Errorf("step %d after the crash: %v", i, err)
		}
	}
	for range 2 {
		if got := state(t, b); !same(got, states[len(script)]) {
			t.Errorf("at the end there is\n%v\nwant\n%v", got, states[len(script)])
		}
		is(t, b.Close(), nil)
		m.Crash()
		if b, err = Open(Options{FS: m.Boot()}); err != nil {
			t.Fatal(err)
		}
	}
}

func same(x, y map[string]string) bool {
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// TestFailAtEveryOperation: a disk that fails once, at each operation of the script, loses
// nothing that was acknowledged, and a step that failed can be done again.
func TestFailAtEveryOperation(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	for i, f := range script {
		if err := f(b); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	want := keysOf(state(t, b))
	ops := m.Ops()
	bad := errors.New("input/output error")
	for at := int64(1); at <= ops; at++ {
		m := disk.NewMem(uint64(at))
		m.FailAt(at, bad)
		b, err := Open(Options{FS: m.Boot()})
		if err != nil {
			is(t, err, bad)
			b = open(t, Options{FS: m.Boot()})
		}
		for i, f := range script {
			if err := f(b); err != nil {
				is(t, err, bad)
				if err := f(b); err != nil && !done(err) {
					t.Errorf("failure at %d: step %d again: %v", at, i, err)
				}
			}
		}
		for range 2 {
			if got := keysOf(state(t, b)); !slices.Equal(got, want) {
				t.Fatalf("failure at %d: there is %v, want %v", at, got, want)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			m.Crash()
			b = open(t, Options{FS: m.Boot()})
		}
	}
}

// done reports whether a step need not be done again: it failed after it had come into force.
func done(err error) bool {
	for _, e := range []error{ErrNoHub, ErrExists, ErrGroupExists, ErrNoGroup, ErrRuleExists, ErrNoRule} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// keysOf is state without the values that chance makes.
func keysOf(s map[string]string) []string {
	var list []string
	for k := range s {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
