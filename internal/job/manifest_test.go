package job

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weir/internal/connect"
	"weir/internal/disk"
)

func manifestAt(m *disk.Mem, instance string) *manifest {
	return &manifest{fs: m.Boot(), instance: instance}
}

func newManifestDisk(t testing.TB) *disk.Mem {
	m := disk.NewMem(1)
	if err := m.MkdirAll(manifestDir); err != nil {
		t.Fatal(err)
	}
	return m
}

func testEpoch(n int64) *epochRecord {
	return &epochRecord{N: n, Clock: 7, Ranges: []readRange{{0, 1, connect.Position(fmt.Sprint(n - 1)), connect.Position(fmt.Sprint(n)), false}}}
}

// fillManifest appends epochs 1..n, with a new segment behind those that are named.
func fillManifest(t testing.TB, d *disk.Mem, n int64, rotate ...int64) {
	t.Helper()
	m := manifestAt(d, "i")
	if _, err := m.load(0); err != nil {
		t.Fatal(err)
	}
	for i := int64(1); i <= n; i++ {
		if err := m.append(testEpoch(i)); err != nil {
			t.Fatal(err)
		}
		for _, r := range rotate {
			if r == i {
				m.rotate()
			}
		}
	}
	m.close()
}

// loadEpochs are the numbers of the epochs behind n.
func loadEpochs(d *disk.Mem, n int64) (string, error) {
	list, err := manifestAt(d, "i").load(n)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(e.N))
	}
	return strings.Join(out, " "), err
}

func TestEpochRecord(t *testing.T) {
	e := &epochRecord{N: 9, Clock: -5, Added: []addedPartition{{1, "p"}}, Ticks: []tickedPartition{{0, 2, 77}},
		Ranges:   []readRange{{0, 0, "", "x", true}, {1, 3, "a", "b", false}},
		Redriven: []redrivenLetter{{7, -1, 2, 0, 5, "{}"}}, Acked: []int64{0, 8}, Careful: true}
	got, err := decodeEpoch(e.encode())
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%+v, error %v", got, err)
	}
	for i := range e.encode() {
		if _, err := decodeEpoch(e.encode()[:i]); err == nil {
			t.Errorf("the first %d bytes are taken for a record", i)
		}
	}
}

func TestManifestLoads(t *testing.T) {
	f := func(want string, after, n int64, rotate ...int64) {
		t.Helper()
		d := newManifestDisk(t)
		fillManifest(t, d, n, rotate...)
		if got, err := loadEpochs(d, after); got != want || err != nil {
			t.Errorf("epochs %q, want %q, error %v", got, want, err)
		}
	}
	f("", 0, 0)
	f("1 2 3", 0, 3)
	f("3", 2, 3)
	f("", 3, 3)
	f("1 2 3 4 5", 0, 5, 2, 4)
	f("4 5", 3, 5, 2, 4)
	f("5", 4, 5, 2, 4)
}

// TestManifestTornEnd: a record that was not finished is cut off, and the log goes on there.
func TestManifestTornEnd(t *testing.T) {
	whole := newManifestDisk(t)
	fillManifest(t, whole, 3)
	name := segment{first: 1}.name()
	data, err := readAll(whole, name)
	if err != nil {
		t.Fatal(err)
	}
	two := newManifestDisk(t)
	fillManifest(t, two, 2)
	start, _ := readAll(two, name)
	for cut := len(start); cut < len(data); cut++ {
		for _, tail := range []string{"", strings.Repeat("\x00", len(data)-cut), "junk"} {
			if strings.HasSuffix(string(data), tail) && len(tail) == len(data)-cut {
				continue // it is whole
			}
			d := newManifestDisk(t)
			overwrite(t, d, name, string(data[:cut])+tail)
			m := manifestAt(d, "i")
			list, err := m.load(0)
			if err != nil || len(list) != 2 {
				t.Fatalf("cut at %d, %q: %d epochs, error %v", cut, tail, len(list), err)
			}
			if err := m.append(testEpoch(3)); err != nil {
				t.Fatal(err)
			}
			if got, err := loadEpochs(d, 0); got != "1 2 3" || err != nil {
				t.Fatalf("cut at %d, then: %q, error %v", cut, got, err)
			}
		}
	}
}

func overwrite(t testing.TB, d disk.FS, name, text string) {
	t.Helper()
	f, err := d.Create(name)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// TestManifestDamage: damage that is no torn end stops the job, with the place.
func TestManifestDamage(t *testing.T) {
	f := func(change func(data []byte) []byte, want string) {
		t.Helper()
		d := newManifestDisk(t)
		fillManifest(t, d, 6, 3)
		name := segment{first: 1}.name()
		data, _ := readAll(d, name)
		overwrite(t, d, name, string(change(data)))
		_, err := loadEpochs(d, 0)
		var damage *DamageError
		if !errors.As(err, &damage) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if got, err := loadEpochs(d, 3); got != "4 5 6" && !errors.As(err, &damage) {
			t.Errorf("behind the damage: %q, error %v", got, err)
		}
	}
	f(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "checksum")
	f(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "checksum")
	f(func(b []byte) []byte { b[10] ^= 1; return b }, "head")
	f(func(b []byte) []byte { return b[:len(b)-1] }, "checksum")
	f(func(b []byte) []byte { return nil }, "head")

	d := newManifestDisk(t)
	fillManifest(t, d, 6, 2, 4)
	if err := d.Remove(segment{first: 3}.name()); err != nil {
		t.Fatal(err)
	}
	if _, err := loadEpochs(d, 0); err == nil || !strings.Contains(err.Error(), "it begins with epoch 5") {
		t.Errorf("a segment is missing: error %v", err)
	}
	if got, err := loadEpochs(d, 4); got != "5 6" || err != nil {
		t.Errorf("a segment is missing that nobody needs: %q, error %v", got, err)
	}
	if _, err := loadEpochs(newManifestDisk(t), 0); err != nil {
		t.Error(err)
	}
}

// TestManifestForeign: what is left of a discarded state is no part of the new one.
func TestManifestForeign(t *testing.T) {
	d := newManifestDisk(t)
	fillManifest(t, d, 6, 2, 4)
	m := manifestAt(d, "other")
	if list, err := m.load(0); len(list) != 0 || err != nil {
		t.Errorf("%d epochs, error %v", len(list), err)
	}
	if err := m.append(testEpoch(1)); err != nil {
		t.Fatal(err)
	}
	if list, err := d.ReadDir(manifestDir); len(list) != 1 || err != nil {
		t.Errorf("%d files, error %v", len(list), err)
	}
}

// TestManifestErrors: a record that could not be written or synced can be appended again, and
// then it is there once.
func TestManifestErrors(t *testing.T) {
	for n := int64(1); n < 12; n++ {
		d := newManifestDisk(t)
		m := manifestAt(d, "i")
		if _, err := m.load(0); err != nil {
			t.Fatal(err)
		}
		d.FailAt(n, disk.ErrFull)
		for i := int64(1); i <= 3; i++ {
			for try := 0; m.append(testEpoch(i)) != nil; try++ {
				if try > 3 {
					t.Fatalf("operation %d: epoch %d is never appended", n, i)
				}
			}
			if i == 2 {
				m.rotate()
			}
		}
		d.Restart()
		d.Crash()
		if got, err := loadEpochs(d, 0); got != "1 2 3" || err != nil {
			t.Errorf("operation %d fails: epochs %q, error %v", n, got, err)
		}
	}
}

// TestManifestForgets the epochs that a checkpoint covers.
func TestManifestForgets(t *testing.T) {
	d := newManifestDisk(t)
	fillManifest(t, d, 9, 3, 6)
	m := manifestAt(d, "i")
	if _, err := m.load(0); err != nil {
		t.Fatal(err)
	}
	f := func(n int64, segments int) {
		t.Helper()
		if err := m.forget(n); err != nil || len(m.segments) != segments {
			t.Errorf("%d segments are left behind epoch %d, want %d; error %v", len(m.segments), n, segments, err)
		}
	}
	f(2, 3)
	f(3, 2)
	f(8, 1)
	f(9, 1) // the next epoch goes there
	m.rotate()
	f(9, 0)
	if err := m.append(testEpoch(10)); err != nil {
		t.Fatal(err)
	}
	if got, err := loadEpochs(d, 9); got != "10" || err != nil {
		t.Errorf("epochs %q, error %v", got, err)
	}
}

// TestManifestKilled: an epoch that was read once stays, although the process that wrote it was
// killed before it had synced it and the power goes later.
func TestManifestKilled(t *testing.T) {
	for n := int64(1); n < 14; n++ {
		for seed := range uint64(8) {
			d := disk.NewMem(seed)
			if err := d.MkdirAll(manifestDir); err != nil {
				t.Fatal(err)
			}
			m := manifestAt(d, "i")
			if _, err := m.load(0); err != nil {
				t.Fatal(err)
			}
			d.KillAt(n)
			for i := int64(1); i <= 3 && m.append(testEpoch(i)) == nil; i++ {
				if i == 2 {
					m.rotate()
				}
			}
			d.Restart()
			first, err := loadEpochs(d, 0)
			if err != nil {
				t.Fatal(err)
			}
			d.Crash()
			if then, err := loadEpochs(d, 0); then != first || err != nil {
				t.Errorf("operation %d, seed %d: epochs %q, and after a loss of power %q, error %v", n, seed, first, then, err)
			}
		}
	}
}

// TestManifestLostSync: a process ends whose Sync failed, and the next one finds its record,
// which only the memory of the machine has. Then the power goes.
func TestManifestLostSync(t *testing.T) {
	d := newManifestDisk(t)
	fillManifest(t, d, 2)
	m := manifestAt(d, "i")
	if _, err := m.load(0); err != nil {
		t.Fatal(err)
	}
	d.Hook(func(op disk.Op, _ string) error {
		if op == disk.OpSync {
			return errors.New("input/output error")
		}
		return nil
	})
	if err := m.append(testEpoch(3)); err == nil {
		t.Fatal("no error")
	}
	d.Hook(nil)
	m = manifestAt(d, "i")
	if list, err := m.load(0); len(list) != 3 || err != nil {
		t.Fatalf("%d epochs, %v", len(list), err)
	}
	if err := m.append(testEpoch(4)); err != nil {
		t.Fatal(err)
	}
	d.Crash()
	d.Restart()
	if got, err := loadEpochs(d, 0); got != "1 2 3 4" || err != nil {
		t.Errorf("epochs %s, %v", got, err)
	}
}
