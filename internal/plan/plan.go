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
	// Reference tells that it is reference data: versions of a table instead of a stream.
	// Its Source node, and every node that reads such nodes only, is computed once a
	// version; only a Lookup brings such rows to a stream (saql.md 6.6).
	Reference bool
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

// Op is what a node does: *Source, *Stamp, *Filter, *Project, *Order, *Group, *Top,
// *Join, *Lookup, *Apply, *History, *Match, *Write.
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
	// Desc and Const are what fn.AggSpec says.
	Desc  []bool
	Const vec.Value
}

// Top orders the rows of each T by the columns By, descending where Desc says so, and
// keeps the first N of them; N < 0 keeps all. NULL is the smallest; without By rows keep
// their order (saql.md 5.10).
type Top struct {
	By   []int
	Desc []bool
	N    int64
}

// Out says where a column of a node comes from: column Col of input Port, or, where Port
// is Made, what the node computes itself as result Col. So columns can be added at the end
// at any time, and nothing is copied that nobody reads.
type Out struct{ Port, Col int }

// Made is the Port of what a node computes itself.
const Made = -1

// Join pairs each row l of In[0] with the rows r of In[1] for which Lo <= T(r) - T(l) <= Hi,
// the Keys are equal (key equality, NULL equals nothing) and On is true. A pair has
// T = max(T(l), T(r)). Outer gives a left row without a pair once, with NULLs for columns of
// the right, at max(T(l), the least of its Until), when the watermark passes that
// (saql.md 6.2 to 6.5). Pairs of equal T come in the order of (T(l), arrival of l, T(r),
// arrival of r). Both inputs come in the order of time.
type Join struct {
	Outer  bool
	Keys   [2][]int // columns of the left and of the right input, as many of each
	Lo, Hi vec.Time // ticks, both at most 7 days from 0
	// Until bounds the T of a match: T of the left row + Hi if it is empty, else for each
	// entry the time in column Col of the left input + Hi; an entry that is NULL says nothing.
	Until []TimeBound
	On    *Expr // over the columns of this node, NULL rows never seen; nil: nothing more
	Out   []Out
	Sides [2]string // for people: what the query calls the sides, "" if a side is a join itself
}

// TimeBound is a bound relative to a datetime column.
type TimeBound struct {
	Col int
	Hi  vec.Time
}

// Lookup pairs each row of In[0] with the rows of the version of the reference data In[1]
// that is in force at its T: the one with the greatest effective time <= T, before the
// first version the first (saql.md 6.6). T and order stay; matches come in the order of
// the reference data. In[0] may be reference data itself; then all is of one version.
type Lookup struct {
	Outer bool
	Keys  [2][]int
	On    *Expr // as in Join
	// Spatial, if set, is a conjunct of On that an index answers first; On still holds it.
	Spatial *Spatial
	Out     []Out
	Sides   [2]string // as in Join
}

// Spatial is fn(a, b) = 1 for a geospatial predicate of one geography of each side.
type Spatial struct {
	Fn    *fn.Scalar // ST_WITHIN or ST_INTERSECTS
	Left  int        // column of In[0]
	Right int        // column of In[1]
	// Inner tells that the left geography is the first argument.
	Inner bool
}

// Apply gives a row for every element of the array, or property of the record, Arg (over
// the columns of In[0]). Results: 0 is the index (bigint from 0) or the name of the
// property, 1 the value. NULL and empty have none; another kind is a query error. Outer
// gives a row with NULLs where there are none (saql.md 6.7).
type Apply struct {
	Arg   *Expr
	Of    vec.Kind // Array or Record
	Outer bool
	Out   []Out
	Name  string // for people: what the query calls the element
}

// History computes analytic functions: every row of In[0], which come in the order of
// time, gives one row. Result i is that of Calls[i] (saql.md 8, 11).
type History struct {
	Calls []HistoryCall
	Out   []Out
}

// HistoryKind is an analytic function.
type HistoryKind uint8

// The analytic functions. A row sees itself and the rows before it, of equal Keys, with
// T > its T - Limit, for which When is true.
const (
	Lag         HistoryKind = iota // Args: value [, default]. The row Offset rows back among the earlier ones
	Last                           // Args: value [, default]. The newest row, the current one included
	IsFirst                        // 1 for the first row of each interval (k*Limit, (k+1)*Limit]
	Over                           // Agg over the rows
	SpikeAndDip                    // Args: x
	ChangePoint                    // Args: x
)

// HistoryCall is a call of an analytic function.
type HistoryCall struct {
	Kind   HistoryKind
	Args   []int // columns of the input
	Keys   []int
	When   *Expr    // predicate over the columns of the input, nil: always true
	Limit  vec.Time // LIMIT DURATION, or the interval of ISFIRST
	Offset int      // of Lag, at least 1
	Agg    GroupAgg // of Over; its Args count, not those of the call
	// Of the anomaly functions (saql.md 11).
	Confidence float64
	Size       int
	Mode       AnomalyMode
	Type       vec.Kinds // of the result
	Span       diag.Span
}

// AnomalyMode is the mode of AnomalyDetection_SpikeAndDip.
type AnomalyMode uint8

// The modes.
const (
	SpikesAndDips AnomalyMode = iota
	Spikes
	Dips
)

// Match finds sequences of rows: MATCH_RECOGNIZE (saql.md 9). Its rows are the measures,
// its columns are Measures in order. Rows of In[0] come in the order of time.
type Match struct {
	Keys    []int
	Limit   vec.Time
	Pattern *Pattern
	Vars    []MatchVar // each variable of the pattern and of DEFINE, by number
	Refs    []MatchRef
	// Measures are over the Refs, and behind them one column with the array of Classifier().
	// System.Timestamp() is T of the result.
	Measures []*Expr
}

// MatchVar is a variable of a pattern.
type MatchVar struct {
	Name string // as PATTERN writes it
	// Define is over the Refs, with the row that is tried counted as one of the variable;
	// System.Timestamp() is T of that row. nil matches every row.
	Define *Expr
}

// MatchRef is a value over the rows matched so far: that of column Col in the first or
// last row, or the least or greatest one, of the rows matched as Var. Var AnyVar means
// all rows of the match.
type MatchRef struct {
	Var int
	Of  MatchFn
	Col int
}

// AnyVar is the variable of a MatchRef over all rows.
const AnyVar = -1

// MatchFn is a function over the rows of a variable.
type MatchFn uint8

// The functions.
const (
	LastOf MatchFn = iota
	FirstOf
	MinOf
	MaxOf
)

// Pattern is a regular expression over rows.
type Pattern struct {
	Kind  PatternKind
	Var   int        // of One
	Parts []*Pattern // of Sequence and Choice: 2 or more; of a repetition: 1
}

// PatternKind is what a part of a pattern is.
type PatternKind uint8

// The kinds. Repetitions are greedy.
const (
	One      PatternKind = iota // a row that may be Var
	AnyRow                      // the dot
	Sequence                    // Parts one behind the other
	Choice                      // the first of Parts that leads to a match
	Star
	Plus
	Optional
)

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
func (*Top) op()     {}
func (*Join) op()    {}
func (*Lookup) op()  {}
func (*Apply) op()   {}
func (*History) op() {}
func (*Match) op()   {}

// ExprOp is the operation of an expression node.
type ExprOp uint8

// Value operations give a column, truth operations a predicate.
const (
	OpCol      ExprOp = iota // column Col of the row
	OpConst                  // Val
	OpTime                   // T of the row: System.Timestamp()
	OpField                  // property Name of record Args[0]: exact name, else without case; Missing if there is none or no record, NULL if Args[0] is another value
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
	// Functions are the user functions of the job, found without case.
	Functions []Function
	// Load makes a function of a CREATE FUNCTION; its error may be a *fn.ScriptError, which
	// becomes a diagnostic. Without it such functions do not load.
	Load     func(FunctionSource) (Function, error)
	Level    Level
	Portable bool // report extensions as W9001
	// Policies are those of the job, for warnings; nil if they are not known.
	Policies *Policies
}

// Function is a user function (saql.md 10): UDF.Name with its Scalar, or UDA.Name with its
// Agg if Aggregate is set.
type Function struct {
	Name      string
	Aggregate bool
	Scalar    *fn.Scalar
	Agg       *fn.Agg
	// Unrepeatable is what in the script asks for the time or for chance, for W7003.
	Unrepeatable fn.ScriptPlace

	at diag.Span // of the name in CREATE FUNCTION, if that made it
}

// function finds a user function by its name, without case.
func (e *Env) function(name string, aggregate bool) (Function, bool) {
	for _, f := range e.Functions {
		if f.Aggregate == aggregate && sameName(f.Name, name) {
			return f, true
		}
	}
	return Function{}, false
}

// full is the name as queries write it.
func (f Function) full() string {
	if f.Aggregate {
		return "UDA." + f.Name
	}
	return "UDF." + f.Name
}

// FunctionSource is a function as a job or a CREATE FUNCTION declares it.
type FunctionSource struct {
	Name      string
	Aggregate bool
	Returns   vec.Kind // Missing means any
	Script    string
	Level     Level // how JavaScript's Boolean comes back (saql.md 10.3)
}

// InputDecl declares an input.
type InputDecl struct {
	Name      string
	Reference bool
	// Partitions is how many partitions the input has; 0 if that is not known.
	Partitions int
	// Times are fields that a sample of its events shows to hold times, for W5001.
	Times []string
}

// Level is the compatibility level (saql.md 3.9).
type Level uint8

// The levels. The zero value is the default, 1.2.
const (
	Level12 Level = iota
	Level11
	Level10
)
