package main

import (
	"fmt"
	"regexp"
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
)

type explainCmd struct {
	What  string `arg:"" optional:"" help:"A query file (- is standard input), the code of a message such as SA2002, or a name of the language such as LEN or TumblingWindow."`
	Query string `short:"q" placeholder:"SAQL" help:"The query itself."`
}

// Help shows examples before the flags.
func (explainCmd) Help() string {
	return `Examples:
  weir explain downtime.saql
  weir explain SA5001
  weir explain DATEDIFF`
}

// messageCode is the form of a code of a message.
var messageCode = regexp.MustCompile(`^(?i)(SA|W)[0-9]{4}$`)

// Run explains one thing.
func (e *explainCmd) Run(con *console) error {
	switch {
	case e.Query != "" && e.What != "":
		return usage("give a query with --query or a thing to explain, not both")
	case e.Query != "":
		return explainQuery(con, "query", e.Query)
	case e.What == "":
		return usage("say what to explain: a query file, a code such as SA5001, or a name such as LEN")
	case messageCode.MatchString(e.What):
		return explainCode(con, e.What)
	}
	if text, ok := manual(e.What); ok {
		_, err := fmt.Fprint(con.out, text)
		return err
	}
	if e.What != "-" && !strings.ContainsAny(e.What, `./\`) {
		return usage("%q is no name of the language and no file%s", e.What, didYouMean(e.What, fn.Names()))
	}
	src, err := readText(con, e.What)
	if err != nil {
		return err
	}
	return explainQuery(con, e.What, src)
}

// explainCode prints what a code of a message means.
func explainCode(con *console, code string) error {
	info, ok := diag.Lookup(code)
	if ok {
		info.Write(con.out)
		return nil
	}
	var known []string
	for _, i := range diag.All() {
		known = append(known, string(i.Code))
	}
	return usage("no message has the code %s%s", strings.ToUpper(code), didYouMean(code, known))
}

func explainQuery(con *console, file, src string) error {
	q := compile(file, src, anyEnv)
	if err := q.valid(con); err != nil {
		return err
	}
	q.show(con, false)
	q.plan.Explain(con.out)
	return nil
}

// laterText is said of names that queries cannot use yet.
const laterText = "This engine knows the name and does not run it yet.\n"

// manual is the entry of a function, a window or an expression.
func manual(name string) (string, bool) {
	if s, ok := fn.LookupScalar(name); ok {
		return entry(s.Signature(), "function", s.Doc), true
	}
	if a, ok := fn.LookupAgg(name); ok {
		text := entry(signature(a), "aggregate", a.Doc)
		if a.Later {
			text += "\n" + laterText
		}
		return text, true
	}
	if f, ok := fn.LookupForm(strings.TrimSuffix(name, "()")); ok {
		return entry(f.Syntax, f.Kind, f.Doc), true
	}
	if f, ok := fn.LookupForm(name + "Window"); ok { // the short name of a window (saql.md 2.5)
		return entry(f.Syntax, f.Kind, f.Doc), true
	}
	if l, ok := fn.LookupLater(name); ok {
		return fmt.Sprintf("%s\n  %s\n\n%s", l.Name, l.Kind, laterText), true
	}
	return "", false
}

// entry is an entry of the manual.
func entry(syntax, kind string, doc fn.Doc) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n\n%s\n", syntax, kind, doc.Summary)
	if len(doc.Examples) > 0 {
		b.WriteString("\nExamples:\n")
		width := 0
		for _, x := range doc.Examples {
			width = max(width, cellWidth(x.In))
		}
		for _, x := range doc.Examples {
			fmt.Fprintf(&b, "  %s%s  %s\n", x.In, strings.Repeat(" ", width-cellWidth(x.In)), x.Want)
		}
	}
	return b.String()
}

// signature is how an aggregate is called.
func signature(a *fn.Agg) string {
	var names []string
	for _, p := range a.Params {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		names = []string{"*"}
	}
	return a.Name + "(" + strings.Join(names, ", ") + ")"
}
