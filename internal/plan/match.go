package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// matching is a MATCH_RECOGNIZE (saql.md 9): a relation whose columns are its measures. It
// stands in place of the source that it reads.
type matching struct {
	b        *block
	src      *source
	at       diag.Span // of the pattern
	sch      schema
	keys     []*Expr
	limit    vec.Time
	pattern  *Pattern
	vars     []patternVar
	uses     []matchUse
	measures []*measure

	// Lowered: the projection in front of the node, the columns and refs made so far, and
	// the uses of Classifier(), whose column stands behind all refs.
	pre   *Project
	op    *Match
	out   *Node
	refs  map[int]int
	names []*Expr
}

// patternVar is a variable of PATTERN or DEFINE. A variable that PATTERN does not have is
// checked and left out of the plan.
type patternVar struct {
	name   string
	used   bool // in PATTERN
	def    int  // its place in DEFINE, -1 if it has none
	define *Expr
}

// matchUse is a value over the rows of a match, by an expression over the source.
type matchUse struct {
	v   int
	of  MatchFn
	col *Expr
}

// measure is a column of the result.
type measure struct {
	name string
	at   diag.Span
	expr *Expr
	col  int // of the node, -1 until it is asked for
}

// match replaces a source by the measures of its MATCH_RECOGNIZE.
func (b *block) match(s *source, by *saql.PartitionBy, t *saql.MatchRecognize) {
	c := b.c
	src := *s
	m := &matching{b: b, src: &src, at: t.Pattern.Pos(), refs: map[int]int{}}
	m.sch = schema{what: "MATCH_RECOGNIZE", name: "MATCH_RECOGNIZE"}
	head := diag.Span{Start: t.Span.Start, End: min(t.Span.Start+len("MATCH_RECOGNIZE"), t.Span.End)}
	if src.rel.schema().reference != nil {
		c.fail(diag.SA6011, head, "MATCH_RECOGNIZE cannot be used on reference data", "")
	}
	m.partition(by, t, head)
	m.limits(t)
	m.pattern = m.compile(t.Pattern)
	m.define(t)
	m.measure(t)
	s.rel, s.kind, s.parts = m, fromMatch, nil
	if t.Alias != nil {
		if !sameName(t.Alias.Text, s.name) {
			s.orig = s.name
		}
		s.name, s.span = t.Alias.Text, t.Alias.Span
	}
}

// groupsMatches tells that GROUP BY over matches is an extension (saql.md 9.1).
func (b *block) groupsMatches() {
	if slices.ContainsFunc(b.sources, func(s *source) bool { return s.kind == fromMatch }) {
		b.c.extension(b.sel.GroupPos, "GROUP BY behind MATCH_RECOGNIZE", "group in a step that reads the matches")
	}
}

// scope is what expressions over the rows of the source are compiled in.
func (m *matching) scope() *block { return &block{c: m.b.c, sources: []*source{m.src}} }

// partition collects the keys: those of the clause, and those of PARTITION BY of the source,
// which works as if they stood there too (saql.md 4.6).
func (m *matching) partition(by *saql.PartitionBy, t *saql.MatchRecognize, head diag.Span) {
	scope := m.scope()
	for _, k := range t.PartitionBy {
		m.keys = append(m.keys, scope.exprs(inPartitionBy).value(k))
	}
	scope.partitionBy(by, m.src)
	for _, k := range m.src.parts {
		if !slices.ContainsFunc(m.keys, func(e *Expr) bool { return same(e, k) }) {
			m.keys = append(m.keys, k)
		}
	}
	for _, k := range overKeys(m.src.rel) {
		if !slices.ContainsFunc(m.keys, func(e *Expr) bool { return isField(e, k.path) }) {
			m.b.c.fail(diag.SA5015, head, quote(k.label)+" of TIMESTAMP BY .. OVER is missing in this PARTITION BY", "add it")
		}
	}
}

// isField reports whether e is the field of a source at a path.
func isField(e *Expr, path []string) bool {
	return e.ref != nil && e.ref.kind == refField && path != nil && slices.EqualFunc(e.ref.path, path, sameName)
}

// limits reads LIMIT DURATION.
func (m *matching) limits(t *saql.MatchRecognize) {
	c := m.b.c
	if t.Limit == nil {
		return // reported by the parser
	}
	unit, ok := c.unit(t.Limit.Unit)
	if !ok {
		return
	}
	limit, ok := c.duration(t.Limit.Value, unit, false)
	switch at := t.Limit.Value.Pos(); {
	case !ok:
		c.fail(diag.SA7016, at, "LIMIT DURATION of MATCH_RECOGNIZE must be positive and a whole number of 100 ns ticks", "")
	case limit > longestWindow:
		c.fail(diag.SA7016, at, "LIMIT DURATION of MATCH_RECOGNIZE must be at most 7 days", "")
	}
	m.limit = limit
}

// compile turns a pattern into one over the numbers of variables.
func (m *matching) compile(p saql.Pattern) *Pattern {
	switch p := p.(type) {
	case *saql.PatternVar:
		if p.Any {
			return &Pattern{Kind: AnyRow}
		}
		i := m.variable(p.Name.Text)
		if i < 0 {
			i = len(m.vars)
			m.vars = append(m.vars, patternVar{name: p.Name.Text, def: -1})
		}
		m.vars[i].used = true
		return &Pattern{Kind: One, Var: i}
	case *saql.PatternSeq:
		return m.several(Sequence, p.Parts)
	case *saql.PatternAlt:
		return m.several(Choice, p.Alts)
	case *saql.PatternGroup:
		return m.compile(p.X)
	case *saql.PatternRepeat:
		kind := map[byte]PatternKind{'*': Star, '+': Plus, '?': Optional}[p.Op]
		return &Pattern{Kind: kind, Parts: []*Pattern{m.compile(p.X)}}
	}
	panic("plan: unknown pattern")
}

func (m *matching) several(kind PatternKind, parts []saql.Pattern) *Pattern {
	if len(parts) == 1 {
		return m.compile(parts[0])
	}
	p := &Pattern{Kind: kind}
	for _, x := range parts {
		p.Parts = append(p.Parts, m.compile(x))
	}
	return p
}

// variable is the number of a variable, or -1.
func (m *matching) variable(name string) int {
	return slices.IndexFunc(m.vars, func(v patternVar) bool { return sameName(v.name, name) })
}

// define checks DEFINE.
func (m *matching) define(t *saql.MatchRecognize) {
	c := m.b.c
	vars := make([]int, len(t.Define))
	for i, d := range t.Define {
		v := m.variable(d.Name.Text)
		switch {
		case v < 0:
			v = len(m.vars)
			m.vars = append(m.vars, patternVar{name: d.Name.Text, def: i})
			c.warn(diag.W8002, d.Name.Span, "pattern variable "+quote(d.Name.Text)+" is defined but not used", "")
		case m.vars[v].def >= 0:
			dup := c.fail(diag.SA2006, d.Name.Span, "the name "+quote(d.Name.Text)+" is already a pattern variable", "keep one definition")
			dup.Related = []diag.Label{{Span: t.Define[m.vars[v].def].Name.Span, Text: "the first one"}}
		default:
			m.vars[v].def = i
		}
		vars[i] = v
	}
	for i, d := range t.Define {
		x := m.scope().exprs(inDefine)
		x.match, x.variable = m, vars[i]
		e := x.condition(d.Cond)
		if m.vars[vars[i]].def == i {
			m.vars[vars[i]].define = e
		}
	}
}

// measure checks MEASURES, which make the schema.
func (m *matching) measure(t *saql.MatchRecognize) {
	c := m.b.c
	for _, x := range t.Measures {
		e := m.scope().exprs(inMeasures)
		e.match, e.variable = m, AnyVar
		v := e.value(x.Expr)
		one := &measure{name: c.columnName(x.Alias.Text), at: x.Alias.Span, expr: v, col: -1}
		i := slices.IndexFunc(m.measures, func(o *measure) bool { return sameName(o.name, one.name) })
		if i >= 0 {
			d := c.fail(diag.SA4015, one.at, "two columns are named "+quote(one.name), "alias one of them")
			d.Related = []diag.Label{{Span: m.measures[i].at, Text: "the first one"}}
			continue
		}
		m.measures = append(m.measures, one)
		m.sch.cols = append(m.sch.cols, Col{one.name, notMissing(v.Type)})
	}
}

// overKeys are the keys of TIMESTAMP BY .. OVER as measures. All rows of a match have the
// same, so any value of the column will do.
func (m *matching) overKeys() []overKey {
	keys := overKeys(m.src.rel)
	for i, k := range keys {
		keys[i].path = nil
		for _, x := range m.measures {
			if r := x.expr.ref; r != nil && r.kind == refMatch && isField(m.uses[r.n].col, k.path) {
				keys[i].path = []string{x.name}
				break
			}
		}
	}
	return keys
}

func (m *matching) schema() *schema { return &m.sch }

// node makes the projection to keys and columns, and the match behind it. Measures come in
// when they are asked for.
func (m *matching) node() *Node {
	if m.out != nil {
		return m.out
	}
	m.pre = &Project{}
	pre := m.b.newNode(m.pre, m.src.rel.node())
	m.op = &Match{Limit: m.limit, Pattern: m.pattern}
	m.out = m.b.newNode(m.op, pre)
	pre.Span, m.out.Span = m.at, m.at
	for _, k := range m.keys {
		m.op.Keys = append(m.op.Keys, m.input(k))
	}
	for _, v := range m.vars {
		x := MatchVar{Name: v.name}
		if v.used && v.define != nil {
			x.Define = m.resolve(v.define)
		}
		m.op.Vars = append(m.op.Vars, x)
	}
	return m.out
}

// input gives the column of the projection that holds an expression over the source.
func (m *matching) input(e *Expr) int {
	resolve(e, plainFrame{m.src}, nil)
	for i, other := range m.pre.Exprs {
		if same(other, e) {
			return i
		}
	}
	m.pre.Exprs = append(m.pre.Exprs, e)
	in := m.out.In[0]
	in.Cols = append(in.Cols, Col{Type: e.Type})
	return len(m.pre.Exprs) - 1
}

// resolve gives the values over rows of the match in e their refs.
func (m *matching) resolve(e *Expr) *Expr {
	walk(e, func(e *Expr) bool {
		if e.ref != nil {
			n := e.ref.n
			e.ref = nil
			if n == classifierUse {
				m.names = append(m.names, e)
				e.Col = len(m.op.Refs)
			} else {
				e.Col = m.ref(n)
			}
		}
		return true
	})
	return e
}

// ref gives the place in Refs of a use. The array of Classifier() moves on behind it.
func (m *matching) ref(use int) int {
	if i, ok := m.refs[use]; ok {
		return i
	}
	u := m.uses[use]
	i := len(m.op.Refs)
	m.refs[use] = i
	m.op.Refs = append(m.op.Refs, MatchRef{Var: u.v, Of: u.of, Col: m.input(u.col)})
	for _, e := range m.names {
		e.Col = len(m.op.Refs)
	}
	return i
}

// column gives the position of a measure.
func (m *matching) column(path []string) int {
	m.node()
	for _, x := range m.measures {
		if x.name != path[0] {
			continue
		}
		if x.col < 0 {
			x.col = m.add(x.name, orNull(m.resolve(x.expr)))
		}
		return x.col
	}
	panic("plan: no measure " + path[0])
}

// row gives the measures as a record.
func (m *matching) row() int {
	e := &Expr{Op: OpRecord, Type: vec.KindsOf(vec.Record), Span: m.at}
	for _, x := range m.measures {
		e.Names = append(e.Names, x.name)
		e.Args = append(e.Args, m.op.Measures[m.column([]string{x.name})])
	}
	return m.add("", e)
}

func (m *matching) add(name string, e *Expr) int {
	m.op.Measures = append(m.op.Measures, e)
	m.out.Cols = append(m.out.Cols, Col{name, e.Type})
	return len(m.op.Measures) - 1
}
