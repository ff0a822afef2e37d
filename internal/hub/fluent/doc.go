// Package fluent takes events from Fluentd and Fluent Bit by their forward protocol, and
// acknowledges them when they are durable.
package fluent
