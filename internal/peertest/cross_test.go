//go:build peers

package peertest

import (
	"fmt"
	"testing"
)

// TestAcross: what is sent by one protocol is read by every other: the same bytes, the same
// key, the same properties.
func TestAcross(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	var want []event
	sent := func(name, key string) []event {
		e := event{Base64: encoded("✓ by " + name), Key: key, Properties: map[string]string{"kind": name, "größe": "3 ✓"}}
		want = append(want, e)
		return []event{e}
	}
	js, py := javascript("kafka.mjs"), python("kafka_clients.py")
	w.run(t, eventhubsJS, h, "send", args{"events": sent("JavaScript", "k1"), "key": "k1"})
	w.run(t, python("eventhubs_client.py"), h, "send", args{"events": sent("Python", "k2"), "key": "k2"})
	w.run(t, debianPython("amqp_proton.py"), h, "send", args{"events": sent("proton", "k3")})
	w.run(t, js, h, "send", args{"lib": "kafkajs", "events": sent("kafkajs", "k4")})
	w.run(t, js, h, "send", args{"lib": "platformatic", "events": sent("platformatic", "k5")})
	w.run(t, py, h, "send", args{"lib": "confluent", "events": sent("librdkafka", "k6"), "compression": "zstd"})
	w.run(t, py, h, "send", args{"lib": "kafka-python", "events": sent("kafka-python", "k7")})
	w.kcat(t, false, "k8|"+sent("kcat", "k8")[0].body()+"\n", "-P", "-t", h, "-K", "|", "-H", "kind=kcat", "-H", "größe=3 ✓")
	w.tool(t, "", "mosquitto_pub", "-h", "localhost", "-p", fmt.Sprint(w.MQTTPort), "-u", w.keyName, "-P", w.key, "-q", "1",
		"-t", "hubs/"+h+"/messages/kind=mosquitto&gr%C3%B6%C3%9Fe=3%20%E2%9C%93", "-m", sent("mosquitto", "")[0].body())
	w.tool(t, `[{"Body":"✓ by curl","UserProperties":{"kind":"curl","größe":"3 ✓"},"BrokerProperties":{"PartitionKey":"k10"}}]`,
		"curl", "-sS", "--fail", "--cacert", w.caFile, "-H", "Authorization: "+w.token("https://localhost/"+h, w.key),
		"-H", "Content-Type: application/vnd.microsoft.servicebus.json", "--data-binary", "@-", fmt.Sprintf("https://localhost:%d/%s/messages", w.HTTPSPort, h))
	sent("curl", "k10")

	f := func(name string, read func(t *testing.T) []received) {
		t.Helper()
		t.Run(name, func(t *testing.T) { same(t, read(t), want) })
	}
	kafka := func(c client, a args) func(t *testing.T) []received {
		a["count"], a["group"] = len(want), "across-"+fmt.Sprint(a["lib"])
		return func(t *testing.T) []received { return w.run(t, c, h, "receive", a).events(t) }
	}
	amqp := func(c client, a args) func(t *testing.T) []received {
		a["count"] = len(want)
		return func(t *testing.T) []received { return w.run(t, c, h, "receive", a).events(t) }
	}
	f("JavaScript", amqp(eventhubsJS, args{}))
	f("Python", amqp(python("eventhubs_client.py"), args{}))
	f("Debian's Python", amqp(debianPython("eventhubs_client.py"), args{"way": "tls"}))
	f("proton", amqp(debianPython("amqp_proton.py"), args{"partition": "0", "credit": 100}))
	f("kafkajs", kafka(js, args{"lib": "kafkajs"}))
	f("platformatic", kafka(js, args{"lib": "platformatic"}))
	f("librdkafka", kafka(py, args{"lib": "confluent"}))
	f("kafka-python", kafka(py, args{"lib": "kafka-python"}))
	f("kcat", func(t *testing.T) []received {
		return kcatEvents(t, w.kcat(t, true, "", "-C", "-t", h, "-o", "beginning", "-e", "-J"))
	})
}
