package job

import (
	"bytes"
	"errors"
	"path"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/vec"
)

// textMode is how the events of a text lie in it. It is part of a checkpoint, because it is
// found out at the start of a text.
type textMode uint8

const (
	modeNone   textMode = iota
	modeLines           // JSON, an event a line
	modeStream          // JSON, an array or objects one after another
	modeCSV
	modeBroken // the text has no usable header
)

// partText is the text that a partition is in.
type partText struct {
	mode  textMode
	lines *decoder // kept from text to text, so that its dictionaries are
	d     *decoder
	times []vec.Time
	marks []int // of the batch at hand: the message of each row
}

// csvDelimiter of the names of files.
var csvNames = map[string]bool{".csv": true, ".tsv": true, ".psv": true}

// isCSV tells by the declared format, else by the name of the text.
func isCSV(f connect.Format, object string) bool {
	if f.Type != "" {
		return strings.EqualFold(f.Type, "csv")
	}
	name := strings.ToLower(object)
	for _, packed := range []string{".gz", ".zst", ".zip", ".deflate"} {
		name = strings.TrimSuffix(name, packed)
	}
	return csvNames[path.Ext(name)]
}

// enter chooses the decoder for a chunk.
func (l *Live) enter(in *liveInput, p *livePart, c *connect.Chunk) error {
	t := &p.text
	if c.Fresh || t.mode == modeNone {
		t.d = nil
		switch {
		case isCSV(in.spec.Format, c.Object):
			t.mode = modeCSV
		case c.Marks != nil:
			t.mode = modeLines
		default:
			head := c.Head
			if len(head) == 0 {
				head = c.Data
			}
			if len(bytes.TrimSpace(head)) == 0 {
				return nil // nothing to tell by, and nothing to decode
			}
			t.mode = modeStream
			if codec.LinesOf(head, true) {
				t.mode = modeLines
			}
		}
	}
	if t.d != nil || t.mode == modeBroken {
		return nil
	}
	if t.mode == modeLines {
		if t.lines == nil {
			t.lines = l.newDecoder(in, t.mode)
		}
		t.d = t.lines
		return nil
	}
	t.d = l.newDecoder(in, t.mode)
	if len(c.Head) == 0 {
		return nil
	}
	_, err := t.d.next(c.Head, false)
	t.d.bads = t.d.bads[:0] // they are of what was read before
	return err
}

func (l *Live) newDecoder(in *liveInput, mode textMode) *decoder {
	f := in.spec.Format
	return newDecoder(layout{fields: in.plan.Fields, chosen: in.chosen, csv: mode == modeCSV,
		options: codec.CSVOptions{Delimiter: f.Delimiter, Detect: f.Delimiter == 0, NoHeader: f.NoHeader},
		json:    codec.JSONOptions{Lines: mode == modeLines, Stream: mode == modeStream, Rules: rulesOf(in.level)}})
}

// pushChunk decodes a chunk and pushes its events.
func (l *Live) pushChunk(in *liveInput, p *livePart, c *connect.Chunk) error {
	l.at = place{in, p, c, nil}
	defer func() { l.at = place{} }()
	in.bytes += int64(len(c.Data))
	if err := l.enter(in, p, c); err != nil {
		return l.badText(in, p, c, err)
	}
	if p.text.mode == modeBroken {
		return l.badText(in, p, c, nil)
	}
	if p.text.mode != modeNone {
		if err := l.decodeChunk(in, p, c); err != nil {
			var bad *codec.InputError
			if !errors.As(err, &bad) {
				return err
			}
			return l.badText(in, p, c, err)
		}
	}
	if c.Last {
		p.text.mode, p.text.d = modeNone, nil
	}
	return nil
}

func (l *Live) decodeChunk(in *liveInput, p *livePart, c *connect.Chunk) error {
	d := p.text.d
	l.at.d = d
	last := c.Last || p.text.mode != modeStream // a chunk is whole events
	if c.Marks != nil {
		d.Begin(0, 1)
	} else {
		d.Begin(c.Offset, c.Line)
	}
	for pos := 0; pos < len(c.Data); {
		n, err := d.next(c.Data[pos:], last)
		if err != nil {
			return err
		}
		for i := range d.bads {
			b := &d.bads[i]
			l.bury(DeadLetter{Name: b.Name, Reason: b.Reason, Offset: b.Offset, Line: b.Line}, b.Text)
			in.errors[b.Name]++
		}
		d.bads = d.bads[:0]
		if d.out.N > 0 {
			in.events += int64(d.out.N)
			p.events += int64(d.out.N)
			l.arrivals(in, p, c, d)
			l.metadata(in, p, c, d)
			d.publish()
			if err := l.graph.PushPartition(in.index, p.index, &d.out); err != nil {
				return l.failure(err)
			}
		}
		if n == 0 {
			if rest := bytes.Trim(c.Data[pos:], " \t\r\n,[]"); len(rest) > 0 && d.out.N == 0 {
				l.bury(DeadLetter{Name: codec.InvalidData, Reason: "the text ends inside the event", Offset: c.Offset + int64(pos), Line: c.Line}, rest)
				in.errors[codec.InvalidData]++
			}
			return nil
		}
		pos += n
	}
	return nil
}

// badText gives up a text whose header cannot be used: each chunk of it is one dead letter.
func (l *Live) badText(in *liveInput, p *livePart, c *connect.Chunk, err error) error {
	name, reason := codec.InvalidHeader, "the header of the text cannot be used"
	var bad *codec.InputError
	if errors.As(err, &bad) {
		name, reason = bad.Name, bad.Reason
	} else if err != nil {
		return err
	}
	if len(c.Data) > 0 {
		l.bury(DeadLetter{Name: name, Reason: reason, Offset: c.Offset, Line: c.Line}, c.Data)
		in.errors[name]++
	}
	p.text.mode, p.text.d = modeBroken, nil
	if c.Last {
		p.text.mode = modeNone
	}
	return nil
}

// place is what is being pushed, for those who ask where a row comes from.
type place struct {
	in *liveInput
	p  *livePart
	c  *connect.Chunk
	d  *decoder
}

// bury notes a dead letter of the place at hand. Offset is one in the text, or with messages
// one in the data of the chunk.
func (l *Live) bury(d DeadLetter, text []byte) {
	at := &l.at
	arrival := vec.Time(0)
	if at.in != nil {
		d.Input = at.in.spec.Name
	}
	if at.p != nil {
		d.Partition = at.p.name
	}
	if c := at.c; c != nil {
		d.Object, arrival = c.Object, c.Arrival
		if c.Marks != nil {
			m := &c.Marks[messageAt(c.Marks, 0, int(d.Offset))]
			d.Offset, d.Line, arrival = m.Offset, 0, m.Arrival
		}
	}
	if arrival > 0 {
		d.Arrival = arrival.String()
	}
	l.letter(d, text)
}

// letter adds a dead letter to those of the epoch.
func (l *Live) letter(d DeadLetter, text []byte) {
	d.Time = instant(l.clock)
	d.Payload, d.Cut = payloadOf(text)
	l.letters = append(l.letters, d)
}

// messageAt is the message that holds a byte of the chunk's data, looked for from one on.
func messageAt(marks []connect.Mark, from, offset int) int {
	for from+1 < len(marks) && marks[from].End <= offset {
		from++
	}
	return from
}

// dropped is told by the graph that a policy or the type of a column has dropped a row of
// the batch at hand.
func (l *Live) dropped(_, row int, why exec.Reason) {
	if l.at.d == nil {
		return
	}
	offset, line, text := l.at.d.Row(row)
	l.bury(DeadLetter{Name: why.String(), Reason: reasonText[why], Offset: offset, Line: line}, text)
}

// queryError is told by the graph of a row that a query error has dropped.
func (l *Live) queryError(e *exec.QueryError, row []byte) {
	l.letter(DeadLetter{Name: exec.QueryFailed.String(), Reason: e.In(l.spec.Plan.Src)}, row)
}

// arrivals gives the rows of a batch their arrival times, and notes the last one.
func (l *Live) arrivals(in *liveInput, p *livePart, c *connect.Chunk, d *decoder) {
	t := &p.text
	p.read = l.clock
	if c.Marks != nil {
		t.marks = resized(t.marks, d.out.N)
		m := 0
		for i := range t.marks {
			offset, _, _ := d.Row(i)
			m = messageAt(c.Marks, m, int(offset))
			t.marks[i] = m
		}
	}
	fixed := c.Arrival
	if fixed == 0 {
		fixed = l.clock
	}
	if in.eventTime {
		return
	}
	t.times = resized(t.times, d.out.N)
	for i := range t.times {
		a := fixed
		if c.Marks != nil {
			if a = c.Marks[t.marks[i]].Arrival; a == 0 {
				a = fixed
			}
		}
		t.times[i] = a
		p.arrival = max(p.arrival, a)
	}
	d.out.Arrival = t.times
	l.newest = max(l.newest, p.arrival)
}

func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
