package kafka

import (
	"encoding/binary"
	"hash/crc32"
)

// A batch of records (version 2 of the format, KIP-98), big-endian:
//
//	0  i64 offset of the first record
//	8  i32 bytes behind these twelve
//	12 i32 leader epoch
//	16 i8  version, 2
//	17 u32 CRC-32C of all behind it
//	21 i16 attributes
//	23 i32 offset of the last record, less the first's
//	27 i64 time of the first record, in milliseconds
//	35 i64 highest time
//	43 i64 producer ID, or -1
//	51 i16 its epoch
//	53 i32 number of the first record, as the producer counts
//	57 i32 number of records
//	61     records, perhaps compressed
//
// A record is: length of the rest of it; attributes, one byte; time less the first's; offset
// less the first's; key and value, each with its length or -1; number of headers and each
// with key and value. Numbers are zig-zag varints.
const batchHeader = 61

// The attributes of a batch.
const (
	codecBits      = 0x07
	logAppendTime  = 0x08
	transactional  = 0x10
	controlRecords = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var be = binary.BigEndian

// recordBatch is the header of a batch, and its records as they came.
type recordBatch struct {
	attributes int16
	producer   int64
	epoch      int16
	first      int32 // number of the first record
	count      int
	records    []byte
}

// minRecord is the size of the smallest record, in bytes.
const minRecord = 7

// parseBatch checks what a producer has sent for a partition, which must be one batch.
func parseBatch(b []byte) (recordBatch, error) {
	if len(b) == 0 {
		return recordBatch{}, refuse(errInvalidRecord, "there are no records")
	}
	if len(b) > 16 && b[16] != 2 && b[16] < 8 {
		return recordBatch{}, refuse(errUnsupportedForFormat, "records of version %d of the format; only version 2 is taken, which Kafka has had since 0.11", b[16])
	}
	if len(b) < batchHeader {
		return recordBatch{}, refuse(errCorruptMessage, "a batch of records of %d bytes; its header alone has %d", len(b), batchHeader)
	}
	if n := int64(int32(be.Uint32(b[8:]))) + 12; n != int64(len(b)) {
		if n > batchHeader && n < int64(len(b)) {
			return recordBatch{}, refuse(errInvalidRecord, "more than one batch of records for a partition")
		}
		return recordBatch{}, refuse(errCorruptMessage, "a batch of records says that it has %d bytes and has %d", n, len(b))
	}
	if b[16] != 2 {
		return recordBatch{}, refuse(errCorruptMessage, "a batch of records of the version %d", b[16])
	}
	if be.Uint32(b[17:]) != crc32.Checksum(b[21:], castagnoli) {
		return recordBatch{}, refuse(errCorruptMessage, "the checksum of a batch of records does not match")
	}
	r := recordBatch{
		attributes: int16(be.Uint16(b[21:])),
		producer:   int64(be.Uint64(b[43:])),
		epoch:      int16(be.Uint16(b[51:])),
		first:      int32(be.Uint32(b[53:])),
		count:      int(int32(be.Uint32(b[57:]))),
		records:    b[batchHeader:],
	}
	last := int(int32(be.Uint32(b[23:])))
	switch {
	case r.attributes&transactional != 0:
		return r, refuse(errInvalidTxnState, "records of a transaction; there are no transactions here")
	case r.attributes&controlRecords != 0:
		return r, refuse(errInvalidRecord, "control records, which only a broker writes")
	case r.count < 1 || last != r.count-1:
		return r, refuse(errInvalidRecord, "a batch of %d records whose last is number %d", r.count, last)
	case r.producer >= 0 && (r.epoch < 0 || r.first < 0):
		return r, refuse(errInvalidRecord, "a batch of the producer %d without an epoch or a number", r.producer)
	}
	return r, nil
}

// record is a record as it came. Its parts are slices of the batch.
type record struct {
	key, value []byte // nil if there is none
	headers    int    // number of them
	rest       []byte // the headers
}

// recordReader reads the records of a batch.
type recordReader struct {
	b    []byte
	next int64
	bad  bool
}

// read reads a record; false if there is none, or not a good one.
func (r *recordReader) read() (rec record, ok bool) {
	size := r.varint()
	if r.bad || size < 0 || size > int64(len(r.b)) {
		return rec, false
	}
	in := recordReader{b: r.b[:size]}
	r.b = r.b[size:]
	in.take(1) // attributes, of which there are none
	in.varint()
	offset := in.varint()
	rec.key = in.bytes()
	rec.value = in.bytes()
	n := in.varint()
	if in.bad || offset != r.next || n < 0 || n > int64(len(in.b))/2 {
		return rec, false
	}
	r.next++
	rec.headers, rec.rest = int(n), in.b
	for range n { // so that whoever reads them need not check
		if in.header(); in.bad {
			return rec, false
		}
	}
	return rec, len(in.b) == 0
}

// header reads a header of a record.
func (r *recordReader) header() (key, value []byte) {
	n := r.varint()
	if n < 0 {
		r.bad = true
		return nil, nil
	}
	return r.take(n), r.bytes()
}

func (r *recordReader) bytes() []byte {
	n := r.varint()
	if n == -1 {
		return nil
	}
	return r.take(n)
}

func (r *recordReader) take(n int64) []byte {
	if r.bad || n < 0 || n > int64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *recordReader) varint() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}

// batchWriter makes batches of records at the end of a buffer.
type batchWriter struct {
	b      []byte
	start  int   // of the open batch; behind the end if there is none
	base   int64 // offset of its first record
	millis int64 // time of its records
	count  int
	open   bool
}

// maxBatchRecords is when a batch is ended, so that those who read one at a time need not
// hold much.
const maxBatchRecords = 10_000

// fits reports whether a record can go into the open batch.
func (w *batchWriter) fits(offset, millis int64) bool {
	return w.open && w.millis == millis && offset == w.base+int64(w.count) && w.count < maxBatchRecords
}

// begin begins a batch.
func (w *batchWriter) begin(offset, millis int64) {
	w.start, w.base, w.millis, w.count, w.open = len(w.b), offset, millis, 0, true
	w.b = append(w.b, make([]byte, batchHeader)...)
}

// end fills in the header of the open batch.
func (w *batchWriter) end() {
	if !w.open {
		return
	}
	w.open = false
	b := w.b[w.start:]
	be.PutUint64(b, uint64(w.base))
	be.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	be.PutUint16(b[21:], logAppendTime)
	be.PutUint32(b[23:], uint32(w.count-1))
	be.PutUint64(b[27:], uint64(w.millis))
	be.PutUint64(b[35:], uint64(w.millis))
	for i := 43; i < 57; i++ { // no producer, no epoch, no number
		b[i] = 0xff
	}
	be.PutUint32(b[57:], uint32(w.count))
	be.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
}

// add adds a record to the open batch.
func (w *batchWriter) add(key []byte, m *body) {
	delta := int64(w.count)
	w.count++
	size := 2 + varintSize(delta) + bytesSize(key, key == nil) + bytesSize(m.value, m.null) + m.headersSize()
	b := binary.AppendVarint(w.b, int64(size))
	b = append(b, 0, 0) // no attributes, the time of the batch
	b = binary.AppendVarint(b, delta)
	b = appendBytes(b, key, key == nil)
	b = appendBytes(b, m.value, m.null)
	w.b = m.appendHeaders(b)
}

func bytesSize(b []byte, null bool) int {
	if null {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte, null bool) []byte {
	if null {
		return append(dst, 1) // -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func varintSize(x int64) int {
	u := uint64(x<<1) ^ uint64(x>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
