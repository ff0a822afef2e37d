package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"weir/internal/codec/avro"
	"weir/internal/codec/parquet"
	"weir/internal/codec/shape"
	"weir/internal/vec"
)

// PackFormat says what lines of JSON become.
type PackFormat struct {
	Type        string // "avro" or "parquet"
	Compression string // "" is snappy
	// Names and Kinds are the columns of the rows; with Row, a row is a record whose fields are
	// found out.
	Names []string
	Kinds []vec.Kinds
	Row   bool
}

const (
	// groupBytes is about how much a row group of Parquet holds, before it is packed.
	groupBytes = 64 << 20
	// packRows is how many rows are decoded at once.
	packRows = 4096
)

// packer writes rows of a file.
type packer interface {
	// Batch writes rows whose columns are the fields of the shape.
	Batch(b *vec.Batch) error
	Record(r *vec.Rec) error
	Close() error
}

// CheckPack finds out whether Pack can write a format.
func CheckPack(f PackFormat) error {
	_, err := newPacker(io.Discard, f, shape.Columns([]string{"x"}, []vec.Kinds{vec.KindsOf(vec.Int)}))
	return err
}

// Pack writes the rows of a text of JSON lines, as Encoder writes them, as a file of Avro or
// Parquet. Columns that hold one kind of value have its type in every file; of others, records and
// arrays the type is found out from the rows, which are read twice then. For the same text it
// writes the same bytes.
func Pack(w io.Writer, text io.ReadSeeker, f PackFormat) error {
	root := shape.Rows()
	if !f.Row {
		root = shape.Columns(f.Names, f.Kinds)
	}
	if !root.Known() {
		err := eachRow(text, f, nil, func(b *vec.Batch) error {
			for i := range b.N {
				if f.Row {
					root.See(b.Cols[0].At(i))
					continue
				}
				for c, n := range root.Fields {
					n.See(b.Cols[c].At(i))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := text.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	root.Seal()
	p, err := newPacker(w, f, root)
	if err != nil {
		return err
	}
	if err := eachRow(text, f, root, func(b *vec.Batch) error { return packBatch(p, b, f.Row) }); err != nil {
		return err
	}
	return p.Close()
}

func newPacker(w io.Writer, f PackFormat, root *shape.Node) (packer, error) {
	switch f.Type {
	case "avro":
		return avro.NewWriter(w, root, f.Compression)
	case "parquet":
		if len(root.Fields) == 0 {
			root = shape.Columns([]string{"_"}, []vec.Kinds{vec.KindsOf(vec.String)}) // it has no files without columns
		}
		return parquet.NewWriter(w, root, f.Compression, groupBytes)
	}
	return nil, fmt.Errorf("there is no format %q for files", f.Type)
}

func packBatch(p packer, b *vec.Batch, row bool) error {
	if !row {
		return p.Batch(b)
	}
	for i := range b.N {
		if err := p.Record(b.Cols[0].At(i).Rec); err != nil {
			return err
		}
	}
	return nil
}

// eachRow decodes a text. With root, columns that are datetimes are given as such.
func eachRow(text io.Reader, f PackFormat, root *shape.Node, do func(*vec.Batch) error) error {
	fields := []vec.Field{{}}
	if !f.Row {
		fields = fields[:0]
		for i, name := range f.Names {
			field := vec.Field{Path: []string{name}, Passed: true}
			if root != nil && root.Fields[i].Form() == shape.Time {
				field.Want = vec.AsDatetime
			}
			fields = append(fields, field)
		}
	}
	d := NewJSON(fields, JSONOptions{Lines: true, MaxEvent: maxPackedRow})
	var bad error
	var b vec.Batch
	buf := make([]byte, 0, 1<<20)
	for last := false; ; {
		n, err := d.Decode(&b, buf, last, packRows, func(x Bad) {
			if bad == nil {
				bad = fmt.Errorf("line %d of the rows is no row: %s", x.Line, x.Reason)
			}
		})
		if err == nil {
			err = bad
		}
		if err == nil {
			err = do(&b)
		}
		if err != nil {
			return err
		}
		buf = buf[:copy(buf, buf[n:])]
		if n > 0 || b.N > 0 {
			if len(buf) > 0 && bytes.IndexByte(buf, '\n') >= 0 {
				continue
			}
		} else if last {
			return nil
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		m, err := text.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+m]
		last = errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
	}
}

// maxPackedRow is the longest row that is packed, in bytes of JSON.
const maxPackedRow = 256 << 20
