package avro

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"weir/internal/codec/shape"
	"weir/internal/vec"
)

// blockBytes is how much of a file is one block.
const blockBytes = 256 << 10

// Codecs are how blocks can be packed: names of connect.Format and of Avro.
var Codecs = map[string]string{"": "snappy", "none": "null", "snappy": "snappy", "deflate": "deflate", "zstd": "zstandard"}

// Writer writes an object container file. For the same rows it always writes the same bytes.
type Writer struct {
	w     io.Writer
	codec string
	sync  [16]byte
	root  *shape.Node
	block bytes.Buffer
	row   []byte
	rows  int64
	out   []byte
	zstd  *zstd.Encoder
	flate *flate.Writer
}

// NewWriter begins a file for rows of a shape. compression is one of Codecs.
func NewWriter(w io.Writer, root *shape.Node, compression string) (*Writer, error) {
	x := &Writer{w: w, root: root, codec: Codecs[compression]}
	var err error
	switch x.codec {
	case "zstandard":
		x.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	case "deflate":
		x.flate, err = flate.NewWriter(nil, flate.DefaultCompression)
	case "":
		err = fmt.Errorf("there is no compression %q for Avro: none, snappy, deflate or zstd", compression)
	}
	if err != nil {
		return nil, err
	}
	schema := appendSchema(nil, root, "row", &names{types: map[string]bool{}})
	sum := sha256.Sum256(schema)
	copy(x.sync[:], sum[:])
	b := append([]byte(Magic), 4) // two pairs
	b = appendBytes(b, "avro.schema")
	b = appendBytes(b, string(schema))
	b = appendBytes(b, "avro.codec")
	b = appendBytes(b, x.codec)
	b = append(b, 0)
	_, err = w.Write(append(b, x.sync[:]...))
	return x, err
}

func appendLong(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

func appendBytes(dst []byte, s string) []byte {
	return append(appendLong(dst, int64(len(s))), s...)
}

// names keeps names of types apart: each is defined once.
type names struct{ types map[string]bool }

// appendSchema appends the schema of a node, whose record type gets a name.
func appendSchema(dst []byte, n *shape.Node, name string, all *names) []byte {
	switch n.Form() {
	case shape.Record:
		dst = append(dst, `{"type":"record","name":`...)
		dst = vec.AppendJSONString(dst, shape.Identifier(name, all.types))
		dst = append(dst, `,"fields":[`...)
		taken := map[string]bool{}
		for i, f := range n.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			id := shape.Identifier(f.Name, taken)
			dst = append(dst, `{"name":`...)
			dst = vec.AppendJSONString(dst, id)
			if id != f.Name {
				dst = append(dst, `,"doc":`...)
				dst = vec.AppendJSONString(dst, f.Name)
			}
			dst = append(dst, `,"type":`...)
			dst = append(appendMember(dst, f, name+"_"+id, all), '}')
		}
		return append(dst, "]}"...)
	case shape.Array:
		dst = append(dst, `{"type":"array","items":`...)
		return append(appendMember(dst, n.Items, name+"_item", all), '}')
	case shape.Bit:
		return append(dst, `"boolean"`...)
	case shape.Long:
		return append(dst, `"long"`...)
	case shape.Double:
		return append(dst, `"double"`...)
	}
	return append(dst, `"string"`...)
}

// appendMember appends the schema of a value that may be NULL.
func appendMember(dst []byte, n *shape.Node, name string, all *names) []byte {
	dst = append(dst, `["null"`...)
	if n.Form() != shape.Mixed {
		dst = appendSchema(append(dst, ','), n, name, all)
		return append(dst, ']')
	}
	for _, k := range mixed(n) {
		dst = append(dst, ',')
		switch k {
		case vec.Bit:
			dst = append(dst, `"boolean"`...)
		case vec.Int:
			dst = append(dst, `"long"`...)
		case vec.Float:
			dst = append(dst, `"double"`...)
		case vec.String:
			dst = append(dst, `"string"`...)
		default:
			dst = appendSchema(dst, n.Only(k), name, all)
		}
	}
	return append(dst, ']')
}

// mixed are the members of a union of several kinds, in their order. Datetimes are texts.
func mixed(n *shape.Node) []vec.Kind {
	var list []vec.Kind
	for _, k := range []vec.Kind{vec.Bit, vec.Int, vec.Float, vec.String, vec.Record, vec.Array} {
		has := n.Kinds.Has(k) || k == vec.String && n.Kinds.Has(vec.Datetime)
		if k == vec.Record && len(n.Fields) == 0 { // nothing but empty ones: texts
			has = false
		}
		if has {
			list = append(list, k)
		}
	}
	if n.Kinds.Has(vec.Record) && len(n.Fields) == 0 && !n.Kinds.Has(vec.String) && !n.Kinds.Has(vec.Datetime) {
		list = append(list, vec.String)
	}
	return list
}

// Batch writes rows whose columns are the fields of the shape.
func (w *Writer) Batch(b *vec.Batch) error {
	for i := range b.N {
		w.row = w.row[:0]
		for c, f := range w.root.Fields {
			w.row = w.cell(w.row, f, &b.Cols[c], i)
		}
		if err := w.add(); err != nil {
			return err
		}
	}
	return nil
}

// cell appends the value of a column in row i.
func (w *Writer) cell(dst []byte, n *shape.Node, v *vec.Vec, i int) []byte {
	if v.Tag != nil {
		return w.member(dst, n, v.At(i))
	}
	switch form := n.Form(); {
	case form == shape.Text && v.Kind == vec.String && v.Dict != nil:
		return appendBytes(append(dst, 2), v.Dict.Vals[v.Code[i]])
	case form == shape.Text && v.Kind == vec.String:
		return appendBytes(append(dst, 2), v.Str[i])
	case form == shape.Long && v.Kind == vec.Int:
		return appendLong(append(dst, 2), v.Int[i])
	case form == shape.Double && v.Kind == vec.Float:
		return binary.LittleEndian.AppendUint64(append(dst, 2), math.Float64bits(v.Float[i]))
	}
	return w.member(dst, n, v.At(i))
}

// Record writes a row that is a record.
func (w *Writer) Record(r *vec.Rec) error {
	w.row = w.record(w.row[:0], w.root, r)
	return w.add()
}

func (w *Writer) add() error {
	w.block.Write(w.row)
	w.rows++
	if w.block.Len() >= blockBytes {
		return w.flush()
	}
	return nil
}

// record appends a record.
func (w *Writer) record(dst []byte, n *shape.Node, r *vec.Rec) []byte {
	inOrder := len(r.Names) == len(n.Fields)
	for i, f := range n.Fields {
		if inOrder && r.Names[i] == f.Name {
			dst = w.member(dst, f, r.Vals[i])
			continue
		}
		v := vec.NullValue()
		for j := len(r.Names) - 1; j >= 0; j-- {
			if r.Names[j] == f.Name {
				v = r.Vals[j]
				break
			}
		}
		dst = w.member(dst, f, v)
	}
	return dst
}

// member appends a value that may be NULL.
func (w *Writer) member(dst []byte, n *shape.Node, v vec.Value) []byte {
	if v.Kind.IsNull() {
		return append(dst, 0)
	}
	form := n.Form()
	if form != shape.Mixed {
		at := len(dst)
		dst, ok := w.value(append(dst, 2), n, form, v)
		if !ok {
			return append(dst[:at], 0)
		}
		return dst
	}
	kind := v.Kind
	if kind == vec.Datetime || kind == vec.Record && len(n.Fields) == 0 {
		kind = vec.String
	}
	for i, k := range mixed(n) {
		if k != kind {
			continue
		}
		form := map[vec.Kind]shape.Form{vec.Bit: shape.Bit, vec.Int: shape.Long, vec.Float: shape.Double, vec.String: shape.Text, vec.Record: shape.Record, vec.Array: shape.Array}[k]
		dst, _ = w.value(appendLong(dst, int64(i)+1), n, form, v)
		return dst
	}
	return append(dst, 0)
}

// value appends a value as a form; false if it cannot be that.
func (w *Writer) value(dst []byte, n *shape.Node, form shape.Form, v vec.Value) ([]byte, bool) {
	switch form {
	case shape.Bit:
		return append(dst, byte(v.Int)), v.Kind == vec.Bit
	case shape.Long:
		return appendLong(dst, v.Int), v.Kind == vec.Int || v.Kind == vec.Bit
	case shape.Double:
		f := v.Float
		if v.Kind != vec.Float {
			f = float64(v.Int)
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), v.Kind.IsNumber()
	case shape.Record:
		if v.Kind != vec.Record {
			return dst, false
		}
		return w.record(dst, n, v.Rec), true
	case shape.Array:
		if v.Kind != vec.Array {
			return dst, false
		}
		if len(v.Rec.Vals) > 0 {
			dst = appendLong(dst, int64(len(v.Rec.Vals)))
			for _, x := range v.Rec.Vals {
				dst = w.member(dst, n.Items, x)
			}
		}
		return append(dst, 0), true
	}
	switch v.Kind {
	case vec.String:
		return appendBytes(dst, v.Str), true
	case vec.Datetime:
		return vec.AppendTime(appendLong(dst, 28), vec.Time(v.Int)), true
	}
	return appendBytes(dst, string(vec.AppendJSON(nil, v))), true
}

// flush writes the rows that wait as a block.
func (w *Writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	b := w.block.Bytes()
	switch w.codec {
	case "snappy":
		if n := snappy.MaxEncodedLen(len(b)); cap(w.out) < n+4 {
			w.out = make([]byte, n+4)
		}
		packed := snappy.Encode(w.out[:cap(w.out)], b)
		b = binary.BigEndian.AppendUint32(packed, crc32.ChecksumIEEE(b))
	case "zstandard":
		w.out = w.zstd.EncodeAll(b, w.out[:0])
		b = w.out
	case "deflate":
		var packed bytes.Buffer
		w.flate.Reset(&packed)
		w.flate.Write(b) // a buffer takes all
		if err := w.flate.Close(); err != nil {
			return err
		}
		b = packed.Bytes()
	}
	head := appendLong(appendLong(nil, w.rows), int64(len(b)))
	for _, part := range [][]byte{head, b, w.sync[:]} {
		if _, err := w.w.Write(part); err != nil {
			return err
		}
	}
	w.block.Reset()
	w.rows = 0
	return nil
}

// Close ends the file. It does not close what it writes to.
func (w *Writer) Close() error {
	if w.zstd != nil {
		defer w.zstd.Close()
	}
	return w.flush()
}
