package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// classic is the kind of groups that there are (KIP-848).
const classic = "classic"

// kept reports whether a group has offsets in a hub that the client may read.
func (c *conn) kept(group string) bool {
	for _, h := range c.s.broker.Hubs() {
		if c.may(hub.Listen, h.Name()) == nil && len(h.Offsets(group)) > 0 {
			return true
		}
	}
	return false
}

// listGroups tells of groups that have members or offsets.
func listGroups(_ context.Context, c *conn, q *kmsg.ListGroupsRequest, r *kmsg.ListGroupsResponse) error {
	if err := c.mayGroups(hub.Listen); err != nil {
		r.ErrorCode, _ = codeOf(err)
		return nil
	}
	all := c.s.groups.phases()
	for _, h := range c.s.broker.Hubs() {
		if c.may(hub.Listen, h.Name()) != nil {
			continue
		}
		for _, name := range h.Groups() {
			key := strings.ToLower(name)
			if _, ok := all[key]; !ok && len(h.Offsets(name)) > 0 {
				all[key] = groupPhase{name, consumerKind, empty}
			}
		}
	}
	keys := make([]string, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		g := all[key]
		if !wanted(q.StatesFilter, string(g.phase)) || !wanted(q.TypesFilter, classic) {
			continue
		}
		rg := kmsg.NewListGroupsResponseGroup()
		rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.id, g.kind, string(g.phase), classic
		r.Groups = append(r.Groups, rg)
	}
	return nil
}

// wanted reports whether a filter, which may be none, lets a word through.
func wanted(filter []string, word string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, word) })
}

func describeGroups(_ context.Context, c *conn, q *kmsg.DescribeGroupsRequest, r *kmsg.DescribeGroupsResponse) error {
	for _, id := range q.Groups {
		rg := kmsg.NewDescribeGroupsResponseGroup()
		rg.Group = id
		if err := c.checkGroup(id); err != nil {
			rg.ErrorCode, rg.ErrorMessage = codeOf(err)
			r.Groups = append(r.Groups, rg)
			continue
		}
		known := false
		c.s.groups.with(id, false, func(g *group, _ time.Time) {
			if known = g != nil; known {
				g.describe(&rg)
			}
		})
		switch {
		case known:
		case c.kept(id):
			rg.State, rg.ProtocolType = string(empty), consumerKind
		default:
			if rg.State = string(dead); q.Version >= 6 {
				rg.ErrorCode, rg.ErrorMessage = codeOf(refuse(errGroupIDNotFound, "there is no such group"))
			}
		}
		if q.IncludeAuthorizedOperations {
			rg.AuthorizedOperations = opRead | opDescribe | opDelete
		}
		r.Groups = append(r.Groups, rg)
	}
	return nil
}

func (g *group) describe(r *kmsg.DescribeGroupsResponseGroup) {
	r.State, r.ProtocolType = string(g.phase), g.kind
	if g.phase == stable || g.phase == completing {
		r.Protocol = g.protocol
	}
	for _, m := range g.sorted() {
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.ClientID, rm.ClientHost = m.id, m.client, m.host
		if m.instance != "" {
			rm.InstanceID = kmsg.StringPtr(m.instance)
		}
		if g.phase == stable {
			rm.ProtocolMetadata, rm.MemberAssignment = m.saysFor(g.protocol), m.assignment
		}
		r.Members = append(r.Members, rm)
	}
}

// deleteGroups forgets groups without members, with their offsets.
func deleteGroups(_ context.Context, c *conn, q *kmsg.DeleteGroupsRequest, r *kmsg.DeleteGroupsResponse) error {
	for _, id := range q.Groups {
		rg := kmsg.NewDeleteGroupsResponseGroup()
		rg.Group = id
		rg.ErrorCode, _ = codeOf(c.deleteGroup(id))
		r.Groups = append(r.Groups, rg)
	}
	return nil
}

func (c *conn) deleteGroup(id string) error {
	if err := c.checkGroup(id); err != nil {
		return err
	}
	if err := c.mayGroups(hub.Manage); err != nil {
		return err
	}
	busy := false
	c.s.groups.with(id, false, func(g *group, _ time.Time) { busy = g != nil && len(g.members) > 0 })
	if busy {
		return refuse(errNonEmptyGroup, "the group has members")
	}
	if strings.EqualFold(id, hub.DefaultGroup) {
		return refuse(errInvalidGroupID, "%s is the group that every hub has", hub.DefaultGroup)
	}
	found := false
	for _, h := range c.s.broker.Hubs() {
		if c.may(hub.Manage, h.Name()) != nil || !h.HasGroup(id) {
			continue
		}
		found = true
		if err := h.RemoveGroup(id); err != nil && !errors.Is(err, hub.ErrNoGroup) {
			return err
		}
	}
	if !found {
		return refuse(errGroupIDNotFound, "there is no such group")
	}
	return nil
}
