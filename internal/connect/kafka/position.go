package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/vec"
)

// unixTicks is 1970-01-01 as a vec.Time.
const unixTicks vec.Time = 621_355_968_000_000_000

// position is the next offset, and the latest arrival before it in ticks.
func position(offset int64, high vec.Time) connect.Position {
	if high == vec.MinTime {
		return connect.Position(strconv.FormatInt(offset, 10))
	}
	return connect.Position(strconv.FormatInt(offset, 10) + "/" + strconv.FormatInt(int64(high), 10))
}

func parsePosition(p connect.Position) (offset int64, high vec.Time, err error) {
	number, ticks, has := strings.Cut(string(p), "/")
	offset, err = strconv.ParseInt(number, 10, 64)
	high = vec.MinTime
	if err == nil && has {
		var n int64
		n, err = strconv.ParseInt(ticks, 10, 64)
		high = vec.Time(n)
	}
	if err != nil || offset < 0 {
		return 0, 0, fmt.Errorf("position %.60q is none of a topic", string(p))
	}
	return offset, high, nil
}

// reader is a connect.Reader of a partition.
//
// Kafka's timestamps are mostly what producers say (CreateTime): they go back, and some lie in
// the future. An arrival does neither. So it is the latest timestamp so far in the partition,
// and not later than the time of the read. Both are in the positions: the one before a chunk
// has the latest arrival before it, the one behind has the latest in it. That makes the arrivals
// of a chunk that is read again the same, whenever that is: no timestamp above the second
// one was let through as it is, since it was above the time of that read, too.
type reader struct {
	*message.Reader
	source *source
	place  place
	high   vec.Time // latest arrival so far
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, most int, until connect.Position) (connect.Chunk, error) {
	limit := max(message.ToTime(r.source.now()), r.high)
	if until != "" {
		offset, high, err := parsePosition(until)
		if err == nil {
			err = r.has(ctx, offset)
		}
		if err != nil {
			return connect.Chunk{}, err
		}
		limit, until = max(high, r.high), message.Position(offset)
	}
	c, err := r.Reader.Read(ctx, most, until)
	if err != nil {
		return c, err
	}
	for i := range c.Marks {
		m := &c.Marks[i]
		r.high = max(r.high, min(m.Arrival, limit))
		m.Arrival = r.high
	}
	if c.Clock != 0 {
		c.Clock = max(r.high, min(c.Clock, limit))
	}
	if until != "" {
		r.high = limit
	}
	offset, err := message.Number(c.Next)
	if err != nil {
		return c, err
	}
	c.Next = position(offset, r.high)
	return c, nil
}

// has sees to it that the partition has the records before an offset, up to which they were
// read once: a topic that was made again would never come to it, or with others.
func (r *reader) has(ctx context.Context, offset int64) error {
	if end, ok := r.source.pump.endOf(r.place); ok && end >= offset {
		return nil
	}
	end, err := listOffset(ctx, r.source.cl, offsetEnd, false, r.place)
	if err == nil && end < offset {
		err = r.source.endsBefore(offset)
	}
	if err != nil {
		return r.source.link.while(r.place.String(), r.source.health, err)
	}
	return nil
}
