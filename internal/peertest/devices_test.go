//go:build peers

package peertest

import (
	"fmt"
	"strings"
	"testing"
)

// TestDevices: the official client of IoT Hub's devices sends over MQTT; the events have the
// device's name.
func TestDevices(t *testing.T) {
	w := program(t)
	sent := []event{
		{Base64: encoded(`{"t":1}`), Properties: map[string]string{"kind": "first", "a b&c=": "ä/%"}, MessageID: "m1", ContentType: "application/json", Encoding: "utf-8"},
		{Base64: encoded(`{"t":2}`)},
	}
	connection := fmt.Sprintf("HostName=localhost;DeviceId=dev1;SharedAccessKey=%s", w.deviceKey(t, "dev1"))
	w.run(t, javascript("iot.mjs"), w.deviceHub, "send", args{"connection": connection, "events": sent})
}

// TestMosquitto: Debian's command line of MQTT sends and watches.
func TestMosquitto(t *testing.T) {
	w := program(t)
	_ = strings.ToUpper
}
