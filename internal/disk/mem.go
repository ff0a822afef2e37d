package disk

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrPower is the error of everything that is used after the power went or the process
// ended: all operations until Restart, and for ever those of files, locks and views
// (Mem.Boot) of before.
var ErrPower = errors.New("the power is off")

// Op is what an FS or a file is asked to do.
type Op string

// The operations. Those that change something are counted (Mem.Ops) and are the moments at
// which a crash can be ordered.
const (
	OpOpen     Op = "open" // not counted
	OpRead     Op = "read" // not counted
	OpList     Op = "list" // not counted
	OpStat     Op = "stat" // not counted
	OpCreate   Op = "create"
	OpEdit     Op = "edit"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpLock     Op = "lock"
	OpSyncDir  Op = "syncdir"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
)

func (o Op) changes() bool { return o != OpOpen && o != OpRead && o != OpList && o != OpStat }

// block is what a disk writes at once, in bytes.
const block = 4096

// Mem is a file system in memory for tests, whose power can be taken away. The same seed
// and the same operations give the same disk.
//
// A file keeps what was synced. Of what was written since, a loss of power leaves any part:
// nothing, all, a prefix with a torn end, or some blocks and not others. Of the names made,
// moved and removed in a directory since its last SyncDir each may be kept or lost, in
// order or not. So a file that was synced can be gone because its directory was not, and
// one that was renamed without Sync can be there and be empty. Directories themselves are
// durable when MkdirAll returns.
//
// Mem itself is an FS for whoever comes; a process that is to die with the power gets Boot.
type Mem struct {
	view
	d *memDisk
}

// NewMem is an empty disk.
func NewMem(seed uint64) *Mem {
	d := &memDisk{rand: rand.New(rand.NewPCG(seed, 0x77656972)), locks: map[*node]*memLock{}, at: -1, space: -1}
	d.root = d.newNode(true)
	return &Mem{view{d: d, dir: d.root, gen: anyProcess, path: "mem:"}, d}
}

// anyProcess is the generation of views that do not die.
const anyProcess = -1

// Boot is the FS of a process that begins now: it is dead after the next crash or kill, so
// that what is left of the process can change nothing any more.
func (m *Mem) Boot() FS {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return &view{d: m.d, dir: m.d.root, gen: m.d.gen, path: "mem:"}
}

// Ops counts the operations that change something, since NewMem.
func (m *Mem) Ops() int64 {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return m.d.ops
}

// Hook has f called before each operation, with the last name of FS or the name that a file
// was opened by; nil takes it away. An error of f is the operation's: a write then takes
// only a random first part of its data, and a Sync loses what was not synced, without
// saying so again: the next one succeeds. f must not use the disk.
func (m *Mem) Hook(f func(op Op, name string) error) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.hook = f
}

// FailAt gives err to the n-th counted operation from now (1 is the next) and to no other.
func (m *Mem) FailAt(n int64, err error) { m.order(n, err, nil) }

// CrashAt takes the power away in the n-th counted operation from now, which may be half
// done. All operations fail with ErrPower until Restart.
func (m *Mem) CrashAt(n int64) { m.order(n, ErrPower, m.d.crash) }

// KillAt ends the process in the n-th counted operation from now: what was written stays.
// All operations fail with ErrPower until Restart.
func (m *Mem) KillAt(n int64) { m.order(n, ErrPower, m.d.kill) }

func (m *Mem) order(n int64, err error, then func()) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.at, m.d.atErr, m.d.then = m.d.ops+n, err, then
}

// Restart ends what CrashAt, KillAt and FailAt ordered, and turns the power on.
func (m *Mem) Restart() {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.off, m.d.at, m.d.then = false, -1, nil
}

// Crash takes the power away and turns it on again.
func (m *Mem) Crash() {
	m.d.mu.Lock()
	if !m.d.off {
		m.d.crash()
	}
	m.d.mu.Unlock()
	m.Restart()
}

// Kill ends the process: everything written stays, locks are free, open files are dead.
func (m *Mem) Kill() {
	m.d.mu.Lock()
	if !m.d.off {
		m.d.kill()
	}
	m.d.mu.Unlock()
	m.Restart()
}

// Limit is the space of the disk in bytes; negative is no limit, which is so at first. A
// write beyond it takes what fits and fails with ErrFull.
func (m *Mem) Limit(bytes int64) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.space = bytes
}

// Clock gives the times of modification; nil is a clock that moves by a millisecond with
// every operation.
func (m *Mem) Clock(now func() time.Time) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.clock = now
}

// memDisk is what all views and files share.
type memDisk struct {
	mu    sync.Mutex
	rand  *rand.Rand
	root  *node
	nodes uint64
	gen   int // of processes
	locks map[*node]*memLock
	// names are changes of directories that are not durable yet, in order.
	names []change
	hook  func(Op, string) error
	ops   int64
	at    int64 // operation at which atErr and then happen; -1 is none
	atErr error
	then  func()
	off   bool
	space int64
	clock func() time.Time
}

// begin is called before every operation of a view or file of a process. A non-nil then
// must be called when the operation is half done.
func (d *memDisk) begin(gen int, op Op, name string) (then func(), err error) {
	if d.off || gen != anyProcess && gen != d.gen {
		return nil, ErrPower
	}
	if d.hook != nil {
		if err := d.hook(op, name); err != nil {
			return nil, err
		}
	}
	if !op.changes() {
		return nil, nil
	}
	d.ops++
	if d.ops == d.at {
		return d.then, d.atErr
	}
	return nil, nil
}

// do begins an operation that happens whole or not at all; a crash in it is before or
// after it.
func (d *memDisk) do(gen int, op Op, name string, f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	then, err := d.begin(gen, op, name)
	if then != nil && d.rand.IntN(2) == 0 {
		f() // its answer is never heard
	}
	if then != nil {
		then()
	}
	if err != nil {
		return &fs.PathError{Op: string(op), Path: name, Err: err}
	}
	return f()
}

func (d *memDisk) now() time.Time {
	if d.clock != nil {
		return d.clock()
	}
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(d.ops) * time.Millisecond)
}

// view is an FS of a process.
type view struct {
	d    *memDisk
	dir  *node
	gen  int
	path string
}

func fail(op Op, name string, err error) error {
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// look finds a name; the caller has the lock.
func (v *view) look(op Op, name string) (*node, error) {
	if err := valid(string(op), name); err != nil {
		return nil, err
	}
	n := v.dir
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !n.dir {
			return nil, fail(op, name, errNotDir)
		}
		next := n.entries[part]
		if next == nil {
			return nil, fail(op, name, fs.ErrNotExist)
		}
		n = next
	}
	return n, nil
}

var errNotDir = errors.New("is not a directory")

// place finds the directory of a name.
func (v *view) place(op Op, name string) (*node, string, error) {
	if name == "." {
		return nil, "", fail(op, name, fs.ErrInvalid)
	}
	dir, err := v.look(op, path.Dir(name))
	if err == nil && !dir.dir {
		err = fail(op, name, errNotDir)
	}
	return dir, path.Base(name), err
}

func (v *view) open(op Op, name string) (File, error) {
	var n *node
	err := v.d.do(v.gen, op, name, func() (err error) {
		n, err = v.look(op, name)
		if errors.Is(err, fs.ErrNotExist) && op != OpOpen {
			var dir *node
			var base string
			if dir, base, err = v.place(op, name); err == nil {
				n = v.d.newNode(false)
				n.modified = v.d.now()
				v.d.change(link{dir, base, n})
			}
			return err
		}
		if err == nil && n.dir {
			return fail(op, name, errNotFile)
		}
		if err == nil && op == OpCreate && len(n.live) > 0 {
			n.truncate(0)
			n.modified = v.d.now()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	return &memFile{d: v.d, n: n, gen: v.d.gen, name: name, writes: op != OpOpen}, nil
}

// Open implements FS.
func (v *view) Open(name string) (File, error) { return v.open(OpOpen, name) }

// Create implements FS.
func (v *view) Create(name string) (File, error) { return v.open(OpCreate, name) }

// Edit implements FS.
func (v *view) Edit(name string) (File, error) { return v.open(OpEdit, name) }

// Rename implements FS.
func (v *view) Rename(from, to string) error {
	return v.d.do(v.gen, OpRename, from, func() error {
		if err := valid("rename", to); err != nil {
			return err
		}
		n, err := v.look(OpRename, from)
		if err != nil {
			return err
		}
		fromDir, fromBase, err := v.place(OpRename, from)
		if err != nil {
			return err
		}
		toDir, toBase, err := v.place(OpRename, to)
		if err != nil {
			return err
		}
		old := toDir.entries[toBase]
		if old == n {
			return nil
		}
		if old != nil && (old.dir || n.dir) {
			return fail(OpRename, to, fs.ErrExist)
		}
		v.d.change(link{toDir, toBase, n}, link{fromDir, fromBase, nil})
		return nil
	})
}

// Remove implements FS.
func (v *view) Remove(name string) error {
	return v.d.do(v.gen, OpRemove, name, func() error {
		n, err := v.look(OpRemove, name)
		if err != nil {
			return err
		}
		dir, base, err := v.place(OpRemove, name)
		if err != nil {
			return err
		}
		if n.dir && len(n.entries) > 0 {
			return fail(OpRemove, name, errors.New("directory is not empty"))
		}
		v.d.change(link{dir, base, nil})
		return nil
	})
}

// MkdirAll implements FS.
func (v *view) MkdirAll(name string) error {
	return v.d.do(v.gen, OpMkdir, name, func() error {
		if err := valid("mkdir", name); err != nil {
			return err
		}
		dir := v.dir
		if name == "." {
			return nil
		}
		for part := range strings.SplitSeq(name, "/") {
			next := dir.entries[part]
			if next == nil {
				next = v.d.newNode(true)
				v.d.change(link{dir, part, next})
				v.d.syncDir(dir)
			}
			if !next.dir {
				return fail(OpMkdir, name, errNotDir)
			}
			dir = next
		}
		return nil
	})
}

// ReadDir implements FS.
func (v *view) ReadDir(name string) (out []Info, err error) {
	err = v.d.do(v.gen, OpList, name, func() error {
		n, err := v.look(OpList, name)
		if err != nil {
			return err
		}
		if !n.dir {
			return fail(OpList, name, errNotDir)
		}
		for base, e := range n.entries {
			out = append(out, e.info(base))
		}
		slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return out, err
}

// Stat implements FS.
func (v *view) Stat(name string) (info Info, err error) {
	err = v.d.do(v.gen, OpStat, name, func() error {
		n, err := v.look(OpStat, name)
		if err == nil {
			info = n.info(path.Base(name))
		}
		return err
	})
	return info, err
}

// SyncDir implements FS.
func (v *view) SyncDir(name string) error {
	return v.d.do(v.gen, OpSyncDir, name, func() error {
		n, err := v.look(OpSyncDir, name)
		if err == nil {
			v.d.syncDir(n)
		}
		return err
	})
}

// Lock implements FS.
func (v *view) Lock(name string) (io.Closer, error) {
	f, err := v.Edit(name)
	if err != nil {
		return nil, err
	}
	l := &memLock{d: v.d, n: f.(*memFile).n}
	err = v.d.do(v.gen, OpLock, name, func() error {
		if v.d.locks[l.n] != nil {
			return ErrLocked
		}
		v.d.locks[l.n] = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

type memLock struct {
	d *memDisk
	n *node
}

// Close frees the lock. That of a dead process has been freed already.
func (l *memLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.d.locks[l.n] == l {
		delete(l.d.locks, l.n)
	}
	return nil
}

// Sub implements FS.
func (v *view) Sub(name string) (FS, error) {
	if err := v.MkdirAll(name); err != nil {
		return nil, err
	}
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	n, err := v.look(OpMkdir, name)
	if err != nil {
		return nil, err
	}
	return &view{d: v.d, dir: n, gen: v.gen, path: v.path + "/" + name}, nil
}

// Path implements FS.
func (v *view) Path(name string) string { return v.path + "/" + name }
