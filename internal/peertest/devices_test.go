//go:build peers

package peertest

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deviceKey is the own key of a device, as Azure's provisioning service derives it.
func (w *world) deviceKey(t *testing.T, device string) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(w.key)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(device))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestDevices: the official client of IoT Hub's devices sends over MQTT; the events carry the
// name of the device, and have its properties.
func TestDevices(t *testing.T) {
	w := program(t)
	from := w.next(t, deviceHub, 0)
	sent := []event{
		{Base64: encoded(`{"t":1}`), Properties: map[string]string{"kind": "first", "a b&c=": "ä/%"}, MessageID: "m1", ContentType: "application/json", Encoding: "utf-8"},
		{Base64: encoded(`{"t":2}`)},
	}
	connection := fmt.Sprintf("HostName=localhost;DeviceId=dev1;SharedAccessKey=%s;GatewayHostName=localhost:%d", w.deviceKey(t, "dev1"), w.MQTTPort)
	w.run(t, javascript("iot.mjs"), deviceHub, "send", args{"connection": connection, "events": sent})
	got := w.run(t, eventhubsJS, deviceHub, "receive", args{"from": args{"kind": "sequence", "value": from, "inclusive": true}, "count": 2}).events(t)
	for i, e := range got {
		if e.body() != sent[i].body() || e.System["iothub-connection-device-id"] != "dev1" || e.PartitionKey != "dev1" {
			t.Errorf("event %d is %q with key %q and %v", i, e.body(), e.PartitionKey, e.System)
		}
	}
	if e := got[0]; e.MessageID != "m1" || e.ContentType != "application/json" || e.Properties["kind"] != "first" || e.Properties["a b&c="] != "ä/%" {
		t.Errorf("the first event is %+v", e)
	}
	_, err := w.try(t, javascript("iot.mjs"), deviceHub, "send", args{"connection": strings.Replace(connection, w.deviceKey(t, "dev1"), w.deviceKey(t, "dev2"), 1), "events": sent})
	if err == nil || err.Name != "UnauthorizedError" {
		t.Errorf("with another device's key: %+v", err)
	}
}

// TestMosquitto: Debian's command line of MQTT sends, over plain connections and TLS, with
// both versions of the protocol, and watches a hub live.
func TestMosquitto(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	common := func(tls bool) []string {
		list := []string{"-h", "localhost", "-p", fmt.Sprint(w.MQTTPort), "-u", w.keyName, "-P", w.key, "-q", "1"}
		if tls {
			list = append(list, "--cafile", w.caFile)
		}
		return list
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	watch := exec.CommandContext(ctx, "stdbuf", append(append([]string{"-oL", "mosquitto_sub"}, common(false)...), "-V", "mqttv5", "-t", "hubs/"+h+"/events", "-C", "4", "-d")...)
	pipe, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Subscribed") {
		if strings.Contains(lines.Text(), "refused") {
			t.Fatal(lines.Text())
		}
	}
	var want []event
	for _, tls := range []bool{false, true} {
		for _, version := range []string{"mqttv311", "mqttv5"} {
			body := fmt.Sprintf("tls=%v %s", tls, version)
			w.tool(t, "", "mosquitto_pub", append(common(tls), "-V", version, "-t", "hubs/"+h+"/messages/kind=x&n=1", "-m", body)...)
			want = append(want, event{Text: body, Properties: map[string]string{"kind": "x", "n": "1"}})
		}
	}
	same(t, w.run(t, eventhubsJS, h, "receive", args{"count": 4}).events(t), want)
	seen := map[string]bool{}
	for lines.Scan() {
		seen[lines.Text()] = true
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("mosquitto_sub: %v", err)
	}
	for _, e := range want {
		if !seen[e.Text] {
			t.Errorf("the watcher has not seen %q: %q", e.Text, slices.Sorted(maps.Keys(seen)))
		}
	}
	out, err := w.tryTool(t, "", "mosquitto_pub", "-h", "localhost", "-p", fmt.Sprint(w.MQTTPort), "-u", w.keyName, "-P", "wrong", "-t", "hubs/"+h+"/messages", "-m", "x")
	if err == nil || !strings.Contains(strings.ToLower(out), "not authori") {
		t.Errorf("a wrong key: %v, %s", err, out)
	}
}
