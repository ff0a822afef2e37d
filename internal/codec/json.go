package codec

import (
	"weir/internal/vec"
)

// JSONOptions are the settings of a JSON input. The zero value finds out by itself how
// the events lie in the text.
type JSONOptions struct {
	// Lines: every line is an event. A bad event ends with its line.
	Lines bool
	// Stream: the text is an array of events, or events one after another.
	Stream bool
	// MaxEvent is the limit for one event in bytes; 0 is MaxEventBytes.
	MaxEvent int
}

// JSONDecoder decodes JSON text (saql.md 3.10).
type JSONDecoder struct {
	columns
	positions
	framer
	row     int
	generic bool
}

// NewGenericJSON is a decoder that builds the value of every event and looks the fields
// up in it. It is slow and simple: the fast decoder is tested against it.
func NewGenericJSON(fields []vec.Field, o JSONOptions) *JSONDecoder {
	d := &JSONDecoder{columns: newColumns(fields), positions: newPositions(), generic: true}
	d.limit = o.MaxEvent
	if d.limit <= 0 {
		d.limit = MaxEventBytes
	}
	switch {
	case o.Lines:
		d.mode = framingLines
	case o.Stream:
		d.mode = framingStream
	}
	return d
}

// NewJSON is the fast decoder.
func NewJSON(fields []vec.Field, o JSONOptions) *JSONDecoder {
	return NewGenericJSON(fields, o)
}

// Decode implements Decoder. It returns no error: what is no event is a bad event.
func (d *JSONDecoder) Decode(b *vec.Batch, data []byte, last bool, max int, onBad func(Bad)) (int, error) {
	data, last = boundBuffer(data, last)
	max = min(max, MaxBatchRows)
	d.columns.open(b, max)
	d.positions.open(data, max)
	d.row = 0
	pos := 0
	for d.row < max {
		f := d.framer.next(data, pos, last)
		pos = f.next
		if f.kind == frameWait || f.kind == frameEnd {
			break
		}
		reason := f.reason
		if f.kind == frameEvent {
			reason = d.event(f.start, f.end)
		}
		if reason != "" {
			if onBad != nil {
				onBad(d.bad(f.start, f.end, InvalidData, reason))
			}
			continue
		}
		d.offsets[d.row] = int32(f.start)
		d.row++
	}
	d.columns.close(b, d.row)
	d.positions.close(pos, d.row)
	return pos, nil
}

// event decodes the event data[start:end] into the current row. It returns why it could
// not.
func (d *JSONDecoder) event(start, end int) string {
	v, err := vec.ParseJSON(d.data[start:end])
	if err != nil {
		return err.Error()
	}
	if v.Kind != vec.Record {
		return reasonNoObject
	}
	for i := range d.cols {
		d.cols[i].put(d.row, find(v, d.fields[i].Path))
	}
	return ""
}

// find is the value at a path, Missing if there is none.
func find(v vec.Value, path []string) vec.Value {
	for _, name := range path {
		if v.Kind != vec.Record {
			return vec.Value{}
		}
		x, ok := v.Rec.Get(name)
		if !ok {
			return vec.Value{}
		}
		v = x
	}
	return v
}

// Row implements Decoder.
func (d *JSONDecoder) Row(i int) (offset, line int64, text []byte) {
	offset, line = d.place(i)
	start := int(d.offsets[i])
	if d.mode == framingLines {
		f := framer{mode: framingLines, limit: d.limit}
		end := f.line(d.data, start, true)
		return offset, line, d.data[start:end.end]
	}
	end, _ := matchBrackets(d.data, start, d.limit)
	return offset, line, d.data[start:end]
}
