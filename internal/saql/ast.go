// Package saql turns query text into a syntax tree and back (saql.md sections 1 and 2).
package saql

import "weir/internal/diag"

// Name is an identifier as written. Text is its content without brackets or quotes.
type Name struct {
	Text  string
	Quote byte // 0 bare, '[' bracketed, '"' or '\'' quoted
	Span  diag.Span
}

// Script is a parsed text.
type Script struct {
	Src      string
	Stmts    []Stmt
	Comments []Comment // in order of position
}

// Comment is a comment with its delimiters.
type Comment struct {
	Text string
	Span diag.Span
}

// Stmt is *CreateTable, *CreateFunction or *Query.
type Stmt interface{ Pos() diag.Span }

// CreateTable declares the columns of an input.
type CreateTable struct {
	Span diag.Span
	Name Name
	Cols []ColumnDef
}

// ColumnDef is a column of CREATE TABLE.
type ColumnDef struct {
	Name Name
	Type TypeName
}

// TypeName is a type as written: bigint, float, nvarchar(max)... Text is in lower case
// and holds the argument: "nvarchar(max)", "nvarchar(50)", "int". The checker judges it.
type TypeName struct {
	Text string
	Span diag.Span
}

// CreateFunction declares a JavaScript function or aggregate (saql.md 10.6).
type CreateFunction struct {
	Span      diag.Span
	Aggregate bool
	Name      Name
	Returns   *TypeName // nil: any
	Body      string
	BodySpan  diag.Span // of the text between the quotes
}

// Query is a statement: steps and a body that writes to an output.
type Query struct {
	Span diag.Span
	With []*Step
	Body QueryExpr
	// Broken tells that a syntax error in the statement was reported: parts of it may be
	// missing, and expressions may be *Bad.
	Broken bool
}

// Step is a named query of a WITH clause.
type Step struct {
	Span diag.Span
	Name Name
	Body QueryExpr
}

// QueryExpr is *Select or *Union.
type QueryExpr interface{ Pos() diag.Span }

// Union is two or more branches. UNION and UNION ALL mean the same.
type Union struct {
	Span     diag.Span
	Branches []QueryExpr
	All      []bool // for each branch after the first: written with ALL
	Paren    bool   // stood in parentheses
}

// Select is a query block. Paren tells that it stood in parentheses as a union branch.
type Select struct {
	Span     diag.Span
	Distinct bool
	All      bool
	Top      *Top
	Items    []SelectItem
	Into     *Name
	From     TableExpr // nil if FROM is missing
	Where    Expr
	GroupBy  []GroupItem
	GroupPos diag.Span // of the words GROUP BY
	Having   Expr
	OrderBy  []OrderItem
	Paren    bool // stood in parentheses; the span is without them
}

// Top is TOP n.
type Top struct {
	Span  diag.Span
	Count int64
	Paren bool
}

// SelectItem is `*`, `path.*` or an expression. Exactly one of Star and Expr is set.
type SelectItem struct {
	Span     diag.Span
	Star     bool
	StarOf   []Name // the path before .*; empty for a bare *
	Expr     Expr
	Alias    *Name
	AliasPos AliasForm
}

// AliasForm says how an alias was written.
type AliasForm uint8

// The forms.
const (
	AliasNone  AliasForm = iota
	AliasAs              // expr AS name
	AliasBare            // expr name
	AliasFirst           // name = expr
)

// OrderItem is a key of ORDER BY.
type OrderItem struct {
	Expr Expr
	Desc bool
	Asc  bool // written
}

// TableExpr is *Source, *Derived, *Join, *Apply or *ParenTable.
type TableExpr interface{ Pos() diag.Span }

// Source is an input or step by name.
type Source struct {
	Span        diag.Span
	Name        Name
	Alias       *Name
	AliasAs     bool
	PartitionBy *PartitionBy
	TimestampBy *TimestampBy
	Match       *MatchRecognize
}

// Derived is a query in FROM.
type Derived struct {
	Span        diag.Span
	Body        QueryExpr
	Alias       *Name
	AliasAs     bool
	PartitionBy *PartitionBy
	Match       *MatchRecognize
}

// ParenTable is a table expression in parentheses.
type ParenTable struct {
	Span  diag.Span
	Table TableExpr
}

// PartitionBy is PARTITION BY keys [INTO n].
type PartitionBy struct {
	Span diag.Span
	Keys []Expr
	Into *Literal
}

// TimestampBy is TIMESTAMP BY expr [OVER keys].
type TimestampBy struct {
	Span diag.Span
	Expr Expr
	Over []Expr
}

// JoinKind is the kind of a JOIN. Right, Full and Cross parse and are then refused.
type JoinKind uint8

// The kinds.
const (
	InnerJoin JoinKind = iota
	LeftJoin
)

// Join is left [INNER|LEFT [OUTER]] JOIN right ON cond.
type Join struct {
	Span    diag.Span
	Kind    JoinKind
	Written string // the words before JOIN in upper case: "", "INNER", "LEFT", "LEFT OUTER"
	Left    TableExpr
	Right   TableExpr
	On      Expr
	KeyPos  diag.Span // of the words up to JOIN
}

// Apply is left CROSS|OUTER APPLY Func(Arg) AS Alias.
type Apply struct {
	Span    diag.Span
	Outer   bool
	Left    TableExpr
	Func    Name
	Arg     Expr
	Alias   Name
	AliasAs bool
}

// GroupItem is a window, `System.Timestamp()` or a key: exactly one field is set
// beside Span.
type GroupItem struct {
	Span     diag.Span
	Window   *WindowSpec
	Windows  *WindowSet
	Snapshot *Call // System.Timestamp, bare
	Key      Expr
}

// WindowSet is Windows(...).
type WindowSet struct {
	Span    diag.Span
	Entries []WindowEntry
}

// WindowEntry is an entry of Windows: a window, or the snapshot when Window is nil.
type WindowEntry struct {
	Span     diag.Span
	ID       *Literal // nil without Window('id', ..)
	Window   *WindowSpec
	Snapshot *Call
	Nested   *WindowSet // refused by the checker (SA5007)
}

// WindowKind is the family of a time window.
type WindowKind uint8

// The families.
const (
	Tumbling WindowKind = iota
	Hopping
	Sliding
	Session
)

// WindowSpec is a time window as written. Args are its arguments in order; the checker
// gives them their meaning (saql.md 2.5).
type WindowSpec struct {
	Span   diag.Span
	Kind   WindowKind
	Name   Name // as written: TumblingWindow, TUMBLING...
	Args   []WindowArg
	Over   []Expr // OVER (PARTITION BY keys), session only
	OverAt diag.Span
}

// WindowArg is a unit word, a number expression, or a function form such as Duration(minute, 5).
// Either Func is set, with Unit and Value its two arguments; or Unit alone; or Value alone.
type WindowArg struct {
	Span  diag.Span
	Func  *Name // Duration, Hop, Offset, Timeout, MaxDuration
	Unit  *Name
	Value Expr
}

// Expr is an expression node.
type Expr interface{ Pos() diag.Span }

// LiteralKind is the kind of a literal.
type LiteralKind uint8

// The kinds.
const (
	LitString LiteralKind = iota
	LitInt
	LitFloat
	LitNull
	LitTrue
	LitFalse
)

// Literal is a constant. Raw is its text in the source.
type Literal struct {
	Span  diag.Span
	Kind  LiteralKind
	Raw   string
	Str   string
	Int   int64
	Float float64
}

// Path is a name or a dotted path: a, a.b.[c d]. A single name quoted with " may be a
// string or a column (saql.md 1.4).
type Path struct {
	Span  diag.Span
	Names []Name
}

// FieldExpr is x.name where x is not a path: GetArrayElement(a, 0).b, System.Window().Id.
type FieldExpr struct {
	Span diag.Span
	X    Expr
	Name Name
}

// Call is a function call. Prefix is System, UDF, UDA or another prefix as written, or
// nil. A System.Timestamp without parentheses has NoParens.
type Call struct {
	Span     diag.Span
	Prefix   *Name
	Name     Name
	NoParens bool
	Star     bool // COUNT(*)
	Distinct bool
	All      bool
	Args     []Expr
	Over     *Over
}

// Over is OVER (...). A nil part was not written.
type Over struct {
	Span                             diag.Span
	PartitionBy                      []Expr
	OrderBy                          []OrderItem
	Limit                            *Limit
	When                             Expr
	PartAt, OrderAt, LimitAt, WhenAt diag.Span
}

// Limit is LIMIT DURATION(unit, n).
type Limit struct {
	Span  diag.Span
	Unit  Name
	Value Expr
}

// Case is CASE. Operand is nil in the searched form; Else is nil when not written.
type Case struct {
	Span    diag.Span
	Operand Expr
	Whens   []When
	Else    Expr
}

// When is a branch of CASE.
type When struct{ Cond, Then Expr }

// Cast is CAST or TRY_CAST.
type Cast struct {
	Span diag.Span
	Try  bool
	X    Expr
	Type TypeName
}

// Unary is + - ~ or NOT.
type Unary struct {
	Span diag.Span
	Op   string // "+", "-", "~", "NOT"
	X    Expr
}

// Binary is an arithmetic, bitwise, comparison or logical operator. Op is normalised:
// + - * / % & | ^ = <> < <= > >= AND OR. Written keeps !=, !<, !>.
type Binary struct {
	Span    diag.Span
	Op      string
	Written string
	OpSpan  diag.Span
	L, R    Expr
}

// Between is x [NOT] BETWEEN lo AND hi.
type Between struct {
	Span   diag.Span
	Not    bool
	X      Expr
	Lo, Hi Expr
}

// In is x [NOT] IN (list).
type In struct {
	Span diag.Span
	Not  bool
	X    Expr
	List []Expr
}

// Like is x [NOT] LIKE pattern [ESCAPE e].
type Like struct {
	Span    diag.Span
	Not     bool
	X       Expr
	Pattern Expr
	Escape  *Literal
}

// IsNull is x IS [NOT] NULL.
type IsNull struct {
	Span diag.Span
	Not  bool
	X    Expr
}

// Paren is an expression in parentheses. The checker looks through it.
type Paren struct {
	Span diag.Span
	X    Expr
}

// Bad stands for an expression that could not be parsed; the error has been reported.
type Bad struct{ Span diag.Span }

// MatchRecognize is MATCH_RECOGNIZE (...) (saql.md 2.7).
type MatchRecognize struct {
	Span        diag.Span
	Limit       *Limit
	PartitionBy []Expr
	Measures    []Measure
	SkipToNext  bool // AFTER MATCH SKIP TO NEXT ROW was written
	Pattern     Pattern
	Define      []Definition
	Alias       *Name
	AliasAs     bool
}

// Measure is an output of MATCH_RECOGNIZE.
type Measure struct {
	Expr  Expr
	Alias Name
}

// Definition is v AS p.
type Definition struct {
	Name Name
	Cond Expr
}

// Pattern is a row pattern.
type Pattern interface{ Pos() diag.Span }

// PatternVar is a variable, or any row when Any (`.`).
type PatternVar struct {
	Span diag.Span
	Name Name
	Any  bool
}

// PatternSeq is a sequence.
type PatternSeq struct {
	Span  diag.Span
	Parts []Pattern
}

// PatternAlt is alternatives.
type PatternAlt struct {
	Span diag.Span
	Alts []Pattern
}

// PatternRepeat is X*, X+ or X?.
type PatternRepeat struct {
	Span diag.Span
	X    Pattern
	Op   byte
}

// PatternGroup is a pattern in parentheses.
type PatternGroup struct {
	Span diag.Span
	X    Pattern
}

func (n *CreateTable) Pos() diag.Span    { return n.Span }
func (n *CreateFunction) Pos() diag.Span { return n.Span }
func (n *Query) Pos() diag.Span          { return n.Span }
func (n *Union) Pos() diag.Span          { return n.Span }
func (n *Select) Pos() diag.Span         { return n.Span }
func (n *Source) Pos() diag.Span         { return n.Span }
func (n *Derived) Pos() diag.Span        { return n.Span }
func (n *ParenTable) Pos() diag.Span     { return n.Span }
func (n *Join) Pos() diag.Span           { return n.Span }
func (n *Apply) Pos() diag.Span          { return n.Span }
func (n *Literal) Pos() diag.Span        { return n.Span }
func (n *Path) Pos() diag.Span           { return n.Span }
func (n *FieldExpr) Pos() diag.Span      { return n.Span }
func (n *Call) Pos() diag.Span           { return n.Span }
func (n *Case) Pos() diag.Span           { return n.Span }
func (n *Cast) Pos() diag.Span           { return n.Span }
func (n *Unary) Pos() diag.Span          { return n.Span }
func (n *Binary) Pos() diag.Span         { return n.Span }
func (n *Between) Pos() diag.Span        { return n.Span }
func (n *In) Pos() diag.Span             { return n.Span }
func (n *Like) Pos() diag.Span           { return n.Span }
func (n *IsNull) Pos() diag.Span         { return n.Span }
func (n *Paren) Pos() diag.Span          { return n.Span }
func (n *Bad) Pos() diag.Span            { return n.Span }
func (n *PatternVar) Pos() diag.Span     { return n.Span }
func (n *PatternSeq) Pos() diag.Span     { return n.Span }
func (n *PatternAlt) Pos() diag.Span     { return n.Span }
func (n *PatternRepeat) Pos() diag.Span  { return n.Span }
func (n *PatternGroup) Pos() diag.Span   { return n.Span }
