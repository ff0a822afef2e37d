package cosmos

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

// The names of rows that cannot be documents (saql.md 3.11).
const (
	errRequired  = "OutputDataConversionError.RequiredColumnMissing"
	errType      = "OutputDataConversionError.TypeConversionError"
	errSize      = "OutputDataConversionError.RecordExceededSizeLimit"
	errDuplicate = "OutputDataConversionError.DuplicateKey"
)

// documents makes documents of rows. The document of a row has its columns, the id, and the
// partition key as text.
type documents struct {
	row     bool
	names   []string // of the columns
	idFrom  string   // column of the id; "" if rows have their own, or get one
	idAt    int      // -1 if there is none of the name, or rows are records
	ownID   int      // the column that is the field "id"; -1 if there is none
	keyName string   // field of the partition key; "" if the container has none
	keyAt   int
	made    string // what ids that are made begin with

	encode *codec.Encoder // documents
	plain  *codec.Encoder // rows as they came
	text   []byte
	shaped vec.Batch
	one    vec.Batch // a row
	frames []frame
	// The names of the last record and of the document that it became.
	recNames, docNames []string
}

// frame is a row that waits: the document that it will be, or why it cannot be one.
type frame struct {
	time   vec.Time
	key    []byte // value of the partition key; nil is null
	id     []byte
	made   bool // the id is ours
	bad    string
	column string
	reason string
	doc    []byte // the row, if it is bad
}

// newDocuments says what is wrong with the columns: an error that no retry heals. key is the field
// of the container's partition key.
func newDocuments(env connect.SinkEnv, idFrom, key string) (*documents, error) {
	d := &documents{row: env.Columns.Row, names: env.Columns.Names, idFrom: idFrom, idAt: -1, ownID: -1, keyName: key, keyAt: -1}
	sum := sha256.Sum256([]byte(env.Job + "\x00" + env.Output + "\x00" + env.Instance))
	d.made = base64.RawURLEncoding.EncodeToString(sum[:12])
	names := slices.Clone(d.names)
	if !d.row {
		if d.ownID = slices.Index(names, "id"); d.ownID < 0 {
			names = append(names, "id")
		}
		if idFrom != "" {
			if d.idAt = column(d.names, idFrom); d.idAt < 0 {
				return nil, fmt.Errorf("the rows have no column %q, which document_id names", idFrom)
			}
		}
		if key != "" && key != "id" {
			if d.keyAt = column(d.names, key); d.keyAt < 0 {
				return nil, fmt.Errorf("the rows have no column %q, which is the partition key of the container", key)
			}
			names[d.keyAt] = key // the service knows fields by case
		}
	}
	d.encode = codec.NewEncoder(codec.JSONLines, names, d.row)
	d.plain = codec.NewEncoder(codec.JSONLines, d.names, d.row)
	return d, nil
}

// column is where a column stands: its exact name, or else without case; -1 if there is none.
func column(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// make makes the documents of rows, the first of which is number n of its epoch. They are valid
// until the next call.
func (d *documents) make(b *vec.Batch, epoch, n int64) []frame {
	d.frames = slices.Grow(d.frames[:0], b.N)[:b.N]
	for i := range b.N {
		d.frames[i] = frame{time: b.Time[i]}
		d.identify(b, i, epoch, n+int64(i))
	}
	if d.row {
		d.shapeRecords(b)
	} else {
		d.shapeColumns(b)
	}
	d.text = d.encode.Encode(d.text[:0], &d.shaped)
	i := 0
	for line := range bytes.Lines(d.text) {
		f := &d.frames[i]
		if f.doc = bytes.TrimSuffix(line, newline); f.bad == "" && len(f.doc) > MaxDocument {
			f.bad, f.reason = errSize, fmt.Sprintf("the document has %d bytes; %d is the most", len(f.doc), MaxDocument)
		}
		if f.bad != "" {
			f.doc = d.rowText(b, i)
		}
		i++
	}
	if cap(d.text) > maxBuffered {
		d.text = nil
	}
	return d.frames
}

var newline = []byte("\n")

// rowText is a row as it came.
func (d *documents) rowText(b *vec.Batch, i int) []byte {
	d.one.N, d.one.Cols = 1, slices.Grow(d.one.Cols[:0], len(b.Cols))[:len(b.Cols)]
	for c := range b.Cols {
		d.one.Cols[c].Gather(&b.Cols[c], []int32{int32(i)})
	}
	return bytes.TrimSuffix(d.plain.Encode(nil, &d.one), newline)
}

// identify finds id and partition key of a row.
func (d *documents) identify(b *vec.Batch, i int, epoch, n int64) {
	f := &d.frames[i]
	if d.row && b.Cols[0].KindAt(i) != vec.Record {
		f.bad, f.reason = errType, fmt.Sprintf("a document is a record, not %s", b.Cols[0].KindAt(i))
		return
	}
	value, name := d.idOf(b, i)
	switch text, ok := textOf(value); {
	case !ok && !value.Kind.IsNull():
		f.bad, f.column, f.reason = errType, name, fmt.Sprintf("an id cannot be %s", value.Kind)
	case !ok && d.idFrom != "":
		f.bad, f.column, f.reason = errRequired, name, "the id has no value"
	case !ok:
		f.id, f.made = fmt.Appendf(nil, "%s-%d-%d", d.made, epoch, n), true
	case text == "" || strings.ContainsAny(text, `/\`):
		f.bad, f.column, f.reason = errType, name, fmt.Sprintf("%.80q is no id: ids are not empty and have no / and \\", text)
	case len(text) > MaxID:
		f.bad, f.column, f.reason = errSize, name, fmt.Sprintf("the id has %d bytes; %d is the most", len(text), MaxID)
	default:
		f.id = []byte(text)
	}
	if f.bad != "" || d.keyName == "" {
		return
	}
	if d.keyName == "id" {
		f.key = f.id
		return
	}
	key := vec.Value{}
	if d.row {
		key = fieldOf(b.Cols[0].At(i), d.keyName)
	} else {
		key = b.Cols[d.keyAt].At(i)
	}
	switch text, ok := textOf(key); {
	case ok && len(text) > MaxKey:
		f.bad, f.column, f.reason = errSize, d.keyName, fmt.Sprintf("the partition key has %d bytes; %d is the most", len(text), MaxKey)
	case ok:
		f.key = []byte(text)
		if f.key == nil {
			f.key = []byte{}
		}
	case !key.Kind.IsNull():
		f.bad, f.column, f.reason = errType, d.keyName, fmt.Sprintf("a partition key cannot be %s", key.Kind)
	}
}

// idOf is the value that the id is made of, and the column it is from.
func (d *documents) idOf(b *vec.Batch, i int) (v vec.Value, name string) {
	switch {
	case d.row && d.idFrom != "":
		return fieldOf(b.Cols[0].At(i), d.idFrom), d.idFrom
	case d.row:
		rec := b.Cols[0].At(i).Rec
		if at := slices.Index(rec.Names, "id"); at >= 0 {
			return rec.Vals[at], "id"
		}
	case d.idFrom != "":
		return b.Cols[d.idAt].At(i), d.idFrom
	case d.ownID >= 0:
		return b.Cols[d.ownID].At(i), "id"
	}
	return vec.Value{}, "id"
}

// shapeColumns makes the batch of documents of rows with columns.
func (d *documents) shapeColumns(b *vec.Batch) {
	d.shaped.N, d.shaped.Time = b.N, b.Time
	d.shaped.Cols = append(d.shaped.Cols[:0], b.Cols...)
	var ids vec.Vec
	ids.Fixed(vec.String, b.N)
	for i := range d.frames {
		ids.Set(i, vec.StringValue(string(d.frames[i].id)))
	}
	if d.ownID >= 0 {
		d.shaped.Cols[d.ownID] = ids
	} else {
		d.shaped.Cols = append(d.shaped.Cols, ids)
	}
	if d.keyAt < 0 || d.keyAt == d.ownID {
		return
	}
	var keys vec.Vec
	for i := range d.frames {
		keys.Append(keyValue(d.frames[i].key))
	}
	d.shaped.Cols[d.keyAt] = keys
}

// keyValue is a partition key as it stands in the document.
func keyValue(key []byte) vec.Value {
	if key == nil {
		return vec.NullValue()
	}
	return vec.StringValue(string(key))
}

// shapeRecords makes the batch of documents of rows that are records.
func (d *documents) shapeRecords(b *vec.Batch) {
	col := vec.Vec{}
	for i := range b.N {
		v := b.Cols[0].At(i)
		if d.frames[i].bad == "" {
			v = d.shapeRecord(v.Rec, &d.frames[i])
		}
		col.Append(v)
	}
	d.shaped = vec.Batch{N: b.N, Time: b.Time, Cols: []vec.Vec{col}}
}

func (d *documents) shapeRecord(rec *vec.Rec, f *frame) vec.Value {
	if !sameSlice(rec.Names, d.recNames) {
		d.recNames, d.docNames = rec.Names, slices.Clone(rec.Names)
		if d.keyName != "" && d.keyName != "id" {
			if at := column(d.docNames, d.keyName); at >= 0 {
				d.docNames[at] = d.keyName
			} else {
				d.docNames = append(d.docNames, d.keyName)
			}
		}
		if !slices.Contains(d.docNames, "id") {
			d.docNames = append(d.docNames, "id")
		}
	}
	vals := make([]vec.Value, len(d.docNames))
	copy(vals, rec.Vals)
	if d.keyName != "" && d.keyName != "id" {
		vals[slices.Index(d.docNames, d.keyName)] = keyValue(f.key)
	}
	vals[slices.Index(d.docNames, "id")] = vec.StringValue(string(f.id))
	return vec.RecordValue(&vec.Rec{Names: d.docNames, Vals: vals})
}

// sameSlice reports whether two slices are the same memory: records of one shape share their names.
func sameSlice(a, b []string) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// textOf is a value as text: texts as they are, others as JSON has them.
func textOf(v vec.Value) (string, bool) {
	switch v.Kind {
	case vec.String:
		return strings.ToValidUTF8(v.Str, "\uFFFD"), true
	case vec.Datetime:
		return vec.Time(v.Int).String(), true
	case vec.Int, vec.Float, vec.Bit:
		return v.String(), true
	}
	return "", false
}

// fieldOf looks a field of a record up: the exact name, else the first that is equal without
// case (saql.md 1.6).
func fieldOf(v vec.Value, name string) vec.Value {
	if v.Kind != vec.Record {
		return vec.Value{}
	}
	if at := column(v.Rec.Names, name); at >= 0 {
		return v.Rec.Vals[at]
	}
	return vec.Value{}
}
