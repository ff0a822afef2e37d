// Package peertest tries the program with clients that others wrote: the SDKs of Event Hubs,
// Kafka clients, Fluentd's forwarders, MQTT devices. Its tests need those clients and have
// the build tag peers.
package peertest
