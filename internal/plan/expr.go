package plan

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// ref is what a column expression stands for before it is lowered. Exactly one of the
// uses is meant, by kind.
type ref struct {
	kind refKind
	src  *source  // refField, refRow, refTime
	path []string // refField: names as the query writes them
	n    int      // refKey, refAgg, refHistory: which
	// calls has the analytic functions of refHistory.
	calls *historyFrame
}

type refKind uint8

const (
	refField    refKind = iota
	refRow              // the row of a source as a record
	refTime             // T of the row of a source, in ON
	refHistory          // result n of the analytic functions
	refKey              // key n of the group
	refAgg              // aggregate n of the group
	refWindowID         // System.Window().Id
	refMatch            // value n over the rows of a match
)

// resolve gives the column expressions in e their positions: those of sources by f, and
// those that stand for results of a group by post, which is nil elsewhere.
func resolve(e *Expr, f frame, post *grouping) {
	if e.ref != nil {
		r := e.ref
		e.ref = nil
		switch r.kind {
		case refField:
			e.Col = f.field(r.src, r.path)
		case refRow:
			row := f.row(r.src)
			row.Span = e.Span
			*e = *row
		case refTime:
			*e = *f.(timed).time(r.src)
		case refHistory:
			e.Col = r.calls.result(r.n)
			if on, ok := f.(*joinFrame); ok {
				e.Col = on.result(r.calls, e.Col)
			}
		default:
			post.resolveRef(e, r)
		}
		return
	}
	for _, a := range e.Args {
		resolve(a, f, post)
	}
}

// walk calls f on e and its parts until f gives false.
func walk(e *Expr, f func(*Expr) bool) {
	if !f(e) {
		return
	}
	for _, a := range e.Args {
		walk(a, f)
	}
}

// clone is a copy of e that shares nothing that resolve changes.
func (e *Expr) clone() *Expr {
	c := *e
	c.Args = make([]*Expr, len(e.Args))
	for i, a := range e.Args {
		c.Args[i] = a.clone()
	}
	return &c
}

// cannotFail reports whether e is of the few sorts that never give a query error.
func cannotFail(e *Expr) bool {
	switch e.Op {
	case OpLike: // of records and arrays it fails
		if slices.ContainsFunc(e.Args, func(a *Expr) bool { return a.Type&containers != 0 }) {
			return false
		}
	case OpCol, OpConst, OpTime, OpField, OpTryCast, OpCase, OpCoalesce, OpPresent, OpNull, OpAnd, OpOr, OpNot, OpCmp, OpIn, OpIsNull:
	default:
		return false
	}
	return !slices.ContainsFunc(e.Args, func(a *Expr) bool { return !cannotFail(a) })
}

// same reports whether a and b are equal after name resolution; names of columns
// compare without case (saql.md 5.8).
func same(a, b *Expr) bool {
	if a == b {
		return true
	}
	if a.Op != b.Op || len(a.Args) != len(b.Args) || (a.ref == nil) != (b.ref == nil) {
		return false
	}
	if a.ref != nil {
		return sameRef(a.ref, b.ref)
	}
	if a.Col != b.Col || !sameValue(a.Val, b.Val) || !sameName(a.Name, b.Name) || !slices.Equal(a.Names, b.Names) ||
		a.Fn != b.Fn || a.Part != b.Part || a.To != b.To || a.Sub != b.Sub || a.Escape != b.Escape {
		return false
	}
	for i := range a.Args {
		if !same(a.Args[i], b.Args[i]) {
			return false
		}
	}
	return true
}

func sameRef(a, b *ref) bool {
	return a.kind == b.kind && a.src == b.src && a.n == b.n && a.calls == b.calls && slices.EqualFunc(a.path, b.path, sameName)
}

func sameValue(a, b vec.Value) bool {
	return a.Kind == b.Kind && a.Int == b.Int && a.Float == b.Float && a.Str == b.Str && a.Rec == b.Rec
}

// String writes e as plans and stage identities show it: `($0 + 1)`, `UPPER($2)`.
func (e *Expr) String() string {
	var b strings.Builder
	e.write(&b, nil)
	return b.String()
}

// text is e with names in place of column numbers.
func (e *Expr) text(names []string) string {
	var b strings.Builder
	e.write(&b, names)
	return b.String()
}

func (e *Expr) write(b *strings.Builder, names []string) {
	switch e.Op {
	case OpCol:
		e.writeCol(b, names)
	case OpConst:
		writeConst(b, e.Val)
	case OpTime:
		b.WriteString("System.Timestamp()")
	case OpField:
		e.Args[0].write(b, names)
		b.WriteString("." + saql.Quote(e.Name))
	case OpCall:
		if e.Fn == fn.Elapsed && e.Args[2].Op == OpConst {
			e.writeElapsed(b, names)
			return
		}
		b.WriteString(e.Fn.Name)
		if e.Fn.Part {
			b.WriteString("(" + e.Part.String() + ", ")
			e.writeList(b, names, e.Args)
			b.WriteByte(')')
		} else {
			e.writeArgs(b, names, ", ")
		}
	case OpCast, OpTryCast:
		b.WriteString(map[ExprOp]string{OpCast: "CAST(", OpTryCast: "TRY_CAST("}[e.Op])
		e.Args[0].write(b, names)
		b.WriteString(" AS " + e.To.String() + ")")
	case OpRecord:
		b.WriteString("record(")
		for i, a := range e.Args {
			if i > 0 {
				b.WriteString(", ")
			}
			if e.Names[i] != "" {
				fmt.Fprintf(b, "%q: ", e.Names[i])
			} else {
				b.WriteByte('*')
			}
			a.write(b, names)
		}
		b.WriteByte(')')
	case OpArith, OpCmp:
		if d := e.Args[0]; e.Op == OpCmp && d.Op == OpCall && d.Fn == fn.Elapsed && d.Args[2].Val.Int == 1 && e.Args[1].Op == OpConst {
			b.WriteByte('(')
			d.write(b, names)
			b.WriteString(" " + e.Sub + " " + duration(vec.Time(e.Args[1].Val.Int)) + ")")
			return
		}
		e.writeArgs(b, names, " "+e.Sub+" ")
	case OpAnd:
		e.writeArgs(b, names, " AND ")
	case OpOr:
		e.writeArgs(b, names, " OR ")
	case OpCase:
		e.writeCase(b, names)
	case OpIn:
		b.WriteByte('(')
		e.Args[0].write(b, names)
		b.WriteString(" IN (")
		e.writeList(b, names, e.Args[1:])
		b.WriteString("))")
	case OpLike:
		e.writeArgs(b, names, " LIKE ")
		if e.Escape != 0 {
			fmt.Fprintf(b, " ESCAPE %q", e.Escape)
		}
	case OpIsNull:
		b.WriteByte('(')
		e.Args[0].write(b, names)
		b.WriteString(" IS NULL)")
	default:
		b.WriteString(exprNames[e.Op])
		e.writeArgs(b, names, ", ")
	}
}

// writeElapsed writes the distance of two times, in units if they are not single ticks.
func (e *Expr) writeElapsed(b *strings.Builder, names []string) {
	b.WriteByte('(')
	e.Args[1].write(b, names)
	b.WriteString(" - ")
	e.Args[0].write(b, names)
	b.WriteByte(')')
	if unit := e.Args[2].Val.Int; unit != 1 {
		b.WriteString(" in units of " + duration(vec.Time(unit)))
	}
}

func (e *Expr) writeCase(b *strings.Builder, names []string) {
	b.WriteString("CASE")
	n := len(e.Args) - 1
	for i := 0; i < n; i += 2 {
		b.WriteString(" WHEN ")
		e.Args[i].write(b, names)
		b.WriteString(" THEN ")
		e.Args[i+1].write(b, names)
	}
	b.WriteString(" ELSE ")
	e.Args[n].write(b, names)
	b.WriteString(" END")
	if e.To != vec.Missing {
		b.WriteString(" AS " + e.To.String())
	}
}

var exprNames = map[ExprOp]string{
	OpCoalesce: "COALESCE", OpPresent: "present", OpNeg: "-", OpBitNot: "~", OpNull: "null", OpNot: "NOT ",
}

func (e *Expr) writeCol(b *strings.Builder, names []string) {
	if e.ref == nil && e.Col < len(names) {
		b.WriteString(names[e.Col])
		return
	}
	if e.ref == nil {
		fmt.Fprintf(b, "$%d", e.Col)
		return
	}
	switch r := e.ref; r.kind {
	case refField:
		fmt.Fprintf(b, "%s.%s", saql.Fold(r.src.name), saql.Fold(pathText(r.path)))
	case refRow:
		b.WriteString(saql.Fold(r.src.name))
	case refTime:
		b.WriteString("time of " + saql.Fold(r.src.name))
	default:
		fmt.Fprintf(b, "#%d.%d", r.kind, r.n)
	}
}

// pathText is a path as a query writes it.
func pathText(path []string) string {
	parts := make([]string, len(path))
	for i, p := range path {
		parts[i] = saql.Quote(p)
	}
	return strings.Join(parts, ".")
}

func (e *Expr) writeArgs(b *strings.Builder, names []string, sep string) {
	b.WriteByte('(')
	for i, a := range e.Args {
		if i > 0 {
			b.WriteString(sep)
		}
		a.write(b, names)
	}
	b.WriteByte(')')
}

func (e *Expr) writeList(b *strings.Builder, names []string, list []*Expr) {
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		a.write(b, names)
	}
}

func writeConst(b *strings.Builder, v vec.Value) {
	switch v.Kind {
	case vec.Int:
		fmt.Fprintf(b, "%d", v.Int)
	case vec.Bit:
		b.WriteString(map[int64]string{0: "FALSE", 1: "TRUE"}[v.Int])
	case vec.Datetime:
		fmt.Fprintf(b, "datetime(%d)", v.Int)
	case vec.Float:
		fmt.Fprintf(b, "%g", v.Float)
		if v.Float == float64(int64(v.Float)) {
			b.WriteString("f")
		}
	case vec.String:
		b.WriteString("'" + strings.ReplaceAll(v.Str, "'", "''") + "'")
	default:
		b.WriteString(strings.ToUpper(v.Kind.String()))
	}
}
