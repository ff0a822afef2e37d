package message

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"weir/internal/vec"
)

// unixTicks is 1970-01-01 as a vec.Time.
const unixTicks vec.Time = 621_355_968_000_000_000

// ToTime is a time of a service, to the microsecond.
func ToTime(t time.Time) vec.Time { return unixTicks + vec.Time(t.UnixMicro())*vec.Microsecond }

// FromTime is the first microsecond at or after t.
func FromTime(t vec.Time) time.Time {
	d := t - unixTicks
	micros := d / vec.Microsecond
	if d%vec.Microsecond > 0 {
		micros++
	}
	return time.UnixMicro(int64(micros))
}

// Wants is what a query reads of messages beside their text (saql.md 7.9). What it does not
// read is not made: most queries read nothing, and then messages cost nothing.
type Wants struct {
	Time   bool // when it was enqueued
	Place  bool // its offset and sequence number
	Key    bool
	User   bool // application properties
	Device bool // what IoT Hub knows of the device
}

// WantsOf tells by the names of the metadata (connect.SourceEnv.Metadata); nil is all.
func WantsOf(names []string) Wants {
	if names == nil {
		return Wants{true, true, true, true, true}
	}
	var w Wants
	for _, n := range names {
		group, name, dotted := strings.Cut(n, ".")
		switch group {
		case "EventHub":
			w.Time = w.Time || !dotted || name == "EventEnqueuedUtcTime"
			w.Place = w.Place || !dotted || name == "Offset" || name == "SequenceNumber"
			w.Key = w.Key || !dotted || name == "PartitionKey" || name == "Publisher"
			w.Device = w.Device || !dotted || strings.HasPrefix(name, "IoT")
		case "EventEnqueuedUtcTime":
			w.Time = true
		case "User":
			w.User = true
		case "IoTHub":
			w.Device = true
		}
	}
	return w
}

// Meta makes the metadata of the messages of a partition of an event hub.
type Meta struct {
	Wants
	partition vec.Value
	// shared is of all messages of one time that have nothing of their own.
	shared map[string]vec.Value
	at     vec.Time
}

// NewMeta makes the metadata of a partition.
func NewMeta(w Wants, partition int) *Meta {
	return &Meta{Wants: w, partition: vec.IntValue(int64(partition))}
}

// Chunk is the metadata of all messages of the partition.
func (m *Meta) Chunk() map[string]vec.Value { return map[string]vec.Value{"PartitionId": m.partition} }

// Own is metadata of a message of its own, to which more is added.
func (m *Meta) Own(enqueued vec.Time) map[string]vec.Value {
	return map[string]vec.Value{"PartitionId": m.partition, "EventEnqueuedUtcTime": vec.TimeValue(enqueued)}
}

// Shared is the metadata of a message that has nothing of its own; nil if it is that of all.
func (m *Meta) Shared(enqueued vec.Time) map[string]vec.Value {
	if !m.Time {
		return nil
	}
	if m.shared == nil || m.at != enqueued {
		m.at, m.shared = enqueued, m.Own(enqueued)
	}
	return m.shared
}

// SetPlace adds where a message stands.
func SetPlace(to map[string]vec.Value, seq int64, offset string) {
	to["SequenceNumber"] = vec.IntValue(seq)
	to["Offset"] = vec.StringValue(offset)
}

// SetKey adds the partition key.
func SetKey(to map[string]vec.Value, key string) {
	to["PartitionKey"] = vec.StringValue(strings.ToValidUTF8(key, "\uFFFD"))
}

// DevicePrefix is what the annotations of IoT Hub begin with.
const DevicePrefix = "iothub-"

var deviceFields = []struct{ annotation, iot, eventHub string }{
	{"iothub-connection-device-id", "ConnectionDeviceId", "IoTConnectionDeviceId"},
	{"iothub-connection-module-id", "ConnectionModuleId", "IoTConnectionModuleId"},
	{"iothub-connection-auth-method", "AuthMethod", "IoTAuthMethod"},
	{"iothub-connection-auth-generation-id", "AuthGenerationId", "IoTAuthGenerationId"},
	{"iothub-connection-auth-generation-id", "ConnectionDeviceGenerationId", ""},
	{"iothub-enqueuedtime", "EnqueuedTime", "IoTEnqueueTime"},
	{"iothub-enqueuedtime", "EnqueueTime", ""},
	{"iothub-message-source", "MessageSource", "IoTMessageSource"},
	{"iothub-interface-name", "InterfaceName", "IoTInterfaceName"},
	{"iothub-interface-id", "InterfaceName", "IoTInterfaceName"},
}

// SetDevice adds what IoT Hub says of the sender: the record IoTHub, and the fields of the
// event hub. annotation finds an annotation of the message.
func SetDevice(to map[string]vec.Value, messageID, correlationID vec.Value, annotation func(name string) (vec.Value, bool)) {
	orNull := func(v vec.Value) vec.Value {
		if v.Kind.IsNull() {
			return vec.NullValue()
		}
		return v
	}
	r := &vec.Rec{Names: []string{"MessageId", "CorrelationId"}, Vals: []vec.Value{orNull(messageID), orNull(correlationID)}}
	for _, f := range deviceFields {
		if v, ok := annotation(f.annotation); ok {
			r.Names, r.Vals = append(r.Names, f.iot), append(r.Vals, v)
			if f.eventHub != "" {
				to[f.eventHub] = v
			}
		}
	}
	r.Names, r.Vals = append(r.Names, "StreamId"), append(r.Vals, vec.NullValue())
	to["IoTHub"] = vec.RecordValue(r)
}

// ValueOf is a value of a property, as clients of messages have it, as a value of a query;
// what it does not know is NULL.
func ValueOf(v any) vec.Value {
	switch v := v.(type) {
	case bool:
		return vec.BitValue(v)
	case int8:
		return vec.IntValue(int64(v))
	case int16:
		return vec.IntValue(int64(v))
	case int32:
		return vec.IntValue(int64(v))
	case int64:
		return vec.IntValue(v)
	case uint8:
		return vec.IntValue(int64(v))
	case uint16:
		return vec.IntValue(int64(v))
	case uint32:
		return vec.IntValue(int64(v))
	case uint64:
		if v > 1<<63-1 {
			return vec.FloatValue(float64(v))
		}
		return vec.IntValue(int64(v))
	case int:
		return vec.IntValue(int64(v))
	case float32:
		return vec.FloatValue(float64(v))
	case float64:
		return vec.FloatValue(v)
	case string:
		return vec.StringValue(strings.ToValidUTF8(v, "\uFFFD"))
	case []byte:
		if utf8.Valid(v) {
			return vec.StringValue(string(v))
		}
		return vec.StringValue(base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return vec.TimeValue(ToTime(v))
	case []any:
		r := &vec.Rec{}
		for _, x := range v {
			r.Vals = append(r.Vals, ValueOf(x))
		}
		return vec.ArrayValue(r)
	case map[string]any:
		return RecordOf(v)
	}
	return vec.NullValue()
}

// RecordOf is a record of properties in the order of their names.
func RecordOf(properties map[string]any) vec.Value {
	r := &vec.Rec{}
	for name := range properties {
		r.Names = append(r.Names, name)
	}
	slices.Sort(r.Names)
	for _, name := range r.Names {
		r.Vals = append(r.Vals, ValueOf(properties[name]))
	}
	return vec.RecordValue(r)
}
