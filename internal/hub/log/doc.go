// Package log is a durable log of records in partitions: segments, checksums, group commit.
package log
