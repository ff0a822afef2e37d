package message

import (
	"bytes"

	"weir/internal/codec"
	"weir/internal/connect"
)

// csvRows joins messages of CSV. Each has its header row; messages of equal ones, one after
// another, are rows of one text. Another header begins another chunk, and so does a message
// whose last row does not end: the chunk ends with it, so that it takes no other one along.
type csvRows struct {
	options codec.CSVOptions
	head    []byte // of the text at hand; nil: there is none yet
	chunk   bool   // the chunk has rows
	fresh   bool   // the next chunk begins a text
}

func (r *csvRows) begin(c *connect.Chunk) {
	r.chunk = false
	if r.head == nil || r.fresh {
		return
	}
	c.Head = r.head
}

// append adds the rows of a message.
func (r *csvRows) append(c *connect.Chunk, dst, body []byte) (text []byte, ends bool) {
	head, rest, whole := r.split(body)
	if len(rest) == 0 { // a header row of nothing: the next message has its own
		return dst, false
	}
	same := r.head != nil && !r.fresh && bytes.Equal(head, r.head)
	if r.chunk && (!same || !whole) {
		return dst, true
	}
	if !same {
		r.head = append([]byte{}, head...)
		r.fresh = false
		c.Fresh, c.Head = true, r.head
	}
	r.chunk = true
	dst = append(dst, rest...)
	if !whole {
		c.Last, r.fresh = true, true
	}
	return dst, false
}

// split parts a message into its header row and its rows, which end with a line end. whole
// says that the last row ends.
func (r *csvRows) split(body []byte) (head, rest []byte, whole bool) {
	rest = body
	if len(body) == 0 || body[len(body)-1] != '\n' {
		rest = append(append(make([]byte, 0, len(body)+1), body...), '\n')
	}
	// A cutter that waits for more has a row that does not end.
	cut := codec.NewCSVCutter(codec.PlaceStart, r.options, rest)
	if !r.options.NoHeader {
		p := cut.Cut(rest, false, 1)
		if p.Long || p.End == 0 {
			return nil, rest, false
		}
		head, rest = rest[:p.End], rest[p.End:]
	}
	for at := 0; at < len(rest); {
		p := cut.Cut(rest[at:], false, len(rest))
		if p.Long || p.End == 0 {
			return head, rest, p.End == 0 && len(bytes.TrimSpace(rest[at:])) == 0
		}
		at += p.End
	}
	return head, rest, true
}
