package sql

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"weir/internal/disk"
	"weir/internal/vec"
)

func TestRowsComeBack(t *testing.T) {
	for _, limit := range []int64{0, 200, 1 << 20} {
		mem := disk.NewMem(1)
		r := &rows{fs: mem.Boot(), limit: limit}
		var want []string
		for i := range 300 {
			b := batchOf([]any{i, -i, 1.5, "text", nil, true, vec.Time(i), rec("a", 1), arr(i, "x")}, []any{"", strings.Repeat("y", i), nil, rec(), arr(), vec.Value{}, 0.0, "é", i})
			if err := r.add(b); err != nil {
				t.Fatal(err)
			}
			for k := range b.N {
				var dst []byte
				for c := range b.Cols {
					dst = vec.AppendJSON(dst, b.Cols[c].At(k))
				}
				want = append(want, string(dst))
			}
		}
		for range 2 {
			in := r.read(9)
			for i := range want {
				row, _, err := in.next()
				if err != nil {
					t.Fatal(err)
				}
				var dst string
				for _, v := range row.vals {
					dst += jsonOf(v)
				}
				if dst != want[i] || row.at != i {
					t.Fatalf("row %d is %s, want %s", i, dst, want[i])
				}
			}
			if _, _, err := in.next(); err != io.EOF {
				t.Errorf("behind the last row: %v", err)
			}
		}
		r.reset()
		if _, _, err := r.read(9).next(); err != io.EOF || r.n != 0 {
			t.Errorf("after reset: %v", err)
		}
		if files, _ := mem.Boot().ReadDir("."); len(files) != 0 {
			t.Errorf("files stay: %v", files)
		}
	}
}

// TestRowsFullDisk: an error leaves the rows as they were, and the same rows come in later.
func TestRowsFullDisk(t *testing.T) {
	for n := int64(1); n < 12; n++ {
		mem := disk.NewMem(1)
		r := &rows{fs: mem.Boot(), limit: 50}
		mem.FailAt(n, disk.ErrFull)
		failed := 0
		for i := range 20 {
			for {
				err := r.add(batchOf([]any{i, strings.Repeat("x", 30)}))
				if err == nil {
					break
				}
				if failed++; !errors.Is(err, disk.ErrFull) || failed > 2 {
					t.Fatal(err)
				}
			}
		}
		in := r.read(2)
		for i := range 20 {
			row, _, err := in.next()
			if err != nil || row.vals[0].Int != int64(i) {
				t.Fatalf("row %d is %v, %v", i, row, err)
			}
		}
		if _, _, err := in.next(); err != io.EOF {
			t.Error(err)
		}
	}
}

// TestRowsDamaged: bytes that somebody changed are an error, and never a panic.
func TestRowsDamaged(t *testing.T) {
	r := &rows{fs: disk.NewMem(1).Boot(), limit: 1 << 20, own: true}
	if err := r.add(batchOf([]any{rec("a", 1, "b", "text", "c", rec("d", 1.5))}, []any{"odd"})); err != nil {
		t.Fatal(err)
	}
	whole := bytes.Clone(r.mem)
	for at := range whole {
		for _, x := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			r.mem = bytes.Clone(whole)
			r.mem[at] = x
			in := r.read(1)
			for {
				if _, _, err := in.next(); err != nil {
					break
				}
			}
		}
	}
	for cut := range whole {
		r.mem = whole[:cut]
		in := r.read(1)
		for {
			if _, _, err := in.next(); err != nil {
				break
			}
		}
	}
}
