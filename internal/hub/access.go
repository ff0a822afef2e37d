package hub

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"weir/internal/hub/sas"
)

const developmentKey = sas.DevelopmentKey

// candidate is a key that a caller may have used, and what it gives.
type candidate struct {
	key    string
	hub    string
	rights Right
}

// nobody are keys that are compared with when a name is unknown, so that it takes as long as
// a known one.
var nobody = []candidate{{key: newKey()}, {key: newKey()}}

// candidates are the keys of a name. A rule of a hub is one only if hub is that hub or, with
// any, always.
func (b *Broker) candidates(name, hub string, any bool) []candidate {
	b.mu.RLock()
	rules := b.rules
	b.mu.RUnlock()
	var list []candidate
	for _, r := range rules {
		if r.Name == name && (any || r.Hub == "" || r.Hub == hub) {
			list = append(list, candidate{r.Primary, r.Hub, r.Rights}, candidate{r.Secondary, r.Hub, r.Rights})
		}
	}
	if len(list) == 0 {
		list = append(list, nobody...)
	}
	if b.o.DevelopmentKey && name == RootRule {
		list = append(list, candidate{developmentKey, "", all})
	}
	return list
}

// Token checks a shared access signature and says what it allows. Its error is
// ErrUnauthorized, wrapped with a reason that holds no part of the token's secret.
//
// A token for a hub opens that hub, one for the namespace all of them. A token for something
// in a hub, such as sb://host/hub/Partitions/1, opens that hub with the rights that make
// sense there: Send for a partition, a publisher or messages, Listen for a consumer group. Its
// Grant.Path says what it was for; Grant.MayAt holds a caller to it.
func (b *Broker) Token(token string) (Grant, error) {
	g, err := b.token(token)
	if err != nil {
		b.denied.Add(1)
	}
	return g, err
}

func (b *Broker) token(token string) (Grant, error) {
	t, err := sas.Parse(token)
	if err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	hub, path := split(t.Path())
	var rights Right
	ok, key := false, ""
	for _, c := range b.candidates(t.KeyName, hub, false) { // all of them: time must not tell which
		if t.SignedWith(c.key) && c.rights != 0 {
			ok, key, rights = true, c.key, rights|c.rights
		}
	}
	if !ok {
		return Grant{}, fmt.Errorf("%w: the signature is not that of a key called %.80q", ErrUnauthorized, t.KeyName)
	}
	if !t.Expires.After(b.now()) {
		return Grant{}, fmt.Errorf("%w: the token has expired", ErrUnauthorized)
	}
	return b.Signed(Grant{Rule: t.KeyName, Hub: hub, Path: path, Rights: rightsAt(path, rights), Expires: t.Expires}, key), nil
}

// Password checks a key itself, as SASL PLAIN carries it. Its error is ErrUnauthorized.
func (b *Broker) Password(keyName, key string) (Grant, error) {
	var g Grant
	ok := false
	given := sha256.Sum256([]byte(key)) // of one length, so that it takes one time
	for _, c := range b.candidates(keyName, "", true) {
		want := sha256.Sum256([]byte(c.key))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && c.rights != 0 {
			ok, g = true, Grant{Rule: keyName, Hub: c.hub, Rights: c.rights}
		}
	}
	if !ok {
		b.denied.Add(1)
		return Grant{}, fmt.Errorf("%w: wrong key name or key", ErrUnauthorized)
	}
	return b.Signed(g, key), nil
}

// split is the hub that the path of a resource is about and what in it, both in lower case;
// "" is the namespace, and all of the hub.
func split(p string) (hub, rest string) {
	hub, rest, _ = strings.Cut(strings.ToLower(strings.Trim(p, "/")), "/")
	return hub, strings.Trim(rest, "/")
}

// rightsAt are the rights that make sense for a path in a hub, out of what a key has.
func rightsAt(path string, rights Right) Right {
	kind, _, _ := strings.Cut(path, "/")
	narrow := func(to Right) Right {
		if rights&(to|Manage) != 0 {
			return to
		}
		return 0
	}
	switch kind {
	case "partitions", "publishers", "messages":
		return narrow(Send)
	case "consumergroups":
		return narrow(Listen)
	}
	return rights
}

// May says why a grant does not allow something at a time, or nil. hub is a name in any
// case; "" asks for the namespace. If right has several, one of them will do.
func (g Grant) May(right Right, hub string, now time.Time) error {
	hub = strings.ToLower(hub)
	if err := g.Revoked(); err != nil {
		return err
	}
	switch {
	case !g.Expires.IsZero() && !g.Expires.After(now):
		return fmt.Errorf("%w: the token has expired", ErrUnauthorized)
	case g.Hub != "" && hub == "":
		return fmt.Errorf("%w: the key %q is for the event hub %q and not for all of the namespace", ErrForbidden, g.Rule, g.Hub)
	case g.Hub != "" && g.Hub != hub:
		return fmt.Errorf("%w: the key %q is for the event hub %q", ErrForbidden, g.Rule, g.Hub)
	case g.Rights&(right|Manage) == 0:
		return fmt.Errorf("%w: the key %q has no right to %s", ErrForbidden, g.Rule, right)
	}
	return nil
}

// MayAt is May for something in a hub, such as Publishers/x or Partitions/1: a grant for
// another path does not allow it, in any case of the letters.
func (g Grant) MayAt(right Right, hub, path string, now time.Time) error {
	if err := g.May(right, hub, now); err != nil {
		return err
	}
	path = strings.ToLower(strings.Trim(path, "/"))
	if g.Path != "" && path != g.Path && !strings.HasPrefix(path, g.Path+"/") {
		return fmt.Errorf("%w: the token is for %q and not for %.80q", ErrForbidden, g.Hub+"/"+g.Path, g.Hub+"/"+path)
	}
	return nil
}

// String names the rights.
func (r Right) String() string {
	var s []string
	for i, n := range rightNames {
		if r&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, ", ")
}

var rightNames = [...]string{"Send", "Listen", "Manage"}

// ParseRights reads rights as String writes them, in any case, parted by commas or spaces.
func ParseRights(text string) (Right, error) {
	var r Right
next:
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' }) {
		for i, n := range rightNames {
			if strings.EqualFold(word, n) {
				r |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("%w: %.80q is no right; there are Send, Listen and Manage", ErrBadConfig, word)
	}
	if r == 0 {
		return 0, fmt.Errorf("%w: no right is given; there are Send, Listen and Manage", ErrBadConfig)
	}
	return r, nil
}
