package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// createTable declares the columns of an input (saql.md 2.2, 3.3).
func (c *compiler) createTable(t *saql.CreateTable) {
	if in, ok := c.inputs[saql.Fold(t.Name.Text)]; ok {
		if in.table != nil {
			d := c.fail(diag.SA2006, t.Name.Span, "the name "+quote(t.Name.Text)+" is already a table", "keep one CREATE TABLE per input")
			d.Related = []diag.Label{{Span: in.tableAt, Text: "the first one"}}
			return
		}
		d := c.fail(diag.SA2008, t.Name.Span, "input "+quote(t.Name.Text)+" is used before its CREATE TABLE", "move CREATE TABLE up")
		d.Related = []diag.Label{{Span: in.input.Span, Text: "used here"}}
		return
	}
	in := c.stream(t.Name)
	if in == nil {
		return
	}
	in.tableAt = t.Name.Span
	in.table = []TableCol{}
	for _, col := range t.Cols {
		k, ok := c.typeOf(col.Type)
		kinds := vec.KindsOf(k) | vec.NullKind
		if !ok {
			kinds = vec.AnyKind
		}
		name := c.columnName(col.Name.Text)
		switch other, ok := (&schema{cols: in.cols}).find(name); {
		case ok && other.Name == name:
			c.fail(diag.SA4015, col.Name.Span, "two columns are named "+quote(name), "remove one")
			continue
		case ok:
			c.warn(diag.W2002, col.Name.Span, "input column names "+quote(other.Name)+" and "+quote(name)+" differ only by case", "")
		}
		in.table = append(in.table, TableCol{name, k})
		in.cols = append(in.cols, Col{name, kinds})
	}
}

// createFunction checks CREATE FUNCTION and CREATE AGGREGATE, which do not run yet.
func (c *compiler) createFunction(f *saql.CreateFunction) {
	what := "CREATE FUNCTION"
	if f.Aggregate {
		what = "CREATE AGGREGATE"
	}
	if f.Returns != nil && !sameName(f.Returns.Text, "any") {
		c.typeOf(*f.Returns)
	}
	c.env.Functions = append(slices.Clone(c.env.Functions), Function{Name: f.Name.Text, Aggregate: f.Aggregate})
	c.extension(f.Span, what, "declare the function in the job")
	c.unsupported(f.Span, what)
}

// unitOf is the length of a unit word that stands as an argument.
func unitOf(e saql.Expr) (vec.Time, bool) {
	p, ok := bare(e).(*saql.Path)
	if !ok || len(p.Names) != 1 {
		return 0, false
	}
	u, ok := fn.LookupUnit(p.Names[0].Text)
	if !ok {
		return 0, false
	}
	return u.Info().Unit, true
}
