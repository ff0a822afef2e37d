package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxTapColumns is how many columns a tap shows on a terminal. Others stand in the last one.
const maxTapColumns = 40

// tapPrinter shows rows that are JSON objects: as lines to a program and as a table to a
// person. The table begins anew when a row has a column that it lacks.
type tapPrinter struct {
	con   *console
	names []string
	table *table
}

func newTapPrinter(con *console) *tapPrinter { return &tapPrinter{con: con} }

// rows shows rows. Their table may wait for flush.
func (p *tapPrinter) rows(list []json.RawMessage) error {
	if !p.con.outTTY {
		var text []byte
		for _, r := range list {
			text = append(append(text, r...), '\n')
		}
		_, err := p.con.out.Write(text)
		return err
	}
	for _, r := range list {
		if err := p.row(r); err != nil {
			return err
		}
	}
	return nil
}

// row adds a row to the table.
func (p *tapPrinter) row(text json.RawMessage) error {
	fields, ok := objectFields(text)
	if !ok {
		fields = []objectField{{"row", string(text)}}
	}
	wider := p.table == nil
	for _, f := range fields {
		if !slices.Contains(p.names, f.name) && len(p.names) < maxTapColumns {
			p.names, wider = append(p.names, f.name), true
		}
	}
	if wider {
		if err := p.close(); err != nil {
			return err
		}
		p.table = newTable(p.con.out, slices.Clone(p.names))
		p.table.fit = p.con.width
	}
	cells, numbers := make([]string, len(p.table.names)), make([]bool, len(p.table.names))
	for i := range numbers {
		numbers[i] = true
	}
	for _, f := range fields {
		i := min(slices.Index(p.names, f.name), len(cells)-1)
		if i < 0 { // beyond the limit
			continue
		}
		cells[i], numbers[i] = f.cell()
	}
	return p.table.add(cells, numbers)
}

// flush draws what waits.
func (p *tapPrinter) flush() error {
	if p.table == nil || len(p.table.rows) == 0 {
		return nil
	}
	return p.table.flush()
}

// close ends the table.
func (p *tapPrinter) close() error {
	if p.table == nil {
		return nil
	}
	t := p.table
	p.table = nil
	return t.end()
}

// objectField is a field of a JSON object; value is its text.
type objectField struct{ name, value string }

// cell is the field in a table, and whether it is a number or empty.
func (f objectField) cell() (text string, number bool) {
	switch {
	case f.value == "null":
		return "", true
	case strings.HasPrefix(f.value, `"`) && json.Unmarshal([]byte(f.value), &text) == nil:
		return text, false
	}
	return f.value, strings.ContainsAny(f.value[:1], "-0123456789")
}

// objectFields are the fields of a JSON object in their order; ok is false for other texts.
func objectFields(text []byte) (list []objectField, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, false
		}
		list = append(list, objectField{name.(string), string(value)})
	}
	return list, true
}
