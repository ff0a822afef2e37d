// Package servicebus sends to queues and topics of Service Bus.
package servicebus
