//go:build services

package kafka

import (
	"os"
	"os/exec"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// variable is what scripts/services.sh sets.
func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set; run it with scripts/services.sh", name)
	}
	return v
}

// real is the broker of scripts/services/kafka.sh.
func real(t testing.TB) *cluster {
	t.Helper()
	return clusterOf(t, nil, variable(t, "WEIR_TEST_KAFKA"))
}

// control stops, kills or starts the broker.
func control(t testing.TB, verb string) {
	t.Helper()
	if out, err := exec.Command(variable(t, "WEIR_TEST_KAFKA_CONTROL"), verb).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
}

func TestServiceSinkSuite(t *testing.T) { sinks(t, false, real) }

func TestServiceSourceSuite(t *testing.T) { sources(t, real) }

var _ kgo.Opt
