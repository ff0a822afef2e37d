// Package plan turns a syntax tree into a plan: resolved, typed, lowered to nodes and
// optimised. A plan is plain data that can be printed, compared and stored.
package plan

import (
	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/vec"
	"weir/internal/window"
)

// Plan is a compiled script: a graph of nodes from inputs to outputs.
type Plan struct {
	Src      string
	Inputs   []Input
	Nodes    []*Node // every node stands after the nodes that it reads
	Outputs  []Output
	Warnings []*diag.Diagnostic
	Steps    []StepInfo // the steps that something reads, for taps
	Level    Level      // for the decoder: at level 1.0 field names are in lower case
}

// StepInfo is a WITH step as it stands in the plan: the node that gives its rows, and
// which of the node's columns are columns of the step. Columns that nobody reads are
// not computed and do not stand here.
type StepInfo struct {
	Name string
	Node *Node
	Cols []int
}

// Input is an input that the plan reads.
type Input struct {
	Name   string      // as the environment declares it
	Fields []vec.Field // what to decode: the columns of its Source node, in order
	Span   diag.Span   // its first use
	// Columns of a CREATE TABLE, if there is one: the types that the engine enforces.
	Table []TableCol
}

// TableCol is a column of CREATE TABLE.
type TableCol struct {
	Name string
	Type vec.Kind
}

// Output is a sink that the plan writes.
type Output struct {
	Name string
	Node *Node // its Output node
}

// Node is one operation. It reads the rows of In and gives rows with the columns Cols.
type Node struct {
	ID   int // position in Plan.Nodes
	In   []*Node
	Op   Op
	Cols []Col
	Span diag.Span
	Step string // the step that it belongs to, "" for the statement's own select
	// Stage numbers the stage of the node: a chain that runs for one shard of the keys.
	Stage int
}

// Col is a column. Name is its name in the step or output; internal columns have none.
type Col struct {
	Name string
	Type vec.Kinds
}

// Op is what a node does: *Source, *Stamp, *Filter, *Project, *Order, *Group, *Write.
type Op interface{ op() }

// Source gives the decoded events of an input, one column per field, with arrival times.
type Source struct{ Input int }

// Stamp gives rows their timestamp T and applies the late, early and out-of-order
// policies (saql.md 4.3). By nil means arrival time. Events whose By is NULL or no time
// are input data errors.
type Stamp struct {
	By   *Expr
	Over []*Expr
}

// Filter keeps the rows for which Pred is true.
type Filter struct{ Pred *Expr }

// Project computes columns. T stays.
type Project struct{ Exprs []*Expr }

// Order merges its inputs by (T, input, arrival). Soft: nobody downstream but an output
// sees the order, so a continuous run leaves the sort out (saql.md 4.3 step 4). With
// several inputs and Concat it only joins streams whose order nobody sees.
type Order struct {
	Soft   bool
	Concat bool
}

// Group aggregates rows in windows. Columns of the result: the keys, the aggregates,
// and, if WithID, the window id (nvarchar or NULL). T of the result is the window end.
type Group struct {
	Keys    []int         // columns of the input
	Windows []window.Spec // Spec.Over holds columns of the input
	Aggs    []GroupAgg
	WithID  bool
}

// GroupAgg is an aggregate call over columns of the input.
type GroupAgg struct {
	Fn   *fn.Agg
	Args []int
	Span diag.Span
}

// Write gives rows to output Output. If Row is set the only column is a record that is
// the row itself (SELECT * over unknown columns); else the columns are the row.
type Write struct {
	Output int
	Row    bool
}

func (*Source) op()  {}
func (*Stamp) op()   {}
func (*Filter) op()  {}
func (*Project) op() {}
func (*Order) op()   {}
func (*Group) op()   {}
func (*Write) op()   {}

// ExprOp is the operation of an expression node.
type ExprOp uint8

// Value operations give a column, truth operations a predicate.
const (
	OpCol      ExprOp = iota // column Col of the row
	OpConst                  // Val
	OpTime                   // T of the row: System.Timestamp()
	OpField                  // property Name of record Args[0]: exact name, else without case; Missing if there is none, NULL if Args[0] is no record
	OpCall                   // Fn(Args...), Part
	OpCast                   // CAST(Args[0] AS To)
	OpTryCast                // TRY_CAST(Args[0] AS To)
	OpCase                   // Args: cond, then, cond, then, ..., else. If To is Float, bigint results become float
	OpCoalesce               // first non-NULL of Args, later ones not evaluated
	OpPresent                // first of Args that is not Missing, else Missing
	OpArith                  // Args[0] Sub Args[1]: + - * / % & | ^
	OpNeg                    // - Args[0]
	OpBitNot                 // ~ Args[0]
	OpRecord                 // record of Names and Args, leftmost name wins; an empty name splices the record Args[i]; Missing arguments of named fields become NULL
	OpNull                   // Args[0] with Missing turned into NULL (a named column of a select list)
	OpAnd                    // truth: all Args, left to right
	OpOr                     // truth: any of Args, left to right
	OpNot                    // truth
	OpCmp                    // truth: Args[0] Sub Args[1]: = <> < <= > >=
	OpIn                     // truth: Args[0] = any of the rest
	OpLike                   // truth: Args[0] LIKE Args[1], escape character Escape (0: none)
	OpIsNull                 // truth
)

// Expr is a typed expression. The same *Expr may stand in several places of a tree; it
// is evaluated once per batch.
type Expr struct {
	Op     ExprOp
	Type   vec.Kinds // 0 for truth
	Span   diag.Span
	Args   []*Expr
	Col    int
	Val    vec.Value
	Name   string
	Names  []string
	Fn     *fn.Scalar
	Part   fn.Part
	To     vec.Kind
	Sub    string
	Escape rune

	ref *ref // what a column stands for; nil in a finished plan
}

// Truth reports whether e is a predicate.
func (e *Expr) Truth() bool { return e.Op >= OpAnd }

// Env is what a query is compiled against: the job's inputs, outputs and settings.
type Env struct {
	Inputs []InputDecl
	// AnyInput accepts input names that are not declared (weir check without a job).
	AnyInput bool
	Outputs  []string
	// AnyOutput accepts any output name, and "output" for a statement without INTO.
	AnyOutput bool
	// Functions are the known user functions, such as "UDF.hex2int" (without case).
	Functions []string
	Level     Level
	Portable  bool // report extensions as W9001
}

// InputDecl declares an input.
type InputDecl struct {
	Name      string
	Reference bool
}

// Level is the compatibility level (saql.md 3.9).
type Level uint8

// The levels. The zero value is the default, 1.2.
const (
	Level12 Level = iota
	Level11
	Level10
)
