package sql

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// spillFile holds the rows of an epoch that memory has no place for. It is of no use after a
// crash: the rows come again.
const spillFile = "epoch.rows"

// row is a row that waits. Records and arrays in its values are JSON text in Str.
type row struct {
	time vec.Time
	// names are those of vals if the row has its own; nil if they are those of the output.
	names []string
	vals  []vec.Value
	// odd says that the row should be a record and is not.
	odd bool
	// args are vals as parameters, in the order of shape.
	args  []any
	shape *shape
	at    int // number in the epoch
}

// rows are the rows of an epoch: in memory up to a limit, beyond it in a file.
type rows struct {
	fs    disk.FS
	limit int64
	own   bool // rows have their own names

	n     int
	mem   []byte
	file  disk.File
	onDsk int64 // bytes in the file that count
}

// add takes the rows of a batch, all of them or, after an error, none.
func (r *rows) add(b *vec.Batch) error {
	start := len(r.mem)
	if len(r.mem) > 0 && int64(len(r.mem)) > r.limit {
		if err := r.spill(); err != nil {
			return err
		}
		start = 0
	}
	for i := range b.N {
		at := len(r.mem)
		r.mem = append(r.mem, 0, 0, 0, 0)
		r.mem = binary.LittleEndian.AppendUint64(r.mem, uint64(b.Time[i]))
		if r.own {
			r.mem = appendRecord(r.mem, b.Cols[0].At(i))
		} else {
			for c := range b.Cols {
				r.mem = appendCell(r.mem, b.Cols[c].At(i))
			}
		}
		size := len(r.mem) - at - 4
		if size > math.MaxInt32 {
			r.mem = r.mem[:start]
			return connect.Permanent(fmt.Errorf("a row has %d bytes", size))
		}
		binary.LittleEndian.PutUint32(r.mem[at:], uint32(size))
	}
	r.n += b.N
	return nil
}

// spill moves what is in memory to the file.
func (r *rows) spill() error {
	if r.file == nil {
		f, err := r.fs.Create(spillFile)
		if err != nil {
			return fmt.Errorf("keep the rows of an epoch on disk: %w", err)
		}
		r.file = f
	}
	if _, err := r.file.Seek(r.onDsk, io.SeekStart); err != nil {
		return fmt.Errorf("keep the rows of an epoch on disk: %w", err)
	}
	if _, err := r.file.Write(r.mem); err != nil {
		return fmt.Errorf("keep the rows of an epoch on disk: %w", err)
	}
	r.onDsk += int64(len(r.mem))
	r.mem = r.mem[:0]
	return nil
}

// reset forgets all rows. Memory is kept up to the limit.
func (r *rows) reset() {
	r.n, r.mem, r.onDsk = 0, r.mem[:0], 0
	if int64(cap(r.mem)) > r.limit+1<<20 {
		r.mem = nil
	}
	r.close()
}

// close gives the file up.
func (r *rows) close() {
	if r.file != nil {
		// The file is scratch: what cannot be removed is emptied when it is made again.
		_ = r.file.Close()
		_ = r.fs.Remove(spillFile)
		r.file = nil
	}
}

// read gives the rows in order.
func (r *rows) read(columns int) *rowReader {
	in := io.Reader(&memory{r.mem})
	if r.onDsk > 0 {
		in = io.MultiReader(bufio.NewReaderSize(io.NewSectionReader(r.file, 0, r.onDsk), 1<<16), in)
	}
	return &rowReader{in: in, left: r.onDsk + int64(len(r.mem)), columns: columns, own: r.own}
}

// memory reads a slice.
type memory struct{ rest []byte }

func (m *memory) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// rowReader reads rows again.
type rowReader struct {
	in      io.Reader
	left    int64 // bytes
	columns int
	own     bool
	at      int
}

// next gives the next row and its size in bytes, or io.EOF.
func (r *rowReader) next() (*row, int, error) {
	var head [12]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return nil, 0, err
	}
	size := int(binary.LittleEndian.Uint32(head[:])) - 8
	r.left -= int64(len(head))
	if size < 0 || int64(size) > r.left {
		return nil, 0, errDamaged
	}
	r.left -= int64(size)
	body := make([]byte, size)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return nil, 0, errors.Join(errDamaged, err)
	}
	out := &row{time: vec.Time(binary.LittleEndian.Uint64(head[4:])), at: r.at}
	r.at++
	d := cellReader{rest: string(body)} // one text for all strings of the row
	if r.own {
		d.record(out)
	} else {
		out.vals = make([]vec.Value, r.columns)
		for i := range out.vals {
			out.vals[i] = d.cell()
		}
	}
	if d.bad || d.rest != "" {
		return nil, 0, errDamaged
	}
	return out, size, nil
}

// errDamaged says that the file of an epoch's rows was changed by somebody else.
var errDamaged = errors.New("the rows of the epoch that were kept on disk are damaged")

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendCell writes a value: its kind and what it is.
func appendCell(dst []byte, v vec.Value) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		return binary.AppendVarint(dst, v.Int)
	case vec.Float:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float))
	case vec.String:
		return appendText(dst, v.Str)
	case vec.Record, vec.Array:
		return appendText(dst, string(vec.AppendJSON(nil, v)))
	}
	return dst
}

// appendRecord writes a row that has its own names.
func appendRecord(dst []byte, v vec.Value) []byte {
	if v.Kind != vec.Record {
		dst = append(dst, 0)
		return appendCell(dst, v)
	}
	dst = append(dst, 1)
	dst = binary.AppendUvarint(dst, uint64(len(v.Rec.Names)))
	for i, name := range v.Rec.Names {
		dst = appendText(dst, name)
		dst = appendCell(dst, v.Rec.Vals[i])
	}
	return dst
}

// cellReader reads what appendCell wrote.
type cellReader struct {
	rest string
	bad  bool
}

func (d *cellReader) take(n int) string {
	if n < 0 || n > len(d.rest) {
		d.bad = true
		d.rest = ""
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *cellReader) uvarint() uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		b := d.take(1)
		if b == "" {
			return 0
		}
		x |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return x
		}
	}
	d.bad = true
	return 0
}

func (d *cellReader) text() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	return d.take(int(n))
}

func (d *cellReader) cell() vec.Value {
	kind := d.take(1)
	if kind == "" || kind[0] >= vec.NumKinds {
		d.bad = true
		return vec.Value{}
	}
	v := vec.Value{Kind: vec.Kind(kind[0])}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		x := d.uvarint()
		v.Int = int64(x>>1) ^ -int64(x&1)
	case vec.Float:
		if s := d.take(8); s != "" {
			v.Float = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s)))
		}
	case vec.String, vec.Record, vec.Array:
		v.Str = d.text()
	}
	return v
}

func (d *cellReader) record(out *row) {
	if d.take(1) == "\x00" {
		out.odd = true
		out.vals = []vec.Value{d.cell()}
		return
	}
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.bad = true
		return
	}
	out.names, out.vals = make([]string, n), make([]vec.Value, n)
	for i := range out.names {
		out.names[i], out.vals[i] = d.text(), d.cell()
	}
}

// jsonOf is the JSON of a value; that of records and arrays of rows is there already.
func jsonOf(v vec.Value) string {
	if (v.Kind == vec.Record || v.Kind == vec.Array) && v.Rec == nil {
		return v.Str
	}
	return string(vec.AppendJSON(nil, v))
}

// json is a row as a JSON object, as messages of its rejection have it.
func (r *row) json(names []string) []byte {
	if r.odd {
		return []byte(jsonOf(r.vals[0]))
	}
	if r.names != nil {
		names = r.names
	}
	dst := []byte{'{'}
	for i, v := range r.vals {
		if v.Kind == vec.Missing {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = vec.AppendJSONString(dst, names[i])
		dst = append(dst, ':')
		dst = append(dst, jsonOf(v)...)
	}
	return append(slices.Clip(dst), '}')
}
