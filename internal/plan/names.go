package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// columnName is a name of the query as events and outputs have it: at level 1.0 field
// names are in lower case (saql.md 1.6).
func (c *compiler) columnName(name string) string {
	if c.env.Level == Level10 {
		return strings.ToLower(name)
	}
	return name
}

// fieldPath is a path as the decoder looks it up.
func (c *compiler) fieldPath(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		out[i] = c.columnName(p)
	}
	return out
}

// path resolves a name or a dotted path (saql.md 2.8).
func (x *exprs) path(p *saql.Path) *Expr {
	if x.match != nil {
		return x.matchPath(p)
	}
	first := p.Names[0]
	if len(p.Names) == 1 && first.Quote == '"' {
		return x.quoted(p)
	}
	if len(p.Names) > 1 {
		if x.isApplied(first) {
			return x.notOfEvent(p.Names[1], p)
		}
		if s := x.b.sourceNamed(first.Text); s != nil {
			x.warnColumnSource(first, s)
			return x.column(s, p.Names[1:], p)
		}
		if d := x.aliasedSource(first); d != nil {
			return d
		}
	}
	return x.bareName(p, false)
}

// isApplied reports whether a name in TIMESTAMP BY is that of an APPLY around its source.
func (x *exprs) isApplied(n saql.Name) bool {
	return (x.place == inTimestampBy || x.place == inTimestampOver) && x.b.sourceNamed(n.Text) == nil &&
		slices.ContainsFunc(x.applied, func(a saql.Name) bool { return sameName(a.Text, n.Text) })
}

// notOfEvent reports a column of an APPLY in TIMESTAMP BY (saql.md 4.2).
func (x *exprs) notOfEvent(n saql.Name, p *saql.Path) *Expr {
	x.fail(diag.SA5011, p.Span, "TIMESTAMP BY must read the event: "+quote(n.Text)+" is made by APPLY", "move TIMESTAMP BY to the input; for APPLY: use a second job")
	return bad(p.Span)
}

// quoted decides what a double-quoted text in an expression is (saql.md 1.4).
func (x *exprs) quoted(p *saql.Path) *Expr {
	n := p.Names[0]
	if strings.HasPrefix(n.Text, "[") && strings.HasSuffix(n.Text, "]") && len(n.Text) > 1 {
		return x.bareName(p, false)
	}
	for _, s := range x.b.sources {
		for _, c := range s.rel.schema().cols {
			if c.Name == n.Text {
				return x.column(s, p.Names, p)
			}
		}
	}
	lit := "'" + strings.ReplaceAll(n.Text, "'", "''") + "'"
	d := x.warn(diag.W1003, n.Span, quote(n.Text)+" in double quotes is taken as text", "write "+lit+"; for a column: ["+strings.ReplaceAll(n.Text, "]", "]]")+"]")
	d.Fix = []diag.Edit{{Span: n.Span, Text: lit}}
	return constant(vec.StringValue(n.Text), n.Span)
}

// sourceNamed finds a source by its alias or name, without case.
func (b *block) sourceNamed(name string) *source {
	for _, s := range b.sources {
		if s.name != "" && sameName(s.name, name) {
			return s
		}
	}
	return nil
}

// aliasedSource reports a path that starts with a name that an alias hides.
func (x *exprs) aliasedSource(first saql.Name) *Expr {
	for _, s := range x.b.sources {
		if s.orig == "" || !sameName(s.orig, first.Text) {
			continue
		}
		for _, other := range x.b.sources {
			if _, ok := other.rel.schema().find(first.Text); ok {
				return nil
			}
		}
		d := x.fail(diag.SA2005, first.Span, "no input or step named "+quote(first.Text), "use the alias "+quote(s.name))
		d.Fix = []diag.Edit{{Span: first.Span, Text: s.name}}
		d.Related = []diag.Label{{Span: s.span, Text: "the alias"}}
		return bad(first.Span)
	}
	return nil
}

// bareName resolves a path whose first name is no source: a known column, else a column
// of the one source whose columns are not known, else (or before that, where whole rows
// are allowed) a source.
func (x *exprs) bareName(p *saql.Path, rows bool) *Expr {
	first := p.Names[0]
	if x.place == inHaving {
		if e := x.selectAlias(p); e != nil {
			return e
		}
	}
	var known, open []*source
	for _, s := range x.b.sources {
		if _, ok := s.rel.schema().find(first.Text); ok {
			known = append(known, s)
		} else if s.rel.schema().open {
			open = append(open, s)
		}
	}
	switch {
	case len(known) == 1:
		x.warnSourceColumn(first, known[0])
		return x.column(known[0], p.Names, p)
	case len(known) > 1:
		return x.ambiguous(p, known)
	}
	src := x.b.sourceNamed(first.Text)
	if src != nil && len(p.Names) == 1 && (rows || len(open) == 0) {
		return x.rowOf(src, p.Span)
	}
	switch {
	case len(open) == 1:
		return x.column(open[0], p.Names, p)
	case len(open) > 1:
		return x.ambiguous(p, open)
	}
	return x.noColumn(p)
}

// warnSourceColumn tells that a name is a source and a column.
func (x *exprs) warnSourceColumn(n saql.Name, s *source) {
	if x.b.sourceNamed(n.Text) != nil {
		x.warn(diag.W2003, n.Span, quote(n.Text)+" is a source and also one of its columns; the column is taken", "rename the source with AS")
	}
}

// warnColumnSource tells that the name in front of a point, which is a source, could have
// meant a column with properties, such as the metadata of an input called iothub.
func (x *exprs) warnColumnSource(n saql.Name, s *source) {
	_, known := s.rel.schema().find(n.Text)
	if _, metadata := (&schema{cols: metadataColumns}).find(n.Text); known || metadata && s.kind == fromInput {
		x.warn(diag.W2003, n.Span, quote(n.Text)+" is a source and also one of its columns; the source is taken", "rename the source with AS")
	}
}

// rowOf is the whole row of a source as a record.
func (x *exprs) rowOf(s *source, at diag.Span) *Expr {
	return &Expr{Op: OpCol, Type: vec.KindsOf(vec.Record) | s.nulls(), Span: at, ref: &ref{kind: refRow, src: s}}
}

// column is the column names[0] of a source, and the properties behind it.
func (x *exprs) column(s *source, names []saql.Name, p *saql.Path) *Expr {
	sch := s.rel.schema()
	if _, raw := s.rel.(*rawInput); raw && x.timestampBy != nil {
		names = x.timestampBy.original(names)
	}
	col, ok := sch.find(names[0].Text)
	if !ok && !sch.open {
		return x.noColumnIn(s, names[0])
	}
	e := &Expr{Op: OpCol, Span: p.Span, ref: &ref{kind: refField, src: s}}
	if !ok {
		e.Type = vec.AnyKind
		for _, n := range names {
			e.ref.path = append(e.ref.path, x.columnName(n.Text))
		}
		return e
	}
	e.Type, e.ref.path = col.Type|s.nulls(), []string{col.Name}
	for _, n := range names[1:] {
		e = &Expr{Op: OpField, Name: x.columnName(n.Text), Args: []*Expr{e}, Type: vec.AnyKind, Span: p.Span}
	}
	return e
}

// noColumnIn reports a name that is not a column of a source.
func (x *exprs) noColumnIn(s *source, n saql.Name) *Expr {
	sch := s.rel.schema()
	names := sch.names()
	d := x.b.failName(diag.SA2002, n, s.name, "no column "+quote(n.Text)+" in "+sch.what, "the columns are "+someNames(names))
	d.Text = "not a column of " + sch.name
	if near, ok := diag.Nearest(n.Text, names); ok {
		d.Hint = "did you mean " + quote(near) + "?"
		d.Fix = []diag.Edit{{Span: n.Span, Text: saql.Quote(near)}}
	}
	return bad(n.Span)
}

// noColumn reports a name that no source has.
func (x *exprs) noColumn(p *saql.Path) *Expr {
	n := p.Names[0]
	if it := x.b.aliasItem(n.Text); it != nil && x.place != inTimestampBy {
		d := x.fail(diag.SA4006, n.Span, quote(n.Text)+" is an alias of this SELECT and not visible here", "repeat the expression, or compute it in a step before")
		d.Related = []diag.Label{{Span: it.Alias.Span, Text: "the alias"}}
		if len(p.Names) == 1 {
			d.Fix = []diag.Edit{{Span: n.Span, Text: "(" + x.text(it.Expr) + ")"}}
		}
		return bad(p.Span)
	}
	if len(p.Names) > 1 {
		var sources []string
		for _, s := range x.b.sources {
			sources = append(sources, s.name)
		}
		if near, ok := diag.Nearest(n.Text, sources); ok {
			d := x.fail(diag.SA2005, n.Span, "no input or step named "+quote(n.Text), "did you mean "+quote(near)+"?")
			d.Fix = []diag.Edit{{Span: n.Span, Text: saql.Quote(near)}}
			return bad(p.Span)
		}
	}
	if len(x.b.sources) == 1 {
		return x.noColumnIn(x.b.sources[0], n)
	}
	var all, where []string
	for _, s := range x.b.sources {
		for _, name := range s.rel.schema().names() {
			all = append(all, saql.Quote(s.name)+"."+saql.Quote(name))
		}
		where = append(where, quote(s.name))
	}
	if len(where) == 0 {
		return bad(p.Span)
	}
	d := x.b.failName(diag.SA2002, n, "", "no column "+quote(n.Text)+" in "+strings.Join(where, " or "), "the columns are "+someNames(all))
	for _, s := range x.b.sources {
		if near, ok := diag.Nearest(n.Text, s.rel.schema().names()); ok {
			near = saql.Quote(s.name) + "." + saql.Quote(near)
			d.Hint = "did you mean " + near + "?"
			d.Fix = []diag.Edit{{Span: n.Span, Text: near}}
			break
		}
	}
	return bad(p.Span)
}

// ambiguous reports a name that several sources may have.
func (x *exprs) ambiguous(p *saql.Path, sources []*source) *Expr {
	if x.b.clash {
		return bad(p.Span) // what is wrong is that two sources have one name
	}
	n := p.Names[0]
	var names, full []string
	for _, s := range sources {
		names = append(names, quote(s.name))
		full = append(full, saql.Quote(s.name)+"."+x.textAt(n.Span))
	}
	hint := "write " + strings.Join(full, " or ")
	if len(p.Names) > 1 {
		hint += "; no source is called " + quote(n.Text)
	}
	d := x.b.failName(diag.SA2004, n, "", quote(n.Text)+" could be a column of "+strings.Join(names, " or "), hint)
	d.Text = "ambiguous"
	return bad(p.Span)
}

// aliasItem finds the select item of an alias, without case.
func (b *block) aliasItem(name string) *saql.SelectItem {
	if b.sel == nil {
		return nil
	}
	for i := range b.sel.Items {
		if it := &b.sel.Items[i]; it.Alias != nil && it.Expr != nil && sameName(it.Alias.Text, name) {
			return it
		}
	}
	return nil
}

// selectAlias gives the expression of a select alias, which HAVING may name unless it is
// a group key or the column of one (saql.md 2.8). In that expression aliases mean nothing.
func (x *exprs) selectAlias(p *saql.Path) *Expr {
	n := p.Names[0]
	it := x.b.aliasItem(n.Text)
	if it == nil || x.aggregate != "" || x.b.group != nil && x.b.group.hasKeyNamed(n.Text) {
		return nil
	}
	x.muted++ // what is wrong in it has been said where it stands
	e := x.b.exprs(inSelect).valueOf(it.Expr)
	x.muted--
	e.Span = p.Span
	for _, more := range p.Names[1:] {
		e = &Expr{Op: OpField, Name: x.columnName(more.Text), Args: []*Expr{e}, Type: vec.AnyKind, Span: p.Span}
	}
	return e
}
