package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// The times that stand for places in ListOffsets.
const (
	placeLatest    = -1
	placeEarliest  = -2
	placeHighest   = -3 // of the record with the highest time, which is the last
	placeLocal     = -4 // the earliest on this machine's disk
	placeTiered    = -5 // the last that is elsewhere; nothing is
	placeEarlyPend = -6
)

// listOffsets tells the offsets of places.
func listOffsets(_ context.Context, c *conn, q *kmsg.ListOffsetsRequest, r *kmsg.ListOffsetsResponse) error {
	for _, t := range q.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition = p.Partition
			part, err := c.readable(t.Topic, [16]byte{}, false, p.Partition, p.CurrentLeaderEpoch)
			if err == nil {
				err = place(part, p.Timestamp, &rp)
			}
			if rp.ErrorCode, _ = codeOf(err); err != nil {
				rp.Offset, rp.Timestamp = -1, -1
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

// readable is a partition that the client may read.
func (c *conn) readable(name string, id [16]byte, byID bool, partition, epoch int32) (*hub.Partition, error) {
	h, err := c.topic(name, id, byID)
	if err != nil {
		return nil, err
	}
	if err := c.may(hub.Listen, h.Name()); err != nil {
		return nil, err
	}
	p, err := h.Partition(int(partition))
	if err == nil && epoch > leaderEpoch {
		err = refuse(errUnknownLeaderEpoch, "the leader epoch %d; it is %d", epoch, leaderEpoch)
	}
	return p, err
}

// place finds a place by its time in milliseconds, or what stands for one.
func place(p *hub.Partition, millis int64, r *kmsg.ListOffsetsResponseTopicPartition) error {
	r.LeaderEpoch, r.Timestamp = leaderEpoch, -1
	rg := p.Range()
	switch {
	case millis == placeLatest:
		r.Offset = rg.Next
	case millis == placeEarliest, millis == placeLocal:
		r.Offset = rg.First
	case millis == placeTiered, millis == placeEarlyPend:
		r.Offset = -1
	case millis == placeHighest:
		if r.Offset = -1; rg.Next > rg.First {
			return firstAt(p, rg.LastEnqueued.Truncate(time.Millisecond), r)
		}
	case millis < 0:
		return refuse(errInvalidRequest, "the place %d of a partition", millis)
	default:
		return firstAt(p, time.UnixMilli(millis), r)
	}
	return nil
}

// firstAt finds the first record at a time or later; offset -1 says that there is none.
func firstAt(p *hub.Partition, t time.Time, r *kmsg.ListOffsetsResponseTopicPartition) error {
	seq, err := p.Seek(hub.Position{Where: hub.AtTime, Time: t})
	if err != nil {
		return err
	}
	r.Offset = -1
	read, err := p.Read(seq)
	if err != nil {
		return err
	}
	defer read.Close()
	b, err := read.Next()
	if err == nil && b != nil {
		r.Offset, r.Timestamp = b.Seq, b.Enqueued.UnixMilli()
	}
	return err
}

// offsetForLeaderEpoch tells where the records of a leader's epoch end. There is one epoch,
// and nothing of a log that was acknowledged is ever cut off.
func offsetForLeaderEpoch(_ context.Context, c *conn, q *kmsg.OffsetForLeaderEpochRequest, r *kmsg.OffsetForLeaderEpochResponse) error {
	for _, t := range q.Topics {
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			rp.Partition, rp.LeaderEpoch, rp.EndOffset = p.Partition, -1, -1
			part, err := c.readable(t.Topic, [16]byte{}, false, p.Partition, p.CurrentLeaderEpoch)
			if err == nil && p.LeaderEpoch == leaderEpoch {
				rp.LeaderEpoch, rp.EndOffset = leaderEpoch, part.Range().Next
			}
			rp.ErrorCode, _ = codeOf(err)
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}
