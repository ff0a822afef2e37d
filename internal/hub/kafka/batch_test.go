package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/disk"
	"weir/internal/hub/amqp"
)

// batchOf encodes records as a producer does.
func batchOf(change func(*kmsg.RecordBatch), values ...string) []byte {
	var records []byte
	for i, v := range values {
		r := kmsg.NewRecord()
		r.OffsetDelta = int32(i)
		r.Key, r.Value = []byte("k"), []byte(v)
		r.Length = int32(len(r.AppendTo(nil)) - 1) // without the length itself, which is 0 so far
		records = r.AppendTo(records)
	}
	b := kmsg.NewRecordBatch()
	b.Magic, b.ProducerID, b.ProducerEpoch, b.FirstSequence = 2, -1, -1, -1
	b.NumRecords, b.LastOffsetDelta = int32(len(values)), int32(len(values)-1)
	b.Records = records
	if change != nil {
		change(&b)
	}
	return seal(b.AppendTo(nil))
}

func TestFullDiskIsTriedAgain(t *testing.T) {
	code, text := codeOf(fmt.Errorf("append to /data/hubs/h1/log/0: %w", disk.ErrFull))
	if code != errNotEnoughReplicas || *text != disk.ErrFull.Error() {
		t.Errorf("a full disk: %d %s", code, *text)
	}
}

// seal fills in length and checksum.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func TestParseBatch(t *testing.T) {
	f := func(b []byte, code int16, text string) {
		t.Helper()
		r, err := parseBatch(b)
		if err == nil {
			_, err = new(making).events(r)
		}
		got, reason := codeOf(err)
		if got != code || code != 0 && !strings.Contains(*reason, text) {
			t.Errorf("code %d, %v; want %d, %q", got, err, code, text)
		}
	}
	good := batchOf(nil, "a", "bb", strings.Repeat("c", 300))
	f(good, 0, "")
	f(nil, errInvalidRecord, "there are no records")
	f(good[:40], errCorruptMessage, "its header alone has 61")
	f(good[:len(good)-1], errCorruptMessage, "says that it has")
	f(append(append([]byte(nil), good...), good...), errInvalidRecord, "more than one batch")
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1
	f(broken, errCorruptMessage, "checksum")
	// A message set of version 1: the version is at the same place.
	old := append([]byte(nil), good...)
	old[16] = 1
	f(old, errUnsupportedForFormat, "only version 2 is taken")
	f(batchOf(func(b *kmsg.RecordBatch) { b.Attributes |= transactional }, "a"), errInvalidTxnState, "there are no transactions")
	f(batchOf(func(b *kmsg.RecordBatch) { b.Attributes |= controlRecords }, "a"), errInvalidRecord, "control records")
	f(batchOf(func(b *kmsg.RecordBatch) { b.NumRecords = 2 }, "a"), errInvalidRecord, "a batch of 2 records whose last is number 0")
	f(batchOf(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 2, 1 }, "a"), errInvalidRecord, "says that it has 2 records")
	f(batchOf(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 1<<31-1, 1<<31-2 }, "a"), errInvalidRecord, "says that it has 2147483647 records")
	f(batchOf(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 0, -1 }), errInvalidRecord, "a batch of 0 records")
	f(batchOf(func(b *kmsg.RecordBatch) { b.ProducerID = 7 }, "a"), errInvalidRecord, "without an epoch")
	f(batchOf(func(b *kmsg.RecordBatch) { b.Records = append(b.Records, 0) }, "a"), errInvalidRecord, "left behind the last record")
	f(batchOf(func(b *kmsg.RecordBatch) { b.Records[3] = 99 }, "a"), errInvalidRecord, "record 0 of a batch cannot be read")
}

// The bytes of an event and of a record are the same, whichever way they go.
func TestMessageBothWays(t *testing.T) {
	f := func(key, value []byte, headers ...headerField) {
		t.Helper()
		m := body{value: value, null: value == nil, headers: headers}
		var w batchWriter
		w.begin(10, 20)
		w.add(key, &m)
		w.end()
		r, err := parseBatch(w.b)
		if err != nil {
			t.Fatal(err)
		}
		list, err := new(making).events(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(list[0].Key, key) || (list[0].Key == nil) != (key == nil) {
			t.Errorf("key %q; want %q", list[0].Key, key)
		}
		var got body
		got.read(list[0].Message)
		if !bytes.Equal(got.value, value) || got.null != (value == nil) || fmt.Sprint(got.headers) != fmt.Sprint(headers) {
			t.Errorf("%q %v %v; want %q %v", got.value, got.null, got.headers, value, headers)
		}
		if got, err := amqp.Body(list[0].Message); err != nil || !bytes.Equal(got, value) {
			t.Errorf("as AMQP it is %q, %v; want %q", got, err, value)
		}
	}
	f(nil, nil)
	f([]byte{}, []byte{})
	f([]byte("k"), []byte("v"))
	f([]byte{0xff}, bytes.Repeat([]byte("v"), 255))
	f(nil, bytes.Repeat([]byte("v"), 256), headerField{key: []byte("a"), value: []byte("text")})
	f(nil, []byte("v"), headerField{key: []byte(""), value: []byte("")}, headerField{key: []byte("n"), null: true})
	f(nil, nil, headerField{key: []byte("b"), value: []byte{0xff, 0xfe}}, headerField{key: bytes.Repeat([]byte("k"), 300), value: bytes.Repeat([]byte{0x80}, 300)})
}

// What other protocols bring is read as bytes and texts.
func TestMessagesOfOtherProtocols(t *testing.T) {
	m := amqp.Message{Annotations: []amqp.Pair{{Key: "x", Value: "y"}}, Body: []byte("body"),
		Application: []amqp.Pair{{Key: "text", Value: "t"}, {Key: "int", Value: int64(-5)}, {Key: "bool", Value: true}, {Key: "float", Value: 2.5}, {Key: "null", Value: nil}, {Key: "bytes", Value: []byte{0xff}}}}
	var b body
	b.read(m.Append(nil))
	want := `["text"="t" "int"="-5" "bool"="true" "float"="2.5" "null"=null "bytes"="\xff"]`
	var list []string
	for _, h := range b.headers {
		v := fmt.Sprintf("%q", h.value)
		if h.null {
			v = "null"
		}
		list = append(list, fmt.Sprintf("%q=%s", h.key, v))
	}
	if got := fmt.Sprint(list); got != want || string(b.value) != "body" {
		t.Errorf("%q %s; want %s", b.value, got, want)
	}
	b.read(append([]byte{0, 0x53, 0x77, 0xa1, 4}, "text"...)) // a value that is a text
	if string(b.value) != "text" || b.null || len(b.headers) != 0 {
		t.Errorf("%q %v", b.value, b.headers)
	}
	b.read([]byte{0, 0x53, 0x75, 0xa0, 1, 'a', 0, 0x53, 0x75, 0xa0, 1, 'b'}) // two data sections
	if string(b.value) != "ab" || b.null {
		t.Errorf("%q", b.value)
	}
}

func compressed(codec int16, b []byte) []byte {
	var out bytes.Buffer
	switch codec {
	case codecGzip:
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
	case codecSnappy:
		return s2.EncodeSnappy(nil, b)
	case codecLZ4:
		w := lz4.NewWriter(&out)
		w.Write(b)
		w.Close()
	case codecZstd:
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll(b, nil)
	}
	return out.Bytes()
}

// xerialFrames is snappy as snappy-java frames it.
func xerialFrames(b []byte) []byte {
	out := append([]byte(nil), xerial...)
	out = append(out, 0, 0, 0, 1, 0, 0, 0, 1)
	for len(b) > 0 {
		n := min(len(b), 1000)
		block := s2.EncodeSnappy(nil, b[:n])
		out = append(be.AppendUint32(out, uint32(len(block))), block...)
		b = b[n:]
	}
	return out
}

func TestInflate(t *testing.T) {
	const limit = 100_000
	f := func(codec int16, b, want []byte, code int16) {
		t.Helper()
		got, err := inflate(codec, b, limit)
		if c, _ := codeOf(err); c != code || code == 0 && !bytes.Equal(got, want) {
			t.Errorf("codec %d: %d bytes, %v; want %d, code %d", codec, len(got), err, len(want), code)
		}
		if cap(got) > 8*limit {
			t.Errorf("codec %d: %d bytes of memory", codec, cap(got))
		}
	}
	some := bytes.Repeat([]byte("0123456789"), 1234)
	full := make([]byte, limit)
	bomb := make([]byte, 5_000_000)
	for codec := int16(1); codec <= 4; codec++ {
		f(codec, compressed(codec, some), some, 0)
		f(codec, compressed(codec, full), full, 0)
		f(codec, compressed(codec, bomb), nil, errMessageTooLarge)
		f(codec, compressed(codec, some)[:100], nil, errCorruptMessage)
		f(codec, []byte("no such thing"), nil, errCorruptMessage)
	}
	f(codecSnappy, xerialFrames(some), some, 0)
	f(codecSnappy, xerialFrames(full), full, 0)
	f(codecSnappy, xerialFrames(bomb), nil, errMessageTooLarge)
	f(codecSnappy, xerialFrames(some)[:30], nil, errCorruptMessage)
	f(codecSnappy, xerial, nil, errCorruptMessage)
	f(codecSnappy, []byte{0xff, 0xff, 0x3, 1, 2}, nil, errCorruptMessage) // claims 65535 bytes
	f(5, some, nil, errUnsupportedCompression)
}

func FuzzRecordBatch(f *testing.F) {
	f.Add(batchOf(nil, "a", "bb"))
	f.Add(batchOf(func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = 1, 2, 3 }, "a"))
	for codec := int16(1); codec <= 4; codec++ {
		f.Add(batchOf(func(b *kmsg.RecordBatch) { b.Attributes, b.Records = codec, compressed(codec, b.Records) }, "a", "bb"))
	}
	f.Add(batchOf(func(b *kmsg.RecordBatch) { b.Attributes, b.Records = codecSnappy, xerialFrames(b.Records) }, "a", "bb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > batchHeader {
			b = seal(append([]byte(nil), b...)) // or nothing would pass
		}
		r, err := parseBatch(b)
		if err != nil {
			return
		}
		if codec := r.attributes & codecBits; codec != codecNone {
			if r.records, err = inflate(codec, r.records, 1<<16); err != nil {
				return
			}
		}
		list, err := new(making).events(r)
		if err != nil {
			return
		}
		var w batchWriter
		w.begin(0, 0)
		var m body
		for _, e := range list {
			if _, err := amqp.Split(e.Message); err != nil {
				t.Fatalf("the message %x: %v", e.Message, err)
			}
			m.read(e.Message)
			w.add(e.Key, &m)
		}
		w.end()
		again, err := parseBatch(w.b)
		if err != nil {
			t.Fatal(err)
		}
		back, err := new(making).events(again)
		if err != nil || fmt.Sprintf("%q", back) != fmt.Sprintf("%q", list) {
			t.Fatalf("%q became %q, %v", list, back, err)
		}
	})
}
