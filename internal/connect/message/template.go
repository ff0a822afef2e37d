package message

import (
	"fmt"
	"strings"

	"weir/internal/vec"
)

// template is a text with columns in braces.
type template struct {
	parts []part
}

// part is text, or a column.
type part struct {
	text   string
	column string
	at     int // of the column; -1 if it is looked for in a record
}

// parseTemplate reads "teams/{TeamId}"; {{ and }} are braces. nil is of "".
func (m *Rows) parseTemplate(s string) (*template, error) {
	if s == "" {
		return nil, nil
	}
	t := &template{}
	text := func(s string) { t.parts = append(t.parts, part{text: s}) }
	for rest := s; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			text(rest)
			break
		}
		if i > 0 {
			text(rest[:i])
			rest = rest[i:]
		}
		if strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "}}") {
			text(rest[:1])
			rest = rest[2:]
			continue
		}
		name, after, ok := strings.Cut(rest[1:], "}")
		if rest[0] == '}' || !ok || name == "" {
			return nil, fmt.Errorf("%q: a column stands in braces: {TeamId}; {{ and }} are braces themselves", s)
		}
		at := m.column(name)
		if at < 0 && !m.row {
			return nil, fmt.Errorf("the rows have no column %q, which %q names", name, s)
		}
		t.parts = append(t.parts, part{column: name, at: at})
		rest = after
	}
	return t, nil
}

// append adds the text of a row. A column that has no text, such as NULL or a record, is named
// with its kind.
func (t *template) append(dst []byte, m *Rows, b *vec.Batch, row int) (text []byte, column string, kind vec.Kind) {
	if t == nil {
		return dst, "", 0
	}
	for _, p := range t.parts {
		if p.column == "" {
			dst = append(dst, p.text...)
			continue
		}
		v := m.value(b, row, p.at, p.column)
		to, ok := appendText(dst, v)
		if dst = to; !ok || v.Kind.IsNull() {
			return dst, p.column, v.Kind
		}
	}
	return dst, "", 0
}
