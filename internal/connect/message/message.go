// Package message is what connectors of messages share, whatever the service: Event Hubs,
// Kafka, MQTT, Service Bus, Redis.
//
// Inwards a Cutter brings what messages hold onto lines, and a Reader makes chunks of a Feed
// that waits for a service on a goroutine of its own. Outwards Rows makes messages of rows, a
// Spool keeps those of an epoch until it is committed, and a Sink drives a Publisher that
// sends them.
package message

import (
	"fmt"

	"weir/internal/vec"
)

// The limits that no setting changes.
const (
	// MaxBody is how long the text of one message may be once it is unpacked, in bytes.
	MaxBody = 16 << 20
	// maxBuffered is how many bytes of an epoch's rows an output holds in memory; what comes
	// before them waits in a file.
	maxBuffered = 8 << 20
	// maxKeptChunk is the largest chunk whose memory is kept for the next one.
	maxKeptChunk = 4 << 20
)

// Message is one that is sent. It is valid during the call that gives it.
type Message struct {
	Time       vec.Time // of its first row
	To         []byte   // where it goes, if rows say so: a topic, a key
	Key        []byte   // partition key; nil if it has none
	Properties []Property
	Body       []byte
}

// Property is a column of a row that left the payload: a text, number or bit; datetimes are
// texts. NULLs are left out.
type Property struct {
	Name  string
	Value vec.Value
}

// Any is the value as the Go type that clients take for it: string, int64, float64 or bool.
func (p Property) Any() any {
	switch p.Value.Kind {
	case vec.Int:
		return p.Value.Int
	case vec.Float:
		return p.Value.Float
	case vec.Bit:
		return p.Value.Int != 0
	}
	return p.Value.Str
}

// ID names a message by where it came from: it is the same when an epoch is sent again, so
// that receivers can leave out what they have.
func ID(sender string, epoch int64, index int) string {
	return fmt.Sprintf("%s/%d/%d", sender, epoch, index)
}
