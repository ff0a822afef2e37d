package connect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Spec declares a connector: the job file's checker, the JSON Schema, the manual and the
// runner read it, and nothing else lists connectors.
type Spec struct {
	Name string // the type in a job file: "file", "blob", "sql" ...
	// Aliases are other names that Find knows: "postgresql" for "postgres".
	Aliases []string
	Summary string // one sentence
	Fields  []Field
	// Source and Sink open it; nil if it cannot be one.
	Source func(ctx context.Context, c Config, env SourceEnv) (Source, error)
	Sink   func(ctx context.Context, c Config, env SinkEnv) (Sink, error)
	// Reference: it can give reference data.
	Reference bool
	// ReferenceOnly: its inputs give nothing else.
	ReferenceOnly bool
	// FormatsIn and FormatsOut are the types of format beside JSON and CSV that its inputs read
	// and its outputs write: FileFormats, MessageFormats.
	FormatsIn, FormatsOut []string
	// In and Out say what is promised, for people: "exactly once", "at least once, with an
	// idempotency key".
	In, Out string
	// Check finds what no single field can tell; it opens nothing.
	Check func(c Config, input bool) []Problem
	// Probe tries an input or output as the job would use it, and changes nothing at the
	// service: whether it is reached, lets us in, and has what the settings name. Each problem
	// is one line for people; its hint is what to do, such as the DDL that makes a table. ctx
	// has the time limit. nil: there is nothing to try.
	Probe func(ctx context.Context, c Config, env ProbeEnv) []Problem
	// Claims are what only one output may have of those of a job, in words for people: a file.
	// nil is nothing.
	Claims func(c Config, output string) []string
	// Example is a block of a job file, below "inputs:" or "outputs:", that tests load.
	Example string
}

// The formats beside JSON and CSV of what holds whole files, and of what holds messages.
var (
	FileFormats    = []string{"avro", "parquet"}
	MessageFormats = []string{"avro", "protobuf"}
)

// ProbeEnv is what a connector is tried with.
type ProbeEnv struct {
	Job       string
	Name      string // of the input or output
	Input     bool
	Reference bool
	Columns   Columns // of an output
	Format    Format
}

// Field is a setting of a connector.
type Field struct {
	Name     string
	Type     FieldType
	Values   []string // of an Enum
	Default  string   // as in the job file; "" if there is none
	Required bool
	Input    bool // it is of inputs; neither Input nor Output: of both
	Output   bool
	Doc      string
}

// FieldType is what a setting holds, and the Go type that Config has it in.
type FieldType uint8

// The types.
const (
	Text     FieldType = iota // string
	Secret                    // Hidden
	Int                       // int64
	Bool                      // bool
	Duration                  // time.Duration: 5s, PT5S
	Size                      // int64 bytes: 64MiB
	Enum                      // string
	List                      // []string: a list of texts, or one text
	Path                      // string: a path relative to the job file; Config has it absolute
	Map                       // map[string]string
)

// Problem is something wrong with a setting.
type Problem struct {
	Field string // its name, "" for the whole
	Text  string
	Hint  string
}

// Hidden is a secret. It shows as *** wherever it is printed, logged or encoded.
type Hidden struct{ text string }

// NewHidden hides a text.
func NewHidden(text string) Hidden { return Hidden{text} }

// Expose gives the secret itself, for the place that needs it and no other.
func (h Hidden) Expose() string { return h.text }

// String, GoString, Format, MarshalJSON, MarshalText and LogValue all hide it.
func (h Hidden) String() string { return hiddenText(h.text) }

// GoString hides the secret from %#v.
func (h Hidden) GoString() string { return hiddenText(h.text) }

// Format hides the secret from every verb.
func (h Hidden) Format(f fmt.State, _ rune) { fmt.Fprint(f, hiddenText(h.text)) }

// MarshalText hides the secret from JSON and YAML, as text and as a key.
func (h Hidden) MarshalText() ([]byte, error) { return []byte(hiddenText(h.text)), nil }

func hiddenText(s string) string {
	if s == "" {
		return ""
	}
	return "***"
}

// Config is the settings of one input or output, checked against the fields of its Spec:
// every value has the Go type of its field, and defaults are filled in.
type Config struct {
	Values map[string]any
}

func get[T any](c Config, name string) T {
	v, _ := c.Values[name].(T)
	return v
}

// Has reports whether a setting was given or has a default.
func (c Config) Has(name string) bool { _, ok := c.Values[name]; return ok }

// Text is a Text, Enum or Path setting; "" if it is not given.
func (c Config) Text(name string) string { return get[string](c, name) }

// Secret is a Secret setting.
func (c Config) Secret(name string) Hidden { return get[Hidden](c, name) }

// Int is an Int or Size setting.
func (c Config) Int(name string) int64 { return get[int64](c, name) }

// Bool is a Bool setting.
func (c Config) Bool(name string) bool { return get[bool](c, name) }

// Duration is a Duration setting.
func (c Config) Duration(name string) time.Duration { return get[time.Duration](c, name) }

// List is a List setting.
func (c Config) List(name string) []string { return get[[]string](c, name) }

// Map is a Map setting.
func (c Config) Map(name string) map[string]string { return get[map[string]string](c, name) }

var registry []*Spec

// Register adds a connector; its package does so when it is initialised. Two of one name are
// a bug.
func Register(s *Spec) {
	for _, name := range append([]string{s.Name}, s.Aliases...) {
		if _, ok := Find(name); ok {
			panic("connect: two connectors are called " + name)
		}
	}
	registry = append(registry, s)
	slices.SortFunc(registry, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) })
}

// Find is the connector of a name or alias, without case.
func Find(name string) (*Spec, bool) {
	for _, s := range registry {
		if strings.EqualFold(s.Name, name) || slices.ContainsFunc(s.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return s, true
		}
	}
	return nil, false
}

// All are the connectors in the order of their names.
func All() []*Spec { return slices.Clone(registry) }
