// Package generate makes events: streams of JSON lines that look like the stories of
// this project, downtime reports and access logs, like the Nexmark benchmark's auctions, or
// like a pattern file. The same
// settings and the same seed give the same bytes, on every machine.
//
// A stream only appends bytes. It knows nothing of the engine, files or the clock;
// whoever writes the bytes paces them.
package generate

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Stream makes events, one after another, without end.
type Stream interface {
	// Append adds the next event to b, a line with its line end, and returns b.
	Append(b []byte) []byte
}

// Settings are what all streams have in common.
type Settings struct {
	Seed uint64
	// Start is the event time of the first event, before it is moved back.
	Start time.Time
	// Rate is the number of events per second of event time.
	Rate int
	// Jitter moves each event back by a random time of 0 to Jitter: the stream is out
	// of order by at most this.
	Jitter time.Duration
	// LateFraction is the share of events that are moved back further, by LateBy to
	// twice LateBy: more than a tolerance of some seconds forgives.
	LateFraction float64
}

// LateBy is how far at least a late event is behind.
const LateBy = 10 * time.Second

// DefaultStart is the first event time unless Settings say otherwise.
var DefaultStart = time.Date(2018, 1, 10, 10, 10, 10, 0, time.UTC)

// DefaultRate is the number of events per second of event time unless Settings say
// otherwise.
const DefaultRate = 10_000

// Check says what is wrong with the settings, in words that name the setting.
func (s Settings) Check() error {
	switch {
	case s.Rate < 1 || s.Rate > 1_000_000_000:
		return fmt.Errorf("the rate of event time is %d events a second; it must be 1 to 1000000000", s.Rate)
	case s.Jitter < 0:
		return fmt.Errorf("the jitter is %v; it must not be negative", s.Jitter)
	case !(s.LateFraction >= 0 && s.LateFraction <= 1):
		return fmt.Errorf("the late fraction is %v; it must be from 0 to 1", s.LateFraction)
	case s.Start.Year() < 1 || s.Start.Year() > 9000:
		return fmt.Errorf("the start %v is not between the years 1 and 9000", s.Start)
	}
	return nil
}

// clock deals out event times in milliseconds since 1970.
type clock struct {
	start  int64 // ms
	rate   int64
	jitter uint64 // ms
	late   uint64 // threshold of a 32-bit number
	n      int64
}

func newClock(s Settings) clock {
	return clock{
		start:  s.Start.UnixMilli(),
		rate:   int64(s.Rate),
		jitter: uint64(s.Jitter / time.Millisecond),
		late:   uint64(s.LateFraction * (1 << 32)),
	}
}

// next is the time of the next event.
func (c *clock) next(r *rng) int64 {
	t := c.start + c.n/c.rate*1000 + c.n%c.rate*1000/c.rate
	c.n++
	if c.jitter > 0 {
		t -= int64(r.below(c.jitter + 1))
	}
	if c.late > 0 && r.next()>>32 < c.late {
		ms := uint64(LateBy / time.Millisecond)
		t -= int64(ms + r.below(ms))
	}
	return t
}

// Reader gives the first events of a stream as bytes.
type Reader struct {
	stream Stream
	left   int64 // events; negative: no end
	buf    []byte
	at     int
}

// NewReader reads n events of s, or all if n is negative.
func NewReader(s Stream, n int64) *Reader { return &Reader{stream: s, left: n} }

// readerBlock is about how many bytes a Reader makes at a time.
const readerBlock = 64 << 10

// Read makes whole events and gives as many of their bytes as p takes.
func (r *Reader) Read(p []byte) (int, error) {
	if r.at == len(r.buf) {
		r.buf, r.at = r.buf[:0], 0
		for len(r.buf) < readerBlock && r.left != 0 {
			r.buf = r.stream.Append(r.buf)
			r.left--
		}
		if len(r.buf) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.buf[r.at:])
	r.at += n
	return n, nil
}

// quote appends s as a JSON string.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, string(c)...)
		}
	}
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"
