package hub

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"sync/atomic"
	"time"
)

// KeyCheck is how often protocols look whether the key that an open connection came in with is
// still one. A key that was replaced or removed was perhaps stolen: whoever came in with it, or
// with a token that it has signed, does not stay until the token ends.
const KeyCheck = 10 * time.Second

// signer is the key that a grant comes from.
type signer struct {
	b    *Broker
	sum  [sha256.Size]byte // of the key
	good atomic.Uint64     // 1 + the revision of the rules in which it was found
}

// Signed binds a grant to a key, so that it ends when the key is replaced or removed. Token and
// Password have done so.
func (b *Broker) Signed(g Grant, key string) Grant {
	g.signer = &signer{b: b, sum: sha256.Sum256([]byte(key))}
	return g
}

// Revoked says why the key of a grant is no key any more; nil if it is one.
func (g Grant) Revoked() error {
	s := g.signer
	if s == nil {
		return nil
	}
	now := s.b.revision.Load() + 1
	if s.good.Load() == now {
		return nil
	}
	for _, c := range s.b.candidates(g.Rule, g.Hub, false) {
		sum := sha256.Sum256([]byte(c.key))
		if subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 1 && c.rights != 0 {
			s.good.Store(now)
			return nil
		}
	}
	return fmt.Errorf("%w: the key %q was replaced or removed", ErrUnauthorized, g.Rule)
}
