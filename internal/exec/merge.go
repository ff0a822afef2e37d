package exec

import "weir/internal/vec"

// columnMerge gathers columns from several runs. It keeps the memory that this takes.
type columnMerge struct {
	ints   [][]int64
	floats [][]float64
	strs   [][]string
	codes  [][]uint32
	recs   [][]*vec.Rec
}

// column sets out to column c of the rows.
func (m *columnMerge) column(out *vec.Vec, c int, runs []*run, rows []dueRow) {
	first := &runs[rows[0].run].b.Cols[c]
	same, oneDict := true, true
	dict := (*vec.Dict)(nil)
	hasText := false
	for _, r := range runs {
		v := &r.b.Cols[c]
		same = same && v.Tag == nil && first.Tag == nil && v.Kind == first.Kind
		if len(v.Str) > 0 || len(v.Code) > 0 {
			oneDict = oneDict && (!hasText || v.Dict == dict)
			dict, hasText = v.Dict, true
		}
	}
	if !oneDict {
		dict = nil
	}
	if same {
		out.Fixed(first.Kind, len(rows))
	} else {
		out.Tagged(len(rows))
		for i, r := range rows {
			out.Tag[i] = runs[r.run].b.Cols[c].KindAt(int(r.row))
		}
	}
	m.lanes(out, c, runs, rows)
	switch {
	case !hasText || same && first.Kind != vec.String:
	case dict != nil:
		out.Str, out.Dict = out.Str[:0], dict
		out.Lane(vec.String)
		m.codes = gatherRuns(out.Code, m.codes, runs, rows, func(r *run) []uint32 { return r.b.Cols[c].Code })
	case oneDict:
		out.Lane(vec.String)
		m.strs = gatherRuns(out.Str, m.strs, runs, rows, func(r *run) []string { return r.b.Cols[c].Str })
	default:
		out.Lane(vec.String)
		for i, r := range rows {
			if v := &runs[r.run].b.Cols[c]; v.KindAt(int(r.row)) == vec.String {
				out.Str[i] = v.StrAt(int(r.row))
			}
		}
	}
}

// lanes fills the lanes of out that are not text.
func (m *columnMerge) lanes(out *vec.Vec, c int, runs []*run, rows []dueRow) {
	var ints, floats, recs bool
	for _, r := range runs {
		v := &r.b.Cols[c]
		ints, floats, recs = ints || len(v.Int) > 0, floats || len(v.Float) > 0, recs || len(v.Rec) > 0
	}
	if ints {
		out.Lane(vec.Int)
		m.ints = gatherRuns(out.Int, m.ints, runs, rows, func(r *run) []int64 { return r.b.Cols[c].Int })
	}
	if floats {
		out.Lane(vec.Float)
		m.floats = gatherRuns(out.Float, m.floats, runs, rows, func(r *run) []float64 { return r.b.Cols[c].Float })
	}
	if recs {
		out.Lane(vec.Record)
		m.recs = gatherRuns(out.Rec, m.recs, runs, rows, func(r *run) []*vec.Rec { return r.b.Cols[c].Rec })
	}
}

// gatherRuns sets dst to a lane of the rows. A run without the lane has zeros there.
func gatherRuns[T any](dst []T, lanes [][]T, runs []*run, rows []dueRow, lane func(*run) []T) [][]T {
	lanes = lanes[:0]
	all := true
	for _, r := range runs {
		l := lane(r)
		all = all && len(l) > 0
		lanes = append(lanes, l)
	}
	dst = dst[:len(rows)]
	if all {
		for i, r := range rows {
			dst[i] = lanes[r.run][r.row]
		}
		return lanes
	}
	for i, r := range rows {
		if l := lanes[r.run]; len(l) > 0 {
			dst[i] = l[r.row]
		}
	}
	return lanes
}
