// Package kafka is the broker as Kafka clients see it: hubs are topics, sequence numbers are
// offsets, consumer groups are groups.
package kafka
