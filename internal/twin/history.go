package twin

import (
	"strings"

	"weir/internal/saql"
)

// historyCalls are the analytic functions of a block, wherever they stand.
func historyCalls(q *saql.Select) []*saql.Call {
	var calls []*saql.Call
	look := func(e saql.Expr) {
		saql.Walk(e, func(e saql.Expr) bool {
			c, ok := e.(*saql.Call)
			ok = ok && (c.Over != nil && c.Over.Limit != nil || strings.EqualFold(c.Name.Text, "ISFIRST"))
			if ok {
				calls = append(calls, c)
			}
			return !ok
		})
	}
	for _, item := range q.Items {
		look(item.Expr)
	}
	for _, g := range q.GroupBy {
		look(g.Key)
	}
	look(q.Where)
	look(q.Having)
	return calls
}

// look evaluates the analytic functions of a block on all rows: they come before WHERE, and
// a value that fails does so on its own row, whoever looks back at it (saql.md 8.1).
func (b *block) look(calls []*saql.Call) {
	for at := range b.tuples {
		for _, c := range calls {
			x := b.row(at)
			x.value(c)
			if len(c.Args) > 0 && !strings.EqualFold(c.Name.Text, "ISFIRST") && passes(x, c.Over) {
				x.value(c.Args[0])
			}
		}
	}
}

// history is an analytic function on the row at hand: it looks back over the rows of the
// block, before WHERE (saql.md 8).
func (x *env) history(name string, c *saql.Call) Value {
	if x.sides != nil {
		x = x.ofSide(c)
	}
	if x.at < 0 || x.group != nil {
		panic("twin: " + name + " without a row")
	}
	if name == "ISFIRST" {
		return x.isFirst(c)
	}
	switch name {
	case "LAG":
		back := 1
		if len(c.Args) > 1 {
			back = int(x.value(c.Args[1]).Int)
		}
		return x.earlier(c, x.visible(c.Over, x.at-1), back, 2)
	case "LAST":
		return x.earlier(c, x.visible(c.Over, x.at), 1, 1)
	}
	if !aggregates[name] {
		unknownPart("the function %s", name)
	}
	return x.block.over(name, c, x.visible(c.Over, x.at))
}

// earlier is the value on the row that is back rows from the end of rows, or the default,
// which stands at an argument.
func (x *env) earlier(c *saql.Call, rows []int, back, defaultAt int) Value {
	if len(rows) >= back {
		row := x.block.row(rows[len(rows)-back])
		if c.Star {
			return row.record()
		}
		return row.value(c.Args[0])
	}
	if len(c.Args) <= defaultAt {
		return null
	}
	v := x.value(c.Args[defaultAt])
	if x.block.static(c.Args[defaultAt]) == Int && v.Kind == Int && x.block.static(c.Args[0]) == Float { // the type is that of the value
		return floatValue(float64(v.Int))
	}
	return v
}

// visible are the rows up to upto that the row sees: of its keys, younger than the
// duration, passing WHEN.
func (x *env) visible(o *saql.Over, upto int) []int {
	length := unitTicks(o.Limit.Unit.Text) * x.value(o.Limit.Value).Int
	var rows []int
	for i := 0; i <= upto; i++ {
		row := x.block.row(i)
		if row.tuple.t > x.tuple.t-length && x.sameKeys(row, o) && passes(row, o) {
			rows = append(rows, i)
		}
	}
	return rows
}

// sameKeys compares the keys of PARTITION BY of the function and of the block.
func (x *env) sameKeys(row *env, o *saql.Over) bool {
	by := x.block.partition
	if o != nil {
		by = append(append([]saql.Expr(nil), by...), o.PartitionBy...)
	}
	return keys(x.all(by)) == keys(row.all(by))
}

func passes(row *env, o *saql.Over) bool {
	return o == nil || o.When == nil || row.truth(o.When) == yes
}

func (x *env) all(list []saql.Expr) []Value {
	var out []Value
	for _, e := range list {
		out = append(out, x.value(e))
	}
	return out
}

// isFirst tells if the row is the first of its keys in its interval of a tumbling window.
func (x *env) isFirst(c *saql.Call) Value {
	size := unitTicks(c.Args[0].(*saql.Path).Names[0].Text) * x.value(c.Args[1]).Int
	if !passes(x, c.Over) {
		return intValue(0)
	}
	for i := range x.at {
		row := x.block.row(i)
		if ceilDiv(row.tuple.t, size) == ceilDiv(x.tuple.t, size) && x.sameKeys(row, c.Over) && passes(row, c.Over) {
			return intValue(0)
		}
	}
	return intValue(1)
}
