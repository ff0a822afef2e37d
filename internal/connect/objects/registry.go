package objects

import (
	"encoding/json"
	"slices"
	"sync"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// Limits of a registry.
const (
	// maxKnown is how many objects an input knows at a time.
	maxKnown = 500_000
	// keepKnown is how many it knows before those that were read are forgotten.
	keepKnown = 50_000
)

// known is an object that was listed. Positions name objects by their numbers, which are given
// in the order in which objects are read.
type known struct {
	N        int64    `json:"n"`
	Name     string   `json:"name"`
	Size     int64    `json:"size"`
	ETag     string   `json:"etag"`
	Modified vec.Time `json:"modified"`
	// Print is the checksum of the first Bytes bytes of an object that is appended to.
	Bytes int    `json:"bytes,omitempty"`
	Print uint32 `json:"print,omitempty"`
	// Gone: the name has come to be that of another object.
	Gone bool `json:"gone,omitempty"`

	latest Object // as it was listed last
	seen   int64  // the whole listing that had it last
}

// record is a line of the log: an object, or what is now known of it; or the floor.
type record struct {
	*known
	Floor vec.Time `json:"floor,omitempty"`
}

// registry are the objects of a partition. Its log is durable before a position names an
// object. It may be used while Done forgets.
type registry struct {
	log *disk.Log // nil: nothing is kept

	mu     sync.Mutex
	list   []*known // by number
	byName map[string]*known
	last   int64
	// floor: objects that were changed before it and are not known were read and forgotten.
	floor vec.Time
	next  int // how many are known when forget is tried again
}

// openRegistry reads a log. Without a directory the registry is only in memory.
func openRegistry(d disk.FS, name string) (*registry, error) {
	r := &registry{byName: map[string]*known{}, floor: vec.MinTime, next: keepKnown}
	if d == nil {
		return r, nil
	}
	var err error
	r.log, err = disk.OpenLog(d, name, func(line []byte) error {
		x := record{known: &known{}}
		if err := json.Unmarshal(line, &x); err != nil {
			return connect.Permanent(err)
		}
		r.take(x)
		return nil
	})
	return r, err
}

func (r *registry) close() error {
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}

// take keeps what a record says.
func (r *registry) take(x record) {
	if x.Floor != 0 {
		r.floor = x.Floor
	}
	k := x.known
	if k.N == 0 {
		return
	}
	r.last = max(r.last, k.N)
	k.latest = Object{Name: k.Name, Size: k.Size, ETag: k.ETag}
	i, ok := slices.BinarySearchFunc(r.list, k.N, byNumber)
	if ok {
		r.set(r.list[i], *k)
		return
	}
	r.list = slices.Insert(r.list, i, k)
	r.byName[k.Name] = k
}

// set makes an object what is now known of it.
func (r *registry) set(k *known, now known) {
	*k = now
	if k.Gone && r.byName[k.Name] == k {
		delete(r.byName, k.Name)
	}
}

func byNumber(k *known, n int64) int { return int(k.N - n) }

// find is the object of a number.
func (r *registry) find(n int64) *known {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(r.list, n, byNumber); ok {
		return r.list[i]
	}
	return nil
}

// after is the first object behind a number, nil if there is none.
func (r *registry) after(n int64) *known {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.list, n+1, byNumber)
	if i == len(r.list) {
		return nil
	}
	return r.list[i]
}

// named is the object of a name, nil if it is not known. old says that it need not be: it was
// read and forgotten.
func (r *registry) named(o *Object) (k *known, old bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k = r.byName[o.Name]
	return k, k == nil && ticks(o.Modified) < r.floor
}

// add gives objects numbers, in their order, and makes them durable.
func (r *registry) add(list []Object) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	var found []*known
	for _, o := range list {
		r.last++ // a number that was tried is not given again
		found = append(found, &known{N: r.last, Name: o.Name, Size: o.Size, ETag: o.ETag, Modified: ticks(o.Modified)})
	}
	if err := r.append(found); err != nil {
		return err
	}
	for i, k := range found {
		r.take(record{known: k})
		k.latest = list[i]
	}
	return nil
}

// change makes durable what is now known of an object, and then known.
func (r *registry) change(k known) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.append([]*known{&k}); err != nil {
		return err
	}
	if i, ok := slices.BinarySearchFunc(r.list, k.N, byNumber); ok {
		r.set(r.list[i], k)
	}
	return nil
}

// append writes records durably. r.mu is held.
func (r *registry) append(list []*known) error {
	if r.log == nil {
		return nil
	}
	lines := make([][]byte, len(list))
	for i, k := range list {
		b, err := json.Marshal(record{known: k})
		if err != nil {
			return err
		}
		lines[i] = b
	}
	if err := r.log.Append(lines...); err != nil {
		return err
	}
	return r.log.Sync()
}

// forget leaves out the objects that were read and will not be taken for new ones: all that
// done has, and that were changed before the floor, which is no later than before and than
// any object that is still to be read.
func (r *registry) forget(before vec.Time, done func(n int64) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log == nil || len(r.list) < r.next {
		return nil
	}
	floor := before
	for _, k := range r.list {
		if !done(k.N) {
			floor = min(floor, k.Modified)
		}
	}
	if floor <= r.floor || !floor.Valid() {
		r.next = len(r.list) + keepKnown/4
		return nil
	}
	line, err := json.Marshal(record{Floor: floor})
	if err != nil {
		return err
	}
	lines := [][]byte{line}
	var left []*known
	for _, k := range r.list {
		if done(k.N) && k.Modified < floor && k.N != r.last {
			continue
		}
		b, err := json.Marshal(record{known: k})
		if err != nil {
			return err
		}
		lines, left = append(lines, b), append(left, k)
	}
	if err := r.log.Replace(lines...); err != nil {
		return err
	}
	r.list, r.floor, r.next = left, floor, max(keepKnown, 2*len(left))
	clear(r.byName)
	for _, k := range left {
		if !k.Gone {
			r.byName[k.Name] = k
		}
	}
	return r.log.Sync()
}

// size is how many objects are known.
func (r *registry) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
}
