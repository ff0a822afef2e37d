package twin

import (
	"strings"

	"weir/internal/saql"
)

// declare reads a CREATE TABLE: it gives the input columns with types.
func (r *run) declare(t *saql.CreateTable) {
	var list []column
	for _, c := range t.Cols {
		list = append(list, column{c.Name.Text, typeKind(c.Type)})
	}
	r.tables[strings.ToLower(t.Name.Text)] = list
}

// typed is an event as a table declares it; ok is false if a value does not fit, and the
// event is dropped (saql.md 3.3).
func typed(fields []Field, columns []column) (out []Field, ok bool) {
	for _, c := range columns {
		v, _ := lookup(fields, c.name)
		switch {
		case v.isNull() || v.Kind == c.fixed:
		case v.Kind == Int && c.fixed == Float, v.Kind == Bit && c.fixed == Int:
			v, _ = cast(v, c.fixed)
		case v.Kind == Text && c.fixed == Time:
			t, ok := parseTime(v.Text)
			if !ok {
				return nil, false
			}
			v = timeValue(t)
		default:
			return nil, false
		}
		out = append(out, Field{c.name, v})
	}
	return out, true
}
