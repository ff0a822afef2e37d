//go:build !race && linux

package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	lib "github.com/parquet-go/parquet-go"

	"weir/internal/codec/parquet"
)

// inChild has Parquet decoded by a process for the time of a test.
func inChild(t testing.TB) {
	t.Helper()
	parquet.Program = parquet.Self
	t.Cleanup(func() { parquet.Program = "" })
}

// bomb is a small file that takes much memory to read: columns of one long page each.
func bomb(t testing.TB, columns, size int) []byte {
	t.Helper()
	group := lib.Group{}
	for i := range columns {
		group[fmt.Sprint("c", i)] = lib.Leaf(lib.ByteArrayType)
	}
	var b bytes.Buffer
	w := lib.NewWriter(&b, lib.NewSchema("row", group), lib.Compression(&lib.Zstd), lib.PageBufferSize(2*size))
	values := slices.Repeat([]lib.Value{lib.ByteArrayValue(make([]byte, 4000))}, size/4000)
	for _, c := range w.ColumnWriters() {
		if _, err := c.WriteRowValues(values); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMemoryLimit: a child that wants too much memory ends, which is one bad event, and the files
// behind are read.
func TestMemoryLimit(t *testing.T) {
	inChild(t)
	defer func(was int64) { parquet.ChildMemory = was }(parquet.ChildMemory)
	parquet.ChildMemory = 128 << 20
	b := bomb(t, 4, 40<<20)
	if len(b) > 200_000 {
		t.Fatalf("the bomb has %d bytes", len(b))
	}
	n, bad, err := events(t, bytes.NewReader(b), Format{})
	if n != 0 || len(bad) != 1 || err != nil || !strings.HasPrefix(bad[0], "the Parquet file cannot be read: its decoder takes more than 128 MiB of memory, or fails (") {
		t.Errorf("%d events, %q, %v", n, bad, err)
	}
	parquet.ChildMemory = 512 << 20
	n, bad, err = events(t, bytes.NewReader(b), Format{})
	if n != 40<<20/4000 || len(bad) != 0 || err != nil {
		t.Errorf("%d events, %q, %v", n, bad, err)
	}
}

// TestChildEnds: whatever becomes of the child, the parent says so and goes on.
func TestChildEnds(t *testing.T) {
	inChild(t)
	f := func(program, want string) {
		t.Helper()
		parquet.Program = program
		_, bad, err := events(t, strings.NewReader("PAR1"), Format{})
		if err != nil {
			bad = append(bad, "error: "+err.Error())
		}
		if got := strings.Join(bad, "; "); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
	f(parquet.Self, "the Parquet file is cut off")
	f("/bin/false", "the Parquet file cannot be read: its decoder takes more than 512 MiB of memory, or fails (exit status 1: )")
	f("/bin/true", "")
	f("/no/such/program", "error: start the process that decodes Parquet: fork/exec /no/such/program")

	// One that is not read to its end is ended by Close.
	parquet.Program = parquet.Self
	var file bytes.Buffer
	text := strings.Repeat("{\"a\":1}\n", 1_000_000)
	if err := Pack(&file, strings.NewReader(text), PackFormat{Type: "parquet", Row: true}); err != nil {
		t.Fatal(err)
	}
	r := Open(&file, Format{})
	if n, err := r.Read(make([]byte, 100)); n != 100 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
