package plan

import (
	"strconv"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// selectList compiles the items of the SELECT and names the columns (saql.md 6.9).
func (b *block) selectList() {
	type unnamed struct {
		it   *item
		name string
	}
	var generated []unnamed
	for i := range b.sel.Items {
		si := &b.sel.Items[i]
		if si.Star {
			b.star(si)
			continue
		}
		x := b.exprs(inSelect)
		it := &item{expr: x.value(si.Expr), span: si.Expr.Pos(), col: -1}
		given := true
		switch name, ok := columnNameOf(si.Expr); {
		case si.Alias != nil:
			it.name, it.span = b.c.columnName(si.Alias.Text), si.Alias.Span
			if call, ok := bare(si.Expr).(*saql.Call); ok && b.c.env.Level != Level12 && sameName(call.Name.Text, "GetMetadataPropertyValue") {
				it.name = strings.ToLower(it.name) // saql.md 7.9
			}
		case ok:
			it.name = b.c.columnName(name)
		default:
			given = false
			name = defaultName(si.Expr)
			if name == "" {
				name = "column" + strconv.Itoa(i+1)
			}
			generated = append(generated, unnamed{it, name})
		}
		if given && !b.takeName(it) {
			continue
		}
		b.items = append(b.items, it)
	}
	for _, g := range generated {
		g.it.name = b.freeName(g.name)
	}
}

// takeName reports whether the column may stand: two named columns with one name are an
// error, and a column whose name a `*` to its left has given is left out.
func (b *block) takeName(it *item) bool {
	for _, other := range b.items {
		switch {
		case other.splice || other.name == "":
		case other.star && other.name == it.name:
			b.c.warn(diag.W4001, it.span, quote(it.name)+" after * is hidden by the field of the same name", "list it before *")
			return false
		case !other.star && sameName(other.name, it.name):
			d := b.c.fail(diag.SA4015, it.span, "two columns are named "+quote(it.name), "alias one of them")
			d.Related = []diag.Label{{Span: other.span, Text: "the first one"}}
			return false
		}
	}
	return true
}

// freeName is the name, with a number behind it if it is taken.
func (b *block) freeName(name string) string {
	taken := func(n string) bool {
		for _, it := range b.items {
			if !it.splice && sameName(it.name, n) {
				return true
			}
		}
		return false
	}
	free := name
	for i := 2; taken(free); i++ {
		free = name + "_" + strconv.Itoa(i)
	}
	return free
}

// columnNameOf is the name of the column or path that e is, looking through CAST.
func columnNameOf(e saql.Expr) (string, bool) {
	switch e := e.(type) {
	case *saql.Path:
		n := e.Names[len(e.Names)-1]
		return n.Text, len(e.Names) > 1 || n.Quote != '"' || strings.HasPrefix(n.Text, "[")
	case *saql.FieldExpr:
		return e.Name.Text, true
	case *saql.Cast:
		return columnNameOf(e.X)
	case *saql.Paren:
		return columnNameOf(e.X)
	}
	return "", false
}

// defaultName is the name of a column that is a function call, or "".
func defaultName(e saql.Expr) string {
	switch e := e.(type) {
	case *saql.Call:
		return strings.ToLower(e.Name.Text)
	case *saql.Cast:
		return defaultName(e.X)
	case *saql.Paren:
		return defaultName(e.X)
	}
	return ""
}

// star expands `*`, `alias.*` and `path.*`.
func (b *block) star(si *saql.SelectItem) {
	c := b.c
	switch {
	case len(b.sel.GroupBy) > 0:
		c.fail(diag.SA4011, si.Span, "SELECT * cannot be combined with GROUP BY", "list the keys and aggregates")
	case len(si.StarOf) == 0 && b.joined:
		var all []string
		for _, s := range b.sources {
			all = append(all, saql.Quote(s.name)+".*")
		}
		list := strings.Join(all, ", ")
		c.fail(diag.SA4014, si.Span, "SELECT * is not allowed with JOIN", list).Fix = []diag.Edit{{Span: si.Span, Text: list}}
	case len(si.StarOf) == 0:
		for _, s := range b.sources {
			if s.kind == fromApply {
				b.starElement(s, si.Span)
			} else {
				b.starSource(s, si.Span)
			}
		}
	default:
		if s := b.sourceNamed(si.StarOf[0].Text); s != nil {
			if len(si.StarOf) == 1 {
				b.starSource(s, si.Span)
				return
			}
		}
		at := si.StarOf[0].Span.To(si.StarOf[len(si.StarOf)-1].Span)
		e := b.exprs(inSelect).value(&saql.Path{Span: at, Names: si.StarOf})
		if t := e.Type.NotNull(); t != 0 && !t.Has(vec.Record) {
			c.fail(diag.SA3009, at, "argument 1 of .* is "+typeText(t)+"; record wanted", "")
			return
		}
		if t := e.Type.NotNull(); !t.Within(vec.KindsOf(vec.Record)) { // else a query error of the row
			e = &Expr{Op: OpCast, To: vec.Record, Args: []*Expr{e}, Type: vec.KindsOf(vec.Record) | vec.NullKind, Span: at}
		}
		b.items = append(b.items, &item{splice: true, expr: e, star: true, span: si.Span, col: -1})
	}
}

// starSource adds the columns of a source that no item to the left has named.
func (b *block) starSource(s *source, at diag.Span) {
	sch := s.rel.schema()
	if sch.open {
		b.items = append(b.items, &item{splice: true, src: s, star: true, span: at, col: -1})
		return
	}
	for _, col := range sch.cols {
		if b.hasItem(col.Name) {
			continue
		}
		e := &Expr{Op: OpCol, Type: col.Type | s.nulls(), Span: at, ref: &ref{kind: refField, src: s, path: []string{col.Name}}}
		b.items = append(b.items, &item{name: col.Name, expr: e, star: true, span: at, col: -1})
	}
}

// starElement adds the element of an APPLY as one column (saql.md 6.7).
func (b *block) starElement(s *source, at diag.Span) {
	name := b.c.columnName(s.name)
	if !b.hasItem(name) {
		b.items = append(b.items, &item{name: name, expr: b.exprs(inSelect).rowOf(s, at), star: true, span: at, col: -1})
	}
}

func (b *block) hasItem(name string) bool {
	for _, it := range b.items {
		if !it.splice && it.name == name {
			return true
		}
	}
	return false
}
