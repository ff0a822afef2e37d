package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/vec"
)

// heatMap shows a number of 0 to 60 per name and minute: colours on a terminal, digits
// elsewhere.
type heatMap struct {
	first   time.Time // the first minute
	minutes int
	rows    map[string][]int64
}

func newHeatMap(first time.Time, minutes int) *heatMap {
	return &heatMap{first: first, minutes: minutes, rows: map[string][]int64{}}
}

// add takes the number of a name in the minute that ends at t.
func (h *heatMap) add(name string, t vec.Time, n int64) {
	row := h.rows[name]
	if row == nil {
		row = make([]int64, h.minutes)
		h.rows[strings.Clone(name)] = row
	}
	first := vec.FromCivil(h.first.Year(), int(h.first.Month()), h.first.Day()) +
		vec.Time(h.first.Hour())*vec.Hour + vec.Time(h.first.Minute())*vec.Minute
	if i := int((t - first) / vec.Minute); i >= 0 && i < h.minutes {
		row[i] = n
	}
}

// heatColors are colours of the 256 from nothing to a full minute.
var heatColors = [...]int{236, 58, 94, 130, 166, 202, 196}

// draw writes the map with an axis below.
func (h *heatMap) draw(b *strings.Builder, color bool) {
	names := make([]string, 0, len(h.rows))
	width := 0
	for name := range h.rows {
		names = append(names, name)
		width = max(width, cellWidth(name))
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(name + strings.Repeat(" ", width-cellWidth(name)+1))
		var total int64
		for _, n := range h.rows[name] {
			total += n
			b.WriteString(heatCell(n, color))
		}
		fmt.Fprintf(b, " %4d s\n", total)
	}
	const step = 5
	b.WriteString(strings.Repeat(" ", width+1))
	for m := 0; m < h.minutes; m += step {
		fmt.Fprintf(b, "%-*s", 2*min(step, h.minutes-m), h.first.Add(time.Duration(m)*time.Minute).Format("15:04"))
	}
	b.WriteString("\n")
	if color {
		b.WriteString(strings.Repeat(" ", width+1))
		for i, c := range heatColors {
			fmt.Fprintf(b, "\x1b[48;5;%dm  \x1b[0m %d ", c, (i*60+len(heatColors)-2)/(len(heatColors)-1))
		}
		b.WriteString("seconds of the minute\n")
	} else {
		b.WriteString(strings.Repeat(" ", width+1) + "tenths of the minute: 1 is up to 6 seconds, 9 more than 48\n")
	}
}

// heatCell is two cells for n seconds.
func heatCell(n int64, color bool) string {
	n = min(max(n, 0), 60)
	if !color {
		if n == 0 {
			return " ·"
		}
		return fmt.Sprintf(" %d", min(9, (n+5)/6))
	}
	steps := int64(len(heatColors) - 1)
	return fmt.Sprintf("\x1b[48;5;%dm  \x1b[0m", heatColors[(n*steps+59)/60])
}
