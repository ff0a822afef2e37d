package job

import (
	"fmt"
	"sync"

	"weir/internal/exec"
)

// turns hands out blocks in the order of the file and lets their decoded events in, in the
// same order.
type turns struct {
	mu     sync.Mutex // guards reading: source, carry, read
	carry  []byte
	read   int // blocks handed out
	gate   sync.Mutex
	open   *sync.Cond // on gate
	turn   int        // the block that may enter
	failed error      // guarded by gate
}

// parallel reads an input of lines on several goroutines. It returns when all of them
// have ended.
func (r *run) parallel(g *exec.Graph, s *source) error {
	t := &turns{}
	t.open = sync.NewCond(&t.gate)
	for w := range r.o.Workers {
		s.decoder(w)
	}
	var wg sync.WaitGroup
	for w := range r.o.Workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			t.work(r, g, s, s.decs[w])
		}()
	}
	wg.Wait()
	return t.failed
}

// work takes blocks until there are none: reads, decodes, waits for its turn, pushes.
func (t *turns) work(r *run, g *exec.Graph, s *source, d *decoder) {
	var b block
	for {
		t.mu.Lock()
		ok, err := s.nextLines(&b, &t.carry)
		b.seq = t.read
		t.read++
		t.mu.Unlock()
		if !ok && err == nil {
			return
		}
		if err == nil {
			d.Begin(b.offset, 1)
			_, err = d.decode(&b)
		}
		if t.enter(b.seq) {
			if err == nil {
				err = t.push(r, g, s, d, &b)
			} else {
				err = fmt.Errorf("input %q: %w", s.Name, err)
			}
		}
		if t.leave(err) {
			return
		}
	}
}

// push gives the decoded rows of a block to the operators, and decodes what did not fit
// in one batch.
func (t *turns) push(r *run, g *exec.Graph, s *source, d *decoder, b *block) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.deliver(g, s, b, d); err != nil {
		return err
	}
	if b.pos < len(b.data) {
		if err := r.push(g, s, b, d); err != nil {
			return err
		}
	}
	_, line := d.Position()
	s.line += line - 1
	return nil
}

// enter waits for the turn of a block. It reports false if the run has failed meanwhile.
func (t *turns) enter(seq int) bool {
	t.gate.Lock()
	defer t.gate.Unlock()
	for t.turn != seq {
		t.open.Wait()
	}
	return t.failed == nil
}

// leave lets the next block in. It reports whether the run has failed.
func (t *turns) leave(err error) bool {
	t.gate.Lock()
	defer t.gate.Unlock()
	t.turn++
	if t.failed == nil {
		t.failed = err
	}
	t.open.Broadcast()
	return t.failed != nil
}
