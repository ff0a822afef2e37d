package job

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync/atomic"

	"weir/internal/codec"
	"weir/internal/vec"
)

const (
	// blockBytes is how much text is decoded at once: some thousand events, so that the
	// columns stay in the cache of a core.
	blockBytes = 512 << 10
	// maxLine bounds a line of an input. More of it is not read; the event is bad.
	maxLine = codec.MaxEventBytes + 1024
)

// arrivalName is the column of sample files that carries the arrival time (saql.md 4.10).
const arrivalName = "EventEnqueuedUtcTime"

// source reads an input: bytes, text, blocks.
type source struct {
	Input
	index  int
	fields []vec.Field
	rules  codec.Rules
	file   *os.File // to be read again, or nil
	temp   bool     // file is a copy of a stream, to be removed
	mine   bool     // file is to be closed
	raw    *counter
	text   io.ReadCloser
	size   int64 // bytes, 0 if unknown
	lines  bool  // JSON, an event a line
	live   bool  // a pipe: bytes come as somebody writes them
	done   bool

	chosen  []int // the fields that are decoded
	arrival bool  // arrival times are decoded, behind the chosen fields
	arrives bool  // events carry arrival times
	rows    int64
	stamped int64 // rows with an arrival time
	clock   vec.Time
	props   properties // of a run with policies; a test run has none (saql.md 7.9)

	head    []byte // text read ahead
	ended   bool
	own     block
	decs    []*decoder
	current *decoder
	line    int64 // lines before the block at hand, when blocks are decoded apart
	offset  int64
}

// counter counts the bytes read, for the progress bar. One goroutine may read while
// another asks.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// OSFile is the file that is read, or nil: formats that are not read from start to end go
// where they want in it (codec.Filer).
func (c *counter) OSFile() *os.File {
	f, _ := c.r.(*os.File)
	return f
}

func (s *source) position() int64 {
	if s.raw == nil {
		return 0
	}
	return s.raw.n.Load()
}

// prepare opens the input. again says that it will be read twice: a stream is copied to a
// temporary file then.
func (s *source) prepare(ctx context.Context, again bool) error {
	r := s.Reader
	if r == nil && s.Path != "-" {
		f, err := os.Open(s.Path)
		if err != nil {
			return err
		}
		s.file, s.mine = f, true
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			s.size = info.Size()
		} else if again {
			defer f.Close()
			r, s.file, s.mine = f, nil, false
		} else {
			s.live = true
		}
	} else if r == nil {
		r = os.Stdin
	}
	if r == nil || s.file != nil {
		return nil
	}
	s.Reader = r
	if !again {
		s.live = true
		return nil
	}
	f, err := os.CreateTemp("", "weir-input-*")
	if err != nil {
		return err
	}
	s.file, s.temp, s.mine = f, true, true
	if s.size, err = io.Copy(f, untilDone{ctx, r}); err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// untilDone reads until the run is cancelled.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func (s *source) close() {
	if s.text != nil {
		s.text.Close()
	}
	if s.mine {
		s.file.Close()
	}
	if s.temp {
		os.Remove(s.file.Name())
	}
}

// rewind goes back to the start of the input.
func (s *source) rewind() error {
	s.text.Close()
	s.text = nil
	_, err := s.file.Seek(0, io.SeekStart)
	return err
}

// begin starts a pass that decodes the chosen fields. In a pass that only looks, arrival
// times are looked for too.
func (s *source) begin(fields []bool, look bool, r *run) error {
	in := s.Reader
	if s.file != nil {
		in = s.file
	}
	s.raw = &counter{r: in}
	s.text = codec.Open(s.raw, s.Format.Format)
	s.done, s.ended, s.rows, s.stamped, s.line, s.offset = false, false, 0, 0, 0, 0
	s.own, s.decs, s.head = block{}, nil, nil
	s.clock = vec.MinTime
	if err := s.readHead(); err != nil {
		return err
	}
	s.lines = !s.Format.CSV && codec.LinesOf(s.head, s.ended)
	if !look && !r.o.Sample {
		first, _, _ := bytes.Cut(s.head, []byte("\n"))
		s.arrives = bytes.Contains(first, []byte(arrivalName))
	}
	if !r.o.Sample {
		s.props = s.fileProperties()
	}
	s.arrival = look || s.arrives
	s.chosen = s.chosen[:0]
	for i := range s.fields {
		if fields[i] {
			s.chosen = append(s.chosen, i)
		}
	}
	return nil
}

// readHead reads the start of the text, by which the form of the events is found.
func (s *source) readHead() error {
	s.head = make([]byte, 64<<10)
	n := 0
	for n < len(s.head) && bytes.IndexByte(s.head[:n], '\n') < 0 {
		m, err := s.text.Read(s.head[n:])
		n += m
		if err == io.EOF {
			s.ended = true
			break
		}
		if err != nil {
			return err
		}
	}
	s.head = s.head[:n]
	return nil
}

// fill reads text behind data until it is full or the text ends. Of a pipe it takes what is
// there: rows should come out as events come in.
func (s *source) fill(data []byte) ([]byte, error) {
	if len(s.head) > 0 {
		n := copy(data[len(data):cap(data)], s.head)
		data, s.head = data[:len(data)+n], s.head[n:]
		if s.live {
			return data, nil
		}
	}
	for len(data) < cap(data) && !s.ended {
		n, err := s.text.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			s.ended = true
		} else if err != nil {
			return data, err
		}
		if s.live && n > 0 {
			break
		}
	}
	return data, nil
}

// block is a piece of the text. Bytes before pos have been decoded.
type block struct {
	data   []byte
	pos    int
	last   bool
	taken  int // bytes that are new
	offset int64
	seq    int
}

// next reads the next block behind what the last one left; nil at the end.
func (s *source) next(b *block) (*block, error) {
	if b.last {
		return nil, nil
	}
	left := b.data[b.pos:]
	size := max(cap(b.data), blockBytes)
	if len(left) > size/2 {
		size *= 2
	}
	data := b.data[:0]
	if cap(data) < size {
		data = make([]byte, 0, size)
	}
	data = append(data, left...)
	was := len(data)
	data, err := s.fill(data)
	if err != nil {
		return nil, err
	}
	*b = block{data: data, last: s.ended && len(s.head) == 0, taken: len(data) - was}
	return b, nil
}

// nextLines reads whole lines, for decoding apart from what comes before. carry is the
// start of a line that the block before has read.
func (s *source) nextLines(b *block, carry *[]byte) (bool, error) {
	if s.ended && len(s.head) == 0 && len(*carry) == 0 {
		return false, nil
	}
	data := b.data[:0]
	if cap(data) < blockBytes {
		data = make([]byte, 0, blockBytes)
	}
	data = append(data, *carry...)
	*carry = (*carry)[:0]
	for {
		var err error
		if data, err = s.fill(data); err != nil {
			return false, err
		}
		if s.ended && len(s.head) == 0 {
			break
		}
		if cut := bytes.LastIndexByte(data, '\n'); cut >= 0 {
			*carry = append(*carry, data[cut+1:]...)
			data = data[:cut+1]
			break
		}
		if len(data) > maxLine {
			return true, s.overlong(b, data, carry)
		}
		if len(data) < cap(data) {
			continue
		}
		data = append(make([]byte, 0, 2*cap(data)), data...)
	}
	*b = block{data: data, last: true, taken: len(data), offset: s.offset}
	s.offset += int64(len(data))
	return len(data) > 0, nil
}

// overlong makes a block of a line that is too long: its start, enough for the decoder to
// call it bad. The rest is read and forgotten.
func (s *source) overlong(b *block, data []byte, carry *[]byte) error {
	*b = block{data: append(data[:maxLine:maxLine], '\n'), last: true, taken: len(data), offset: s.offset}
	s.offset += int64(len(data))
	buf := make([]byte, 0, blockBytes)
	for {
		rest, err := s.fill(buf[:0])
		if err != nil {
			return err
		}
		b.taken += len(rest)
		if cut := bytes.IndexByte(rest, '\n'); cut >= 0 {
			*carry = append(*carry, rest[cut+1:]...)
			s.offset += int64(cut + 1)
			return nil
		}
		s.offset += int64(len(rest))
		if len(rest) == 0 {
			return nil
		}
	}
}

// decoder is the decoder of a goroutine.
func (s *source) decoder(i int) *decoder {
	for len(s.decs) <= i {
		s.decs = append(s.decs, newDecoder(layout{fields: s.fields, chosen: s.chosen, arrival: s.arrival, csv: s.Format.CSV, options: s.Format.Options,
			json: codec.JSONOptions{Lines: s.lines, Rules: s.rules}}))
	}
	return s.decs[i]
}

// decode decodes what is left of a block into d.out. It reports whether more is left that
// can be decoded now.
func (d *decoder) decode(b *block) (more bool, err error) {
	n, err := d.next(b.data[b.pos:], b.last)
	if err != nil {
		return false, err
	}
	b.pos += n
	return n > 0 && b.pos < len(b.data) && d.raw.N > 0, nil
}

// countArrivals takes the arrival times of a batch. In a pass that only looks, they are
// counted. An event without one arrived when the one before it did.
func (s *source) countArrivals(d *decoder) {
	if !s.arrival {
		return
	}
	col := &d.raw.Cols[len(s.chosen)]
	times := make([]vec.Time, d.out.N)
	for i := range times {
		if col.KindAt(i) == vec.Datetime {
			s.stamped++
			s.clock = vec.Time(col.Int[i])
		}
		times[i] = max(s.clock, 0)
	}
	if s.arrives {
		d.out.Arrival = times
	}
}
