package kafka

import (
	"slices"
	"time"
)

// phase is what a group is doing, by the names that clients know.
type phase string

const (
	empty      phase = "Empty"
	preparing  phase = "PreparingRebalance"  // waits for members to join
	completing phase = "CompletingRebalance" // waits for the leader to say who gets what
	stable     phase = "Stable"
	dead       phase = "Dead"
)

// group is a consumer group of the classic protocol: members join, one of them, the leader,
// deals out the partitions, all get their part, and tell by heartbeats that they are there.
// Each round of that is a generation.
//
// A group does not wait and knows no clock: time comes as an argument, and whoever has to
// wait leaves a function that is called with the outcome. Its methods are called by one
// goroutine at a time.
type group struct {
	id    string
	limit Limits

	phase      phase
	generation int32
	kind       string // protocol type; "consumer" as a rule
	protocol   string
	leader     string // member ID
	members    map[string]*member
	instances  map[string]string    // members by the names that they keep over restarts
	pending    map[string]time.Time // member IDs that were given out and not used yet, until when

	// While members join: when those who have not are left out. While gathering, it waits for
	// members that nobody knows yet.
	deadline  time.Time
	gathering bool
	gatherEnd time.Time

	names       func() string // makes member IDs
	generations int64         // that were made
}

// member is a member of a group.
type member struct {
	id, instance, client, host string
	session, rebalance         time.Duration
	protocols                  []protocol
	assignment                 []byte
	until                      time.Time // it must be heard of by then
	joined                     func(joinOutcome)
	synced                     func(syncOutcome)
}

// protocol is a way of dealing out partitions that a member knows, and what it says for it.
type protocol struct {
	name     string
	metadata []byte
}

// joining is a request to join.
type joining struct {
	member, instance, client, host string
	session, rebalance             time.Duration
	kind                           string
	protocols                      []protocol
	// named asks for a member ID first (KIP-394).
	named bool
}

// joinOutcome is what has become of it.
type joinOutcome struct {
	code           int16
	generation     int32
	kind, protocol string
	leader, member string
	members        []joinedMember // for the leader
	skip           bool           // the leader need not deal anything out
}

type joinedMember struct {
	id, instance string
	metadata     []byte
}

type syncOutcome struct {
	code           int16
	kind, protocol string
	assignment     []byte
}

func newGroup(id string, l Limits, names func() string) *group {
	return &group{id: id, limit: l, phase: empty, members: map[string]*member{}, instances: map[string]string{}, pending: map[string]time.Time{}, names: names}
}

// join lets a member in, or in again. done is called once, now or later.
func (g *group) join(now time.Time, q joining, done func(joinOutcome)) {
	if code := g.refusal(q); code != errNone {
		done(joinOutcome{code: code, member: q.member, generation: -1})
		return
	}
	switch m := g.members[q.member]; {
	case q.member == "" && q.instance != "" && g.instances[q.instance] != "":
		g.replace(now, g.members[g.instances[q.instance]], q, done)
	case q.member == "" && q.named && q.instance == "":
		id := g.newID(q)
		g.pending[id] = now.Add(q.session)
		done(joinOutcome{code: errMemberIDRequired, member: id, generation: -1})
	case q.member == "":
		g.add(now, g.newID(q), q, done)
	case m == nil:
		delete(g.pending, q.member)
		g.add(now, q.member, q, done)
	default:
		g.again(now, m, q, done)
	}
}

func (g *group) newID(q joining) string {
	name := q.client
	if q.instance != "" {
		name = q.instance
	}
	return name + "-" + g.names()
}

// refusal is why a member is not let in.
func (g *group) refusal(q joining) int16 {
	m := g.members[q.member]
	_, pending := g.pending[q.member]
	switch {
	case g.phase == dead:
		return errUnknownMember
	case q.session < g.limit.SessionMin || q.session > g.limit.SessionMax:
		return errInvalidSessionTimeout
	case q.kind == "" || len(q.protocols) == 0:
		return errInconsistentProtocol
	case q.member != "" && q.instance != "" && g.instances[q.instance] != "" && g.instances[q.instance] != q.member:
		return errFencedInstanceID
	case q.member != "" && m == nil && !pending:
		return errUnknownMember
	case q.member != "" && m != nil && m.instance != q.instance && q.instance != "":
		return errUnknownMember
	}
	old := q.member
	if old == "" && q.instance != "" {
		old = g.instances[q.instance]
	}
	_, known := g.members[old]
	if !known && !pending && len(g.members)+len(g.pending) >= g.limit.Members || g.bytes(old)+q.bytes() > g.limit.GroupBytes {
		return errGroupMaxSize
	}
	if !g.agrees(q, old) {
		return errInconsistentProtocol
	}
	return errNone
}

func (q *joining) bytes() int { return protocolBytes(q.protocols) }

func protocolBytes(list []protocol) int {
	n := 0
	for _, p := range list {
		n += len(p.name) + len(p.metadata)
	}
	return n
}

// bytes is what the members but one hold.
func (g *group) bytes(but string) int {
	n := 0
	for id, m := range g.members {
		if id != but {
			n += protocolBytes(m.protocols)
		}
	}
	return n
}

// agrees reports whether the others of a group know a protocol that the one who joins knows.
func (g *group) agrees(q joining, but string) bool {
	others := 0
	count := map[string]int{}
	for id, m := range g.members {
		if id == but {
			continue
		}
		others++
		for _, p := range m.protocols {
			count[p.name]++
		}
	}
	if others == 0 {
		return true
	}
	return q.kind == g.kind && slices.ContainsFunc(q.protocols, func(p protocol) bool { return count[p.name] == others })
}

// add lets a new member in.
func (g *group) add(now time.Time, id string, q joining, done func(joinOutcome)) {
	m := &member{id: id, instance: q.instance}
	g.members[id] = m
	if q.instance != "" {
		g.instances[q.instance] = id
	}
	g.kind = q.kind
	first := g.phase == empty
	m.take(q, done)
	g.prepare(now)
	if first {
		g.gathering = true
		g.gatherEnd = now.Add(min(g.limit.Gather, m.rebalance))
	} else if g.gathering {
		g.gatherEnd = earlier(now.Add(g.limit.Gather), g.deadline)
	}
	g.tryComplete(now)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// take keeps what a member says, and that it waits.
func (m *member) take(q joining, done func(joinOutcome)) {
	m.client, m.host, m.session, m.rebalance, m.protocols = q.client, q.host, q.session, q.rebalance, q.protocols
	m.giveUp(errRebalanceInProgress) // a request of before, which it no longer waits for
	m.joined = done
}

// giveUp answers what a member waits for with an error.
func (m *member) giveUp(code int16) {
	if f := m.joined; f != nil {
		m.joined = nil
		f(joinOutcome{code: code, member: m.id, generation: -1})
	}
	if f := m.synced; f != nil {
		m.synced = nil
		f(syncOutcome{code: code})
	}
}

// again lets a member in that is known.
func (g *group) again(now time.Time, m *member, q joining, done func(joinOutcome)) {
	same := m.same(q)
	switch {
	case g.phase == preparing:
	case g.phase == completing && same, g.phase == stable && same && m.id != g.leader:
		// It has not got the answer, or wants to be sure.
		m.until = now.Add(m.session)
		done(g.outcome(m))
		return
	}
	m.take(q, done)
	g.prepare(now)
	g.tryComplete(now)
}

// same reports whether a member says what it said before.
func (m *member) same(q joining) bool {
	return slices.EqualFunc(m.protocols, q.protocols, func(a, b protocol) bool {
		return a.name == b.name && string(a.metadata) == string(b.metadata)
	})
}

// replace lets a member in under a new ID that keeps its name: it was started again. The old
// one is fenced. If it says what it said before, the others need not know.
func (g *group) replace(now time.Time, m *member, q joining, done func(joinOutcome)) {
	same := m.same(q)
	old := m.id
	m.giveUp(errFencedInstanceID)
	delete(g.members, old)
	m.id = g.newID(q)
	g.members[m.id] = m
	g.instances[m.instance] = m.id
	if g.leader == old {
		g.leader = m.id
	}
	m.take(q, done)
	if g.phase == stable && same {
		m.joined = nil
		m.until = now.Add(m.session)
		o := g.outcome(m)
		o.skip = m.id == g.leader
		done(o)
		return
	}
	g.prepare(now)
	g.tryComplete(now)
}

// prepare begins a new round, unless one has begun.
func (g *group) prepare(now time.Time) {
	if g.phase == preparing {
		return
	}
	for _, m := range g.members {
		if f := m.synced; f != nil {
			m.synced = nil
			m.until = now.Add(m.session)
			f(syncOutcome{code: errRebalanceInProgress})
		}
	}
	g.phase = preparing
	g.gathering = false
	g.deadline = now.Add(g.patience())
}

// patience is how long the group waits for its members.
func (g *group) patience() time.Duration {
	d := time.Duration(0)
	for _, m := range g.members {
		d = max(d, m.rebalance)
	}
	return min(d, g.limit.Rebalance)
}

// tryComplete ends the joining if all are there.
func (g *group) tryComplete(now time.Time) {
	g.gathering = g.gathering && now.Before(g.gatherEnd)
	if g.phase != preparing || g.gathering || len(g.pending) > 0 && now.Before(g.deadline) {
		return
	}
	if now.Before(g.deadline) {
		for _, m := range g.members {
			if m.joined == nil {
				return
			}
		}
	}
	g.complete(now)
}

// complete begins a generation with the members that have joined.
func (g *group) complete(now time.Time) {
	joined := 0
	for _, m := range g.members {
		switch {
		case m.joined != nil:
			joined++
		case m.instance == "": // those with a name may be starting again; their session ends them
			g.drop(m)
		}
	}
	g.gathering = false
	clear(g.pending)
	if joined == 0 && len(g.members) > 0 {
		g.deadline = now.Add(g.patience())
		return
	}
	g.generation++
	g.generations++
	if len(g.members) == 0 {
		g.phase, g.protocol, g.leader = empty, "", ""
		return
	}
	if m := g.members[g.leader]; m == nil || m.joined == nil {
		g.leader = g.elect()
	}
	g.protocol = g.vote()
	g.phase = completing
	g.deadline = now.Add(g.patience())
	for _, m := range g.members {
		m.assignment = nil
		if f := m.joined; f != nil {
			m.joined = nil
			m.until = now.Add(m.session)
			f(g.outcome(m))
		}
	}
}

// elect chooses a leader of those who have joined, always the same of the same members.
func (g *group) elect() string {
	leader := ""
	for id, m := range g.members {
		if m.joined != nil && (leader == "" || id < leader) {
			leader = id
		}
	}
	return leader
}

// vote chooses the protocol that most members like best, of those that all know.
func (g *group) vote() string {
	known := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			known[p.name]++
		}
	}
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if known[p.name] == len(g.members) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for name, n := range votes {
		if best == "" || n > votes[best] || n == votes[best] && name < best {
			best = name
		}
	}
	return best
}

// outcome is the answer to a member that has joined.
func (g *group) outcome(m *member) joinOutcome {
	o := joinOutcome{generation: g.generation, kind: g.kind, protocol: g.protocol, leader: g.leader, member: m.id}
	if m.id != g.leader {
		return o
	}
	for _, m := range g.sorted() {
		o.members = append(o.members, joinedMember{m.id, m.instance, m.saysFor(g.protocol)})
	}
	return o
}

// sorted are the members in the order of their IDs.
func (g *group) sorted() []*member {
	list := make([]*member, 0, len(g.members))
	for _, m := range g.members {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *member) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return list
}

func (m *member) saysFor(name string) []byte {
	for _, p := range m.protocols {
		if p.name == name {
			return p.metadata
		}
	}
	return nil
}
