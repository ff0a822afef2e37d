package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxEmulatorConfig bounds the Config.json of an emulator, in bytes.
const MaxEmulatorConfig = 4 << 20

// emulatorConfig is the Config.json of Azure's Event Hubs emulator, as far as it says what
// there is. Its LoggingConfig says how the emulator logs, and is passed over.
type emulatorConfig struct {
	UserConfig struct {
		NamespaceConfig []struct {
			Type     string
			Name     string
			Entities []struct {
				Name           string
				PartitionCount json.RawMessage // a text by the schema; often a number
				ConsumerGroups []struct{ Name string }
			}
		}
	}
}

// ReadEmulatorConfig reads the Config.json of Azure's Event Hubs emulator: its namespace and
// the event hubs in it. Its error says where in the file something is wrong.
func ReadEmulatorConfig(text []byte) (namespace string, configs []Config, err error) {
	if len(text) > MaxEmulatorConfig {
		return "", nil, fmt.Errorf("it has %d bytes; %d is the most", len(text), MaxEmulatorConfig)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var c emulatorConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return "", nil, jsonPlace(text, err)
	}
	list := c.UserConfig.NamespaceConfig
	if len(list) != 1 {
		return "", nil, fmt.Errorf("UserConfig.NamespaceConfig: there are %d namespaces; it takes one", len(list))
	}
	ns := list[0]
	const at = "UserConfig.NamespaceConfig[0]"
	if ns.Type != "" && !strings.EqualFold(ns.Type, "EventHub") {
		return "", nil, fmt.Errorf("%s.Type: %.80q; EventHub is the only one there is", at, ns.Type)
	}
	if ns.Name == "" {
		return "", nil, fmt.Errorf("%s.Name: the namespace has no name", at)
	}
	seen := map[string]bool{}
	for i, e := range ns.Entities {
		place := fmt.Sprintf("%s.Entities[%d]", at, i)
		c := Config{Name: e.Name}
		if err := checkName(e.Name); err != nil {
			return "", nil, fmt.Errorf("%s.Name: %w", place, err)
		}
		if name := strings.ToLower(e.Name); seen[name] {
			return "", nil, fmt.Errorf("%s.Name: %q is there twice", place, e.Name)
		} else {
			seen[name] = true
		}
		if c.Partitions, err = partitionCount(e.PartitionCount); err != nil {
			return "", nil, fmt.Errorf("%s.PartitionCount: %w", place, err)
		}
		for k, g := range e.ConsumerGroups {
			if strings.EqualFold(g.Name, DefaultGroup) {
				continue
			}
			if err := checkGroup(g.Name); err != nil {
				return "", nil, fmt.Errorf("%s.ConsumerGroups[%d].Name: %w", place, k, err)
			}
			c.Groups = append(c.Groups, g.Name)
		}
		configs = append(configs, c)
	}
	return ns.Name, configs, nil
}

// partitionCount reads a number, or a text that is one.
func partitionCount(raw json.RawMessage) (int, error) {
	text := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, err
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > MaxPartitions {
		return 0, fmt.Errorf("%.40q is not a number from 1 to %d", text, MaxPartitions)
	}
	return n, nil
}

// jsonPlace adds the line and the column to an error of JSON.
func jsonPlace(text []byte, err error) error {
	var offset int64
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
		err = fmt.Errorf("%s: a %s cannot stand here", kind.Field, kind.Value)
	default:
		return err
	}
	before := text[:min(max(offset-1, 0), int64(len(text)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// Apply makes hubs as they are asked for: what is missing is made, hubs, groups and
// partitions; what is there keeps its events, and what is there and not asked for stays. It
// gives back, as sentences for people, what is not as asked for, or has consequences.
func (b *Broker) Apply(configs []Config) (notes []string, err error) {
	for _, c := range configs {
		h, err := b.Hub(c.Name)
		if errors.Is(err, ErrNoHub) {
			if _, err := b.Create(c); err != nil {
				return notes, fmt.Errorf("the event hub %q: %w", c.Name, err)
			}
			continue
		}
		if err == nil {
			var more []string
			more, err = b.adapt(h, c)
			notes = append(notes, more...)
		}
		if err != nil {
			return notes, fmt.Errorf("the event hub %q: %w", c.Name, err)
		}
	}
	return notes, nil
}

// adapt brings a hub that is there closer to what is asked for.
func (b *Broker) adapt(h *Hub, c Config) (notes []string, err error) {
	now := h.Config()
	want := Config{Name: now.Name, Partitions: max(c.Partitions, now.Partitions), Retention: now.Retention, RetentionBytes: now.RetentionBytes}
	if c.Retention > 0 {
		want.Retention = c.Retention
	}
	if c.RetentionBytes > 0 {
		want.RetentionBytes = c.RetentionBytes
	}
	if want.Partitions != now.Partitions || want.Retention != now.Retention || want.RetentionBytes != now.RetentionBytes {
		if err := b.Update(want); err != nil {
			return notes, err
		}
	}
	switch {
	case c.Partitions > 0 && c.Partitions < now.Partitions:
		notes = append(notes, fmt.Sprintf("the event hub %s has %d partitions and %d are asked for: it keeps them, there cannot be fewer than there were", now.Name, now.Partitions, c.Partitions))
	case want.Partitions > now.Partitions:
		notes = append(notes, fmt.Sprintf("the event hub %s had %d partitions and has %d now: events with a key may go to other partitions than before", now.Name, now.Partitions, want.Partitions))
	}
	for _, g := range c.Groups {
		if err := h.EnsureGroup(g); err != nil {
			return notes, err
		}
	}
	return notes, nil
}
