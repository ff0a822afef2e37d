package exec

import "weir/internal/vec"

// A value of an earlier row is found by a reference: a row of the batch at hand if it is
// not negative, noRef, or the cell that keeps it.
const noRef int32 = -1

func cellRef(cell int32) int32 { return -2 - cell }

// cellColumn keeps a value per cell. Cells are written in place. Dictionary codes stay
// codes while all texts have one dictionary.
type cellColumn struct {
	v     vec.Vec // one row per cell; while blank it says nothing
	blank bool
	n     int // cells
	arena *vec.Arena
	full  int // bytes of the arena at which the texts in use are copied to a new one
}

// arenaRoom is how many bytes of texts that are no longer in use are always fine.
const arenaRoom = 256 << 10

func newCellColumn() *cellColumn {
	return &cellColumn{blank: true, arena: &vec.Arena{}, full: arenaRoom}
}

// grow makes room for n cells.
func (c *cellColumn) grow(n int) {
	if n <= c.n {
		return
	}
	c.n = n
	if c.blank {
		return
	}
	v := &c.v
	v.N = n
	if v.Tag == nil {
		v.Lane(v.Kind)
		return
	}
	for len(v.Tag) < n {
		v.Tag = append(v.Tag, vec.Null)
	}
	for _, k := range []vec.Kind{vec.Int, vec.Float, vec.String, vec.Record} {
		if c.has(k) {
			v.Lane(k)
		}
	}
}

// has reports whether the lane of kind k is in use.
func (c *cellColumn) has(k vec.Kind) bool { return hasLane(&c.v, k) }

func hasLane(v *vec.Vec, k vec.Kind) bool {
	switch k {
	case vec.Int:
		return len(v.Int) > 0
	case vec.Float:
		return len(v.Float) > 0
	case vec.String:
		return len(v.Str) > 0 || len(v.Code) > 0
	}
	return len(v.Rec) > 0
}

// store sets cells[i] to row rows[i] of src.
func (c *cellColumn) store(cells, rows []int32, src *vec.Vec) {
	if len(cells) == 0 {
		return
	}
	v := &c.v
	if c.blank {
		c.blank = false
		v.Fixed(src.Kind, c.n)
		if src.Tag != nil {
			v.Tagged(c.n)
		} else if src.Dict != nil {
			v.Dict, v.Str = src.Dict, v.Str[:0]
			v.Lane(vec.String)
		}
	}
	if v.Tag != nil || src.Tag != nil || v.Kind != src.Kind {
		v.Untype()
		for i, cell := range cells {
			c.set(cell, src, rows[i])
		}
		return
	}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		storeLane(v.Int, cells, src.Int, rows)
	case vec.Float:
		storeLane(v.Float, cells, src.Float, rows)
	case vec.Record, vec.Array:
		storeLane(v.Rec, cells, src.Rec, rows)
	case vec.String:
		c.storeTexts(cells, rows, src)
	}
}

func storeLane[T any](dst []T, cells []int32, src []T, rows []int32) {
	for i, cell := range cells {
		dst[cell] = src[rows[i]]
	}
}

// storeTexts is store for a column of texts only.
func (c *cellColumn) storeTexts(cells, rows []int32, src *vec.Vec) {
	v := &c.v
	c.matchDict(src)
	switch {
	case v.Dict != nil:
		storeLane(v.Code, cells, src.Code, rows)
	case src.Dict != nil: // the dictionary owns its texts
		for i, cell := range cells {
			v.Str[cell] = src.Dict.Vals[src.Code[rows[i]]]
		}
	default:
		for i, cell := range cells {
			v.Str[cell] = c.arena.String(src.Str[rows[i]])
		}
		c.tidy()
	}
}

// matchDict makes the texts that are kept take the form that those of src can join.
func (c *cellColumn) matchDict(src *vec.Vec) {
	v := &c.v
	if v.Dict == src.Dict {
		return
	}
	if !c.has(vec.String) {
		v.Dict = src.Dict
		return
	}
	if v.Dict == nil {
		return
	}
	d := v.Dict
	v.Dict = nil
	v.Lane(vec.String)
	for i := range v.Str {
		if v.KindAt(i) == vec.String {
			v.Str[i] = d.Vals[v.Code[i]]
		}
	}
	v.Code = v.Code[:0]
}

// set sets a cell to row r of src; v has tags.
func (c *cellColumn) set(cell int32, src *vec.Vec, r int32) {
	v := &c.v
	k := src.KindAt(int(r))
	if k == vec.Missing {
		k = vec.Null
	}
	if v.Tag[cell] != k {
		v.SetNull(int(cell))
		v.Tag[cell] = k
	}
	switch k {
	case vec.Bit, vec.Int, vec.Datetime:
		v.Lane(k)
		v.Int[cell] = src.Int[r]
	case vec.Float:
		v.Lane(k)
		v.Float[cell] = src.Float[r]
	case vec.Record, vec.Array:
		v.Lane(k)
		v.Rec[cell] = src.Rec[r]
	case vec.String:
		v.Tag[cell] = vec.Null // it has no text yet, whatever the dictionary
		c.matchDict(src)
		v.Lane(k)
		v.Tag[cell] = k
		switch {
		case v.Dict != nil:
			v.Code[cell] = src.Code[r]
		case src.Dict != nil:
			v.Str[cell] = src.StrAt(int(r))
		default:
			v.Str[cell] = c.arena.String(src.Str[r])
			c.tidy()
		}
	}
}

// move copies a cell.
func (c *cellColumn) move(dst, src int32) {
	if c.blank {
		return
	}
	if v := &c.v; v.Tag == nil {
		switch v.Kind {
		case vec.Bit, vec.Int, vec.Datetime:
			v.Int[dst] = v.Int[src]
		case vec.Float:
			v.Float[dst] = v.Float[src]
		case vec.Record, vec.Array:
			v.Rec[dst] = v.Rec[src]
		case vec.String:
			if v.Dict != nil {
				v.Code[dst] = v.Code[src]
			} else {
				v.Str[dst] = v.Str[src]
			}
		}
		return
	}
	c.set(dst, &c.v, src)
}

// tidy copies the texts in use to a new arena when most of the old one is not in use.
func (c *cellColumn) tidy() {
	if c.arena.Bytes() < c.full {
		return
	}
	arena := &vec.Arena{}
	for i, s := range c.v.Str {
		c.v.Str[i] = arena.String(s)
	}
	c.arena = arena
	c.full = 4*arena.Bytes() + arenaRoom
}

// gather sets out to the values that refs refer to: rows of src, or cells. noRef gives the
// row of def, or NULL if def is nil. none tells whether there is any.
func (c *cellColumn) gather(out, src *vec.Vec, refs []int32, none bool, def *vec.Vec) {
	v := &c.v
	if c.blank {
		v = src // no reference leads to a cell
	}
	uniform := v.Tag == nil && src.Tag == nil && v.Kind == src.Kind && !src.Kind.IsNull() && (!none || def != nil)
	if uniform {
		out.Fixed(src.Kind, len(refs))
	} else {
		out.Tagged(len(refs))
		for i, r := range refs {
			k := vec.Null
			switch {
			case r >= 0:
				k = src.KindAt(int(r))
			case r != noRef:
				k = v.KindAt(int(cellRef(r)))
			}
			if k == vec.Missing {
				k = vec.Null
			}
			out.Tag[i] = k
		}
	}
	if hasLane(v, vec.Int) || hasLane(src, vec.Int) {
		out.Lane(vec.Int)
		gatherRefs(out.Int, src.Int, v.Int, refs)
	}
	if hasLane(v, vec.Float) || hasLane(src, vec.Float) {
		out.Lane(vec.Float)
		gatherRefs(out.Float, src.Float, v.Float, refs)
	}
	if hasLane(v, vec.Record) || hasLane(src, vec.Record) {
		out.Lane(vec.Record)
		gatherRefs(out.Rec, src.Rec, v.Rec, refs)
	}
	gatherTexts(out, src, v, refs)
	if def != nil && none {
		for i, r := range refs {
			if r == noRef {
				setRow(out, i, def, i)
			}
		}
	}
}

// setRow makes row i of out row j of src, absent as NULL.
func setRow(out *vec.Vec, i int, src *vec.Vec, j int) {
	x := src.At(j)
	if x.Kind == vec.Missing {
		x.Kind = vec.Null
	}
	out.Set(i, x)
}

// gatherRefs sets out to what refs refer to. A lane that is not in use holds zeros.
func gatherRefs[T any](out, rows, cells []T, refs []int32) {
	if len(rows) > 0 && len(cells) > 0 {
		for i, r := range refs {
			if r >= 0 {
				out[i] = rows[r]
			} else if r != noRef {
				out[i] = cells[-2-r]
			}
		}
		return
	}
	for i, r := range refs {
		if r >= 0 && len(rows) > 0 {
			out[i] = rows[r]
		} else if r < noRef && len(cells) > 0 {
			out[i] = cells[-2-r]
		}
	}
}

// gatherTexts does the same for texts, which may be in dictionaries.
func gatherTexts(out, src, v *vec.Vec, refs []int32) {
	inRows, inCells := hasLane(src, vec.String), hasLane(v, vec.String)
	switch {
	case !inRows && !inCells:
	case v.Dict == src.Dict || !inRows || !inCells:
		d := src.Dict
		if !inRows {
			d = v.Dict
		}
		if d == nil {
			out.Lane(vec.String)
			gatherRefs(out.Str, src.Str, v.Str, refs)
			return
		}
		out.Dict, out.Str = d, out.Str[:0]
		out.Lane(vec.String)
		gatherRefs(out.Code, src.Code, v.Code, refs)
	default:
		out.Lane(vec.String)
		for i, r := range refs {
			switch {
			case out.KindAt(i) != vec.String:
			case r >= 0:
				out.Str[i] = src.StrAt(int(r))
			case r != noRef:
				out.Str[i] = v.StrAt(int(cellRef(r)))
			}
		}
	}
}
