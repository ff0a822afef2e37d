package job

import (
	"testing"

	"weir/internal/disk"
)

// TestShelfNumbers: a number that a version in force has is not given again, also if the version
// was never read and so has no file.
func TestShelfNumbers(t *testing.T) {
	fs := disk.NewMem(1).Boot()
	f := func(s *shelf, want int64) {
		t.Helper()
		if n := s.next("r"); n != want {
			t.Errorf("the next number is %d, and must be %d", n, want)
		}
	}
	s := &shelf{}
	if err := s.open(fs); err != nil {
		t.Fatal(err)
	}
	for n := range int64(3) {
		f(s, n+1)
	}
	if err := fs.MkdirAll(copyDir("r")); err != nil {
		t.Fatal(err)
	}
	if err := disk.WriteWhole(fs, copyName("r", 1), []byte("x")); err != nil { // only this one was read
		t.Fatal(err)
	}
	s = &shelf{} // another process
	if err := s.open(fs); err != nil {
		t.Fatal(err)
	}
	for n := range int64(3) {
		s.shelve("r", n+1)
	}
	f(s, 4)
}
