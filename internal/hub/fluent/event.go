package fluent

import (
	"strconv"
	"time"

	"weir/internal/hub/amqp"
)

// timeForm is the form of the property time: RFC 3339 of one length.
const timeForm = "2006-01-02T15:04:05.000000000Z"

// encoder makes messages of the events of a chunk.
type encoder struct {
	o      *Options
	tag    string
	prefix []byte // properties and what is before them; they end with a time
	room   *room
}

func newEncoder(o *Options, tag string, r *room) *encoder {
	m := amqp.Message{Application: []amqp.Pair{{Key: "tag", Value: validText(tag)}, {Key: "time", Value: timeForm}}}
	whole := m.Append(nil)
	empty := (&amqp.Message{}).Append(nil)
	return &encoder{o: o, tag: tag, prefix: whole[:len(whole)-len(empty)], room: r}
}

func validText(s string) string {
	var b []byte
	for _, r := range s { // a byte that is not UTF-8 is U+FFFD here
		b = append(b, string(r)...)
	}
	return string(b)
}

// append appends the message of an event.
func (e *encoder) append(dst []byte, at time.Time, record []byte) []byte {
	dst = append(dst, e.prefix...)
	at.UTC().AppendFormat(dst[:len(dst)-len(timeForm)], timeForm)
	e.room.body = e.appendRecord(e.room.body[:0], at, record)
	return amqp.AppendBinary(amqp.AppendSection(dst, amqp.SectionData), e.room.body)
}

// appendRecord appends the JSON of a record, with the tag and the time in it if they are
// asked for. They stand for fields of the same names, as in fluent-plugin-azureeventhubs.
func (e *encoder) appendRecord(dst []byte, at time.Time, record []byte) []byte {
	if e.o.IncludeTag == "" && e.o.IncludeTime == "" {
		dst, _ = appendJSON(dst, record)
		return dst
	}
	h, _ := readHead(record)
	b := record[h.size:]
	dst = append(dst, '{')
	for range h.items / 2 {
		if name, ok := text(b[:keyLength(b)]); ok && name != "" && (name == e.o.IncludeTag || name == e.o.IncludeTime) {
			_, b, _ = cut(b)
			_, b, _ = cut(b)
			continue
		}
		dst, b = appendKey(dst, b)
		dst = append(dst, ':')
		dst, b = appendJSON(dst, b)
		dst = append(dst, ',')
	}
	if e.o.IncludeTag != "" {
		dst = append(appendText(dst, e.o.IncludeTag), ':')
		dst = append(appendText(dst, e.tag), ',')
	}
	if e.o.IncludeTime != "" {
		dst = append(appendText(dst, e.o.IncludeTime), ':')
		dst = append(appendSeconds(dst, at), ',')
	}
	dst[len(dst)-1] = '}'
	return dst
}

// keyLength is the length of the key that b begins with; of keys that are no text, of their
// beginning.
func keyLength(b []byte) int {
	h, _ := readHead(b)
	return h.size + int(h.bytes)
}

// appendSeconds appends a time as seconds since 1970, with nine decimals if it has a part of
// a second.
func appendSeconds(dst []byte, t time.Time) []byte {
	sec, nanos := t.Unix(), t.Nanosecond()
	if nanos == 0 {
		return strconv.AppendInt(dst, sec, 10)
	}
	if sec < 0 {
		dst = append(dst, '-')
		sec, nanos = -sec-1, 1e9-nanos
	}
	dst = strconv.AppendInt(dst, sec, 10)
	digits := strconv.AppendInt(nil, int64(nanos)+1e9, 10)
	digits[0] = '.'
	return append(dst, digits...)
}

// field is a field of a record as a partition key: a text as it is, anything else as its
// JSON; nil if the record has none, or null.
func field(record []byte, name string) []byte {
	h, _ := readHead(record)
	b := record[h.size:]
	for range h.items / 2 {
		key, value, _ := cut(b)
		got, ok := text(key)
		value, b, _ = cut(value)
		if !ok || got != name {
			continue
		}
		switch v, _ := readHead(value); v.kind {
		case kindNil:
			return nil
		case kindText, kindBinary:
			return value[v.size:]
		}
		plain, _ := appendJSON(nil, value)
		return plain
	}
	return nil
}
