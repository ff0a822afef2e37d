package exec

import (
	"testing"

	"weir/internal/plan"
	"weir/internal/vec"
)

func col(c int) *plan.Expr { return &plan.Expr{Op: plan.OpCol, Col: c, Type: vec.AnyKind} }

func constant(v vec.Value) *plan.Expr { return &plan.Expr{Op: plan.OpConst, Val: v} }

func node(op plan.ExprOp, sub string, args ...*plan.Expr) *plan.Expr {
	return &plan.Expr{Op: op, Sub: sub, Args: args}
}

// toInt is CAST(e AS bigint), which fails for texts that are no numbers.
func toInt(e *plan.Expr) *plan.Expr {
	return &plan.Expr{Op: plan.OpCast, To: vec.Int, Args: []*plan.Expr{e}}
}

func is(e *plan.Expr, text string) *plan.Expr {
	return node(plan.OpCmp, "=", e, constant(vec.StringValue(text)))
}

func more(e *plan.Expr, than int64) *plan.Expr {
	return node(plan.OpCmp, ">", e, constant(vec.IntValue(than)))
}

// TestErrorsThatDoNotHappen: AND, OR, IN, CASE and COALESCE stop when the result is known, and a
// query error in what is not reached does not happen (saql.md 3.2).
func TestErrorsThatDoNotHappen(t *testing.T) {
	kind, text := col(0), col(1)
	n := toInt(text)
	when := func(c, then, other *plan.Expr) *plan.Expr { return node(plan.OpCase, "", c, then, other) }
	kinds := vec.Strings("n", "n", "t", "t", "n")
	texts := vec.Strings("1", "7", "x", "5", "y")
	// f gives the rows that pred selects and the rows in which it fails, both as letters.
	f := func(name string, pred *plan.Expr, selected, failed string) {
		t.Helper()
		b := &vec.Batch{N: 5, Time: make([]vec.Time, 5), Cols: []vec.Vec{kinds, texts}}
		x := newCompiler().truth(pred)
		var fr frame
		for range 2 { // the second batch must not remember the first
			fr.start(b)
			var sel, bad []byte
			for _, i := range selectTrue(nil, x.test(&fr)) {
				sel = append(sel, "abcde"[i])
			}
			for i, is := range fr.bad {
				if is {
					bad = append(bad, "abcde"[i])
				}
			}
			if string(sel) != selected || string(bad) != failed {
				t.Errorf("%s: selects %q, want %q; fails in %q, want %q", name, sel, selected, bad, failed)
			}
			if (fr.first != nil) != (failed != "") || fr.first != nil && fr.first.Row != int(failed[0]-'a') {
				t.Errorf("%s: the first error is %+v", name, fr.first)
			}
		}
	}
	isN, isT := is(kind, "n"), is(kind, "t")
	f("cast", more(n, 3), "bd", "ce")
	f("guard and cast", node(plan.OpAnd, "", isN, more(n, 3)), "b", "e")
	f("cast and guard", node(plan.OpAnd, "", more(n, 3), isN), "b", "ce")
	f("guard or cast", node(plan.OpOr, "", isT, more(n, 3)), "bcd", "e")
	f("not (guard and cast)", node(plan.OpNot, "", node(plan.OpAnd, "", isN, more(n, 3))), "acd", "e")
	f("in", node(plan.OpIn, "", kind, constant(vec.StringValue("t")), n), "cd", "e")
	f("case", more(when(isN, n, constant(vec.IntValue(9))), 3), "bcd", "e")
	f("case else", more(when(isT, constant(vec.IntValue(9)), n), 3), "bcd", "e")
	f("case that fails in its condition", more(when(more(n, 3), constant(vec.IntValue(9)), constant(vec.NullValue())), 3), "bd", "ce")
	f("coalesce", more(node(plan.OpCoalesce, "", when(isT, constant(vec.IntValue(9)), constant(vec.NullValue())), n), 3), "bcd", "e")
	f("coalesce of what is there", more(node(plan.OpCoalesce, "", constant(vec.IntValue(4)), n), 3), "abcde", "")

	// The same expression in two places, under two masks: the inner CASE asks for fewer rows.
	shared := when(isN, n, constant(vec.IntValue(1)))
	sum := node(plan.OpArith, "+", shared, when(is(text, "7"), shared, constant(vec.IntValue(0))))
	f("shared", node(plan.OpAnd, "", node(plan.OpNot, "", is(text, "y")), more(sum, 0)), "abcd", "")
	shared = node(plan.OpCoalesce, "", when(isT, constant(vec.IntValue(2)), constant(vec.NullValue())), n)
	sum = node(plan.OpArith, "+", shared, when(is(text, "7"), shared, constant(vec.IntValue(0))))
	f("shared coalesce", node(plan.OpAnd, "", node(plan.OpNot, "", is(text, "y")), more(sum, 1)), "bcd", "")
}
