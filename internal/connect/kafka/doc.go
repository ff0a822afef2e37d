// Package kafka reads and writes topics of Kafka.
package kafka
