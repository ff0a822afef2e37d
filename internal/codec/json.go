package codec

import (
	"strings"

	"weir/internal/codec/jsonline"
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
	// Rules are those of the compatibility level.
	Rules Rules
}

// JSONDecoder decodes JSON text (saql.md 3.10).
type JSONDecoder struct {
	columns
	positions
	framer
	projector
	records
	lay    layouts
	marks  marks
	marker marker // the zero value does without marks
	least  int    // bytes of text that are worth marking
	row    int
	fast   bool
	rules  Rules
	// typical is the length of an event, as the last batch had them.
	typical int
}

// NewGenericJSON is a decoder that builds the value of every event and looks the fields
// up in it. It is slow and simple: the fast decoder is tested against it.
func NewGenericJSON(fields []vec.Field, o JSONOptions) *JSONDecoder {
	d := &JSONDecoder{columns: newColumns(fields), positions: newPositions(), rules: o.Rules}
	d.columns.ints = o.Rules.BitsAsInts
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

// NewJSON is the fast decoder, where the rules allow it.
func NewJSON(fields []vec.Field, o JSONOptions) *JSONDecoder {
	d := NewGenericJSON(fields, o)
	if o.Rules.slow() {
		return d
	}
	d.root = newWanted(d.fields, d.cols)
	d.texts.size = 16 << 10
	d.shallow = len(d.root.cols) > 0
	d.fast = d.root.simple()
	d.least = minMarked
	d.typical = 256
	if len(markers) > 0 {
		d.marker = markers[0]
	}
	return d
}

// Decode implements Decoder. It returns no error: what is no event is a bad event.
func (d *JSONDecoder) Decode(b *vec.Batch, data []byte, last bool, max int, onBad func(Bad)) (int, error) {
	data, last = boundBuffer(data, last)
	max = min(max, MaxBatchRows)
	d.columns.open(b, data, max)
	d.positions.open(data, max)
	d.row = 0
	pos := 0
	d.marks.n = 0
	// A small batch from a large buffer must not pay for marks on all of it.
	near := data[:min(len(data), max*2*d.typical)]
	if d.fast && d.mode == framingLines && d.marker.mark != nil && len(near) >= d.least && d.lay.off == 0 {
		d.marks.mark(near, d.marker)
	}
	for {
		learn := false
		if d.fast {
			pos, learn = d.bet(data, pos, max)
		}
		if d.row >= max {
			break
		}
		f := d.framer.next(data, pos, last)
		pos = f.next
		if f.kind == frameWait || f.kind == frameEnd {
			break
		}
		reason := f.reason
		if f.kind == frameEvent {
			reason = d.event(f, learn)
		}
		if reason != "" {
			if onBad != nil {
				onBad(d.badEvent(data, f, reason))
			}
			continue
		}
		d.offsets[d.row] = int32(f.start)
		d.row++
	}
	if d.row > 0 {
		d.typical = pos/d.row + 1
	}
	d.columns.close(b, d.row)
	d.positions.close(pos, d.row)
	return pos, nil
}

// badEvent is the bad event of a frame. A line that says itself why it is none is taken at its
// word.
func (d *JSONDecoder) badEvent(data []byte, f frame, reason string) Bad {
	b := d.bad(f.start, f.end, InvalidData, reason)
	if f.start < len(data) && data[f.start] == jsonline.Mark {
		if name, why, text, ok := jsonline.ParseError(data[f.start:f.end]); ok && strings.HasPrefix(name, "InputDeserializerError.") {
			b.Name, b.Reason, b.Text = name, why, text[:min(len(text), maxBadText)]
		}
	}
	return b
}

// bet decodes events of known shapes from pos on. It says whether the shape of the next
// event is worth learning.
func (d *JSONDecoder) bet(data []byte, pos, max int) (int, bool) {
	switch {
	case d.lay.off > 0:
		d.lay.off--
		return pos, false
	case d.mode == framingAuto || d.skip || d.resync:
		return pos, false
	}
	if d.mode == framingLines {
		d.lineAt(pos)
	}
	row := d.row
	missed := false
	if pos+slack < d.marks.n {
		pos, missed = d.walk(data, pos, max)
	}
	if !missed && d.row < max {
		pos, missed = d.run(data, pos, max)
	}
	if d.mode == framingLines {
		d.passed(pos, d.row-row)
	}
	d.lay.judge(d.row-row, missed)
	return pos, missed && d.lay.off == 0
}

// event decodes an event into the current row. It returns why it could not.
func (d *JSONDecoder) event(f frame, learn bool) string {
	if !d.fast || d.shallow && !learn || !d.scan(d.data, f.start, f.end) {
		return d.whole(f.start, f.end)
	}
	if d.shallow {
		if reason := d.whole(f.start, f.end); reason != "" {
			return reason
		}
	} else {
		d.put(d.data, d.row, -1, d.root)
	}
	if learn && (d.mode == framingStream || d.data[f.next-1] == '\n') {
		d.lay.learn(&d.projector, d.data, f.start, f.next)
	}
	return ""
}

// whole decodes the event data[start:end] into the current row by way of its whole value.
// It returns why it could not.
func (d *JSONDecoder) whole(start, end int) string {
	v, err := d.rules.parse(d.data[start:end])
	if err != nil {
		return err.Error()
	}
	if v.Kind != vec.Record {
		return reasonNoObject
	}
	for i := range d.cols {
		if d.fields[i].Meta == "" {
			d.cols[i].put(d.row, find(v, d.fields[i].Path))
		}
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
	end, _ := matchBrackets(d.data, start, len(d.data), d.limit)
	return offset, line, d.data[start:end]
}
