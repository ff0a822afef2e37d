package intake

import (
	"context"
	"errors"
	"fmt"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

// maxKeptChunk is the largest chunk whose memory is kept for the next one, in bytes.
const maxKeptChunk = 4 << 20

// reader reads the log.
type reader struct {
	r       *log.Reader
	cut     *message.Cutter // nil: records are lines
	meta    func(r *Record) map[string]vec.Value
	arrival func(r *Record) vec.Time
	trouble func() error // nil: there is none
	batch   *log.Batch   // the last one
	given   int          // records of it that were given
	buf     []byte
	marks   []connect.Mark
	closed  bool
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.r.Ready() }

// Close implements connect.Reader.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return r.r.Close()
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if r.closed {
		return connect.Chunk{}, errors.New("the reader is closed")
	}
	stop := int64(-1)
	if until != "" {
		var err error
		if stop, err = message.Number(until); err != nil || stop < r.seq() {
			return connect.Chunk{}, fmt.Errorf("position %.40q is not behind %d", string(until), r.seq())
		}
	}
	if cap(r.buf) > maxKeptChunk {
		r.buf = nil
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Line: r.seq() + 1, Offset: -1}
	if r.cut != nil {
		r.cut.Begin(&c)
	}
	for stop < 0 && len(r.buf) < max || stop >= 0 && r.seq() < stop {
		// What has no text at all must not keep the job from being stopped.
		if err := ctx.Err(); err != nil && (stop >= 0 || len(r.buf) == 0) {
			return c, err
		}
		full, err := r.record(ctx, &c, max, stop)
		if err != nil {
			return c, err
		}
		if full {
			break
		}
	}
	c.Data, c.Marks, c.Next = r.buf, r.marks, message.Position(r.seq())
	if stop < 0 {
		c.Clock = r.clock()
	}
	if c.Offset < 0 {
		c.Offset = 0
	}
	if stop < 0 && len(r.buf) == 0 && r.trouble != nil {
		return c, r.trouble()
	}
	return c, nil
}

// record adds the next record to the chunk. full says that the chunk ends before it, or that
// there is none.
func (r *reader) record(ctx context.Context, c *connect.Chunk, max int, stop int64) (full bool, err error) {
	rec, err := r.next()
	if err != nil {
		return false, gone(err)
	}
	if stop >= 0 && (rec == nil || r.seq() > stop) {
		if rec != nil {
			r.given--
		}
		return false, fmt.Errorf("the log of the input ends before event %d, up to which the job has read: it is not the log that the job was run with, or a loss of power took events from it that were not synced (fsync); start the job without its state", stop)
	}
	if rec == nil {
		return true, nil
	}
	before := len(r.buf)
	if stop < 0 && before > 0 && before+len(rec.Value) > max {
		r.given--
		return true, nil
	}
	if r.cut != nil {
		if err := r.cut.Prepare(ctx, rec.Value); err != nil { // a schema that a registry has to give
			r.given--
			if before > 0 && stop < 0 {
				return true, nil
			}
			return false, err
		}
	}
	text, ends := r.append(c, rec.Value)
	if ends {
		r.given--
		return true, nil
	}
	if r.buf = text; len(text) == before {
		return false, nil // an empty message
	}
	if c.Offset < 0 {
		c.Offset = rec.Offset
	}
	m := connect.Mark{End: len(text), Offset: r.seq() - 1, Arrival: toTime(r.batch.Enqueued)}
	if r.arrival != nil {
		m.Arrival = r.arrival(rec)
	}
	if r.meta != nil {
		m.Properties = r.meta(rec)
	}
	r.marks = append(r.marks, m)
	return r.cut != nil && r.cut.Alone(c), nil
}

// append adds the text of a record. ends says that the chunk ends before it.
func (r *reader) append(c *connect.Chunk, value []byte) (text []byte, ends bool) {
	if r.cut != nil {
		return r.cut.Append(c, r.buf, value)
	}
	return append(append(r.buf, value...), '\n'), false
}

// seq is the number of the next record.
func (r *reader) seq() int64 {
	if r.batch != nil {
		return r.batch.Seq + int64(r.given)
	}
	return r.r.Seq()
}

// next takes the next record, nil if there is none now.
func (r *reader) next() (*Record, error) {
	if r.batch == nil || r.given == len(r.batch.Records) {
		b, err := r.r.Next()
		r.batch, r.given = b, 0
		if b == nil || err != nil {
			r.batch = nil
			return nil, err
		}
	}
	r.given++
	return &r.batch.Records[r.given-1], nil
}

// clock is the time before which all has been read.
func (r *reader) clock() vec.Time {
	if r.batch != nil && r.given < len(r.batch.Records) {
		return toTime(r.batch.Enqueued)
	}
	return toTime(r.r.Clock())
}
