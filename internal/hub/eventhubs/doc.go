// Package eventhubs is the broker as the SDKs of Event Hubs see it over AMQP: sign-in by
// shared access signatures ($cbs), reading about hubs and partitions ($management), senders,
// and receivers with filters and owner levels.
//
// # What clients may do
//
// A connection begins with nothing, unless it was opened with SASL PLAIN and a key. It puts
// tokens to $cbs, one an audience (an address). A link needs a token for its address or one
// above it that gives Send or Listen; when the last of these expires the link is detached.
//
// # Events
//
// What a sender writes is kept as it is, but for the header, the delivery annotations, and
// the annotations that are the hub's own. On the way out the hub's annotations are put before
// those of the sender, and the rest is copied. So no event is decoded on the way.
//
// All messages that wait on a link are appended at once, an append for each partition.
package eventhubs
