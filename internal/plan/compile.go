package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/saql"
)

// compiler holds what a compilation knows of the whole script.
type compiler struct {
	report
	env    Env
	src    string
	plan   *Plan
	inputs map[string]*streamInput // by folded name
	lines  []*timeline
	steps  map[string]*step // by folded name
	order  []*step
	outs   []*statement
	early  map[string]bool // steps that are used before they are defined
	// later holds the names of steps that the script defines further on, for SA2008.
	later map[string]diag.Span
	// timestampBy replaces the TIMESTAMP BY of the inputs while a step that passes an
	// input through is compiled again for its own timeline (saql.md 4.2).
	timestampBy *timestampOnStep
	// applied are the names of the APPLYs around the source that is being resolved.
	applied []saql.Name
	over    overRule
	// windowed are the groups that have been lowered: their window id is behind all
	// aggregates, which are known at the end only.
	windowed []*grouping
}

// step is a named query.
type step struct {
	name saql.Name
	body saql.QueryExpr
	rel  relation
	used bool
}

// statement is a query that writes to an output.
type statement struct {
	output string
	query  *saql.Query
	rel    relation
}

// Compile checks a script and turns it into a plan. The list holds all that is wrong, at
// most 20 errors, in order of position, and the warnings; the plan is nil if there is an
// error.
func Compile(s *saql.Script, env Env) (*Plan, diag.List) {
	c := &compiler{env: env, src: s.Src, plan: &Plan{Src: s.Src, Level: env.Level}, inputs: map[string]*streamInput{}, steps: map[string]*step{}, later: map[string]diag.Span{}, early: map[string]bool{}}
	c.declareLater(s)
	for _, st := range s.Stmts {
		switch st := st.(type) {
		case *saql.CreateTable:
			c.createTable(st)
		case *saql.CreateFunction:
			c.createFunction(st)
		case *saql.Query:
			c.query(st)
		}
	}
	c.finishChecks(s)
	list := c.result()
	if c.errors() > 0 {
		return nil, list
	}
	c.lower()
	c.plan.Warnings = list
	return c.plan, list
}

// declareLater notes the names of all steps, to tell an unknown name from one that is
// used too early.
func (c *compiler) declareLater(s *saql.Script) {
	for _, st := range s.Stmts {
		if q, ok := st.(*saql.Query); ok {
			for _, step := range q.With {
				key := saql.Fold(step.Name.Text)
				if _, ok := c.later[key]; !ok {
					c.later[key] = step.Name.Span
				}
			}
		}
	}
}

// query compiles a statement: its steps, then its body, which writes to an output.
func (c *compiler) query(q *saql.Query) {
	if len(q.With) > 0 && len(c.order) > 0 {
		c.extension(q.With[0].Span, "a second WITH", "put all steps into one WITH")
	}
	for _, s := range q.With {
		c.step(s)
	}
	into := c.into(q.Body)
	if q.Body == nil {
		return
	}
	rel := c.queryExpr(q.Body, "", true)
	if at := rel.schema().reference; at != nil {
		c.fail(diag.SA4013, *at, "the query reads only reference data", "at least one stream must drive an output")
	}
	name, ok := c.outputOf(q.Body, into)
	if !ok {
		return
	}
	for _, o := range c.outs {
		if sameName(o.output, name) {
			at := q.Body.Pos()
			if into != nil {
				at = into.Span
			}
			d := c.fail(diag.SA4004, at, "output "+quote(name)+" is written twice", "join the SELECTs with UNION")
			d.Related = append(d.Related, diag.Label{Span: o.query.Body.Pos(), Text: "the first one"})
			return
		}
	}
	c.outs = append(c.outs, &statement{output: name, query: q, rel: rel})
}

// step compiles a step and makes it visible to what follows.
func (c *compiler) step(s *saql.Step) {
	key := saql.Fold(s.Name.Text)
	rel := c.queryExpr(s.Body, s.Name.Text, false)
	sch := *rel.schema()
	sch.what, sch.name = "step "+quote(s.Name.Text), quote(s.Name.Text)
	if first, ok := c.steps[key]; ok {
		d := c.fail(diag.SA2006, s.Name.Span, "the name "+quote(s.Name.Text)+" is already a step", "rename the step")
		d.Related = append(d.Related, diag.Label{Span: first.name.Span, Text: "the first one"})
		return
	}
	if in, ok := c.declaredInput(s.Name.Text); ok && !c.env.AnyInput {
		c.fail(diag.SA2006, s.Name.Span, "the name "+quote(in.Name)+" is already an input", "rename the step")
	}
	delete(c.later, key)
	st := &step{name: s.Name, body: s.Body, rel: &named{relation: rel, sch: &sch}}
	c.steps[key] = st
	c.order = append(c.order, st)
}

// named is a relation under the name of its step.
type named struct {
	relation
	sch *schema
}

func (n *named) schema() *schema { return n.sch }

// selects calls f on every select of a query expression, with its position among them.
func selects(q saql.QueryExpr, f func(i int, s *saql.Select)) {
	i := 0
	var visit func(saql.QueryExpr)
	visit = func(q saql.QueryExpr) {
		switch q := q.(type) {
		case *saql.Select:
			f(i, q)
			i++
		case *saql.Union:
			for _, b := range q.Branches {
				visit(b)
			}
		}
	}
	visit(q)
}

// into is the INTO of a statement: that of its first select; the others may repeat it
// (saql.md 2.3).
func (c *compiler) into(q saql.QueryExpr) *saql.Name {
	var into *saql.Name
	selects(q, func(i int, s *saql.Select) {
		switch {
		case s.Into == nil:
		case into == nil:
			into = s.Into
		case !sameName(into.Text, s.Into.Text):
			d := c.fail(diag.SA4003, s.Into.Span, "the branches of a UNION write to different outputs", "one INTO, in the first SELECT")
			d.Related = append(d.Related, diag.Label{Span: into.Span, Text: "the first one"})
		}
	})
	return into
}

// outputOf is the name of the output that a statement writes (saql.md 2.3).
func (c *compiler) outputOf(body saql.QueryExpr, into *saql.Name) (string, bool) {
	want, at := "output", headOf(body)
	if into != nil {
		want, at = into.Text, into.Span
	}
	for _, o := range c.env.Outputs {
		if sameName(o, want) {
			if into == nil && len(c.env.Outputs) > 1 {
				c.warn(diag.W4002, at, `without INTO the result goes to "output"`, "add INTO <output>")
			}
			return o, true
		}
	}
	if into == nil && len(c.env.Outputs) == 1 {
		return c.env.Outputs[0], true
	}
	if c.env.AnyOutput {
		return want, true
	}
	hint := ""
	if n, ok := diag.Nearest(want, c.env.Outputs); ok {
		hint = "did you mean " + quote(n) + "?"
	} else if len(c.env.Outputs) > 0 {
		hint = "the job's outputs are " + someNames(c.env.Outputs)
	}
	c.fail(diag.SA2003, at, "no output named "+quote(want), hint)
	return "", false
}

// headOf is the place to mark when a whole select is meant: its word SELECT.
func headOf(q saql.QueryExpr) diag.Span {
	at := q.Pos()
	selects(q, func(i int, s *saql.Select) {
		if i == 0 {
			at = s.Span
		}
	})
	return diag.Span{Start: at.Start, End: min(at.Start+len("SELECT"), at.End)}
}

// queryExpr compiles a select or a union. outer tells that it is the body of a statement.
func (c *compiler) queryExpr(q saql.QueryExpr, step string, outer bool) relation {
	if !outer {
		selects(q, func(_ int, s *saql.Select) {
			if s.Into != nil {
				c.fail(diag.SA4002, s.Into.Span, "INTO is not allowed inside a step", "put INTO in the SELECT that reads the step")
			}
		})
	}
	return c.branch(q, step)
}

func (c *compiler) branch(q saql.QueryExpr, step string) relation {
	switch q := q.(type) {
	case *saql.Select:
		return c.selectBlock(q, step)
	case *saql.Union:
		return c.union(q, step)
	}
	return newUnknown("the query")
}

// finishChecks reports what only the whole script shows.
func (c *compiler) finishChecks(s *saql.Script) {
	if len(c.outs) == 0 && c.errors() == 0 {
		c.fail(diag.SA2001, diag.Span{Start: len(s.Src), End: len(s.Src)}, "the query writes to no output", "add a SELECT after the WITH steps")
	}
	for _, st := range c.order {
		if !st.used && !c.early[saql.Fold(st.name.Text)] {
			c.warn(diag.W2001, st.name.Span, "step "+quote(st.name.Text)+" is never used", "")
		}
	}
	c.checkOverRules()
	c.lint(s)
}

// declaredInput finds an input of the job by name, without case.
func (c *compiler) declaredInput(name string) (InputDecl, bool) {
	i := slices.IndexFunc(c.env.Inputs, func(d InputDecl) bool { return sameName(d.Name, name) })
	if i < 0 {
		return InputDecl{}, false
	}
	return c.env.Inputs[i], true
}

// extension reports the use of an extension when the job wants to be portable.
func (c *compiler) extension(at diag.Span, what, hint string) {
	if c.env.Portable {
		c.warn(diag.W9001, at, what+" is an extension; other engines reject it", hint)
	}
}
