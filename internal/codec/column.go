package codec

import (
	"unsafe"

	"weir/internal/vec"
)

// column fills one column of a batch, row by row. A row may be written more than once
// while its event is tried in several ways; the last write counts. The lanes belong to
// the batch: open takes them, close gives them back.
type column struct {
	want   vec.Want
	kind   vec.Kind // of all rows so far, or mixed
	first  vec.Kind // of the first rows: what kind was before it became mixed
	tag    []vec.Kind
	ints   []int64
	floats []float64
	strs   []string
	codes  []uint32
	recs   []*vec.Rec
	max    int
	lanes  [vec.NumKinds]bool // lanes in use, by the first kind that uses each
	dict   *dict              // nil: plain strings
	clock  clockCache         // for AsDatetime
	// A large dictionary does not fit the nearest caches. Then follow only notes where the
	// text of a row is, and settle looks them all up at the end of the batch, in a loop
	// whose rows do not wait for each other.
	later bool
	spots []spot
	data  []byte // what the spots lie in
}

// spot is where the text of a row is; n is noSpot for a row that has its code already.
type spot struct{ at, n uint32 }

const noSpot = 1<<32 - 1

// laterDict is from how many texts on a dictionary counts as large.
const laterDict = 1 << 13

// mixed in column.kind says that rows differ in kind and have tags.
const mixed vec.Kind = 0xff

// laneOf is the first kind that shares the lane of k.
func laneOf(k vec.Kind) vec.Kind {
	switch k {
	case vec.Int, vec.Datetime:
		return vec.Bit
	case vec.Array:
		return vec.Record
	}
	return k
}

// sized returns s with length n and unspecified content.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// open starts a batch of at most max rows in v. The kind of the last batch stays: most
// columns never change it, and the first row corrects a wrong guess.
func (c *column) open(v *vec.Vec, max int) {
	c.tag, c.ints, c.floats, c.strs, c.codes, c.recs = v.Tag, v.Int, v.Float, v.Str, v.Code, v.Rec
	c.max = max
	c.later = c.dict != nil && len(c.dict.out.Vals) > laterDict
	if c.kind == mixed {
		c.kind = c.first
	}
	c.lanes = [vec.NumKinds]bool{}
	c.useLane(c.kind)
}

// useLane makes the lane of kind k ready for writing.
func (c *column) useLane(k vec.Kind) {
	if c.lanes[laneOf(k)] {
		return
	}
	c.lanes[laneOf(k)] = true
	switch laneOf(k) {
	case vec.Bit:
		c.ints = sized(c.ints, c.max)
	case vec.Float:
		c.floats = sized(c.floats, c.max)
	case vec.String:
		if c.dict != nil {
			c.codes = sized(c.codes, c.max)
			if c.later {
				c.spots = sized(c.spots, c.max)
			}
		} else {
			c.strs = sized(c.strs, c.max)
		}
	case vec.Record:
		c.recs = sized(c.recs, c.max)
	}
}

// mark says that row gets a value of kind k and makes its lane ready. Callers on the hot
// path check for an untagged column of kind k themselves.
func (c *column) mark(row int, k vec.Kind) {
	if c.kind == k {
		return
	}
	if c.kind == mixed {
		c.useLane(k)
		c.tag[row] = k
		return
	}
	if row == 0 {
		c.kind = k
		c.lanes = [vec.NumKinds]bool{}
		c.useLane(k)
		return
	}
	c.tag = sized(c.tag, c.max)
	for i := range c.tag[:row] {
		c.tag[i] = c.kind
	}
	c.first, c.kind = c.kind, mixed
	c.useLane(k)
	c.tag[row] = k
}

// close ends the batch after n rows and hands the lanes to v.
func (c *column) close(v *vec.Vec, n int) {
	c.settle(n)
	*v = vec.Vec{N: n, Kind: c.kind,
		Int: c.ints[:0], Float: c.floats[:0], Str: c.strs[:0], Code: c.codes[:0], Rec: c.recs[:0]}
	if c.kind == mixed {
		v.Kind, v.Tag = c.first, c.tag[:n]
	}
	if c.lanes[vec.Bit] {
		v.Int = c.ints[:n]
		zeroOthers(v.Int, v.Tag, vec.KindsOf(vec.Bit, vec.Int, vec.Datetime))
	}
	if c.lanes[vec.Float] {
		v.Float = c.floats[:n]
		zeroOthers(v.Float, v.Tag, vec.KindsOf(vec.Float))
	}
	if c.lanes[vec.String] && c.dict != nil {
		v.Code = c.codes[:n]
		v.Dict = c.dict.out
		zeroOthers(v.Code, v.Tag, vec.KindsOf(vec.String))
	} else if c.lanes[vec.String] {
		v.Str = c.strs[:n]
		zeroOthers(v.Str, v.Tag, vec.KindsOf(vec.String))
	}
	if c.lanes[vec.Record] {
		v.Rec = c.recs[:n]
		zeroOthers(v.Rec, v.Tag, vec.KindsOf(vec.Record, vec.Array))
	}
	c.tag, c.ints, c.floats, c.strs, c.codes, c.recs = nil, nil, nil, nil, nil, nil
	if c.dict != nil && c.dict.useless(n) {
		c.dict = nil
	}
}

// zeroOthers zeroes the rows of lane whose tags are not of the kinds own, as vec.Vec
// demands. Nothing else clears a lane, so rows of the last batch may stand there.
func zeroOthers[T any](lane []T, tag []vec.Kind, own vec.Kinds) {
	var zero T
	for i, k := range tag {
		if !own.Has(k) {
			lane[i] = zero
		}
	}
}

func (c *column) putNull(row int, k vec.Kind) { c.mark(row, k) }

func (c *column) putInt(row int, k vec.Kind, x int64) {
	c.mark(row, k)
	c.ints[row] = x
}

func (c *column) putFloat(row int, x float64) {
	c.mark(row, vec.Float)
	c.floats[row] = x
}

func (c *column) putRec(row int, k vec.Kind, r *vec.Rec) {
	c.mark(row, k)
	c.recs[row] = r
}

// putString writes the text s, which may live in a buffer of the caller's; without a
// dictionary the column keeps the pointer.
func (c *column) putString(row int, s []byte) {
	c.mark(row, vec.String)
	if c.dict != nil {
		if code, ok := c.dict.code(s); ok {
			c.putCode(row, code)
			return
		}
		c.leaveDict(row)
	}
	c.strs[row] = text(s)
}

// putCode writes a text by its code. The column has rows of texts already.
func (c *column) putCode(row int, code uint32) {
	c.codes[row] = code
	if c.later {
		c.spots[row].n = noSpot
	}
}

// settle finds the codes of the texts in the first rows that follow has left open. If
// the dictionary overflows, these rows become plain strings.
func (c *column) settle(rows int) {
	if !c.later || !c.lanes[vec.String] {
		return
	}
	c.later = false
	base := unsafe.Pointer(unsafe.SliceData(c.data))
	for i, sp := range c.spots[:rows] {
		if sp.n == noSpot || c.kind == mixed && c.tag[i] != vec.String {
			continue
		}
		at, n := int(sp.at), int(sp.n)
		lo, hi := load8(base, at), uint64(0)
		if n < 8 {
			lo &= 1<<(8*uint(n)&63) - 1
		} else {
			hi = load8(base, at+n-8)
		}
		if t := c.dict.slot(lo, hi, n); t.lo == lo && t.hi == hi && t.n == uint32(n) && t.code != 0 {
			c.codes[i] = t.code - 1
			continue
		}
		code, ok := c.dict.codeOf(lo, hi, c.data[at:at+n])
		if !ok {
			for j := range c.spots[:i] {
				c.spots[j].n = noSpot
			}
			c.later = true
			c.leaveDict(rows)
			return
		}
		c.codes[i] = code
	}
}

// putScratch is putString for a text in a buffer that changes before the batch is done.
func (c *column) putScratch(row int, s []byte, texts *arena) {
	if c.dict != nil {
		c.putString(row, s)
		if c.dict != nil {
			return
		}
	}
	c.putString(row, bytesOf(texts.keep(s)))
}

// leaveDict turns the rows before row into plain strings: the dictionary is full. Codes
// given out earlier stay good, for the dictionary itself does not change.
func (c *column) leaveDict(row int) {
	c.strs = sized(c.strs, c.max)
	for i := range row {
		if c.kind == mixed && c.tag[i] != vec.String {
			continue
		}
		if c.later && c.spots[i].n != noSpot {
			at := c.spots[i].at
			c.strs[i] = text(c.data[at : at+c.spots[i].n])
			continue
		}
		c.strs[i] = c.dict.out.Vals[c.codes[i]]
	}
	c.dict, c.later = nil, false
}

// putTime writes the datetime of a text, or NULL if there is none in it.
func (c *column) putTime(row int, s []byte) {
	if t, ok := c.clock.parse(s); ok {
		c.putInt(row, vec.Datetime, int64(t))
		return
	}
	c.putNull(row, vec.Null)
}

// put writes a value as the column wants it. Texts in v must stay as long as the batch.
func (c *column) put(row int, v vec.Value) {
	if c.want == vec.AsDatetime {
		switch v.Kind {
		case vec.Missing:
			c.putNull(row, vec.Missing)
		case vec.String:
			c.putTime(row, bytesOf(v.Str))
		case vec.Datetime:
			c.putInt(row, vec.Datetime, v.Int)
		default:
			c.putNull(row, vec.Null)
		}
		return
	}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		c.putInt(row, v.Kind, v.Int)
	case vec.Float:
		c.putFloat(row, v.Float)
	case vec.String:
		c.putString(row, bytesOf(v.Str))
	case vec.Record, vec.Array:
		c.putRec(row, v.Kind, v.Rec)
	default:
		c.putNull(row, v.Kind)
	}
}

// columns are the columns of one decoder.
type columns struct {
	fields []vec.Field
	cols   []column
	ints   bool // bits become bigints
}

func newColumns(fields []vec.Field) columns {
	cs := columns{fields: fields, cols: make([]column, len(fields))}
	for i, f := range fields {
		cs.cols[i] = column{want: f.Want, kind: vec.String, clock: newClock()}
		if f.Meta != "" {
			cs.cols[i].kind = vec.Null // no part of the text: whoever has it fills it in
		} else if f.Want == vec.AsDatetime {
			cs.cols[i].kind = vec.Datetime
		} else if len(f.Path) > 0 && !f.Passed {
			cs.cols[i].dict = newDict()
		}
	}
	return cs
}

// open starts a batch of at most max rows, decoded from data.
func (cs *columns) open(b *vec.Batch, data []byte, max int) {
	b.N, b.Time, b.Seq, b.Arrival = 0, b.Time[:0], nil, nil
	if cap(b.Cols) < len(cs.cols) {
		b.Cols = append(b.Cols[:cap(b.Cols)], make([]vec.Vec, len(cs.cols)-cap(b.Cols))...)
	}
	b.Cols = b.Cols[:len(cs.cols)]
	for i := range cs.cols {
		cs.cols[i].open(&b.Cols[i], max)
		cs.cols[i].data = data
	}
}

// close ends the batch after n rows.
func (cs *columns) close(b *vec.Batch, n int) {
	b.N = n
	for i := range cs.cols {
		cs.cols[i].close(&b.Cols[i], n)
		if cs.ints {
			bitsToInts(&b.Cols[i])
		}
	}
}
