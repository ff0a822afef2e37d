package main

import (
	"context"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is an inode as the kernel asks for it.
type node struct {
	fs.Inode
	d  *disk
	in *inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
)

func (n *node) child(ctx context.Context, in *inode) *fs.Inode {
	mode := uint32(syscall.S_IFREG)
	if in.dir {
		mode = syscall.S_IFDIR
	}
	return n.NewInode(ctx, &node{d: n.d, in: in}, fs.StableAttr{Mode: mode, Ino: in.id})
}

func fill(in *inode, out *fuse.Attr) {
	out.Ino, out.Mode, out.Size, out.Nlink = in.id, in.mode, uint64(len(in.data)), 1
	if in.dir {
		out.Mode |= syscall.S_IFDIR
	} else {
		out.Mode |= syscall.S_IFREG
	}
	out.Blksize, out.Blocks = block, (out.Size+511)/512
	out.SetTimes(nil, &in.modified, &in.modified)
}

// Lookup finds a name.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	in, ok := n.in.entries[name]
	if !ok {
		return nil, syscall.ENOENT
	}
	fill(in, &out.Attr)
	return n.child(ctx, in), 0
}

// Readdir lists a directory.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.in.entries)) {
		in := n.in.entries[name]
		mode := uint32(syscall.S_IFREG)
		if in.dir {
			mode = syscall.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Mode: mode, Ino: in.id})
	}
	return fs.NewListDirStream(list), 0
}

// Create makes a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if old, ok := n.in.entries[name]; ok {
		if flags&syscall.O_EXCL != 0 {
			return nil, nil, 0, syscall.EEXIST
		}
		fill(old, &out.Attr)
		return n.child(ctx, old), nil, 0, 0
	}
	in := n.d.make(false, mode&0o7777)
	n.in.apply(&change{name: name, add: in})
	fill(in, &out.Attr)
	return n.child(ctx, in), nil, 0, 0
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if _, ok := n.in.entries[name]; ok {
		return nil, syscall.EEXIST
	}
	in := n.d.make(true, mode&0o7777)
	n.in.apply(&change{name: name, add: in})
	fill(in, &out.Attr)
	return n.child(ctx, in), 0
}

// Unlink removes a file.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if _, ok := n.in.entries[name]; !ok {
		return syscall.ENOENT
	}
	n.in.apply(&change{remove: []string{name}})
	return 0
}

// Rmdir removes an empty directory.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	n.d.mu.Lock()
	in := n.in.entries[name]
	full := in != nil && len(in.entries) > 0
	n.d.mu.Unlock()
	if full {
		return syscall.ENOTEMPTY
	}
	return n.Unlink(ctx, name)
}

// Rename moves a name. Within a directory it survives whole or not at all; between two the
// new name may survive without the old one having gone.
func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	target := to.(*node).in
	in, ok := n.in.entries[name]
	if !ok {
		return syscall.ENOENT
	}
	const noReplace = 1
	if _, there := target.entries[newName]; there && flags&noReplace != 0 {
		return syscall.EEXIST
	}
	if target == n.in {
		n.in.apply(&change{remove: []string{name}, name: newName, add: in})
		return 0
	}
	added := &change{name: newName, add: in}
	target.apply(added)
	n.in.apply(&change{remove: []string{name}, after: added})
	return 0
}

// Getattr tells what a file is.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	fill(n.in, &out.Attr)
	return 0
}

// Setattr sets the length and the mode.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		n.in.truncate(int(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.in.mode = mode & 0o7777
	}
	fill(n.in, &out.Attr)
	return 0
}

// Open opens a file; all there is to know of it is the inode.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		n.d.mu.Lock()
		n.in.truncate(0)
		n.d.mu.Unlock()
	}
	return nil, 0, 0
}

// Read reads.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	from := min(off, int64(len(n.in.data)))
	to := min(from+int64(len(dest)), int64(len(n.in.data)))
	return fuse.ReadResultData(slices.Clone(n.in.data[from:to])), 0
}

// Write writes to what programs see.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	n.in.write(data, int(off))
	return uint32(len(data)), 0
}

// Fsync makes a file's bytes, or a directory's names, survive.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	n.in.sync()
	return 0
}
