package message

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"weir/internal/codec"
	"weir/internal/codec/jsonline"
	"weir/internal/connect"
)

// Cutter brings what messages hold onto lines, so that each is whole lines of a chunk. It
// does not look whether the text is right: what is broken becomes a line that the decoder
// takes for a bad event, and no message breaks another one.
type Cutter struct {
	unwrap string
	packed codec.Compression
	csv    *csvRows // nil: JSON
	plain  []byte
	// payload, if set, makes lines of a binary format. It is used by whoever holds mu: a Reader
	// learns schemas on the goroutine that waits for messages.
	mu      sync.Mutex
	payload *codec.Payload
	asked   time.Time // when the registry was asked last for what it did not have
	failed  error     // the settings of the format are wrong
}

// NewCutter is a cutter for messages of a format. unwrap, if not "", is the field of each JSON
// message whose elements are the events.
func NewCutter(f connect.Format, unwrap string) *Cutter {
	c := &Cutter{unwrap: unwrap, packed: codec.Compression(f.Compression)}
	if f.Type == "csv" {
		c.csv = &csvRows{options: codec.CSVOptions{Delimiter: f.Delimiter, Detect: f.Delimiter == 0, NoHeader: f.NoHeader}}
	}
	if f.Type == "avro" || f.Type == "protobuf" {
		c.payload, c.failed = newPayload(f)
	}
	return c
}

// Check finds what is wrong with the format of an input of messages: a schema that cannot be
// read. It is what connectors call before they begin.
func Check(f connect.Format) error {
	switch f.Type {
	case "avro", "protobuf":
		_, err := newPayload(f)
		return err
	case "parquet":
		return errors.New("messages are not of Parquet, which is a format of files")
	}
	return nil
}

func newPayload(f connect.Format) (*codec.Payload, error) {
	o := codec.PayloadFormat{Type: f.Type, Schema: f.Schema, Message: f.Message}
	if url := f.Registry.Expose(); url != "" {
		r, err := newRegistry(url)
		if err != nil {
			return nil, err
		}
		o.Registry = r
	}
	return codec.NewPayload(o)
}

// forgetEvery is how often a registry is asked again for schemas that it did not have.
const forgetEvery = time.Minute

// Prepare has what Append needs for a message that names its schema by a number: it asks the
// registry, the first time that it meets the number. It may be called on another goroutine than
// Append. The error is one that may pass: no event is to be lost because a registry is down.
func (c *Cutter) Prepare(ctx context.Context, body []byte) error {
	if c.failed != nil {
		return connect.Permanent(c.failed)
	}
	if c.payload == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text, ok := c.unpack(body)
	if !ok {
		return nil
	}
	if now := time.Now(); now.Sub(c.asked) > forgetEvery {
		c.payload.Forget()
		c.asked = now
	}
	return c.payload.Learn(ctx, text)
}

// Begin starts a chunk.
func (c *Cutter) Begin(chunk *connect.Chunk) {
	if c.csv != nil {
		c.csv.begin(chunk)
	}
}

// place is what a Cutter knows of the text that it is in.
type place struct {
	head  []byte
	fresh bool
}

// mark is where the cutter is between two chunks, and reset brings it back there: a chunk that
// was not given is made once more.
func (c *Cutter) mark() (p place) {
	if c.csv != nil {
		p = place{c.csv.head, c.csv.fresh}
	}
	return p
}

func (c *Cutter) reset(p place) {
	if c.csv != nil {
		c.csv.head, c.csv.fresh = p.head, p.fresh
	}
}

// Append adds the events of a message to the text of a chunk. ends says that the message does
// not belong to this chunk, which then is not empty.
func (c *Cutter) Append(chunk *connect.Chunk, dst, body []byte) (text []byte, ends bool) {
	if c.payload != nil || c.failed != nil {
		return c.binary(dst, body), false
	}
	body, ok := c.unpack(body)
	switch {
	case !ok:
		return appendBroken(dst, body), false
	case len(body) == 0:
		return dst, false
	case c.csv != nil:
		return c.csv.append(chunk, dst, body)
	case c.unwrap != "":
		if list, ok := member(body, c.unwrap); ok {
			return appendValues(dst, list), false
		}
	}
	return appendEvents(dst, body), false
}

// binary adds the events of a message in a binary format.
func (c *Cutter) binary(dst, body []byte) []byte {
	if c.failed != nil {
		return jsonline.AppendError(dst, codec.InvalidData, c.failed.Error(), body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text, ok := c.unpack(body)
	switch {
	case !ok:
		return jsonline.AppendError(dst, codec.InvalidCompressionType, "the message cannot be unpacked", body)
	case len(text) == 0:
		return dst
	}
	return c.payload.Append(dst, text)
}

// Alone reports whether the chunk must end with the message that was added last.
func (c *Cutter) Alone(chunk *connect.Chunk) bool { return chunk.Last }

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	magicGzip     = []byte("\x1f\x8b")
	magicZstd     = []byte("\x28\xb5\x2f\xfd")
)

// unpack is the text of a message. ok is false if it cannot be unpacked; the text is then the
// start of the message.
func (c *Cutter) unpack(body []byte) (text []byte, ok bool) {
	if c.payload != nil && (c.packed == codec.CompressAuto || c.packed == codec.CompressNone) {
		return body, true // it may begin with any bytes
	}
	plain := c.packed == codec.CompressNone || c.packed == codec.CompressAuto && !bytes.HasPrefix(body, magicGzip) && !bytes.HasPrefix(body, magicZstd)
	if len(body) == 0 || plain && body[0] < 0xfe { // it does not begin as UTF-16 does
		return bytes.TrimPrefix(body, byteOrderMark), true
	}
	r := codec.Open(bytes.NewReader(body), codec.Format{Compression: c.packed, Type: "text"})
	defer r.Close()
	out := bytes.NewBuffer(c.plain[:0])
	n, err := io.Copy(out, io.LimitReader(r, MaxBody+1))
	if cap(out.Bytes()) <= maxKeptChunk {
		c.plain = out.Bytes()
	}
	if n > MaxBody || err != nil && !errors.Is(err, io.EOF) {
		return body, false
	}
	return out.Bytes(), true
}

// maxBroken is how much of a message that cannot be read is kept.
const maxBroken = 64 << 10

// appendBroken adds a line that is no event.
func appendBroken(dst, body []byte) []byte {
	dst = appendLine(dst, body[:min(len(body), maxBroken)])
	return dst
}

// appendLine adds a text as one line. In JSON a line end stands between tokens, where a
// carriage return does as well; inside of strings both are wrong.
func appendLine(dst, text []byte) []byte {
	start := len(dst)
	dst = append(dst, text...)
	for line := dst[start:]; ; {
		i := bytes.IndexByte(line, '\n')
		if i < 0 {
			return append(dst, '\n')
		}
		line[i] = '\r'
		line = line[i+1:]
	}
}

// appendEvents adds the events of a text of JSON: an object, objects one after another, on
// lines or not, or arrays of them.
func appendEvents(dst, text []byte) []byte {
	if text[0] == '{' && bytes.IndexByte(text, '\n') < 0 && single(text) {
		return append(append(dst, text...), '\n')
	}
	if lines(text) {
		dst = append(dst, text...)
		if dst[len(dst)-1] != '\n' {
			dst = append(dst, '\n')
		}
		return dst
	}
	return appendValues(dst, text)
}

// single reports whether no object follows another one in a text.
func single(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '}')
		if i < 0 {
			return true
		}
		text = text[i+1:]
		if at := skipSpace(text, 0); at < len(text) && text[at] == '{' {
			return false
		}
	}
}

// lines reports whether each line of a text is one event: a bad one then ends with its line.
func lines(text []byte) bool {
	if !codec.LinesOf(text, true) {
		return false
	}
	for line := range bytes.Lines(text) {
		if at := skipSpace(line, 0); at < len(line) && (line[at] != '{' || !single(line)) {
			return false
		}
	}
	return true
}

// appendValues adds the values of a text, each on a line; of an array its elements.
func appendValues(dst, text []byte) []byte {
	inArray := false
	for pos := 0; ; {
		pos = skipSpace(text, pos)
		if pos == len(text) {
			return dst
		}
		switch c := text[pos]; {
		case c == ',' && pos > 0:
			pos++
			continue
		case c == '[' && !inArray:
			inArray = true
			pos++
			continue
		case c == ']' && inArray:
			inArray = false
			pos++
			continue
		case c != '{' && !inArray: // it goes on as something that is no event
			return appendLine(dst, text[pos:])
		}
		end := extent(text, pos)
		dst = appendLine(dst, text[pos:end])
		pos = end
	}
}

// extent is where the value at pos ends, told by brackets and quotes alone; the end of the
// text if it does not end.
func extent(text []byte, pos int) int {
	depth := 0
	for i := pos; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				if depth < 0 && i > pos {
					return i // the end of what is around the value
				}
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// member is the value of a member of an object, by its exact name or else without case;
// false if the text is no object that has it.
func member(text []byte, name string) (value []byte, ok bool) {
	pos := skipSpace(text, 0)
	if pos == len(text) || text[pos] != '{' {
		return nil, false
	}
	for pos++; ; {
		pos = skipSpace(text, pos)
		if pos == len(text) || text[pos] != '"' {
			return value, ok
		}
		end := stringEnd(text, pos)
		key := text[pos+1 : max(end-1, pos+1)]
		if pos = skipSpace(text, end); pos == len(text) || text[pos] != ':' {
			return value, ok
		}
		pos = skipSpace(text, pos+1)
		if pos == len(text) {
			return value, ok
		}
		end = extent(text, pos)
		switch v := text[pos:end]; {
		case string(key) == name:
			return v, len(v) > 0 && v[0] == '['
		case !ok && strings.EqualFold(string(key), name) && len(v) > 0 && v[0] == '[':
			value, ok = v, true
		}
		if pos = skipSpace(text, end); pos == len(text) || text[pos] != ',' {
			return value, ok
		}
		pos++
	}
}

// stringEnd is behind the string that starts at pos.
func stringEnd(text []byte, pos int) int {
	for i := pos + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func skipSpace(text []byte, pos int) int {
	for pos < len(text) && (text[pos] == ' ' || text[pos] == '\n' || text[pos] == '\r' || text[pos] == '\t') {
		pos++
	}
	return pos
}
