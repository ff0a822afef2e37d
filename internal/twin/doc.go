// Package twin is the slow twin of the engine: it evaluates a whole query text over lists
// of rows, as saql.md says it, by walking the syntax tree. It is written to be obviously
// right and nothing else: a relation is a slice of rows in their final order (T, then
// arrival), a window is a filter over such a slice, a join is two nested loops, history is
// a look back over the slice. It shares the parser with the engine and not one rule
// beyond it, which house.Layers enforces.
//
// The tests of this package make random queries and random events, run them through the
// twin and through the engine (cut at random places, stopped and restored at random
// batches, with several shards), and ask for the same rows in the same order. What
// differs is made as small as possible and printed as a conformance case. The first
// rounds run with every go test; more are asked for with flags:
//
//	go test ./internal/twin -rounds 200000 -seed 7
//
// What the twin does not know (JavaScript, geography, anomaly detection) is left to the
// tables beside those functions.
package twin
