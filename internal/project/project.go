// Package project is the job model and the four ways to write a job down: our own
// weir.yaml, an Azure Stream Analytics project of VS Code or Visual Studio, and an ARM
// template. All give the same Job. It opens nothing but the files of the job.
package project

import (
	"time"

	"weir/internal/connect"
	"weir/internal/diag"
	"weir/internal/plan"
)

// Kind is the form that a job was written in.
type Kind string

// The forms.
const (
	Query        Kind = "query"         // a bare query file: inputs and outputs by flags
	Weir         Kind = "weir.yaml"     // our own
	VSCode       Kind = "VS Code"       // asaproj.json
	VisualStudio Kind = "Visual Studio" // *.asaproj
	ARM          Kind = "ARM template"  // Microsoft.StreamAnalytics/streamingjobs
)

// Place is where in a file something stands. Line and column count from 1, in code points;
// 0 says that it is about the whole file.
type Place struct {
	File      string
	Line, Col int
}

// Job is a job: a query, its settings, and its named inputs, outputs and functions. It holds
// what the job says, with the secrets and the overlay filled in; nothing has been opened.
type Job struct {
	Kind Kind
	Name string
	File string // that describes the job, as the user named it or it was found
	Dir  string // relative paths of the job start here
	// Query is the text, and QueryFile the file that messages name. QueryLine is the line of
	// File on which an inline text starts, 0 if it is a file of its own.
	Query     string
	QueryFile string
	QueryLine int
	// queryIndent is by how many columns an inline text is set in.
	queryIndent int

	Level      plan.Level
	Late       time.Duration // negative: no limit
	OutOfOrder time.Duration // negative: no limit
	Drop       bool          // events beyond the limits; else their time is moved
	// OutputErrors is what becomes of rows that an output does not take, unless the output
	// says otherwise. QueryErrors: "stop" or "drop".
	OutputErrors ErrorPolicy
	QueryErrors  string
	Shards       int           // 0: not said
	Checkpoint   time.Duration // between checkpoints; 0: not said

	Inputs    []Input
	Outputs   []Output
	Functions []Function
	// Tests are the test files that belong to the job: testConfig.json, *_test.yaml.
	Tests []string

	// Notes are warnings of the reader, about its own files.
	Notes []Note
	// Files are the files that the job was read from, absolute, without those that ${file:..}
	// names.
	Files []string

	// Secrets are the places of secrets that stand in these files themselves, where a reference
	// like ${env:NAME} should. Who keeps the files keeps the secrets.
	Secrets []Place

	texts map[string]string // of the files that Notes point into
}

// ErrorPolicy is what becomes of rows that an output does not take (jobmodel.md 9).
type ErrorPolicy string

// The policies. Retry is the same as Stop for rows: what does not fit never will. Errors of
// networks and disks are retried under each.
const (
	Stop       ErrorPolicy = "stop"       // the job fails
	Retry      ErrorPolicy = "retry"      // the job waits and tries again until somebody sees to it
	Drop       ErrorPolicy = "drop"       // the row is counted and gone
	DeadLetter ErrorPolicy = "deadletter" // the row is kept as a dead letter
)

// Input is an input of the job. At least one of Connector and Sample is set, or Refused.
type Input struct {
	Name      string
	Reference bool
	// MaxVersions is how many versions of reference data are known at a time; 0 is the default.
	MaxVersions int64
	// Connector reads it live; nil if nothing says how, which Missing then explains.
	Connector *connect.Spec
	Config    connect.Config
	Format    connect.Format
	Missing   string
	// Sample is a file of events for runs and tests on this machine, absolute; "" if there is none.
	Sample       string
	SampleFormat connect.Format
	// Arrival says what the arrival time of events is: "" as the source has it, "event" the
	// event's own time, so that old data can be run again and nothing is late.
	Arrival string
	Place   Place
	// Azure is what the original calls its kind ("Event Hub"), "" for our own.
	Azure string
	// Refused says why it cannot be used here, naming what it needs; "" if it can.
	Refused string
}

// Output is an output of the job.
type Output struct {
	Name      string
	Connector *connect.Spec // nil as in Input; results then go where results of runs go
	Config    connect.Config
	Format    connect.Format
	Missing   string
	OnError   ErrorPolicy // "" as the job
	Place     Place
	Azure     string
	Refused   string
}

// Function is a user function in JavaScript.
type Function struct {
	Name      string
	Aggregate bool
	File      string // "" if it stands in the job file
	Script    string
	Place     Place
	// Refused says why it cannot run here (C#, a machine-learning service); "" if it can.
	Refused string

	shown string // File as messages say it
}

// Note is a finding about a file of the job other than its query.
type Note struct {
	Place
	Width    int // of what is wrong on its line, in code points; 0 if it is about the whole file
	Severity diag.Severity
	Text     string
	Hint     string
}

// Problem is an error list of a job that cannot be loaded: all that is wrong, in the order of
// places. Source has the texts of the files named, for carets.
type Problem struct {
	Notes  []Note
	Source map[string]string
}

// Options say how a job is loaded.
type Options struct {
	// Overlay is the overlay file; "" means weir.overlay.yaml beside the job, if it is there.
	Overlay string
	// Env looks an environment variable up; nil means none is set.
	Env func(name string) (string, bool)
	// KeepReferences leaves ${env:..} and ${file:..} that have no value as they are, for
	// checks in places that have no secrets.
	KeepReferences bool
	// Home, if set, is where relative paths of the job lead that name nothing beside its files:
	// those lie in a copy, as the versions of a deployed job do, and its data does not.
	Home string
}
