package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
)

const (
	// readBytes is how much is read from a file at once.
	readBytes = 256 << 10
	// moreThanEvent is how much text tells that an event is too long.
	moreThanEvent = codec.MaxEventBytes + 4<<10
)

// File is a file as it lies on a disk, or an object in its store.
type File interface {
	io.ReaderAt
	io.Closer
	// Stat tells the size and time of a change: if both stay, so does the content.
	Stat() (disk.Info, error)
}

// Text is an open file, unpacked and in UTF-8, and how far it has been read. One goroutine
// uses it.
type Text struct {
	Name   string // for people
	f      File
	format connect.Format
	csv    codec.CSVOptions
	isCSV  bool
	// growing: somebody may be writing the file, until Chunk is told that it ends.
	growing bool

	plain bool  // the text lies in the file as it is, from skip on
	skip  int64 // bytes of the byte order mark
	rd    io.ReadCloser
	rdEnd int64     // offset in the text behind what rd gave
	at    disk.Info // when rd came to its end
	cut   bool      // it came to an end in the midst of a packed file

	Spot
	cutter *codec.Cutter
	buf    []byte // text behind off
	eof    bool   // nothing is behind buf for now
	fresh  bool   // a decoder needs the head
	anew   bool   // a decoder must begin anew
	head   []byte // the header row of CSV
	tried  int64  // no line end was found up to here
}

// Open reads a file from a spot on. The Text owns the file, also if there is an error.
func Open(f File, name string, format connect.Format, isCSV bool, at Spot) (*Text, error) {
	t := &Text{Name: name, f: f, format: format, isCSV: isCSV, growing: true, Spot: at, fresh: true, anew: at.Off == 0,
		csv: codec.CSVOptions{Delimiter: format.Delimiter, Detect: format.Delimiter == 0, NoHeader: format.NoHeader}}
	if err := t.open(); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the file.
func (t *Text) Close() {
	if t.rd != nil {
		t.rd.Close()
	}
	t.f.Close()
}

// Enter readies the text for a decoder that has had a chunk of another one, or, with anew, of
// none.
func (t *Text) Enter(anew bool) { t.fresh, t.anew = true, t.anew || anew }

// Behind are the bytes of text that are there behind the spot and are no whole event. It is
// false if there may be more.
func (t *Text) Behind() (bytes int, ok bool) { return len(t.buf), t.eof }

// Truncated reports whether a file of a size has less than was read of it.
func (t *Text) Truncated(size int64) bool { return t.plain && size < t.skip+t.Off }

// CutOff reports whether the file came to its end in the midst of packed data.
func (t *Text) CutOff() bool { return t.cut }

// open finds out how the text lies in the file, and goes to the spot.
func (t *Text) open() error {
	first, err := t.first()
	if err != nil {
		return err
	}
	switch {
	case !t.isCSV:
		t.cutter = codec.NewJSONCutter(t.Place)
	case t.Place == codec.PlaceRow && t.format.NoHeader:
		t.cutter = codec.NewCSVCutter(t.Place, t.csv, first)
	case t.Place == codec.PlaceRow:
		t.cutter = codec.NewCSVCutter(codec.PlaceStart, t.csv, first)
		p := t.cutter.Cut(first, true, 1)
		t.head = bytes.Clone(first[:p.End])
		t.cutter = codec.NewCSVCutter(codec.PlaceRow, t.csv, first)
	default:
		t.cutter = codec.NewCSVCutter(t.Place, t.csv, first)
	}
	return nil
}

// first looks at the start of the file, and gives the start of the text if it is CSV: its
// first lines.
func (t *Text) first() ([]byte, error) {
	var b [4]byte
	n, err := t.f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	t.plain = codec.IsText(b[:n], t.lies())
	t.skip = 0
	if t.plain && bytes.HasPrefix(b[:n], []byte("\xef\xbb\xbf")) {
		t.skip = 3
	}
	if !t.isCSV {
		return nil, nil
	}
	from := t.Off
	t.Off = 0
	var head []byte
	for bytes.IndexByte(head, '\n') < 0 || t.Place == codec.PlaceRow && len(head) < 64<<10 {
		t.buf = head
		if err := t.fill(len(head) + readBytes); err != nil {
			return nil, err
		}
		head = t.buf
		if t.eof || len(head) > moreThanEvent {
			break
		}
	}
	if from == 0 {
		return head, nil // it stays in the buffer
	}
	t.Off, t.buf, t.eof = from, nil, false
	return head, nil
}

// lies says how the text lies in the file.
func (t *Text) lies() codec.Format {
	return codec.Format{Compression: codec.Compression(t.format.Compression), Type: t.format.Type, Growing: t.growing}
}

// fill reads until the buffer has n bytes, or nothing more is there.
func (t *Text) fill(n int) error {
	for len(t.buf) < n {
		at := len(t.buf)
		t.buf = slices.Grow(t.buf, max(n-at, readBytes))
		t.buf = t.buf[:cap(t.buf)]
		got, err := t.read(t.buf[at:], t.Off+int64(at))
		t.buf = t.buf[:at+got]
		if t.eof = err == io.EOF; t.eof {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

// read reads text from an offset on.
func (t *Text) read(p []byte, off int64) (int, error) {
	if t.plain {
		n, err := t.f.ReadAt(p, t.skip+off)
		if n > 0 {
			err = nil
		}
		return n, err
	}
	info, err := t.f.Stat()
	if err != nil {
		return 0, err
	}
	if t.rd != nil && t.rdEnd != off {
		t.rd.Close()
		t.rd = nil
	}
	if !t.at.Modified.IsZero() && t.at.Size == info.Size && t.at.Modified.Equal(info.Modified) && t.rd == nil {
		return 0, io.EOF
	}
	if t.rd == nil {
		t.at, t.cut = disk.Info{}, false
		t.rd = codec.Open(io.NewSectionReader(t.f, 0, 1<<62), t.lies())
		if t.rdEnd, err = io.CopyN(io.Discard, t.rd, off); err != nil {
			return 0, t.ended(err, info)
		}
	}
	n, err := t.rd.Read(p)
	t.rdEnd += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, t.ended(err, info)
}

// ended closes the unpacker: if the file grows it is unpacked again from its start.
func (t *Text) ended(err error, info disk.Info) error {
	var bad *codec.InputError
	t.cut = errors.As(err, &bad)
	if err != nil && err != io.EOF && !t.cut {
		return err
	}
	t.rd.Close()
	t.rd, t.at = nil, info
	if t.cut && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err // damaged: more bytes do not heal it
	}
	return io.EOF
}

// Chunk gives the next events, about max bytes of them. With last set the text ends where
// the file does. It is false if there is none for now.
func (t *Text) Chunk(max int, last bool) (connect.Chunk, bool, error) {
	if last && t.growing { // what is missing does not come any more
		t.growing, t.at = false, disk.Info{}
	}
	if err := t.fill(max); err != nil {
		return connect.Chunk{}, false, err
	}
	if ok, err := t.find(last); !ok {
		return connect.Chunk{}, false, err
	}
	if t.isCSV && t.Place == codec.PlaceStart {
		if !last && bytes.IndexByte(t.buf, '\n') < 0 {
			return connect.Chunk{}, false, nil // of the header nothing can be told yet
		}
		t.cutter = codec.NewCSVCutter(codec.PlaceStart, t.csv, t.buf)
	}
	p := t.cutter.Cut(t.buf, last && t.eof, max)
	for p.End == 0 && !t.eof && len(t.buf) < 2*moreThanEvent {
		if err := t.fill(len(t.buf) + readBytes); err != nil {
			return connect.Chunk{}, false, err
		}
		p = t.cutter.Cut(t.buf, last && t.eof, max)
	}
	if p.End == 0 && (!last || len(t.buf) == 0) {
		return connect.Chunk{}, false, nil
	}
	return t.take(p, last)
}

// UpTo gives the events from here to a spot that Chunk once came to.
func (t *Text) UpTo(end Spot) (connect.Chunk, error) {
	t.growing = t.growing && !end.Ended
	changed := fmt.Errorf("%s is not what it was: the text up to byte %d cannot be read again: %w", t.Name, end.Off, connect.ErrGone)
	if t.Place == codec.PlaceStart && !t.isCSV {
		// The form of the text was found out by more of it than may be there now.
		start := codec.PlaceStream
		if end.Place == codec.PlaceLine {
			start = codec.PlaceLine
		}
		if end.Place != codec.PlaceStart {
			t.cutter = codec.NewJSONCutter(start)
		}
	}
	if err := t.fill(int(min(end.Off-t.Off+1, moreThanEvent))); err != nil {
		return connect.Chunk{}, err
	}
	if ok, err := t.find(true); !ok {
		return connect.Chunk{}, errors.Join(changed, err)
	}
	size := int(end.Off - t.Off)
	if size < 0 {
		return connect.Chunk{}, changed
	}
	p := codec.Piece{}
	if len(t.buf) < size {
		p = t.cutter.Cut(t.buf, false, size) // an event that is too long is known by its start
	}
	if !p.Long {
		if err := t.fill(size + 1); err != nil {
			return connect.Chunk{}, err
		}
		if len(t.buf) < size {
			return connect.Chunk{}, changed
		}
		more := 1
		if end.Ended || len(t.buf) == size {
			more = 0
		}
		p = t.cutter.Cut(t.buf[:size+more], end.Ended, size)
		if p.End != size && !p.Long {
			// That a quote is not closed shows in much more of the text.
			if err := t.fill(size + moreThanEvent); err != nil {
				return connect.Chunk{}, err
			}
			p = t.cutter.Cut(t.buf, t.eof, size)
		}
		if !p.Long && p.End != size {
			return connect.Chunk{}, changed
		}
	}
	c, ok, err := t.take(p, end.Ended)
	t.Ended, c.Last = end.Ended, c.Last || end.Ended
	if err == nil && (!ok || t.Off != end.Off || t.Place != end.Place) {
		err = changed
	}
	return c, err
}

// find goes on behind something that was no event. It is false if there is nothing to go
// on with.
func (t *Text) find(last bool) (bool, error) {
	for t.cutter.Place() == codec.PlaceLost || t.cutter.Place() == codec.PlaceLostIn {
		drop := t.cutter.Find(t.buf)
		if drop < 0 {
			drop = max(len(t.buf)-1, 0)
			if t.eof {
				if last {
					drop = len(t.buf)
				}
				t.drop(drop)
				return false, nil
			}
		}
		t.drop(drop)
		t.fresh, t.anew = true, true
		if err := t.fill(readBytes); err != nil {
			return false, err
		}
	}
	return true, nil
}

// drop leaves out the first n bytes of the buffer.
func (t *Text) drop(n int) {
	t.Line += int64(bytes.Count(t.buf[:n], []byte{'\n'}))
	t.Off += int64(n)
	t.buf = t.buf[n:]
}

// take makes a chunk of a piece of the buffer.
func (t *Text) take(p codec.Piece, last bool) (connect.Chunk, bool, error) {
	c := connect.Chunk{Object: t.Name, Offset: t.Off, Line: t.Line, Fresh: t.anew, Last: p.Broken}
	if t.fresh {
		c.Head = t.header(t.Place)
	}
	if p.Long {
		c.Data = append(bytes.Clone(t.buf[:p.End]), '\n')
		if ok, err := t.restOfLine(p.End, last); !ok {
			return connect.Chunk{}, false, err
		}
	} else {
		c.Data = t.buf[: p.End+p.Extra : p.End+p.Extra]
		if t.isCSV && t.Place == codec.PlaceStart && !t.format.NoHeader && t.cutter.Place() == codec.PlaceRow {
			one := codec.NewCSVCutter(codec.PlaceStart, t.csv, t.buf)
			t.head = bytes.Clone(t.buf[:one.Cut(t.buf[:p.End], true, 1).End])
		}
		t.drop(p.End)
	}
	was := t.Place
	t.Place = t.cutter.Place()
	if c.Fresh && len(c.Head) == 0 && was == codec.PlaceStart {
		if c.Head = t.start(); len(c.Head) > 0 && !t.isCSV && bytes.HasPrefix(bytes.TrimLeft(c.Data, " \t\r\n"), []byte("[")) {
			c.Head = []byte(codec.PlaceStream.Head())
		}
	}
	t.fresh, t.anew = p.Broken, p.Broken
	if last && len(t.buf) == 0 {
		if err := t.fill(1); err != nil {
			return connect.Chunk{}, false, err
		}
	}
	if last && t.eof && len(t.buf) == 0 {
		t.Ended, c.Last = true, true
	}
	return c, true, nil
}

// start is the head of a text that begins: a decoder may find another form in the first
// events than there is in the whole.
func (t *Text) start() []byte {
	switch t.Place {
	case codec.PlaceLine:
		return []byte(codec.PlaceLine.Head())
	case codec.PlaceStream, codec.PlaceArray, codec.PlaceLost, codec.PlaceLostIn:
		return []byte(codec.PlaceStream.Head())
	}
	return nil
}

// header is what a decoder needs to go on at a place.
func (t *Text) header(at codec.Place) []byte {
	if t.isCSV {
		if at == codec.PlaceRow {
			return t.head
		}
		return nil
	}
	return []byte(at.Head())
}

// restOfLine drops the buffer up to the end of the line that begins in it and is not over
// behind n bytes. It is false, and nothing is dropped, if the line does not end yet.
func (t *Text) restOfLine(n int, last bool) (bool, error) {
	at := n
	for {
		if i := bytes.IndexByte(t.buf[at:], '\n'); i >= 0 {
			t.drop(at + i + 1)
			return true, nil
		}
		at = len(t.buf)
		if t.eof {
			if last {
				t.drop(at)
			}
			return last, nil
		}
		if len(t.buf) > 2*moreThanEvent {
			return t.longLine(last)
		}
		if err := t.fill(at + readBytes); err != nil {
			return false, err
		}
	}
}

// longLine is restOfLine for a line that is not to be held in memory.
func (t *Text) longLine(last bool) (bool, error) {
	b := make([]byte, readBytes)
	t.tried = max(t.tried, t.Off+int64(len(t.buf)))
	for {
		n, err := t.read(b, t.tried)
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			t.drop(len(t.buf))
			t.Off, t.Line = t.tried+int64(i)+1, t.Line+1
			return true, nil
		}
		t.tried += int64(n)
		if err == io.EOF {
			t.eof = true
			if last {
				t.drop(len(t.buf))
				t.Off = t.tried
			}
			return last, nil
		}
		if err != nil {
			return false, err
		}
	}
}
