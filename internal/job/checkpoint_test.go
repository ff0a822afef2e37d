package job

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"weir/internal/disk"
)

func newCheckpointDisk(t testing.TB) (*disk.Mem, *checkpoints) {
	d := disk.NewMem(1)
	if err := d.MkdirAll(checkpointDir); err != nil {
		t.Fatal(err)
	}
	return d, &checkpoints{fs: d.Boot(), instance: "i"}
}

func testSnapshot(epoch int64) *snapshot {
	return &snapshot{Engine: EngineVersion, Job: "j", Version: 3, Query: "SELECT", Epoch: epoch, Clock: 8, Start: -1, Began: 2, ReadFrom: 1, Shards: 4,
		Inputs: []inputSnapshot{{"e", 5, 6, map[string]int64{"x": 1}, []partSnapshot{{"p", "12", true, 5, 1, 2, 3, modeCSV}}},
			{"r", 0, 0, map[string]int64{}, nil}},
		Outputs: []outputSnapshot{{"o", epoch, 9, map[string]int64{}, 4}}, Image: []byte(strings.Repeat("image", 100))}
}

func mustWrite(t testing.TB, c *checkpoints, epoch int64) {
	t.Helper()
	if _, err := c.write(testSnapshot(epoch)); err != nil {
		t.Fatal(err)
	}
	if err := c.prune(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	d, c := newCheckpointDisk(t)
	for epoch := int64(1); epoch <= 5; epoch++ {
		mustWrite(t, c, epoch)
	}
	if list, err := d.ReadDir(checkpointDir); len(list) != keptCheckpoints || err != nil {
		t.Errorf("%d files, error %v", len(list), err)
	}
	c = &checkpoints{fs: d, instance: "i"}
	s, notes, err := c.load(slog.New(slog.DiscardHandler))
	if err != nil || len(notes) != 0 || !reflect.DeepEqual(s, testSnapshot(5)) {
		t.Errorf("%+v, notes %q, error %v", s, notes, err)
	}
	if c.oldest() != 4 {
		t.Errorf("the oldest is of epoch %d", c.oldest())
	}
	other := &checkpoints{fs: d, instance: "other"}
	if s, _, err := other.load(slog.New(slog.DiscardHandler)); s != nil || err != nil {
		t.Errorf("another instance reads it: %v, error %v", s, err)
	}
}

// TestCheckpointDamage: any byte that is wrong, and any that is missing, is noticed; then the
// one before is used.
func TestCheckpointDamage(t *testing.T) {
	d, c := newCheckpointDisk(t)
	mustWrite(t, c, 1)
	mustWrite(t, c, 2)
	name := checkpointName(c.serial)
	good, err := readAll(d, name)
	if err != nil {
		t.Fatal(err)
	}
	f := func(what string, at int, data []byte) {
		t.Helper()
		overwrite(t, d, name, string(data))
		s, notes, err := (&checkpoints{fs: d, instance: "i"}).load(slog.New(slog.DiscardHandler))
		if err != nil || s == nil || s.Epoch != 1 || len(notes) != 1 || !strings.Contains(notes[0], name) {
			t.Fatalf("byte %d %s: %v, notes %q, error %v", at, what, s, notes, err)
		}
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		f("is wrong", i, bad)
		f("is the end", i, good[:i])
	}
	f("is too much", len(good), append(good[:len(good):len(good)], 0))
	for _, serial := range c.serials {
		overwrite(t, d, checkpointName(serial), "x")
	}
	if _, _, err := (&checkpoints{fs: d, instance: "i"}).load(slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no checkpoint is good, and nobody says so")
	}
}

// TestCheckpointWhole: at whatever operation the power goes, the newest one that was reported
// durable is there, whole.
func TestCheckpointWhole(t *testing.T) {
	for n := int64(1); n < 30; n++ {
		d, c := newCheckpointDisk(t)
		d.CrashAt(n)
		durable := int64(0)
		for epoch := int64(1); epoch <= 3; epoch++ {
			if _, err := c.write(testSnapshot(epoch)); err != nil {
				break
			}
			durable = epoch
			if c.prune() != nil {
				break
			}
		}
		d.Restart()
		s, notes, err := (&checkpoints{fs: d, instance: "i"}).load(slog.New(slog.DiscardHandler))
		if err != nil || len(notes) > 0 {
			t.Fatalf("operation %d: notes %q, error %v", n, notes, err)
		}
		if durable > 0 && (s == nil || s.Epoch < durable) {
			t.Errorf("operation %d: epoch %d was durable, and there is %v", n, durable, s)
		}
	}
}
