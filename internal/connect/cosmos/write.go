package cosmos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/connect"
)

// document is a row on its way to the container.
type document struct {
	frame
	index int // of the row in its epoch
	done  bool
}

// refuse notes that the container does not take a document.
func (d *document) refuse(name, column, reason string) {
	d.bad, d.column, d.reason = name, column, reason
}

// writer sends documents.
type writer struct {
	target    *container
	mode      string
	keyed     bool // the container has a partition key
	batchRows int
	writers   int
	pause     func(ctx context.Context, d time.Duration) error

	mu     sync.Mutex
	free   *sync.Cond
	limit  int // of requests that are under way: it falls when the service throttles
	active int
	good   int // requests in a row that were taken
	failed error
	units  float64
}

func newWriter(target *container, c connect.Config, keyed bool) *writer {
	w := &writer{target: target, mode: modeOf(c), keyed: keyed, batchRows: int(c.Int("batch_rows")), writers: int(c.Int("writers")), pause: pause}
	w.limit = w.writers
	w.free = sync.NewCond(&w.mu)
	return w
}

// begin starts an epoch, or another try of it.
func (w *writer) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed, w.units = nil, 0
}

// charged is what the requests since begin have cost, in request units.
func (w *writer) charged() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.units
}

// write sends the documents that are not done: those of one partition key one after another, in
// their order. It marks those that were taken, and those that the container does not take. After
// an error some may be sent and others not.
func (w *writer) write(ctx context.Context, list []*document) error {
	groups := map[string][]*document{}
	var order []string
	for _, d := range list {
		if d.done || d.bad != "" {
			continue
		}
		key := "0"
		if d.key != nil {
			key = "1" + string(d.key)
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], d)
	}
	next := make(chan []*document)
	var wg sync.WaitGroup
	for range min(w.writers, len(order)) {
		wg.Go(func() {
			for group := range next {
				if w.stopped() == nil {
					w.fail(w.group(ctx, group))
				}
			}
		})
	}
	for _, key := range order {
		next <- groups[key]
	}
	close(next)
	wg.Wait()
	return w.stopped()
}

// fail notes the first error, which ends the call.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
}

func (w *writer) stopped() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// group sends the documents of one partition key.
func (w *writer) group(ctx context.Context, list []*document) error {
	rows := w.batchRows
	if w.mode == modeMerge {
		rows = 1
	}
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && n < rows && (n == 0 || size+len(list[n].doc) <= maxBatchBytes) {
			size += len(list[n].doc)
			n++
		}
		if err := w.batch(ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// batch sends documents of one partition key in one transaction. One that the container does not
// take is marked, and the others are sent without it.
func (w *writer) batch(ctx context.Context, list []*document) error {
	if len(list) < 2 {
		for _, d := range list {
			if err := w.one(ctx, d); err != nil {
				return err
			}
		}
		return nil
	}
	b := w.target.NewTransactionalBatch(w.key(list[0]))
	for _, d := range list {
		if w.creates(d) {
			b.CreateItem(d.doc, nil)
		} else {
			b.UpsertItem(d.doc, nil)
		}
	}
	var r azcosmos.TransactionalBatchResponse
	throttled := 0
	f := w.request(ctx, func(ctx context.Context) (units float32, f *fault) {
		var err error
		r, err = w.target.ExecuteTransactionalBatch(ctx, b, nil)
		if f = w.target.fault(err); f == nil && !r.Success {
			if f = firstFailure(&r); f != nil && f.throttled() {
				f.after = retryAfter(r.RawResponse)
			}
		}
		if f != nil && f.throttled() {
			throttled++
			f.split = throttled > 1 // a smaller one may be taken
		}
		return r.RequestCharge, f
	})
	switch {
	case f == nil:
		for _, d := range list {
			d.done = true
		}
		return nil
	case f.split || f.culprit < 0 && isRowFault(f.status):
		// One of them may be at fault, or all together are too many.
		if err := w.batch(ctx, list[:len(list)/2]); err != nil {
			return err
		}
		return w.batch(ctx, list[len(list)/2:])
	case f.culprit >= 0 && f.culprit < len(list) && isRowFault(f.status):
		if err := w.batch(ctx, list[:f.culprit]); err != nil {
			return err
		}
		if err := w.one(ctx, list[f.culprit]); err != nil {
			return err
		}
		return w.batch(ctx, list[f.culprit+1:])
	}
	return fmt.Errorf("%s: %w%s", w.target.where, f, w.target.hint(f))
}

// firstFailure is why a transaction was not done; the operations that only failed with it have
// the status 424.
func firstFailure(r *azcosmos.TransactionalBatchResponse) *fault {
	for i, o := range r.OperationResults {
		if o.StatusCode >= 400 && o.StatusCode != http.StatusFailedDependency {
			return &fault{status: int(o.StatusCode), culprit: i, text: fmt.Sprintf("HTTP %d %s", o.StatusCode, http.StatusText(int(o.StatusCode)))}
		}
	}
	return &fault{culprit: -1, text: "a transaction was not done, and the answer does not say why"}
}

// isRowFault reports whether an answer is about a document, not about the service.
func isRowFault(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// creates reports whether a document must be new. An id of ours is sent again only with the same
// document.
func (w *writer) creates(d *document) bool { return w.mode == modeInsert && !d.made }

// key is the partition key of a document.
func (w *writer) key(d *document) azcosmos.PartitionKey {
	switch {
	case !w.keyed:
		return azcosmos.NewPartitionKey()
	case d.key == nil:
		return azcosmos.NullPartitionKey
	}
	return azcosmos.NewPartitionKeyString(string(d.key))
}

// one sends a document alone.
func (w *writer) one(ctx context.Context, d *document) error {
	var f *fault
	switch {
	case w.mode == modeMerge:
		f = w.merge(ctx, d)
	case w.creates(d):
		f = w.create(ctx, d)
	default:
		f = w.request(ctx, func(ctx context.Context) (float32, *fault) {
			r, err := w.target.UpsertItem(ctx, w.key(d), d.doc, nil)
			return r.RequestCharge, w.target.fault(err)
		})
	}
	switch {
	case f == nil:
		d.done = true
	case f.status == http.StatusRequestEntityTooLarge:
		d.refuse(errSize, "", f.text)
	case f.status == http.StatusConflict:
		d.refuse(errDuplicate, "id", f.text)
	case isRowFault(f.status):
		d.refuse(errType, "", f.text)
	default:
		return fmt.Errorf("%s: %w%s", w.target.where, f, w.target.hint(f))
	}
	return nil
}

// The pauses while the service throttles, if it does not say how long, and how long one request
// is tried before the job counts as degraded. It is tried on then too.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
	patience     = 20 * time.Second
)

// request does a request until it is not throttled any more.
func (w *writer) request(ctx context.Context, do func(ctx context.Context) (units float32, f *fault)) *fault {
	waited := time.Duration(0)
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		w.acquire()
		units, f := do(ctx)
		w.release(units, f)
		if f == nil || !f.throttled() {
			return f
		}
		d := f.after
		if d <= 0 {
			d = wait
		}
		if waited += d; waited > patience {
			f.split = false
			return f
		}
		if err := w.pause(ctx, d); err != nil {
			return &fault{culprit: -1, text: err.Error(), err: err}
		}
		if f.split {
			return f
		}
	}
}

// acquire waits until another request may be under way.
func (w *writer) acquire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.active >= w.limit {
		w.free.Wait()
	}
	w.active++
}

// release ends a request. The limit falls to half when the service throttles, and rises by one
// after as many requests as it allows.
func (w *writer) release(units float32, f *fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
	w.units += float64(units)
	switch {
	case f != nil && f.status == http.StatusTooManyRequests:
		w.limit, w.good = max(w.limit/2, 1), 0
	case f == nil && w.limit < w.writers:
		if w.good++; w.good >= w.limit {
			w.limit, w.good = w.limit+1, 0
		}
	}
	w.free.Broadcast()
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
