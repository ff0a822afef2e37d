package disk

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// node is a file or directory, whatever names lead to it.
type node struct {
	id       uint64
	dir      bool
	modified time.Time

	entries map[string]*node // of a directory, as processes see it
	durable map[string]*node // as it is on the disk for certain

	live    []byte // of a file, as processes see it
	synced  []byte // as it is on the disk for certain
	pending []edit // between the two
}

// edit is a write of data at an offset; with nil data it sets the size.
type edit struct {
	at   int64
	data []byte
}

func (e edit) apply(b []byte) []byte {
	if e.data == nil {
		if e.at <= int64(len(b)) {
			return b[:e.at]
		}
		return append(b, make([]byte, e.at-int64(len(b)))...)
	}
	end := e.at + int64(len(e.data))
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[e.at:], e.data)
	return b
}

// link sets a name of a directory; a nil node takes it away. change is links that come
// together: a rename.
type link struct {
	dir  *node
	name string
	n    *node
}

type change []link

func set(entries map[string]*node, l link) {
	if l.n == nil {
		delete(entries, l.name)
	} else {
		entries[l.name] = l.n
	}
}

func (d *memDisk) newNode(dir bool) *node {
	d.nodes++
	n := &node{id: d.nodes, dir: dir}
	if dir {
		n.entries, n.durable = map[string]*node{}, map[string]*node{}
	}
	return n
}

func (d *memDisk) change(links ...link) {
	for _, l := range links {
		set(l.dir.entries, l)
	}
	d.names = append(d.names, links)
}

func (c change) apply() {
	for _, l := range c {
		set(l.dir.durable, l)
	}
}

// syncDir makes the changes durable that touch a directory. A rename between two
// directories is whole or not at all.
func (d *memDisk) syncDir(n *node) {
	d.names = slices.DeleteFunc(d.names, func(c change) bool {
		touches := slices.ContainsFunc(c, func(l link) bool { return l.dir == n })
		if touches {
			c.apply()
		}
		return touches
	})
}

func (n *node) info(name string) Info {
	return Info{Name: name, Size: int64(len(n.live)), Modified: n.modified, Dir: n.dir, ID: n.id}
}

func (n *node) truncate(size int64) {
	e := edit{at: size}
	n.live = e.apply(n.live)
	n.pending = append(n.pending, e)
}

func (n *node) write(at int64, p []byte) {
	if len(p) == 0 {
		return
	}
	e := edit{at, slices.Clone(p)}
	n.live = e.apply(n.live)
	n.pending = append(n.pending, e)
}

func (n *node) sync() {
	for _, e := range n.pending {
		n.synced = e.apply(n.synced)
	}
	n.pending = nil
}

// kill ends the process.
func (d *memDisk) kill() {
	d.gen++
	d.off = true
	d.locks = map[*node]*memLock{}
}

// crash takes the power away: what is on the disk becomes what processes see.
func (d *memDisk) crash() {
	d.kill()
	// A file system with a journal keeps the first changes; others keep any.
	inOrder := d.rand.IntN(2) == 0
	keep := d.rand.IntN(len(d.names) + 1)
	for i, c := range d.names {
		if inOrder && i < keep || !inOrder && d.rand.IntN(2) == 0 {
			c.apply()
		}
	}
	d.names = nil
	seen := map[*node]bool{}
	d.lose(d.root, seen)
}

// lose goes through what is left, in an order that stays the same.
func (d *memDisk) lose(n *node, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !n.dir {
		n.synced = d.remains(n)
		n.pending = nil
		n.live = slices.Clone(n.synced)
		return
	}
	n.entries = maps.Clone(n.durable)
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		d.lose(n.entries[name], seen)
	}
}

// remains is what a file holds after the power went: see Mem.
func (d *memDisk) remains(n *node) []byte {
	base := n.synced
	if len(n.pending) == 0 {
		return base
	}
	keep := d.rand.IntN(len(n.pending) + 1)
	switch d.rand.IntN(8) {
	case 0:
		return base
	case 1, 2:
		keep = len(n.pending)
	}
	out := slices.Clone(base)
	resized := false
	for _, e := range n.pending[:keep] {
		out = e.apply(out)
		resized = resized || e.data == nil
	}
	if keep < len(n.pending) && n.pending[keep].data != nil {
		out = d.tear(out, n.pending[keep])
	}
	// Blocks go to the disk in any order; those that did not are as they were, and zeros
	// where nothing was.
	if !resized && d.rand.IntN(3) == 0 {
		for at := 0; at < len(out); at += block {
			if d.rand.IntN(2) == 0 {
				continue
			}
			for i := at; i < min(at+block, len(out)); i++ {
				out[i] = 0
				if i < len(base) {
					out[i] = base[i]
				}
			}
		}
	}
	return out
}

// tear does a first part of a write; the rest of its last block is old, zeros or anything.
func (d *memDisk) tear(b []byte, e edit) []byte {
	part := d.rand.IntN(len(e.data) + 1)
	b = edit{e.at, e.data[:part:part]}.apply(b)
	rest := min(len(e.data)-part, block-int(e.at+int64(part))%block)
	if rest == 0 {
		return b
	}
	junk := make([]byte, rest)
	switch d.rand.IntN(3) {
	case 0:
		return b
	case 1:
		for i := range junk {
			junk[i] = byte(d.rand.Uint32())
		}
	}
	return edit{e.at + int64(part), junk}.apply(b)
}

// used is the space that all files take; the caller has the lock.
func (n *node) used() int64 {
	sum := int64(len(n.live))
	for _, e := range n.entries {
		sum += e.used()
	}
	return sum
}

// memFile is an open file of a process.
type memFile struct {
	d      *memDisk
	n      *node
	gen    int
	name   string
	writes bool
	closed bool
	pos    int64
}

// begin locks the disk and begins an operation; the caller unlocks it.
func (f *memFile) begin(op Op) (then func(), err error) {
	f.d.mu.Lock()
	if f.closed {
		return nil, fail(op, f.name, fs.ErrClosed)
	}
	then, err = f.d.begin(f.gen, op, f.name)
	if err == nil && op.changes() && op != OpSync && !f.writes {
		err = fs.ErrPermission
	}
	if err != nil {
		err = fail(op, f.name, err)
	}
	return then, err
}

// Read implements io.Reader.
func (f *memFile) Read(p []byte) (int, error) {
	_, err := f.begin(OpRead)
	defer f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) readAt(p []byte, at int64) (int, error) {
	if at >= int64(len(f.n.live)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.n.live[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (f *memFile) ReadAt(p []byte, at int64) (int, error) {
	_, err := f.begin(OpRead)
	defer f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if at < 0 {
		return 0, fail(OpRead, f.name, errors.New("negative offset"))
	}
	return f.readAt(p, at)
}

// Write implements io.Writer.
func (f *memFile) Write(p []byte) (int, error) {
	then, err := f.begin(OpWrite)
	defer f.d.mu.Unlock()
	n := len(p)
	if err != nil {
		dead := errors.Is(err, ErrPower) && then == nil
		if dead || f.closed || !f.writes {
			return 0, err
		}
		n = f.d.rand.IntN(max(len(p), 1))
	}
	if f.d.space >= 0 {
		grow := f.pos + int64(n) - int64(len(f.n.live))
		if left := max(f.d.space-f.d.root.used(), 0); grow > left {
			n = max(n-int(grow-left), 0)
			if err == nil {
				err = fail(OpWrite, f.name, ErrFull)
			}
		}
	}
	f.n.write(f.pos, p[:n])
	f.n.modified = f.d.now()
	f.pos += int64(n)
	if then != nil {
		then()
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	_, err := f.begin(OpStat)
	defer f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.n.live))
	}
	if offset < 0 {
		return 0, fail(OpStat, f.name, errors.New("negative offset"))
	}
	f.pos = offset
	return offset, nil
}

// Close implements io.Closer.
func (f *memFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.closed {
		return fail(OpStat, f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// Sync implements File.
func (f *memFile) Sync() error {
	then, err := f.begin(OpSync)
	defer f.d.mu.Unlock()
	if then != nil {
		if f.d.rand.IntN(2) == 0 {
			f.n.sync()
		}
		then()
		return err
	}
	if err != nil {
		if !f.closed && f.writes && !errors.Is(err, ErrPower) {
			// Data is lost, though readers still see it until the power goes; sizes are not.
			f.n.pending = slices.DeleteFunc(f.n.pending, func(e edit) bool { return e.data != nil })
		}
		return err
	}
	f.n.sync()
	return nil
}

// Truncate implements File.
func (f *memFile) Truncate(size int64) error {
	then, err := f.begin(OpTruncate)
	defer f.d.mu.Unlock()
	if then != nil {
		if f.d.rand.IntN(2) == 0 {
			f.n.truncate(size)
		}
		then()
		return err
	}
	if err != nil {
		return err
	}
	if size < 0 {
		return fail(OpTruncate, f.name, fs.ErrInvalid)
	}
	if size != int64(len(f.n.live)) {
		f.n.truncate(size)
		f.n.modified = f.d.now()
	}
	return nil
}

// Stat implements File.
func (f *memFile) Stat() (Info, error) {
	_, err := f.begin(OpStat)
	defer f.d.mu.Unlock()
	if err != nil {
		return Info{}, err
	}
	return f.n.info(f.name[lastSlash(f.name)+1:]), nil
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}
