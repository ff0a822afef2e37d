package job

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"weir/internal/disk"
)

func newDeadLog(t testing.TB, d *disk.Mem, instance string) *deadLog {
	t.Helper()
	if err := d.MkdirAll(deadDir); err != nil {
		t.Fatal(err)
	}
	l := &deadLog{fs: d.Boot(), instance: instance, log: slog.New(slog.DiscardHandler)}
	if err := l.load(); err != nil {
		t.Fatal(err)
	}
	return l
}

func letters(names ...string) []DeadLetter {
	var out []DeadLetter
	for _, n := range names {
		out = append(out, DeadLetter{Name: n, Payload: "of " + n})
	}
	return out
}

func mustCommit(t testing.TB, l *deadLog, epoch int64, names ...string) {
	t.Helper()
	if err := l.commit(epoch, letters(names...), nil); err != nil {
		t.Fatal(err)
	}
}

// deadNames are ids and names of the letters behind an id.
func deadNames(t testing.TB, l *deadLog, after int64, n int) string {
	t.Helper()
	list, err := l.read(after, n)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range list {
		out = append(out, fmt.Sprint(d.ID, d.Name))
	}
	return strings.Join(out, " ")
}

func TestDeadLettersOnce(t *testing.T) {
	d := disk.NewMem(1)
	l := newDeadLog(t, d, "i")
	mustCommit(t, l, 3, "a", "b")
	mustCommit(t, l, 4)
	mustCommit(t, l, 7, "a")
	l.close()
	l = newDeadLog(t, d, "i")
	mustCommit(t, l, 3, "a", "b") // made again
	mustCommit(t, l, 7, "a")
	mustCommit(t, l, 8, "c")
	if got := deadNames(t, l, 0, 10); got != "1a 2b 3a 4c" {
		t.Errorf("letters %q", got)
	}
	if got := deadNames(t, l, 1, 2); got != "2b 3a" {
		t.Errorf("letters %q", got)
	}
	if counts, forgotten := l.counts(); fmt.Sprint(counts) != "map[a:2 b:1 c:1]" || forgotten != 0 {
		t.Errorf("counts %v, %d forgotten", counts, forgotten)
	}
	l.close()
	l = newDeadLog(t, d, "another")
	mustCommit(t, l, 1, "d")
	if got := deadNames(t, l, 3, 10); got != "4c 5d" {
		t.Errorf("epochs of another instance count anew, ids go on: %q", got)
	}
}

// TestDeadLettersTorn: whatever the end of the file is, committed letters stay and others go.
func TestDeadLettersTorn(t *testing.T) {
	d := disk.NewMem(1)
	l := newDeadLog(t, d, "i")
	mustCommit(t, l, 1, "a")
	name := l.segments[0].name()
	one := l.segments[0].size
	mustCommit(t, l, 2, "b", "c")
	l.close()
	data, _ := readAll(d, name)
	for cut := one; cut < int64(len(data)); cut++ {
		for _, tail := range []string{"", "{\"commit\":9}\n", strings.Repeat("\x00", int(int64(len(data))-cut))} {
			overwrite(t, d, name, string(data[:cut])+tail)
			l := newDeadLog(t, d, "i")
			mustCommit(t, l, 2, "x")
			if got := deadNames(t, l, 0, 10); got != "1a 2x" {
				t.Fatalf("cut at %d, %q: %q", cut, tail, got)
			}
			l.close()
		}
	}
	overwrite(t, d, name, "nothing was ever committed\n")
	if got := deadNames(t, newDeadLog(t, d, "i"), 0, 10); got != "" {
		t.Errorf("letters %q", got)
	}
}

// TestDeadLettersPower: at whatever operation the power goes, what was committed is there, and
// nothing twice.
func TestDeadLettersPower(t *testing.T) {
	for n := int64(1); n < 40; n++ {
		for seed := range uint64(4) {
			d := disk.NewMem(seed)
			l := newDeadLog(t, d, "i")
			l.limit = 40 * deadSegments // a segment for each epoch
			d.CrashAt(n)
			last := int64(0)
			for e := int64(1); e <= 6; e++ {
				if l.commit(e, letters(fmt.Sprint("n", e)), nil) != nil {
					break
				}
				last = e
			}
			d.Restart()
			l = newDeadLog(t, d, "i")
			for e := int64(1); e <= 6; e++ {
				mustCommit(t, l, e, fmt.Sprint("n", e))
			}
			if got := deadNames(t, l, 0, 10); got != "1n1 2n2 3n3 4n4 5n5 6n6" {
				t.Errorf("operation %d, epoch %d was kept: %q", n, last, got)
			}
		}
	}
}

// TestDeadLettersLimit: beyond the limit the oldest go, and that is counted.
func TestDeadLettersLimit(t *testing.T) {
	d := disk.NewMem(1)
	l := newDeadLog(t, d, "i")
	l.limit = 32 << 10
	for e := int64(1); e <= 200; e++ {
		if err := l.commit(e, []DeadLetter{{Name: "x", Payload: strings.Repeat("y", 500)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	list, err := l.read(0, 1000)
	counts, forgotten := l.counts()
	if err != nil || counts["x"] != 200 || forgotten == 0 || int64(len(list))+forgotten != 200 || list[len(list)-1].ID != 200 {
		t.Errorf("%d letters, %d forgotten, %v; error %v", len(list), forgotten, counts, err)
	}
	var size int64
	files, _ := d.ReadDir(deadDir)
	for _, f := range files {
		size += f.Size
	}
	if size > l.limit+2048 {
		t.Errorf("%d bytes are kept", size)
	}
}

func TestPayload(t *testing.T) {
	f := func(text string, n int, cut bool) {
		t.Helper()
		if got, is := payloadOf([]byte(text)); len(got) != n || is != cut || !strings.HasPrefix(text, got) {
			t.Errorf("%d bytes, cut %v", len(got), is)
		}
	}
	f("", 0, false)
	f(strings.Repeat("x", maxPayload), maxPayload, false)
	f(strings.Repeat("x", maxPayload+1), maxPayload, true)
	f(strings.Repeat("x", maxPayload-1)+"日本", maxPayload-1, true)
}

// TestDeadLettersKilled: letters that were read once stay, although the process that wrote them
// was killed before it had synced them and the power goes later.
func TestDeadLettersKilled(t *testing.T) {
	for n := int64(1); n < 14; n++ {
		for seed := range uint64(8) {
			d := disk.NewMem(seed)
			l := newDeadLog(t, d, "i")
			d.KillAt(n)
			for e := int64(1); e <= 3 && l.commit(e, letters(fmt.Sprint("n", e)), nil) == nil; e++ {
			}
			d.Restart()
			first := deadNames(t, newDeadLog(t, d, "i"), 0, 10)
			d.Crash()
			if then := deadNames(t, newDeadLog(t, d, "i"), 0, 10); then != first {
				t.Errorf("operation %d, seed %d: letters %q, and after a loss of power %q", n, seed, first, then)
			}
		}
	}
}

// TestDeadLettersLostSync is TestManifestLostSync for dead letters.
func TestDeadLettersLostSync(t *testing.T) {
	d := disk.NewMem(1)
	l := newDeadLog(t, d, "i")
	mustCommit(t, l, 1, "a")
	d.Hook(func(op disk.Op, _ string) error {
		if op == disk.OpSync {
			return errors.New("input/output error")
		}
		return nil
	})
	if err := l.commit(2, letters("b"), nil); err == nil {
		t.Fatal("no error")
	}
	d.Hook(nil)
	l = newDeadLog(t, d, "i")
	mustCommit(t, l, 3, "c")
	d.Crash()
	d.Restart()
	if got := deadNames(t, newDeadLog(t, d, "i"), 0, 10); got != "1a 2b 3c" {
		t.Errorf("letters %s", got)
	}
}

// TestDeadLettersRedriven: which letters were tried again is known after a restart and across
// segments, and once for an epoch that is made again.
func TestDeadLettersRedriven(t *testing.T) {
	d := disk.NewMem(1)
	l := newDeadLog(t, d, "i")
	l.limit = deadSegments * 40 // a segment a letter
	marks := func(want string) {
		t.Helper()
		list, err := l.read(0, 10)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range list {
			if x.Redriven {
				got += fmt.Sprint(x.ID)
			}
		}
		if got != want {
			t.Errorf("tried again %q, want %q", got, want)
		}
	}
	mustCommit(t, l, 1, "a")
	mustCommit(t, l, 2, "b")
	mustCommit(t, l, 3, "c")
	marks("")
	for range 2 {
		if err := l.commit(4, nil, []int64{1, 3}); err != nil {
			t.Fatal(err)
		}
	}
	marks("13")
	l.close()
	l = newDeadLog(t, d, "i")
	marks("13")
	if err := l.commit(5, letters("d"), []int64{2}); err != nil {
		t.Fatal(err)
	}
	marks("123")
	mustCommit(t, l, 6, "e")
	l.close()
	l = newDeadLog(t, d, "i")
	marks("123")
	l.close()
}
