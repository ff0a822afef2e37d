// Package pipe joins a job to another program by lines of JSON: what the program prints are
// events, and rows are what it reads.
//
// # Input
//
// Lines of the program's standard output land in a log on disk, from which the job reads at its
// own pace. When the log is full the program waits at its own output. A program that ends is
// started again.
//
// # Output
//
// An epoch's rows are written to the standard input of the program when the epoch is committed.
// A program that says "acknowledge: lines" answers each line with one of its own when it has
// dealt with it, and only then the epoch is done.
//
// A job file that names a program runs it: who may deploy jobs may run programs. So a context
// must allow it (Allow): weir run does, weir serve only with --allow-commands.
package pipe
