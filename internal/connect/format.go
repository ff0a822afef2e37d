package connect

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/codec"
)

// FormatProblems finds what is wrong with the format of an input or output of a connector. It
// reads the schema file, if there is one.
func FormatProblems(s *Spec, f Format, input bool) []Problem {
	var list []Problem
	problem := func(field, hint, text string, args ...any) {
		list = append(list, Problem{Field: field, Text: fmt.Sprintf(text, args...), Hint: hint})
	}
	takes, direction := s.FormatsOut, "outputs"
	if input {
		takes, direction = s.FormatsIn, "inputs"
	}
	binary := f.Type == "avro" || f.Type == "parquet" || f.Type == "protobuf"
	if binary && !slices.Contains(takes, f.Type) {
		names := append([]string{"json", "csv"}, takes...)
		problem("type", "formats are "+strings.Join(names, ", "), "%s of the type %q are not in %q", direction, s.Name, f.Type)
		return list
	}
	schemas := input && (f.Type == "protobuf" || f.Type == "avro" && slices.Contains(takes, "protobuf"))
	for _, x := range []struct {
		field string
		given bool
		needs bool
	}{{"schema", f.Schema != "", schemas}, {"registry", f.Registry.Expose() != "", schemas}, {"message", f.Message != "", input && f.Type == "protobuf"}} {
		if x.given && !x.needs {
			problem(x.field, "remove it", "%q is of inputs of messages in Avro or Protobuf", x.field)
		}
	}
	if len(list) > 0 || !schemas {
		return list
	}
	if f.Registry.Expose() != "" {
		if f.Schema != "" {
			problem("schema", "remove one of them", "messages have their schemas from a file or from a registry, not from both")
		}
		return list
	}
	if _, err := codec.NewPayload(codec.PayloadFormat{Type: f.Type, Schema: f.Schema, Message: f.Message}); err != nil {
		field := "schema"
		if f.Schema == "" {
			field = "type"
		}
		problem(field, "", "%v", err)
	}
	return list
}
