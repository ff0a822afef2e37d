package job

import (
	"bytes"

	"weir/internal/codec"
	"weir/internal/vec"
)

// layout says what is decoded of the events of an input, and how they lie in its text.
type layout struct {
	fields  []vec.Field // of the plan's input
	chosen  []int       // those that are decoded
	arrival bool        // the column of arrival times is decoded behind them
	csv     bool
	options codec.CSVOptions
	json    codec.JSONOptions
}

// decoder decodes text of an input into batches as the operators want them: a column per field
// of the plan's input. Each goroutine has its own.
type decoder struct {
	codec.Decoder
	layout
	raw  vec.Batch
	out  vec.Batch
	open []*vec.Dict // per chosen field: its dictionary as the operators see it
	bads []codec.Bad
	note func(codec.Bad)
}

func newDecoder(l layout) *decoder {
	d := &decoder{layout: l}
	fields := make([]vec.Field, 0, len(l.chosen)+1)
	for _, c := range l.chosen {
		fields = append(fields, l.fields[c])
	}
	if l.arrival {
		fields = append(fields, vec.Field{Path: []string{arrivalName}, Want: vec.AsDatetime})
	}
	if l.csv {
		o := l.options
		o.LowerNames = l.json.Rules.LowerNames
		d.Decoder = codec.NewCSV(fields, o)
	} else {
		d.Decoder = codec.NewJSON(fields, l.json)
	}
	d.note = func(b codec.Bad) {
		b.Text = bytes.Clone(b.Text)
		d.bads = append(d.bads, b)
	}
	d.out.Cols = make([]vec.Vec, len(l.fields))
	d.open = make([]*vec.Dict, len(l.chosen))
	return d
}

// next decodes a batch of data into d.out and says how much of data it took.
func (d *decoder) next(data []byte, last bool) (int, error) {
	n, err := d.Decode(&d.raw, data, last, codec.MaxBatchRows, d.note)
	if err != nil {
		return 0, err
	}
	d.out.N = d.raw.N
	for k, c := range d.chosen {
		d.out.Cols[c] = d.raw.Cols[k]
	}
	d.out.Arrival = nil
	return n, nil
}

// publish shows the operators the texts of the batch. Operators keep rows, and read their
// texts while other goroutines have the turn; the codec adds to its dictionaries without
// a turn. So operators get dictionaries of their own, which grow only here, in the turn.
// Both share the texts: those that are there never change.
func (d *decoder) publish() {
	for k, c := range d.chosen {
		col := &d.out.Cols[c]
		if col.Dict == nil {
			continue
		}
		if d.open[k] == nil {
			d.open[k] = &vec.Dict{}
		}
		d.open[k].Vals = d.raw.Cols[k].Dict.Vals
		col.Dict = d.open[k]
	}
}
