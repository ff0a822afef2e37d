// Package fluent takes events from Fluentd, Fluent Bit and the loggers of applications by the
// forward protocol (v1.5), and acknowledges them when they are durable.
//
// An event of the protocol is a tag, a time and a record. It becomes an event of a hub: the
// record as JSON, the tag and the time as the application properties "tag" and "time".
//
// # Chunks
//
// Events come in chunks. A chunk is decoded from its first byte to its last before anything
// of it is appended: one that cannot be decoded ends the connection and leaves nothing. A
// chunk with an id is acknowledged when all its events are durable, and one that comes again
// with the same id and the same bytes is kept once, as long as its id is among the last
// Limits.Chunks that came since the server was made. A chunk that failed half-way goes on
// where it failed when it comes again.
//
// # Sizes
//
// A chunk is read whole, and unpacked as it is read, twice: what it claims of lengths costs
// nothing, and what it unpacks to needs no more memory than its largest event.
package fluent
