package hub

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

// wants is what a query reads of messages beside their text (saql.md 7.9). What it does not
// read is not made: most queries read nothing, and then messages cost nothing.
type wants struct {
	time   bool // when it was enqueued
	place  bool // its offset and sequence number
	key    bool
	user   bool // application properties
	device bool // what IoT Hub knows of the device
}

// wantsOf tells by the names of the metadata; nil is all.
func wantsOf(names []string) wants {
	if names == nil {
		return wants{true, true, true, true, true}
	}
	var w wants
	for _, n := range names {
		group, name, dotted := strings.Cut(n, ".")
		switch group {
		case "EventHub":
			w.time = w.time || !dotted || name == "EventEnqueuedUtcTime"
			w.place = w.place || !dotted || name == "Offset" || name == "SequenceNumber"
			w.key = w.key || !dotted || name == "PartitionKey" || name == "Publisher"
			w.device = w.device || !dotted || strings.HasPrefix(name, "IoT")
		case "EventEnqueuedUtcTime":
			w.time = true
		case "User":
			w.user = true
		case "IoTHub":
			w.device = true
		}
	}
	return w
}

// meta makes the metadata of the messages of a partition.
type meta struct {
	wants
	partition vec.Value
	chunk     map[string]vec.Value // of all messages
	// shared is of all messages of one time that have nothing of their own.
	shared map[string]vec.Value
	at     time.Time
}

func newMeta(w wants, partition int) meta {
	p := vec.IntValue(int64(partition))
	return meta{wants: w, partition: p, chunk: map[string]vec.Value{"PartitionId": p}}
}

// of is the metadata of a message; nil if it is that of the chunk.
func (m *meta) of(rec *log.Record, seq int64, b *log.Batch) map[string]vec.Value {
	var own map[string]vec.Value
	set := func(name string, v vec.Value) {
		if own == nil {
			own = map[string]vec.Value{"PartitionId": m.partition, "EventEnqueuedUtcTime": vec.TimeValue(toTime(b.Enqueued))}
		}
		own[name] = v
	}
	if m.place {
		set("SequenceNumber", vec.IntValue(seq))
		set("Offset", vec.StringValue(strconv.FormatInt(rec.Offset, 10)))
	}
	if m.key && rec.Key != nil {
		set("PartitionKey", vec.StringValue(strings.ToValidUTF8(string(rec.Key), "\uFFFD")))
	}
	if m.user || m.device {
		m.sections(rec.Value, set)
	}
	if own != nil || !m.time {
		return own
	}
	if m.shared == nil || !m.at.Equal(b.Enqueued) {
		m.at = b.Enqueued
		m.shared = map[string]vec.Value{"PartitionId": m.partition, "EventEnqueuedUtcTime": vec.TimeValue(toTime(b.Enqueued))}
	}
	return m.shared
}

var (
	devicePrefix = []byte("iothub-")
	deviceFields = []struct{ annotation, iot, eventHub string }{
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
)

// sections sets what the sections of a message say, as far as it has any.
func (m *meta) sections(message []byte, set func(string, vec.Value)) {
	s, err := amqp.Split(message)
	if err != nil {
		return
	}
	user := m.user && len(s.ApplicationProperties) > 0
	device := m.device && bytes.Contains(s.MessageAnnotations, devicePrefix)
	if !user && !device {
		return
	}
	msg, err := amqp.Decode(message)
	if err != nil {
		return
	}
	if user && len(msg.Application) > 0 {
		r := &vec.Rec{}
		for _, p := range msg.Application {
			r.Names, r.Vals = append(r.Names, p.Key), append(r.Vals, valueOf(p.Value))
		}
		set("User", vec.RecordValue(r))
	}
	if device {
		setDevice(&msg, set)
	}
}

// setDevice sets what IoT Hub says of the sender.
func setDevice(msg *amqp.Message, set func(string, vec.Value)) {
	r := &vec.Rec{}
	add := func(name string, v vec.Value) { r.Names, r.Vals = append(r.Names, name), append(r.Vals, v) }
	if id := valueOf(msg.Properties.MessageID); !id.Kind.IsNull() {
		add("MessageId", id)
	} else {
		add("MessageId", vec.NullValue())
	}
	if id := valueOf(msg.Properties.CorrelationID); !id.Kind.IsNull() {
		add("CorrelationId", id)
	} else {
		add("CorrelationId", vec.NullValue())
	}
	for _, f := range deviceFields {
		for _, a := range msg.Annotations {
			if a.Key != f.annotation {
				continue
			}
			v := valueOf(a.Value)
			add(f.iot, v)
			if f.eventHub != "" {
				set(f.eventHub, v)
			}
		}
	}
	add("StreamId", vec.NullValue())
	set("IoTHub", vec.RecordValue(r))
}

// valueOf is a value of AMQP as a value of a query.
func valueOf(v any) vec.Value {
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
	case float32:
		return vec.FloatValue(float64(v))
	case float64:
		return vec.FloatValue(v)
	case string:
		return vec.StringValue(strings.ToValidUTF8(v, "\uFFFD"))
	case amqp.Symbol:
		return vec.StringValue(strings.ToValidUTF8(string(v), "\uFFFD"))
	case []byte:
		if utf8.Valid(v) {
			return vec.StringValue(string(v))
		}
		return vec.StringValue(base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return vec.TimeValue(toTime(v))
	case amqp.UUID:
		return vec.StringValue(fmt.Sprintf("%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:]))
	case []any:
		r := &vec.Rec{}
		for _, x := range v {
			r.Vals = append(r.Vals, valueOf(x))
		}
		return vec.ArrayValue(r)
	case []amqp.Pair:
		r := &vec.Rec{}
		for _, p := range v {
			r.Names, r.Vals = append(r.Names, p.Key), append(r.Vals, valueOf(p.Value))
		}
		return vec.RecordValue(r)
	case amqp.Described:
		return valueOf(v.Value)
	}
	return vec.NullValue()
}
