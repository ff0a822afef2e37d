// Package hub is a broker of event streams that speaks as Azure Event Hubs does: named hubs
// of partitions, each a durable log; consumer groups with committed offsets; shared access
// keys. It knows nothing of the engine and of protocols: the folders below it (eventhubs,
// rest, kafka, mqtt, fluent) bring events in and out, connect/hub does so for jobs.
//
// # Events
//
// An event is a partition key and an encoded AMQP 1.0 message, as it was sent but for its
// header, its delivery annotations and what the hub itself annotates. Protocols without
// AMQP make such a message of theirs (package amqp). A record of the log is an event: its
// Key is the partition key, its Value the message.
//
// # Places
//
// A partition numbers its events: the sequence number, which is also Kafka's offset. The
// offset of Event Hubs is the byte offset of the record in the partition, as a text. Both
// only grow, and numbers may be left out.
package hub
