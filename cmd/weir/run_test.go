package main

import (
	"context"
	"strings"
	"testing"
)

// Someone who interrupts a run is told where the rows are.
func TestInterrupted(t *testing.T) {
	f := func(r runCmd, want string) {
		t.Helper()
		err := r.failed(nil, nil, context.Canceled)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the message is %v; want %q in it", err, want)
		}
	}
	late := limit(5)
	f(runCmd{}, "interrupted before the end of the input")
	f(runCmd{Late: &late}, "the rows so far have been written")
	f(runCmd{OutOfOrder: &late}, "the rows so far have been written")
	f(runCmd{Policy: "drop"}, "the rows so far have been written")
}
