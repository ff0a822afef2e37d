//go:build services

package mqtt

import (
	"os"
	"testing"
)

// service is the real broker (scripts/services/mosquitto.sh).
func service(t testing.TB) peer {
	t.Helper()
	return peer{env(t, "WEIR_TEST_MQTT"), env(t, "WEIR_TEST_MQTT_USER"), env(t, "WEIR_TEST_MQTT_PASSWORD"), nil}
}

func env(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run this by scripts/services.sh", name)
	}
	return v
}

func TestServiceSinkSuite(t *testing.T) {
	p := service(t)
	t.Run("one", p.sinks(nil).Run)
	t.Run("packed", p.sinks(map[string]any{"pack": "array", "qos": "2", "window": int64(3)}).Run)
}

func TestServiceSourceSuite(t *testing.T) {
	p := service(t)
	t.Run("one", p.sources(nil).Run)
	t.Run("twice", p.sources(map[string]any{"qos": "2", "window": int64(7)}).Run)
}
