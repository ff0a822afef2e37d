package job

import (
	"errors"
	"strings"
	"testing"

	"weir/internal/disk"
)

// TestStateLock: a second process is refused, with the directory's name.
func TestStateLock(t *testing.T) {
	d := disk.NewMem(1)
	s, err := openState(d.Boot())
	if err != nil {
		t.Fatal(err)
	}
	_, err = openState(d.Boot())
	if !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), d.Path(".")) {
		t.Errorf("error %v", err)
	}
	s.close()
	again, err := openState(d.Boot())
	if err != nil || again.instance != s.instance || len(s.instance) != 32 {
		t.Errorf("instance %q, then %v, error %v", s.instance, again, err)
	}
	if err := again.discard(); err != nil || again.instance == s.instance {
		t.Errorf("instance %q after the state was discarded, error %v", again.instance, err)
	}
}

func TestStateFormat(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		d := disk.NewMem(1)
		overwrite(t, d, formatName, text)
		if _, err := openState(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	f("", "does not say what the directory is")
	f("hello", "does not say what the directory is")
	f("weir state 1\n", "does not say what the directory is")
	f("weir state 1\ninstance 12\n", "does not say what the directory is")
	f("weir state 2\nsomething else", "version 2 of the format")
}

// TestStatePower: whenever the power goes, the directory opens again.
func TestStatePower(t *testing.T) {
	for n := int64(1); n < 16; n++ {
		for seed := range uint64(8) {
			d := disk.NewMem(seed)
			d.CrashAt(n)
			first, err := openState(d.Boot())
			if err == nil {
				first.discard()
			}
			d.Restart()
			if _, err := openState(d.Boot()); err != nil {
				t.Errorf("operation %d: %v", n, err)
			}
		}
	}
}

func TestDirName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := dirName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	f("In-1", "in-1")
	f("../x", "_2e_2e_2fx")
	f("a b", "a_20b")
	f("a_20b", "a_5f20b")
	f("é", "_c3_a9")
}
