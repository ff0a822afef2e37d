package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// outcomes crashes many disks after the same operations and counts what is left.
func outcomes(t *testing.T, n int, prepare func(m *Mem), look func(m *Mem) string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for seed := range n {
		m := NewMem(uint64(seed))
		prepare(m)
		m.Crash()
		out[look(m)]++
	}
	return out
}

func must(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got[w] == 0 {
			t.Errorf("never %q: %v", w, got)
		}
	}
	for g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%q must not be: %v", g, got)
		}
	}
}

// known is the text of a short file, or "junk" for a byte that nobody wrote.
func known(s string, two bool) string {
	if len(s) == 1 && s > "\x00" && s != "1" && (s != "2" || !two) {
		return "junk"
	}
	return s
}

// TestNames has what a loss of power may leave of names.
func TestNames(t *testing.T) {
	both := func(m *Mem) string { return known(content(m, "a"), false) + " " + known(content(m, "b"), false) }
	gone := "<file does not exist>"
	f := func(prepare func(m *Mem), want ...string) {
		t.Helper()
		must(t, outcomes(t, 300, prepare, both), want...)
	}
	synced := func(m *Mem, name, text string) {
		file := write(t, m, name, text)
		ok(t, file.Sync())
		ok(t, file.Close())
	}
	// Synced, but the directory was not.
	f(func(m *Mem) { synced(m, "a", "1") }, "1 "+gone, gone+" "+gone)
	f(func(m *Mem) { synced(m, "a", "1"); ok(t, m.SyncDir(".")) }, "1 "+gone)
	// The order of two names can be lost.
	f(func(m *Mem) { synced(m, "a", "1"); synced(m, "b", "22") }, "1 22", "1 "+gone, gone+" 22", gone+" "+gone)
	// A rename is whole or not at all.
	f(func(m *Mem) {
		synced(m, "a", "1")
		ok(t, m.SyncDir("."))
		ok(t, m.Rename("a", "b"))
	}, "1 "+gone, gone+" 1")
	f(func(m *Mem) {
		synced(m, "a", "1")
		synced(m, "b", "22")
		ok(t, m.SyncDir("."))
		ok(t, m.Rename("a", "b"))
	}, "1 22", gone+" 1")
	f(func(m *Mem) {
		synced(m, "a", "1")
		synced(m, "b", "22")
		ok(t, m.SyncDir("."))
		ok(t, m.Rename("a", "b"))
		ok(t, m.SyncDir("."))
	}, gone+" 1")
	f(func(m *Mem) { synced(m, "a", "1"); ok(t, m.SyncDir(".")); ok(t, m.Remove("a")) }, "1 "+gone, gone+" "+gone)
	// A renamed file that was not synced may be empty, whatever its name says.
	f(func(m *Mem) {
		file := write(t, m, "a", "1")
		ok(t, file.Close())
		ok(t, m.Rename("a", "b"))
		ok(t, m.SyncDir("."))
	}, gone+" 1", gone+" ", gone+" \x00", gone+" junk")
}

// TestContent has what a loss of power may leave of a file whose name is durable.
func TestContent(t *testing.T) {
	old, fresh := strings.Repeat("o", 2*block), strings.Repeat("n", 3*block)
	got := outcomes(t, 500, func(m *Mem) {
		f := write(t, m, "a", old)
		ok(t, f.Sync())
		ok(t, m.SyncDir("."))
		add(t, f, fresh)
		add(t, f, fresh)
	}, func(m *Mem) string {
		s := content(m, "a")
		rest, found := strings.CutPrefix(s, old)
		if !found {
			return "synced data is lost"
		}
		clean := strings.TrimLeft(rest, "n")
		switch {
		case rest == "":
			return "nothing"
		case len(rest) == 2*len(fresh) && clean == "":
			return "all"
		case clean == "":
			return "prefix"
		case strings.Contains(rest, "\x00n"):
			return "holes"
		case strings.Trim(clean, "\x00") == "":
			return "zeros at the end"
		}
		return "torn"
	})
	must(t, got, "nothing", "all", "prefix", "holes", "zeros at the end", "torn")

	// What was overwritten without Sync is old, new or torn; with Sync it is new.
	got = outcomes(t, 300, func(m *Mem) {
		f := write(t, m, "a", "11")
		ok(t, f.Sync())
		ok(t, m.SyncDir("."))
		ok(t, f.Truncate(0))
		_, err := f.Seek(0, io.SeekStart)
		ok(t, err)
		add(t, f, "2")
	}, func(m *Mem) string { return known(content(m, "a"), true) })
	must(t, got, "11", "", "2", "\x00", "junk")
}

// TestSyncFails has the Sync that fails, loses what was written and does not say so again.
func TestSyncFails(t *testing.T) {
	bad := errors.New("input/output error")
	m := NewMem(3)
	f := write(t, m, "a", "1")
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	add(t, f, "2")
	m.Hook(func(op Op, name string) error {
		if op == OpSync && name == "a" {
			return bad
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, bad) {
		t.Fatal(err)
	}
	m.Hook(nil)
	ok(t, f.Sync())
	if got := content(m, "a"); got != "12" {
		t.Errorf("before: %q", got)
	}
	m.Crash()
	if got := content(m, "a"); got != "1" {
		t.Errorf("after: %q", got)
	}
}

// TestFull has a disk that is full and gets space.
func TestFull(t *testing.T) {
	m := NewMem(1)
	m.Limit(10)
	f := write(t, m, "a", "12345678")
	n, err := f.Write([]byte("9abc"))
	if n != 2 || !errors.Is(err, ErrFull) {
		t.Error(n, err)
	}
	if _, err = f.Write([]byte("d")); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	m.Limit(-1)
	add(t, f, "bc")
	if got := content(m, "a"); got != "123456789abc" {
		t.Error(got)
	}
	m.FailAt(1, errors.New("broken"))
	n, err = f.Write([]byte("0123456789"))
	if err == nil || n == 10 {
		t.Error(n, err)
	}
	if got := content(m, "a"); got != "123456789abc"+"0123456789"[:n] {
		t.Error(got)
	}
}

// TestDead has files, locks and views of before a crash or a kill.
func TestDead(t *testing.T) {
	for name, end := range map[string]func(*Mem){"crash": (*Mem).Crash, "kill": (*Mem).Kill} {
		m := NewMem(1)
		d := m.Boot()
		f := write(t, d, "a", "1")
		ok(t, f.Sync())
		ok(t, d.SyncDir("."))
		sub, err := d.Sub("sub")
		ok(t, err)
		l, err := d.Lock("lock")
		ok(t, err)
		end(m)
		_, err1 := f.Write([]byte("2"))
		_, err2 := d.Open("a")
		_, err3 := sub.Create("x")
		_, err4 := d.ReadDir(".")
		for i, err := range []error{err1, err2, err3, err4, f.Sync(), f.Truncate(0), d.SyncDir(".")} {
			if !errors.Is(err, ErrPower) {
				t.Errorf("%s: %d: %v", name, i, err)
			}
		}
		next, err := m.Boot().Lock("lock")
		ok(t, err)
		ok(t, l.Close()) // the dead one's lock is not the new one's
		if _, err := m.Lock("lock"); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
		ok(t, next.Close())
		if got := content(m, "a"); got != "1" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestKill keeps all that was written, synced or not.
func TestKill(t *testing.T) {
	m := NewMem(1)
	write(t, m, "a", "1")
	ok(t, m.Rename("a", "b"))
	m.KillAt(3) // in the write of 123: create, and a write of nothing, come before
	f := write(t, m, "c", "")
	_, err := f.Write([]byte("123"))
	if !errors.Is(err, ErrPower) {
		t.Fatal(err)
	}
	if _, err := m.Open("b"); !errors.Is(err, ErrPower) {
		t.Fatal(err)
	}
	m.Restart()
	if got := content(m, "b"); got != "1" {
		t.Error(got)
	}
	if got := content(m, "c"); !strings.HasPrefix("123", got) {
		t.Error(got)
	}
}

// TestPromise does random operations with a crash at a random one, many times, beside a
// record of what must survive: the content of each file as of its last Sync, if nothing
// was written since, under each name as of the last SyncDir, if nothing changed since.
func TestPromise(t *testing.T) {
	for seed := range uint64(400) {
		if err := promise(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func promise(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	m := NewMem(seed)
	synced := map[string]string{} // file that is durable with its name
	sure := map[string]bool{}     // name is durable and the content is as in synced
	m.CrashAt(1 + r.Int64N(60))
	for step := 0; ; step++ {
		name := string(rune('a' + r.IntN(4)))
		to := string(rune('a' + r.IntN(4)))
		var err error
		switch r.IntN(4) {
		case 0: // a whole file, the safe way
			delete(sure, name)
			text := fmt.Sprint(step, strings.Repeat("x", r.IntN(3*block)))
			if err = safely(m, name, text); err == nil {
				sure[name], synced[name] = true, text
			}
		case 1: // append and sync
			if !sure[name] {
				continue
			}
			delete(sure, name)
			var f File
			text := fmt.Sprint(step)
			if f, err = m.Edit(name); err == nil {
				f.Seek(0, io.SeekEnd)
				if _, err = f.Write([]byte(text)); err == nil {
					err = f.Sync()
				}
			}
			if err == nil {
				sure[name] = true
				synced[name] += text
			}
		case 2: // rename and sync
			if !sure[name] || name == to {
				continue
			}
			delete(sure, name)
			delete(sure, to)
			if err = m.Rename(name, to); err == nil {
				err = m.SyncDir(".")
			}
			if err == nil {
				sure[to], synced[to] = true, synced[name]
			}
		case 3: // noise that is not synced
			if f, e := m.Create("noise"); e == nil {
				_, err = f.Write(bytes.Repeat([]byte("z"), 100))
			} else {
				err = e
			}
		}
		if errors.Is(err, ErrPower) {
			break
		}
		if err != nil {
			return err
		}
	}
	m.Restart()
	for name := range sure {
		if got := content(m, name); got != synced[name] {
			return fmt.Errorf("%s has %.40q, not %.40q", name, got, synced[name])
		}
	}
	return nil
}

func safely(d FS, name, text string) error {
	f, err := d.Create(name + ".tmp")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := d.Rename(name+".tmp", name); err != nil {
		return err
	}
	return d.SyncDir(".")
}

// TestSameSeed makes the same disk twice.
func TestSameSeed(t *testing.T) {
	make := func() string {
		m := NewMem(42)
		for i := range 20 {
			write(t, m, fmt.Sprint("f", i), strings.Repeat("x", 1000*i))
		}
		m.Crash()
		return list(m, ".")
	}
	if a, b := make(), make(); a != b || a == "" {
		t.Errorf("%q and %q", a, b)
	}
}
