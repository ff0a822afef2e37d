package plan

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

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

// createFunction loads the script of a CREATE FUNCTION or CREATE AGGREGATE (saql.md 10.6).
func (c *compiler) createFunction(f *saql.CreateFunction) {
	what := "CREATE FUNCTION"
	if f.Aggregate {
		what = "CREATE AGGREGATE"
	}
	src := FunctionSource{Name: f.Name.Text, Aggregate: f.Aggregate, Script: f.Body, Level: c.env.Level}
	if f.Returns != nil && !sameName(f.Returns.Text, "any") {
		src.Returns, _ = c.typeOf(*f.Returns)
	}
	c.extension(f.Span, what, "declare the function in the job")
	if first, ok := c.env.function(f.Name.Text, f.Aggregate); ok {
		d := c.fail(diag.SA2006, f.Name.Span, "the name "+quote(f.Name.Text)+" is already a function", "rename the function")
		if first.at != (diag.Span{}) {
			d.Related = []diag.Label{{Span: first.at, Text: "the first one"}}
		}
		return
	}
	made, err := c.load(src)
	if err != nil {
		made = Function{Name: f.Name.Text, Aggregate: f.Aggregate}
		c.notLoaded(f, err)
	}
	made.at = f.Name.Span
	if p := made.Unrepeatable; p.What != "" {
		c.warn(diag.W7003, c.inScript(f, p.Line, p.Column), p.What+" makes results unrepeatable", unrepeatableHint)
	}
	c.env.Functions = append(slices.Clone(c.env.Functions), made)
}

// load makes a function of its script.
func (c *compiler) load(src FunctionSource) (Function, error) {
	if c.env.Load == nil {
		return Function{}, errors.New("nothing here runs scripts")
	}
	return c.env.Load(src)
}

// notLoaded reports a script that does not load, at its place if that is known.
func (c *compiler) notLoaded(f *saql.CreateFunction, err error) {
	var script *fn.ScriptError
	switch {
	case !errors.As(err, &script):
		c.fail(diag.SA9001, f.Name.Span, "function "+quote(f.Name.Text)+" does not load: "+err.Error(), "")
	case script.Method != "":
		c.fail(diag.SA9002, f.Name.Span, "UDA "+quote(f.Name.Text)+" lacks "+script.Method+"()", "this."+script.Method+" = function (..) { .. }")
	default:
		c.fail(diag.SA9001, c.inScript(f, script.Line, script.Column), "function "+quote(f.Name.Text)+" does not load: "+script.Message, "")
	}
}

// inScript is the character of the query at a place of the script in it, where quotes are
// written twice; the name of the function if the place is not known.
func (c *compiler) inScript(f *saql.CreateFunction, line, column int) diag.Span {
	text := c.src[f.BodySpan.Start:f.BodySpan.End]
	l, col := 1, 1
	for i := 0; i < len(text) && line > 0; {
		_, n := utf8.DecodeRuneInString(text[i:])
		if strings.HasPrefix(text[i:], "''") {
			n = 2
		}
		if l == line && (col == column || text[i] == '\n') {
			return diag.Span{Start: f.BodySpan.Start + i, End: f.BodySpan.Start + i + n}
		}
		if col++; text[i] == '\n' {
			l, col = l+1, 1
		}
		i += n
	}
	return f.Name.Span
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
