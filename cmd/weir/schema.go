package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"weir/internal/connect"
	"weir/internal/project"
)

type schemaCmd struct {
	What string `arg:"" optional:"" enum:"config,overlay,connectors" default:"config" help:"config (weir.yaml), overlay (weir.overlay.yaml) or connectors. Default ${default}."`
	JSON bool   `help:"The list of connectors as JSON."`
}

// Help shows examples before the flags.
func (schemaCmd) Help() string {
	return `Examples:
  weir schema > weir.schema.json
  weir schema connectors

An editor that knows YAML completes and checks a job file whose first line is
  # yaml-language-server: $schema=weir.schema.json`
}

// Run prints a schema or the list of connectors.
func (s *schemaCmd) Run(con *console) error {
	switch {
	case s.What == "overlay":
		_, err := con.out.Write(project.OverlaySchema())
		return err
	case s.What == "connectors" && s.JSON:
		return connectorsJSON(con.out)
	case s.What == "connectors":
		return connectorsMarkdown(con.out)
	}
	_, err := con.out.Write(project.Schema())
	return err
}

// typeNames are the kinds of settings for people.
var typeNames = map[connect.FieldType]string{connect.Text: "text", connect.Secret: "secret", connect.Int: "number", connect.Bool: "true or false",
	connect.Duration: "duration", connect.Size: "size", connect.Enum: "one of", connect.List: "list", connect.Path: "path", connect.Map: "pairs"}

// direction says where a setting belongs; "" is both.
func direction(f connect.Field) string {
	switch {
	case f.Input && !f.Output:
		return "input"
	case f.Output && !f.Input:
		return "output"
	}
	return ""
}

// typeText is the kind of a setting with its values.
func typeText(f connect.Field) string {
	if f.Type == connect.Enum {
		return "`" + strings.Join(f.Values, "`, `") + "`"
	}
	return typeNames[f.Type]
}

// connectorsMarkdown is the reference of all connectors.
func connectorsMarkdown(w io.Writer) error {
	var b strings.Builder
	for i, s := range connect.All() {
		if i > 0 {
			b.WriteByte('\n')
		}
		connectorMarkdown(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// connectorMarkdown is the reference of a connector.
func connectorMarkdown(b *strings.Builder, s *connect.Spec) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", s.Name, s.Summary)
	if s.Source != nil {
		fmt.Fprintf(b, "Input: %s\n", or(s.In, "yes"))
		if s.Reference {
			b.WriteString("It can give reference data.\n")
		}
	}
	if s.Sink != nil {
		fmt.Fprintf(b, "Output: %s\n", or(s.Out, "yes"))
	}
	b.WriteString("\n| setting | holds | default | what it is |\n|---|---|---|---|\n")
	for _, f := range s.Fields {
		value := f.Default
		if f.Required {
			value = "(required)"
		}
		doc := f.Doc
		if d := direction(f); d != "" && s.Source != nil && s.Sink != nil {
			doc = "(" + d + ") " + doc
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, typeText(f), value, strings.ReplaceAll(doc, "|", `\|`))
	}
	if s.Example != "" {
		fmt.Fprintf(b, "\n```yaml\n%s\n```\n", strings.TrimRight(s.Example, "\n"))
	}
}

// connectorJSON is a connector for programs.
type connectorJSON struct {
	Name      string      `json:"name"`
	Aliases   []string    `json:"aliases,omitempty"`
	Summary   string      `json:"summary"`
	Input     bool        `json:"input"`
	Output    bool        `json:"output"`
	Reference bool        `json:"reference"`
	InSays    string      `json:"inputPromise,omitempty"`
	OutSays   string      `json:"outputPromise,omitempty"`
	Fields    []fieldJSON `json:"settings"`
}

// fieldJSON is a setting of a connector for programs.
type fieldJSON struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Values   []string `json:"values,omitempty"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	Only     string   `json:"only,omitempty"` // input or output
	Doc      string   `json:"doc"`
}

// connectorsJSON prints all connectors as one array.
func connectorsJSON(w io.Writer) error {
	list := []connectorJSON{}
	for _, s := range connect.All() {
		c := connectorJSON{Name: s.Name, Aliases: s.Aliases, Summary: s.Summary, Input: s.Source != nil, Output: s.Sink != nil, Reference: s.Reference, InSays: s.In, OutSays: s.Out}
		for _, f := range s.Fields {
			c.Fields = append(c.Fields, fieldJSON{f.Name, typeNames[f.Type], f.Values, f.Default, f.Required, direction(f), f.Doc})
		}
		list = append(list, c)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
