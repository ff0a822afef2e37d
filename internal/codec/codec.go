// Package codec turns bytes into batches and batches into bytes: JSON, CSV, compression
// and text encodings. Avro, Parquet and Protobuf have packages of their own below: they become
// lines of JSON first, so that chunks, positions and dead letters are the same for all.
//
// # How JSON is decoded
//
// Events are framed first: a line (lines mode) or a balanced object (stream mode) is one
// event. The generic decoder then builds the whole value of an event and picks the wanted
// fields from it. It is simple and slow, and it defines what is right.
//
// The fast decoder bets that the next event looks like one that it has seen: the same
// names in the same order. It keeps a tree of steps, each a run of literal bytes up to a
// value and the kind of the value, and walks it without framing first. Where the bytes
// leave the tree the event is framed and scanned, only the wanted fields are converted,
// and the tree learns the new branch. When the bets are lost too often it stops betting
// for a while, so that events of random shape cost little more than a scan.
//
// There are two ways along the tree. walk, for lines on processors with vector
// instructions, first marks where strings and lines end in the whole buffer; run, for the
// rest, looks for these ends word by word (docs/adr/0004-vector-marks.md).
//
// A differential fuzz test holds both decoders equal, for any batch size and any cut of
// the text.
package codec

import (
	"bytes"

	"weir/internal/vec"
)

// Bad is an event that could not be decoded: an input data error (saql.md 0, 13.4).
type Bad struct {
	Offset int64  // byte offset of the event in the decoded text
	Line   int64  // line of its first byte, from 1
	Name   string // InputDeserializerError.InvalidData, ...
	Reason string
	Text   []byte // the event, cut to 4 KiB; valid until the next call
}

// The names of input data errors that a decoder reports (saql.md 13.4).
const (
	InvalidData            = "InputDeserializerError.InvalidData"
	InvalidHeader          = "InputDeserializerError.InvalidHeader"
	InvalidCompressionType = "InputDeserializerError.InvalidCompressionType"
)

// Limits of the decoders.
const (
	// MaxEventBytes is the default limit for one event. A longer one is bad. The buffer
	// that a caller gives to Decode has to be able to grow beyond it.
	MaxEventBytes = 1 << 20
	// MaxBatchRows is the largest batch that a decoder makes.
	MaxBatchRows = 1 << 16
	// maxBadText is how much of a bad event is kept.
	maxBadText = 4 << 10
	// maxDictEntries and maxDictBytes bound the dictionary of a column. A column that
	// needs more is given as plain strings.
	maxDictEntries = 1 << 18
	maxDictBytes   = 16 << 20
)

// Decoder decodes the events of a text into batches. One goroutine uses it. It lives as
// long as the input, so its dictionaries keep their codes.
type Decoder interface {
	// Decode decodes events from data into b (reset first), at most max rows. It returns
	// how many bytes it consumed; the caller gives the rest again, with more bytes behind
	// it. Unless last is set, data may end inside an event, which is then left for the
	// next call; if Decode consumed nothing and made no row, data has to grow. Columns of
	// b follow the fields; b.Time, b.Seq and b.Arrival are not set.
	//
	// Bad events are passed to onBad, which may be nil, and skipped. Strings may point
	// into data, so b is valid until data changes. An error ends the input: nothing can
	// be decoded any more.
	Decode(b *vec.Batch, data []byte, last bool, max int, onBad func(Bad)) (consumed int, err error)
	// Row says where row i of the batch that Decode made last comes from: its offset in
	// the whole text, its line from 1, and its text, which is valid until data changes.
	Row(i int) (offset, line int64, text []byte)
	// Begin sets the offset and the line of the first byte of the next Decode, which are
	// 0 and 1 at first. A decoder that starts inside a text needs it.
	Begin(offset, line int64)
	// Position is the offset and the line of the byte that the next Decode starts with.
	Position() (offset, line int64)
}

// SplitLines is a position in data, after a line end, near approx: data[:n] and data[n:]
// can be decoded apart in lines mode. It is len(data) if no line ends at or behind approx.
func SplitLines(data []byte, approx int) int {
	if approx <= 0 {
		return 0
	}
	if approx > len(data) {
		return len(data)
	}
	i := bytes.IndexByte(data[approx-1:], '\n')
	if i < 0 {
		return len(data)
	}
	return approx + i
}
