package disk

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestWriteWhole takes the power away at every operation, and fills the disk.
func TestWriteWhole(t *testing.T) {
	read := func(f FS) string {
		t.Helper()
		r, err := f.Open("d/x")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	begin := func(seed uint64) (*Mem, FS) {
		t.Helper()
		m := NewMem(seed)
		f := m.Boot()
		if err := errors.Join(f.MkdirAll("d"), WriteWhole(f, "d/x", []byte("before"))); err != nil {
			t.Fatal(err)
		}
		return m, f
	}
	seen := map[string]bool{}
	for n := int64(1); ; n++ {
		m, f := begin(uint64(n))
		m.CrashAt(n)
		err := WriteWhole(f, "d/x", []byte("after"))
		m.Restart()
		got := read(m.Boot())
		if seen[got] = true; err == nil && got != "after" || got != "before" && got != "after" {
			t.Errorf("power lost at operation %d: %q after %v", n, got, err)
		}
		if err == nil {
			break
		}
	}
	if !seen["before"] || !seen["after"] {
		t.Errorf("seen: %v", seen)
	}
	m, f := begin(0)
	m.Limit(1)
	if err := WriteWhole(f, "d/x", []byte(strings.Repeat("x", 1000))); !errors.Is(err, ErrFull) || read(f) != "before" {
		t.Errorf("a full disk: %v, %q", err, read(f))
	}
	if list, err := f.ReadDir("d"); err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
}
