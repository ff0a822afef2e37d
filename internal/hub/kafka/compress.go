package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The codecs of a batch's records.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// errInflated: a batch is larger than Limits.Inflated when it is decompressed.
var errInflated = errors.New("the batch is too large when it is decompressed")

// inflate decompresses the records of a batch to no more than limit bytes.
func inflate(codec int16, b []byte, limit int) ([]byte, error) {
	var out []byte
	var err error
	switch codec {
	case codecGzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			out, err = readUpTo(r, len(b), limit)
		}
	case codecSnappy:
		out, err = inflateSnappy(b, limit)
	case codecLZ4:
		out, err = readUpTo(lz4.NewReader(bytes.NewReader(b)), len(b), limit)
	case codecZstd:
		out, err = inflateZstd(b, limit)
	default:
		return nil, refuse(errUnsupportedCompression, "records compressed with the codec %d", codec)
	}
	if errors.Is(err, errInflated) {
		return nil, refuse(errMessageTooLarge, "%s: %d bytes are the most", errInflated, limit)
	}
	if err != nil {
		return nil, refuse(errCorruptMessage, "the records cannot be decompressed: %s", err)
	}
	return out, nil
}

// readUpTo reads all of r, which comes from n compressed bytes.
func readUpTo(r io.Reader, n, limit int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(4*n, limit)+bytes.MinRead))
	got, err := buf.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err == nil && got > int64(limit) {
		err = errInflated
	}
	return buf.Bytes(), err
}

// zstdDecoders are in use by one batch at a time.
var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic("kafka: " + err.Error()) // the options are ours
	}
	return d
}}

func inflateZstd(b []byte, limit int) ([]byte, error) {
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer func() {
		if d.Reset(nil) == nil {
			zstdDecoders.Put(d)
		}
	}()
	if err := d.Reset(bytes.NewReader(b)); err != nil {
		return nil, err
	}
	return readUpTo(d, len(b), limit)
}

// xerial is what the framing of snappy-java begins with, which Kafka's own clients use. Two
// versions follow it, of four bytes each, and blocks, each with its length.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func inflateSnappy(b []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(b, xerial) {
		return inflateBlock(nil, b, limit)
	}
	if len(b) < len(xerial)+8 {
		return nil, io.ErrUnexpectedEOF
	}
	b = b[len(xerial)+8:]
	var out []byte
	for len(b) > 0 {
		if len(b) < 4 || be.Uint32(b) > uint32(len(b)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		n := be.Uint32(b)
		var err error
		if out, err = inflateBlock(out, b[4:4+n], limit); err != nil {
			return nil, err
		}
		b = b[4+n:]
	}
	return out, nil
}

// inflateBlock adds a block of snappy to dst.
func inflateBlock(dst, b []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(b)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, errInflated
	}
	if n > maxSnappyRatio*len(b) {
		return nil, fmt.Errorf("a block of %d bytes claims to have %d", len(b), n)
	}
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := s2.Decode(dst[at:], b); err != nil {
		return nil, err
	}
	return dst, nil
}

// maxSnappyRatio bounds what a byte of snappy can stand for: a copy of 64 bytes has three.
const maxSnappyRatio = 64
