package log

// Watch lets ready, which must have room for one, be signalled whenever there may be more to
// read in the partition, until stop is called. One channel may watch any number of
// partitions, so who waits for all of them needs no reader of each.
func (p *Partition) Watch(ready chan struct{}) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready[ready] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.ready, ready)
	}
}
