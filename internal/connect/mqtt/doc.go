// Package mqtt subscribes to and publishes on topics of an MQTT broker.
package mqtt
