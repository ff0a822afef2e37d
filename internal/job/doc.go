// Package job is the embedded runner: it reads inputs, decodes events, drives the pure
// operators of exec, and writes rows. Everything that waits, asks the time, opens files or
// starts goroutines for the engine is here.
//
// A run over files decodes blocks of the input on several goroutines. Each block, once
// decoded, waits for its turn and is then pushed by its own goroutine, so the operators
// see the events in the order of the file and run on one goroutine at a time.
package job
