package kafka

import (
	"context"
	"sync"
)

// memory is bytes that may be in use at once. Who asks for more than is free waits; those
// who wait are served in order, so that a large one is not passed by for ever.
type memory struct {
	mu   sync.Mutex
	size int64
	used int64
	wait []*claim
}

type claim struct {
	n     int64
	given chan struct{}
}

// take waits until n bytes are free and takes them. n must not be above the size.
func (m *memory) take(ctx context.Context, n int64) error {
	m.mu.Lock()
	if len(m.wait) == 0 && m.used+n <= m.size {
		m.used += n
		m.mu.Unlock()
		return nil
	}
	c := &claim{n, make(chan struct{})}
	m.wait = append(m.wait, c)
	m.mu.Unlock()
	select {
	case <-c.given:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, w := range m.wait {
		if w == c {
			m.wait = append(m.wait[:i], m.wait[i+1:]...)
			m.serve() // it may have been the large one that the others waited behind
			return context.Cause(ctx)
		}
	}
	m.used -= n // it was given at the same moment
	m.serve()
	return context.Cause(ctx)
}

// give gives back n bytes.
func (m *memory) give(n int64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	m.serve()
}

// serve gives to those who wait. mu is held.
func (m *memory) serve() {
	for len(m.wait) > 0 && m.used+m.wait[0].n <= m.size {
		m.used += m.wait[0].n
		close(m.wait[0].given)
		m.wait = m.wait[1:]
	}
}

func (m *memory) inUse() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}
