package kafka

import "time"

// find is a member that a request is of, or why it is not served.
func (g *group) find(id, instance string, generation int32) (*member, int16) {
	m := g.members[id]
	switch {
	case g.phase == dead:
		return nil, errUnknownMember
	case instance != "" && g.instances[instance] != "" && g.instances[instance] != id:
		return nil, errFencedInstanceID
	case m == nil || instance != "" && m.instance != instance:
		return nil, errUnknownMember
	case generation != g.generation:
		return nil, errIllegalGeneration
	}
	return m, errNone
}

// sync gives a member its part. The leader brings the parts of all. done is called once, now
// or later.
func (g *group) sync(now time.Time, id, instance string, generation int32, kind, name string, parts map[string][]byte, done func(syncOutcome)) {
	m, code := g.find(id, instance, generation)
	if code == errNone && (kind != "" && kind != g.kind || name != "" && name != g.protocol) {
		code = errInconsistentProtocol
	}
	if code == errNone && g.phase == preparing {
		code = errRebalanceInProgress
	}
	if code != errNone {
		done(syncOutcome{code: code})
		return
	}
	m.until = now.Add(m.session)
	if g.phase == stable {
		done(g.part(m))
		return
	}
	if f := m.synced; f != nil {
		f(syncOutcome{code: errRebalanceInProgress}) // it asks again
	}
	m.synced = done
	if id != g.leader {
		return
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > g.limit.GroupBytes {
		m.synced = nil
		done(syncOutcome{code: errGroupMaxSize})
		return
	}
	g.phase = stable
	for _, m := range g.members {
		m.assignment = parts[m.id]
		if f := m.synced; f != nil {
			m.synced = nil
			m.until = now.Add(m.session)
			f(g.part(m))
		}
	}
}

func (g *group) part(m *member) syncOutcome {
	return syncOutcome{kind: g.kind, protocol: g.protocol, assignment: m.assignment}
}

// heartbeat notes that a member is there, and tells it when it has to join again.
func (g *group) heartbeat(now time.Time, id, instance string, generation int32) int16 {
	m, code := g.find(id, instance, generation)
	if code != errNone {
		return code
	}
	m.until = now.Add(m.session)
	if g.phase == preparing {
		return errRebalanceInProgress
	}
	return errNone
}

// leave lets a member go, by its ID or by its name.
func (g *group) leave(now time.Time, id, instance string) int16 {
	if instance != "" {
		current := g.instances[instance]
		if current == "" {
			return errUnknownMember
		}
		if id != "" && id != current {
			return errFencedInstanceID
		}
		id = current
	}
	if _, ok := g.pending[id]; ok {
		delete(g.pending, id)
		g.tryComplete(now)
		return errNone
	}
	m := g.members[id]
	if m == nil {
		return errUnknownMember
	}
	g.remove(now, m)
	return errNone
}

// commit says whether a member may keep offsets. Whoever is no member may if there are none.
func (g *group) commit(now time.Time, id, instance string, generation int32) int16 {
	if generation < 0 && id == "" && instance == "" {
		if len(g.members) > 0 {
			return errUnknownMember
		}
		return errNone
	}
	m, code := g.find(id, instance, generation)
	if code != errNone {
		return code
	}
	m.until = now.Add(m.session)
	if g.phase == completing {
		return errRebalanceInProgress
	}
	return errNone
}

// drop forgets a member.
func (g *group) drop(m *member) {
	m.giveUp(errUnknownMember)
	delete(g.members, m.id)
	if m.instance != "" && g.instances[m.instance] == m.id {
		delete(g.instances, m.instance)
	}
}

// remove forgets a member and lets the others deal out anew.
func (g *group) remove(now time.Time, m *member) {
	g.drop(m)
	if len(g.members) == 0 && g.phase != preparing {
		g.phase, g.protocol, g.leader = empty, "", ""
		g.generation++
		return
	}
	g.prepare(now)
	g.tryComplete(now)
}

// tick ends what has taken too long.
func (g *group) tick(now time.Time) {
	for id, until := range g.pending {
		if !now.Before(until) {
			delete(g.pending, id)
		}
	}
	for _, m := range g.sorted() {
		// Who waits for an answer is there; the deadlines below end that.
		if m.joined == nil && m.synced == nil && !now.Before(m.until) && g.members[m.id] == m {
			g.remove(now, m)
		}
	}
	if g.phase == completing && !now.Before(g.deadline) {
		g.endSync(now)
	}
	g.tryComplete(now)
}

// endSync leaves out members that have joined and not asked for their part in time.
func (g *group) endSync(now time.Time) {
	for _, m := range g.sorted() {
		if m.synced == nil && m.instance == "" {
			g.drop(m)
		}
	}
	if len(g.members) == 0 {
		g.phase, g.protocol, g.leader = empty, "", ""
		g.generation++
		return
	}
	g.prepare(now)
}

// next is when tick has something to do; false if never.
func (g *group) next() (t time.Time, ok bool) {
	at := func(u time.Time) {
		if !ok || u.Before(t) {
			t, ok = u, true
		}
	}
	for _, until := range g.pending {
		at(until)
	}
	for _, m := range g.members {
		if m.joined == nil && m.synced == nil {
			at(m.until)
		}
	}
	switch g.phase {
	case preparing:
		if g.gathering {
			at(g.gatherEnd)
		}
		at(g.deadline)
	case completing:
		at(g.deadline)
	}
	return t, ok
}

// idle reports whether nothing is lost if the group is forgotten.
func (g *group) idle() bool {
	return g.phase == empty && len(g.members) == 0 && len(g.pending) == 0
}
