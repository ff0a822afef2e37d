package avro

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"weir/internal/codec/jsonline"
)

// Magic is how an object container file begins.
const Magic = "Obj\x01"

// Limits of a container.
const (
	// maxBlockBytes bounds a block, packed and unpacked.
	maxBlockBytes = 64 << 20
	// maxMetaBytes bounds the header.
	maxMetaBytes = MaxSchemaBytes + 1<<20
	// maxEmpty is how many events of a block may take no bytes.
	maxEmpty = 1000
	// outBytes is how much text is made at once.
	outBytes = 64 << 10
)

// Reader gives the events of an object container file as lines of JSON. What is wrong with an
// event, or with a block, becomes an error line (jsonline); the file goes on behind it if its
// marks say where. The text of a file is always the same: positions of inputs count its bytes.
type Reader struct {
	src    *bufio.Reader
	limit  int
	name   string // of an error line
	schema *Schema
	codec  string
	sync   [16]byte
	begun  bool
	err    error

	packed bytes.Buffer
	plain  bytes.Buffer
	zstd   *zstd.Decoder

	rest  []byte // of the block
	count int64  // events of it that are to come
	empty int    // events of it that took no bytes
	out   []byte // text
	given int    // of out
}

// NewReader reads a container. limit is the longest text of an event; name is that of the error
// lines.
func NewReader(src *bufio.Reader, limit int, name string) *Reader {
	return &Reader{src: src, limit: limit, name: name}
}

// Reset has the reader read another container.
func (r *Reader) Reset(src *bufio.Reader) {
	r.src, r.begun, r.err, r.codec = src, false, nil, ""
	r.rest, r.count, r.out, r.given = nil, 0, r.out[:0], 0
}

// Read gives text. jsonline.Damage says that the container cannot be read on.
func (r *Reader) Read(p []byte) (int, error) {
	for r.given == len(r.out) {
		r.out, r.given = r.out[:0], 0
		if r.err == nil {
			r.err = r.fill()
		}
		if len(r.out) == 0 && r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.out[r.given:])
	r.given += n
	return n, nil
}

// Close frees the unpacker.
func (r *Reader) Close() {
	if r.zstd != nil {
		r.zstd.Close()
	}
}

// fill makes text of some events.
func (r *Reader) fill() error {
	if !r.begun {
		if err := r.header(); err != nil {
			return err
		}
		r.begun = true
	}
	if r.count == 0 {
		if err := r.block(); err != nil {
			return err
		}
	}
	for r.count > 0 && len(r.out) < outBytes {
		r.count--
		start := len(r.out)
		text, rest, bad, err := r.schema.AppendJSON(r.out, r.rest, r.limit)
		took := len(r.rest) - len(rest)
		if took == 0 {
			r.empty++
		}
		switch {
		case err != nil || r.empty > maxEmpty:
			if err == nil {
				err = errSteps
			}
			r.out = jsonline.AppendError(text[:start], r.name, fmt.Sprintf("%v; the %d events behind it in its block are lost", err, r.count), r.rest)
			r.count, rest = 0, nil
		case bad != "":
			r.out = jsonline.AppendError(text[:start], r.name, bad, r.rest[:took])
		default:
			r.out = append(text, '\n')
		}
		r.rest = rest
	}
	if r.count == 0 && len(r.rest) > 0 {
		r.out = jsonline.AppendError(r.out, r.name, fmt.Sprintf("a block has %d bytes behind its events", len(r.rest)), r.rest)
		r.rest = nil
	}
	return nil
}

// header reads what the container says of itself.
func (r *Reader) header() error {
	var magic [4]byte
	if _, err := io.ReadFull(r.src, magic[:]); err != nil {
		return jsonline.CutOff(err, "the Avro file")
	}
	if string(magic[:]) != Magic {
		return jsonline.Damagef("the input is no Avro object container file: it does not begin with Obj and 1")
	}
	var schema []byte
	left := int64(maxMetaBytes)
	text := func() ([]byte, error) {
		n, err := r.long()
		if err == nil && (n < 0 || n > left) {
			err = jsonline.Damagef("the header of the Avro file is damaged or longer than %d MiB", maxMetaBytes>>20)
		}
		if err != nil {
			return nil, err
		}
		left -= n
		return readSome(r.src, n)
	}
	for {
		count, err := r.long()
		if err == nil && count < 0 {
			count = -count
			_, err = r.long()
		}
		if err == nil && (count < 0 || count > left) {
			err = jsonline.Damagef("the header of the Avro file is damaged")
		}
		if err != nil {
			return jsonline.CutOff(err, "the header of the Avro file")
		}
		if count == 0 {
			break
		}
		for range count {
			left -= 2
			key, err := text()
			var value []byte
			if err == nil {
				value, err = text()
			}
			if err != nil {
				return jsonline.CutOff(err, "the header of the Avro file")
			}
			switch string(key) {
			case "avro.schema":
				schema = value
			case "avro.codec":
				r.codec = string(value)
			}
		}
	}
	if _, err := io.ReadFull(r.src, r.sync[:]); err != nil {
		return jsonline.CutOff(err, "the header of the Avro file")
	}
	switch r.codec {
	case "", "null", "deflate", "snappy", "zstandard", "bzip2":
	default:
		return jsonline.Damagef("the blocks of the Avro file are packed with %.40q, which is not read here; write it with null, deflate, snappy, zstandard or bzip2", r.codec)
	}
	if r.schema != nil && r.schema.text == string(schema) {
		return nil // as in the container before
	}
	var err error
	if r.schema, err = Parse(string(schema)); err != nil {
		// Why, the library says in words that differ from time to time.
		return jsonline.Damagef("the schema of the Avro file is wrong, or has types that it does not define")
	}
	return nil
}

// long reads a number of the container.
func (r *Reader) long() (int64, error) {
	n, err := binary.ReadVarint(r.src)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && err.Error() == "binary: varint overflows a 64-bit integer" {
		return 0, jsonline.Damagef("the Avro file is damaged: %v", errVarint)
	}
	return n, err
}

// readSome reads n bytes, and takes no more memory than there are.
func readSome(src io.Reader, n int64) ([]byte, error) {
	var b bytes.Buffer
	got, err := io.Copy(&b, io.LimitReader(src, n))
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return b.Bytes(), err
}

// block reads the next block. Its bytes come out unpacked, or as an error line.
func (r *Reader) block() error {
	if _, err := r.src.Peek(1); err == io.EOF {
		return io.EOF
	}
	count, err := r.long()
	var size int64
	if err == nil {
		size, err = r.long()
	}
	switch {
	case err != nil:
		return jsonline.CutOff(err, "a block of the Avro file")
	case count < 0 || size < 0:
		return jsonline.Damagef("the Avro file is damaged: a block says that it has %d events in %d bytes", count, size)
	case size > maxBlockBytes:
		return jsonline.Damagef("a block of the Avro file has %d bytes; at most %d MiB are read", size, maxBlockBytes>>20)
	}
	r.packed.Reset()
	if n, err := io.Copy(&r.packed, io.LimitReader(r.src, size)); err != nil || n < size {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return jsonline.CutOff(err, "a block of the Avro file")
	}
	var mark [16]byte
	if _, err := io.ReadFull(r.src, mark[:]); err != nil {
		return jsonline.CutOff(err, "a block of the Avro file")
	}
	if mark != r.sync {
		return jsonline.Damagef("the Avro file is damaged: a block does not end where it says")
	}
	r.empty = 0
	if r.rest, err = r.unpack(r.packed.Bytes()); err != nil {
		r.out = jsonline.AppendError(r.out, r.name, fmt.Sprintf("a block of %d events cannot be unpacked: %v", count, err), r.packed.Bytes())
		r.rest, count = nil, 0
	}
	r.count = count
	return nil
}

var errLarge = fmt.Errorf("it has more than %d MiB", maxBlockBytes>>20)

// unpack gives the bytes of a block, which are valid until the next one.
func (r *Reader) unpack(b []byte) ([]byte, error) {
	switch r.codec {
	case "deflate":
		return r.limited(flate.NewReader(bytes.NewReader(b)))
	case "bzip2":
		return r.limited(bzip2.NewReader(bytes.NewReader(b)))
	case "snappy":
		if len(b) < 4 {
			return nil, errShort
		}
		b, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
		n, err := snappy.DecodedLen(b)
		if err == nil && n > maxBlockBytes {
			err = errLarge
		}
		if err != nil {
			return nil, err
		}
		r.plain.Reset()
		r.plain.Grow(min(n, 64*len(b)+64)) // snappy makes at most that of it
		plain, err := snappy.Decode(r.plain.AvailableBuffer()[:r.plain.Available()], b)
		if err == nil && crc32.ChecksumIEEE(plain) != sum {
			err = errors.New("its checksum is another one")
		}
		return plain, err
	case "zstandard":
		if r.zstd == nil {
			var err error
			if r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlockBytes), zstd.WithDecoderMaxWindow(maxBlockBytes)); err != nil {
				return nil, err
			}
		}
		r.plain.Reset()
		return r.zstd.DecodeAll(b, r.plain.AvailableBuffer())
	}
	return b, nil
}

func (r *Reader) limited(src io.Reader) ([]byte, error) {
	r.plain.Reset()
	n, err := io.Copy(&r.plain, io.LimitReader(src, maxBlockBytes+1))
	if n > maxBlockBytes {
		err = errLarge
	}
	return r.plain.Bytes(), err
}
