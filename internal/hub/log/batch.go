package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// A batch in a file, little-endian:
//
//	0  u32  bytes behind these first eight
//	4  u32  CRC-32C of all behind it
//	8  u64  sequence number of the first record
//	16 i64  time, in microseconds since 1970
//	24 u32  number of records
//	28 u32  how far before its own offset the last known fsync ended, in bytes
//	32      records
//
// A record is: length of the rest of it; length of the key + 1 (0: none) and the key; number
// of properties and each with two lengths; the value. Numbers are uvarints.
const batchHeader = BatchHeader

// BatchHeader is how far behind the offset of its batch the first record begins, in bytes.
const BatchHeader = 32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

// appendBatch adds records as a batch without stamp and gives dst back longer.
func appendBatch(dst []byte, records []Record) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, batchHeader)...)
	for i := range records {
		dst = appendRecord(dst, &records[i])
	}
	le.PutUint32(dst[start:], uint32(len(dst)-start-8))
	le.PutUint32(dst[start+24:], uint32(len(records)))
	return dst
}

func appendRecord(dst []byte, r *Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(recordSize(r)))
	if r.Key == nil {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(r.Key))+1)
		dst = append(dst, r.Key...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Properties)))
	for _, p := range r.Properties {
		dst = binary.AppendUvarint(dst, uint64(len(p.Name)))
		dst = append(dst, p.Name...)
		dst = binary.AppendUvarint(dst, uint64(len(p.Value)))
		dst = append(dst, p.Value...)
	}
	return append(dst, r.Value...)
}

// recordSize is the length of a record without its own length.
func recordSize(r *Record) int {
	n := uvarintSize(uint64(len(r.Properties))) + len(r.Value)
	if r.Key == nil {
		n++
	} else {
		n += uvarintSize(uint64(len(r.Key))+1) + len(r.Key)
	}
	for _, p := range r.Properties {
		n += uvarintSize(uint64(len(p.Name))) + len(p.Name) + uvarintSize(uint64(len(p.Value))) + len(p.Value)
	}
	return n
}

func uvarintSize(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

// batchBytes bounds the size of a batch from above.
func batchBytes(records []Record) int {
	n := batchHeader
	for i := range records {
		n += recordSize(&records[i]) + binary.MaxVarintLen32
	}
	return n
}

// stampBatch fills in the header of the batch that b starts with, and gives its size and
// its number of records.
func stampBatch(b []byte, seq, micros int64, back uint32) (size, count int) {
	size = 8 + int(le.Uint32(b))
	le.PutUint64(b[8:], uint64(seq))
	le.PutUint64(b[16:], uint64(micros))
	le.PutUint32(b[28:], back)
	le.PutUint32(b[4:], crc32.Checksum(b[8:size], castagnoli))
	return size, int(le.Uint32(b[24:]))
}

// header is what stands before the records of a batch.
type header struct {
	size   int // of the batch, with its header
	seq    int64
	micros int64
	count  int
	back   int64
}

// readHeader reads the header at the start of b; false if it cannot be one. room is how many
// bytes there are for the batch.
func readHeader(b []byte, room int64) (h header, ok bool) {
	if len(b) < batchHeader {
		return h, false
	}
	h = header{
		size:   8 + int(le.Uint32(b)),
		seq:    int64(le.Uint64(b[8:])),
		micros: int64(le.Uint64(b[16:])),
		count:  int(le.Uint32(b[24:])),
		back:   int64(le.Uint32(b[28:])),
	}
	return h, h.size > batchHeader && int64(h.size) <= room && h.count > 0 && h.count < h.size && h.seq >= 0
}

// checkBatch is the header of the batch that b starts with, if all of it is in order.
func checkBatch(b []byte, wantSeq int64) (h header, problem string) {
	h, ok := readHeader(b, int64(len(b)))
	switch {
	case !ok:
		return h, "there is no whole batch of records"
	case crc32.Checksum(b[8:h.size], castagnoli) != le.Uint32(b[4:]):
		return h, "the checksum does not match"
	case wantSeq >= 0 && h.seq != wantSeq:
		return h, fmt.Sprintf("the records are number %d and on, and should be %d and on", h.seq, wantSeq)
	}
	return h, ""
}

// Batch is a run of records that were appended at once, or the rest of one. It is valid
// until the next call of the reader.
type Batch struct {
	Seq      int64 // sequence number of the first of Records
	Enqueued time.Time
	Records  []Record
}

// readRecords reads the records of a batch whose checksum is right, into the memory of dst.
// off is the offset of the batch in the partition.
func readRecords(dst []Record, b []byte, h header, off int64) ([]Record, error) {
	dst = dst[:0]
	f := fields{b: b[:h.size], pos: batchHeader}
	for range h.count {
		start := f.pos
		end := f.length()
		end += f.pos
		r := Record{Offset: off + int64(start)}
		if n := f.length(); n > 0 {
			r.Key = f.take(n - 1)
		}
		props := f.length()
		if props > len(f.b)-f.pos { // each takes a byte at least
			f.bad = true
		}
		for i := 0; i < props && !f.bad; i++ {
			name := f.take(f.length())
			r.Properties = append(r.Properties, Property{string(name), string(f.take(f.length()))})
		}
		if f.bad || end < f.pos || end > len(f.b) {
			return dst, fmt.Errorf("record %d does not fit into its batch", h.seq+int64(len(dst)))
		}
		r.Value = f.take(end - f.pos)
		dst = append(dst, r)
	}
	if f.pos != len(f.b) {
		return dst, fmt.Errorf("%d bytes are left behind the last record", len(f.b)-f.pos)
	}
	return dst, nil
}

// fields reads lengths and texts.
type fields struct {
	b   []byte
	pos int
	bad bool
}

func (f *fields) length() int {
	x, n := binary.Uvarint(f.b[f.pos:])
	if n <= 0 || x > uint64(len(f.b)) {
		f.bad = true
		return 0
	}
	f.pos += n
	return int(x)
}

func (f *fields) take(n int) []byte {
	if f.bad || n < 0 || n > len(f.b)-f.pos {
		f.bad = true
		return nil
	}
	b := f.b[f.pos : f.pos+n : f.pos+n]
	f.pos += n
	return b
}
