package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how many attempts to reach a broker fail, one after another, before it is said:
// that takes a second or two. The client goes on trying in any case.
const patience = 6

// health notes which brokers answer: the client hides that they do not, since it tries again
// for as long as it takes.
type health struct {
	mu    sync.Mutex
	nodes map[int32]*trouble
}

// trouble is what is wrong with a broker.
type trouble struct {
	failures int
	err      error
}

func newHealth() *health { return &health{nodes: map[int32]*trouble{}} }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h *health) OnBrokerConnect(m kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	h.note(m, err)
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (h *health) OnBrokerE2E(m kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) { h.note(m, e.Err()) }

func (h *health) note(m kgo.BrokerMetadata, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.nodes, m.NodeID)
		return
	}
	t := h.nodes[m.NodeID]
	if t == nil {
		t = &trouble{}
		h.nodes[m.NodeID] = t
	}
	t.failures++
	t.err = fmt.Errorf("broker %s: %w", net.JoinHostPort(m.Host, fmt.Sprint(m.Port)), err)
}

// of is what is wrong with a broker; nil if it answers, or has not been tried for long.
func (h *health) of(node int32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.nodes[node]; t != nil && t.failures >= patience {
		return t.err
	}
	return nil
}

// any is what is wrong with any broker.
func (h *health) any() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.nodes {
		if t.failures >= patience {
			return t.err
		}
	}
	return nil
}

// last is the latest thing that was wrong with a broker which has not answered since, however
// often: it says more than a deadline does.
func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.nodes {
		return t.err
	}
	return nil
}

// forget begins anew.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.nodes)
}
