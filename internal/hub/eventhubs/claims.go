package eventhubs

import (
	"fmt"
	"strings"
	"time"

	"weir/internal/hub"
)

// MaxClaims bounds the audiences that a connection has put tokens for.
const MaxClaims = 4096

// claims are what a connection may do: by the key that it was opened with, and by the
// tokens it has put since, of which there is one an audience.
type claims struct {
	key    *hub.Grant           // of SASL PLAIN
	tokens map[string]hub.Grant // by audience: a path in lower case without host
}

// put checks a token and keeps it for an audience; it takes the place of the one before.
// The token's own resource must be the audience or above it.
func (c *claims) put(b *hub.Broker, audience, token string, now time.Time) error {
	path, err := pathOf(audience)
	if err != nil {
		return err
	}
	g, err := checkToken(b, token, path)
	if err != nil {
		return err
	}
	path = strings.ToLower(path)
	if _, known := c.tokens[path]; !known && len(c.tokens) >= MaxClaims {
		c.forget(now)
		if len(c.tokens) >= MaxClaims {
			return fmt.Errorf("%w tokens on one connection: %d is the most", hub.ErrTooMany, MaxClaims)
		}
	}
	if c.tokens == nil {
		c.tokens = map[string]hub.Grant{}
	}
	c.tokens[path] = g
	return nil
}

// checkToken is what a token gives for a path, which must be that of its resource or below.
func checkToken(b *hub.Broker, token, path string) (hub.Grant, error) {
	g, err := b.Token(token)
	if err == nil && !within(path, g.Hub+"/"+g.Path) {
		err = fmt.Errorf("%w: the token is for another resource", hub.ErrUnauthorized)
	}
	return g, err
}

// within reports whether a path is another one or below it, segment by segment and without
// case: hub10 is not within hub1.
func within(path, above string) bool {
	path, above = strings.ToLower(strings.Trim(path, "/")), strings.ToLower(strings.Trim(above, "/"))
	return above == "" || path == above || strings.HasPrefix(path, above+"/")
}

// forget drops the tokens that have expired.
func (c *claims) forget(now time.Time) {
	for path, g := range c.tokens {
		if !g.Expires.After(now) {
			delete(c.tokens, path)
		}
	}
}

// may says until when something may be done with an address; a zero time is without end.
// Of the grants for the address and those above it, the one counts that lasts longest. The
// error says why the closest one does not allow it.
func (c *claims) may(right hub.Right, a address, now time.Time) (until time.Time, err error) {
	if c.key != nil {
		return time.Time{}, c.key.MayAt(right, a.hub, a.within(), now)
	}
	err = fmt.Errorf("%w: no token was put for it", hub.ErrUnauthorized)
	first, allowed := true, false
	for path := a.path; ; {
		if g, ok := c.tokens[path]; ok {
			e := g.MayAt(right, a.hub, a.within(), now)
			switch {
			case e == nil && g.Expires.IsZero():
				return g.Expires, nil
			case e == nil:
				if g.Expires.After(until) {
					until = g.Expires
				}
				allowed = true
			case first:
				err = e
			}
			first = false
		}
		if path == "" {
			break
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	if allowed {
		return until, nil
	}
	return time.Time{}, err
}
