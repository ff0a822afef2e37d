package main

import (
	"fmt"
	"regexp"
	"strings"

	"weir/internal/connect"
	"weir/internal/diag"
	"weir/internal/project"
)

type explainCmd struct {
	What      []string `arg:"" optional:"" help:"A query file (- is standard input), a job, the code of a message such as SA2002, a connector such as kafka, or words of the language such as LEN, TumblingWindow or TIMESTAMP BY."`
	Query     string   `short:"q" placeholder:"SAQL" help:"The query itself."`
	Reference []string `short:"r" sep:"none" placeholder:"ALIAS" help:"An input of the query that holds reference data."`

	Connectors bool `help:"The connectors that there are, and what each promises."`

	levelFlag     `embed:""`
	functionFlags `embed:""`
	overlayFlag   `embed:""`
}

// Help shows examples before the flags.
func (explainCmd) Help() string {
	return `Examples:
  weir explain downtime.saql
  weir explain ./my-azure-project
  weir explain SA5001
  weir explain DATEDIFF
  weir explain left join
  weir explain doors.saql -r people
  weir explain --connectors
  weir explain kafka`
}

// messageCode is the form of a code of a message.
var messageCode = regexp.MustCompile(`^(?i)(SA|W)[0-9]{4}$`)

// Run explains one thing.
func (e *explainCmd) Run(con *console) error {
	what := strings.Join(e.What, " ")
	switch {
	case e.Connectors && (what != "" || e.Query != ""):
		return usage("--connectors stands alone")
	case e.Connectors:
		return explainConnectors(con)
	case e.Query != "" && what != "":
		return usage("give a query with --query or a thing to explain, not both")
	case e.Query != "":
		return e.query(con, "query", e.Query)
	case what == "":
		return usage("say what to explain: a query file, a code such as SA5001, or a name such as LEN")
	case messageCode.MatchString(what):
		return explainCode(con, what)
	}
	if entry, ok := lookupManual(what); ok {
		_, err := fmt.Fprint(con.out, entry.text())
		return err
	}
	if spec, ok := connect.Find(what); ok {
		var b strings.Builder
		connectorMarkdown(&b, spec)
		_, err := fmt.Fprint(con.out, b.String())
		return err
	}
	if what != "-" && !isJob(what) && !strings.ContainsAny(what, `./\`) {
		var known []string
		for _, x := range manualEntries() {
			known = append(known, x.name)
		}
		for _, x := range connect.All() {
			known = append(known, x.Name)
		}
		return usage("the manual has no page %q, and there is no such file%s", what, didYouMean(what, known))
	}
	if isJob(what) {
		return e.job(con, what)
	}
	src, err := readText(con, what)
	if err != nil {
		return err
	}
	return e.query(con, what, src)
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

func (e *explainCmd) query(con *console, file, src string) error {
	env := anyEnv
	env.Inputs = referenceNames(e.Reference)
	env.Level = e.level()
	if err := e.declare(&env); err != nil {
		return err
	}
	q := compile(file, src, env)
	if err := q.valid(con); err != nil {
		return err
	}
	q.show(con, false)
	q.plan.Explain(con.out)
	return nil
}

// job explains the query of a job.
func (e *explainCmd) job(con *console, path string) error {
	j, err := loadJob(con, path, project.Options{Overlay: e.Overlay, KeepReferences: true}, exitUsage)
	if err != nil {
		return err
	}
	using(con, j)
	env, notes, err := jobEnv(j, &e.functionFlags)
	if err != nil {
		return err
	}
	if len(notes) > 0 {
		j.Render(con.err, notes, con.errColor)
		return silent(exitUsage)
	}
	file, text := j.Text()
	q := compile(file, text, env)
	if err := q.valid(con); err != nil {
		return err
	}
	q.show(con, false)
	q.plan.Explain(con.out)
	return nil
}
