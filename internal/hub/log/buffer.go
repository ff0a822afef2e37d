package log

import "sync"

// Memory of groups that were written and of readers that have read all there is, for all
// partitions: one that is not in use holds none.
var buffers, recordBuffers sync.Pool

// The largest memory that is kept: bytes of a buffer, and records.
const (
	maxSpare        = 4 << 20
	maxSpareRecords = 2 << 10
)

// takeBuffer gives an empty buffer, which may have more or less room than size.
func takeBuffer(size int) []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// giveBuffer takes a buffer that nobody looks at any more.
func giveBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= maxSpare {
		buffers.Put(&b)
	}
}

// takeRecords gives memory for records, which may have more or less room than n. n is not
// trusted.
func takeRecords(n int) []Record {
	if b, ok := recordBuffers.Get().(*[]Record); ok {
		return (*b)[:0]
	}
	return make([]Record, 0, min(n, maxSpareRecords))
}

// giveRecords takes memory of records that nobody looks at any more.
func giveRecords(b []Record) {
	if b = b[:cap(b)]; len(b) > 0 && len(b) <= maxSpareRecords {
		clear(b) // they hold other memory
		recordBuffers.Put(&b)
	}
}
