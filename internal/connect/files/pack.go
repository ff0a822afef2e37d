package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
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

// packingOf is the packing of a format. Its error is for people.
func packingOf(f connect.Format) (packing, error) {
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
	default:
		return p, fmt.Errorf("there is no compression %q for files: gzip or zstd", f.Compression)
	}
	return p, nil
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
