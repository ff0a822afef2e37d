package exec_test

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"weir/internal/vec"
)

// ordered computes the aggregates that look at an order (saql.md 7.6).
func (a *twinAgg) ordered(rows []twinRow) vec.Value {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(x, y twinRow) int {
		for _, o := range a.order {
			c := twinCompare(o.of(x), o.of(y))
			if o.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if strings.HasPrefix(a.fn, "PERCENTILE") {
		return a.percentile(rows)
	}
	var out []vec.Value
	for i, r := range rows {
		v := r.cols[a.col]
		if v.Kind == vec.Missing {
			v = vec.NullValue()
		}
		switch {
		case a.fn == "TopOne":
			return v
		case a.fn == "CollectTop" && i < a.n:
			v = vec.RecordValue(&vec.Rec{Names: []string{"rank", "value"}, Vals: []vec.Value{vec.IntValue(int64(i + 1)), v}})
			out = append(out, v)
		case a.fn == "Collect":
			out = append(out, v)
		}
	}
	return vec.ArrayValue(&vec.Rec{Vals: out})
}

// of is the key of a row.
func (o twinSort) of(r twinRow) vec.Value {
	v := r.cols[o.col]
	switch {
	case o.col == "t":
		return vec.TimeValue(r.t)
	case v.Kind == vec.Missing || v.Kind == vec.String:
		return vec.NullValue()
	}
	return v
}

// twinCompare orders NULL before numbers, and these by value; or times.
func twinCompare(x, y vec.Value) int {
	switch {
	case x.Kind.IsNull() || y.Kind.IsNull():
		return cmp.Compare(min(x.Kind, vec.Bit), min(y.Kind, vec.Bit))
	case x.Kind == vec.Datetime:
		return cmp.Compare(x.Int, y.Int)
	}
	return twinNumber(x).Cmp(twinNumber(y))
}

// percentile computes PERCENTILE_CONT and PERCENTILE_DISC over sorted rows.
func (a *twinAgg) percentile(rows []twinRow) vec.Value {
	var vals []vec.Value
	for _, r := range rows {
		if v := a.order[0].of(r); v.Kind != vec.Null {
			vals = append(vals, v)
		}
	}
	n := len(vals)
	if n == 0 {
		return vec.NullValue()
	}
	share, _ := new(big.Rat).SetString(a.share)
	if a.fn == "PERCENTILE_DISC" {
		for k := range vals {
			if big.NewRat(int64(k+1), int64(n)).Cmp(share) >= 0 {
				x := vals[k]
				return twinBest(slices.DeleteFunc(vals, func(v vec.Value) bool { return twinCompare(v, x) != 0 }), 1)
			}
		}
	}
	at := share.Mul(share, big.NewRat(int64(n-1), 1))
	k := int(new(big.Int).Quo(at.Num(), at.Denom()).Int64())
	x, _ := twinNumber(vals[k]).Float64()
	part, _ := at.Sub(at, big.NewRat(int64(k), 1)).Float64()
	if part == 0 {
		return vec.FloatValue(x)
	}
	y, _ := twinNumber(vals[k+1]).Float64()
	return vec.FloatValue(x + part*(y-x))
}
