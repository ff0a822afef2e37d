package cosmos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
)

var (
	crashRounds = flag.Int("rounds", 3, "stories of crashes to run")
	crashSeed   = flag.Uint64("seed", 1, "the first seed")
)

// TestCrash: a job reads the feed of a container and writes its documents to another one, as new
// documents without an id of their own. The process dies again and again, at any operation of the
// disk, requests fail, and a range splits. In the end each document is there once.
func TestCrash(t *testing.T) {
	for seed := *crashSeed; seed < *crashSeed+uint64(*crashRounds) && !t.Failed(); seed++ {
		(&story{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 3)), events: 120}).run()
	}
}

// story is a run of a seed.
type story struct {
	t       *testing.T
	seed    uint64
	rand    *rand.Rand
	f       *fake
	in, out *fakeContainer
	disk    *disk.Mem
	events  int
	put     int // events that are there
	deaths  int
}

func (s *story) run() {
	s.f, s.disk = newFake(s.t), disk.NewMem(s.seed)
	s.in, s.out = s.f.container("shop", "events", "/k", "20"), s.f.container("shop", "teams", "/k")
	s.in.limit = 11
	var n atomic.Uint64
	s.f.setFault(func(kind string, _ *http.Request) *fakeFault {
		switch k := n.Add(1) * (2*s.seed + 1) % 23; {
		case kind == "container" || kind == "account" || kind == "ranges":
		case k == 3:
			return &fakeFault{status: http.StatusTooManyRequests, after: time.Millisecond}
		case k == 5 && kind == "batch":
			return &fakeFault{cut: true, done: true}
		case k == 7 && kind != "feed":
			return &fakeFault{status: http.StatusRequestTimeout}
		case k == 9:
			return &fakeFault{status: statusRetry}
		}
		return nil
	})
	for !s.life() {
		s.deaths++
	}
	count := map[string]int{}
	for id, doc := range s.f.documents(s.out) {
		text, _, _ := strings.Cut(doc[strings.Index(doc, `"n":`)+4:], "}")
		if count[text]++; count[text] > 1 {
			s.t.Errorf("seed %d: event %s is there twice, once as %s", s.seed, text, id)
		}
	}
	if len(count) != s.events {
		s.t.Errorf("seed %d: %d events came through, not %d", s.seed, len(count), s.events)
	}
}

// open opens the job as another process does.
func (s *story) open(ctx context.Context) (*job.Live, error) {
	script, list := saql.Parse(`SELECT n, k INTO o FROM e`)
	p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() || more.HasErrors() {
		s.t.Fatal(list, more)
	}
	return job.OpenLive(ctx, s.disk.Boot(), job.LiveSpec{Name: "story", Plan: p, Late: 5 * time.Second, Checkpoint: 20 * time.Millisecond, Start: job.StartBeginning,
		Inputs: []job.LiveInput{{Name: "e", Open: func(env connect.SourceEnv) (connect.Source, error) {
			return openSource(ctx, s.f.config(true, map[string]any{"container": "events"}), env)
		}}},
		Outputs: []job.LiveOutput{{Name: "o", OnError: job.OnErrorStop, Open: func(env connect.SinkEnv) (connect.Sink, error) {
			return openSink(ctx, s.f.config(false, nil), env)
		}}}})
}

// life runs a process until it dies, and reports whether all is done.
func (s *story) life() bool {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	if s.deaths < 5 {
		if n := int64(1 + s.rand.IntN(250)); s.rand.IntN(3) == 0 {
			s.disk.KillAt(n)
		} else {
			s.disk.CrashAt(n)
		}
	}
	for to := min(s.put+20, s.events); s.put < to; {
		s.put++
		s.f.put(s.in, fmt.Sprintf(`{"id":"%d","n":%d,"k":"k%d"}`, s.put, s.put, s.put%9))
	}
	if s.deaths == 2 {
		s.f.split(s.in, "0", "10")
	}
	live, err := s.open(ctx)
	if err != nil {
		if !errors.Is(err, disk.ErrPower) {
			s.t.Fatalf("seed %d: %v", s.seed, err)
		}
		s.disk.Restart()
		return false
	}
	ended := make(chan error, 1)
	go func() { ended <- live.Run(ctx) }()
	done := s.watch(live)
	cancel()
	err = <-ended
	s.disk.Restart()
	if done && err != nil {
		s.t.Fatalf("seed %d: %v", s.seed, err)
	}
	return done
}

// watch waits until the process has died or all events are through. One that outlives those that
// are there now is killed.
func (s *story) watch(live *job.Live) (done bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case <-tick.C:
		case <-deadline:
			st := live.Stats()
			s.t.Fatalf("seed %d: %d of %d came through: %s %s", s.seed, len(s.f.documents(s.out)), s.events, st.State, st.Reason)
		}
		if _, err := s.disk.Stat("."); errors.Is(err, disk.ErrPower) {
			return false
		}
		if st := live.Stats(); st.State == job.Failed {
			s.t.Fatalf("seed %d: %s", s.seed, st.Reason)
		}
		if n := len(s.f.documents(s.out)); n >= s.put {
			if n >= s.events {
				return true
			}
			s.disk.Kill()
			return false
		}
	}
}
