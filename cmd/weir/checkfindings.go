package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"weir/internal/diag"
	"weir/internal/project"
)

// findings counts and shows what weir check finds.
type findings struct {
	c                            *checkCmd
	con                          *console
	enc                          *json.Encoder
	errors, warnings, extensions int
	unreached                    int // inputs and outputs
	shown                        bool
}

// query shows what the compiler says of a query.
func (f *findings) query(q *query) error {
	for _, d := range q.found {
		extension := f.c.Azure && isExtension(d)
		switch {
		case extension:
			f.extensions++
		case d.Severity == diag.SeverityError:
			f.errors++
		default:
			f.warnings++
		}
		if extension && !f.c.JSON {
			line, _ := diag.Position(q.src, d.Span.Start)
			fmt.Fprintf(f.con.out, "%s:%d: %s\n", q.file, line, extensionText(d))
		}
		if f.c.JSON {
			if err := f.enc.Encode(diag.AsJSON(q.file, q.src, d)); err != nil {
				return err
			}
		}
	}
	if f.c.Azure { // said above
		q.found = slices.DeleteFunc(q.found, isExtension)
	}
	if !f.c.JSON && len(q.found) > 0 {
		f.gap()
		q.show(f.con, false)
	}
	return nil
}

// gap is an empty line between findings.
func (f *findings) gap() {
	if f.shown {
		fmt.Fprintln(f.con.err)
	}
	f.shown = true
}

// notes shows findings about the files of a job.
func (f *findings) notes(notes []project.Note, render func(notes []project.Note)) error {
	for _, n := range notes {
		if n.Severity == diag.SeverityError {
			f.errors++
		} else {
			f.warnings++
		}
		if f.c.JSON {
			if err := f.enc.Encode(n.JSON()); err != nil {
				return err
			}
		}
	}
	if !f.c.JSON && len(notes) > 0 {
		f.gap()
		render(notes)
	}
	return nil
}

// job checks a job: its files, its functions, its query, and what cannot be used here.
func (f *findings) job(ctx context.Context, path string) error {
	o := project.Options{Overlay: f.c.Overlay, KeepReferences: f.c.SkipEnv}
	j, err := project.Load(path, withEnvironment(o))
	if p, ok := asProblem(err); ok {
		return f.notes(p.Notes, func([]project.Note) { p.Render(f.con.err, f.con.errColor) })
	} else if err != nil {
		return err
	}
	if !f.c.JSON {
		using(f.con, j)
	}
	render := func(notes []project.Note) { j.Render(f.con.err, notes, f.con.errColor) }
	if err := f.notes(j.Notes, render); err != nil {
		return err
	}
	env, notes, err := jobEnv(j, &f.c.functionFlags)
	if err != nil {
		return err
	}
	env.Portable = f.c.Azure
	if err := f.notes(append(notes, j.Refusals(f.c.Live || f.c.Connect)...), render); err != nil {
		return err
	}
	file, text := j.Text()
	q := compile(file, text, env)
	if q.plan != nil && (f.c.Live || f.c.Connect) {
		if err := f.notes(j.Undefined(q.plan), render); err != nil {
			return err
		}
	}
	if err := f.query(q); err != nil || !f.c.Connect || f.errors > 0 {
		return err
	}
	return f.connect(ctx, j)
}

// verdict is the last line.
func (f *findings) verdict() {
	errors, warnings := plural(int64(f.errors), "error"), plural(int64(f.warnings), "warning")
	if f.c.Azure && !f.c.JSON && f.errors == 0 && f.extensions == 0 {
		fmt.Fprintln(f.con.out, "nothing in it is an extension")
	}
	switch {
	case f.c.JSON, f.c.Connect && f.errors+f.warnings == 0:
	case f.extensions > 0:
		fmt.Fprintf(f.con.err, "%s, %s, %s\n", plural(int64(f.extensions), "extension"), errors, warnings)
	case f.errors+f.warnings > 0:
		fmt.Fprintf(f.con.err, "\n%s, %s\n", errors, warnings)
	case len(f.c.Files) <= 1:
		fmt.Fprintln(f.con.err, "no findings")
	default:
		fmt.Fprintf(f.con.err, "no findings in %d files\n", len(f.c.Files))
	}
}
