package blob

import (
	"testing"

	"weir/internal/connect/connecttest"
)

// TestManual holds the page of the manual to the Spec.
func TestManual(t *testing.T) {
	connecttest.Manual(t, Spec, "../../../docs/connectors/blob.md")
}
