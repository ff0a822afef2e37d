package main

import "weir/internal/plan"

// levelFlag is the compatibility level of a job (saql.md 3.9), for the verbs that take a
// query.
type levelFlag struct {
	Level string `enum:"1.0,1.1,1.2" default:"1.2" placeholder:"L" help:"The job's compatibility level: ${enum}. Default ${default}."`
}

// level is the level that the flag names.
func (f levelFlag) level() plan.Level {
	l, _ := plan.ParseLevel(f.Level) // the command line has checked it
	return l
}
