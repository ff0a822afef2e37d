package parquet

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"weir/internal/codec/jsonline"
)

// Limits of a file.
const (
	maxFooterBytes = 16 << 20
	// maxFooterParts is how many values a footer has: each takes some hundred bytes of memory
	// once it is decoded.
	maxFooterParts = 1 << 20
	maxColumns     = 2000
	maxNesting     = 64 // as deep as columns lie in each other
	maxRowGroups   = 1 << 15
	maxPageBytes   = 128 << 20
	maxPageValues  = 32 << 20
	maxHeaderBytes = 8 << 20
	maxFixedBytes  = 1 << 20 // of a value of fixed length
)

// open checks the footer and opens the file.
func open(r io.ReaderAt, size int64) (*lib.File, error) {
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	f, err := lib.OpenFile(r, size, lib.SkipPageIndex(true), lib.SkipBloomFilters(true), lib.ReadBufferSize(64<<10))
	if err != nil {
		return nil, jsonline.Damagef("the Parquet file cannot be read: %v", err)
	}
	return f, checkMeta(f.Metadata(), size)
}

// checkFooter finds out whether the footer can be decoded in bounded memory.
func checkFooter(r io.ReaderAt, size int64) error {
	var b [8]byte
	n, err := r.ReadAt(b[:4], 0)
	if n < 4 {
		return jsonline.CutOff(err, "the Parquet file")
	}
	switch string(b[:4]) {
	case Magic:
	case "PARE":
		return jsonline.Damagef("the Parquet file is encrypted")
	default:
		return jsonline.Damagef("the input is no Parquet file: it does not begin with %s", Magic)
	}
	if size < 12 {
		return jsonline.CutOff(io.EOF, "the Parquet file")
	}
	if _, err := r.ReadAt(b[:], size-8); err != nil {
		return jsonline.CutOff(err, "the Parquet file")
	}
	if string(b[4:]) != Magic {
		return &jsonline.Damage{Reason: "the Parquet file is cut off: it does not end with " + Magic, Cut: true}
	}
	length := int64(binary.LittleEndian.Uint32(b[:4]))
	switch {
	case length > size-12:
		return jsonline.Damagef("the Parquet file is damaged: its footer is longer than the file")
	case length > maxFooterBytes:
		return jsonline.Damagef("the footer of the Parquet file has %d bytes; at most %d MiB are read", length, maxFooterBytes>>20)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, size-8-length); err != nil {
		return jsonline.CutOff(err, "the Parquet file")
	}
	w := walker{b: footer, limit: maxFooterParts}
	if err := w.structure(nil); err != nil {
		return jsonline.Damagef("the footer of the Parquet file cannot be read: %v", err)
	}
	return nil
}

// checkMeta finds out whether what the footer says can be.
func checkMeta(m *format.FileMetaData, size int64) error {
	bad := func(text string, args ...any) error {
		return jsonline.Damagef("the Parquet file is damaged: "+text, args...)
	}
	leaves := 0
	for i := range m.Schema {
		e := &m.Schema[i]
		if i > 0 && e.Type.Valid {
			leaves++
		}
		if e.TypeLength.Valid && (e.TypeLength.V < 0 || e.TypeLength.V > maxFixedBytes) {
			return bad("column %q has values of %d bytes", e.Name, e.TypeLength.V)
		}
	}
	switch {
	case leaves > maxColumns:
		return jsonline.Damagef("the Parquet file has %d columns; at most %d are read", leaves, maxColumns)
	case len(m.RowGroups) > maxRowGroups:
		return jsonline.Damagef("the Parquet file has %d row groups; at most %d are read", len(m.RowGroups), maxRowGroups)
	}
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if g.NumRows < 0 {
			return bad("a row group has %d rows", g.NumRows)
		}
		if len(g.Columns) != leaves {
			return bad("a row group has %d of %d columns", len(g.Columns), leaves)
		}
		for j := range g.Columns {
			c := &g.Columns[j]
			if c.FilePath != "" {
				return jsonline.Damagef("the columns of the Parquet file lie in other files")
			}
			from := chunkStart(&c.MetaData)
			if from < 4 || c.MetaData.TotalCompressedSize < 0 || c.MetaData.NumValues < 0 || from > size || c.MetaData.TotalCompressedSize > size-from {
				return bad("column %d of row group %d is not in the file", j, i)
			}
		}
	}
	return nil
}

// chunkStart is where the pages of a column begin.
func chunkStart(c *format.ColumnMetaData) int64 {
	if d := c.DictionaryPageOffset; d > 0 && d < c.DataPageOffset {
		return d
	}
	return c.DataPageOffset
}

// checkPages goes over the headers of a column's pages: the library allocates what they say.
func checkPages(r io.ReaderAt, c *format.ColumnMetaData) error {
	at := chunkStart(c)
	end := at + c.TotalCompressedSize
	values := int64(0)
	name := strings.Join(c.PathInSchema, ".")
	for values < c.NumValues && at < end {
		p, size, err := headerAt(r, at, end)
		if err != nil {
			return err
		}
		switch {
		case p.compressed < 0 || p.compressed > end-at-size || p.uncompressed < 0 || p.values < 0:
			return jsonline.Damagef("a page of column %q is damaged", name)
		case p.uncompressed > maxPageBytes:
			return jsonline.Damagef("a page of column %q has %d bytes; at most %d MiB are read", name, p.uncompressed, maxPageBytes>>20)
		case p.values > maxPageValues:
			return jsonline.Damagef("a page of column %q has %d values; at most %d are read", name, p.values, maxPageValues)
		case p.kind != 2 && p.values > c.NumValues:
			return jsonline.Damagef("a page of column %q has more values than the column", name)
		}
		if p.kind != 2 {
			values += p.values
		}
		at += size + p.compressed
	}
	return nil
}

// headerAt reads the header of the page at an offset.
func headerAt(r io.ReaderAt, at, end int64) (page, int64, error) {
	for most := int64(512); ; most *= 16 {
		b := make([]byte, min(most, end-at))
		if _, err := r.ReadAt(b, at); err != nil && err != io.EOF {
			return page{}, 0, err
		}
		p, size, err := pageHeader(b)
		switch {
		case err == nil:
			return p, int64(size), nil
		case errors.Is(err, errThriftShort) && most < end-at && most < maxHeaderBytes:
		default:
			return page{}, 0, jsonline.Damagef("the header of a page cannot be read: %v", err)
		}
	}
}
