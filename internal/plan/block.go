package plan

import (
	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// block is a query block: one SELECT with its clauses, first checked, then lowered.
type block struct {
	c       *compiler
	sel     *saql.Select
	step    string
	sources []*source
	table   table // FROM: the sources and how they are put together
	joined  bool  // there is a JOIN, so * is not allowed
	clash   bool  // two sources have one name
	// parts are the partition keys of PARTITION BY, and their number of shards if given.
	parts  []*Expr
	shards int64

	where  *Expr
	group  *grouping // nil without GROUP BY
	having *Expr
	order  []*Expr // the keys of ORDER BY
	items  []*item
	sch    schema
	// firstAgg is the first aggregate that the block calls.
	firstAgg firstAgg

	// history is the analytic functions over the rows of FROM, nil if there are none.
	history *historyFrame
	joining *joining // the join whose ON is being compiled

	frame   frame // lowered: what FROM gives
	out     *Node // lowered: the last node
	project *Project
	pnode   *Node // of project
	rowCol  int   // column of the whole row, -1 until it is asked for
	wants   map[string]int
}

// source is one of the relations of FROM.
type source struct {
	name string // what the block calls it
	orig string // the name that an alias hides, else ""
	span diag.Span
	rel  relation
	kind sourceKind
	// parts are the keys of PARTITION BY, shards the number behind INTO.
	parts  []*Expr
	shards int64
	// nullable sources are missing in some rows: they stand at the right of a LEFT JOIN.
	nullable bool
	// reference sources give rows of reference data only.
	reference bool
}

// nulls is the NULL that every column of s may be because s is missing.
func (s *source) nulls() vec.Kinds {
	if s.nullable {
		return nullOnly
	}
	return 0
}

// sourceKind says what a source is.
type sourceKind uint8

const (
	fromInput sourceKind = iota
	fromReference
	fromStep
	fromDerived
	fromApply
	fromMatch
)

// item is a column of the select list after the expansion of `*`: a named expression,
// or a splice: all fields of a row or record that are not known before it is seen.
type item struct {
	name   string
	expr   *Expr
	splice bool
	src    *source // of a splice: the source whose rows are spliced; nil: the record expr
	star   bool    // came from a `*`
	span   diag.Span
	col    int // lowered: column of the project node, -1 until it is asked for
}

func (c *compiler) selectBlock(sel *saql.Select, step string) relation {
	b := &block{c: c, sel: sel, step: step, rowCol: -1, wants: map[string]int{}}
	if sel.From == nil {
		hint := "FROM input"
		if len(c.env.Inputs) > 0 {
			hint = "FROM " + c.env.Inputs[0].Name
		}
		c.fail(diag.SA4001, headOf(sel), "SELECT needs FROM", hint)
		return newUnknown("the query")
	}
	b.table = b.from(sel.From)
	b.sch.reference = b.reference()
	if sel.Where != nil {
		b.where = b.exprs(inWhere).condition(sel.Where)
	}
	if len(sel.GroupBy) > 0 {
		b.groupsMatches()
		b.groupBy()
	}
	b.selectList()
	if sel.Having != nil {
		b.having = b.exprs(inHaving).condition(sel.Having)
	}
	b.checkAggregates()
	if b.group != nil && b.sch.reference != nil {
		c.fail(diag.SA6011, sel.GroupPos, "windows cannot be used on reference data", "")
	}
	b.checkPartition()
	b.checkOverKeys()
	b.warnArrival()
	b.overWindow()
	b.setSchema()
	return b
}

// reference is where the block names reference data, if all its rows come from such data.
func (b *block) reference() *diag.Span {
	var at *diag.Span
	for _, s := range b.sources {
		if s.kind == fromApply {
			continue
		}
		r := s.rel.schema().reference
		if r == nil {
			return nil
		}
		if at == nil {
			at = &s.span
		}
	}
	return at
}

// setSchema derives the block's columns from its items.
func (b *block) setSchema() {
	if b.passesKnown() {
		b.sch.hidden = b.sources[0].rel.schema().hidden
	}
	b.sch.what, b.sch.name = "the query", "the query"
	for _, it := range b.items {
		if it.splice {
			b.sch.open = true
			continue
		}
		t := notMissing(it.expr.Type)
		if b.sch.open {
			t = vec.AnyKind // a field of the same name of the * to the left wins
		}
		b.sch.cols = append(b.sch.cols, Col{it.name, t})
	}
}

// notMissing is the type of a column of a select list: an absent field becomes NULL.
func notMissing(t vec.Kinds) vec.Kinds {
	if t.Has(vec.Missing) {
		return t&^vec.KindsOf(vec.Missing) | vec.KindsOf(vec.Null)
	}
	return t
}

// passes reports whether the block hands on the rows of its source as they are.
func (b *block) passes() bool {
	if _, plain := b.rows().(plainFrame); !plain {
		return false
	}
	return b.group == nil && len(b.items) == 1 && b.items[0].splice && b.items[0].src != nil || b.passesKnown()
}

// passesKnown reports whether the block is a lone * over known columns.
func (b *block) passesKnown() bool {
	return b.group == nil && len(b.sel.Items) == 1 && b.sel.Items[0].Star && len(b.sources) == 1 &&
		!b.sources[0].rel.schema().open && len(b.items) == len(b.sources[0].rel.schema().cols) && len(b.sel.Items[0].StarOf) <= 1
}
