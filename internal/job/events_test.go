package job

import (
	"fmt"
	"testing"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/vec"
)

// TestRunEventsArrival: every event has its own arrival time, also where there are more
// events than a batch takes, and where bad ones stand between them.
func TestRunEventsArrival(t *testing.T) {
	p := compile(t, `SELECT n, System.Timestamp() AS t FROM e`)
	f := func(n int, bad ...int) {
		t.Helper()
		in := Events{Name: "e"}
		for i := range n {
			in.Text = append(in.Text, fmt.Sprintf(`{"n":%d}`, i))
			in.Arrival = append(in.Arrival, 1000*vec.Day+vec.Time(i)*vec.Second)
		}
		for _, i := range bad {
			in.Text[i] = `{"n":`
		}
		rows, wrong := 0, 0
		o := EventOptions{Options: exec.Options{OutOfOrder: -1, Late: -1, OnRows: func(_ int, b *vec.Batch) error {
			for i := range b.N {
				rows++
				if want := 1000*vec.Day + vec.Time(b.Cols[0].Int[i])*vec.Second; vec.Time(b.Cols[1].Int[i]) != want {
					wrong++
				}
			}
			return nil
		}}}
		if _, err := RunEvents(p, []Events{in}, o); err != nil {
			t.Fatal(err)
		}
		if rows != n-len(bad) || wrong != 0 {
			t.Errorf("%d rows of %d events, %d with another's time", rows, n, wrong)
		}
	}
	f(10)
	f(10, 0, 4, 9)
	f(codec.MaxBatchRows)
	f(codec.MaxBatchRows+100, 7, codec.MaxBatchRows-1, codec.MaxBatchRows+50)
}
