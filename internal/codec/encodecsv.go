package codec

import (
	"strconv"
	"strings"

	"weir/internal/vec"
)

// encodeCSV appends the rows of b as CSV, after the header if there is none yet.
func (e *Encoder) encodeCSV(dst []byte, b *vec.Batch) []byte {
	if !e.began {
		e.began = true
		if e.row {
			e.names = firstNames(&b.Cols[0])
		}
		dst = e.header(dst)
	}
	if e.row {
		for i := range b.N {
			dst = e.csvRow(dst, &b.Cols[0], i)
		}
		return dst
	}
	cols := b.Cols[:min(len(b.Cols), len(e.names))]
	e.prepare(cols, e.field)
	for i := range b.N {
		start := len(dst)
		for c := range cols {
			if c > 0 {
				dst = append(dst, e.comma)
			}
			dst = e.csvCell(dst, &e.cells[c], &cols[c], i)
		}
		dst = endLine(dst, start)
	}
	return dst
}

// firstNames are the names of the first record of v.
func firstNames(v *vec.Vec) []string {
	for i := range v.N {
		if v.KindAt(i) == vec.Record {
			return v.Rec[i].Names
		}
	}
	return nil
}

func (e *Encoder) header(dst []byte) []byte {
	start := len(dst)
	for i, name := range e.names {
		if i > 0 {
			dst = append(dst, e.comma)
		}
		dst = e.field(dst, name)
	}
	return endLine(dst, start)
}

// endLine ends the line that began at start. An empty line would be no row.
func endLine(dst []byte, start int) []byte {
	if len(dst) == start {
		dst = append(dst, `""`...)
	}
	return append(dst, '\n')
}

// field appends a text, quoted when needed (RFC 4180; also around white space at its
// ends, which some readers cut).
func (e *Encoder) field(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	quote := s[0] <= ' ' || s[len(s)-1] <= ' '
	for i := 0; i < len(s) && !quote; i++ {
		c := s[i]
		quote = c == '"' || c == '\n' || c == '\r' || c == e.comma
	}
	if !quote {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		dst = append(dst, s[:i+1]...)
		dst = append(dst, '"')
		s = s[i+1:]
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

// csvCell appends row i of v.
func (e *Encoder) csvCell(dst []byte, c *cells, v *vec.Vec, i int) []byte {
	switch v.KindAt(i) {
	case vec.String:
		if v.Dict != nil {
			return append(dst, c.text(v.Code[i])...)
		}
		return e.field(dst, v.Str[i])
	case vec.Int:
		return appendInt(dst, v.Int[i])
	case vec.Datetime:
		return c.time.append(dst, vec.Time(v.Int[i]))
	}
	x := v.At(i)
	return e.csvValue(dst, c, &x)
}

// csvValue appends a value (saql.md 3.11: records and arrays are their names as words).
func (e *Encoder) csvValue(dst []byte, c *cells, x *vec.Value) []byte {
	switch x.Kind {
	case vec.String:
		return e.field(dst, x.Str)
	case vec.Int:
		return appendInt(dst, x.Int)
	case vec.Float:
		return vec.AppendFloatText(dst, x.Float)
	case vec.Bit:
		return strconv.AppendBool(dst, x.Int != 0)
	case vec.Datetime:
		return c.time.append(dst, vec.Time(x.Int))
	case vec.Record:
		return append(dst, "Record"...)
	case vec.Array:
		return append(dst, "Array"...)
	}
	return dst
}

// csvRow appends the record that is row i. The header is that of the first record:
// fields that it lacked are left out, fields that are absent now are empty.
func (e *Encoder) csvRow(dst []byte, v *vec.Vec, i int) []byte {
	var r vec.Rec
	if v.KindAt(i) == vec.Record {
		r = *v.Rec[i]
	}
	start := len(dst)
	for c, name := range e.names {
		if c > 0 {
			dst = append(dst, e.comma)
		}
		if c < len(r.Names) && r.Names[c] == name {
			dst = e.csvValue(dst, &e.rec, &r.Vals[c])
		} else if x, ok := exactField(&r, name); ok {
			dst = e.csvValue(dst, &e.rec, &x)
		}
	}
	return endLine(dst, start)
}

// exactField is the field with exactly that name.
func exactField(r *vec.Rec, name string) (vec.Value, bool) {
	for i, n := range r.Names {
		if n == name {
			return r.Vals[i], true
		}
	}
	return vec.Value{}, false
}
