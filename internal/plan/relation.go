package plan

import (
	"strings"
	"weir/internal/diag"

	"weir/internal/vec"
)

// relation is what a name in FROM stands for: an input, a step, a derived table or a
// union. Checking reads its schema. Lowering, which begins when nothing is wrong, asks
// it for its node and for columns of that node; both come into being when they are
// first asked for, so that what nobody asks for is never computed.
type relation interface {
	schema() *schema
	// node gives the rows. It may be called many times.
	node() *Node
	// column gives the position in node().Cols of the field at a path.
	column(path []string) int
	// row gives the position of a column that holds the row as a record.
	row() int
}

// schema is what is known of the columns of a relation (saql.md 3.3). An open one has
// columns that are not known before the rows are seen.
type schema struct {
	what string // for messages: `step "Averages"`
	name string // `"Averages"`
	open bool
	cols []Col
	// reference is where reference data is named, if the rows come from such data only.
	reference *diag.Span
	hidden    []Col // columns that * does not show: the metadata of an input (saql.md 7.9)
}

// find gives the known column of a name: the exact one, else the first that is equal
// without case (saql.md 1.6). Beside columns that are not known only the exact name counts,
// for one of them may have it.
func (s *schema) find(name string) (Col, bool) {
	for _, list := range [][]Col{s.cols, s.hidden} {
		for _, c := range list {
			if c.Name == name {
				return c, true
			}
		}
		for _, c := range list {
			if !s.open && sameName(c.Name, name) {
				return c, true
			}
		}
	}
	return Col{}, false
}

// names lists the known columns.
func (s *schema) names() []string {
	names := make([]string, len(s.cols))
	for i, c := range s.cols {
		names[i] = c.Name
	}
	return names
}

// unknownRelation stands for what could not be resolved or cannot run yet: any column
// is fine, so that no follow-up errors come up. It is never lowered. The element of an
// APPLY is one too, for its columns are those of the APPLY's frame.
type unknownRelation struct{ sch schema }

func newUnknown(what string) *unknownRelation {
	return &unknownRelation{schema{what: what, name: what, open: true}}
}

func (u *unknownRelation) schema() *schema     { return &u.sch }
func (u *unknownRelation) node() *Node         { panic("plan: lowering " + u.sch.what) }
func (u *unknownRelation) column([]string) int { panic("plan: lowering " + u.sch.what) }
func (u *unknownRelation) row() int            { panic("plan: lowering " + u.sch.what) }

// metadataColumns may be named on every live input, whatever its declared columns
// (saql.md 7.9).
var metadataColumns = []Col{
	{"EventProcessedUtcTime", vec.AnyKind},
	{"PartitionId", vec.AnyKind},
	{"EventEnqueuedUtcTime", vec.AnyKind},
	{"IoTHub", vec.AnyKind},
	{"BlobName", vec.AnyKind},
	{"BlobLastModifiedUtcTime", vec.AnyKind},
}

// streamInput is an input that a script reads: one source for all its timelines.
type streamInput struct {
	c       *compiler
	decl    InputDecl
	index   int // in Plan.Inputs, -1 until it is lowered
	source  *Node
	table   []TableCol
	tableAt diag.Span
	cols    []Col // of table
	fields  map[string]int
	input   Input
}

// timeline is an input with one way to give its events a timestamp (saql.md 4.2: each
// use with a different expression or keys is its own timeline).
type timeline struct {
	in    *streamInput
	sch   *schema
	by    *Expr // nil: arrival time
	over  []*Expr
	key   string // printed by and over, to find equal ones
	stamp *Node
}

func (t *timeline) schema() *schema { return t.sch }

func (t *timeline) node() *Node {
	if t.stamp == nil {
		t.stamp = t.in.c.newNode(&Stamp{By: t.by, Over: t.over}, t.in.sourceNode())
		if t.by != nil {
			t.stamp.Span = t.by.Span
			t.in.resolveTime(t.by)
			resolve(t.by, plainFrame{}, nil)
		}
		for _, k := range t.over {
			resolve(k, plainFrame{}, nil)
		}
	}
	return t.stamp
}

func (t *timeline) column(path []string) int {
	return t.in.field(t.in.c.metaField(path))
}

func (t *timeline) row() int { return t.in.field(vec.Field{}) }

// rawInput is an input without timestamps: reference data, or what TIMESTAMP BY sees of a
// stream, its events before they have one.
type rawInput struct {
	in  *streamInput
	sch *schema
}

func (r *rawInput) schema() *schema { return r.sch }
func (r *rawInput) node() *Node     { return r.in.sourceNode() }
func (r *rawInput) row() int        { return r.in.field(vec.Field{}) }
func (r *rawInput) column(path []string) int {
	return r.in.field(r.in.c.metaField(path))
}

func (in *streamInput) sourceNode() *Node {
	if in.source == nil {
		c := in.c
		in.index = len(c.plan.Inputs)
		in.input.Name = in.decl.Name
		in.input.Table = in.table
		in.input.Reference = in.decl.Reference
		c.plan.Inputs = append(c.plan.Inputs, in.input)
		in.source = c.newNode(&Source{Input: in.index})
		in.source.Span = in.input.Span
		for _, col := range in.table {
			// All of them, read or not: an event with a wrong one is dropped (saql.md 3.3).
			in.field(vec.Field{Path: []string{col.Name}})
		}
	}
	return in.source
}

// field gives the column of the source that decodes f, and adds it if it is new.
func (in *streamInput) field(f vec.Field) int {
	node := in.sourceNode()
	key := string(rune('0'+f.Want)) + strings.Join(f.Path, "\x00")
	switch {
	case f.Meta != "":
		key = "meta" + f.Meta
	case len(f.Path) == 0:
		key = "row"
	}
	if i, ok := in.fields[key]; ok {
		return i
	}
	i := len(node.Cols)
	in.fields[key] = i
	col := Col{Type: vec.AnyKind}
	switch {
	case f.Meta != "":
		col.Name, col.Type = f.Meta, vec.AnyKind&^vec.KindsOf(vec.Missing)
	case len(f.Path) == 0:
		col.Type = vec.KindsOf(vec.Record)
	case f.Want == vec.AsDatetime:
		col.Name, col.Type = f.Path[len(f.Path)-1], vec.KindsOf(vec.Datetime)|vec.NullKind
	default:
		col.Name = f.Path[len(f.Path)-1]
		if len(f.Path) == 1 {
			if known, ok := (&schema{cols: in.cols}).find(f.Path[0]); ok {
				col.Type = known.Type
			}
		}
	}
	node.Cols = append(node.Cols, col)
	input := &in.c.plan.Inputs[in.index]
	input.Fields = append(input.Fields, f)
	return i
}

// resolveTime lets the decoder parse the time where TIMESTAMP BY is a plain field: a text
// that is no time becomes NULL, and either is an input data error of that event.
func (in *streamInput) resolveTime(by *Expr) {
	if by.Op != OpCol || by.ref == nil || by.Type.NotNull() == vec.KindsOf(vec.Datetime) {
		return // no field, or one that CREATE TABLE makes a datetime
	}
	if _, ok := metaName(by.ref.path); ok {
		return
	}
	i := in.field(vec.Field{Path: in.c.fieldPath(by.ref.path), Want: vec.AsDatetime})
	*by = Expr{Op: OpCol, Col: i, Type: vec.KindsOf(vec.Datetime) | vec.NullKind, Span: by.Span}
}
