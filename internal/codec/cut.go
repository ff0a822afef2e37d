package codec

import "bytes"

// Cutter finds where a text can be cut so that its pieces hold whole events and can be
// decoded apart, by what the decoders themselves take for an event. It is for one text,
// read from its start or from a place that it gave.
type Cutter struct {
	f    framer
	csv  *CSVDecoder // nil: JSON
	head bool        // the header of CSV is still to come
}

// Place is what a Cutter must know to go on in the midst of a text, one letter: see the
// constants. It is short, to stand in positions.
type Place byte

// The places.
const (
	PlaceStart  Place = 's' // the form of the text is not known yet
	PlaceLine   Place = 'l' // JSON, between lines
	PlaceStream Place = 'o' // JSON, between objects
	PlaceArray  Place = 'a' // JSON, between the objects of an array
	PlaceLost   Place = 'x' // behind something that is no event, looking for a line with "{"
	PlaceLostIn Place = 'y' // the same, in an array
	PlaceRow    Place = 'r' // CSV, between rows
)

// Valid reports whether p is one of the places.
func (p Place) Valid() bool { return bytes.IndexByte([]byte("sloaxyr"), byte(p)) >= 0 }

// Head is what a decoder of JSON has to be given (Decode, its rows dropped) before text that
// is entered here, so that it takes it for what it is. Of CSV it is the header row, which
// the caller knows.
func (p Place) Head() string {
	switch p {
	case PlaceLine:
		return "0\n" // no event, and not how a stream of objects starts
	case PlaceStream, PlaceLost:
		return "[]"
	case PlaceArray, PlaceLostIn:
		return "["
	}
	return ""
}

// NewJSONCutter is a cutter that goes on at a place of a JSON text.
func NewJSONCutter(at Place) *Cutter {
	c := &Cutter{f: framer{limit: MaxEventBytes}}
	switch at {
	case PlaceLine:
		c.f.mode = framingLines
	case PlaceStream, PlaceArray, PlaceLost, PlaceLostIn:
		c.f.mode = framingStream
		c.f.inArray = at == PlaceArray || at == PlaceLostIn
		c.f.resync = at == PlaceLost || at == PlaceLostIn
	}
	return c
}

// NewCSVCutter is a cutter that goes on at a place of a CSV text. first begins with the
// first line of the text, which tells the delimiter if o wants it found out.
func NewCSVCutter(at Place, o CSVOptions, first []byte) *Cutter {
	d := NewCSV(nil, o)
	if o.Detect {
		line, _, _ := bytes.Cut(bytes.TrimLeft(first, "\r\n"), newline)
		d.comma = detectDelimiter(line)
	}
	return &Cutter{csv: d, head: at != PlaceRow && !o.NoHeader}
}

// Place is where the cutter is.
func (c *Cutter) Place() Place {
	switch {
	case c.csv != nil && c.head:
		return PlaceStart
	case c.csv != nil:
		return PlaceRow
	case c.f.mode == framingAuto:
		return PlaceStart
	case c.f.mode == framingLines:
		return PlaceLine
	case c.f.resync && c.f.inArray:
		return PlaceLostIn
	case c.f.resync:
		return PlaceLost
	case c.f.inArray:
		return PlaceArray
	}
	return PlaceStream
}

// Piece is a run of whole events.
type Piece struct {
	// End is where it ends; 0 if more of the text is needed.
	End int
	// Extra bytes behind End belong to what a decoder is given, so that it sees what is wrong.
	// The decoder must be told that the text is over (last), and a new one begin behind End.
	Extra  int
	Broken bool
	// Long: the piece is the start of an event that is too long; it goes on to the end of its
	// line. The caller drops that, and puts a line end behind the piece.
	Long bool
}

// Cut finds the longest piece at the start of data of not much more than max bytes, one
// event at least. last says that data ends the text: then all of it is a piece some time.
func (c *Cutter) Cut(data []byte, last bool, max int) Piece {
	if c.csv != nil {
		return c.rows(data, last, max)
	}
	if c.f.mode == framingAuto {
		mode, ok := detectFraming(data, last, c.f.limit)
		if !ok {
			return Piece{}
		}
		c.f.mode = mode
	}
	if c.f.mode == framingLines {
		return cutLines(data, last, max, c.f.limit)
	}
	return c.objects(data, last, max)
}

// Find is where reading goes on after a Piece that was Broken, -1 if data has no such
// place; then all of data but its last byte can be dropped.
func (c *Cutter) Find(data []byte) int {
	i := bytes.Index(data, []byte("\n{"))
	if i < 0 {
		return -1
	}
	c.f.resync = false
	return i + 1
}

// longSlack is how much more of an event that is too long is looked at, so that its decoder
// sees that it is.
const longSlack = 64

// cutLines cuts at a line end. Whether the first line is Long does not depend on how much of
// the text is there.
func cutLines(data []byte, last bool, max, limit int) Piece {
	from := skipSpace(data, 0)
	first := bytes.IndexByte(data[from:min(len(data), from+limit+longSlack)], '\n')
	if first < 0 && len(data)-from >= limit+longSlack {
		return Piece{End: from + limit + longSlack, Long: true}
	}
	if i := bytes.LastIndexByte(data[:min(len(data), max)], '\n'); i >= 0 {
		return Piece{End: i + 1}
	}
	switch {
	case first >= 0:
		return Piece{End: from + first + 1}
	case last:
		return Piece{End: len(data)}
	}
	return Piece{End: bytes.LastIndexByte(data[:from], '\n') + 1} // empty lines
}

// objects cuts between the events of a stream.
func (c *Cutter) objects(data []byte, last bool, max int) Piece {
	f := c.f // what is found behind the last cut is looked at again
	pos, cut := 0, 0
	for cut < max {
		fr := f.next(data, pos, last)
		switch {
		case fr.kind == frameWait:
			// White space, commas and brackets up to the event that is not whole yet.
			if cut > 0 && cut == pos {
				c.f, cut = f, fr.next
			}
			return Piece{End: cut}
		case fr.kind == frameEnd, f.ended:
			c.f = f
			return Piece{End: len(data)}
		case f.resync:
			c.f = f
			return Piece{End: fr.next, Extra: min(1, len(data)-fr.next), Broken: true}
		}
		pos = fr.next
		if fr.kind == frameBad {
			// A number or a word is over when something follows that cannot belong to it.
			if pos == len(data) || !isSpace(data[pos]) && data[pos] != ',' {
				continue
			}
			pos++
		}
		c.f, cut = f, pos
	}
	return Piece{End: cut}
}

// rows cuts between rows of CSV.
func (c *Cutter) rows(data []byte, last bool, max int) Piece {
	limit := c.csv.o.MaxEvent
	pos := 0
	// Without quotes a row is a line.
	near := data[:min(len(data), max)]
	if !c.head && bytes.IndexByte(near, '"') < 0 {
		if first := bytes.IndexByte(near, '\n'); first >= 0 && first <= limit {
			pos = bytes.LastIndexByte(near, '\n') + 1
		}
	}
	for pos < max {
		c.csv.skip = false
		fr := c.csv.next(data, pos, last)
		if fr.kind == frameEnd {
			return Piece{End: len(data)}
		}
		if fr.kind == frameWait {
			break
		}
		if fr.kind == frameBad && fr.next-fr.start > limit+longSlack || c.csv.skip && !last {
			// A row that is too long: the line that it begins with is dropped alone.
			c.csv.skip = false
			if pos > 0 {
				break
			}
			c.head = false
			return Piece{End: min(fr.start+limit+longSlack, len(data)), Long: true}
		}
		c.head = false
		pos = fr.next
	}
	return Piece{End: pos}
}
