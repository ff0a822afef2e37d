package hub

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"weir/internal/hub/sas"
)

// RootRule is the key that every namespace is made with; it has all rights.
const RootRule = "RootManageSharedAccessKey"

// developmentKey is what Azure's emulator has for a key.
const developmentKey = "SAS_KEY_VALUE"

// keysFile has the keys, which nobody but the owner may read.
const keysFile = "keys.json"

// keyring is the shared access policies of the namespace and its hubs.
type keyring struct {
	Rules []Rule `json:"rules"`
}

// Rule is a shared access policy: two keys, so that one can be replaced while the other is
// in use. It must not be logged.
type Rule struct {
	Name      string `json:"name"`
	Hub       string `json:"hub,omitempty"` // lower case; "" is the namespace
	Rights    Right  `json:"rights"`
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
}

// String hides the keys.
func (r Rule) String() string { return "rule " + r.Name }

func (b *Broker) openKeys() error {
	err := readJSON(b.o.FS, keysFile, &b.keys)
	if errors.Is(err, fs.ErrNotExist) {
		b.keys.Rules = []Rule{{Name: RootRule, Rights: Send | Listen | Manage, Primary: newKey(), Secondary: newKey()}}
		return writeJSON(b.o.FS, ".", keysFile, b.keys)
	}
	return err
}

func newKey() string {
	var k [32]byte
	rand.Read(k[:]) // never fails
	return base64.StdEncoding.EncodeToString(k[:])
}

// Rules are the policies of the namespace ("") or of a hub.
func (b *Broker) Rules(hub string) []Rule {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var list []Rule
	for _, r := range b.keys.Rules {
		if r.Hub == strings.ToLower(hub) {
			list = append(list, r)
		}
	}
	return list
}

// Token checks a shared access signature and says what it allows. Its error is
// ErrUnauthorized, wrapped with a reason that holds no part of the token.
func (b *Broker) Token(token string) (Grant, error) {
	t, err := sas.Parse(token)
	if err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	if !t.Expires.After(b.now()) {
		return Grant{}, fmt.Errorf("%w: the token has expired", ErrUnauthorized)
	}
	hub := hubOf(t.Path())
	g := Grant{Rule: t.KeyName, Hub: hub, Expires: t.Expires}
	found := false
	for _, r := range b.candidates(t.KeyName, hub) {
		if t.SignedWith(r.key) && !found {
			found = true
			g.Rights = r.rights
		}
	}
	if !found {
		return Grant{}, fmt.Errorf("%w: the signature is not that of a key called %.80q", ErrUnauthorized, t.KeyName)
	}
	return g, nil
}

// Password checks a key itself, as SASL PLAIN carries it.
func (b *Broker) Password(keyName, key string) (Grant, error) {
	b.mu.RLock()
	rules := b.keys.Rules
	b.mu.RUnlock()
	var g Grant
	ok := 0
	check := func(k string, hub string, rights Right) {
		if subtle.ConstantTimeCompare([]byte(k), []byte(key)) == 1 {
			ok, g = 1, Grant{Rule: keyName, Hub: hub, Rights: rights}
		}
	}
	check("-", "", 0) // an unknown name takes as long as a known one
	ok = 0
	for _, r := range rules {
		if r.Name == keyName {
			check(r.Primary, r.Hub, r.Rights)
			check(r.Secondary, r.Hub, r.Rights)
		}
	}
	if b.o.DevelopmentKey && keyName == RootRule {
		check(developmentKey, "", Send|Listen|Manage)
	}
	if ok == 0 {
		return Grant{}, fmt.Errorf("%w: wrong key name or key", ErrUnauthorized)
	}
	return g, nil
}

type candidate struct {
	key    string
	rights Right
}

// candidates are the keys of a name that are good for a hub.
func (b *Broker) candidates(name, hub string) []candidate {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := []candidate{{newKeyOfNobody, 0}}
	for _, r := range b.keys.Rules {
		if r.Name == name && (r.Hub == "" || r.Hub == hub) {
			list = append(list, candidate{r.Primary, r.Rights}, candidate{r.Secondary, r.Rights})
		}
	}
	if b.o.DevelopmentKey && name == RootRule {
		list = append(list, candidate{developmentKey, Send | Listen | Manage})
	}
	return list
}

// newKeyOfNobody is signed with when a name is unknown, so that it takes as long as a known
// one.
var newKeyOfNobody = newKey()

// hubOf is the hub that a resource path is about, lower case; "" is the namespace.
func hubOf(p string) string {
	first, _, _ := strings.Cut(strings.Trim(p, "/"), "/")
	return strings.ToLower(first)
}

// May says why a grant does not allow something at a time, or nil. hub is a name in any
// case; "" asks for the namespace.
func (g Grant) May(right Right, hub string, now time.Time) error {
	switch {
	case !g.Expires.IsZero() && !g.Expires.After(now):
		return fmt.Errorf("%w: the token has expired", ErrUnauthorized)
	case g.Hub != "" && g.Hub != strings.ToLower(hub):
		return fmt.Errorf("%w: the key %q is for the event hub %q", ErrForbidden, g.Rule, g.Hub)
	case g.Rights&(right|Manage) == 0:
		return fmt.Errorf("%w: the key %q has no right to %s", ErrForbidden, g.Rule, right)
	}
	return nil
}

// String names the rights.
func (r Right) String() string {
	var s []string
	for i, n := range []string{"Send", "Listen", "Manage"} {
		if r&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, ", ")
}
