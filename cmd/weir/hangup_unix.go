//go:build unix

package main

import (
	"os"
	"syscall"
)

// hangups are the signals that make the service look at its jobs again.
func hangups() []os.Signal { return []os.Signal{syscall.SIGHUP} }
