package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"weir/internal/hub"
)

// Emulated is what the Config.json of Azure's Event Hubs emulator asks for.
type Emulated struct {
	Namespace string
	Hubs      []hub.Config
}

// maxConfig bounds a Config.json, in bytes.
const maxConfig = 4 << 20

// partitionCount is a number, as a text or as it is.
type partitionCount int

// UnmarshalJSON reads both.
func (n *partitionCount) UnmarshalJSON(text []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(text), `"`))
	if err != nil {
		return errors.New("PartitionCount is no number")
	}
	*n = partitionCount(v)
	return nil
}

// ReadEmulator reads the Config.json of Azure's emulator: its namespace and the event hubs in
// it. What says how the emulator logs is passed over.
func ReadEmulator(r io.Reader) (Emulated, error) {
	var c struct {
		UserConfig struct {
			NamespaceConfig []struct {
				Type, Name string
				Entities   []struct {
					Name           string
					PartitionCount partitionCount
					ConsumerGroups []struct{ Name string }
				}
			}
		}
	}
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return Emulated{}, err
	}
	if len(text) > maxConfig {
		return Emulated{}, fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(text), "\ufeff")), &c); err != nil {
		return Emulated{}, err
	}
	var e Emulated
	for _, n := range c.UserConfig.NamespaceConfig {
		if !strings.EqualFold(n.Type, "EventHub") && n.Type != "" {
			return Emulated{}, fmt.Errorf("the namespace %.80q is of the type %.80q; EventHub is what there is", n.Name, n.Type)
		}
		if e.Namespace != "" {
			return Emulated{}, errors.New("it has several namespaces; there is one")
		}
		e.Namespace = n.Name
		for _, h := range n.Entities {
			if h.PartitionCount < 1 {
				return Emulated{}, fmt.Errorf("the event hub %.80q has no PartitionCount", h.Name)
			}
			config := hub.Config{Name: h.Name, Partitions: int(h.PartitionCount)}
			for _, g := range h.ConsumerGroups {
				if !strings.EqualFold(g.Name, hub.DefaultGroup) {
					config.Groups = append(config.Groups, g.Name)
				}
			}
			e.Hubs = append(e.Hubs, config)
		}
	}
	if e.Namespace == "" {
		return Emulated{}, errors.New("it has no UserConfig.NamespaceConfig with a Name")
	}
	return e, nil
}

// Make makes the hubs that are not there. Those that are there keep what they have; a consumer
// group that one lacks is made.
func (e Emulated) Make(b *hub.Broker) error {
	for _, c := range e.Hubs {
		if h, err := b.Hub(c.Name); err == nil {
			for _, g := range c.Groups {
				if err := h.EnsureGroup(g); err != nil {
					return err
				}
			}
			continue
		}
		if _, err := b.Create(c); err != nil {
			return fmt.Errorf("the event hub %.80q: %w", c.Name, err)
		}
	}
	return nil
}
