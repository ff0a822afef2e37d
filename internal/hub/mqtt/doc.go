// Package mqtt takes the telemetry of devices over MQTT 3.1.1 and 5 on the topics of IoT Hub,
// and lets plain MQTT clients send to hubs and watch them.
//
// The packets and the life of a connection are mochi-mqtt's. What it is not used for: its
// listeners (connections are given to Server.Serve), its sessions (they end with their
// connections), its retained messages, and its distribution of messages: what is published
// goes to the log of a hub, and nowhere else.
//
// # Devices
//
// A client whose user name is {host}/{device}/?api-version=... is a device of IoT Hub. Its
// password is a shared access signature for {host}/devices/{device}, of the device's own key
// (DeviceKey) or of a policy. It publishes to devices/{device}/messages/events/{properties}.
//
// # Others
//
// Any other client signs in with the name of a key and the key, or with a token of Event
// Hubs as its password. It publishes to hubs/{hub}/messages/{properties} and subscribes to
// hubs/{hub}/events.
//
// # Acknowledgements
//
// A message with QoS 1 is acknowledged when it is as durable as the broker's Options.Fsync
// says. Messages of a connection that come while one is being written are written together.
// QoS 2 is refused, as IoT Hub does.
package mqtt
