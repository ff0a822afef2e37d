// Command lossy mounts a file system that lives in memory and can lose power. What was
// written and not synced is then gone, or there in part, with a torn last block; names made,
// renamed and removed since their directory was synced are kept only up to some moment. It is
// the judge of tests of durability on Linux: the program under test knows nothing of it.
//
//	lossy DIR
//
// reads commands from standard input, a line each, and answers each with "ok": "lose SEED"
// takes the power away and brings it back (no process may have a file open), "stats" tells
// what was lost so far, "quit" unmounts. Needs root, or fusermount.
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lossy DIR")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "lossy:", err)
		os.Exit(1)
	}
}

func serve(dir string) error {
	d := newDisk()
	server, err := mount(dir, d)
	if err != nil {
		return err
	}
	defer func() { server.Unmount() }()
	fmt.Println("ok")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var seed uint64
		switch n, _ := fmt.Sscanf(in.Text(), "lose %d", &seed); {
		case n == 1:
			if err := server.Unmount(); err != nil {
				return fmt.Errorf("unmount: %w", err)
			}
			d.lose(rand.New(rand.NewPCG(seed, 1)))
			if server, err = mount(dir, d); err != nil {
				return err
			}
			fmt.Println("ok")
		case in.Text() == "stats":
			fmt.Printf("ok %d losses of power: %d files lost bytes (%d bytes), %d kept a part of them, %d torn blocks, %d names lost\n",
				d.losses, d.shortened, d.bytes, d.partly, d.torn, d.names)
		case in.Text() == "quit":
			fmt.Println("ok")
			return nil
		default:
			fmt.Printf("unknown command %q\n", in.Text())
		}
	}
	return in.Err()
}

func mount(dir string, d *disk) (*fuse.Server, error) {
	none := time.Duration(0)
	return fs.Mount(dir, &node{d: d, in: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "lossy", Name: "lossy"},
		EntryTimeout: &none, AttrTimeout: &none, NegativeTimeout: &none,
	})
}
