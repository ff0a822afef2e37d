package hub

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
)

// RootRule is the key that every namespace is made with; it has all rights.
const RootRule = "RootManageSharedAccessKey"

const all = Send | Listen | Manage

// keysFile has the keys, which nobody but the owner may read.
const keysFile = "keys.json"

type keyring struct {
	Rules []Rule `json:"rules"`
}

// Rule is a shared access policy: two keys, so that one can be replaced while the other is
// in use. What prints it shows no key.
type Rule struct {
	Name      string `json:"name"`
	Hub       string `json:"hub,omitempty"` // lower case; "" is the namespace
	Rights    Right  `json:"rights"`
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
}

// Which is one of the two keys of a rule.
type Which uint8

// The keys of a rule.
const (
	Primary Which = iota
	Secondary
)

// String hides the keys.
func (r Rule) String() string {
	where := "the namespace"
	if r.Hub != "" {
		where = r.Hub
	}
	return fmt.Sprintf("key %s of %s (%s)", r.Name, where, r.Rights)
}

// GoString hides the keys from %#v.
func (r Rule) GoString() string { return r.String() }

// LogValue hides the keys from logs.
func (r Rule) LogValue() slog.Value { return slog.StringValue(r.String()) }

func (b *Broker) openKeys() error {
	var k keyring
	err := readJSON(b.o.FS, keysFile, &k)
	if errors.Is(err, fs.ErrNotExist) {
		b.rules = []Rule{{Name: RootRule, Rights: all, Primary: newKey(), Secondary: newKey()}}
		return writeJSON(b.o.FS, keysFile, keyring{b.rules})
	}
	if err != nil {
		return err
	}
	// A crash may have come between the removal of a hub and that of its keys.
	b.rules = slices.DeleteFunc(k.Rules, func(r Rule) bool { return r.Hub != "" && b.hubs[r.Hub] == nil })
	if len(b.rules) < len(k.Rules) {
		return writeJSON(b.o.FS, keysFile, keyring{b.rules})
	}
	return nil
}

// newKey is a key as Azure makes them: 32 random bytes in base64.
func newKey() string {
	var k [32]byte
	rand.Read(k[:]) // never fails
	return base64.StdEncoding.EncodeToString(k[:])
}

// Rules are the policies of the namespace ("") or of a hub, in the order of their making.
func (b *Broker) Rules(hub string) []Rule {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var list []Rule
	for _, r := range b.rules {
		if r.Hub == strings.ToLower(hub) {
			list = append(list, r)
		}
	}
	return list
}

// Rule is a policy of the namespace ("") or of a hub. Names of policies have case.
func (b *Broker) Rule(hub, name string) (Rule, error) {
	for _, r := range b.Rules(hub) {
		if r.Name == name {
			return r, nil
		}
	}
	return Rule{}, noRule(hub, name)
}

func noRule(hub, name string) error {
	if hub == "" {
		return fmt.Errorf("%w: %.80q of the namespace", ErrNoRule, name)
	}
	return fmt.Errorf("%w: %.80q of %.80q; keys of the namespace are changed without naming a hub", ErrNoRule, name, hub)
}

// The shortest and the longest key that may be given, in bytes.
const (
	minKey      = 16
	maxGivenKey = 256
)

// AddRule makes a policy of the namespace (Hub "") or of a hub, durably, and gives it back
// with its keys, which are made up where they are empty. ErrNoHub, ErrRuleExists, ErrBadName,
// ErrBadConfig and ErrTooMany say why not.
func (b *Broker) AddRule(r Rule) (Rule, error) {
	if err := checkName(r.Name); err != nil {
		return Rule{}, err
	}
	if r.Rights == 0 || r.Rights&^all != 0 {
		return Rule{}, fmt.Errorf("%w: a key needs at least one of the rights %s", ErrBadConfig, all)
	}
	for _, k := range []*string{&r.Primary, &r.Secondary} {
		if *k == "" {
			*k = newKey()
		}
		if len(*k) < minKey || len(*k) > maxGivenKey || strings.ContainsFunc(*k, func(c rune) bool { return c <= ' ' || c > '~' || c == ';' }) {
			return Rule{}, fmt.Errorf("%w: a key has %d to %d letters, digits and signs, without spaces and semicolons", ErrBadConfig, minKey, maxGivenKey)
		}
	}
	if r.Hub != "" {
		h, err := b.Hub(r.Hub)
		if err != nil {
			return Rule{}, err
		}
		r.Hub = h.dir
	}
	err := b.changeRules(func(rules []Rule) ([]Rule, error) {
		if r.Hub != "" {
			if _, err := b.Hub(r.Hub); err != nil {
				return nil, err
			}
		}
		count := 0
		for _, o := range rules {
			if o.Hub == r.Hub && o.Name == r.Name {
				return nil, fmt.Errorf("%w: %q", ErrRuleExists, r.Name)
			}
			if o.Hub == r.Hub {
				count++
			}
		}
		if count >= b.o.MaxRules {
			return nil, fmt.Errorf("%w keys: %d is the most", ErrTooMany, b.o.MaxRules)
		}
		return append(rules, r), nil
	})
	if err != nil {
		return Rule{}, err
	}
	return r, nil
}

// RemoveRule removes a policy, durably: what its keys have signed is refused from then on.
func (b *Broker) RemoveRule(hub, name string) error {
	return b.changeRules(func(rules []Rule) ([]Rule, error) {
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.Hub == strings.ToLower(hub) && r.Name == name })
		if i < 0 {
			return nil, noRule(hub, name)
		}
		return slices.Delete(rules, i, i+1), nil
	})
}

// Regenerate makes one of the keys of a policy anew, durably: what the old one has signed is
// refused from then on. To rotate keys without a gap, move clients to the second key,
// regenerate the first, move them back, regenerate the second.
func (b *Broker) Regenerate(hub, name string, which Which) (Rule, error) {
	var out Rule
	err := b.changeRules(func(rules []Rule) ([]Rule, error) {
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.Hub == strings.ToLower(hub) && r.Name == name })
		if i < 0 {
			return nil, noRule(hub, name)
		}
		if which == Secondary {
			rules[i].Secondary = newKey()
		} else {
			rules[i].Primary = newKey()
		}
		out = rules[i]
		return rules, nil
	})
	return out, err
}

// changeRules changes the policies durably. f gets a copy.
func (b *Broker) changeRules(f func([]Rule) ([]Rule, error)) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	b.mu.RLock()
	closed, rules := b.closed, slices.Clone(b.rules)
	b.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	rules, err := f(rules)
	if err != nil {
		return err
	}
	return b.writeRules(rules)
}

// writeRules makes policies durable and then has them count. admin is held.
func (b *Broker) writeRules(rules []Rule) error {
	if err := writeJSON(b.o.FS, keysFile, keyring{rules}); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = rules
	b.revision.Add(1)
	return nil
}

// forgetKeys removes the policies of hubs that are gone. admin is held.
func (b *Broker) forgetKeys() error {
	if !b.stale {
		return nil
	}
	b.mu.Lock()
	rules := slices.DeleteFunc(slices.Clone(b.rules), func(r Rule) bool { return r.Hub != "" && b.hubs[r.Hub] == nil })
	b.rules = rules // at once, whatever becomes of the file
	b.revision.Add(1)
	b.mu.Unlock()
	if err := b.writeRules(rules); err != nil {
		return err
	}
	b.stale = false
	return nil
}
