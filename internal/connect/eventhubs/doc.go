// Package eventhubs makes Azure Event Hubs, and the endpoint of an IoT Hub that is compatible
// with it, sources and sinks of jobs, over AMQP with the official client. Other services of the
// protocol are reached the same way: Azure's emulator, and Weir's own hub in another process.
//
// # Input
//
// A position is the sequence number of the next event. The checkpoint of the job says where it
// goes on; nothing is written to the consumer group. Events come over one connection, a link
// for each partition, and questions about partitions over another one, so that no answer waits
// behind events. Two of these questions matter: which event is the first one that is still
// kept, since the service itself goes on behind a gap without a word, and which one is the last,
// since time must go on in a partition in which nothing happens.
//
// # Output
//
// The messages of an epoch are sent in batches, several at a time. Those of one partition key
// go the same lane, one batch after the other, so that they stay in order. What was acknowledged
// is remembered until the epoch is committed and not sent again; what was sent when a process
// ended is sent again, under the same message ids.
package eventhubs
