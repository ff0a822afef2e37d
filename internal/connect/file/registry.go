package file

import (
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"weir/internal/connect"
	"weir/internal/disk"
)

const (
	registryName = "files"
	// printBytes is how much of the start of a file tells it from others.
	printBytes = 1 << 10
	// maxFiles is how many files an input knows at a time.
	maxFiles = 100_000
	// maxRegistry is how long the registry gets before those that are gone are left out.
	maxRegistry = 8 << 20
)

// known is a file that has been seen. Positions name files by their numbers, which are given
// in the order in which files are read.
type known struct {
	N        int64  `json:"n"`
	Name     string `json:"name"` // when it was seen first
	ID       uint64 `json:"id,omitempty"`
	Modified int64  `json:"modified"` // nanoseconds; when it was seen first
	// Print is the checksum of the first Bytes bytes of the file as it lies on the disk.
	Bytes int    `json:"bytes"`
	Print uint32 `json:"print"`

	name string    // where it is now; "" if it is not to be found
	seen disk.Info // as of the last look
}

// registry are the files of an input. Its log is durable before a position names a file.
type registry struct {
	log    *disk.Log
	files  []*known // by number
	byID   map[uint64]*known
	byName map[string]*known // of systems without IDs
	last   int64
}

func openRegistry(d disk.FS) (*registry, error) {
	r := &registry{byID: map[uint64]*known{}, byName: map[string]*known{}}
	var err error
	r.log, err = disk.OpenLog(d, registryName, func(record []byte) error {
		k := &known{}
		if err := json.Unmarshal(record, k); err != nil {
			return connect.Permanent(err)
		}
		r.keep(k)
		return nil
	})
	return r, err
}

// keep adds a file, or what is now known of it.
func (r *registry) keep(k *known) {
	r.last = max(r.last, k.N)
	if old := r.find(k.N); old != nil {
		old.Bytes, old.Print = k.Bytes, k.Print
		return
	}
	i, _ := slices.BinarySearchFunc(r.files, k.N, func(f *known, n int64) int { return int(f.N - n) })
	r.files = slices.Insert(r.files, i, k)
	if k.ID != 0 {
		r.byID[k.ID] = k
	} else {
		r.byName[k.Name] = k
	}
}

// find is the file of a number.
func (r *registry) find(n int64) *known {
	i, ok := slices.BinarySearchFunc(r.files, n, func(f *known, n int64) int { return int(f.N - n) })
	if !ok {
		return nil
	}
	return r.files[i]
}

// identify is the known file that a found one is, nil for a new one. change says that what is
// known of it has to be written.
func (r *registry) identify(d disk.Viewer, f found) (k *known, change bool, err error) {
	if f.info.ID != 0 {
		k = r.byID[f.info.ID]
	} else {
		k = r.byName[f.name]
	}
	if k == nil {
		return nil, false, nil
	}
	if k.name == f.name && k.seen.Size == f.info.Size && k.seen.Modified.Equal(f.info.Modified) {
		return k, false, nil
	}
	file, err := d.Open(f.name)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	same, err := k.same(file)
	if err != nil || !same {
		return nil, false, err
	}
	if k.Bytes < printBytes && f.info.Size > int64(k.Bytes) {
		change = true
		k.Bytes, k.Print, err = fingerprint(file, printBytes)
	}
	return k, change, err
}

// same reports whether a file begins as the known one does.
func (k *known) same(f disk.File) (bool, error) {
	n, sum, err := fingerprint(f, k.Bytes)
	return err == nil && n == k.Bytes && sum == k.Print, err
}

// fingerprint is the checksum of the first bytes of a file, of which there may be less.
func fingerprint(f io.ReaderAt, bytes int) (int, uint32, error) {
	b := make([]byte, bytes)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return n, crc32.Checksum(b[:n], disk.Castagnoli), err
}

// add gives a file a number. It is durable after write.
func (r *registry) add(d disk.Viewer, f found) (*known, error) {
	r.last++ // a number that was tried is not given again
	k := &known{N: r.last, Name: f.name, ID: f.info.ID, Modified: f.info.Modified.UnixNano(), name: f.name, seen: f.info}
	file, err := d.Open(f.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if k.Bytes, k.Print, err = fingerprint(file, printBytes); err != nil {
		return nil, err
	}
	return k, nil
}

// write makes files durable, and then known.
func (r *registry) write(list []*known, sync bool) error {
	if len(list) == 0 {
		return nil
	}
	var records [][]byte
	for _, k := range list {
		b, err := json.Marshal(k)
		if err != nil {
			return err
		}
		records = append(records, b)
	}
	if err := r.log.Append(records...); err != nil {
		return err
	}
	if sync {
		if err := r.log.Sync(); err != nil {
			return err
		}
	}
	for _, k := range list {
		r.keep(k)
	}
	return nil
}

// forget leaves out the files that are gone and that no position names any more: all up to
// n but those that keep has.
func (r *registry) forget(n int64, keep func(n int64) bool) error {
	if r.log.Size() < maxRegistry {
		return nil
	}
	var records [][]byte
	var left []*known
	for _, k := range r.files {
		if k.N <= n && k.name == "" && !keep(k.N) && k.N != r.last {
			continue
		}
		b, err := json.Marshal(k)
		if err != nil {
			return err
		}
		records, left = append(records, b), append(left, k)
	}
	if err := r.log.Replace(records...); err != nil {
		return err
	}
	r.files = r.files[:0]
	clear(r.byID)
	clear(r.byName)
	for _, k := range left {
		r.keep(k)
	}
	return r.log.Sync()
}

var errTooMany = errors.New("the input has too many files")
