package codec

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// packed is text behind a compression.
func packed(t *testing.T, text string, open func(w io.Writer) (io.WriteCloser, error)) string {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t *testing.T, text string) string {
	return packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
}

func zstded(t *testing.T, text string) string {
	return packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
}

func TestOpen(t *testing.T) {
	f := func(c Compression, in, want string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			text := Open(r, Format{Compression: c})
			got, err := io.ReadAll(text)
			if err != nil || string(got) != want {
				t.Errorf("%s %q: %q, %v", c, in, got, err)
			}
			if err := text.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	text := strings.Repeat("{\"a\":\"x\"}\n", 100)
	f(CompressAuto, text, text)
	f(CompressNone, text, text)
	f(CompressAuto, "", "")
	f(CompressGzip, "", "")
	f(CompressZstd, "", "")
	f(CompressAuto, "\xef\xbb\xbf{}", "{}")
	f(CompressAuto, "\xef\xbb", "\xef\xbb")
	f(CompressAuto, gzipped(t, text), text)
	f(CompressGzip, gzipped(t, text)+gzipped(t, text), text+text)
	f(CompressAuto, gzipped(t, "\xef\xbb\xbf{}"), "{}")
	f(CompressAuto, zstded(t, text)+zstded(t, text), text+text)
	f(CompressZstd, zstded(t, text), text)
	f(CompressNone, "\x1f\x8b", "\x1f\x8b")
	f(CompressDeflate, packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }), text)
	f(CompressDeflate, packed(t, text, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 5) }), text)
	// UTF-16, with a pair of surrogates, lone ones, and half a unit at the end.
	f(CompressAuto, "\xff\xfea\x00\xe9\x00\x3d\xd8\x00\xde", "aé😀")
	f(CompressAuto, "\xfe\xff\x00a\x00\xe9\xd8\x3d\xde\x00", "aé😀")
	f(CompressAuto, "\xff\xfe\x3d\xd8a\x00\x00\xdeb\x00\x3d\xd8", "\uFFFDa\uFFFDb\uFFFD")
	f(CompressAuto, "\xff\xfea\x00b", "a\uFFFD")
	f(CompressAuto, "\xff\xfe", "")
}

func TestOpenErrors(t *testing.T) {
	text := strings.Repeat("{\"a\":\"x\"}\n", 100)
	f := func(c Compression, in, name, want string) {
		t.Helper()
		r := Open(strings.NewReader(in), Format{Compression: c})
		_, err := io.ReadAll(r)
		var e *InputError
		if !errors.As(err, &e) || e.Name != name || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", c, err)
		}
		if _, again := r.Read(make([]byte, 10)); again != err {
			t.Errorf("%s: a second read gives %v", c, again)
		}
		r.Close()
	}
	zip, zst := gzipped(t, text), zstded(t, text)
	f(CompressAuto, zip[:len(zip)-3], InvalidData, "the gzip data is cut off")
	f(CompressAuto, zip[:20], InvalidData, "the gzip data is cut off")
	f(CompressAuto, zst[:len(zst)-3], InvalidData, "the zstd data is cut off")
	f(CompressGzip, zip[:len(zip)-8]+"\x00\x00\x00\x00"+zip[len(zip)-4:], InvalidData, "the gzip data is damaged")
	f(CompressGzip, zip+"some trailing rubbish", InvalidData, "the gzip data is damaged")
	f(CompressGzip, text, InvalidCompressionType, "the input is not gzip")
	f(CompressZstd, text, InvalidCompressionType, "the input is not zstd")
	f(CompressDeflate, "{", InvalidCompressionType, "the input is not deflate")
	f("lzma", text, InvalidCompressionType, "unknown compression")
}

// A slow pipe gives its first event before more bytes follow.
func TestOpenDoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	text := Open(r, Format{})
	go func() { // ends with the pipe
		io.WriteString(w, "{}")
	}()
	buf := make([]byte, 10)
	n, err := text.Read(buf)
	if err != nil || string(buf[:n]) != "{}" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	text.Close()
	r.Close()
}
