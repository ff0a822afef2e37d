package twin

import (
	"sort"
	"strconv"
	"strings"

	"weir/internal/saql"
)

// selectBlock evaluates a query block.
func (r *run) selectBlock(q *saql.Select) *relation {
	b := r.from(q.From)
	out := &relation{reference: b.reference()}
	b.head(q.Items, out)
	calls := historyCalls(q)
	b.look(calls)
	var passed []int
	for at := range b.tuples {
		if q.Where == nil || b.row(at).truth(q.Where) == yes {
			passed = append(passed, at)
		}
	}
	if q.GroupBy != nil {
		b.grouped(q, passed, out)
		return out
	}
	out.loose = b.loose && calls == nil
	for _, at := range passed {
		x := b.row(at)
		if q.Having == nil || x.truth(q.Having) == yes {
			out.rows = append(out.rows, &row{t: x.tuple.t, fields: x.project(q.Items)})
		}
	}
	return out
}

// reference tells if the block reads reference data only.
func (b *block) reference() bool {
	for _, s := range b.sources {
		if !s.relation.reference && !s.applied {
			return false
		}
	}
	return true
}

// entry is a window of GROUP BY: nil is the snapshot.
type entry struct {
	window *saql.WindowSpec
	id     Value
}

// windowsOf takes the windows and the keys from GROUP BY. System.Timestamp() is the
// window if there is no other, else a key (saql.md 2.5).
func windowsOf(items []saql.GroupItem) (list []entry, keys []saql.Expr) {
	var snapshots []saql.Expr
	for _, g := range items {
		switch {
		case g.Window != nil:
			list = append(list, entry{window: g.Window})
		case g.Windows != nil:
			for _, e := range g.Windows.Entries {
				id := null
				if e.ID != nil {
					id = textValue(e.ID.Str)
				}
				list = append(list, entry{e.Window, id})
			}
		case g.Snapshot != nil:
			snapshots = append(snapshots, g.Snapshot)
		default:
			keys = append(keys, g.Key)
		}
	}
	if list == nil {
		return []entry{{}}, keys
	}
	return list, append(keys, snapshots...)
}

// grouped forms the windows and groups of a block, in the order of saql.md 5.1: T, then
// the windows as written, then the first row.
func (b *block) grouped(q *saql.Select, passed []int, out *relation) {
	list, keys := windowsOf(q.GroupBy)
	type result struct {
		*group
		window int
	}
	var results []result
	for n, e := range list {
		for _, g := range b.groups(e, keys, passed) {
			results = append(results, result{g, n})
		}
	}
	sort.SliceStable(results, func(i, j int) bool {
		x, y := results[i], results[j]
		if x.end != y.end {
			return x.end < y.end
		}
		if x.window != y.window {
			return x.window < y.window
		}
		return x.first < y.first
	})
	var same []made
	flush := func() {
		for _, m := range refine(q, same) {
			out.rows = append(out.rows, m.row)
		}
		same = nil
	}
	for i, g := range results {
		if i > 0 && results[i-1].end != g.end {
			flush()
		}
		x := &env{block: b, at: -1, group: g.group}
		x.aggregateAll(q.Items)
		if q.Having != nil {
			x.aliases = x.named(q.Items)
			if x.truth(q.Having) != yes {
				continue
			}
			x.aliases = nil
		}
		m := made{row: &row{t: g.end, fields: x.project(q.Items)}}
		if q.OrderBy != nil {
			x.aliases = x.named(q.Items)
			for _, k := range q.OrderBy {
				m.order = append(m.order, x.value(k.Expr))
			}
		}
		same = append(same, m)
	}
	flush()
}

// aggregateAll evaluates the aggregates of a select list: they fail on the rows that feed
// them, whatever HAVING says of the group.
func (x *env) aggregateAll(items []saql.SelectItem) {
	for _, item := range items {
		saql.Walk(item.Expr, func(e saql.Expr) bool {
			if _, key := x.group.key(x.block, e); key {
				return false
			}
			c, ok := e.(*saql.Call)
			ok = ok && aggregates[strings.ToUpper(c.Name.Text)] && (c.Over == nil || c.Over.Limit == nil)
			if ok {
				x.value(c)
			}
			return !ok
		})
	}
}

// groups are the groups of a window. Each group has its own sliding windows.
func (b *block) groups(e entry, by []saql.Expr, rows []int) []*group {
	var out []*group
	add := func(f frame, rows []int) {
		out = append(out, &group{end: f.end, id: e.id, keys: by, vals: b.row(rows[0]).all(by), rows: rows, first: rows[0]})
	}
	if e.window != nil && e.window.Kind == saql.Sliding {
		for _, part := range b.partitions(rows, by) {
			for _, f := range b.frames(e.window, part) {
				add(f, f.rows)
			}
		}
		return out
	}
	for _, f := range b.frames(e.window, rows) {
		for _, part := range b.partitions(f.rows, by) {
			add(f, part)
		}
	}
	return out
}

// named has the select list by its aliases, as HAVING and ORDER BY see it.
func (x *env) named(items []saql.SelectItem) map[string]Value {
	out := map[string]Value{}
	for _, item := range items {
		if item.Alias != nil {
			out[item.Alias.Text] = x.value(item.Expr)
		}
	}
	return out
}

// made is a finished row with its keys of ORDER BY.
type made struct {
	row   *row
	order []Value
}

// refine is DISTINCT, ORDER BY and TOP over the rows of a window end (saql.md 5.10).
func refine(q *saql.Select, rows []made) []made {
	if q.Distinct {
		seen := map[string]bool{}
		var left []made
		for _, m := range rows {
			if k := recordValue(m.row.fields).key(); !seen[k] {
				seen[k] = true
				left = append(left, m)
			}
		}
		rows = left
	}
	sort.SliceStable(rows, func(i, j int) bool { return before(q.OrderBy, rows[i].order, rows[j].order) })
	if q.Top != nil {
		rows = rows[:min(q.Top.Count, int64(len(rows)))]
	}
	return rows
}

// project makes the columns of a row. A name from a * that is there already, and a name
// that a * gave already, are left out (saql.md 6.9).
func (x *env) project(items []saql.SelectItem) []Field {
	var out []Field
	var taken []string
	add := func(name string, v Value) {
		for _, f := range out {
			if f.Name == name {
				return
			}
		}
		out = append(out, Field{name, v})
	}
	for i, item := range items {
		if !item.Star {
			name := columnName(item, i, taken)
			taken = append(taken, name)
			add(name, x.value(item.Expr))
			continue
		}
		for _, f := range x.star(item) {
			add(f.Name, f.Value)
		}
	}
	return out
}

// star is what * or path.* stands for.
func (x *env) star(item saql.SelectItem) []Field {
	if len(item.StarOf) == 0 {
		var out []Field
		for i, s := range x.block.sources {
			if s.applied {
				out = append(out, Field{s.alias, x.whole(i)})
			} else {
				out = append(out, x.fieldsOf(i)...)
			}
		}
		return out
	}
	if len(item.StarOf) == 1 {
		if i := x.block.alias(item.StarOf[0].Text); i >= 0 {
			return x.fieldsOf(i)
		}
	}
	v := x.path(item.StarOf)
	if v.isNull() {
		return nil
	}
	return wants(Record, v).Fields
}

// fieldsOf are the columns of a source; NULLs where a join found no row.
func (x *env) fieldsOf(part int) []Field {
	if p := x.tuple.parts[part]; p != nil && !p.missing {
		return p.fields
	}
	var out []Field
	for _, c := range x.block.sources[part].columns {
		out = append(out, Field{c.name, null})
	}
	return out
}

// head gives a relation the columns of a select list; they are open where a * is over
// open columns.
func (b *block) head(items []saql.SelectItem, out *relation) {
	var taken []string
	for i, item := range items {
		if item.Star {
			b.starHead(item, out)
			continue
		}
		name := columnName(item, i, taken)
		taken = append(taken, name)
		out.add(column{name, b.static(item.Expr)})
	}
	if out.open {
		out.columns = nil
	}
}

func (b *block) starHead(item saql.SelectItem, out *relation) {
	only := -1
	if len(item.StarOf) > 0 {
		only = b.alias(item.StarOf[0].Text)
		out.open = out.open || only < 0 || len(item.StarOf) > 1
	}
	for i, s := range b.sources {
		switch {
		case only >= 0 && only != i:
		case s.applied && only < 0:
			out.add(column{s.alias, anyKind})
		case s.open:
			out.open = true
		default:
			for _, c := range s.columns {
				out.add(c)
			}
		}
	}
}

// add gives a relation a column, unless one of just this name is there: leftmost wins.
func (r *relation) add(c column) {
	for _, old := range r.columns {
		if old.name == c.name {
			return
		}
	}
	r.columns = append(r.columns, c)
}

// columnName is the alias, the last segment of a path, the name of a function, or
// columnN (saql.md 6.9).
func columnName(item saql.SelectItem, i int, taken []string) string {
	if item.Alias != nil {
		return item.Alias.Text
	}
	base := ""
	switch e := innermost(item.Expr).(type) {
	case *saql.Path:
		return e.Names[len(e.Names)-1].Text
	case *saql.FieldExpr:
		return e.Name.Text
	case *saql.Call:
		base = strings.ToLower(e.Name.Text)
	default:
		base = "column" + strconv.Itoa(i+1)
	}
	name := base
	for n := 2; contains(taken, name); n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	return name
}

// innermost looks through parentheses and casts.
func innermost(e saql.Expr) saql.Expr {
	for {
		switch x := e.(type) {
		case *saql.Paren:
			e = x.X
		case *saql.Cast:
			if _, ok := saql.Unparen(x.X).(*saql.Path); !ok {
				return e
			}
			e = x.X
		default:
			return e
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
