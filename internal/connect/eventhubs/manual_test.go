package eventhubs

import (
	"testing"

	"weir/internal/connect/connecttest"
)

// TestManual: the pages of the manual have the examples and the settings as they are declared.
func TestManual(t *testing.T) {
	connecttest.Manual(t, spec, "../../../docs/connectors/eventhub.md")
	connecttest.Manual(t, iotSpec, "../../../docs/connectors/iothub.md")
}
