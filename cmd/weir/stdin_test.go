package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Standard input comes through whole, however it is cut.
func TestInterruptibleReads(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 3*pieceBytes/16) + "end"
	f := func(text string, cut func(io.Reader) io.Reader) {
		t.Helper()
		got, err := io.ReadAll(newInterruptible(t.Context(), cut(strings.NewReader(text))))
		if err != nil || string(got) != text {
			t.Errorf("read %d bytes of %d, error %v", len(got), len(text), err)
		}
	}
	f("", iotest.HalfReader)
	f("few", iotest.OneByteReader)
	f(long, iotest.HalfReader)
	f(long, iotest.DataErrReader)
}

// The error of the reader comes after what it has read.
func TestInterruptibleError(t *testing.T) {
	broken := errors.New("broken")
	got, err := io.ReadAll(newInterruptible(t.Context(), io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken))))
	if string(got) != "some" || !errors.Is(err, broken) {
		t.Errorf("read %q, error %v", got, err)
	}
}

// Who waits for input that does not come can be interrupted.
func TestInterruptibleWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	in := newInterruptible(ctx, r)
	go func() {
		w.Write([]byte("first"))
		cancel()
	}()
	got, err := io.ReadAll(in)
	if !strings.HasPrefix("first", string(got)) || !errors.Is(err, context.Canceled) {
		t.Errorf("read %q, error %v", got, err)
	}
}
