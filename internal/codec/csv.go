package codec

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

// CSVOptions are the settings of a CSV input.
type CSVOptions struct {
	// Delimiter is the byte between fields; 0 is a comma.
	Delimiter byte
	// Detect finds the delimiter by the first line: comma, semicolon, tab, bar or space,
	// whichever it holds most.
	Detect bool
	// NoHeader: the first line is a row, and the columns are column1, column2, ...
	NoHeader bool
	// MaxEvent is the limit for one row in bytes; 0 is MaxEventBytes.
	MaxEvent int
	// LowerNames turns the names of columns into lower case (Rules).
	LowerNames bool
}

// CSVDecoder decodes CSV text (saql.md 3.10, RFC 4180). All values are texts. The line
// end is LF or CR LF. Empty lines are no rows. A quote inside a field that does not start
// with one stands for itself.
type CSVDecoder struct {
	columns
	positions
	o     CSVOptions
	comma byte
	// names are the columns of the text, nil before the header.
	names []string
	// cells are the fields of the current row.
	cells []csvCell
	// wanted is the position of the column for each field: -1 none, -2 the whole row.
	wanted  []int
	skip    bool // drop the rest of a line
	row     int
	scratch []byte
	texts   arena
}

// csvCell is a field as it stands in the buffer, without its quotes.
type csvCell struct {
	start, end int
	doubled    bool // it holds doubled quotes
}

const (
	cellNone  = -1
	cellWhole = -2
	cellMeta  = -3
)

// NewCSV is a decoder of CSV.
func NewCSV(fields []vec.Field, o CSVOptions) *CSVDecoder {
	if o.MaxEvent <= 0 {
		o.MaxEvent = MaxEventBytes
	}
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	return &CSVDecoder{columns: newColumns(fields), positions: newPositions(), o: o,
		comma: o.Delimiter, texts: arena{size: 16 << 10}}
}

// Decode implements Decoder. An unusable header is an *InputError.
func (d *CSVDecoder) Decode(b *vec.Batch, data []byte, last bool, max int, onBad func(Bad)) (int, error) {
	data, last = boundBuffer(data, last)
	max = min(max, MaxBatchRows)
	d.columns.open(b, data, max)
	d.positions.open(data, max)
	d.row = 0
	pos, err := 0, error(nil)
	if d.names == nil {
		pos, err = d.header(data, last)
	}
	for err == nil && d.names != nil && d.row < max {
		f := d.next(data, pos, last)
		pos = f.next
		if f.kind == frameWait || f.kind == frameEnd {
			break
		}
		if f.kind == frameEvent && !utf8.Valid(data[f.start:f.end]) {
			f.kind, f.reason = frameBad, "invalid UTF-8"
		}
		if f.kind == frameEvent && len(d.cells) > len(d.names) {
			f.kind = frameBad
			f.reason = strconv.Itoa(len(d.cells)) + " fields in a row for " + strconv.Itoa(len(d.names)) + " columns"
		}
		if f.kind == frameBad {
			if onBad != nil {
				onBad(d.bad(f.start, f.end, InvalidData, f.reason))
			}
			continue
		}
		d.put()
		d.offsets[d.row] = int32(f.start)
		d.row++
	}
	d.columns.close(b, d.row)
	d.positions.close(pos, d.row)
	return pos, err
}

// header reads the first line. It leaves names nil if more bytes are needed.
func (d *CSVDecoder) header(data []byte, last bool) (int, error) {
	if d.o.Detect {
		start := len(data) - len(bytes.TrimLeft(data, "\r\n"))
		end := bytes.IndexByte(data[start:], '\n')
		if end < 0 && !last && len(data)-start <= d.o.MaxEvent {
			return 0, nil
		}
		if end < 0 {
			end = len(data) - start
		}
		d.comma = detectDelimiter(data[start : start+end])
	}
	f := d.next(data, 0, last)
	switch {
	case f.kind == frameWait, f.kind == frameEnd:
		return 0, nil
	case f.kind == frameBad:
		return 0, &InputError{InvalidHeader, f.reason, nil}
	case !utf8.Valid(data[f.start:f.end]):
		return 0, &InputError{InvalidHeader, "invalid UTF-8", nil}
	}
	names := make([]string, len(d.cells))
	seen := make(map[string]bool, len(names))
	for i, c := range d.cells {
		names[i] = string(d.unquote(c))
		if d.o.NoHeader || names[i] == "" {
			names[i] = "column" + strconv.Itoa(i+1)
		}
		if d.o.LowerNames {
			names[i] = strings.ToLower(names[i])
		}
		if seen[names[i]] {
			return 0, &InputError{InvalidHeader, "two columns have the name " + strconv.Quote(names[i]), nil}
		}
		seen[names[i]] = true
	}
	d.names = names
	d.bind()
	if d.o.NoHeader {
		return 0, nil
	}
	return f.next, nil
}

// detectDelimiter is the delimiter that line holds most, outside quotes.
func detectDelimiter(line []byte) byte {
	const candidates = ",;\t| "
	var count [len(candidates)]int
	quoted := false
	for _, c := range line {
		if c == '"' {
			quoted = !quoted
		} else if i := strings.IndexByte(candidates, c); i >= 0 && !quoted {
			count[i]++
		}
	}
	best := 0
	for i := range count {
		if count[i] > count[best] {
			best = i
		}
	}
	return candidates[best]
}

// bind finds the columns of the fields: the exact name, else the first equal without
// case. A text has no properties, so a longer path finds nothing.
func (d *CSVDecoder) bind() {
	d.wanted = make([]int, len(d.fields))
	for i, f := range d.fields {
		d.wanted[i] = cellNone
		switch {
		case f.Meta != "":
			d.wanted[i] = cellMeta
		case len(f.Path) == 0:
			d.wanted[i] = cellWhole
		case len(f.Path) == 1:
			d.wanted[i] = indexName(d.names, f.Path[0])
		}
	}
}

// indexName is the position of a name as saql.md 1.6 looks it up, or -1.
func indexName(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	for i, n := range names {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// put writes the current row to the columns.
func (d *CSVDecoder) put() {
	for i := range d.cols {
		c := &d.cols[i]
		switch w := d.wanted[i]; {
		case w == cellWhole && c.want == vec.AsDatetime:
			c.putNull(d.row, vec.Null)
		case w == cellMeta: // NULL
		case w == cellWhole:
			c.putRec(d.row, vec.Record, d.record())
		case w == cellNone:
			c.putNull(d.row, vec.Missing)
		case w >= len(d.cells):
			c.putNull(d.row, vec.Null)
		case c.want == vec.AsDatetime:
			c.putTime(d.row, d.unquote(d.cells[w]))
		default:
			s := d.unquote(d.cells[w])
			if d.cells[w].doubled {
				c.putScratch(d.row, s, &d.texts)
			} else {
				c.putString(d.row, s)
			}
		}
	}
}

// record is the current row as a record with memory of its own.
func (d *CSVDecoder) record() *vec.Rec {
	r := &vec.Rec{Names: d.names, Vals: make([]vec.Value, len(d.names))}
	for i := range r.Vals {
		if i < len(d.cells) {
			r.Vals[i] = vec.StringValue(d.texts.keep(d.unquote(d.cells[i])))
		} else {
			r.Vals[i] = vec.NullValue()
		}
	}
	return r
}

// unquote is the text of a field, in the buffer or in scratch memory.
func (d *CSVDecoder) unquote(c csvCell) []byte {
	s := d.data[c.start:c.end]
	if !c.doubled {
		return s
	}
	out := d.scratch[:0]
	for len(s) > 0 {
		i := bytes.IndexByte(s, '"')
		if i < 0 {
			out = append(out, s...)
			break
		}
		out = append(out, s[:i+1]...)
		s = s[i+2:]
	}
	d.scratch = out
	return out
}

// Row implements Decoder.
func (d *CSVDecoder) Row(i int) (offset, line int64, text []byte) {
	offset, line = d.place(i)
	f, _ := d.scanRow(d.data, int(d.offsets[i]), true)
	return offset, line, d.data[f.start:f.end]
}
