//go:build !unix

package main

import "time"

// Without getrusage the wall clock stands for the time of processors, and memory is not
// known.
var started = time.Now()

func cpuTime() time.Duration { return time.Since(started) }

func peakMemory() int64 { return 0 }
