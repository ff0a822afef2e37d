package http

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"weir/internal/connect/intake"
)

// keys are the idempotency keys of requests whose events are in the log. They are there with
// the first event of their request, so both survive a crash or neither.
type keys struct {
	keep time.Duration

	mu    sync.Mutex
	known map[string]*request
	order []*request // oldest first
}

// request is one that has a key: under way, or taken.
type request struct {
	key   string
	print string        // of its body
	done  chan struct{} // closed when it is known what became of it
	taken taken
	ok    bool
	at    time.Time
}

// taken is where the events of a request are in the log.
type taken struct {
	Accepted int   `json:"accepted"`
	First    int64 `json:"first"`
}

// printName is the property of the first event of a request that tells another body with the
// same key.
const printName = "body"

func fingerprint(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:12])
}

// begin gives the request of a key: mine says that it is the caller's to do. Otherwise
// another one has done it, or is about to, and closes done.
func (k *keys) begin(key, print string) (r *request, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.known[key]; r != nil {
		return r, false
	}
	r = &request{key: key, print: print, done: make(chan struct{})}
	k.known[key] = r
	return r, true
}

// end says what became of a request.
func (k *keys) end(r *request, t taken, at time.Time, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.taken, r.at, r.ok = t, at, ok
	close(r.done)
	if !ok {
		delete(k.known, r.key)
		return
	}
	k.order = append(k.order, r)
	k.forget(at)
}

// forget drops what is too old or too much. mu is held.
func (k *keys) forget(now time.Time) {
	n := 0
	for n < len(k.order) && (len(k.order)-n > MaxKeys || now.Sub(k.order[n].at) > k.keep) {
		delete(k.known, k.order[n].key)
		n++
	}
	k.order = k.order[n:]
}

// load reads the keys of what the log still has.
func (k *keys) load(kept *intake.Log, now time.Time) error {
	k.known = map[string]*request{}
	return kept.Each(now.Add(-k.keep), func(seq int64, at time.Time, records []intake.Record) error {
		if first := &records[0]; first.Key != nil {
			if q, mine := k.begin(string(first.Key), property(first.Properties, printName)); mine {
				k.end(q, taken{len(records), seq}, at, true)
			}
		}
		return nil
	})
}

func property(list []intake.Property, name string) string {
	for _, p := range list {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}
