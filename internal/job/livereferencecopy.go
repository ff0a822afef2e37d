package job

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"weir/internal/disk"
	"weir/internal/state"
	"weir/internal/vec"
)

// Copies of versions of reference data are files of the state directory:
//
//	reference/<input>/<number>.copy
//
// A copy is durable before a row sees its version. It goes when no checkpoint that is kept knows
// of the version any more.

const (
	referenceDir = "reference"
	referenceExt = ".copy"
)

func (v *referenceVersion) save(w *state.Writer) {
	w.Int(v.Serial)
	w.String(v.Name)
	w.Int(int64(v.Effective))
	w.Int(int64(v.Since))
	w.Int(v.Rows)
	w.String(v.Sum)
}

func loadReferenceVersion(r *state.Reader) referenceVersion {
	return referenceVersion{r.Int(), r.String(), vec.Time(r.Int()), vec.Time(r.Int()), r.Int(), r.String()}
}

// copyDir is where the copies of an input are.
func copyDir(input string) string { return referenceDir + "/" + dirName(input) }

// copyName is the file of a copy. Number 0 is that of states of before there were versions.
func copyName(input string, serial int64) string {
	if serial == 0 {
		return copyDir(input) + referenceExt
	}
	return copyDir(input) + "/" + copyFile(serial)
}

func copyFile(serial int64) string { return fmt.Sprintf("%020d%s", serial, referenceExt) }

// shelf knows the copies of versions: those that are being made, and those that can go.
type shelf struct {
	fs disk.FS

	mu     sync.Mutex
	last   map[string]int64 // by input: the largest number
	making map[string]bool  // files whose versions are not in force yet
	unused map[string]int64 // files that no version has, and the epoch at which that was seen
}

// open finds the numbers that are taken.
func (s *shelf) open(fs disk.FS) error {
	s.fs, s.last, s.making, s.unused = fs, map[string]int64{}, map[string]bool{}, map[string]int64{}
	list, err := fs.ReadDir(referenceDir)
	if err != nil && !isNotExist(err) {
		return err
	}
	for _, f := range list {
		if !f.Dir {
			continue
		}
		numbers, err := listNumbered(fs, referenceDir+"/"+f.Name, referenceExt)
		if err != nil {
			return err
		}
		if n := len(numbers); n > 0 {
			s.last[referenceDir+"/"+f.Name] = numbers[n-1]
		}
	}
	return nil
}

// next is a number for a copy that is going to be made.
func (s *shelf) next(input string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := copyDir(input)
	s.last[dir]++
	s.making[copyName(input, s.last[dir])] = true
	return s.last[dir]
}

// shelve says that a version of the copy is in force: it stays as long as that one is known. Its
// number is taken, also if it was never read and there is no file yet.
func (s *shelf) shelve(input string, serial int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := copyDir(input)
	s.last[dir] = max(s.last[dir], serial)
	delete(s.making, copyName(input, serial))
}

// drop says that there will be no version of the copy.
func (s *shelf) drop(input string, serial int64) {
	s.shelve(input, serial)
	_ = s.fs.Remove(copyName(input, serial)) // a sweep finds it if it is there and stays
}

// sweep removes the copies of versions that none of the checkpoints knows that are kept. used
// are those of versions that are in force, epoch is the last one, oldest that of the oldest
// checkpoint.
func (s *shelf) sweep(used map[string]bool, epoch, oldest int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := s.files()
	if err != nil {
		return err
	}
	unused := map[string]int64{}
	for _, name := range files {
		if used[name] || s.making[name] {
			continue
		}
		since, seen := s.unused[name]
		if !seen {
			since = epoch
		}
		if since >= oldest {
			unused[name] = since
			continue
		}
		if err := s.fs.Remove(name); err != nil && !isNotExist(err) {
			return err
		}
	}
	s.unused = unused
	return nil
}

// files are all copies.
func (s *shelf) files() ([]string, error) {
	list, err := s.fs.ReadDir(referenceDir)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	var out []string
	for _, f := range list {
		name := referenceDir + "/" + f.Name
		if !f.Dir {
			out = append(out, name)
			continue
		}
		inside, err := s.fs.ReadDir(name)
		if err != nil {
			return nil, err
		}
		for _, c := range inside {
			if _, err := strconv.ParseInt(strings.TrimSuffix(c.Name, referenceExt), 10, 64); err == nil {
				out = append(out, name+"/"+c.Name)
			}
		}
	}
	return out, nil
}

// sweepReferences removes copies that nobody needs. What cannot be removed now is tried again.
func (l *Live) sweepReferences() {
	used := map[string]bool{}
	for _, r := range l.references {
		if r == nil {
			continue
		}
		for _, v := range r.versions {
			used[copyName(r.spec.Name, v.Serial)] = true
		}
	}
	if err := l.shelf.sweep(used, l.epoch, l.checkpoints.oldest()); err != nil {
		l.log.Warn("old versions of reference data cannot be removed", "error", err)
	}
}
