package codec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"weir/internal/codec/avro"
	"weir/internal/codec/parquet"
)

// Compression is how the bytes of an input are packed.
type Compression string

// The compressions. Auto finds gzip, zstd and snappy by their first bytes.
const (
	CompressAuto    Compression = ""
	CompressNone    Compression = "none"
	CompressGzip    Compression = "gzip"
	CompressDeflate Compression = "deflate" // with or without the frame of zlib
	CompressZstd    Compression = "zstd"
	CompressSnappy  Compression = "snappy" // the framed form, as files have it
)

// maxZstdWindow bounds the memory that a zstd stream may ask for.
const maxZstdWindow = 64 << 20

// Format says how to get from the bytes of an input to its text.
type Format struct {
	Compression Compression
	// Type is "avro" or "parquet" for files of these: object container files of Avro, whose
	// records become lines of JSON, as rows of Parquet do. "" finds out; any other is text.
	Type string
	// Growing: somebody may be writing the bytes. A container that ends too early is then an
	// error that wraps io.ErrUnexpectedEOF, as packed text that does; else it is a bad event.
	Growing bool
}

// InputError ends an input: nothing in it can be decoded, or nothing more.
type InputError struct {
	Name   string // InputDeserializerError...., as in saql.md 13.4
	Reason string
	Err    error // the cause, or nil
}

// Error is the name, the reason and the cause.
func (e *InputError) Error() string {
	s := e.Name + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *InputError) Unwrap() error { return e.Err }

// Open is the text of r: unpacked, without byte order mark, in UTF-8. Text that starts
// with the byte order mark of UTF-16 is converted. Files of Avro and Parquet become lines of
// JSON, always the same for the same bytes; what is wrong in them becomes lines that decoders
// give as bad events (container.go). Nothing is read before the first Read. Close frees the
// unpacker; it does not close r.
func Open(r io.Reader, f Format) io.ReadCloser {
	return &textReader{raw: r, src: bufio.NewReaderSize(r, 64<<10), format: f}
}

// textReader builds its chain of readers at the first Read.
type textReader struct {
	raw    io.Reader
	src    *bufio.Reader
	format Format
	text   io.Reader
	lines  bool // the text is made of a container, whose errors say what they mean
	free   func()
	err    error
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.text == nil {
		if t.err = t.open(); t.err != nil {
			return 0, t.err
		}
	}
	n, err := t.text.Read(p)
	if err != nil && err != io.EOF && !t.lines {
		err = t.explain(err)
	}
	t.err = err
	return n, err
}

func (t *textReader) Close() error {
	if t.free != nil {
		t.free()
		t.free = nil
	}
	t.err = errors.New("read after close")
	return nil
}

// explain says what an error of the unpacker means.
func (t *textReader) explain(err error) error {
	if t.format.Compression == CompressNone {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &InputError{InvalidData, fmt.Sprintf("the %s data is cut off", t.format.Compression), err}
	}
	return &InputError{InvalidData, fmt.Sprintf("the %s data is damaged", t.format.Compression), err}
}

// IsText reports whether Open gives the bytes as they are, but for a byte order mark of UTF-8.
// head is their start: four of them, or all.
func IsText(head []byte, f Format) bool {
	packed := f.Compression == CompressAuto && (bytes.HasPrefix(head, []byte(magicGzip)) || bytes.HasPrefix(head, []byte(magicZstd)) || bytes.HasPrefix(head, []byte(magicSnappy[:4])))
	made := f.Type == "" && (bytes.HasPrefix(head, []byte(avro.Magic)) || bytes.HasPrefix(head, []byte(parquet.Magic)))
	wide := bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
	return (f.Compression == CompressAuto || f.Compression == CompressNone) && f.Type != "avro" && f.Type != "parquet" && !packed && !made && !wide
}

// startsWith reports whether the text of r starts with prefix. It reads no byte more than
// it needs to know: r may be a slow pipe.
func startsWith(r *bufio.Reader, prefix string) bool {
	for i := range len(prefix) {
		b, _ := r.Peek(i + 1)
		if len(b) <= i || b[i] != prefix[i] {
			return false
		}
	}
	return true
}

const (
	magicGzip = "\x1f\x8b"
	magicZstd = "\x28\xb5\x2f\xfd"
	// magicSnappy is the first chunk of the framed form.
	magicSnappy = "\xff\x06\x00\x00sNaPpY"
)

// open finds out how the bytes are packed and what the text is written in.
func (t *textReader) open() error {
	if _, err := t.src.Peek(1); err == io.EOF {
		return io.EOF // an empty input is an empty text
	}
	if t.format.Compression == CompressAuto {
		switch {
		case startsWith(t.src, magicGzip):
			t.format.Compression = CompressGzip
		case startsWith(t.src, magicZstd):
			t.format.Compression = CompressZstd
		case startsWith(t.src, magicSnappy):
			t.format.Compression = CompressSnappy
		default:
			t.format.Compression = CompressNone
		}
	}
	plain, err := t.unpack()
	if err != nil {
		reason := fmt.Sprintf("the input is not %s", t.format.Compression)
		return &InputError{InvalidCompressionType, reason, err}
	}
	if made, err := t.container(plain); made || err != nil {
		return err
	}
	switch {
	case startsWith(plain, "\xef\xbb\xbf"):
		_, err = plain.Discard(3)
		t.text = plain
	case startsWith(plain, "\xff\xfe"), startsWith(plain, "\xfe\xff"):
		var mark [2]byte
		_, err = io.ReadFull(plain, mark[:])
		t.text = &utf16Reader{src: plain, big: mark[0] == 0xfe}
	default:
		t.text = plain
	}
	return err
}

// unpack is the text behind the compression.
func (t *textReader) unpack() (*bufio.Reader, error) {
	var r io.Reader
	switch t.format.Compression {
	case CompressGzip:
		z, err := gzip.NewReader(t.src)
		if err != nil {
			return nil, err
		}
		r = z
	case CompressDeflate:
		z, err := t.inflate()
		if err != nil {
			return nil, err
		}
		r = z
	case CompressZstd:
		if _, err := t.src.Peek(1); err == nil && !startsWith(t.src, magicZstd) && !startsSkippable(t.src) {
			return nil, zstd.ErrMagicMismatch
		}
		// One goroutine, this one: others would outlive a reader that is not closed.
		z, err := zstd.NewReader(t.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		t.free = z.Close
		r = z
	case CompressSnappy:
		if !startsWith(t.src, magicSnappy) {
			return nil, snappy.ErrCorrupt
		}
		r = snappy.NewReader(t.src)
	case CompressNone:
		return t.src, nil
	default:
		return nil, fmt.Errorf("unknown compression %q", string(t.format.Compression))
	}
	return bufio.NewReaderSize(r, 64<<10), nil
}

// startsSkippable reports whether a skippable frame of zstd comes first.
func startsSkippable(r *bufio.Reader) bool {
	b, _ := r.Peek(4)
	return len(b) == 4 && b[0]&0xf0 == 0x50 && string(b[1:]) == "\x2a\x4d\x18"
}

// inflate reads deflate data. Most writers frame it as zlib does.
func (t *textReader) inflate() (io.Reader, error) {
	b, err := t.src.Peek(2)
	if err != nil {
		return nil, err
	}
	if b[0]&0x0f == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
		return zlib.NewReader(t.src)
	}
	return flate.NewReader(t.src), nil
}
