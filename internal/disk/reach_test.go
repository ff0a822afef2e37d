package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReach(t *testing.T) {
	dir := t.TempDir()
	f := func(path string, ok bool) {
		t.Helper()
		if err := Reach(path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	f(dir, true)
	f(filepath.Join(dir, "a", "b"), true)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(dir, "file"), false)
	f(filepath.Join(dir, "file", "a"), false)
	if err := os.Mkdir(filepath.Join(dir, "shut"), 0o500); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(dir, "shut", "a"), os.Geteuid() == 0) // root may
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Errorf("it leaves %v, error %v", list, err)
	}
}
