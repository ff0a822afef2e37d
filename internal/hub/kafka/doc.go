// Package kafka is the broker as Kafka clients see it: hubs are topics, sequence numbers are
// offsets, consumer groups are groups. There is one broker, which leads all partitions.
//
// # Events and records
//
// A record's key is the partition key of the event, its value the body, its headers the
// application properties: text if they are UTF-8, else binary. Its timestamp is the time at
// which the event was taken (LogAppendTime). Offsets only grow, and some may be left out.
//
// # How a connection is served
//
// One goroutine reads requests, one runs them in order, one writes the answers in order.
// Records to be appended get their turn in the order in which they come; the next request is
// looked at while they are forced to the disk. So the partitions of a request, and the
// requests behind it, share the log's group commits.
//
// # What comes from outside
//
// The decoder of requests (package kmsg) believes the counts that it reads. So a request is
// first walked along its shape (shapes.go), and refused if it claims more than it has.
//
// There are no transactions and no groups of the newer kind (KIP-848).
package kafka
