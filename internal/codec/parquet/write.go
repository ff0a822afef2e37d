package parquet

import (
	"fmt"
	"io"
	"reflect"
	"unsafe"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"weir/internal/codec/shape"
	"weir/internal/vec"
)

const (
	// rowsAtOnce is how many rows are given to the library at once.
	rowsAtOnce = 512
	// dictionaryBytes is where a column of texts gives up its dictionary.
	dictionaryBytes = 1 << 20
)

// codecs are how pages are packed, by the names of connect.Format.
var codecs = map[string]compress.Codec{"": &lib.Snappy, "snappy": &lib.Snappy, "zstd": &lib.Zstd, "gzip": &lib.Gzip, "none": &lib.Uncompressed}

// Writer writes a file. For the same rows it always writes the same bytes.
type Writer struct {
	w       *lib.GenericWriter[any]
	columns []*lib.ColumnWriter
	root    *shape.Node
	leaves  []leaf
	rows    int
	group   int64 // about how many bytes of values the row group has
	limit   int64
}

// leaf is a column that is written, and values of it that wait.
type leaf struct {
	values []lib.Value
	texts  []byte // that they point into
}

// NewWriter begins a file for rows of a shape. A row group ends after about limit bytes of
// values, which is about what memory it takes.
func NewWriter(w io.Writer, root *shape.Node, compression string, limit int64) (_ *Writer, err error) {
	codec, ok := codecs[compression]
	if !ok {
		return nil, fmt.Errorf("there is no compression %q for Parquet: none, snappy, gzip or zstd", compression)
	}
	schema := lib.NewSchema("row", group(root.Fields))
	options := []lib.WriterOption{schema, lib.Compression(codec), lib.CreatedBy("weir", "1", ""), lib.PageBufferSize(256 << 10)}
	for _, path := range schema.Columns() {
		if leaf, ok := schema.Lookup(path...); ok && leaf.Node.Type().Kind() == lib.ByteArray {
			options = append(options, lib.SkipPageBounds(path...)) // texts may be long, and bounds are whole
		}
	}
	config, err := lib.NewWriterConfig(options...)
	if err != nil {
		return nil, err
	}
	config.DictionaryMaxBytes = dictionaryBytes
	x := &Writer{root: root, limit: limit}
	x.w = lib.NewGenericWriter[any](w, config, lib.DataPageStatistics(false)) // they hold whole values
	x.columns = x.w.ColumnWriters()
	x.leaves = make([]leaf, len(x.columns))
	return x, nil
}

// ordered is a group whose fields stay in their order.
type ordered struct {
	lib.Group
	list []lib.Field
}

func (o *ordered) Fields() []lib.Field { return o.list }

// GoType is not used for files that are written by columns.
func (o *ordered) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

// group is the node of a group with fields. Two fields of one name are one too many: the second
// has a number behind it.
func group(fields []*shape.Node) lib.Node {
	o := &ordered{Group: lib.Group{}}
	for _, f := range fields {
		name := f.Name
		for i := 2; o.Group[name] != nil; i++ {
			name = fmt.Sprintf("%s_%d", f.Name, i)
		}
		one := lib.Group{name: nodeOf(f)}
		o.Group[name] = one[name]
		o.list = append(o.list, one.Fields()[0])
	}
	return o
}

// nodeOf is a value that may be NULL.
func nodeOf(n *shape.Node) lib.Node {
	switch n.Form() {
	case shape.Bit:
		return lib.Optional(lib.Leaf(lib.BooleanType))
	case shape.Long:
		return lib.Optional(lib.Int(64))
	case shape.Double:
		return lib.Optional(lib.Leaf(lib.DoubleType))
	case shape.Time:
		return lib.Optional(lib.Timestamp(lib.Microsecond))
	case shape.Record:
		return lib.Optional(group(n.Fields))
	case shape.Array:
		return lib.Optional(lib.List(nodeOf(n.Items)))
	}
	return lib.Optional(lib.Encoded(lib.String(), &lib.RLEDictionary))
}

// Batch writes rows whose columns are the fields of the shape.
func (w *Writer) Batch(b *vec.Batch) error {
	first := 0
	for c, f := range w.root.Fields {
		next := first
		v := &b.Cols[c]
		switch form := f.Form(); {
		case v.Tag == nil && form == shape.Long && v.Kind == vec.Int:
			l := &w.leaves[first]
			for _, x := range v.Int[:b.N] {
				l.values = append(l.values, lib.Int64Value(x).Level(0, 1, first))
			}
			next++
		case v.Tag == nil && form == shape.Text && v.Kind == vec.String:
			w.texts(first, v, b.N)
			next++
		default:
			for i := range b.N {
				next = first
				w.value(f, v.At(i), 0, 0, &next)
			}
		}
		if b.N > 0 {
			first = next
		}
	}
	w.rows += b.N
	if w.rows < rowsAtOnce {
		return nil
	}
	return w.flush()
}

// texts adds a column of texts without NULL. The batch stays only until Batch returns, so texts are
// copied, but not those of a dictionary, which stays.
func (w *Writer) texts(at int, v *vec.Vec, rows int) {
	l := &w.leaves[at]
	for i := range rows {
		var b []byte
		if v.Dict != nil {
			s := v.Dict.Vals[v.Code[i]]
			b = unsafe.Slice(unsafe.StringData(s), len(s))
			w.group += int64(len(b))
		} else {
			start := len(l.texts)
			l.texts = append(l.texts, v.Str[i]...)
			b = l.texts[start:len(l.texts):len(l.texts)]
		}
		l.values = append(l.values, lib.ByteArrayValue(b).Level(0, 1, at))
	}
}

// Record writes a row that is a record.
func (w *Writer) Record(r *vec.Rec) error {
	at := 0
	w.fields(w.root, r, 0, 0, &at)
	return w.next()
}

// next counts a row.
func (w *Writer) next() error {
	if w.rows++; w.rows < rowsAtOnce {
		return nil
	}
	return w.flush()
}

// flush gives the rows that wait to the library.
func (w *Writer) flush() error {
	for i := range w.leaves {
		l := &w.leaves[i]
		if _, err := w.columns[i].WriteRowValues(l.values); err != nil {
			return err
		}
		w.group += int64(len(l.texts)) + 8*int64(len(l.values))
		l.values, l.texts = l.values[:0], l.texts[:0]
	}
	w.rows = 0
	if w.group > w.limit {
		w.group = 0
		if err := w.w.Flush(); err != nil {
			return err
		}
		w.columns = w.w.ColumnWriters()
	}
	return nil
}

// Close ends the file. It does not close what it writes to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.w.Close()
}

// put adds a value to the column *at, and goes to the next.
func (w *Writer) put(v lib.Value, rep, def int, at *int) {
	l := &w.leaves[*at]
	l.values = append(l.values, v.Level(rep, def, *at))
	*at++
}

// null adds a NULL, or that a list is empty, to all columns of a node.
func (w *Writer) null(n *shape.Node, rep, def int, at *int) {
	switch n.Form() {
	case shape.Record:
		for _, f := range n.Fields {
			w.null(f, rep, def, at)
		}
	case shape.Array:
		w.null(n.Items, rep, def, at)
	default:
		w.put(lib.Value{}, rep, def, at)
	}
}

// value adds a value of a node. def is the level of what is around it.
func (w *Writer) value(n *shape.Node, v vec.Value, rep, def int, at *int) {
	form := n.Form()
	if v.Kind.IsNull() || form == shape.Record && v.Kind != vec.Record || form == shape.Array && v.Kind != vec.Array {
		w.null(n, rep, def, at)
		return
	}
	def++
	switch form {
	case shape.Record:
		w.fields(n, v.Rec, rep, def, at)
	case shape.Array:
		w.items(n, v.Rec, rep, def, at)
	default:
		x, ok := w.scalar(form, v, at)
		if !ok {
			def--
		}
		w.put(x, rep, def, at)
	}
}

// fields adds the fields of a record.
func (w *Writer) fields(n *shape.Node, r *vec.Rec, rep, def int, at *int) {
	inOrder := len(r.Names) == len(n.Fields)
	for i, f := range n.Fields {
		if inOrder && r.Names[i] == f.Name {
			w.value(f, r.Vals[i], rep, def, at)
			continue
		}
		v := vec.NullValue()
		for j := len(r.Names) - 1; j >= 0; j-- {
			if r.Names[j] == f.Name {
				v = r.Vals[j]
				break
			}
		}
		w.value(f, v, rep, def, at)
	}
}

// items adds the items of an array. Lists have a level of their own.
func (w *Writer) items(n *shape.Node, r *vec.Rec, rep, def int, at *int) {
	if len(r.Vals) == 0 {
		w.null(n.Items, rep, def, at)
		return
	}
	from := *at
	deep := n.Items.Lists()
	for i, x := range r.Vals {
		*at = from
		if i > 0 {
			rep = deep
		}
		w.value(n.Items, x, rep, def+1, at)
	}
}

// scalar is a value of a column.
func (w *Writer) scalar(form shape.Form, v vec.Value, at *int) (lib.Value, bool) {
	switch form {
	case shape.Bit:
		return lib.BooleanValue(v.Int != 0), v.Kind == vec.Bit
	case shape.Long:
		return lib.Int64Value(v.Int), v.Kind == vec.Int || v.Kind == vec.Bit
	case shape.Double:
		if v.Kind == vec.Float {
			return lib.DoubleValue(v.Float), true
		}
		return lib.DoubleValue(float64(v.Int)), v.Kind.IsNumber()
	case shape.Time:
		return lib.Int64Value(micros(vec.Time(v.Int))), v.Kind == vec.Datetime
	}
	l := &w.leaves[*at]
	start := len(l.texts)
	l.texts = shape.AppendText(l.texts, v)
	return lib.ByteArrayValue(l.texts[start:len(l.texts):len(l.texts)]), true
}

var epoch = vec.FromCivil(1970, 1, 1)

// micros is a time since 1970, cut to microseconds.
func micros(t vec.Time) int64 {
	n := int64(t - epoch)
	m := n / 10
	if n%10 < 0 {
		m--
	}
	return m
}
