// Package amqp is AMQP 1.0 (OASIS, amqp-core-complete-v1.0) as far as a server of official
// clients needs it: the encoding of values, frames and messages, and connections with
// sessions and links. It knows nothing of hubs: a Handler says who may come in, and what is
// behind an address.
//
// Transactions and the recovery of links are not there; no client of Event Hubs asks for
// them.
package amqp
