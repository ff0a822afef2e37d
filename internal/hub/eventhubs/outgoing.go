package eventhubs

import (
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"

	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// placed is a record and where it is.
type placed struct {
	seq      int64
	enqueued time.Time
	record   *log.Record
}

// runtime is what receivers with the capability enable-receiver-runtime-metric are told with
// each event: the end of the partition.
type runtime struct {
	seq       int64
	offset    string
	enqueued  time.Time
	retrieved time.Time
}

// prefix is the annotations of the hub without the values: a map whose size and count, and
// values, are put in. All its parts have a fixed place but the last two.
var prefix = func() []byte {
	b := append([]byte(nil), annotationsStart...)
	b = append(b, 0xd1, 0, 0, 0, 0, 0, 0, 0, 0) // map32: size, count
	b = append(amqp.AppendSymbol(b, annotSequence), 0x81, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(amqp.AppendSymbol(b, annotEnqueued), 0x83, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(amqp.AppendSymbol(b, annotOffset), 0xa1, 0) // str8: length
}()

// The places in prefix: constructors and lengths take 2 bytes before a key, 1 before a value.
const (
	prefixSize     = 4                                            // of the size of the map
	prefixCount    = prefixSize + 4                               // of its count
	prefixSequence = prefixCount + 4 + 2 + len(annotSequence) + 1 // of the sequence number
	prefixEnqueued = prefixSequence + 8 + 2 + len(annotEnqueued) + 1
)

// appendAnnotations appends the message annotations of an event up to those of its sender,
// which must come next: sender has them, encoded entries without the map, and pairs counts
// them.
func appendAnnotations(dst []byte, p placed, sender []byte, pairs int) []byte {
	at := len(dst)
	dst = append(dst, prefix...)
	binary.BigEndian.PutUint64(dst[at+prefixSequence:], uint64(p.seq))
	binary.BigEndian.PutUint64(dst[at+prefixEnqueued:], uint64(p.enqueued.UnixMilli()))
	n := len(dst)
	dst = strconv.AppendInt(dst, p.record.Offset, 10)
	dst[n-1] = byte(len(dst) - n)
	count := 3 + pairs
	// Keys of other protocols may be bytes; an AMQP string is UTF-8.
	if key := p.record.Key; len(key) > 0 && utf8.Valid(key) {
		dst = amqp.AppendString(amqp.AppendSymbol(dst, annotKey), key)
		count++
	}
	size := len(dst) - at - prefixSize - 4 + len(sender)
	binary.BigEndian.PutUint32(dst[at+prefixSize:], uint32(size))
	binary.BigEndian.PutUint32(dst[at+prefixCount:], uint32(2*count))
	return dst
}

// stored splits a stored message into its sender's annotations, as entries, and what follows
// them. A section that cannot be read is left out: nothing that wrote it was ours.
func stored(message []byte) (entries []byte, pairs int, tail []byte) {
	if len(message) < 3 || message[0] != 0 || message[1] == 0x53 && message[2] != 0x72 {
		return nil, 0, message
	}
	s, err := amqp.Split(message)
	if err != nil || len(s.MessageAnnotations) == 0 {
		return nil, 0, message
	}
	tail = message[len(s.Header)+len(s.DeliveryAnnotations)+len(s.MessageAnnotations):]
	pairs, entries, err = amqp.MapEntries(s.MessageAnnotations)
	if err != nil {
		return nil, 0, tail
	}
	return entries, pairs, tail
}

// appendRuntime appends the delivery annotations of a receiver that wants to know the end of
// the partition (eventhubs.md 1.1, item 8).
func appendRuntime(dst []byte, r runtime) []byte {
	dst = append(dst, 0x00, 0x53, 0x71)
	dst, mark := amqp.StartMap(dst)
	dst = amqp.AppendLong(amqp.AppendSymbol(dst, "last_enqueued_sequence_number"), r.seq)
	dst = amqp.AppendString(amqp.AppendSymbol(dst, "last_enqueued_offset"), r.offset)
	dst = amqp.AppendTimestamp(amqp.AppendSymbol(dst, "last_enqueued_time_utc"), r.enqueued)
	dst = amqp.AppendTimestamp(amqp.AppendSymbol(dst, "runtime_info_retrieval_time_utc"), r.retrieved)
	return amqp.EndMap(dst, mark, 4)
}
