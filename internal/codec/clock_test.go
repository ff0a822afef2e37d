package codec

import (
	"strings"
	"testing"

	"weir/internal/vec"
)

// TestClockStartsEmpty: 16 zero bytes are no minute that the clock has seen, and no text.
func TestClockStartsEmpty(t *testing.T) {
	good := `{"at":"never at all, not even once"}` + "\n"
	bad := `{"at":"` + strings.Repeat("\x00", 16) + `:00.000Z"}` + "\n"
	f := func(n int) {
		t.Helper()
		d := NewJSON([]vec.Field{{Path: []string{"at"}, Want: vec.AsDatetime}}, JSONOptions{Lines: true})
		var b vec.Batch
		bads := 0
		text := strings.Repeat(good, n) + bad + strings.Repeat(good, n)
		if _, err := d.Decode(&b, []byte(text), true, MaxBatchRows, func(Bad) { bads++ }); err != nil {
			t.Fatal(err)
		}
		if bads != 1 || b.N != 2*n {
			t.Errorf("%d events of %d, %d bad", b.N, 2*n+1, bads)
		}
	}
	f(4)
	f(1000)
}
