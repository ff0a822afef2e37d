package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"
)

// When and how often progress is shown.
const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress draws one line that tells how far a run is. It shows nothing for work of less
// than half a second. Its methods may be called from several goroutines; a nil progress
// does nothing.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	width int
	thing string // what is counted
	now   func() time.Time
	start time.Time
	count time.Time // since when things are counted
	last  time.Time
	shown bool
}

// newProgress is a progress line that counts things, on the terminal behind standard
// error, or nil if there is none.
func newProgress(con *console, thing string) *progress {
	if !con.errTTY {
		return nil
	}
	return &progress{w: con.err, width: con.width, thing: thing, now: time.Now, start: time.Now(), count: time.Now()}
}

// update says that done of total is done (total is 0 if nobody knows) and how many things
// were in that.
func (p *progress) update(done, total, things int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.shown = now, true
	line := progressLine(done, total, now.Sub(p.start), counted(things, p.thing, now.Sub(p.count)))
	fmt.Fprintf(p.w, "\r\x1b[2K%s", fitCell(line, p.width-1))
}

// recount says that things are counted from 0 again.
func (p *progress) recount() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = p.now()
}

// clear wipes the line: something else is about to be written.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[2K")
		p.shown = false
	}
}

// counted is how many things there are and how fast they come.
func counted(things int64, thing string, elapsed time.Duration) string {
	return fmt.Sprintf("%s · %s/s", plural(things, thing), short(float64(things)/elapsed.Seconds()))
}

// progressLine is the text of the line.
func progressLine(done, total int64, elapsed time.Duration, what string) string {
	if total <= 0 {
		return what
	}
	part := min(float64(done)/float64(total), 1)
	left := ""
	if part > 0.02 && part < 1 {
		left = " · " + roughly(time.Duration(float64(elapsed)*(1-part)/part)) + " left"
	}
	return fmt.Sprintf("%3.0f%% %s %s%s", math.Floor(part*100), bar(part, 20), what, left)
}

// bar is a bar of n cells, filled to an eighth of a cell.
func bar(part float64, n int) string {
	eighths := int(part * float64(n) * 8)
	s := strings.Repeat("█", eighths/8)
	if e := eighths % 8; e > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[e-1])
	}
	return "▕" + s + strings.Repeat(" ", n-cellWidth(s)) + "▏"
}

// roughly is a duration in the words of someone who guesses.
func roughly(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 1.5:
		return "~1 second"
	case s < 90:
		return fmt.Sprintf("~%.0f seconds", s)
	case s < 90*60:
		return fmt.Sprintf("~%.0f minutes", s/60)
	default:
		return fmt.Sprintf("~%.0f hours", s/3600)
	}
}

// grouped writes a number with commas: 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a number in three digits: 1.23 M.
func short(x float64) string {
	switch {
	case x >= 1e9:
		return fmt.Sprintf("%.3g G", x/1e9)
	case x >= 999.5e3:
		return fmt.Sprintf("%.3g M", x/1e6)
	case x >= 999.5:
		return fmt.Sprintf("%.3g k", x/1e3)
	}
	return fmt.Sprintf("%.3g", x)
}

// plural is "1 event" or "3,000 events".
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(n) + " " + thing + "s"
}
