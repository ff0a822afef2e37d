package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"weir/internal/codec"
	"weir/internal/connect"
)

// packing is how rows lie in files until they are finished, and what becomes of their bytes
// then.
type packing struct {
	staged  codec.OutputKind // of the bytes while rows come
	ext     string           // what {ext} stands for
	content string           // the media type
	// pack writes the finished file for the staged bytes. It is called again after a crash, and
	// must give the same bytes then. nil: they are the file.
	pack func(out io.Writer, staged *io.SectionReader) error
}

// packingOf is the packing of rows in a format. Its error is for people.
func packingOf(f connect.Format, rows connect.Columns) (packing, error) {
	switch f.Type {
	case "avro":
		return packingAs(f, rows, ".avro", "application/avro")
	case "parquet":
		return packingAs(f, rows, ".parquet", "application/vnd.apache.parquet")
	}
	p := packing{staged: codec.JSONLines, ext: ".json", content: "application/x-ndjson"}
	switch {
	case f.Type == "csv":
		p = packing{staged: codec.CSV, ext: ".csv", content: "text/csv"}
	case f.Array:
		p.content = "application/json"
	}
	switch f.Compression {
	case "", "none":
	case "gzip":
		p.ext, p.content, p.pack = p.ext+".gz", "application/gzip", packGzip
	case "zstd":
		p.ext, p.content, p.pack = p.ext+".zst", "application/zstd", packZstd
	case "deflate":
		p.ext, p.content, p.pack = p.ext+".deflate", "application/zlib", packDeflate
	case "snappy":
		p.ext, p.content, p.pack = p.ext+".sz", "application/x-snappy-framed", packSnappy
	default:
		return p, fmt.Errorf("there is no compression %q for files: gzip, zstd, deflate or snappy", f.Compression)
	}
	return p, nil
}

// packingAs is the packing of a format that has a schema, and its compression inside.
func packingAs(f connect.Format, rows connect.Columns, ext, content string) (packing, error) {
	o := codec.PackFormat{Type: f.Type, Compression: f.Compression, Names: rows.Names, Kinds: rows.Types, Row: rows.Row}
	p := packing{staged: codec.JSONLines, ext: ext, content: content,
		pack: func(out io.Writer, staged *io.SectionReader) error { return codec.Pack(out, staged, o) }}
	if f.Array {
		return p, fmt.Errorf("an array is JSON; remove array, or the format %s", f.Type)
	}
	return p, codec.CheckPack(o)
}

func packDeflate(out io.Writer, staged *io.SectionReader) error {
	return packInto(zlib.NewWriter(out), staged)
}

func packSnappy(out io.Writer, staged *io.SectionReader) error {
	return packInto(snappy.NewBufferedWriter(out), staged)
}

func packGzip(out io.Writer, staged *io.SectionReader) error {
	return packInto(gzip.NewWriter(out), staged)
}

func packZstd(out io.Writer, staged *io.SectionReader) error {
	w, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	return packInto(w, staged)
}

func packInto(w io.WriteCloser, staged io.Reader) error {
	if _, err := io.Copy(w, staged); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
