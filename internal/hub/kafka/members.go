package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// consumerKind is the protocol type of groups of consumers.
const consumerKind = "consumer"

// errCoordinatorNotAvailable tells a client to look for the coordinator again.
const errCoordinatorNotAvailable = 15

// maxGroupID bounds the name of a group, in bytes, as the broker does.
const maxGroupID = 256

func (c *conn) checkGroup(id string) error {
	if id == "" || len(id) > maxGroupID {
		return refuse(errInvalidGroupID, "the name of a group has 1 to %d bytes", maxGroupID)
	}
	return c.mayGroups(hub.Listen)
}

// findCoordinator names the broker for any group.
func findCoordinator(_ context.Context, c *conn, q *kmsg.FindCoordinatorRequest, r *kmsg.FindCoordinatorResponse) error {
	a := c.s.advertised(c)
	find := func(id string) (int16, *string) {
		if q.CoordinatorType != 0 {
			return codeOf(refuse(errTransactionalID, "there are no transactions here; take away transactional.id"))
		}
		return codeOf(c.checkGroup(id))
	}
	if q.Version < 4 {
		r.NodeID, r.Host, r.Port = nodeID, a.host, a.port
		if r.ErrorCode, r.ErrorMessage = find(q.CoordinatorKey); r.ErrorCode != errNone {
			r.NodeID, r.Host, r.Port = -1, "", -1
		}
		return nil
	}
	for _, key := range q.CoordinatorKeys {
		k := kmsg.NewFindCoordinatorResponseCoordinator()
		k.Key, k.NodeID, k.Host, k.Port = key, nodeID, a.host, a.port
		if k.ErrorCode, k.ErrorMessage = find(key); k.ErrorCode != errNone {
			k.NodeID, k.Host, k.Port = -1, "", -1
		}
		r.Coordinators = append(r.Coordinators, k)
	}
	return nil
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

func joinGroup(ctx context.Context, c *conn, q *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) error {
	r.Generation = -1
	r.MemberID = q.MemberID
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	j := joining{member: q.MemberID, client: clip(c.client, 100), host: c.remote, session: millis(q.SessionTimeoutMillis),
		rebalance: millis(q.RebalanceTimeoutMillis), kind: q.ProtocolType, named: q.Version >= 4}
	if q.Version == 0 || j.rebalance < 0 {
		j.rebalance = j.session
	}
	if q.InstanceID != nil {
		j.instance = *q.InstanceID
	}
	for _, p := range q.Protocols { // the request's memory is not kept
		j.protocols = append(j.protocols, protocol{p.Name, slices.Clone(p.Metadata)})
	}
	outcome := make(chan joinOutcome, 1)
	c.s.groups.with(q.Group, true, func(g *group, now time.Time) {
		if g == nil {
			outcome <- joinOutcome{code: errGroupMaxSize, generation: -1, member: q.MemberID}
			return
		}
		g.join(now, j, func(o joinOutcome) { outcome <- o })
	})
	select {
	case o := <-outcome:
		o.fill(r)
	case <-ctx.Done():
		r.ErrorCode = errCoordinatorNotAvailable
	}
	return nil
}

func (o *joinOutcome) fill(r *kmsg.JoinGroupResponse) {
	r.ErrorCode, r.Generation, r.LeaderID, r.MemberID, r.SkipAssignment = o.code, o.generation, o.leader, o.member, o.skip
	if o.kind != "" {
		r.ProtocolType = &o.kind
	}
	r.Protocol = kmsg.StringPtr(o.protocol)
	if o.code != errNone && r.Version >= 7 {
		r.Protocol = nil
	}
	for _, m := range o.members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.ProtocolMetadata = m.id, m.metadata
		if m.instance != "" {
			rm.InstanceID = kmsg.StringPtr(m.instance)
		}
		r.Members = append(r.Members, rm)
	}
}

func text0(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func syncGroup(ctx context.Context, c *conn, q *kmsg.SyncGroupRequest, r *kmsg.SyncGroupResponse) error {
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	parts := map[string][]byte{}
	for _, a := range q.GroupAssignment {
		parts[a.MemberID] = slices.Clone(a.MemberAssignment)
	}
	outcome := make(chan syncOutcome, 1)
	c.s.groups.with(q.Group, false, func(g *group, now time.Time) {
		if g == nil {
			outcome <- syncOutcome{code: errUnknownMember}
			return
		}
		g.sync(now, q.MemberID, text0(q.InstanceID), q.Generation, text0(q.ProtocolType), text0(q.Protocol), parts, func(o syncOutcome) { outcome <- o })
	})
	select {
	case o := <-outcome:
		r.ErrorCode, r.MemberAssignment = o.code, o.assignment
		if o.code == errNone {
			r.ProtocolType, r.Protocol = &o.kind, &o.protocol
		}
	case <-ctx.Done():
		r.ErrorCode = errCoordinatorNotAvailable
	}
	return nil
}

func heartbeat(_ context.Context, c *conn, q *kmsg.HeartbeatRequest, r *kmsg.HeartbeatResponse) error {
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	c.s.groups.with(q.Group, false, func(g *group, now time.Time) {
		if r.ErrorCode = errUnknownMember; g != nil {
			r.ErrorCode = g.heartbeat(now, q.MemberID, text0(q.InstanceID), q.Generation)
		}
	})
	return nil
}

func leaveGroup(_ context.Context, c *conn, q *kmsg.LeaveGroupRequest, r *kmsg.LeaveGroupResponse) error {
	if err := c.checkGroup(q.Group); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	c.s.groups.with(q.Group, false, func(g *group, now time.Time) {
		if q.Version < 3 {
			if r.ErrorCode = errUnknownMember; g != nil {
				r.ErrorCode = g.leave(now, q.MemberID, "")
			}
			return
		}
		for _, m := range q.Members {
			rm := kmsg.NewLeaveGroupResponseMember()
			rm.MemberID, rm.InstanceID = m.MemberID, m.InstanceID
			if rm.ErrorCode = errUnknownMember; g != nil {
				rm.ErrorCode = g.leave(now, m.MemberID, text0(m.InstanceID))
			}
			r.Members = append(r.Members, rm)
		}
	})
	return nil
}
