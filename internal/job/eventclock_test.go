package job

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

const day = 1000 * vec.Day

// second is an event of a second of the day.
func second(key string, s int) string {
	return fmt.Sprintf(`{"k":%q,"t":%q}`, key, (day + vec.Time(s)*vec.Second).String())
}

func arrivals(seconds ...int) []vec.Time {
	var list []vec.Time
	for _, s := range seconds {
		list = append(list, day+vec.Time(s)*vec.Second)
	}
	return list
}

// TestEventClock: rows come out at the arrival of what lets them, at a tick, or at the end.
func TestEventClock(t *testing.T) {
	p := compile(t, `SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 10)
		SELECT k INTO other FROM b TIMESTAMP BY t`)
	f := func(open, snapshot bool, ticks []vec.Time, want string) {
		t.Helper()
		clock := &EventClock{Ticks: ticks, Open: open}
		var got []string
		o := EventOptions{Options: exec.Options{Late: 5 * vec.Second}, Clock: clock, Snapshot: snapshot,
			Cuts: func(n int) []int {
				sizes := make([]int, n)
				for i := range sizes {
					sizes[i] = 1
				}
				return sizes
			}}
		o.OnRows = func(output int, b *vec.Batch) error {
			for range b.N {
				at := "end"
				if clock.Now != vec.MaxTime {
					at = fmt.Sprintf("%g", float64(clock.Now-day)/float64(vec.Second))
				}
				got = append(got, fmt.Sprintf("%d@%s", output, at))
			}
			return nil
		}
		inputs := []Events{
			{Name: "a", Text: []string{second("x", 1), second("x", 12), second("y", 13)}, Arrival: arrivals(2, 12, 30)},
			{Name: "b", Text: []string{second("z", 20)}, Arrival: arrivals(20)},
		}
		counts, err := RunEvents(p, inputs, o)
		if err != nil {
			t.Fatal(err)
		}
		if counts.Events != 4 || strings.Join(got, " ") != want {
			t.Errorf("%d events, rows %v; want %s", counts.Events, got, want)
		}
	}
	tick := arrivals(15, 25, 40)
	for _, snapshot := range []bool{false, true} {
		f(false, snapshot, nil, "0@12 1@20 0@30 0@end")
		f(true, snapshot, nil, "0@12 1@20 0@30")
		f(true, snapshot, tick, "0@12 1@20 0@30 0@40")
	}
}

// TestOnEvent: every event that does not count as it came is told of, by its number.
func TestOnEvent(t *testing.T) {
	p := compile(t, `SELECT k FROM a TIMESTAMP BY t`)
	f := func(drop bool, want string) {
		t.Helper()
		var got []string
		o := EventOptions{Options: exec.Options{Late: 5 * vec.Second, Drop: drop}, OnEvent: func(d EventDrop) {
			text := fmt.Sprintf("%d %s", d.Event, d.Name)
			if d.Moved != nil && !d.Moved.Dropped {
				text += fmt.Sprintf(" to %g", float64(d.Moved.To-day)/float64(vec.Second))
			}
			got = append(got, text)
		}}
		in := Events{Name: "a", Text: []string{`{"k":`, second("a", 10), `{"k":1,"t":"never"}`, second("b", 9), second("c", 1), second("d", 900)},
			Arrival: arrivals(10, 10, 10, 10, 12, 12)}
		if _, err := RunEvents(p, []Events{in}, o); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("drop %v: %s; want %s", drop, strings.Join(got, ", "), want)
		}
	}
	f(true, "0 InputDeserializerError.InvalidData, 2 InvalidInputTimeStamp, 3 OutOfOrderEvent, 4 LateInputEvent, 5 EarlyInputEvent")
	f(false, "0 InputDeserializerError.InvalidData, 2 InvalidInputTimeStamp, 3 OutOfOrderEvent to 10, 4 LateInputEvent to 7, 4 OutOfOrderEvent to 10, 5 EarlyInputEvent")
}

func TestEventTimes(t *testing.T) {
	p := compile(t, `SELECT k FROM a TIMESTAMP BY t SELECT * INTO two FROM b`)
	times, err := EventTimes(p, []Events{{Name: "a", Text: []string{second("x", 3), "bad", second("x", 1)}}, {Name: "B", Text: []string{"{}"}}}, day)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]vec.Time{{day + 3*vec.Second, vec.MinTime, day + vec.Second}, {day}}
	if fmt.Sprint(times) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", times, want)
	}
}
