package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// from resolves the FROM clause to the sources of the block (saql.md 2.4, 2.8).
func (b *block) from(t saql.TableExpr) table {
	switch t := t.(type) {
	case *saql.Source:
		return leaf{b.fromName(t)}
	case *saql.Derived:
		return leaf{b.fromQuery(t)}
	case *saql.ParenTable:
		return b.from(t.Table)
	case *saql.Join:
		first := len(b.sources)
		left := b.from(t.Left)
		right := b.from(t.Right)
		b.joined = true
		b.needAlias(t.Left)
		b.needAlias(t.Right)
		return b.join(t, left, right, first)
	case *saql.Apply:
		applied := b.c.applied
		b.c.applied = append(slices.Clip(applied), t.Alias)
		left := b.from(t.Left)
		b.c.applied = applied
		return b.apply(t, left)
	}
	panic("plan: unknown part of FROM")
}

// add makes a source known under its name.
func (b *block) add(s *source) {
	for _, other := range b.sources {
		if s.name != "" && sameName(other.name, s.name) {
			d := b.c.fail(diag.SA2007, s.span, "two sources are both called "+quote(s.name), "give one an alias: `JOIN x AS b`")
			d.Related = append(d.Related, diag.Label{Span: other.span, Text: "the first one"})
			b.clash = true
		}
	}
	s.reference = s.reference || s.rel.schema().reference != nil
	b.sources = append(b.sources, s)
}

// fromName resolves an input or a step.
func (b *block) fromName(t *saql.Source) *source {
	s := &source{name: t.Name.Text, span: t.Name.Span}
	if t.Alias != nil {
		s.name, s.span = t.Alias.Text, t.Alias.Span
		if !sameName(t.Alias.Text, t.Name.Text) {
			s.orig = t.Name.Text
		}
	}
	b.c.lookupSource(s, t)
	b.c.checkPartitionedSubstreams(t)
	b.finish(s, t.PartitionBy, t.Match)
	return s
}

// finish adds a source with its PARTITION BY and MATCH_RECOGNIZE.
func (b *block) finish(s *source, by *saql.PartitionBy, m *saql.MatchRecognize) {
	if m != nil {
		b.match(s, by, m)
		b.add(s)
		return
	}
	b.add(s)
	b.partitionBy(by, s)
}

// lookupSource finds the step or input of a name; an unknown one gets an open schema, so
// that no follow-up errors come up.
func (c *compiler) lookupSource(s *source, t *saql.Source) {
	key := saql.Fold(t.Name.Text)
	if st, ok := c.steps[key]; ok {
		st.used = true
		s.kind, s.rel = fromStep, st.rel
		switch {
		case t.TimestampBy != nil:
			c.timestampOnStep(s, st, t.TimestampBy)
		case c.timestampBy != nil:
			s.rel = c.restamp(st)
		}
		return
	}
	if _, ok := c.later[key]; ok {
		if _, isInput := c.declaredInput(t.Name.Text); !isInput {
			c.early[key] = true
			c.fail(diag.SA2008, t.Name.Span, "step "+quote(t.Name.Text)+" is used before it is defined", "move it up; steps see only earlier steps")
			s.kind, s.rel = fromStep, newUnknown("step "+quote(t.Name.Text))
			return
		}
	}
	in := c.stream(t.Name)
	switch {
	case in == nil:
		s.rel = newUnknown(quote(t.Name.Text))
	case in.decl.Reference:
		s.kind = fromReference
		if t.TimestampBy != nil {
			c.fail(diag.SA5013, t.TimestampBy.Span, "reference data has no TIMESTAMP BY", "")
		}
		what := "reference data " + quote(t.Name.Text)
		s.rel = &rawInput{in, &schema{what: what, name: what, open: in.cols == nil, cols: in.cols, reference: &t.Name.Span}}
	default:
		s.kind = fromInput
		by, alias := t.TimestampBy, s.name
		if c.timestampBy != nil {
			by, alias = c.timestampBy.by, c.timestampBy.alias
		}
		s.rel = c.timeline(in, alias, t.Name.Span, by)
	}
}

// stream finds an input by name, or reports that there is none.
func (c *compiler) stream(name saql.Name) *streamInput {
	key := saql.Fold(name.Text)
	if in, ok := c.inputs[key]; ok {
		return in
	}
	decl, ok := c.declaredInput(name.Text)
	if !ok {
		if !c.env.AnyInput {
			c.fail(diag.SA2005, name.Span, "no input or step named "+quote(name.Text), c.nearestSource(name.Text))
			return nil
		}
		decl = InputDecl{Name: name.Text}
	}
	in := &streamInput{c: c, decl: decl, fields: map[string]int{}, input: Input{Span: name.Span}}
	c.inputs[key] = in
	return in
}

// nearestSource is the hint for an unknown source.
func (c *compiler) nearestSource(name string) string {
	var names []string
	for _, st := range c.order {
		names = append(names, st.name.Text)
	}
	for _, in := range c.env.Inputs {
		names = append(names, in.Name)
	}
	if n, ok := diag.Nearest(name, names); ok {
		return "did you mean " + quote(n) + "?"
	}
	if len(names) > 0 {
		return "the inputs and steps are " + someNames(names)
	}
	return ""
}

// inputSchema is the schema of an input (saql.md 3.3).
func inputSchema(in *streamInput) *schema {
	s := &schema{what: "input " + quote(in.decl.Name), name: quote(in.decl.Name), open: in.table == nil}
	if in.table != nil {
		s.cols, s.hidden = in.cols, metadataColumns
	}
	return s
}

// timeline gives the timeline of an input for a TIMESTAMP BY, the same one for the same
// expression and keys.
func (c *compiler) timeline(in *streamInput, alias string, at diag.Span, by *saql.TimestampBy) *timeline {
	t := &timeline{in: in, sch: inputSchema(in)}
	if by != nil {
		raw := &block{c: c, sources: []*source{{name: alias, rel: &rawInput{in, t.sch}}}}
		x := raw.exprs(inTimestampBy)
		t.by = x.value(by.Expr)
		c.checkTimeType(t.by, by.Expr)
		t.key = t.by.String()
		for _, k := range by.Over {
			e := raw.exprs(inTimestampOver).value(k)
			t.over = append(t.over, e)
			t.key += " OVER " + e.String()
		}
		t.key = strings.ReplaceAll(t.key, saql.Fold(alias)+".", "")
	}
	c.noteOver(by, at)
	for _, other := range c.lines {
		if other.in == in && other.key == t.key {
			return other
		}
	}
	c.lines = append(c.lines, t)
	return t
}

// checkTimeType refuses a TIMESTAMP BY that can never be a time.
func (c *compiler) checkTimeType(e *Expr, src saql.Expr) {
	t := e.Type.NotNull()
	if t != 0 && t&vec.KindsOf(vec.Datetime, vec.String) == 0 {
		hint := "a time is a datetime or a text such as 2024-03-05T16:42:35Z"
		if t.Within(numbers) {
			hint = "DATEADD(millisecond, " + c.text(src) + ", '1970-01-01T00:00:00Z')"
		}
		c.fail(diag.SA3009, src.Pos(), "argument 1 of TIMESTAMP BY is "+typeText(t)+"; datetime wanted", hint)
	}
}

// timestampOnStep is a TIMESTAMP BY that stands at a step: what the step is called there,
// and what its columns are called in the select of the step, in the select of the step
// that it reads, and so on down to the input.
type timestampOnStep struct {
	by      *saql.TimestampBy
	alias   string
	renames []map[string][]saql.Name
}

// original is the path in the events of a path in the columns of the step.
func (t *timestampOnStep) original(path []saql.Name) []saql.Name {
	for _, m := range t.renames {
		if p, ok := m[saql.Fold(path[0].Text)]; ok {
			path = append(slices.Clone(p), path[1:]...)
		}
	}
	return path
}

// timestampOnStep handles TIMESTAMP BY on a step. Only a step that passes an input
// through may have it; it then means the TIMESTAMP BY written at the input (saql.md 4.2).
func (c *compiler) timestampOnStep(s *source, st *step, by *saql.TimestampBy) {
	if _, ok := c.passThrough(st.body); !ok {
		c.fail(diag.SA5012, by.Span, "TIMESTAMP BY is allowed on inputs, not on step "+quote(st.name.Text), "write it where the step reads the input")
		return
	}
	scope := &block{c: c, sources: []*source{{name: s.name, orig: s.orig, span: s.span, rel: st.rel}}}
	before := c.errors()
	scope.exprs(inTimestampBy).value(by.Expr)
	for _, k := range by.Over {
		scope.exprs(inTimestampOver).value(k)
	}
	if c.errors() > before {
		return
	}
	c.noteOver(by, s.span)
	saved := c.timestampBy
	c.timestampBy = &timestampOnStep{by: by, alias: s.name}
	s.rel = c.restamp(st)
	c.timestampBy = saved
}

// restamp compiles a step that passes an input through once more, for the timeline of
// c.timestampBy.
func (c *compiler) restamp(st *step) relation {
	sel, _ := c.passThrough(st.body)
	outer := c.timestampBy
	inner := *outer
	inner.renames = append(slices.Clone(outer.renames), renames(sel))
	c.timestampBy = &inner
	c.muted++
	rel := c.selectBlock(sel, st.name.Text)
	c.muted--
	c.timestampBy = outer
	return &named{relation: rel, sch: st.rel.schema()}
}

// renames says which path each column of a pass-through select is.
func renames(sel *saql.Select) map[string][]saql.Name {
	m := map[string][]saql.Name{}
	src := sel.From.(*saql.Source)
	called := src.Name.Text
	if src.Alias != nil {
		called = src.Alias.Text
	}
	for _, it := range sel.Items {
		p, ok := it.Expr.(*saql.Path)
		if !ok {
			continue
		}
		names := p.Names
		if len(names) > 1 && sameName(names[0].Text, called) {
			names = names[1:]
		}
		name := names[len(names)-1]
		if it.Alias != nil {
			name = *it.Alias
		}
		m[saql.Fold(name.Text)] = names
	}
	return m
}

// passThrough reports whether a step is one select of * or plain columns over one
// stream input, or over another such step, without a TIMESTAMP BY of its own.
func (c *compiler) passThrough(q saql.QueryExpr) (*saql.Select, bool) {
	sel, ok := q.(*saql.Select)
	if !ok || len(sel.GroupBy) > 0 || sel.Having != nil || sel.Distinct || sel.Top != nil || len(sel.OrderBy) > 0 {
		return nil, false
	}
	src, ok := sel.From.(*saql.Source)
	if !ok || src.TimestampBy != nil || src.Match != nil {
		return nil, false
	}
	plain := !slices.ContainsFunc(sel.Items, func(it saql.SelectItem) bool {
		if it.Star {
			return false
		}
		_, ok := it.Expr.(*saql.Path)
		return !ok
	})
	if !plain {
		return nil, false
	}
	if st, ok := c.steps[saql.Fold(src.Name.Text)]; ok {
		if _, ok := c.passThrough(st.body); !ok {
			return nil, false
		}
	} else if in := c.inputs[saql.Fold(src.Name.Text)]; in == nil || in.decl.Reference {
		return nil, false
	}
	return sel, true
}

// fromQuery resolves a derived table.
func (b *block) fromQuery(t *saql.Derived) *source {
	s := &source{span: t.Span, kind: fromDerived}
	if t.Alias != nil {
		s.name, s.span = t.Alias.Text, t.Alias.Span
	}
	applied := b.c.applied
	b.c.applied = nil
	rel := b.c.queryExpr(t.Body, b.step, false)
	b.c.applied = applied
	sch := *rel.schema()
	sch.what, sch.name = "the derived table", "the derived table"
	if s.name != "" {
		sch.what, sch.name = quote(s.name), quote(s.name)
	}
	s.rel = &named{relation: rel, sch: &sch}
	b.finish(s, t.PartitionBy, t.Match)
	return s
}

// needAlias demands a name of a derived table that is not the only source (saql.md 2.4).
func (b *block) needAlias(t saql.TableExpr) {
	if d, ok := t.(*saql.Derived); ok && d.Alias == nil {
		b.c.fail(diag.SA2101, d.Span, "expected an alias of the derived table beside JOIN, found none", "(SELECT ..) AS d")
		b.clash = true
	}
}

// partitionBy checks PARTITION BY. It never changes results (saql.md 4.6).
func (b *block) partitionBy(p *saql.PartitionBy, s *source) {
	if p == nil {
		return
	}
	scope := &block{c: b.c, sources: []*source{s}}
	for _, k := range p.Keys {
		s.parts = append(s.parts, scope.exprs(inPartitionBy).value(k))
	}
	b.parts = append(b.parts, s.parts...)
	if p.Into != nil {
		b.shards, s.shards = p.Into.Int, p.Into.Int
		if p.Into.Kind != saql.LitInt || p.Into.Int < 2 {
			b.c.fail(diag.SA4009, p.Into.Span, "INTO "+p.Into.Raw+": a shard count is 2 or more", "")
		}
	}
}

// warnArrival tells of a window over arrival times where the input has a column of times.
func (b *block) warnArrival() {
	if b.group == nil || len(b.sources) != 1 || b.sources[0].kind != fromInput {
		return
	}
	t, ok := b.sources[0].rel.(*timeline)
	if !ok || t.by != nil {
		return
	}
	fields := t.in.decl.Times
	for _, col := range t.in.table {
		if col.Type == vec.Datetime {
			fields = []string{col.Name}
			break
		}
	}
	if len(fields) == 0 {
		return
	}
	at := b.sources[0].span
	d := b.c.warn(diag.W5001, at, "no TIMESTAMP BY: windows use the arrival time", "FROM "+saql.Quote(t.in.decl.Name)+" TIMESTAMP BY "+saql.Quote(fields[0]))
	d.Fix = []diag.Edit{{Span: diag.Span{Start: at.End, End: at.End}, Text: " TIMESTAMP BY " + saql.Quote(fields[0])}}
}

// checkPartition demands the partition keys among the keys of GROUP BY (saql.md 4.6).
func (b *block) checkPartition() {
	if b.group == nil || b.joined {
		return
	}
	for _, k := range b.parts {
		if !slices.ContainsFunc(b.group.keys, func(g *Expr) bool { return same(g, k) }) {
			b.c.fail(diag.SA4008, b.sel.GroupPos, "GROUP BY lacks the partition key "+quote(b.c.textAt(k.Span)), "add it, or aggregate again in a step without PARTITION BY")
		}
	}
}
