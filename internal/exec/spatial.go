package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/geo"
	"weir/internal/plan"
	"weir/internal/vec"
)

// spatialIndex finds rows of reference data by their geographies: those whose boxes meet that
// of the geography of a row (saql.md 12.2). Whether the geographies themselves do is for the
// predicate to say.
type spatialIndex struct {
	left  fn.Types // kinds that the predicate takes, of either side
	index *geo.Index
	rows  int
	// odd are the rows whose values are of the wrong kind, in order. They are always found,
	// so that the predicate reports them as it does without an index.
	odd    []int32
	reader geo.Reader
	counts *Counts
}

// newFinder makes an index of the geographies in a column of reference data. It counts the
// malformed ones, on either side, for the predicate never sees these.
func newFinder(g *Graph, s *plan.Spatial, col *vec.Vec) finder {
	first, second := s.Fn.Params[0].Types, s.Fn.Params[1].Types
	if !s.Inner {
		first, second = second, first
	}
	x := &spatialIndex{left: first, rows: col.N, counts: &g.Counts}
	gs := make([]*geo.Geography, col.N)
	for i := range gs {
		switch k := col.KindAt(i); {
		case k.IsNull():
		case second.Has(k):
			if gs[i] = x.reader.Keep(col.At(i)); gs[i] == nil {
				x.counts.Notes[fn.MalformedGeography]++
			}
		default:
			x.odd = append(x.odd, int32(i))
		}
	}
	x.index = geo.NewIndex(gs)
	return x
}

func (x *spatialIndex) find(v *vec.Vec, i int, rows []int32) []int32 {
	k := v.KindAt(i)
	if !k.IsNull() && !x.left.Has(k) { // an error for the predicate to report
		for r := range x.rows {
			rows = append(rows, int32(r))
		}
		return rows
	}
	n := len(rows)
	if !k.IsNull() {
		if g := x.reader.Read(v.At(i)); g != nil {
			rows = x.index.Search(rows, g)
		} else {
			x.counts.Notes[fn.MalformedGeography]++
		}
	}
	if len(x.odd) > 0 {
		rows = append(rows, x.odd...)
		slices.Sort(rows[n:])
	}
	return rows
}
