// Package rest takes events over HTTP as the send interface of Event Hubs does: POST
// /{hub}/messages, single and batched, with shared access signatures.
package rest
