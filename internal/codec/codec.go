// Package codec turns bytes into batches and batches into bytes: JSON, CSV, compression
// and text encodings. Arrow, Avro and Parquet come later and live here too.
package codec

// Bad is an event that could not be decoded: an input data error (saql.md 0, 13.4).
type Bad struct {
	Offset int64  // byte offset of the event in the decoded text
	Line   int64  // line of its first byte, from 1
	Name   string // InputDeserializerError.InvalidData, ...
	Reason string
	Text   []byte // the event, cut to 4 KiB; valid until the next call
}
