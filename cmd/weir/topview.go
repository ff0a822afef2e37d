package main

import (
	"fmt"
	"strings"
	"time"

	"weir/internal/job"
)

// What the screen shows in place of the table.
const (
	pageTable = iota
	pageTap
	pageText // why, dead letters
)

// topView draws a frame as lines of text. It asks nobody and knows no terminal.
type topView struct {
	frame    topFrame
	width    int
	height   int // 0: as many lines as it takes
	once     bool
	selected int
	page     int
	title    string   // of the page
	text     []string // of the page
	scroll   int
	paint    func(style, s string) string // nil: plain
}

// The styles of topView.paint.
const (
	styleTitle  = "title"
	styleHead   = "head"
	styleChosen = "chosen"
	styleBad    = "bad"
	styleDim    = "dim"
)

func (v *topView) styled(style, s string) string {
	if v.paint == nil {
		return s
	}
	return v.paint(style, s)
}

// column is a column of the table.
type column struct {
	name  string
	width int
	left  bool
	// rank says which columns go first on a narrow terminal: the greatest.
	rank int
}

// lines draws the frame.
func (v *topView) lines() []string {
	var head, body, foot []string
	switch {
	case v.frame.job != nil:
		head = v.jobHead()
	default:
		head = v.listHead()
	}
	switch {
	case v.page != pageTable:
		head = append(head, v.styled(styleTitle, fitCell(v.title, v.width)))
		body = v.pageLines()
	case v.frame.job != nil:
		body, foot = v.jobBody()
	default:
		body, foot = v.listBody()
	}
	if v.frame.err != nil {
		foot = append(foot, v.styled(styleBad, fitCell("no answer: "+oneLine(v.frame.err.Error()), v.width)))
	}
	if !v.once {
		foot = append(foot, v.styled(styleDim, fitCell(v.keys(), v.width)))
	}
	if v.height <= 0 {
		return append(append(head, body...), foot...)
	}
	room := max(v.height-len(head)-len(foot), 1)
	return append(append(head, v.window(body, room)...), foot...)
}

// window is the part of the body that there is room for, padded to it. A table keeps its
// header and the selected line in sight.
func (v *topView) window(body []string, room int) []string {
	if v.page == pageTable && len(body) > room && room > 2 {
		from := min(max(0, v.selected-(room-2)), len(body)-room)
		body = append(body[:1:1], body[1+from:]...)
	} else if v.page != pageTable {
		body = body[min(v.scroll, max(0, len(body)-room)):]
	}
	body = body[:min(len(body), room)]
	for len(body) < room {
		body = append(body, "")
	}
	return body
}

func (v *topView) keys() string {
	switch {
	case v.page != pageTable:
		return "↑↓ scroll  q back"
	case v.frame.job != nil:
		return "↑↓ select  enter tap  w why  d dead letters  q back"
	}
	return "↑↓ select  enter steps  w why  d dead letters  q end"
}

func (v *topView) listHead() []string {
	server := strings.TrimPrefix(v.frame.server, "http://")
	if v.frame.jobs == nil {
		return []string{v.styled(styleTitle, fitCell("weir top   "+server, v.width))}
	}
	running, in, out := 0, 0.0, 0.0
	for _, j := range v.frame.jobs {
		if j.State == job.Running {
			running++
		}
		in, out = in+j.in, out+j.out
	}
	line := fmt.Sprintf("weir top   %s   %d of %s running   in %s/s  out %s/s", server, running,
		plural(int64(len(v.frame.jobs)), "job"), short(in), short(out))
	return []string{v.styled(styleTitle, fitCell(line, v.width))}
}

// listBody is the table of jobs, and below it what is wrong with the selected one.
func (v *topView) listBody() (body, foot []string) {
	if v.frame.jobs == nil {
		return []string{"asking ..."}, nil
	}
	if len(v.frame.jobs) == 0 {
		return v.wrapped(styleTitle, "there are no jobs; \"weir job deploy PATH --start now\" makes one", 4), nil
	}
	cols := []column{{"JOB", 0, true, 0}, {"STATE", 9, true, 0}, {"FOR", 6, false, 3}, {"IN/s", 6, false, 0}, {"OUT/s", 6, false, 0},
		{"ROWS", 8, false, 2}, {"DEAD", 6, false, 1}, {"DELAY", 7, false, 1}, {"VERSION", 7, false, 4}}
	var rows [][]string
	bad := map[int]bool{}
	for i, j := range v.frame.jobs {
		delay, in, out := "", "", ""
		if j.State == job.Running || j.State == job.Degraded {
			in, out, delay = short(j.in), short(j.out), shortSeconds(j.delay)
		}
		bad[i] = troubled(j.State) || j.Error != ""
		rows = append(rows, []string{j.Name, string(j.State), v.since(j.Since), in, out, shortCount(j.Rows), shortCount(j.DeadLetters), delay, fmt.Sprint(j.Version)})
	}
	body = v.table(cols, rows, bad)
	if v.once {
		for _, j := range v.frame.jobs {
			if r := reasonOf(j.JobView); r != "" {
				foot = append(foot, j.Name+": "+r)
			}
		}
		return body, foot
	}
	if i := v.selected; i < len(v.frame.jobs) {
		if r := reasonOf(v.frame.jobs[i].JobView); r != "" {
			foot = v.wrapped(styleBad, r, 3)
		}
	}
	return body, foot
}

func troubled(s job.State) bool { return s == job.Failed || s == job.Degraded }

// since is how long ago something was.
func (v *topView) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	s := shortSeconds(max(0, v.frame.at.Sub(t).Truncate(time.Second).Seconds()))
	return strings.Replace(s, "0ms", "0s", 1)
}

// jobHead says how a job is.
func (v *topView) jobHead() []string {
	j := v.frame.job
	line := fmt.Sprintf("weir top   %s v%d %s %s", j.Name, j.Version, strings.ToUpper(string(j.State)), v.since(j.Since))
	if j.State == job.Running || j.State == job.Degraded {
		line += fmt.Sprintf("   in %s/s  out %s/s  delay %s", short(j.in), short(j.out), shortSeconds(j.delay))
	}
	var more []string
	if c := j.stats.Checkpoint; c.Count > 0 {
		more = append(more, fmt.Sprintf("checkpoint %s ago, %s, paused %s", v.since(c.Last), bytesText(c.Bytes), shortSeconds(c.PauseSeconds)))
		if c.Failures > 0 {
			more = append(more, plural(c.Failures, "checkpoint")+" failed")
		}
	}
	more = append(more, fmt.Sprintf("epoch %d", j.stats.Epoch), plural(j.DeadLetters, "dead letter"))
	if j.Restarts > 0 {
		more = append(more, plural(int64(j.Restarts), "restart"))
	}
	style := styleTitle
	if troubled(j.State) {
		style = styleBad
	}
	head := []string{v.styled(style, fitCell(line, v.width)), v.styled(styleDim, fitCell(strings.Join(more, " · "), v.width))}
	if r := reasonOf(j.JobView); r != "" {
		head = append(head, v.wrapped(styleBad, r, 3)...)
	}
	for _, note := range j.stats.Notes {
		head = append(head, v.wrapped(styleBad, note, 2)...)
	}
	return head
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// jobBody is the table of inputs, steps and outputs, and below it what the selected one is.
func (v *topView) jobBody() (body, foot []string) {
	if len(v.frame.parts) == 0 {
		return v.wrapped(styleTitle, "nothing is known of its steps: the job has not run since the service was started", 4), nil
	}
	cols := []column{{"STEP", 0, true, 0}, {"IN/s", 6, false, 0}, {"OUT/s", 6, false, 0}, {"DROP/s", 6, false, 1}, {"BUSY", 4, false, 1}, {"HELD", 6, false, 0},
		{"WATERMARK", 18, true, 0}, {"HELD BY", 12, true, 2}}
	var rows [][]string
	for i, p := range v.frame.parts {
		busy, held := "", ""
		if p.busy >= 0 {
			busy = fmt.Sprintf("%.0f%%", p.busy*100)
		}
		if p.held >= 0 {
			held = shortCount(p.held)
		}
		by := p.heldBy
		if p.kind == topOutput {
			by = p.note
		}
		rows = append(rows, []string{v.mark(i) + p.name, short(p.in), short(p.out), short(p.drop), busy, held, v.watermark(p.watermark), by})
	}
	body = v.table(cols, rows, nil)
	if v.once || v.selected >= len(v.frame.parts) {
		return body, nil
	}
	p := v.frame.parts[v.selected]
	details := p.details[:min(len(p.details), 6)]
	for _, d := range details {
		foot = append(foot, fitCell("  "+d, v.width))
	}
	return body, foot
}

func shortCount(n int64) string {
	if n < 100_000 {
		return grouped(n)
	}
	return short(float64(n))
}

// mark is what stands before the name of a part: inputs, the steps below them, outputs.
func (v *topView) mark(i int) string {
	switch p := v.frame.parts; {
	case p[i].kind == topInput:
		return "◉ "
	case p[i].kind == topOutput:
		return "→ "
	case i+1 < len(p) && p[i+1].kind == topStep:
		return "├ "
	}
	return "└ "
}

// watermark is a time of events, and how far it is behind the clock.
func (v *topView) watermark(t time.Time) string {
	if t.IsZero() {
		return "none yet"
	}
	behind := v.frame.at.Sub(t)
	if behind > 24*time.Hour || behind < -24*time.Hour {
		return t.UTC().Format("2006-01-02 15:04")
	}
	text := t.UTC().Format("15:04:05")
	if behind < 0 {
		return text + " (+" + shortSeconds(-behind.Seconds()) + ")"
	}
	return text + " (-" + shortSeconds(behind.Seconds()) + ")"
}

// wrapped draws a text over at most n lines.
func (v *topView) wrapped(style, text string, n int) []string {
	var list []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && cellWidth(line)+1+cellWidth(word) > v.width {
			list, line = append(list, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	list = append(list, line)
	if len(list) > n {
		list = append(list[:n-1], strings.Join(list[n-1:], " "))
	}
	for i := range list {
		list[i] = v.styled(style, fitCell(list[i], v.width))
	}
	return list
}

// pageLines are the lines of a page, cut to the width; those of why are wrapped.
func (v *topView) pageLines() []string {
	var list []string
	for _, line := range v.text {
		if v.page == pageText && cellWidth(line) > v.width && (strings.HasPrefix(line, "likely") || strings.HasPrefix(line, "fix")) {
			list = append(list, v.wrapped(styleTitle, line, 8)...)
			continue
		}
		list = append(list, fitCell(line, v.width))
	}
	return list
}

// table draws rows under their header. Columns that there is no room for are left out, by
// rank, and the first one gets what is left.
func (v *topView) table(cols []column, rows [][]string, bad map[int]bool) []string {
	const least = 12 // of the first column
	shown := make([]bool, len(cols))
	used := least + 2
	for i := range cols {
		shown[i] = true
		if i > 0 {
			used += cols[i].width + 1
		}
	}
	for rank := 9; rank > 0 && used > v.width; rank-- {
		for i := len(cols) - 1; i > 0 && used > v.width; i-- {
			if cols[i].rank == rank {
				shown[i] = false
				used -= cols[i].width + 1
			}
		}
	}
	widest := least
	for _, r := range rows {
		widest = max(widest, cellWidth(printable(r[0])))
	}
	cols[0].width = max(4, min(widest, least+v.width-used))
	if spare := v.width - used - (cols[0].width - least); spare > 0 && cols[len(cols)-1].left && shown[len(cols)-1] {
		cols[len(cols)-1].width += spare
	}
	draw := func(mark string, cells []string) string {
		var b strings.Builder
		b.WriteString(mark)
		for i, c := range cols {
			if !shown[i] {
				continue
			}
			cell := fitCell(cells[i], c.width)
			if i == 0 {
				cell = fitMiddle(cells[i], c.width)
			}
			pad := strings.Repeat(" ", max(0, c.width-cellWidth(cell)))
			if c.left {
				cell += pad
			} else {
				cell = pad + cell
			}
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(cell)
		}
		return strings.TrimRight(fitCell(b.String(), v.width), " ")
	}
	var names []string
	for _, c := range cols {
		names = append(names, c.name)
	}
	list := []string{v.styled(styleHead, draw("  ", names))}
	for i, r := range rows {
		switch {
		case !v.once && i == v.selected:
			line := draw("▸ ", r)
			list = append(list, v.styled(styleChosen, line+strings.Repeat(" ", max(0, v.width-cellWidth(line)))))
		case bad[i]:
			list = append(list, v.styled(styleBad, draw("  ", r)))
		default:
			list = append(list, draw("  ", r))
		}
	}
	return list
}

// fitMiddle makes s fit into w cells and keeps its end, in which long names differ.
func fitMiddle(s string, w int) string {
	s = printable(s)
	if cellWidth(s) <= w || w < 8 {
		return fitCell(s, w)
	}
	const tail = 5
	end := []rune(s)
	for len(end) > 1 && cellWidth(string(end)) > tail {
		end = end[1:]
	}
	return fitCell(s, w-cellWidth(string(end))) + string(end)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
