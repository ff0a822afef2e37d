//go:build race

package exec_test

// slow divides the rounds of long tests: the race detector makes them ten times slower,
// and one goroutine has no races.
const slow = 10
