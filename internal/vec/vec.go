// Package vec holds rows: kinds, times, columns (vectors) and batches, and the
// conversions and comparisons between kinds that saql.md section 3 defines.
//
// A column is a Vec: typed slices ("lanes") and, where the rows of a column differ
// in kind, a tag per row. Whoever receives a Batch may read it until the call
// returns and copies what it keeps; strings in a Vec may point into a buffer that
// is reused afterwards, so keeping a string means strings.Clone.
package vec

// Kind says what a value is. Types belong to values, not to columns (saql.md 3.1).
type Kind uint8

// The kinds. Missing is an absent field: it reads as NULL, and only `*` sees the
// difference.
const (
	Missing Kind = iota
	Null
	Bit
	Int
	Float
	String
	Datetime
	Record
	Array
	NumKinds = iota
)

// IsNull reports whether a value of kind k reads as NULL.
func (k Kind) IsNull() bool { return k <= Null }

// IsNumber reports whether k is bit, bigint or float.
func (k Kind) IsNumber() bool { return k == Bit || k == Int || k == Float }

// String is the name of the type as GetType gives it (saql.md 3.1).
func (k Kind) String() string {
	return [...]string{"missing", "null", "bit", "bigint", "float", "nvarchar(max)", "datetime", "record", "array"}[k]
}

// Kinds is a set of kinds: the static type of an expression.
type Kinds uint16

// KindsOf is the set of the given kinds.
func KindsOf(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// The sets that come up often.
const (
	AnyKind  Kinds = 1<<NumKinds - 1
	NullKind Kinds = 1<<Missing | 1<<Null
)

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// NotNull is the set without Missing and Null.
func (s Kinds) NotNull() Kinds { return s &^ NullKind }

// Within reports whether every kind of s is in t.
func (s Kinds) Within(t Kinds) bool { return s&^t == 0 }

// Time is a point in time in ticks of 100 ns since 0001-01-01T00:00:00Z.
type Time int64

// Bounds of time. MinTime and MaxTime are beyond every datetime: they stand for
// "before all" and "after all" in watermarks.
const (
	MinTime Time = -1 << 63
	MaxTime Time = 1<<63 - 1
)

// Durations in ticks.
const (
	Microsecond Time = 10
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond
	Minute           = 60 * Second
	Hour             = 60 * Minute
	Day              = 24 * Hour
)

// Rec is a record (Names set, same length as Vals) or an array (Names nil). It is
// immutable once it stands in a Vec or Value: share it freely.
type Rec struct {
	Names []string
	Vals  []Value
}

// Value is one value of any kind, boxed. Slow paths, constants and tests use it.
type Value struct {
	Kind  Kind
	Int   int64   // Bit (0 or 1), Int, Datetime (ticks)
	Float float64 // Float
	Str   string  // String
	Rec   *Rec    // Record, Array
}

// Constructors of values.
func NullValue() Value           { return Value{Kind: Null} }
func IntValue(x int64) Value     { return Value{Kind: Int, Int: x} }
func FloatValue(x float64) Value { return Value{Kind: Float, Float: x} }
func StringValue(s string) Value { return Value{Kind: String, Str: s} }
func TimeValue(t Time) Value     { return Value{Kind: Datetime, Int: int64(t)} }
func RecordValue(r *Rec) Value   { return Value{Kind: Record, Rec: r} }
func ArrayValue(r *Rec) Value    { return Value{Kind: Array, Rec: r} }

// BitValue is the bit of b.
func BitValue(b bool) Value {
	v := Value{Kind: Bit}
	if b {
		v.Int = 1
	}
	return v
}

// Dict is an append-only list of the distinct strings of a column. Codes index
// Vals. A Dict keeps its identity and its codes for as long as its decoder lives,
// so operators may cache by (Dict pointer, code). Vals own their memory.
type Dict struct {
	Vals []string
}

// Vec is a column: N rows.
//
// If Tag is nil every row is of Kind and the lane of Kind has length N (no lane for
// Null and Missing). If Tag is set it has length N and says the kind of each row,
// Kind is meaningless, and each lane is either nil (no row has one of its kinds) or
// has length N; rows of other kinds hold zeros there. If Dict is set, the text of a
// String row is Dict.Vals[Code[i]] and Str is nil.
type Vec struct {
	N     int
	Kind  Kind
	Tag   []Kind
	Int   []int64   // Bit, Int, Datetime
	Float []float64 // Float
	Str   []string  // String
	Code  []uint32  // String with Dict
	Dict  *Dict
	Rec   []*Rec // Record, Array
	spare []Kind // memory for Tag while that is nil
}

// Batch is a run of rows. Time has length N and is the timestamp T of each row
// (System.Timestamp). After a Sort or Merge it never decreases, within and between
// batches. Seq, if set, has length N and orders rows of equal T; without it rows are
// ordered as they stand. Arrival, if set, has length N and is the arrival time; it
// exists between source and Stamp only.
type Batch struct {
	N       int
	Time    []Time
	Seq     []int64
	Arrival []Time
	Cols    []Vec
}

// Want says in what form a decoder delivers a field.
type Want uint8

// The forms of a field.
const (
	AsValue    Want = iota // the value as the event has it; Missing if absent
	AsDatetime             // ISO 8601 text converted to datetime; Null when there is no time in it, Missing if absent
)

// Field is one thing that a plan wants of every event. An empty Path is the event
// itself as a record. Path segments are looked up as saql.md 1.6 says: the exact
// name, else the first that is equal without case.
type Field struct {
	Path []string
	Want Want
	// Meta, if set, is a property of the event that is not in its text, as
	// GetMetadataPropertyValue names it: "BlobName", "User.tenant" (saql.md 7.9). Path is then
	// empty.
	Meta string
	// Passed says that the value is only handed on to an output, neither compared nor
	// grouped by: a decoder need not look for texts that repeat.
	Passed bool
}
