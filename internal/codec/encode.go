package codec

import (
	"slices"
	"strconv"

	"weir/internal/vec"
)

// OutputKind is a text format of rows.
type OutputKind uint8

// The text formats (saql.md 3.11).
const (
	JSONLines OutputKind = iota // an object a line
	JSONArray                   // one array of objects
	CSV                         // a header, then a line a row
)

// Encoder writes the rows of batches as text. One goroutine uses it, for one output.
type Encoder struct {
	kind  OutputKind
	names []string
	row   bool
	comma byte // between the fields of CSV
	// open and close stand around the object of a row: they hold the name of the output
	// when several share one text.
	open, close string
	keys        []string // `{"name":`, then `,"name":`, for each column
	quickKeys   []quickKey
	cells       []cells
	began       bool
	// recNames and recKeys are names and keys of the record written last. Rows mostly
	// share their names.
	recNames []string
	recKeys  []string
	rec      cells
}

// NewEncoder is an encoder for rows with the given column names. With row set the only
// column is a record that is the row itself; the header of CSV is then the first record's.
func NewEncoder(kind OutputKind, names []string, row bool) *Encoder {
	e := &Encoder{kind: kind, row: row, comma: ',', close: "\n"}
	if !row {
		e.names = names
		e.keys = jsonKeys(names)
	}
	return e
}

// NewTaggedEncoder is an encoder of JSON lines {"output": alias, "row": {...}}, for
// several outputs that share one text.
func NewTaggedEncoder(output string, names []string, row bool) *Encoder {
	e := NewEncoder(JSONLines, names, row)
	e.open = string(vec.AppendJSONString([]byte(`{"output":`), output)) + `,"row":`
	e.close = "}\n"
	return e
}

// Delimiter sets what stands between the fields of CSV; it is a comma at first.
func (e *Encoder) Delimiter(c byte) { e.comma = c }

// Restart begins another text: the next row comes behind a header or a "[".
func (e *Encoder) Restart() {
	e.began = false
	if e.row {
		e.names = nil
	}
}

// Resume goes on with a text that has been begun: no header or "[" comes. names are the
// columns of its header, which matter for rows that are records only.
func (e *Encoder) Resume(names []string) {
	e.began = true
	if e.row {
		e.names = names
	}
}

// Names are the columns of the header, nil if rows are records and none has come.
func (e *Encoder) Names() []string { return e.names }

// Header appends the header of CSV as it stands before rows with the names.
func (e *Encoder) Header(dst []byte, names []string) []byte {
	x := Encoder{names: names, comma: e.comma}
	return x.header(dst)
}

// jsonKeys are the texts before the values of an object.
func jsonKeys(names []string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		k := []byte{','}
		if i == 0 {
			k[0] = '{'
		}
		keys[i] = string(append(vec.AppendJSONString(k, name), ':'))
	}
	return keys
}

// Encode appends the rows of b.
func (e *Encoder) Encode(dst []byte, b *vec.Batch) []byte {
	if b.N == 0 {
		return dst
	}
	if e.kind == CSV {
		return e.encodeCSV(dst, b)
	}
	cols := b.Cols[:min(len(b.Cols), max(len(e.keys), 1))]
	e.prepare(cols, appendString)
	if e.kind == JSONLines && !e.row {
		if out, ok := e.quick(dst, cols, b.N); ok {
			return out
		}
	}
	for i := range b.N {
		if e.kind == JSONArray {
			dst = append(dst, e.separator()...)
		}
		dst = append(dst, e.open...)
		if e.row {
			dst = e.jsonRow(dst, &cols[0], i)
		} else {
			for c := range cols {
				dst = append(dst, e.keys[c]...)
				dst = e.cells[c].json(dst, &cols[c], i)
			}
			dst = append(dst, '}')
		}
		if e.kind == JSONLines {
			dst = append(dst, e.close...)
		}
	}
	return dst
}

// separator stands before a row of an array.
func (e *Encoder) separator() string {
	if e.began {
		return ",\n"
	}
	e.began = true
	return "["
}

// jsonRow appends the record that is row i.
func (e *Encoder) jsonRow(dst []byte, v *vec.Vec, i int) []byte {
	if v.KindAt(i) != vec.Record {
		return append(dst, "{}"...)
	}
	r := v.Rec[i]
	if len(r.Names) == 0 {
		return append(dst, "{}"...)
	}
	if !sameNames(r.Names, e.recNames) {
		e.recNames, e.recKeys = r.Names, jsonKeys(r.Names)
	}
	for f := range r.Vals {
		dst = append(dst, e.recKeys[f]...)
		dst = e.rec.value(dst, &r.Vals[f])
	}
	return append(dst, '}')
}

// sameNames reports whether a and b hold the same names. They are mostly the same memory.
func sameNames(a, b []string) bool {
	return len(a) == len(b) && len(a) > 0 && (&a[0] == &b[0] || slices.Equal(a, b))
}

// End appends what ends the text: nothing more may be encoded after it.
func (e *Encoder) End(dst []byte) []byte {
	if e.kind != JSONArray {
		return dst
	}
	if !e.began {
		dst = append(dst, '[')
	}
	return append(dst, "]\n"...)
}

// prepare readies the cells for the columns of a batch.
func (e *Encoder) prepare(cols []vec.Vec, escape func([]byte, string) []byte) {
	if len(e.cells) < len(cols) {
		e.cells = append(e.cells, make([]cells, len(cols)-len(e.cells))...)
	}
	for i := range cols {
		if cols[i].Dict != nil {
			e.cells[i].learn(cols[i].Dict, escape)
		}
	}
}

// cells writes the values of one column.
type cells struct {
	dicts map[*vec.Dict]*escaped
	dict  *vec.Dict // the dictionary of this batch
	esc   *escaped
	time  timeText
}

// escaped is a dictionary's texts as they stand in the output.
type escaped struct {
	buf  []byte
	ends []uint32 // of each text in buf
}

// maxEscapedDicts bounds the dictionaries that one column remembers.
const maxEscapedDicts = 16

// learn makes the texts of d ready, each once.
func (c *cells) learn(d *vec.Dict, escape func([]byte, string) []byte) {
	if c.dict != d {
		esc := c.dicts[d]
		if esc == nil {
			if c.dicts == nil || len(c.dicts) >= maxEscapedDicts {
				c.dicts = map[*vec.Dict]*escaped{}
			}
			esc = &escaped{}
			c.dicts[d] = esc
		}
		c.dict, c.esc = d, esc
	}
	esc := c.esc
	for _, s := range d.Vals[len(esc.ends):] {
		esc.buf = escape(esc.buf, s)
		esc.ends = append(esc.ends, uint32(len(esc.buf)))
	}
}

// text is the text of a code.
func (c *cells) text(code uint32) []byte {
	start := uint32(0)
	if code > 0 {
		start = c.esc.ends[code-1]
	}
	return c.esc.buf[start:c.esc.ends[code]]
}

// json appends row i of v as JSON.
func (c *cells) json(dst []byte, v *vec.Vec, i int) []byte {
	switch k := v.KindAt(i); k {
	case vec.Int:
		return appendInt(dst, v.Int[i])
	case vec.String:
		if v.Dict != nil {
			return append(dst, c.text(v.Code[i])...)
		}
		return appendString(dst, v.Str[i])
	case vec.Datetime:
		dst = append(dst, '"')
		dst = c.time.append(dst, vec.Time(v.Int[i]))
		return append(dst, '"')
	case vec.Float:
		return vec.AppendFloatJSON(dst, v.Float[i])
	case vec.Bit:
		return strconv.AppendBool(dst, v.Int[i] != 0)
	case vec.Record, vec.Array:
		return vec.AppendJSON(dst, vec.Value{Kind: k, Rec: v.Rec[i]})
	}
	return append(dst, "null"...)
}

// value appends a field of a record as JSON.
func (c *cells) value(dst []byte, v *vec.Value) []byte {
	switch v.Kind {
	case vec.String:
		return appendString(dst, v.Str)
	case vec.Int:
		return appendInt(dst, v.Int)
	case vec.Datetime:
		dst = append(dst, '"')
		dst = c.time.append(dst, vec.Time(v.Int))
		return append(dst, '"')
	}
	return vec.AppendJSON(dst, *v)
}

// appendString appends s as a JSON string, at once if it is plain.
func appendString(dst []byte, s string) []byte {
	if plainEnd(bytesOf(s), 0) < len(s) {
		return vec.AppendJSONString(dst, s)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendInt appends x in digits. Most numbers in events are small.
func appendInt(dst []byte, x int64) []byte {
	if uint64(x) >= 1000 {
		return strconv.AppendInt(dst, x, 10)
	}
	a, b, c := byte('0'+x/100), byte('0'+x/10%10), byte('0'+x%10)
	switch {
	case x >= 100:
		return append(dst, a, b, c)
	case x >= 10:
		return append(dst, b, c)
	}
	return append(dst, c)
}

// timeText writes times. It remembers the last second, for rows come in time order.
type timeText struct {
	second vec.Time
	text   [20]byte // YYYY-MM-DDThh:mm:ss.
	known  bool
}

// append appends t as vec.AppendTime does.
func (c *timeText) append(dst []byte, t vec.Time) []byte {
	f := uint64(t - c.second)
	if !c.known || f >= uint64(vec.Second) {
		if !t.Valid() {
			return vec.AppendTime(dst, t)
		}
		f = uint64(t % vec.Second)
		c.second, c.known = t-vec.Time(f), true
		var b [28]byte
		copy(c.text[:], vec.AppendTime(b[:0], t))
	}
	dst = append(dst, c.text[:]...)
	ms, rest := uint32(f)/10_000, uint32(f)%10_000
	dst = append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	if rest == 0 { // times are mostly whole milliseconds
		return append(dst, "0000Z"...)
	}
	return append(dst, byte('0'+rest/1000), byte('0'+rest/100%10), byte('0'+rest/10%10), byte('0'+rest%10), 'Z')
}
