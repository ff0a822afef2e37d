package namespace

import (
	"context"
	"errors"
	"sync"
	"time"
)

// closeTimeout is how long taking leave of a server may take.
const closeTimeout = 2 * time.Second

// Closer is a client or a link of one.
type Closer interface {
	comparable
	Close(context.Context) error
}

// Held is a client that is made when it is needed, and made anew when it was dropped. Several
// goroutines may use it.
type Held[T Closer] struct {
	// Make makes it; it does not wait for the network.
	Make func() (T, error)

	mu     sync.Mutex
	now    T
	closed bool
}

// ErrClosed is the error of a Held that was closed.
var ErrClosed = errors.New("it is closed")

// Get is the client.
func (h *Held[T]) Get() (c T, err error) {
	var none T
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return none, ErrClosed
	}
	if h.now == none {
		h.now, err = h.Make()
	}
	return h.now, err
}

// Drop closes a client, with its connection, if it is the one that is held.
func (h *Held[T]) Drop(c T) {
	var none T
	h.mu.Lock()
	mine := c != none && h.now == c
	if mine {
		h.now = none
	}
	h.mu.Unlock()
	if mine {
		Shut(c)
	}
}

// Close closes the client, and there is no other one.
func (h *Held[T]) Close() {
	h.mu.Lock()
	h.closed = true
	c := h.now
	h.mu.Unlock()
	h.Drop(c)
}

// Shut closes a client or a link. An error of it is that the peer has not taken leave.
func Shut(c interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.Close(ctx)
}
