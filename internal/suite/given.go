package suite

import (
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// The keys of what is given for an input.
var givenKeys = []string{"rows", "file", "table", "versions", "format", "delimiter", "header"}

// given reads the events of a test.
func (r *fileReader) given(sc *scenario, n *node) {
	if !r.is(n, "inputs and their events", objectNode) {
		return
	}
	for _, k := range n.keys {
		name, ok := find(r.info.inputs, k.name)
		if !ok {
			r.f.fail(k.start, orList(didYouMean(k.name, r.info.inputs), "it has ", r.info.inputs), "the job has no input %q", k.name)
			continue
		}
		in := input{name: name, reference: r.info.isReference(name)}
		if v := versionsOf(k.value); v != nil {
			r.versions(sc, in, v, k)
			continue
		}
		r.events(sc, &in, k.value)
		sc.inputs = append(sc.inputs, in)
	}
}

// orList is a hint, or the names that there are.
func orList(hint, before string, names []string) string {
	if hint == "" && len(names) > 0 {
		return before + strings.Join(names, ", ")
	}
	return hint
}

func versionsOf(n *node) *node {
	if n.kind != objectNode {
		return nil
	}
	return n.get("versions")
}

// versions reads the versions of reference data: from when on, and the rows.
func (r *fileReader) versions(sc *scenario, in input, n *node, k key) {
	if !in.reference {
		r.f.fail(k.start, "", "%q is a stream; only reference data has versions", k.name)
		return
	}
	if !r.is(n, "a list of versions (from: time, rows: ...)", listNode) {
		return
	}
	for _, item := range n.items {
		if !r.is(item, "a version (from: time, rows: ...)", objectNode) {
			continue
		}
		v, rest := in, &node{kind: objectNode, start: item.start, dash: -1}
		from := item.get("from")
		if from == nil {
			r.f.fail(item.start, "", "a version says from when on it is in force: from")
			continue
		}
		for _, key := range item.keys {
			if key.name != "from" {
				rest.keys = append(rest.keys, key)
			}
		}
		v.effective = r.moment(from, sc.day)
		r.events(sc, &v, rest)
		sc.inputs = append(sc.inputs, v)
	}
}

// events reads the events of an input in one of their forms.
func (r *fileReader) events(sc *scenario, in *input, n *node) {
	if n.kind == listNode {
		r.rows(sc, in, n)
		return
	}
	if !r.is(n, "a list of events, or rows, file or table", objectNode) {
		return
	}
	r.known(n, givenKeys)
	forms := 0
	for _, k := range n.keys {
		switch k.name {
		case "rows":
			forms++
			if r.is(k.value, "a list of events", listNode) {
				r.rows(sc, in, k.value)
			}
		case "file":
			forms++
			r.file(in, n, k.value)
		case "table":
			forms++
			r.table(sc, in, k.value)
		}
	}
	if forms != 1 {
		r.f.fail(n.start, "", "give one of rows, file and table")
	}
}

// rows reads events one by one.
func (r *fileReader) rows(sc *scenario, in *input, n *node) {
	for _, item := range n.items {
		e := event{place: r.f.place(item.start)}
		switch item.kind {
		case textNode:
			e.text = item.text
		case objectNode:
			v, body := item.value(sc.day), item
			if at := item.get("at"); at != nil && !in.reference {
				e.arrives, e.arrival = true, r.moment(at, sc.day)
				sc.sample = false
				body = item.get("event")
				switch raw := item.get("raw"); {
				case len(item.keys) == 2 && body != nil && body.kind == objectNode:
					v = body.value(sc.day)
				case len(item.keys) == 2 && raw != nil && raw.kind == textNode:
					v.Raw = raw.text
				default:
					v = without(v, func(name string) bool { return name == "at" })
				}
			}
			e.text = v.Raw
		default:
			r.is(item, "an event (column: value, ...), or a text that is no event", objectNode)
			continue
		}
		if strings.TrimSpace(e.text) == "" {
			r.f.fail(item.start, "", "an event of nothing is no event")
			continue
		}
		in.events = append(in.events, e)
	}
}

// file reads the events of a file beside the test.
func (r *fileReader) file(in *input, n, name *node) {
	format := connect.Format{}
	if v := n.get("format"); v != nil {
		format.Type = r.oneOf(v, "json", "csv", "avro", "parquet")
	}
	if v := n.get("delimiter"); v != nil {
		if len(v.text) != 1 {
			r.f.fail(v.start, "", "a delimiter is one character")
		} else {
			format.Delimiter = v.text[0]
		}
	}
	if v := n.get("header"); v != nil {
		format.NoHeader = !r.truth(v)
	}
	path := r.path(r.text(name))
	events, csv, err := fileEvents(path, name.text, format)
	if err != nil {
		r.f.fail(name.start, nearFile(path), "cannot read %s: %s", name.text, why(err))
		return
	}
	in.events, in.csv = events, csv
	if !in.reference {
		enqueued(in.events)
	}
}

// enqueuedName is the column of sample files that carries the arrival time (saql.md 4.10).
const enqueuedName = "EventEnqueuedUtcTime"

// enqueued takes the arrival of events from a column, if all have it.
func enqueued(events []event) {
	times := make([]vec.Time, len(events))
	for i := range events {
		if !strings.Contains(events[i].text, enqueuedName) {
			return
		}
		v, err := testkit.ParseValue([]byte(events[i].text))
		if err != nil {
			return
		}
		at, _ := v.Get(enqueuedName)
		t, ok := vec.ParseTime(at.Text)
		if !ok {
			return
		}
		times[i] = t
	}
	for i := range events {
		events[i].arrives, events[i].arrival = true, times[i]
	}
}

// table reads events from CSV text, or a list of lists with the names first.
func (r *fileReader) table(sc *scenario, in *input, n *node) {
	if n.kind == listNode {
		r.lists(sc, in, n)
		return
	}
	if !r.is(n, "CSV text behind |, or a list of lists", textNode) {
		return
	}
	first := r.f.place(n.start)
	if n.block {
		first.Line++
	}
	var text strings.Builder // without blanks around the cells, so that people can line them up
	for line := range strings.Lines(n.text) {
		cells := strings.Split(strings.TrimRight(line, " \r\n"), ",")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		text.WriteString(strings.Join(cells, ",") + "\n")
	}
	events, err := csvEvents(text.String(), r.f.name, codec.CSVOptions{}, first.Line)
	if err != nil {
		r.f.fail(n.start, "", "this is no CSV: %v", err)
		return
	}
	in.csv = r.isCSV(in.name)
	for _, e := range events {
		v, err := testkit.ParseValue([]byte(e.text))
		if err != nil {
			r.f.failAt(e.place, "", "this is no row of the table")
			continue
		}
		out := event{place: e.place}
		row := testkit.Value{Kind: testkit.Object}
		for i, name := range v.Names {
			cell := v.Items[i].Text
			if name == "at" && !in.reference {
				sc.sample = false
				if out.arrival, out.arrives = parseTime(cell, sc.day); !out.arrives {
					r.f.failAt(e.place, "", "%q is no time of arrival", cell)
				}
				continue
			}
			if item, ok := cellValue(cell, in.csv, sc.day); ok {
				row.Names, row.Items = append(row.Names, name), append(row.Items, item)
			}
		}
		out.text = rawOf(row)
		in.events = append(in.events, out)
	}
}

// isCSV tells whether the job reads an input as CSV.
func (r *fileReader) isCSV(name string) bool {
	for _, in := range r.info.Job.Inputs {
		if strings.EqualFold(in.Name, name) {
			return strings.EqualFold(in.Format.Type, "csv")
		}
	}
	return false
}

// cellValue is the value of a cell of a table: text where the job reads CSV. Else numbers,
// true, false and null are what they look like, and an empty cell is no value at all.
func cellValue(cell string, csv bool, day vec.Time) (testkit.Value, bool) {
	if csv {
		return textValue(cell), true
	}
	if cell == "" {
		return testkit.Value{}, false
	}
	n := &node{kind: textNode, text: cell, plain: true}
	if v, err := testkit.ParseValue([]byte(cell)); err == nil && v.Kind < testkit.String {
		return v, true
	}
	return n.value(day), true
}

// lists reads a table of lists: the first one has the names.
func (r *fileReader) lists(sc *scenario, in *input, n *node) {
	var names []string
	for i, line := range n.items {
		if !r.is(line, "a list", listNode) {
			continue
		}
		if i == 0 {
			for _, c := range line.items {
				names = append(names, r.text(c))
			}
			continue
		}
		if len(line.items) != len(names) {
			r.f.fail(line.start, "", "the table has %d columns and this row %d values", len(names), len(line.items))
			continue
		}
		e := event{place: r.f.place(line.start)}
		row := testkit.Value{Kind: testkit.Object}
		for c, item := range line.items {
			if names[c] == "at" && !in.reference {
				e.arrives, e.arrival = true, r.moment(item, sc.day)
				sc.sample = false
				continue
			}
			row.Names, row.Items = append(row.Names, names[c]), append(row.Items, item.value(sc.day))
		}
		e.text = rawOf(row)
		in.events = append(in.events, e)
	}
}

// The keys of what is expected of a stream.
var expectKeys = []string{"rows", "columns", "order", "count", "file"}

// expect reads what must come out.
func (r *fileReader) expect(sc *scenario, n *node) {
	if !r.is(n, "outputs or steps and their rows", objectNode) {
		return
	}
	for _, k := range n.keys {
		if k.name == "$error" {
			sc.fails, sc.failsAt = r.text(k.value), r.f.place(k.value.start)
			if sc.fails == "" {
				r.f.fail(k.value.start, "", "a word of the message belongs here")
			}
			continue
		}
		e := expectation{name: k.name, place: r.f.place(k.start), count: -1}
		if e.name, e.kind = r.stream(k, true); e.name == "" {
			continue
		}
		r.expectation(sc, &e, k.value)
		sc.expect = append(sc.expect, e)
	}
	if sc.fails != "" && len(sc.expect) > 0 {
		r.f.failAt(sc.failsAt, "", "a test expects either rows or $error")
	}
}

// stream finds the output, step or system stream of a name; "" if there is none, which has
// been reported.
func (r *fileReader) stream(k key, system bool) (string, stream) {
	if strings.HasPrefix(k.name, "$") {
		names := append([]string{"$error"}, systemStreams...)
		if name, ok := find(systemStreams, k.name); ok && system {
			return name, systemStream
		}
		r.f.fail(k.start, orList(didYouMean(k.name, names), "there are ", names), "there is no stream %q", k.name)
		return "", 0
	}
	if name, ok := find(r.info.outputs, k.name); ok {
		return name, outputStream
	}
	if name, ok := find(r.info.steps, k.name); ok {
		return name, stepStream
	}
	names := append(append([]string(nil), r.info.outputs...), r.info.steps...)
	r.f.fail(k.start, orList(didYouMean(k.name, names), "it has ", names), "the query has no output or step %q", k.name)
	return "", 0
}

// expectation reads what a stream must give: a list of rows, or a mapping.
func (r *fileReader) expectation(sc *scenario, e *expectation, n *node) {
	if n.kind == listNode {
		r.expectRows(sc, e, n)
		return
	}
	if !r.is(n, "a list of rows, or rows, columns, order and count", objectNode) {
		return
	}
	r.known(n, expectKeys)
	for _, k := range n.keys {
		v := k.value
		switch k.name {
		case "rows":
			if r.is(v, "a list of rows", listNode) {
				r.expectRows(sc, e, v)
			}
		case "file":
			path := r.path(r.text(v))
			rows, err := fileRows(path, v.text)
			if err != nil {
				r.f.fail(v.start, nearFile(path), "cannot read %s: %s", v.text, why(err))
			}
			e.rows, e.checkRows, e.file = rows, true, path
		case "order":
			e.exact = r.oneOf(v, "any", "exact") == "exact"
		case "count":
			e.count, e.countNode = r.integer(v, 0, maxRows), v
		case "columns":
			if !r.is(v, "a list of columns", listNode) {
				continue
			}
			for _, c := range v.items {
				e.columns = append(e.columns, r.text(c))
			}
		}
	}
	if !e.checkRows && e.count < 0 {
		r.f.fail(n.start, "", "give rows, file or count")
	}
	if n.get("rows") != nil && n.get("file") != nil {
		r.f.fail(n.start, "", "give either rows or file")
	}
}

func (r *fileReader) expectRows(sc *scenario, e *expectation, n *node) {
	e.list, e.checkRows = n, true
	for _, item := range n.items {
		if !r.is(item, "a row (column: value, ...)", objectNode) {
			continue
		}
		e.rows = append(e.rows, row{Value: item.value(sc.day), place: r.f.place(item.start), node: item})
	}
}

// emits reads when rows must come out.
func (r *fileReader) emits(sc *scenario, n *node) {
	if !r.is(n, "outputs or steps and times", objectNode) {
		return
	}
	for _, k := range n.keys {
		e := emission{place: r.f.place(k.value.start), node: k.value}
		if e.name, e.kind = r.stream(k, false); e.name == "" {
			continue
		}
		items := []*node{k.value}
		if k.value.kind == listNode {
			items = k.value.items
		}
		for _, item := range items {
			e.times = append(e.times, r.moment(item, sc.day))
		}
		sc.emits = append(sc.emits, e)
	}
}
