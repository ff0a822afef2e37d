package cosmos

import (
	"context"
	"strconv"

	"weir/internal/connect"
	"weir/internal/vec"
)

// reader reads the log of a range.
type reader struct {
	p      *part
	log    connect.Reader
	props  map[string]vec.Value
	ready  chan struct{}
	closed chan struct{}
	ended  chan struct{}
}

func newReader(p *part, log connect.Reader) *reader {
	r := &reader{p: p, log: log, ready: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{}),
		props: map[string]vec.Value{"PartitionId": vec.StringValue(strconv.Itoa(p.index))}}
	p.watch(r.ready)
	go r.forward()
	return r
}

// forward signals that the log has more.
func (r *reader) forward() {
	defer close(r.ended)
	for {
		select {
		case <-r.closed:
			return
		case <-r.log.Ready():
		}
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Read implements connect.Reader. The errors of the feed come when nothing else is left.
func (r *reader) Read(ctx context.Context, most int, until connect.Position) (connect.Chunk, error) {
	r.p.mu.Lock()
	clock, failed := r.p.clock, r.p.failed
	r.p.mu.Unlock()
	c, err := r.log.Read(ctx, most, until)
	if err != nil {
		return connect.Chunk{}, err
	}
	c.Clock, c.Properties = 0, r.props
	if until != "" {
		return c, nil
	}
	if n, ok := r.p.log.Waiting("0", c.Next); ok && n == 0 {
		c.Clock = clock
		if len(c.Data) == 0 && failed != nil {
			return connect.Chunk{}, failed
		}
	}
	return c, nil
}

// Close implements connect.Reader.
func (r *reader) Close() error {
	select {
	case <-r.closed:
		return nil
	default:
	}
	close(r.closed)
	<-r.ended
	r.p.unwatch(r.ready)
	return r.log.Close()
}
