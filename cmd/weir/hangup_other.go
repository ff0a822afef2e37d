//go:build !unix

package main

import "os"

// hangups are the signals that make the service look at its jobs again; here are none, and
// --watch does it.
func hangups() []os.Signal { return nil }
