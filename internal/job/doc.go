// Package job is the embedded runner: it reads inputs, decodes events, drives the pure
// operators of exec, and writes rows. Everything that waits, asks the time, opens files or
// starts goroutines for the engine is here.
//
// A run over files decodes blocks of the input on several goroutines. Each block, once
// decoded, waits for its turn and is then pushed by its own goroutine, so the operators
// see the events in the order of the file and run on one goroutine at a time.
//
// A live job (Live) runs until it is stopped. One goroutine makes epochs of what the sources
// have: it reads, decodes, pushes, lets the sinks keep the rows unseen, appends the epoch to
// the manifest, and has it committed. After a crash the newest checkpoint and the epochs of
// the manifest behind it give the same rows again (liverun.go).
package job
