// Package fn is the functions of the language, one declaration each (saql.md section
// 7). The checker, the engine, the manual, completion and the tests all read the same
// declaration; nothing else lists a function.
package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// Types is the static type of an expression: the set of kinds that it may have.
type Types = vec.Kinds

// Of is the set of the given kinds.
func Of(k ...vec.Kind) Types { return vec.KindsOf(k...) }

// Sets of kinds that declarations use. None includes NULL: parameters take NULL always.
var (
	Any      = vec.AnyKind
	Num      = Of(vec.Int, vec.Float)
	Bigint   = Of(vec.Int)
	Float    = Of(vec.Float)
	Text     = Of(vec.String)
	Datetime = Of(vec.Datetime)
	Rec      = Of(vec.Record)
	Arr      = Of(vec.Array)
	Null     = Of(vec.Null)
)

// Param is a parameter. Before Eval the engine converts each argument to one of Types
// by the rules of "implicit conversion of arguments" (saql.md 3.8): text to number,
// number or datetime to text, text to datetime, bit to bigint; what does not convert is
// a query error of that row. A parameter of Types Any gets its argument as it is.
type Param struct {
	Name     string
	Types    Types
	Truncate bool // a bigint parameter takes a float and cuts its fraction
}

// Example is a call written in SAQL over constants and its result as JSON text
// (saql.md 3.11), such as {"LEN('ab  ')", "2"}. Examples run as tests and stand in the manual.
type Example struct{ In, Want string }

// Doc is the manual entry of a function.
type Doc struct {
	Summary  string // a sentence that starts with the function's name
	Section  string // of saql.md
	Examples []Example
	Story    *Story // for what constants cannot show
}

// Scalar is a function of one row.
//
// Unless KeepNull is set the engine gives NULL for a row with a NULL argument, and Eval
// may leave anything there: rows for which c.Skip(i) is true must not be reported as
// errors. Args have n rows each. Eval sets out to n rows (out.Fixed or out.Tagged) and
// keeps no reference to args; strings in out may share memory with args or be new.
type Scalar struct {
	Name     string
	Params   []Param
	Min      int  // least number of arguments; 0 means len(Params)
	Variadic bool // the last parameter repeats
	Part     bool // a date part stands first in the call; Eval finds it in c.Part
	KeepNull bool
	// Costly functions are evaluated only for rows whose value somebody asks for: CASE and AND
	// keep the others from them.
	Costly bool
	Result func(args []Types) Types // static type, without NULL unless it may come from non-NULL arguments
	Doc    Doc
	Eval   func(c *Call, out *vec.Vec, args []*vec.Vec, n int)
	// Source identifies the script of a user function: functions of the same source compute the
	// same. The others have none.
	Source string
	// Before12 is the function at the levels 1.0 and 1.1, if it is another (saql.md 3.9).
	Before12 *Scalar
	// Check, if set, looks at the constant arguments of a call when it is compiled:
	// consts[i] is nil when argument i is not constant. A nil result means no finding.
	Check func(consts []*vec.Value) *StaticError
}

// StaticError is what a function has against the constants of a call, found when the
// call is compiled. The first letter of Code tells errors (S) from warnings (W).
type StaticError struct {
	Code    string
	Message string
	Hint    string
	Arg     int // the argument that is wrong, from 0
}

// Call is what Eval may need beside its arguments.
type Call struct {
	Part Part // date part, if the function takes one
	// Nulls marks the rows that give NULL whatever Eval does; nil if there are none.
	Nulls []bool
	// Time is T of each row, where the engine knows it; nil for constants.
	Time []vec.Time
	// Leave marks rows that nobody asks for; nil if there are none. They give NULL.
	Leave []bool
	// Halt says that the first error ends the run: Eval may leave out what follows it.
	Halt bool
	// OnError is told of a row whose evaluation fails. The row becomes NULL, and the
	// engine stops or drops it by policy (saql.md 0: query error).
	OnError func(row int, message string)
	// OnNote is told of what a function counts; it may be nil.
	OnNote func(Note)
	rows   int        // how many rows Run has at hand, 0 outside of it
	nulls  []bool     // memory for Nulls
	args   []*vec.Vec // memory for the arguments that Run passes
	memos  memos      // converted dictionary entries
	// What functions keep from batch to batch of one call. An engine that keeps the
	// Call for as long as the call lives lets them; one goroutine uses a Call.
	entries  entryMemo
	builder  textBuilder
	patterns patternCache
	like     lastLike
	geo      geographies
}

// Skip reports whether row i gives NULL whatever Eval does.
func (c *Call) Skip(i int) bool { return c.Nulls != nil && c.Nulls[i] }

// Fail reports a query error of row i. It does nothing for a row that Skip is true for,
// and Skip is true for the row afterwards while a scalar function runs: a row has one
// error at most.
func (c *Call) Fail(i int, message string) {
	if c.Skip(i) {
		return
	}
	c.mark(i)
	if c.OnError != nil {
		c.OnError(i, message)
	}
}

// Agg is an aggregate function.
type Agg struct {
	Name    string
	Params  []Param // none for COUNT(*)
	Result  func(args []Types) Types
	Doc     Doc
	New     func(AggSpec) Acc
	Source  string // as of Scalar
	InOrder bool   // the result depends on the order of rows (Collect, UDA)
	// Ordered aggregates have an ORDER BY: its keys stand behind the other arguments.
	Ordered bool
	// WithTime aggregates get T of the row as a datetime behind all other arguments.
	WithTime bool
	// WithNulls aggregates do not skip NULL; COUNT(*) has no argument to skip.
	WithNulls bool
	// Literal aggregates have a literal as their first parameter; it becomes AggSpec.Const
	// and no argument.
	Literal bool
	// Row aggregates may leave out their last parameter, which then is the whole row.
	Row bool
}

// AggSpec is a call of an aggregate as Agg.New sees it.
type AggSpec struct {
	Args  []Types   // static types of the arguments, order keys and time included
	Desc  []bool    // per order key
	Const vec.Value // the literal argument: n of CollectTop, the share of a percentile
	// Whole tells that rows are only added: there will be no Merge, Remove or Unmerge.
	Whole bool
	// Back tells that rows are taken back one by one, if the Acc is an Inverse. It may be
	// worth it then to hold more, so as to be one.
	Back bool
}

// ScriptPlace is something in the script of a user function. The zero value is nothing.
type ScriptPlace struct {
	What         string
	Line, Column int // from 1; columns count code points
}

// ScriptError is a user function that does not load (saql.md 13.2: SA9001, SA9002).
type ScriptError struct {
	Message      string
	Line, Column int    // in the script, from 1; 0: no place
	Method       string // the method that a UDA lacks, else ""
}

func (e *ScriptError) Error() string { return e.Message }

// Acc holds the values of one aggregate, a slot a group and pane. One call a batch, never
// one a row. A query error (text that is no number, bigint overflow) marks the slot; Result
// reports it through c.Fail.
//
// All results of an Acc are independent of the order in which rows were added and panes
// merged, so that neither batches nor shards nor a left-out sort can show (ARCHITECTURE.md).
// Unless Agg.InOrder: then the rows of a slot are added in the order of (T, arrival), Merge
// is called with every row of dst before every row of src, and what Remove and Unmerge take
// back is the oldest rows of the slot. One call of Merge or Unmerge goes from the first
// pair to the last, and a slot may be dst of several.
type Acc interface {
	// Grow makes at least n slots; new ones are empty.
	Grow(n int)
	// Add feeds row i of args into slots[i], for all i.
	Add(slots []int32, args []*vec.Vec)
	// Merge adds the content of src[i] to dst[i], for all i. src stays as it is.
	Merge(dst, src []int32)
	// Reset empties slots.
	Reset(slots []int32)
	// Result sets out to the results of the slots, a row each. c.Fail(i, ..) reports slots[i].
	Result(c *Call, slots []int32, out *vec.Vec)
	// Save writes a slot, Load reads what Save wrote into an empty slot.
	Save(slot int32, w *state.Writer)
	Load(slot int32, r *state.Reader)
	// Bytes is about how much memory the Acc holds.
	Bytes() int
}

// Inverse is an Acc that can take back what it was given, exactly.
type Inverse interface {
	Acc
	// Remove undoes Add of the same rows.
	Remove(slots []int32, args []*vec.Vec)
	// Unmerge undoes Merge.
	Unmerge(dst, src []int32)
}

// Holder is an Acc whose slots hold values of rows, not only a total. Held is how many, for
// the limit of what waits.
type Holder interface{ Held() int }

// Part is a date part (saql.md 1.8).
type Part uint8

// The date parts.
const (
	Year Part = iota
	Quarter
	Month
	DayOfYear
	Day
	Week
	Weekday
	Hour
	Minute
	Second
	Millisecond
	Microsecond
)

var scalars = map[string]*Scalar{}
var aggs = map[string]*Agg{}
