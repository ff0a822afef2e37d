package main

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// block is the unit in which a disk loses what was not synced.
const block = 4096

// disk is a tree of inodes, each with what programs see and what would survive.
type disk struct {
	mu   sync.Mutex
	root *inode
	next uint64

	losses, shortened, partly, torn, names int
	bytes                                  int64
}

// inode is a file or a directory.
type inode struct {
	id       uint64
	dir      bool
	mode     uint32
	modified time.Time

	data   []byte // what programs see
	synced []byte // what survives
	lo, hi int    // where they differ, besides their lengths

	entries map[string]*inode // what programs see
	durable map[string]*inode // what survives
	log     []*change         // from durable to entries
}

// change is a change of a directory, whole or not at all.
type change struct {
	remove []string
	name   string
	add    *inode // nil: nothing
	// after is the change of another directory without which this one does not survive: no
	// file system loses a file that was renamed.
	after *change
	kept  bool // it has survived
}

func newDisk() *disk {
	d := &disk{}
	d.root = d.make(true, 0o755)
	return d
}

func (d *disk) make(dir bool, mode uint32) *inode {
	d.next++
	n := &inode{id: d.next, dir: dir, mode: mode, modified: time.Now()}
	if dir {
		n.entries, n.durable = map[string]*inode{}, map[string]*inode{}
	}
	return n
}

func (n *inode) apply(c *change) {
	change1(n.entries, c)
	n.log = append(n.log, c)
}

func change1(m map[string]*inode, c *change) {
	for _, name := range c.remove {
		delete(m, name)
	}
	if c.add != nil {
		m[c.name] = c.add
	}
}

func (n *inode) write(b []byte, at int) {
	if end := at + len(b); end > len(n.data) {
		n.data = append(n.data, make([]byte, end-len(n.data))...)
	}
	copy(n.data[at:], b)
	n.dirty(at, at+len(b))
}

func (n *inode) truncate(size int) {
	if size < len(n.data) {
		n.data = n.data[:size:size]
	} else {
		was := len(n.data)
		n.data = append(n.data, make([]byte, size-was)...)
		n.dirty(was, size)
	}
	n.modified = time.Now()
}

func (n *inode) dirty(lo, hi int) {
	if n.lo == n.hi {
		n.lo, n.hi = lo, hi
	}
	n.lo, n.hi = min(n.lo, lo), max(n.hi, hi)
	n.modified = time.Now()
}

// sync makes what programs see survive.
func (n *inode) sync() {
	if n.dir {
		for _, c := range n.log {
			c.kept = true
		}
		n.durable, n.log = maps.Clone(n.entries), nil
		return
	}
	n.keep(len(n.data), n.lo, n.hi)
	n.lo, n.hi = 0, 0
}

// keep takes over the bytes lo..hi and the length.
func (n *inode) keep(size, lo, hi int) {
	if size < len(n.synced) {
		n.synced = n.synced[:size]
	} else {
		n.synced = append(n.synced, make([]byte, size-len(n.synced))...)
	}
	if hi = min(hi, size); lo < hi {
		copy(n.synced[lo:hi], n.data[lo:hi])
	}
}

// lose takes the power away.
func (d *disk) lose(r *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.losses++
	for by := r; keepNames(d.root, by); {
		by = nil
	}
	d.loseDir(d.root, r)
}

// keepNames decides which changes of directories survive: a first part of each directory's,
// chosen by r. Without r it only takes back those that depend on one that does not survive,
// and those behind them. It reports whether it has to be called again.
func keepNames(n *inode, r *rand.Rand) bool {
	again := r != nil
	if r != nil {
		for _, c := range n.log[:r.IntN(len(n.log)+1)] {
			c.kept = true
		}
	}
	alive := true
	for _, c := range n.log {
		if alive = alive && c.kept && (r != nil || c.after == nil || c.after.kept); !alive && c.kept {
			c.kept, again = false, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		if child := n.entries[name]; child.dir && keepNames(child, r) {
			again = true
		}
	}
	return again
}

func (d *disk) loseDir(n *inode, r *rand.Rand) {
	for _, c := range n.log {
		if c.kept {
			change1(n.durable, c)
		} else {
			d.names++
		}
	}
	n.entries, n.log = maps.Clone(n.durable), nil
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		if child := n.entries[name]; child.dir {
			d.loseDir(child, r)
		} else {
			d.loseFile(child, r)
		}
	}
}

// loseFile keeps what was synced, and of the rest nothing, all, or the first blocks, the last
// of them torn.
func (d *disk) loseFile(n *inode, r *rand.Rand) {
	if n.lo < n.hi || len(n.data) != len(n.synced) {
		switch r.IntN(3) {
		case 0:
			d.shortened++
			d.bytes += int64(max(len(n.data)-len(n.synced), n.hi-n.lo))
		case 1:
			d.partly++
			blocks := (n.hi-n.lo)/block + 1
			hi := min(n.lo+block*r.IntN(blocks+1), n.hi)
			size := min(len(n.data), max(len(n.synced), hi))
			n.keep(size, n.lo, hi)
			if hi < n.hi && hi < len(n.data) && r.IntN(2) == 0 {
				d.tear(n, hi, r)
			}
		case 2:
			n.keep(len(n.data), n.lo, n.hi)
		}
	}
	n.data, n.lo, n.hi = slices.Clone(n.synced), 0, 0
}

// tear keeps the start of a block that was being written, and nothing sensible behind it.
func (d *disk) tear(n *inode, at int, r *rand.Rand) {
	d.torn++
	end := min(at+block, n.hi, len(n.data))
	size := max(len(n.synced), end)
	n.keep(size, at, at+r.IntN(end-at+1))
}
