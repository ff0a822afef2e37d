package main

import (
	"context"
	"errors"
	"io"
)

// errInterrupted ends a verb that somebody interrupts.
var errInterrupted = &exitError{exitRuntime, errors.New("interrupted")}

// interruptible reads from r until ctx ends. A read of a terminal or a pipe waits for who
// writes, and would not hear of an interrupt; so another goroutine waits in its place, and
// is left behind.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	full chan piece  // what has been read; nil before the first Read
	free chan []byte // memory to read into
	at   piece       // what Read gives next
	left []byte      // of at
}

// piece is the result of one Read of the reader behind.
type piece struct {
	b   []byte
	n   int
	err error
}

// pieceBytes is as much as a pipe holds.
const pieceBytes = 64 << 10

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	return &interruptible{ctx: ctx, r: r}
}

// Read gives what there is, waits if there is nothing, and ends with the error of the
// context once that has one.
func (i *interruptible) Read(p []byte) (int, error) {
	if i.full == nil {
		i.full, i.free = make(chan piece), make(chan []byte, 2)
		i.free <- make([]byte, pieceBytes)
		i.free <- make([]byte, pieceBytes)
		go i.fill()
	}
	for len(i.left) == 0 {
		if i.at.err != nil {
			return 0, i.at.err
		}
		if i.at.b != nil {
			i.free <- i.at.b
		}
		select {
		case i.at = <-i.full:
			i.left = i.at.b[:i.at.n]
		case <-i.ctx.Done():
			i.at = piece{err: i.ctx.Err()}
		}
	}
	n := copy(p, i.left)
	i.left = i.left[n:]
	return n, nil
}

// fill reads ahead, one piece, until the end or the first error.
func (i *interruptible) fill() {
	for b := range i.free {
		n, err := i.r.Read(b)
		select {
		case i.full <- piece{b, n, err}:
		case <-i.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// untilDone reads from r, which does not wait, until ctx ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, errInterrupted
	}
	return u.r.Read(p)
}
