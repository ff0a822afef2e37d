package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// mayCommit says why a request may not change the offsets of a group.
func (c *conn) mayCommit(id, member string, instance *string, generation int32) error {
	if err := c.checkGroup(id); err != nil {
		return err
	}
	code := int16(errNone)
	c.s.groups.with(id, false, func(g *group, now time.Time) {
		switch {
		case g != nil:
			code = g.commit(now, member, text0(instance), generation)
		case generation >= 0 || member != "":
			code = errUnknownMember
		}
	})
	if code != errNone {
		return refuse(code, "the group has gone on without this member")
	}
	return nil
}

// offsetCommit keeps the offsets of a group; they are durable when it is answered.
func offsetCommit(_ context.Context, c *conn, q *kmsg.OffsetCommitRequest, r *kmsg.OffsetCommitResponse) error {
	generation := q.Generation
	if q.Version == 0 {
		generation = -1
	}
	refused := c.mayCommit(q.Group, q.MemberID, q.InstanceID, generation)
	for _, t := range q.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		h, err := c.topic(t.Topic, t.TopicID, q.Version >= 10)
		if err == nil {
			err = c.may(hub.Listen, h.Name())
		}
		if refused != nil {
			err = refused
		}
		errs := make([]error, len(t.Partitions))
		if err == nil {
			err = c.keep(h, q.Group, t.Partitions, errs)
		}
		for i, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			if errs[i] == nil {
				errs[i] = err
			}
			rp.ErrorCode, _ = codeOf(errs[i])
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

// keep keeps the offsets of a group in a hub. What is wrong with one partition does not
// hinder the others.
func (c *conn) keep(h *hub.Hub, group string, list []kmsg.OffsetCommitRequestTopicPartition, errs []error) error {
	commits := map[int]hub.Commit{}
	for i, p := range list {
		metadata := text0(p.Metadata)
		switch _, err := h.Partition(int(p.Partition)); {
		case err != nil:
			errs[i] = err
		case len(metadata) > hub.MaxMetadata:
			errs[i] = refuse(errOffsetMetadataTooLarge, "%d bytes are kept with an offset; %d is the most", len(metadata), hub.MaxMetadata)
		case p.Offset < 0:
			errs[i] = refuse(errOffsetOutOfRange, "the offset %d", p.Offset)
		default:
			commits[int(p.Partition)] = hub.Commit{Seq: p.Offset, Metadata: metadata}
		}
	}
	if len(commits) == 0 {
		return nil
	}
	if err := h.EnsureGroup(group); err != nil {
		return err
	}
	return h.SetOffsets(group, commits)
}

// offsetFetch tells the offsets of groups.
func offsetFetch(_ context.Context, c *conn, q *kmsg.OffsetFetchRequest, r *kmsg.OffsetFetchResponse) error {
	if q.Version >= 8 {
		for _, g := range q.Groups {
			r.Groups = append(r.Groups, c.offsetsOf(q.Version, g))
		}
		return nil
	}
	// The older form is the newer one with one group.
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = q.Group
	for _, t := range q.Topics {
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, gt)
	}
	rg := c.offsetsOf(q.Version, g)
	r.ErrorCode = rg.ErrorCode
	for _, t := range rg.Topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}

func (c *conn) offsetsOf(version int16, q kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	r := kmsg.NewOffsetFetchResponseGroup()
	r.Group = q.Group
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return r
	}
	if q.Topics == nil { // all that it has
		for _, h := range c.s.broker.Hubs() {
			if c.may(hub.Listen, h.Name()) == nil {
				if t := c.allOffsets(h, q.Group); len(t.Partitions) > 0 {
					r.Topics = append(r.Topics, t)
				}
			}
		}
		return r
	}
	for _, t := range q.Topics {
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		h, err := c.topic(t.Topic, t.TopicID, version >= 10)
		if err == nil {
			err = c.may(hub.Listen, h.Name())
		}
		for _, i := range t.Partitions {
			rp := noOffset(i)
			if err == nil {
				fillOffset(&rp, h, q.Group)
			} else if !errors.Is(err, hub.ErrNoHub) { // a topic that is not there has no offsets
				rp.ErrorCode, _ = codeOf(err)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return r
}

func (c *conn) allOffsets(h *hub.Hub, group string) kmsg.OffsetFetchResponseGroupTopic {
	rt := kmsg.NewOffsetFetchResponseGroupTopic()
	rt.Topic, rt.TopicID = h.Name(), c.s.topicID(h)
	for i := range h.Partitions() {
		if rp := noOffset(int32(i)); fillOffset(&rp, h, group) {
			rt.Partitions = append(rt.Partitions, rp)
		}
	}
	return rt
}

func noOffset(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = partition, -1, -1, kmsg.StringPtr("")
	return rp
}

func fillOffset(rp *kmsg.OffsetFetchResponseGroupTopicPartition, h *hub.Hub, group string) bool {
	at, ok := h.Offset(group, int(rp.Partition))
	if !ok {
		return false
	}
	rp.Offset, rp.Metadata = at.Seq, &at.Metadata
	return true
}

// offsetDelete forgets the offsets of a group in some partitions.
func offsetDelete(_ context.Context, c *conn, q *kmsg.OffsetDeleteRequest, r *kmsg.OffsetDeleteResponse) error {
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	busy := false
	c.s.groups.with(q.Group, false, func(g *group, _ time.Time) { busy = g != nil && len(g.members) > 0 })
	for _, t := range q.Topics {
		rt := kmsg.NewOffsetDeleteResponseTopic()
		rt.Topic = t.Topic
		h, err := c.s.broker.Hub(t.Topic)
		if err == nil {
			err = c.may(hub.Listen, h.Name())
		}
		if err == nil && busy {
			err = refuse(errGroupSubscribed, "the group has members")
		}
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetDeleteResponseTopicPartition()
			rp.Partition = p.Partition
			e := err
			if e == nil {
				e = h.ForgetOffset(q.Group, int(p.Partition))
			}
			rp.ErrorCode, _ = codeOf(e)
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return nil
}
