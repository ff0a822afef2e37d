//go:build !race

package exec_test

// slow divides the rounds of long tests.
const slow = 1
