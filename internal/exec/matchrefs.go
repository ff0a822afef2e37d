package exec

import (
	"weir/internal/diag"
	"weir/internal/plan"
	"weir/internal/vec"
)

// matchRefs are the values over the rows matched so far that DEFINE and MEASURES read. A
// thread has no values, only a cell per row that such a value comes from: the first or
// last row of a variable, or the row with the least or greatest value of a column.
//
// The rows that cells point to have numbers: those kept from earlier batches come first,
// those of the batch at hand behind them.
type matchRefs struct {
	cells   []matchCell
	of      []refCell // per plan.MatchRef
	updates [][]int32 // per position: the cells that a row taken there may change

	types []plan.Col // of the input
	in    *vec.Batch
	cols  []int // columns of the input that cells or refs read
	kept  []vec.Vec
	n     int32 // rows kept
	spare []vec.Vec
	arena *vec.Arena // of kept; fresh is for the next sweep
	fresh *vec.Arena
	marks []int32
	sel   []int32
	alive int32 // rows kept after the last sweep
}

// matchCell is a cell of a thread.
type matchCell struct {
	v  int
	of plan.MatchFn
	// Of Min and Max: the column, and whether text in it counts as the number it reads as,
	// as in the aggregates of these names (saql.md 7.6).
	col     int32
	numbers bool
}

// refCell is where a ref finds its row, and the column that it reads.
type refCell struct {
	cell, col int32
	span      diag.Span
}

func newMatchRefs(op *plan.Match, a *automaton, cols []plan.Col) *matchRefs {
	r := &matchRefs{arena: &vec.Arena{}, fresh: &vec.Arena{}, types: cols, updates: make([][]int32, len(a.vars))}
	for _, ref := range op.Refs {
		col := r.column(ref.Col)
		cell := matchCell{v: ref.Var, of: ref.Of, col: -1}
		if ref.Of == plan.MinOf || ref.Of == plan.MaxOf {
			cell.col, cell.numbers = col, cols[ref.Col].Type.NotNull() != vec.KindsOf(vec.String)
		}
		r.of = append(r.of, refCell{cell: r.cell(cell), col: col})
	}
	for pos, v := range a.vars {
		for i, c := range r.cells {
			if c.v == plan.AnyVar || c.v == int(v) {
				r.updates[pos] = append(r.updates[pos], int32(i))
			}
		}
	}
	for _, v := range op.Vars {
		r.place(v.Define)
	}
	for _, e := range op.Measures {
		r.place(e)
	}
	r.kept, r.spare = make([]vec.Vec, len(r.cols)), make([]vec.Vec, len(r.cols))
	return r
}

// place notes where in the query the refs of e stand.
func (r *matchRefs) place(e *plan.Expr) {
	if e == nil {
		return
	}
	if e.Op == plan.OpCol && e.Col < len(r.of) {
		r.of[e.Col].span = e.Span
	}
	for _, a := range e.Args {
		r.place(a)
	}
}

// column gives the place in cols of a column of the input.
func (r *matchRefs) column(col int) int32 {
	for i, c := range r.cols {
		if c == col {
			return int32(i)
		}
	}
	r.cols = append(r.cols, col)
	return int32(len(r.cols) - 1)
}

func (r *matchRefs) cell(c matchCell) int32 {
	for i, other := range r.cells {
		if other == c {
			return int32(i)
		}
	}
	r.cells = append(r.cells, c)
	return int32(len(r.cells) - 1)
}

// update puts a row of the batch at hand, which is taken at position pos, into cells.
func (r *matchRefs) update(cells []int32, pos, row int32) {
	row += r.n
	for _, i := range r.updates[pos] {
		switch c := &r.cells[i]; {
		case c.of == plan.LastOf:
			cells[i] = row
		case c.col >= 0:
			r.extreme(c, &cells[i], row)
		case cells[i] == noRow:
			cells[i] = row
		}
	}
}

// extreme puts a row into a cell of Min or Max if its value wins; of equal ones the first
// stays. NULL does not count. What has no order among the others is a query error, as in
// the aggregates, of whoever reads the value: a cell below noRow says which.
func (r *matchRefs) extreme(c *matchCell, cell *int32, row int32) {
	v := r.at(c.col, row)
	if v.Kind.IsNull() || *cell < noRow {
		return
	}
	x, ok := c.orderable(v)
	switch {
	case !ok:
		*cell = noRow - 1 - int32(v.Kind)
	case *cell == noRow:
		*cell = row
	default:
		have, _ := c.orderable(r.at(c.col, *cell))
		order, ok := vec.Compare(x, have)
		switch {
		case !ok:
			*cell = mixed
		case order < 0 && c.of == plan.MinOf, order > 0 && c.of == plan.MaxOf:
			*cell = row
		}
	}
}

// mixed is a cell of Min or Max that has seen datetimes beside numbers.
const mixed = noRow - 1 - vec.NumKinds

// misfit is the query error of a cell below noRow.
func (c *matchCell) misfit(cell int32) string {
	name := "MIN"
	if c.of == plan.MaxOf {
		name = "MAX"
	}
	switch k := vec.Kind(noRow - 1 - cell); {
	case cell == mixed:
		return "argument 1 of " + name + " mixes datetime with numbers"
	case k == vec.String:
		return "argument 1 of " + name + " has type nvarchar(max); bigint or float wanted"
	default:
		return "argument 1 of " + name + " has type " + k.String() + "; bit, bigint, float, datetime or nvarchar(max) wanted"
	}
}

// orderable is v as Min and Max compare it.
func (c *matchCell) orderable(v vec.Value) (vec.Value, bool) {
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Float, vec.Datetime:
		return v, true
	case vec.String:
		if !c.numbers {
			return v, true
		}
		x, ok := vec.ParseFloat(v.Str)
		return vec.FloatValue(x), ok
	}
	return v, false
}

// find is where column col of a row is.
func (r *matchRefs) find(col, row int32) (*vec.Vec, int) {
	if row < r.n {
		return &r.kept[col], int(row)
	}
	return &r.in.Cols[r.cols[col]], int(row - r.n)
}

// at is column col of a row.
func (r *matchRefs) at(col, row int32) vec.Value {
	v, i := r.find(col, row)
	return v.At(i)
}

// value is a ref over the cells of a thread. Its text may point into the batch at hand. A
// misfit is NULL.
func (r *matchRefs) value(ref int, cells []int32) vec.Value {
	at := &r.of[ref]
	row := cells[at.cell]
	if row < 0 {
		return vec.NullValue()
	}
	v := r.at(at.col, row)
	if c := &r.cells[at.cell]; c.numbers && v.Kind == vec.String {
		v, _ = c.orderable(v)
	}
	return v
}

// gather sets out to a ref over the cells of many threads, whose rows are all kept, and
// tells f of misfits.
func (r *matchRefs) gather(ref int, out *vec.Vec, cells [][]int32, f *frame) {
	at := &r.of[ref]
	r.sel = r.sel[:0]
	for _, c := range cells {
		r.sel = append(r.sel, max(c[at.cell], 0))
	}
	if r.n == 0 { // no thread has a row here
		out.Fixed(vec.Null, len(cells))
	} else {
		out.Gather(&r.kept[at.col], r.sel)
	}
	c := &r.cells[at.cell]
	for i := range cells {
		switch cell := cells[i][at.cell]; {
		case cell < noRow:
			out.SetNull(i)
			f.fail(at.span, i, c.misfit(cell))
		case cell == noRow:
			out.SetNull(i)
		case c.numbers && out.KindAt(i) == vec.String:
			v, _ := c.orderable(out.At(i))
			out.Set(i, v)
		}
	}
}

// mark begins a look for the rows that cells point to, of which from to the newest matter.
func (r *matchRefs) mark(rows int32) {
	r.marks = resizeInts(r.marks, int(rows))
	clear(r.marks)
	r.sel = r.sel[:0]
}

// keep makes the rows of the batch at hand that a thread points to kept ones, and the
// thread point to these. mark comes before it, and then keepMarked.
func (r *matchRefs) keep(cells []int32) {
	for i, row := range cells {
		if row < r.n {
			continue
		}
		m := &r.marks[row-r.n]
		if *m == 0 {
			r.sel = append(r.sel, row-r.n)
			*m = int32(len(r.sel))
		}
		cells[i] = r.n + *m - 1
	}
}

func (r *matchRefs) keepMarked() {
	if len(r.sel) == 0 {
		return
	}
	for c := range r.kept {
		r.kept[c].AppendRows(&r.in.Cols[r.cols[c]], r.sel, r.arena)
	}
	r.n += int32(len(r.sel))
}

// sweep notes the rows that cells point to, and gives these their new numbers. mark comes
// before it, and then sweepMarked.
func (r *matchRefs) sweep(cells []int32) {
	for i, row := range cells {
		if row < 0 {
			continue
		}
		if r.marks[row] == 0 {
			r.sel = append(r.sel, row)
			r.marks[row] = int32(len(r.sel))
		}
		cells[i] = r.marks[row] - 1
	}
}

func (r *matchRefs) sweepMarked() {
	if len(r.sel) == 0 {
		r.clear()
		return
	}
	for c := range r.kept {
		r.spare[c].Reset()
		r.spare[c].AppendRows(&r.kept[c], r.sel, r.fresh)
		r.kept[c], r.spare[c] = r.spare[c], r.kept[c]
		r.spare[c].Reset()
	}
	r.arena, r.fresh = r.fresh, r.arena
	r.fresh.Reset()
	r.n = int32(len(r.sel))
	r.alive = r.n
}

// manyRows is from how many rows on their memory is given back with them.
const manyRows = 1 << 16

// clear forgets all rows.
func (r *matchRefs) clear() {
	if r.n == 0 {
		return
	}
	for c := range r.kept {
		if r.n > manyRows {
			r.kept[c], r.spare[c] = vec.Vec{}, vec.Vec{}
		}
		r.kept[c].Reset()
	}
	r.arena.Reset()
	r.n, r.alive = 0, 0
}
