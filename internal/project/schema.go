package project

import (
	"encoding/json"
	"slices"
	"strconv"

	"weir/internal/connect"
)

// schema is a JSON Schema. Keys come out in the order of the alphabet.
type schema map[string]any

// Schema is the JSON Schema (2020-12) of weir.yaml, made of the tables that the reader goes by
// and of what the connectors declare. What it refuses the reader refuses too; the reader knows
// more: durations, files, what belongs together.
func Schema() []byte { return render(jobSchema(false)) }

// OverlaySchema is the schema of weir.overlay.yaml.
func OverlaySchema() []byte { return render(jobSchema(true)) }

func render(s schema) []byte {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("project: " + err.Error())
	}
	return append(b, '\n')
}

// jobSchema is the schema of a job file or an overlay.
func jobSchema(overlay bool) schema {
	top := schema{
		"version":   schema{"const": 1, "description": "The version of this form of file."},
		"job":       jobObject(overlay),
		"inputs":    named("#/$defs/input", "Where events come from, by the names that the query has for them."),
		"outputs":   named("#/$defs/output", "Where rows go, by the names that the query has for them."),
		"functions": named("#/$defs/function", "The functions of the query in JavaScript."),
	}
	s := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "weir.schema.json", "title": "weir.yaml: a job", "type": "object",
		"properties": top, "additionalProperties": false, "required": []string{"version", "job"},
		"$defs": schema{"input": endpointSchema(true, overlay), "output": endpointSchema(false, overlay), "function": functionSchema(),
			"format": formatSchema()},
	}
	if overlay {
		s["$id"], s["title"] = "weir.overlay.schema.json", "weir.overlay.yaml: what is laid over a job"
		delete(s, "required")
		top["parameters"] = schema{"type": "object", "description": "The values of the parameters of a template."}
	} else {
		top["tests"] = fieldSchema(testsField)
	}
	return s
}

// named is an object of names and what they stand for; it may be empty.
func named(ref, doc string) schema {
	return schema{"type": []string{"object", "null"}, "additionalProperties": schema{"$ref": ref}, "description": doc}
}

// jobObject is the schema of "job".
func jobObject(overlay bool) schema {
	fields, times := jobFields, timeFields
	if overlay {
		fields, times = bare(fields), bare(times)
	}
	s := objectSchema(fields)
	s["properties"].(schema)["time"] = objectSchema(times)
	return s
}

// objectSchema is an object with fields and no others.
func objectSchema(fields []connect.Field) schema {
	s := schema{"type": "object", "properties": properties(fields), "additionalProperties": false}
	if r := required(fields); len(r) > 0 {
		s["required"] = r
	}
	return s
}

func properties(fields []connect.Field) schema {
	p := schema{}
	for _, f := range fields {
		p[f.Name] = fieldSchema(f)
	}
	return p
}

func required(fields []connect.Field) []string {
	var list []string
	for _, f := range fields {
		if f.Required && f.Default == "" {
			list = append(list, f.Name)
		}
	}
	return list
}

// reference is a text with a reference in it: what it stands for is checked when it is known.
var reference = schema{"type": "string", "pattern": `\$\{`}

// scalarText is a text, which may be written as a number.
var scalarText = schema{"type": []string{"string", "number"}}

// fieldSchema is the schema of one setting.
func fieldSchema(f connect.Field) schema {
	var s schema
	switch f.Type {
	case connect.Int:
		s = schema{"anyOf": []any{schema{"type": "integer"}, reference}}
	case connect.Bool:
		s = schema{"anyOf": []any{schema{"type": "boolean"}, reference}}
	case connect.Duration:
		s = schema{"anyOf": []any{schema{"type": "string", "pattern": `^(\d|P\dT?|PT\d)`}, schema{"const": 0}, reference}}
		if len(f.Values) > 0 {
			s["anyOf"] = append(s["anyOf"].([]any), schema{"enum": f.Values})
		}
	case connect.Size:
		s = schema{"anyOf": []any{schema{"type": "integer", "minimum": 0}, schema{"type": "string", "pattern": `^\d`}, reference}}
	case connect.Enum:
		s = schema{"anyOf": []any{schema{"enum": enumValues(f.Values)}, reference}}
	case connect.List:
		s = schema{"anyOf": []any{scalarText, schema{"type": "array", "items": scalarText}}}
	case connect.Map:
		s = schema{"type": "object", "additionalProperties": schema{"type": []string{"string", "number", "boolean"}}}
	default:
		s = schema{"type": []string{"string", "number"}}
	}
	s["description"] = f.Doc
	if f.Default != "" {
		s["default"] = f.Default
	}
	return s
}

// enumValues are the values of a setting; those that look like numbers may be written so.
func enumValues(values []string) []any {
	var list []any
	for _, v := range values {
		list = append(list, v)
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// endpointSchema is the schema of an input or an output: what all have, and by its type what
// its connector has.
func endpointSchema(input, overlay bool) schema {
	common, can := outputFields, isSink
	if input {
		common, can = inputFields, isSource
	}
	p := properties(common)
	types := []string{}
	for _, spec := range connect.All() {
		if can(spec) {
			types = append(types, namesOf(spec)...)
		}
	}
	p["type"] = schema{"enum": types, "description": "Which connector it is."}
	p["format"] = schema{"$ref": "#/$defs/format"}
	s := schema{"type": []string{"object", "null"}, "properties": p}
	if overlay {
		return s // without a type it completes the settings of another one, which the file does not show
	}
	s["unevaluatedProperties"] = false
	if input {
		s["type"] = "object"
		s["anyOf"] = []any{schema{"required": []string{"type"}}, schema{"required": []string{"sample"}}}
	}
	var rules []any
	for _, spec := range connect.All() {
		if !can(spec) {
			continue
		}
		fields := slices.DeleteFunc(fieldsOf(spec, input), func(f connect.Field) bool { return p[f.Name] != nil })
		then := schema{"properties": properties(fields), "description": spec.Summary}
		if r := required(fields); len(r) > 0 {
			then["required"] = r
		}
		rules = append(rules, schema{"if": schema{"properties": schema{"type": schema{"enum": namesOf(spec)}}, "required": []string{"type"}}, "then": then})
	}
	if len(rules) > 0 {
		s["allOf"] = rules
	}
	return s
}

// namesOf are the names that a connector goes by.
func namesOf(s *connect.Spec) []string { return append([]string{s.Name}, s.Aliases...) }

// functionSchema is the schema of a function: a file, or an object.
func functionSchema() schema {
	o := objectSchema(functionFields)
	o["oneOf"] = []any{schema{"required": []string{"file"}}, schema{"required": []string{"script"}}}
	return schema{"anyOf": []any{schema{"type": "string"}, o}}
}

// formatSchema is the schema of a format: a type, or an object.
func formatSchema() schema {
	return schema{"anyOf": []any{fieldSchema(formatFields[0]), objectSchema(formatFields)}, "description": "How events or rows lie in bytes."}
}
