// Package peertest runs clients that others wrote against the real program: the official SDKs
// of Event Hubs for JavaScript, Python, Java and Go, Kafka's own client, other clients of AMQP,
// Kafka, MQTT and Fluentd's forward protocol, and the requests of a Fluentd plugin. It has
// tests only. They are behind the build tag peers, because they need those clients:
//
//	make peers
//
// installs them (scripts/peers.sh) and runs the tests. A client that is missing fails its
// tests; none is left out.
//
// The clients are driven by small scripts in testdata, which do what a test says and print a
// JSON object a line; the judging is done here.
package peertest
