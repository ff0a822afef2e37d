// Package servicebus makes queues and topics of Azure Service Bus sinks of jobs, over AMQP with
// the official client.
//
// A message has an id that stays the same when an epoch is sent again, so a queue or topic that
// finds duplicates keeps each once, as long as it remembers them. Messages are sent in batches:
// those of a session, or of a partition key, in a lane of their own, and all that have neither in
// one lane, so that they stay in order too.
package servicebus
