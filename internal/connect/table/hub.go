package table

import (
	"context"
	"sync"
	"time"
)

// hub tells the followers of a table that it has changed: at once if this process wrote, and
// after a look every pollEvery if another one did. Stores of one file share it.
type hub struct {
	path string

	mu        sync.Mutex
	stores    int
	followers map[*follower]struct{}
}

// pollEvery is how often changes by other processes are looked for.
const pollEvery = 100 * time.Millisecond

var hubs = struct {
	sync.Mutex
	byPath map[string]*hub
}{byPath: map[string]*hub{}}

// join gives the hub of a file.
func join(path string) *hub {
	hubs.Lock()
	defer hubs.Unlock()
	h := hubs.byPath[path]
	if h == nil {
		h = &hub{path: path, followers: map[*follower]struct{}{}}
		hubs.byPath[path] = h
	}
	h.stores++
	return h
}

// leave is called once for each join.
func (h *hub) leave() {
	hubs.Lock()
	defer hubs.Unlock()
	if h.stores--; h.stores == 0 {
		delete(hubs.byPath, h.path)
	}
}

// signal tells all followers.
func (h *hub) signal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for f := range h.followers {
		select {
		case f.ready <- struct{}{}:
		default:
		}
	}
}

// follower is told of changes, at first too.
type follower struct {
	hub   *hub
	ready chan struct{}
	stop  context.CancelFunc
	ended chan struct{}
}

// follow begins to tell. s is looked at for changes by other processes.
func (h *hub) follow(s *Store) *follower {
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{hub: h, ready: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	f.ready <- struct{}{}
	h.mu.Lock()
	h.followers[f] = struct{}{}
	h.mu.Unlock()
	go f.look(ctx, s)
	return f
}

// look tells of changes by other processes.
func (f *follower) look(ctx context.Context, s *Store) {
	defer close(f.ended)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	known := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		last, err := s.last(ctx, s.read)
		if err == nil && last == known {
			continue
		}
		// An error is for who reads to find.
		known = last
		select {
		case f.ready <- struct{}{}:
		default:
		}
	}
}

func (f *follower) close() {
	f.hub.mu.Lock()
	delete(f.hub.followers, f)
	f.hub.mu.Unlock()
	f.stop()
	<-f.ended
}
