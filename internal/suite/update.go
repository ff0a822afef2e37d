package suite

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/internal/testkit"
	"weir/internal/vec"
)

// Change is a file with what came out in the place of what was expected.
type Change struct {
	Path    string
	Text    string
	Diff    string    // the lines that change, for people
	Results []*Result // that are right with it
}

// edit replaces a part of a text.
type edit struct {
	start, end int
	text       string
}

// lastByte is the offset of the last byte that is replaced.
func (e edit) lastByte() int { return max(e.start, e.end-1) }

// Update gives the files whose expected rows differ from what came, with those that came.
// Rows that are right stay as they are written, with all comments; of a row that differs
// only the cells change. Nothing is written.
func Update(results []*Result) ([]Change, error) {
	var changes []Change
	edits := map[*textFile][]edit{}
	owners := map[*textFile][]*Result{}
	var files []*textFile
	for _, r := range results {
		if r.OK || r.Skipped != "" || len(r.Failures) != len(r.diffs)+len(r.late) {
			continue // something else is wrong, which no row repairs
		}
		var own []edit
		for _, d := range r.diffs {
			if d.e.file != "" {
				changes = append(changes, d.rewritten(r))
				continue
			}
			own = append(own, d.edits(r.Test.file, r.Test.scenario.day)...)
		}
		for _, l := range r.late {
			own = append(own, l.edits(r.Test.file, r.Test.scenario.day)...)
		}
		if f := r.Test.file; len(own) > 0 {
			if edits[f] == nil {
				files = append(files, f)
			}
			edits[f] = append(edits[f], own...)
			owners[f] = append(owners[f], r)
		}
	}
	for _, f := range files {
		c := Change{Path: f.path, Results: owners[f]}
		c.Text, c.Diff = f.applied(edits[f])
		if again := newTextFile(f.name, f.path, c.Text); again.parse() == nil || again.err() != nil {
			return nil, fmt.Errorf("%s: the expected rows cannot be replaced where they stand: %w", f.name, again.err())
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// rewritten is a file of expected rows with what came: an array if it was one, else lines.
func (d *difference) rewritten(r *Result) Change {
	c := Change{Path: d.e.file}
	if len(r.diffs) == 1 && len(r.late) == 0 {
		c.Results = []*Result{r}
	}
	old, _ := os.ReadFile(d.e.file) // it was read before; a difference is shown, nothing more
	array := strings.HasPrefix(strings.TrimLeft(string(bytes.TrimPrefix(old, []byte("\uFEFF"))), " \t\r\n"), "[")
	var b strings.Builder
	for i, row := range d.got {
		switch {
		case array && i == 0:
			b.WriteString("[")
		case array:
			b.WriteString(",\n")
		}
		b.WriteString(row.Raw)
		if !array {
			b.WriteByte('\n')
		}
	}
	if array {
		if len(d.got) == 0 {
			b.WriteString("[")
		}
		b.WriteString("]\n")
	}
	c.Text = b.String()
	c.Diff = fmt.Sprintf("%s: %s instead of %d\n", shown(d.e.file), count(len(d.got), "row"), len(d.e.rows))
	return c
}

// applied is the text of f with edits, and the lines that differ.
func (f *textFile) applied(edits []edit) (text, diff string) {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out, shown strings.Builder
	at := 0
	for i := 0; i < len(edits); {
		// Edits of the same lines are shown together.
		first := f.lineStart(edits[i].start)
		last := f.lineEnd(edits[i].lastByte())
		k := i + 1
		for k < len(edits) && f.lineStart(edits[k].start) < last {
			last = max(last, f.lineEnd(edits[k].lastByte()))
			k++
		}
		var part strings.Builder
		from := first
		for _, e := range edits[i:k] {
			part.WriteString(f.text[from:e.start] + e.text)
			from = e.end
		}
		part.WriteString(f.text[from:last])
		out.WriteString(f.text[at:first] + part.String())
		shown.WriteString(f.hunk(first, f.text[first:last], part.String()))
		at, i = last, k
	}
	out.WriteString(f.text[at:])
	return out.String(), shown.String()
}

// hunk shows the lines of a part of f that change.
func (f *textFile) hunk(at int, before, after string) string {
	was, is := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	line := f.place(at).Line
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is, line = was[1:], is[1:], line+1
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	return fmt.Sprintf("%s:%d\n%s%s", f.name, line, prefixed("-", strings.Join(was, "")), prefixed("+", strings.Join(is, "")))
}

func prefixed(mark, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(mark + strings.TrimRight(line, "\r\n") + "\n")
	}
	return b.String()
}

// lineStart is the offset of the line that holds an offset.
func (f *textFile) lineStart(at int) int { return strings.LastIndexByte(f.text[:at], '\n') + 1 }

// lineEnd is the offset behind the line end of the line that holds an offset.
func (f *textFile) lineEnd(at int) int {
	if i := strings.IndexByte(f.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(f.text)
}

// edits makes what is expected of a stream what came.
func (d *difference) edits(f *textFile, day vec.Time) []edit {
	var list []edit
	if n := d.e.countNode; n != nil && d.e.count != len(d.got) {
		list = append(list, edit{n.start, n.end, fmt.Sprint(len(d.got))})
	}
	if d.e.list == nil || len(d.pairs) == 0 {
		return list
	}
	if d.e.exact {
		// Rows that only changed places are to keep what is written beside them.
		again := &difference{e: d.e, got: d.got, matched: make([]int, len(d.got))}
		for i := range again.matched {
			again.matched[i] = -1
		}
		again.anyOrder()
		d = again
	}
	u := &rewriter{f: f, d: d, day: day}
	if d.e.list.flow {
		return append(list, u.flowList(d.e.list)...)
	}
	return append(list, u.blockList(d.e.list)...)
}

// rewriter rewrites a list of expected rows.
type rewriter struct {
	f   *textFile
	d   *difference
	day vec.Time
}

// slot is a row of the new list: an expected row, the row that came, or both.
type slot struct{ want, got int }

// slots are the rows of the new list in order: as they came, if the order counts; else as
// they stood, with the new ones at the end.
func (u *rewriter) slots() []slot {
	partner := map[int]int{} // got -> want
	var slots []slot
	for g, w := range u.d.matched {
		if w >= 0 {
			partner[g] = w
		}
	}
	for _, p := range u.d.pairs {
		if p.want != nil && p.got != nil {
			partner[u.gotIndex(p.got)] = u.wantIndex(p.want)
		}
	}
	taken := map[int]int{}
	for g, w := range partner {
		taken[w] = g
	}
	if !u.d.e.exact {
		for w := range u.d.e.rows {
			if g, ok := taken[w]; ok {
				slots = append(slots, slot{w, g})
			}
		}
	}
	for g := range u.d.got {
		w, ok := partner[g]
		switch {
		case !ok:
			slots = append(slots, slot{-1, g})
		case u.d.e.exact:
			slots = append(slots, slot{w, g})
		}
	}
	return slots
}

func (u *rewriter) gotIndex(r *testkit.Row) int {
	for i := range u.d.got {
		if &u.d.got[i] == r {
			return i
		}
	}
	panic("suite: a row of a difference is not among those that came")
}

func (u *rewriter) wantIndex(r *row) int {
	for i := range u.d.e.rows {
		if &u.d.e.rows[i] == r {
			return i
		}
	}
	panic("suite: a row of a difference is not among those expected")
}

// flowList rewrites a list in brackets. Where only cells differ, only they change.
func (u *rewriter) flowList(n *node) []edit {
	slots := u.slots()
	var cells []edit
	whole := len(slots) != len(u.d.e.rows) || u.d.e.exact
	for _, s := range slots {
		if s.want < 0 {
			whole = true
			break
		}
		edits, ok := u.cells(s)
		cells = append(cells, edits...)
		whole = whole || !ok
	}
	if !whole {
		return cells
	}
	rows := make([]string, len(slots))
	for i, s := range slots {
		rows[i] = u.fresh(s)
	}
	start, end := n.start, u.f.flowEnd(n.start)
	if n.inFlow || len(rows) == 0 {
		return []edit{{start, end, "[" + strings.Join(rows, ", ") + "]"}}
	}
	line := u.f.text[u.f.lineStart(start):start]
	indent := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " -"))+2)
	for start > 0 && u.f.text[start-1] == ' ' {
		start--
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString("\n" + indent + "- " + r)
	}
	return []edit{{start, end, b.String()}}
}

// blockList rewrites a list of lines that start with a dash. The lines of rows that stay
// are kept with the comments above them.
func (u *rewriter) blockList(n *node) []edit {
	f := u.f
	starts := make([]int, len(n.items))
	ends := make([]int, len(n.items))
	for i, item := range n.items {
		starts[i], ends[i] = f.lineStart(item.dash), f.lineEnd(max(f.nodeEnd(item)-1, item.dash))
		if i > 0 {
			starts[i] = ends[i-1] // comments above it are its own
		}
	}
	first, last := starts[0], ends[len(ends)-1]
	dash := f.lineStart(n.items[0].dash)
	indent := strings.Repeat(" ", n.items[0].dash-dash)
	slots := u.slots()
	if len(slots) == 0 {
		return []edit{{u.keyLineEnd(first), u.keyLineEnd(first), " []"}, {first, last, ""}}
	}
	var b strings.Builder
	for _, s := range slots {
		if s.want < 0 {
			b.WriteString(indent + "- " + u.fresh(s) + "\n")
			continue
		}
		item := n.items[s.want]
		edits, ok := u.cells(s)
		if !ok {
			edits = []edit{{item.start, f.nodeEnd(item), u.fresh(s)}}
		}
		at := starts[s.want]
		slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
		for _, e := range edits {
			b.WriteString(f.text[at:e.start] + e.text)
			at = e.end
		}
		b.WriteString(f.text[at:ends[s.want]])
		if !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
	}
	return []edit{{first, last, b.String()}}
}

// keyLineEnd is the offset behind the key that a block list belongs to: its line is the one
// above the list that is no comment.
func (u *rewriter) keyLineEnd(first int) int {
	f := u.f
	start := f.lineStart(first - 1)
	for start > 0 && strings.HasPrefix(strings.TrimSpace(f.text[start:f.lineEnd(start)])+"#", "#") {
		start = f.lineStart(start - 1)
	}
	line := strings.TrimRight(f.text[start:f.lineEnd(start)], "\r\n")
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	return start + len(strings.TrimRight(line, " "))
}

// cells are the edits that make an expected row the row that came. It reports false where the
// row has to be written anew.
func (u *rewriter) cells(s slot) ([]edit, bool) {
	want, got := &u.d.e.rows[s.want], &u.d.got[s.got]
	var edits []edit
	for _, k := range want.node.keys {
		v, ok := got.Get(k.name)
		if _, ignored := find(u.d.e.ignore, k.name); ignored || len(u.d.e.columns) > 0 && !slices.Contains(u.d.e.columns, k.name) {
			continue
		}
		switch {
		case !ok:
			return nil, false
		case equal(k.value.value(u.day), v):
		case k.value.kind >= listNode && !k.value.flow || k.value.block || k.value.start == k.value.end:
			return nil, false
		default:
			edits = append(edits, edit{k.value.start, u.f.nodeEnd(k.value), scalarText(v, u.day, k.value)})
		}
	}
	if u.d.e.kind == systemStream {
		return edits, true
	}
	news := slices.ContainsFunc(u.d.e.seen(*got).Names, func(name string) bool { return want.node.get(name) == nil })
	return edits, !news
}

// fresh is a row as a mapping in braces.
func (u *rewriter) fresh(s slot) string {
	got := u.d.e.seen(u.d.got[s.got])
	var names []string
	if s.want >= 0 {
		for _, k := range u.d.e.rows[s.want].node.keys { // the order that the test has
			if _, ok := got.Get(k.name); ok {
				names = append(names, k.name)
			}
		}
	}
	for _, name := range got.Names {
		own := name == "$input" || name == "$reason" || s.want >= 0 && u.d.e.kind == systemStream
		if !slices.Contains(names, name) && !own {
			names = append(names, name)
		}
	}
	parts := make([]string, len(names))
	for i, name := range names {
		v, _ := got.Get(name)
		parts[i] = keyText(name) + ": " + scalarText(v, u.day, nil)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// plainText is a text that YAML takes for itself without quotes, also in braces.
var plainText = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$./ -]*$`)

// words are plain texts that YAML, old or new, takes for something else.
var words = []string{"null", "true", "false", "yes", "no", "on", "off"}

func keyText(name string) string {
	if _, other := find(words, name); plainText.MatchString(name) && !other && !strings.HasSuffix(name, " ") {
		return name
	}
	return string(vec.AppendJSONString(nil, name))
}

// scalarText is a value as YAML has it in braces. old is what stands there now: a time keeps
// its form.
func scalarText(v testkit.Value, day vec.Time, old *node) string {
	switch v.Kind {
	case testkit.String:
	case testkit.Array, testkit.Object:
		parts := make([]string, len(v.Items))
		for i := range v.Items {
			parts[i] = scalarText(v.Items[i], day, nil)
			if v.Kind == testkit.Object {
				parts[i] = keyText(v.Names[i]) + ": " + parts[i]
			}
		}
		if v.Kind == testkit.Array {
			return "[" + strings.Join(parts, ", ") + "]"
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return v.Raw
	}
	if t, ok := momentOf(v.Text); ok && (old == nil || old.plain) {
		if old != nil && !timeOfDay.MatchString(old.text) {
			day = vec.MaxTime - vec.Day // a full time
		}
		return shortTime(t, day)
	}
	if _, err := time.ParseDuration(v.Text); err == nil && v.Text != "0" {
		return v.Text
	}
	if old == nil || old.plain {
		return keyText(v.Text)
	}
	return v.Raw
}

// edits makes the times at which rows are expected those at which they came.
func (l *lateness) edits(f *textFile, day vec.Time) []edit {
	var list []string
	for _, t := range l.got {
		if t == vec.MaxTime {
			return nil // no time says "at the end"
		}
		list = append(list, shortTime(t, day))
	}
	n := l.e.node
	text := "[" + strings.Join(list, ", ") + "]"
	if len(list) == 1 && n.kind != listNode {
		text = list[0]
	}
	if n.kind == listNode && !n.flow {
		return nil
	}
	return []edit{{n.start, f.nodeEnd(n), text}}
}

// nodeEnd is the offset behind the last character of a value.
func (f *textFile) nodeEnd(n *node) int {
	switch {
	case n.flow:
		return f.flowEnd(n.start)
	case n.kind == listNode && len(n.items) > 0:
		return f.nodeEnd(n.items[len(n.items)-1])
	case n.kind == objectNode && len(n.keys) > 0:
		return f.nodeEnd(n.keys[len(n.keys)-1].value)
	case n.block:
		return f.blockEnd(n.start)
	case n.kind >= listNode:
		return n.start
	}
	return n.end
}

// flowEnd is the offset behind the bracket that closes the one at an offset.
func (f *textFile) flowEnd(at int) int {
	depth := 0
	for i := at; i < len(f.text); i++ {
		switch c := f.text[i]; c {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"', '\'':
			if before := strings.TrimRight(f.text[at:i], " \n\r\t"); before != "" && strings.IndexByte("[{,:", before[len(before)-1]) >= 0 {
				n := &node{start: i, kind: textNode}
				i = f.scalarEnd(n) - 1
			}
		case '#':
			if i > 0 && strings.IndexByte(" \n\t", f.text[i-1]) >= 0 {
				i = f.lineEnd(i) - 1
			}
		}
	}
	return len(f.text)
}

// blockEnd is the offset behind a text of several lines whose | stands at an offset.
func (f *textFile) blockEnd(at int) int {
	line := f.text[f.lineStart(at):at]
	least := len(line) - len(strings.TrimLeft(line, " "))
	end := f.lineEnd(at)
	for end < len(f.text) {
		next := f.text[end:f.lineEnd(end)]
		if strings.TrimSpace(next) != "" && len(next)-len(strings.TrimLeft(next, " ")) <= least {
			break
		}
		end += len(next)
	}
	return end
}
