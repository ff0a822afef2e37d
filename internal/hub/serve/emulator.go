package serve

import (
	"io"

	"weir/internal/hub"
)

// Emulated is what the Config.json of Azure's Event Hubs emulator asks for.
type Emulated struct {
	Namespace string
	Hubs      []hub.Config
}

// ReadEmulator reads the Config.json of Azure's emulator (hub.ReadEmulatorConfig).
func ReadEmulator(r io.Reader) (Emulated, error) {
	text, err := io.ReadAll(io.LimitReader(r, hub.MaxEmulatorConfig+1))
	if err != nil {
		return Emulated{}, err
	}
	var e Emulated
	e.Namespace, e.Hubs, err = hub.ReadEmulatorConfig(text)
	return e, err
}

// Make makes what is missing (hub.Broker.Apply) and gives back what is not as asked for.
func (e Emulated) Make(b *hub.Broker) (notes []string, err error) { return b.Apply(e.Hubs) }
