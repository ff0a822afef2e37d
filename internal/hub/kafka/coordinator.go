package kafka

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// coordinator has the groups that have members. What a group has committed is the hubs'.
type coordinator struct {
	limit Limits
	now   func() time.Time
	count *counters
	stop  context.CancelFunc
	done  chan struct{}
	wake  chan struct{} // something is due earlier than it was

	mu     sync.Mutex // guards what follows
	groups map[string]*group
	due    time.Time // when the clock rings next; zero if never
}

func newCoordinator(l Limits, now func() time.Time, count *counters) *coordinator {
	ctx, stop := context.WithCancel(context.Background())
	k := &coordinator{limit: l, now: now, count: count, stop: stop, done: make(chan struct{}), wake: make(chan struct{}, 1), groups: map[string]*group{}}
	go k.run(ctx)
	return k
}

// close ends the clock.
func (k *coordinator) close() {
	k.stop()
	<-k.done
}

// run lets time pass for the groups.
func (k *coordinator) run(ctx context.Context) {
	defer close(k.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
			k.tick()
		}
		wait := time.Hour
		k.mu.Lock()
		if !k.due.IsZero() {
			wait = max(k.due.Sub(k.now()), 0)
		}
		k.mu.Unlock()
		timer.Reset(wait)
	}
}

// tick ends what has taken too long, in all groups.
func (k *coordinator) tick() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.due = time.Time{}
	for key, g := range k.groups {
		if t, ok := g.next(); ok && !now.Before(t) {
			made := g.generations
			g.tick(now)
			k.count.rebalances.Add(g.generations - made)
		}
		k.settle(key, g)
	}
}

// settle forgets a group with nothing in it, and notes when it is due. mu is held.
func (k *coordinator) settle(key string, g *group) {
	if g.idle() {
		delete(k.groups, key)
		return
	}
	if t, ok := g.next(); ok && (k.due.IsZero() || t.Before(k.due)) {
		k.due = t
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// with calls f with a group and the time. If there is none, it is made or f gets nil.
func (k *coordinator) with(id string, create bool, f func(g *group, now time.Time)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := strings.ToLower(id) // as offsets are kept
	g := k.groups[key]
	if g == nil && create && len(k.groups) < k.limit.Groups {
		g = newGroup(id, k.limit, newMemberName)
		k.groups[key] = g
	}
	if g == nil {
		f(nil, k.now())
		return
	}
	made := g.generations
	f(g, k.now())
	k.count.rebalances.Add(g.generations - made)
	k.settle(key, g)
}

// newMemberName is a part of a member ID that nobody guesses.
func newMemberName() string { return rand.Text() }

// size is how many groups there are, and members in them.
func (k *coordinator) size() (groups, members int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range k.groups {
		members += len(g.members)
	}
	return len(k.groups), members
}

// phases are the groups that have members, with what they do.
func (k *coordinator) phases() map[string]groupPhase {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := map[string]groupPhase{}
	for key, g := range k.groups {
		list[key] = groupPhase{g.id, g.kind, g.phase}
	}
	return list
}

type groupPhase struct {
	id, kind string
	phase    phase
}
