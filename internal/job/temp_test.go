package job

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"weir/internal/vec"
)

// endless is a text without an end. It cancels the run after some reads.
type endless struct {
	reads  int
	cancel func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.reads++; e.reads == 10 {
		e.cancel()
	}
	if e.reads > 1000 {
		return 0, io.EOF
	}
	return copy(p, `{"k":"a","at":"2020-01-01T00:00:01Z","n":1}`+"\n"), nil
}

// TestRunTemporaryFiles: a sample run copies a stream to a file, which is gone whatever
// comes.
func TestRunTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	p := compile(t, countQuery)
	f := func(name string, ctx context.Context, in io.Reader, want error, onRows func(int, *vec.Batch) error) {
		t.Helper()
		_, err := Run(ctx, p, []Input{{Name: "e", Reader: in}}, Options{Sample: true, Workers: 2, OnRows: onRows})
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 0 {
			t.Errorf("%s: %d files are left, error %v", name, len(left), err)
		}
	}
	none := func(int, *vec.Batch) error { return nil }
	broken := errors.New("the line is cut")
	ctx := context.Background()
	f("all is well", ctx, strings.NewReader(many(100)), nil, none)
	f("input breaks", ctx, io.MultiReader(strings.NewReader(many(100)), iotest.ErrReader(broken)), broken, none)
	f("output breaks", ctx, strings.NewReader(many(100)), broken, func(int, *vec.Batch) error { return broken })
	ctx, cancel := context.WithCancel(ctx)
	e := &endless{cancel: cancel}
	f("cancelled", ctx, e, context.Canceled, none)
	if e.reads > 20 {
		t.Errorf("%d reads of a cancelled run", e.reads)
	}
}
