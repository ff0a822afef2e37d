package hub

import (
	"bytes"

	"weir/internal/codec"
	"weir/internal/connect"
)

// rows joins messages of CSV. Each has its header row; messages of equal ones, one after
// another, are rows of one text. Another header begins another chunk, and so does a message
// whose last row does not end: the chunk ends with it, so that it takes no other one along.
type rows struct {
	options codec.CSVOptions
	head    []byte // of the text at hand; nil: there is none yet
	chunk   bool   // the chunk has rows
	fresh   bool   // the next chunk begins a text
}

func (r *rows) begin(c *connect.Chunk) {
	r.chunk = false
	if r.head == nil || r.fresh {
		return
	}
	c.Head = r.head
}

// append adds the rows of a message.
func (r *rows) append(c *connect.Chunk, dst, body []byte) (text []byte, ends bool) {
	head, rest, whole := r.split(body)
	same := r.head != nil && !r.fresh && bytes.Equal(head, r.head)
	if r.chunk && (!same || !whole) {
		return dst, true
	}
	if !same {
		r.head = append([]byte{}, head...)
		r.fresh = false
		c.Fresh, c.Head = true, r.head
	}
	if len(rest) == 0 {
		return dst, false
	}
	r.chunk = true
	dst = append(dst, rest...)
	if !whole {
		c.Last, r.fresh = true, true
	} else if dst[len(dst)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst, false
}

// split parts a message into its header row and its rows. whole says that the last row ends.
func (r *rows) split(body []byte) (head, rest []byte, whole bool) {
	cut := codec.NewCSVCutter(codec.PlaceStart, r.options, body)
	rest = body
	if !r.options.NoHeader {
		p := cut.Cut(body, true, 1)
		if p.Broken || p.Long || p.End == 0 {
			return nil, body, false
		}
		head, rest = body[:p.End], body[p.End:]
		if head[len(head)-1] != '\n' { // nothing but a header
			return append(head[:len(head):len(head)], '\n'), rest, true
		}
	}
	for at := 0; at < len(rest); {
		p := cut.Cut(rest[at:], true, len(rest))
		if p.Broken || p.Long || p.End == 0 {
			return head, rest, false
		}
		at += p.End
	}
	return head, rest, true
}
