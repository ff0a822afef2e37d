package hub

import (
	"bytes"
	"fmt"
	"strconv"

	"weir/internal/connect/message"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

// meta makes the metadata of the messages of a partition.
type meta struct{ *message.Meta }

// of is the metadata of a message; nil if it is that of the chunk.
func (m meta) of(rec *log.Record, seq int64, b *log.Batch) map[string]vec.Value {
	at := toTime(b.Enqueued)
	var own map[string]vec.Value
	mine := func() map[string]vec.Value {
		if own == nil {
			own = m.Own(at)
		}
		return own
	}
	if m.Place {
		message.SetPlace(mine(), seq, strconv.FormatInt(rec.Offset, 10))
	}
	if m.Key && rec.Key != nil {
		message.SetKey(mine(), string(rec.Key))
	}
	if m.User || m.Device {
		m.sections(rec.Value, mine)
	}
	if own != nil {
		return own
	}
	return m.Shared(at)
}

var devicePrefix = []byte(message.DevicePrefix)

// sections sets what the sections of a message say, as far as it has any.
func (m meta) sections(body []byte, mine func() map[string]vec.Value) {
	s, err := amqp.Split(body)
	if err != nil {
		return
	}
	user := m.User && len(s.ApplicationProperties) > 0
	device := m.Device && bytes.Contains(s.MessageAnnotations, devicePrefix)
	if !user && !device {
		return
	}
	msg, err := amqp.Decode(body)
	if err != nil {
		return
	}
	if user && len(msg.Application) > 0 {
		r := &vec.Rec{}
		for _, p := range msg.Application {
			r.Names, r.Vals = append(r.Names, p.Key), append(r.Vals, valueOf(p.Value))
		}
		mine()["User"] = vec.RecordValue(r)
	}
	if device {
		message.SetDevice(mine(), valueOf(msg.Properties.MessageID), valueOf(msg.Properties.CorrelationID), func(name string) (vec.Value, bool) {
			for _, a := range msg.Annotations {
				if a.Key == name {
					return valueOf(a.Value), true
				}
			}
			return vec.Value{}, false
		})
	}
}

// valueOf is a value of AMQP as a value of a query.
func valueOf(v any) vec.Value {
	switch v := v.(type) {
	case amqp.Symbol:
		return message.ValueOf(string(v))
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
	return message.ValueOf(v)
}
