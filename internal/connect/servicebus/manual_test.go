package servicebus

import (
	"testing"

	"weir/internal/connect/connecttest"
)

// TestManual: the page of the manual has the example and the settings as they are declared.
func TestManual(t *testing.T) {
	connecttest.Manual(t, spec, "../../../docs/connectors/servicebus.md")
}
