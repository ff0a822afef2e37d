// Command weir runs queries of the Azure Stream Analytics language over files, pipes
// and generated events, tests them, and explains them. There is a file per verb.
//
// Data goes to standard output; notes, progress and errors go to standard error. The
// exit status is 0 when all is well, 1 when there were findings or failed tests, 2
// when the command line, the settings or the query are wrong, 3 when a run failed, and 4
// when the service cannot be reached.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"weir/internal/codec/parquet"
	"weir/internal/generate"
)

// cli is the command line. Each field is a verb, in a file of its own.
type cli struct {
	Init     initCmd     `cmd:"" group:"develop" help:"Write a small job to start from."`
	Run      runCmd      `cmd:"" group:"develop" help:"Run a query or a job over files or a pipe."`
	Test     testCmd     `cmd:"" group:"develop" help:"Run test cases: a query, events, and the rows that must come out."`
	Explain  explainCmd  `cmd:"" group:"inform" help:"Explain a query, a job, the code of a message, or a word of the language."`
	Check    checkCmd    `cmd:"" group:"develop" help:"Find errors in queries and jobs."`
	Fmt      fmtCmd      `cmd:"" group:"develop" help:"Format queries."`
	Generate generateCmd `cmd:"" group:"develop" help:"Make events: health, an access log, auctions, or your own pattern."`
	Demo     demoCmd     `cmd:"" group:"inform" help:"Show what this is, in a few seconds."`
	Bench    benchCmd    `cmd:"" group:"measure" help:"Measure the standard queries on this machine."`
	Serve    serveCmd    `cmd:"" group:"operate" help:"Run jobs, and answer over HTTP."`
	Hub      hubCmd      `cmd:"" group:"operate" help:"Event hubs: list, make, change and remove them, and show their keys."`
	Job      jobCmd      `cmd:"" group:"operate" help:"List, deploy, start, stop and look at the jobs of a service."`
	Tap      tapCmd      `cmd:"" group:"operate" help:"Rows of a running job as they pass."`
	Send     sendCmd     `cmd:"" group:"operate" help:"Send events to an event hub, of Weir or of Azure."`
	Recv     recvCmd     `cmd:"" group:"operate" help:"Receive events of an event hub, of Weir or of Azure."`
	Sample   sampleCmd   `cmd:"" group:"develop" help:"Capture events of a job's live input to a file, for tests."`
	Top      topCmd      `cmd:"" group:"operate" help:"Watch the jobs of a service."`
	Why      whyCmd      `cmd:"" group:"operate" help:"Where did the rows of an output go?"`
	Schema   schemaCmd   `cmd:"" group:"inform" help:"Print the JSON Schema of job files, or the list of connectors."`
	Version  versionCmd  `cmd:"" group:"inform" help:"Print the version."`

	Color string `enum:"auto,always,never" default:"auto" help:"Colour: ${enum}."`
}

const about = `Weir runs Azure Stream Analytics queries anywhere.

Start with "weir demo".`

// grace is how long a program that was interrupted may take to write what it has, in
// nanoseconds. Verbs that run for long set it.
var grace atomic.Int64

func init() { grace.Store(int64(3 * time.Second)) }

func main() {
	if len(os.Args) > 1 && os.Args[1] == parquet.Verb {
		os.Exit(parquet.Main(os.Args[2:]))
	}
	parquet.Program = parquet.Self
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the program at once
		time.AfterFunc(time.Duration(grace.Load()), func() { os.Exit(newConsole(os.Stdin, os.Stdout, os.Stderr).report(errInterrupted)) })
	})
	con := newConsole(os.Stdin, os.Stdout, os.Stderr)
	con.in = newInterruptible(ctx, con.in)
	code := run(ctx, os.Args[1:], con)
	stop()
	os.Exit(code)
}

// run does what args say and gives the exit status.
func run(ctx context.Context, args []string, con *console) int {
	var c cli
	helped := false
	parser, err := kong.New(&c,
		kong.Name("weir"),
		kong.Description(about),
		kong.Writers(con.out, con.err),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "develop", Title: "Develop"},
			{Key: "operate", Title: "Operate"},
			{Key: "inform", Title: "Learn"},
			{Key: "measure", Title: "Measure"},
			{Key: "hub", Title: "The hub:"},
		}),
		kong.Vars{"event_rate": strconv.Itoa(generate.DefaultRate)},
		kong.Bind(con),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic("weir: " + err.Error())
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if helped {
		return exitOK
	}
	if err != nil {
		return con.report(usage("%w (\"weir --help\" shows the verbs and \"weir VERB --help\" the flags)", err))
	}
	con.setColor(c.Color)
	return con.report(kctx.Run())
}

// The exit statuses.
const (
	exitOK       = 0
	exitFindings = 1
	exitUsage    = 2
	exitRuntime  = 3
	exitAway     = 4
)

// exitError is an error with the status that weir ends with. A nil err says that all
// there is to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error in the command line, the settings or the query.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// silent ends weir with a status and no further word.
func silent(code int) error { return &exitError{code, nil} }

// report prints err and gives the exit status that belongs to it.
func (c *console) report(err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled):
		e = errInterrupted
	default:
		e = &exitError{exitRuntime, err}
	}
	if e.err != nil {
		fmt.Fprintf(c.err, "%s %v\n", c.paint(c.errColor, red, "weir:"), e.err)
	}
	return e.code
}
