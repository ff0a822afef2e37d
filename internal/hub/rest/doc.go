// Package rest takes events over HTTP as the send interface of Event Hubs does: POST
// /{hub}/messages, single and batched, with shared access signatures (eventhubs.md 1.3).
//
// # One event
//
// The body is the event, as it is. Every header that is not one of HTTP's own is a property
// of the application; its value is a text, without the double quotes around it if it has
// them. Names come as net/http writes them, X-Prop for x-prop. BrokerProperties, a JSON
// object, has what AMQP keeps as properties, and the partition key. Content-Type stays with
// the event.
//
// # Many events
//
// With the content type application/vnd.microsoft.servicebus.json the body is an array of
// events, each with its own properties; headers are none then. All of them go to one
// partition in one append, so that all are taken or none: they must have the same partition
// key, or none.
package rest
