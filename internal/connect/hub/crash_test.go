package hub

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
)

var (
	crashRounds = flag.Int("rounds", 100, "stories of crashes to run")
	crashSeed   = flag.Uint64("seed", 1, "the first seed")
)

// TestCrash: events are sent to a hub, a job reads them and writes them to another hub, and the
// process dies again and again, at any operation of the disk. In the end each event is in both
// hubs once, and those of a key are in their order.
func TestCrash(t *testing.T) {
	for seed := *crashSeed; seed < *crashSeed+uint64(*crashRounds); seed++ {
		synctest.Test(t, func(t *testing.T) { newStory(t, seed).run() })
		if t.Failed() {
			return
		}
	}
}

// story is a run of a seed.
type story struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	disk   *disk.Mem
	events int
	plan   *plan.Plan
	in     map[string]any
	out    map[string]any
	deaths int
}

func newStory(t *testing.T, seed uint64) *story {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &story{t: t, seed: seed, rand: r, disk: disk.NewMem(seed), events: 30 + r.IntN(60), in: map[string]any{"hub": "in"}, out: map[string]any{"hub": "out"}}
	s.disk.Clock(time.Now)
	if r.IntN(3) > 0 {
		s.out["partition_key"] = "k"
		if r.IntN(2) == 0 {
			s.out["pack"], s.out["pack_bytes"] = message.PackLines, int64(40)
		}
	}
	script, list := saql.Parse(`SELECT n, k INTO o FROM e`)
	p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() || more.HasErrors() {
		t.Fatal(list, more)
	}
	s.plan = p
	return s
}

// process is one life.
type process struct {
	broker *hub.Broker
	live   *job.Live
}

func (s *story) open(ctx context.Context) (*process, error) {
	fs := s.disk.Boot()
	dir, err := fs.Sub("hub")
	if err != nil {
		return nil, err
	}
	p := &process{}
	if p.broker, err = hub.Open(hub.Options{FS: dir}); err != nil {
		return nil, err
	}
	for name, n := range map[string]int{"in": 1 + int(s.seed%3), "out": 1 + int(s.seed/3%3)} {
		if _, err := p.broker.Hub(name); err != nil {
			if _, err := p.broker.Create(hub.Config{Name: name, Partitions: n}); err != nil {
				return nil, errors.Join(err, p.broker.Close())
			}
		}
	}
	ctx = With(ctx, p.broker)
	state, err := fs.Sub("job")
	if err == nil {
		p.live, err = job.OpenLive(ctx, state, job.LiveSpec{Name: "story", Plan: s.plan, Late: 5 * time.Second, Checkpoint: 300 * time.Millisecond, Start: job.StartBeginning,
			Inputs:  []job.LiveInput{{Name: "e", Open: func(env connect.SourceEnv) (connect.Source, error) { return openSource(ctx, config(true, s.in), env) }}},
			Outputs: []job.LiveOutput{{Name: "o", OnError: job.OnErrorStop, Open: func(env connect.SinkEnv) (connect.Sink, error) { return openSink(ctx, config(false, s.out), env) }}}})
	}
	if err != nil {
		return nil, errors.Join(err, p.broker.Close())
	}
	return p, nil
}

// send sends the events that the hub has not yet, as a client does that numbers them.
func (s *story) send(ctx context.Context, b *hub.Broker) error {
	h, err := b.Hub("in")
	if err != nil {
		return err
	}
	at := 0
	for _, p := range h.Partitions() {
		if _, last, ok := p.Last("client"); ok {
			at = max(at, int(last))
		}
	}
	for n := at + 1; n <= s.events; n++ {
		if n%int(2+s.seed%12) == 0 { // they come in bursts, so that an epoch has rows for several partitions
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(n*7919%200) * time.Millisecond):
			}
		}
		key := fmt.Sprint("k", n%5)
		body := fmt.Appendf(nil, `{"n":%d,"k":%q}`, n, key)
		part := h.Route([]byte(key))
		if _, err := part.Append([]hub.Event{{Key: []byte(key), Message: (&amqp.Message{Body: body}).Append(nil)}}, &hub.Producer{ID: "client", First: int64(n), Last: int64(n)}); err != nil {
			return err
		}
	}
	return nil
}

// run lives until all events are through.
func (s *story) run() {
	for !s.life() {
		s.deaths++
	}
	fs, err := s.disk.Boot().Sub("hub")
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := hub.Open(hub.Options{FS: fs})
	if err != nil {
		s.t.Fatal(err)
	}
	defer b.Close()
	in, err := bodies(b, "in")
	if err != nil || len(in) != s.events {
		s.t.Fatalf("seed %d: %d events in the first hub, not %d, %v", s.seed, len(in), s.events, err)
	}
	s.check(b)
}

// check looks at the second hub.
func (s *story) check(b *hub.Broker) {
	type row struct {
		N int
		K string
	}
	seen := map[int]bool{}
	last := map[string]int{}
	err := messagesOf(b, "out", func(_ int, _ []byte, m amqp.Message) {
		for line := range strings.Lines(string(m.Body)) {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				s.t.Fatal(err)
			}
			if seen[r.N] {
				s.t.Errorf("seed %d: event %d is there twice", s.seed, r.N)
			}
			seen[r.N] = true
			if s.out["partition_key"] != nil && r.N < last[r.K] {
				s.t.Errorf("seed %d: event %d stands behind %d", s.seed, r.N, last[r.K])
			}
			last[r.K] = r.N
		}
	})
	if err != nil || len(seen) != s.events {
		s.t.Errorf("seed %d: %d events came through, not %d, %v", s.seed, len(seen), s.events, err)
	}
}

// life runs a process until it dies, and reports whether all is done.
func (s *story) life() bool {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	if s.deaths < 6 {
		n := int64(1 + s.rand.IntN(400))
		if s.rand.IntN(3) == 0 {
			s.disk.KillAt(n)
		} else {
			s.disk.CrashAt(n)
		}
	}
	p, err := s.open(ctx)
	if err != nil {
		if !errors.Is(err, disk.ErrPower) {
			s.t.Fatalf("seed %d: %v", s.seed, err)
		}
		s.disk.Restart()
		return false
	}
	sent, ended := make(chan error, 1), make(chan error, 1)
	go func() { sent <- s.send(ctx, p.broker) }()
	go func() { ended <- p.live.Run(ctx) }()
	done := s.watch(p)
	cancel()
	sendErr, runErr := <-sent, <-ended
	p.broker.Close() // after a death it fails
	if !done {
		s.disk.Restart()
		return false
	}
	if sendErr != nil || runErr != nil {
		s.t.Fatalf("seed %d: %v, %v", s.seed, sendErr, runErr)
	}
	s.disk.Restart() // nothing more is ordered
	return true
}

// watch waits until the process has died or all events are through.
func (s *story) watch(p *process) (done bool) {
	for end := time.Now().Add(time.Hour); ; {
		time.Sleep(20 * time.Millisecond)
		if _, err := s.disk.Stat("."); errors.Is(err, disk.ErrPower) {
			return false
		}
		if st := p.live.Stats(); st.State == job.Failed {
			s.t.Fatalf("seed %d: %s", s.seed, st.Reason)
		}
		rows := 0
		err := messagesOf(p.broker, "out", func(_ int, _ []byte, m amqp.Message) { rows += strings.Count(string(m.Body), "{") })
		if err != nil {
			continue // it dies
		}
		if rows >= s.events {
			return true
		}
		if time.Now().After(end) {
			st := p.live.Stats()
			in, _ := bodies(p.broker, "in")
			s.t.Fatalf("seed %d: %d of %d came through (%d sent): %s %s", s.seed, rows, s.events, len(in), st.State, st.Reason)
		}
	}
}

// TestGroupShowsProgress: others see how far a job is in its consumer group.
func TestGroupShowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, 4)
		s.deaths = 9
		s.in["consumer_group"] = "asa"
		s.run()
		fs, err := s.disk.Boot().Sub("hub")
		if err != nil {
			t.Fatal(err)
		}
		b, err := hub.Open(hub.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		h, err := b.Hub("in")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(h.Config().Groups, "asa") {
			t.Errorf("groups: %v", h.Config().Groups)
		}
		for _, p := range h.Partitions() {
			c, ok := h.Offset("asa", p.ID())
			if rg := p.Range(); rg.Next > 0 && (!ok || c.Seq == 0 || c.Seq > rg.Next) {
				t.Errorf("partition %d: %v %v of %d", p.ID(), c, ok, rg.Next)
			}
		}
	})
}
