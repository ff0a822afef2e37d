package disk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func readLog(t *testing.T, d FS) (*Log, []string) {
	t.Helper()
	var got []string
	l, err := OpenLog(d, "log", func(r []byte) error { got = append(got, string(r)); return nil })
	ok(t, err)
	return l, got
}

// TestLog crashes a log at every operation: all that was synced is there, in order, and
// nothing that was not appended.
func TestLog(t *testing.T) {
	for n := int64(1); n < 70; n++ {
		for seed := range uint64(4) {
			m := NewMem(seed)
			m.CrashAt(n)
			var all, sure []string
			err := func() error {
				l, err := OpenLog(m, "log", func([]byte) error { return nil })
				if err != nil {
					return err
				}
				for i := range 12 {
					r := fmt.Sprint("record ", i, strings.Repeat("x", i*i*50))
					before := all
					if i == 7 {
						before, all = []string{}, nil
						r = "first of the new log"
						all = append(all, r)
						if err := l.Replace([]byte(r)); err != nil {
							return err
						}
					} else {
						all = append(all[:len(all):len(all)], r)
						if err := l.Append([]byte(r)); err != nil {
							return err
						}
					}
					_ = before
					if i%3 == 0 || i == 7 {
						if err := l.Sync(); err != nil {
							return err
						}
						sure = all
					}
				}
				return nil
			}()
			if err != nil && !errors.Is(err, ErrPower) {
				t.Fatal(err)
			}
			m.Crash()
			_, got := readLog(t, m)
			switch {
			case len(got) >= len(sure) && slices.Equal(got[:len(sure)], sure) && (len(got) <= len(all) && slices.Equal(got, all[:len(got)]) || len(all) < len(sure)):
			case len(all) > 0 && all[0] == "first of the new log" && len(got) <= len(all) && slices.Equal(got, all[:len(got)]) && len(got) > 0:
			default:
				t.Fatalf("seed %d, operation %d: got %.60q, sure %.60q, all %.60q", seed, n, got, sure, all)
			}
		}
	}
}

// TestLogDamage turns every byte of a log: the records before it stay, none is invented.
func TestLogDamage(t *testing.T) {
	m := NewMem(1)
	l, _ := readLog(t, m)
	want := []string{"one", "", "three"}
	for _, r := range want {
		ok(t, l.Append([]byte(r)))
	}
	ok(t, l.Close())
	whole := content(m, "log")
	for i := range whole {
		for _, flip := range []byte{1, 0x80, 0xff} {
			b := []byte(whole)
			b[i] ^= flip
			ok(t, write(t, m, "log", string(b)).Close())
			l, got := readLog(t, m)
			if len(got) >= len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("byte %d: %q", i, got)
			}
			ok(t, l.Append([]byte("next")))
			ok(t, l.Close())
			if _, after := readLog(t, m); !slices.Equal(after, append(got, "next")) {
				t.Fatalf("byte %d: after appending %q", i, after)
			}
		}
	}
	for _, text := range []string{strings.Repeat("\x00", 100), "\xff\xff\xff\xff\xff\xff\xff\xff", "short"} {
		ok(t, write(t, m, "log", text).Close())
		if _, got := readLog(t, m); len(got) != 0 {
			t.Errorf("%q gives records %q", text, got)
		}
	}
	bad := errors.New("no")
	ok(t, write(t, m, "log", whole).Close())
	if _, err := OpenLog(m, "log", func([]byte) error { return bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
}

// TestTail has writes that fail, marks, and somebody else.
func TestTail(t *testing.T) {
	m := NewMem(5)
	f := write(t, m, "a", "0123456789")
	ok(t, f.Sync())
	tail, err := NewTail(f, 4)
	ok(t, err)
	if got := content(m, "a"); got != "0123" {
		t.Error(got)
	}
	mark := tail.Mark()
	ok(t, tail.Append([]byte("ab")))
	m.FailAt(1, ErrFull)
	if err := tail.Append([]byte("cdefghijk")); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if got := content(m, "a"); got != "0123ab" {
		t.Error(got)
	}
	ok(t, tail.Append([]byte("c")))
	ok(t, tail.Check())
	ok(t, tail.Cut(mark))
	ok(t, tail.Append([]byte("d")))
	if got := content(m, "a"); got != "0123d" {
		t.Error(got)
	}
	m.FailAt(1, errors.New("broken"))
	if tail.Sync() == nil || !tail.Dirty() {
		t.Error("the sync that failed")
	}
	ok(t, tail.Sync())
	ok(t, m.SyncDir("."))
	m.Crash()
	if got := content(m, "a"); got != "0123d" {
		t.Error(got)
	}
	f, err = m.Edit("a")
	ok(t, err)
	tail, err = NewTail(f, 5)
	ok(t, err)
	other, err := m.Edit("a")
	ok(t, err)
	ok(t, other.Truncate(9))
	if err := tail.Check(); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	if _, err := NewTail(f, 50); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	// Data that the disk dropped and that nobody can read any more is not made up.
	ok(t, other.Truncate(5))
	ok(t, tail.Append([]byte("xyz")))
	m.FailAt(1, errors.New("broken"))
	if tail.Sync() == nil {
		t.Error("the sync that failed")
	}
	_, err = other.Seek(5, 0)
	ok(t, err)
	add(t, other, "???")
	if err := tail.Sync(); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
}

// TestLogLostSync: a process ends whose Sync failed. The next one finds records that only the
// memory of the machine has, and they are durable when OpenLog returns.
func TestLogLostSync(t *testing.T) {
	m := NewMem(1)
	l, _ := readLog(t, m)
	ok(t, l.Append([]byte("one")))
	ok(t, l.Sync())
	ok(t, l.Append([]byte("two")))
	m.Hook(func(op Op, _ string) error {
		if op == OpSync {
			return errors.New("input/output error")
		}
		return nil
	})
	if l.Sync() == nil {
		t.Fatal("no error")
	}
	m.Hook(nil)
	if _, got := readLog(t, m); len(got) != 2 {
		t.Fatalf("records %q", got)
	}
	m.Crash()
	m.Restart()
	if _, got := readLog(t, m); len(got) != 2 {
		t.Errorf("records %q", got)
	}
}
