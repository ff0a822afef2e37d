package file

import (
	"fmt"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

var wanted = []vec.Field{{Path: []string{"a"}}}

// decodeWith gives the events of a text, with their places, and the number of bad ones.
func decodeWith(d codec.Decoder, text []byte, last bool, events []string) ([]string, int, error) {
	bad := 0
	for {
		var b vec.Batch
		n, err := d.Decode(&b, text, last, 50, func(codec.Bad) { bad++ })
		if err != nil {
			return events, bad, err
		}
		for i := range b.N {
			off, line, _ := d.Row(i)
			events = append(events, fmt.Sprintf("%d %d %s", off, line, b.Cols[0].At(i)))
		}
		if text = text[n:]; n == 0 || len(text) == 0 {
			return events, bad, nil
		}
	}
}

// decodeChunks decodes chunks as the runner does.
type decodeChunks struct {
	csv    bool
	d      codec.Decoder
	stream bool
	events []string
	bad    int
}

func (d *decodeChunks) chunk(c *connect.Chunk) error {
	if d.d == nil || c.Fresh {
		head := c.Head
		if len(head) == 0 {
			head = c.Data
		}
		d.stream = !d.csv && !codec.LinesOf(head, true)
		d.d = codec.NewJSON(wanted, codec.JSONOptions{Lines: !d.stream, Stream: d.stream})
		if d.csv {
			d.d = codec.NewCSV(wanted, codec.CSVOptions{Detect: true})
		}
		if len(c.Head) > 0 && (d.csv || d.stream) {
			var b vec.Batch
			if _, err := d.d.Decode(&b, c.Head, false, 1, nil); err != nil {
				return err
			}
		}
	}
	d.d.Begin(c.Offset, c.Line)
	events, bad, err := decodeWith(d.d, c.Data, c.Last || !d.stream, d.events)
	d.events, d.bad = events, d.bad+bad
	return err
}
