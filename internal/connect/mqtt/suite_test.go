package mqtt

import (
	"testing"

	"weir/internal/connect/connecttest"
)

func TestManual(t *testing.T) {
	connecttest.Manual(t, spec, "../../../docs/connectors/mqtt.md")
}

func TestSinkSuite(t *testing.T) {
	p := newLocal(t, nil)
	t.Run("one", p.sinks(nil).Run)
	t.Run("packed", p.sinks(map[string]any{"pack": "array", "qos": "2", "window": int64(3)}).Run)
}

func TestSourceSuite(t *testing.T) {
	p := newLocal(t, nil)
	p.sources(map[string]any{"qos": "0"}).Run(t)
}
