package kafka

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// groupStory plays with a group, whose clock it is.
type groupStory struct {
	t      *testing.T
	g      *group
	now    time.Time
	joins  map[string]joinOutcome // by the names of members in the story
	syncs  map[string]syncOutcome
	ids    map[string]string
	serial int
}

func newStory(t *testing.T) *groupStory {
	s := &groupStory{t: t, now: time.Unix(1000, 0), joins: map[string]joinOutcome{}, syncs: map[string]syncOutcome{}, ids: map[string]string{}}
	l := Limits{Members: 5, GroupBytes: 1000}.withDefaults()
	s.g = newGroup("g", l, func() string { s.serial++; return fmt.Sprint(s.serial) })
	return s
}

// pass lets time pass, in steps, as the clock of the coordinator does.
func (s *groupStory) pass(d time.Duration) {
	end := s.now.Add(d)
	for range 1000 {
		t, ok := s.g.next()
		if !ok || t.After(end) {
			break
		}
		if t.After(s.now) {
			s.now = t
		}
		s.g.tick(s.now)
		if n, ok := s.g.next(); ok && !n.After(s.now) {
			s.t.Fatalf("at %s the group is due again at %s: %s %+v", s.now, n, s.g.phase, *s.g)
		}
	}
	s.now = end
	s.g.tick(s.now)
}

func (s *groupStory) request(name string) joining {
	return joining{member: s.ids[name], client: name, session: 10 * time.Second, rebalance: 30 * time.Second, kind: "consumer",
		protocols: []protocol{{"range", []byte(name)}, {"sticky", []byte(name)}}}
}

// join lets a member ask to be let in; change, if set, changes what it asks.
func (s *groupStory) join(name string, change func(*joining)) {
	q := s.request(name)
	if change != nil {
		change(&q)
	}
	delete(s.joins, name)
	s.g.join(s.now, q, func(o joinOutcome) {
		if _, twice := s.joins[name]; twice {
			s.t.Errorf("%s is answered twice", name)
		}
		s.joins[name] = o
		if o.member != "" {
			s.ids[name] = o.member
		}
	})
}

func (s *groupStory) sync(name string, parts map[string]string) {
	encoded := map[string][]byte{}
	for n, p := range parts {
		encoded[s.ids[n]] = []byte(p)
	}
	delete(s.syncs, name)
	s.g.sync(s.now, s.ids[name], "", s.joins[name].generation, "", "", encoded, func(o syncOutcome) { s.syncs[name] = o })
}

func (s *groupStory) beat(name string) int16 {
	return s.g.heartbeat(s.now, s.ids[name], "", s.joins[name].generation)
}

// start brings members into a generation with parts.
func (s *groupStory) start(names ...string) {
	s.t.Helper()
	parts := map[string]string{}
	for _, n := range names {
		s.join(n, nil)
		parts[n] = "part of " + n
	}
	s.pass(DefaultGather)
	for _, n := range names {
		if n != s.leader() {
			s.sync(n, nil)
		}
	}
	s.sync(s.leader(), parts)
	for _, n := range names {
		if string(s.syncs[n].assignment) != parts[n] || s.syncs[n].code != 0 {
			s.t.Fatalf("%s got %q, %d", n, s.syncs[n].assignment, s.syncs[n].code)
		}
	}
	s.is(stable, s.g.generation)
}

func (s *groupStory) leader() string {
	for n, id := range s.ids {
		if id == s.g.leader {
			return n
		}
	}
	return ""
}

func (s *groupStory) is(p phase, generation int32) {
	s.t.Helper()
	if s.g.phase != p || s.g.generation != generation {
		s.t.Errorf("%s in generation %d; want %s in %d", s.g.phase, s.g.generation, p, generation)
	}
}

func (s *groupStory) code(got, want int16) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("code %d; want %d", got, want)
	}
}

func TestGroupGathersItsFirstMembers(t *testing.T) {
	s := newStory(t)
	s.join("a", nil)
	s.is(preparing, 0)
	s.pass(DefaultGather / 2)
	s.join("b", nil)
	s.pass(DefaultGather * 3 / 4) // b has made it wait anew
	s.is(preparing, 0)
	s.pass(DefaultGather / 2)
	s.is(completing, 1)
	leader := s.leader()
	for _, n := range []string{"a", "b"} {
		o := s.joins[n]
		want := 0
		if n == leader {
			want = 2
		}
		if o.code != 0 || o.generation != 1 || o.protocol != "range" || o.leader != s.g.leader || len(o.members) != want {
			t.Errorf("%s: %+v", n, o)
		}
	}
}

func TestGroupDealsOutAnew(t *testing.T) {
	s := newStory(t)
	s.start("a", "b")
	s.code(s.beat("a"), 0)
	s.join("c", nil)
	s.is(preparing, 1)
	s.code(s.beat("a"), errRebalanceInProgress)
	s.sync("b", nil)
	s.code(s.syncs["b"].code, errRebalanceInProgress)
	s.join("a", nil)
	s.is(preparing, 1)
	s.join("b", nil)
	s.is(completing, 2)
	for _, n := range []string{"a", "b", "c"} {
		s.code(s.joins[n].code, 0)
	}
	// A request of the generation before.
	s.code(s.g.heartbeat(s.now, s.ids["a"], "", 1), errIllegalGeneration)
	s.code(s.g.commit(s.now, s.ids["a"], "", 1), errIllegalGeneration)
	s.code(s.g.commit(s.now, s.ids["a"], "", 2), errRebalanceInProgress)
	for _, n := range []string{"a", "b", "c"} {
		s.sync(n, map[string]string{"a": "1", "b": "2", "c": "3"})
	}
	s.code(s.g.commit(s.now, s.ids["a"], "", 2), 0)
	s.code(s.g.commit(s.now, "nobody", "", 2), errUnknownMember)
	s.code(s.g.commit(s.now, "", "", -1), errUnknownMember)
	if got := string(s.syncs["c"].assignment); got != "3" {
		t.Errorf("c got %q", got)
	}
	s.code(s.g.leave(s.now, s.ids["c"], ""), 0)
	s.code(s.g.leave(s.now, s.ids["c"], ""), errUnknownMember)
	s.is(preparing, 2)
}

func TestGroupLeavesOutWhoIsSilent(t *testing.T) {
	s := newStory(t)
	s.start("a", "b")
	for range 3 {
		s.pass(6 * time.Second)
		s.beat("a")
	}
	s.is(preparing, 1) // b's session is over
	s.code(s.beat("a"), errRebalanceInProgress)
	s.join("a", nil)
	s.is(completing, 2)
	s.code(s.beat("b"), errUnknownMember)
	// Who does not ask for its part in time is left out, too.
	s.join("c", nil)
	s.join("a", nil)
	s.is(completing, 3)
	s.sync("c", nil)
	s.sync("a", nil)
	leader := s.leader()
	other := map[string]string{"a": "c", "c": "a"}[leader]
	s.code(s.g.heartbeat(s.now, s.ids[other], "", 3), 0)
	s.is(stable, 3)
	s.pass(11 * time.Second)
	s.is(empty, s.g.generation)
	if !s.g.idle() {
		t.Error("the group is not idle")
	}
}

func TestGroupWaitsForItsMembersOnlySoLong(t *testing.T) {
	s := newStory(t)
	s.start("a", "b", "c")
	s.join("d", nil)
	s.join("a", nil)
	// b goes on to say that it is there and does not join; c says nothing.
	for range 29 {
		s.pass(time.Second)
		s.beat("b")
	}
	s.is(preparing, 1)
	s.pass(time.Second)
	s.is(completing, 2)
	if len(s.g.members) != 2 {
		t.Errorf("%d members", len(s.g.members))
	}
	s.code(s.beat("b"), errUnknownMember)
	// The leader never deals out: the others are not kept for ever.
	s.pass(31 * time.Second)
	s.is(empty, s.g.generation)
}

func TestGroupNamesMembersFirst(t *testing.T) {
	s := newStory(t)
	named := func(q *joining) { q.named = true }
	s.join("a", named)
	s.code(s.joins["a"].code, errMemberIDRequired)
	if !strings.HasPrefix(s.ids["a"], "a-") {
		t.Errorf("the ID %q", s.ids["a"])
	}
	s.is(empty, 0)
	s.join("a", named)
	s.pass(DefaultGather)
	s.is(completing, 1)
	// An ID that is not used in time is forgotten.
	s.join("b", named)
	s.sync("a", map[string]string{"a": "x"})
	s.is(stable, 1)
	for range 11 {
		s.pass(time.Second)
		s.beat("a")
	}
	s.join("b", named)
	s.code(s.joins["b"].code, errUnknownMember)
	s.is(stable, 1)
	s.join("c", func(q *joining) { q.member = "made up" })
	s.code(s.joins["c"].code, errUnknownMember)
}

func TestGroupKeepsStaticMembers(t *testing.T) {
	s := newStory(t)
	static := func(name string) func(*joining) {
		return func(q *joining) { q.instance, q.named = name, true }
	}
	s.join("a", static("A"))
	s.join("b", static("B"))
	s.pass(DefaultGather)
	for _, n := range []string{"a", "b"} {
		s.sync(n, map[string]string{"a": "1", "b": "2"})
	}
	s.is(stable, 1)
	// b is started again within its session: it gets its part back, and nobody else notices.
	old := s.ids["b"]
	delete(s.ids, "b")
	s.join("b", static("B"))
	s.is(stable, 1)
	s.code(s.joins["b"].code, 0)
	if s.ids["b"] == old {
		t.Error("b has its old ID")
	}
	s.sync("b", nil)
	if got := string(s.syncs["b"].assignment); got != "2" && s.g.leader != s.ids["b"] {
		t.Errorf("b got %q", got)
	}
	s.code(s.beat("a"), 0)
	s.code(s.g.heartbeat(s.now, old, "B", 1), errFencedInstanceID)
	s.code(s.g.commit(s.now, old, "B", 1), errFencedInstanceID)
	s.join("old b", func(q *joining) { q.member, q.instance = old, "B" })
	s.code(s.joins["old b"].code, errFencedInstanceID)
	// With other interests it does concern the others.
	delete(s.ids, "b")
	s.join("b", func(q *joining) { q.instance = "B"; q.protocols = []protocol{{"range", []byte("other")}} })
	s.is(preparing, 1)
	s.join("a", static("A"))
	s.is(completing, 2)
	// An administrator lets it go by its name.
	s.code(s.g.leave(s.now, "", "B"), 0)
	s.code(s.g.leave(s.now, "", "B"), errUnknownMember)
	s.is(preparing, 2)
}

func TestGroupRefuses(t *testing.T) {
	s := newStory(t)
	f := func(want int16, change func(*joining)) {
		t.Helper()
		s.join("x", change)
		if _, ok := s.joins["x"]; !ok || s.joins["x"].code != want {
			t.Errorf("%+v; want code %d", s.joins["x"], want)
		}
		delete(s.ids, "x")
	}
	s.start("a")
	f(errInvalidSessionTimeout, func(q *joining) { q.session = time.Millisecond })
	f(errInvalidSessionTimeout, func(q *joining) { q.session = time.Hour })
	f(errInconsistentProtocol, func(q *joining) { q.protocols = nil })
	f(errInconsistentProtocol, func(q *joining) { q.kind = "" })
	f(errInconsistentProtocol, func(q *joining) { q.kind = "connect" })
	f(errInconsistentProtocol, func(q *joining) { q.protocols = []protocol{{"other", nil}} })
	f(errGroupMaxSize, func(q *joining) { q.protocols = []protocol{{"range", make([]byte, 1000)}} })
	s.is(stable, 1)
	for _, n := range []string{"b", "c", "d", "e"} {
		s.join(n, nil)
	}
	f(errGroupMaxSize, nil)
	f(errGroupMaxSize, func(q *joining) { q.named = true })
	s.join("a", nil)
	s.is(completing, 2)
}

func TestGroupChoosesTheProtocolThatMostLike(t *testing.T) {
	s := newStory(t)
	likes := func(names ...string) func(*joining) {
		return func(q *joining) {
			q.protocols = nil
			for _, n := range names {
				q.protocols = append(q.protocols, protocol{n, []byte(n)})
			}
		}
	}
	s.join("a", likes("x", "y", "z"))
	s.join("b", likes("z", "y"))
	s.join("c", likes("z", "x", "y"))
	s.pass(DefaultGather)
	if s.g.protocol != "z" && s.g.protocol != "y" { // a likes y best of those that all know
		t.Errorf("the protocol %q", s.g.protocol)
	}
	if s.g.protocol != "z" {
		t.Errorf("the protocol %q; two of three like z", s.g.protocol)
	}
}

// Whatever members do in whatever order, each request is answered once in the end, members of
// a generation agree on it, and silence empties the group.
func TestGroupAtRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newStory(t)
		waiting := map[string]bool{}
		names := []string{"a", "b", "c", "d"}
		for range 60 {
			n := names[r.IntN(len(names))]
			switch r.IntN(6) {
			case 0, 1:
				if !waiting[n] {
					waiting[n] = true
					q := s.request(n)
					q.named = r.IntN(2) == 0
					if n == "d" {
						q.instance = "D"
						if r.IntN(3) == 0 {
							q.member = ""
						}
					}
					s.g.join(s.now, q, func(o joinOutcome) {
						if !waiting[n] {
							t.Fatalf("seed %d: %s is answered twice", seed, n)
						}
						waiting[n] = false
						s.joins[n] = o
						if s.ids[n] = o.member; o.code == errUnknownMember || o.code == errFencedInstanceID {
							s.ids[n] = ""
						}
					})
				}
			case 2, 3:
				s.sync(n, map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"})
			case 4:
				s.pass(time.Duration(r.IntN(8)) * time.Second)
			case 5:
				if r.IntN(3) == 0 {
					s.g.leave(s.now, s.ids[n], "")
				} else {
					s.beat(n)
				}
			}
			if s.g.phase == stable || s.g.phase == completing {
				if _, ok := s.g.members[s.g.leader]; !ok && s.g.phase == stable && len(s.g.members) == 0 {
					t.Fatalf("seed %d: %s without members", seed, s.g.phase)
				}
			}
		}
		s.pass(10 * time.Minute)
		if !s.g.idle() || len(s.g.instances) > 0 {
			next, _ := s.g.next()
			for _, m := range s.g.members {
				t.Logf("%+v", m)
			}
			t.Fatalf("seed %d: after a long silence there are %s and the members %v next %v now %v", seed, s.g.phase, slices.Collect(maps.Keys(s.g.members)), next, s.now)
		}
		for n, w := range waiting {
			if w {
				t.Fatalf("seed %d: %s was never answered", seed, n)
			}
		}
	}
}
