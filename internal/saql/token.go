package saql

import "weir/internal/diag"

// tokenKind is the kind of a token.
type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // bare name or reserved word
	tokBrack            // [name]
	tokDouble           // "name or text"
	tokString           // 'text'
	tokInt
	tokFloat
	tokOp  // an operator or a mark, white space inside removed
	tokOdd // a character that is no part of the language outside PATTERN
)

// role is what the parser took a token for. Format lays a text out by it.
type role uint8

const (
	roleNone       role = iota
	roleKeyword         // written in upper case
	roleUnary           // no space after it
	roleTight           // no space on both sides: the dot of a path
	roleCall            // "(" directly behind a function name
	roleStar            // "*" that stands for columns
	roleQuantifier      // * + ? in PATTERN: no space before it
)

// layout is where Format may or must start a new line.
type layout uint8

const (
	layNone   layout = iota
	layStep          // start of a step of WITH
	layClause        // SELECT, INTO, FROM, WHERE...: always a new line
	layJoin          // a join or APPLY: always a new line
	layOn            // ON: a new line, further in, if the join is long
	layItem          // an item of a list: a line each if the clause is long
	layBool          // AND or OR of a condition: a line each if the clause is long
	layWhen          // WHEN, ELSE and END of a CASE: a line each if the CASE is long
	layOpen          // "(" before a query or a MATCH_RECOGNIZE body
	layClose         // its ")"
	layList          // "(" before the columns of CREATE TABLE
)

// token is a token. The role and the layout are set by the parser.
type token struct {
	kind    tokenKind
	role    role
	lay     layout
	word    bool   // a reserved word
	stmt    bool   // first of a statement
	between bool   // the AND of BETWEEN
	big     bool   // the integer 9223372036854775808, valid after a minus only
	pair    int32  // for ( and ): the index of its partner, or -1
	text    string // content of names and strings; folded word for tokWord; the operator
	span    diag.Span
	value   int64
	float   float64
}
