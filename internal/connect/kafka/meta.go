package kafka

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect/message"
	"weir/internal/vec"
)

// wants is what a query reads of records beside their text (saql.md 7.9): what it reads of an
// event hub, and the record Kafka.
type wants struct {
	message.Wants
	kafka bool
}

// wantsOf tells by the names of the metadata; nil is all.
func wantsOf(names []string) wants {
	return wants{message.WantsOf(names), names == nil || slices.ContainsFunc(names, func(n string) bool {
		group, _, _ := strings.Cut(n, ".")
		return group == "Kafka"
	})}
}

// meta makes the metadata of the records of a partition.
type meta struct {
	*message.Meta
	kafka            bool
	topic, partition vec.Value
}

func newMeta(w wants, p place) meta {
	return meta{message.NewMeta(w.Wants, int(p.partition)), w.kafka, vec.StringValue(p.topic), vec.IntValue(int64(p.partition))}
}

// of is the metadata of a record; nil if it is that of the chunk.
func (m *meta) of(r *kgo.Record, enqueued vec.Time) map[string]vec.Value {
	key, user := m.Key && r.Key != nil, m.User && len(r.Headers) > 0
	if !m.Place && !m.kafka && !key && !user {
		return m.Shared(enqueued)
	}
	own := m.Own(enqueued)
	if m.Place {
		message.SetPlace(own, r.Offset, strconv.FormatInt(r.Offset, 10))
	}
	if key {
		message.SetKey(own, string(r.Key))
	}
	headers := vec.NullValue()
	if len(r.Headers) > 0 && (user || m.kafka) {
		headers = headersOf(r.Headers)
	}
	if user {
		own["User"] = headers
	}
	if m.kafka {
		own["Kafka"] = vec.RecordValue(&vec.Rec{Names: kafkaNames, Vals: []vec.Value{m.topic, m.partition, vec.IntValue(r.Offset), textValue(r.Key), headers}})
	}
	return own
}

// kafkaNames are the fields of the record Kafka.
var kafkaNames = []string{"Topic", "Partition", "Offset", "Key", "Headers"}

// headersOf are headers as a record. Of several with one name the last one stands.
func headersOf(list []kgo.RecordHeader) vec.Value {
	rec := &vec.Rec{Names: make([]string, 0, len(list)), Vals: make([]vec.Value, 0, len(list))}
	for i := range list {
		name, v := strings.ToValidUTF8(list[i].Key, "\uFFFD"), textValue(list[i].Value)
		if at := slices.Index(rec.Names, name); at >= 0 {
			rec.Vals[at] = v
			continue
		}
		rec.Names, rec.Vals = append(rec.Names, name), append(rec.Vals, v)
	}
	return vec.RecordValue(rec)
}

// textValue is bytes as a text: what is no UTF-8 is replaced, and nil is NULL.
func textValue(b []byte) vec.Value {
	switch {
	case b == nil:
		return vec.NullValue()
	case utf8.Valid(b):
		return vec.StringValue(string(b))
	}
	return vec.StringValue(strings.ToValidUTF8(string(b), "\uFFFD"))
}
