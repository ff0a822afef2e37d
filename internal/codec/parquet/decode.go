package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"weir/internal/codec/jsonline"
)

const (
	// outBytes is how much text is made at once.
	outBytes = 64 << 10
	// valuesAtOnce is how many values of a column are read at once.
	valuesAtOnce = 128
)

// Options say how a file is read.
type Options struct {
	Limit int    // the longest text of an event, in bytes
	Name  string // of error lines (jsonline)
}

// Decode writes the rows of a file as lines of JSON. Bad rows become error lines. An error of
// type jsonline.Damage says why the file cannot be read, or read on; others are of r or of w.
// The text of a file is always the same: positions of inputs count its bytes.
func Decode(w io.Writer, r io.ReaderAt, size int64, o Options) (err error) {
	d := &decoder{w: w, o: o}
	defer func() {
		if p := recover(); p != nil {
			err = jsonline.Damagef("the Parquet file cannot be read: its decoder failed with %.200s", fmt.Sprint(p))
			d.close()
		}
		if e := d.flush(); err == nil {
			err = e
		}
	}()
	f, err := open(r, size)
	if err != nil {
		return err
	}
	meta := f.Metadata()
	if d.root, err = tree(meta.Schema); err != nil {
		return jsonline.Damagef("the Parquet file cannot be read: %v", err)
	}
	for i, g := range f.RowGroups() {
		if i >= len(meta.RowGroups) {
			break
		}
		for j := range meta.RowGroups[i].Columns {
			if err := checkPages(r, &meta.RowGroups[i].Columns[j].MetaData); err != nil {
				return err
			}
		}
		if err := d.group(g, meta.RowGroups[i].NumRows); err != nil {
			return err
		}
	}
	return nil
}

// decoder writes rows.
type decoder struct {
	w       io.Writer
	o       Options
	root    *node
	columns []column
	out     []byte
	start   int // of the row in out
	bad     string
}

// column reads the values of a leaf.
type column struct {
	pages  lib.Pages
	page   lib.Page
	values lib.ValueReader
	err    error
	at, n  int
	buf    [valuesAtOnce]lib.Value
}

func (d *decoder) flush() error {
	if len(d.out) == 0 {
		return nil
	}
	_, err := d.w.Write(d.out)
	d.out = d.out[:0]
	return err
}

func (d *decoder) close() {
	for i := range d.columns {
		d.columns[i].close()
	}
}

// group writes the rows of a row group.
func (d *decoder) group(g lib.RowGroup, rows int64) error {
	chunks := g.ColumnChunks()
	if len(chunks) != d.root.leaves {
		return jsonline.Damagef("the Parquet file is damaged: a row group has %d of %d columns", len(chunks), d.root.leaves)
	}
	if d.columns == nil {
		d.columns = make([]column, len(chunks))
	}
	for i, c := range chunks {
		d.columns[i].open(c.Pages())
	}
	defer d.close()
	for row := range rows {
		d.start, d.bad = len(d.out), ""
		if err := d.object(d.root); err != nil {
			d.out = d.out[:d.start]
			return rowError(err, row)
		}
		if d.bad != "" {
			d.out = jsonline.AppendError(d.out[:d.start], d.o.Name, d.bad, nil)
		} else {
			d.out = append(d.out, '\n')
		}
		if len(d.out) >= outBytes {
			if err := d.flush(); err != nil {
				return err
			}
		}
	}
	for i := range d.columns {
		if v, err := d.columns[i].peek(); v != nil {
			return jsonline.Damagef("the Parquet file is damaged: a column has more values than there are rows")
		} else if err != nil && !errors.Is(err, io.EOF) {
			return rowError(err, rows)
		}
	}
	return nil
}

// rowError says what an error of a column means: reading errors are of the file, all else is of
// what is in it.
func rowError(err error, row int64) error {
	var damage *jsonline.Damage
	if errors.As(err, &damage) {
		return err
	}
	if errors.Is(err, io.EOF) {
		return jsonline.Damagef("the Parquet file is damaged: a column ends before row %d of its group", row+1)
	}
	return jsonline.Damagef("the Parquet file cannot be read on: %v", err)
}

func (c *column) open(p lib.Pages) {
	c.pages, c.err, c.at, c.n = p, nil, 0, 0
}

func (c *column) close() {
	lib.Release(c.page)
	if c.pages != nil {
		c.pages.Close()
	}
	c.pages, c.page, c.values = nil, nil, nil
}

// peek is the value that comes next. It is valid until the next peek behind skip.
func (c *column) peek() (*lib.Value, error) {
	for c.at == c.n {
		if c.err != nil {
			return nil, c.err
		}
		c.fill()
	}
	return &c.buf[c.at], nil
}

// fill reads values of the page, or of the next one.
func (c *column) fill() {
	c.at, c.n = 0, 0
	if c.values == nil {
		lib.Release(c.page)
		if c.page, c.err = c.pages.ReadPage(); c.err != nil {
			c.page = nil
			return
		}
		c.values = c.page.Values()
	}
	n, err := c.values.ReadValues(c.buf[:])
	c.n = n
	switch {
	case err == io.EOF || err == nil && n == 0:
		c.values = nil
	case err != nil:
		c.err = err
	}
}

// next takes the value that comes next.
func (c *column) next() (*lib.Value, error) {
	if c.at < c.n {
		c.at++
		return &c.buf[c.at-1], nil
	}
	v, err := c.peek()
	if err == nil {
		c.at++
	}
	return v, err
}

// note keeps the first reason why the row is no event.
func (d *decoder) note(reason string) {
	if d.bad == "" {
		d.bad = reason
	}
}

// full drops the text of a row that is too long.
func (d *decoder) full() {
	if len(d.out)-d.start > d.o.Limit {
		d.note("the event is too long")
		d.out = d.out[:d.start]
	}
}

// object writes a group that is there.
func (d *decoder) object(n *node) error {
	d.out = append(d.out, '{')
	for _, c := range n.children {
		d.out = append(d.out, c.key...)
		was := d.bad
		if err := d.node(c); err != nil {
			return err
		}
		if was == "" && d.bad != "" {
			d.bad = c.name + ": " + d.bad
		}
	}
	d.out = append(d.out, '}')
	return nil
}

// node writes a value, which may be NULL.
func (d *decoder) node(n *node) error {
	if n.kind > kindMap {
		v, err := d.columns[n.leaf].next()
		if err != nil {
			return err
		}
		if v.DefinitionLevel() < n.def || v.IsNull() {
			d.out = append(d.out, "null"...)
			return nil
		}
		return d.value(n, v)
	}
	v, err := d.columns[n.leaf].peek()
	if err != nil {
		return err
	}
	level := v.DefinitionLevel()
	if n.optional && level < n.def {
		d.out = append(d.out, "null"...)
		return d.skip(n)
	}
	if n.kind == kindGroup {
		return d.object(n)
	}
	return d.list(n, level)
}

// skip takes the values that stand for a group that is not there, one a column.
func (d *decoder) skip(n *node) error {
	for i := n.leaf; i < n.leaf+n.leaves; i++ {
		if _, err := d.columns[i].next(); err != nil {
			return err
		}
	}
	return nil
}

// list writes the elements of a list or map.
func (d *decoder) list(n *node, level int) error {
	begin, end := byte('['), byte(']')
	if n.kind == kindMap {
		begin, end = '{', '}'
	}
	d.out = append(d.out, begin)
	if level < n.listDef {
		d.out = append(d.out, end)
		return d.skip(n)
	}
	deep := n.rep + 1
	for first := true; ; first = false {
		if !first {
			d.out = append(d.out, ',')
		}
		if err := d.element(n); err != nil {
			return err
		}
		d.full()
		v, err := d.columns[n.leaf].peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if v.RepetitionLevel() < deep {
			break
		}
		if v.RepetitionLevel() > deep {
			return jsonline.Damagef("the Parquet file is damaged: list %q begins in its midst", n.name)
		}
	}
	d.out = append(d.out, end)
	return nil
}

// element writes an element of a list, or a pair of a map.
func (d *decoder) element(n *node) error {
	if n.kind == kindList {
		return d.node(n.children[0])
	}
	key := n.children[0]
	at := len(d.out)
	if err := d.node(key); err != nil {
		return err
	}
	if at < len(d.out) && d.out[at] != '"' { // a number as a name
		d.out = append(d.out, '"')
		copy(d.out[at+1:], d.out[at:])
		d.out[at] = '"'
		d.out = append(d.out, '"')
	}
	d.out = append(d.out, ':')
	return d.node(n.children[1])
}

// value writes a value of a column.
func (d *decoder) value(n *node, v *lib.Value) error {
	switch n.kind {
	case kindInt:
		if v.Kind() == lib.Int32 {
			d.out = strconv.AppendInt(d.out, int64(v.Int32()), 10)
		} else {
			d.out = strconv.AppendInt(d.out, v.Int64(), 10)
		}
	case kindUint32:
		d.out = strconv.AppendUint(d.out, uint64(v.Uint32()), 10)
	case kindUint64:
		if v.Uint64() > math.MaxInt64 {
			d.note("the number " + strconv.FormatUint(v.Uint64(), 10) + " is no bigint")
		}
		d.out = strconv.AppendUint(d.out, v.Uint64(), 10)
	case kindBit:
		d.out = strconv.AppendBool(d.out, v.Boolean())
	case kindFloat:
		d.out = jsonline.AppendFloat(d.out, float64(v.Float()))
	case kindDouble:
		d.out = jsonline.AppendFloat(d.out, v.Double())
	case kindText:
		d.bytes(v.ByteArray(), jsonline.AppendString)
	case kindBinary:
		d.bytes(v.ByteArray(), jsonline.AppendBase64)
	case kindTime:
		return d.time(n, v)
	case kindDecimal:
		return d.decimal(n, v)
	case kindUnknown:
		d.out = append(d.out, "null"...)
	default:
		return d.fixed(n, v)
	}
	return nil
}

func (d *decoder) bytes(b []byte, form func(dst, b []byte) []byte) {
	if len(b) > d.o.Limit {
		d.note("the event is too long")
		b = nil
	}
	d.out = form(d.out, b)
	d.full()
}

// julianEpoch is the day 1970-01-01 as INT96 counts days.
const julianEpoch = 2440588

func (d *decoder) time(n *node, v *lib.Value) error {
	var i int64
	unit := n.unit
	switch v.Kind() {
	case lib.Int32:
		i = int64(v.Int32())
	case lib.Int96:
		t := v.Int96()
		return d.int96(t)
	default:
		i = v.Int64()
	}
	var ok bool
	if d.out, ok = jsonline.AppendTime(d.out, i, unit); !ok {
		d.note(fmt.Sprintf("the timestamp %d is no datetime", i))
	}
	return nil
}

// int96 writes a time as Impala and Spark wrote it: nanoseconds of a day, and the day.
func (d *decoder) int96(t deprecated.Int96) error {
	nanos := int64(t[1])<<32 | int64(t[0])
	days := int64(t[2]) - julianEpoch
	ticks := nanos / 100
	if nanos < 0 || ticks > 2*864_000_000_000 || days < -1e6 || days > 1e7 {
		d.note(fmt.Sprintf("the timestamp of day %d is no datetime", days))
		return nil
	}
	var ok bool
	if d.out, ok = jsonline.AppendTicks(d.out, days*864_000_000_000+ticks); !ok {
		d.note(fmt.Sprintf("the timestamp of day %d is no datetime", days))
	}
	return nil
}

func (d *decoder) decimal(n *node, v *lib.Value) error {
	ok := false
	switch v.Kind() {
	case lib.Int32:
		d.out, ok = jsonline.AppendDecimalInt(d.out, int64(v.Int32()), n.scale)
	case lib.Int64:
		d.out, ok = jsonline.AppendDecimalInt(d.out, v.Int64(), n.scale)
	default:
		d.out, ok = jsonline.AppendDecimal(d.out, v.ByteArray(), n.scale)
	}
	if !ok {
		d.note("a decimal number is too large")
	}
	return nil
}

// fixed writes a value of fixed length that is more than bytes.
func (d *decoder) fixed(n *node, v *lib.Value) error {
	b := v.ByteArray()
	switch {
	case n.kind == kindUUID && len(b) == 16:
		d.out = jsonline.AppendUUID(d.out, b)
	case n.kind == kindHalf && len(b) == 2:
		d.out = jsonline.AppendFloat(d.out, half(binary.LittleEndian.Uint16(b)))
	case n.kind == kindSpan && len(b) == 12:
		for i, name := range [...]string{`{"months":`, `,"days":`, `,"milliseconds":`} {
			d.out = append(d.out, name...)
			d.out = strconv.AppendUint(d.out, uint64(binary.LittleEndian.Uint32(b[4*i:])), 10)
		}
		d.out = append(d.out, '}')
	default:
		return jsonline.Damagef("the Parquet file is damaged: column %q has a value of %d bytes", n.name, len(b))
	}
	return nil
}

// half is a float of 16 bits.
func half(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&1023)
	f := 0.0
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 != 0 {
		return -f
	}
	return f
}
