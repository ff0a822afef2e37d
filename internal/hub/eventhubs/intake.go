package eventhubs

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The formats of messages: one event as it is, and Event Hubs' batch, whose data sections
// are encoded messages (eventhubs.md 1.1, item 6).
const (
	plainFormat = 0
	batchFormat = 0x80013700
)

// MaxPartitionKey bounds a partition key, in characters, as in Event Hubs.
const MaxPartitionKey = 128

// The annotations that the hub gives or reads. What a sender writes under these names is
// not kept.
const (
	annotSequence    = "x-opt-sequence-number"
	annotOffset      = "x-opt-offset"
	annotEnqueued    = "x-opt-enqueued-time"
	annotKey         = "x-opt-partition-key"
	annotPublisher   = "x-opt-publisher"
	annotProducer    = "com.microsoft:producer-id"
	annotEpoch       = "com.microsoft:producer-epoch"
	annotNumber      = "com.microsoft:producer-sequence-number"
	capIdempotent    = "com.microsoft:idempotent-producer"
	capGeo           = "com.microsoft:georeplication"
	capRuntimeMetric = "com.microsoft:enable-receiver-runtime-metric"
)

// intake makes events of deliveries. Its memory is used again for the next ones, so events
// are valid until reset and as long as the deliveries are.
type intake struct {
	publisher string // events are annotated with it, and have it as their key
	numbered  bool   // they come from an idempotent producer
	maxEvent  int    // bytes of an event
	events    []hub.Event
	arena     []byte // annotations that had to be written anew
}

// taken is what a delivery has become: a run of intake.events.
type taken struct {
	from, to int
	key      []byte // of all its events
	producer producerNumbers
}

// producerNumbers is what the messages of an idempotent producer carry.
type producerNumbers struct {
	id, epoch   int64
	first, last int64
	seen        int // how many of the three annotations the first message had
}

func (in *intake) reset() {
	clear(in.events)
	in.events, in.arena = in.events[:0], in.arena[:0]
}

// take reads a delivery. On an error, which is an *amqp.Error, nothing of it stays.
func (in *intake) take(d *amqp.Delivery) (taken, error) {
	t := taken{from: len(in.events)}
	var err error
	switch d.Format {
	case batchFormat:
		err = in.batch(d.Message, &t)
	case plainFormat:
		err = in.event(d.Message, &t)
	default:
		err = &amqp.Error{Condition: condNotImplemented, Description: fmt.Sprintf("Messages of the format 0x%x are not taken; it is 0, or 0x%x for batches.", d.Format, uint32(batchFormat))}
	}
	t.to = len(in.events)
	if err == nil {
		err = in.complete(&t)
	}
	if err != nil {
		clear(in.events[t.from:])
		in.events = in.events[:t.from]
	}
	return t, err
}

// batch reads an envelope. Of its own annotations only the partition key counts: the others
// are those of its first event.
func (in *intake) batch(message []byte, t *taken) error {
	s, err := amqp.Split(message)
	if err != nil {
		return undecodable(err)
	}
	if len(s.MessageAnnotations) > 0 {
		r := annotations{}
		if err := r.read(s.MessageAnnotations); err != nil {
			return err
		}
		t.key = r.key
	}
	for rest := s.Body; len(rest) > 0; {
		data, after, ok := amqp.NextData(rest)
		if !ok {
			return &amqp.Error{Condition: condArgument, Description: "The batch has a body section that is not data with an encoded message."}
		}
		if err := in.event(data, t); err != nil {
			return err
		}
		rest = after
	}
	if len(in.events) == t.from {
		return &amqp.Error{Condition: condArgument, Description: "The batch has no events."}
	}
	return nil
}

// event reads one message and adds the event.
func (in *intake) event(message []byte, t *taken) error {
	s, err := amqp.Split(message)
	if err == nil {
		err = s.Check() // what one client sends must not be what all others stumble over
	}
	if err != nil {
		return undecodable(err)
	}
	annotated := len(s.Header) + len(s.DeliveryAnnotations)
	e := hub.Event{Message: message[annotated+len(s.MessageAnnotations):]}
	r := annotations{publisher: in.publisher}
	if len(s.MessageAnnotations) > 0 || in.publisher != "" {
		if err := r.read(s.MessageAnnotations); err != nil {
			return err
		}
		switch {
		case r.asIs:
			e.Message = message[annotated:]
		case r.kept > 0 || in.publisher != "":
			e.Message = in.rewrite(&r, s.MessageAnnotations, e.Message)
		}
	}
	if err := t.join(&r, len(in.events)-t.from, in.numbered); err != nil {
		return err
	}
	in.events = append(in.events, e)
	return nil
}

// complete gives all events of a delivery their key, and looks at their sizes.
func (in *intake) complete(t *taken) error {
	if in.publisher != "" {
		if t.key != nil && string(t.key) != in.publisher {
			return &amqp.Error{Condition: condNotAllowed, Description: "The partition key must be the publisher's name, or left out, when events are sent to a publisher."}
		}
		t.key = []byte(in.publisher)
	}
	for i := t.from; i < t.to; i++ {
		e := &in.events[i]
		e.Key = t.key
		if n := len(e.Message); n > in.maxEvent {
			return &amqp.Error{Condition: condTooLarge, Description: fmt.Sprintf("The event has %d bytes; %d is the most.", n, in.maxEvent)}
		}
	}
	return nil
}

// join checks what a message says of its key and its producer against those before it in
// the delivery; i counts them.
func (t *taken) join(r *annotations, i int, numbered bool) error {
	switch {
	case r.key == nil:
	case t.key == nil:
		t.key = r.key
	case string(t.key) != string(r.key):
		return &amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The events of a batch must have the same partition key; there are %.80q and %.80q.", t.key, r.key)}
	}
	if !numbered {
		return nil
	}
	p := &t.producer
	if r.producer.seen < 3 {
		return &amqp.Error{Condition: condArgument, Description: "An event of an idempotent producer lacks " + annotProducer + ", " + annotEpoch + " or " + annotNumber + "."}
	}
	if i == 0 {
		*p = r.producer
		return nil
	}
	if r.producer.id != p.id || r.producer.epoch != p.epoch || r.producer.first != p.last+1 {
		return &amqp.Error{Condition: condOutOfOrder, Description: fmt.Sprintf("The events of a batch must have the same producer and epoch, and numbers that follow each other; %d follows %d.", r.producer.first, p.last)}
	}
	p.last = r.producer.first
	return nil
}

func undecodable(err error) error {
	return &amqp.Error{Condition: condDecode, Description: "The message cannot be decoded: " + sentence(err)}
}

// annotations is what was found in a section of message annotations.
type annotations struct {
	publisher string // of the link, not of the message
	key       []byte
	producer  producerNumbers
	kept      int  // entries that are the sender's own
	asIs      bool // nothing in the section is ours, and it is encoded as we do
}

// read looks through an encoded section, which may be empty.
func (r *annotations) read(section []byte) error {
	if len(section) == 0 {
		return nil
	}
	pairs, entries, err := amqp.MapEntries(section)
	if err != nil {
		return undecodable(err)
	}
	for range pairs {
		key, value, _, rest, err := amqp.NextEntry(entries)
		if err != nil {
			return undecodable(err)
		}
		if err := r.entry(key, value); err != nil {
			return err
		}
		entries = rest
	}
	if len(entries) > 0 {
		return undecodable(errors.New("bytes behind the last annotation"))
	}
	r.asIs = r.kept > 0 && r.kept == pairs && r.publisher == "" && usualAnnotations(section)
	return nil
}

func (r *annotations) entry(key, value []byte) error {
	if !ours(key) {
		r.kept++
		return nil
	}
	switch string(key) {
	case annotKey:
		text := amqp.Text(value)
		if text == nil && value[0] != codeNull || utf8.RuneCount(text) > MaxPartitionKey {
			return &amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The partition key must be a text of %d characters or less.", MaxPartitionKey)}
		}
		if len(text) > 0 {
			r.key = text
		}
	case annotProducer, annotEpoch, annotNumber:
		n, ok := wholeNumber(value)
		if !ok {
			return &amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The annotation %s must be a whole number.", key)}
		}
		r.producer.seen++
		switch string(key) {
		case annotProducer:
			r.producer.id = n
		case annotEpoch:
			r.producer.epoch = n
		default:
			r.producer.first, r.producer.last = n, n
		}
	}
	return nil
}

// codeNull is the encoded null.
const codeNull = 0x40

// ours reports whether an annotation is the hub's own.
func ours(key []byte) bool {
	switch string(key) {
	case annotSequence, annotOffset, annotEnqueued, annotKey, annotPublisher, annotProducer, annotEpoch, annotNumber:
		return true
	}
	return false
}

func wholeNumber(value []byte) (int64, bool) {
	v, _, err := amqp.DecodeValue(value)
	if err != nil {
		return 0, false
	}
	return integer(v)
}

// integer is the number of a decoded value of any whole type.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int16:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint64:
		return int64(v), v < 1<<63
	case uint32:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint8:
		return int64(v), true
	}
	return 0, false
}

// rewrite is a message with those annotations that are the sender's, and the publisher. It
// has been read, so it can be.
func (in *intake) rewrite(r *annotations, section, tail []byte) []byte {
	start := len(in.arena)
	b := append(in.arena, annotationsStart...)
	b, mark := amqp.StartMap(b)
	n := r.kept
	if len(section) > 0 {
		pairs, entries, _ := amqp.MapEntries(section)
		for range pairs {
			key, _, entry, rest, _ := amqp.NextEntry(entries)
			if !ours(key) {
				b = append(b, entry...)
			}
			entries = rest
		}
	}
	if r.publisher != "" {
		b = amqp.AppendString(amqp.AppendSymbol(b, annotPublisher), r.publisher)
		n++
	}
	b = append(amqp.EndMap(b, mark, n), tail...)
	in.arena = b
	return b[start:len(b):len(b)]
}

// annotationsStart is the descriptor of message annotations, as the hub writes it.
var annotationsStart = []byte{0x00, 0x53, 0x72}

func usualAnnotations(section []byte) bool {
	return len(section) > 3 && string(section[:3]) == string(annotationsStart)
}
