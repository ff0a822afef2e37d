// Package eventhubs is the broker as the SDKs of Event Hubs see it over AMQP: sign-in by
// shared access signatures ($cbs), reading about hubs and partitions ($management), senders,
// and receivers with filters and owner levels.
package eventhubs
