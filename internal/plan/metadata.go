package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// metaPath is the path of a property of the event that is not in its text; metaName gives
// the property back. No field has such a path: its first name is empty.
func metaPath(name string) []string { return []string{"", name} }

func metaName(path []string) (string, bool) {
	if len(path) == 2 && path[0] == "" {
		return path[1], true
	}
	return "", false
}

// metaField is the field of an input that a path means, as the decoder looks it up.
func (c *compiler) metaField(path []string) vec.Field {
	if name, ok := metaName(path); ok {
		return vec.Field{Meta: name}
	}
	return vec.Field{Path: c.fieldPath(path)}
}

// metadata compiles GetMetadataPropertyValue (saql.md 7.9): a column of the input that the
// runner fills. Test runs have no metadata; there it is NULL.
func (x *exprs) metadata(e *saql.Call) *Expr {
	if len(e.Args) != 2 {
		x.fail(diag.SA7002, e.Span, "GetMetadataPropertyValue takes 2 arguments, not "+itoa(len(e.Args)), "GetMetadataPropertyValue(source, 'path')")
		return bad(e.Span)
	}
	s := x.metadataSource(e)
	if s == nil {
		return bad(e.Span)
	}
	name, known := x.metadataPath(e.Args[1])
	if group, _, _ := strings.Cut(name, "."); group == "Kafka" || group == "Mqtt" {
		x.extension(e.Args[1].Pos(), "metadata of "+group, "")
	}
	t := vec.AnyKind &^ vec.KindsOf(vec.Missing)
	if !known || s.kind == fromReference {
		return &Expr{Op: OpConst, Val: vec.NullValue(), Type: t, Span: e.Span}
	}
	return &Expr{Op: OpCol, Type: t, Span: e.Span, ref: &ref{kind: refField, src: s, path: metaPath(name)}}
}

// metadataSource is the input that GetMetadataPropertyValue names, nil if it names none.
func (x *exprs) metadataSource(e *saql.Call) *source {
	p, ok := bare(e.Args[0]).(*saql.Path)
	if !ok || len(p.Names) != 1 {
		x.fail(diag.SA7016, e.Args[0].Pos(), "source of GetMetadataPropertyValue must be an input of FROM", "GetMetadataPropertyValue(source, 'path')")
		return nil
	}
	s := x.b.sourceNamed(p.Names[0].Text)
	switch {
	case s == nil:
		x.fail(diag.SA2005, p.Span, "no input or step named "+quote(p.Names[0].Text), "GetMetadataPropertyValue(source, 'path')")
		return nil
	case s.kind != fromInput && s.kind != fromReference:
		x.fail(diag.SA7009, p.Span, "GetMetadataPropertyValue reads an input, "+quote(p.Names[0].Text)+" is a step", "call it in the step that reads the input")
		return nil
	}
	return s
}

// metadataPath reads the path of GetMetadataPropertyValue. It gives the property as it is
// spelt in saql.md 7.9, and whether there is such a one.
func (x *exprs) metadataPath(a saql.Expr) (name string, known bool) {
	text, ok := literalText(a)
	if !ok {
		x.fail(diag.SA7016, a.Pos(), "path of GetMetadataPropertyValue must be a text literal", "'[User].[name]'")
		return "", false
	}
	names := splitPath(text)
	if len(names) == 0 || len(names) > 2 {
		x.fail(diag.SA7016, a.Pos(), "path of GetMetadataPropertyValue must be one or two names", "'[User].[name]'")
		return "", false
	}
	return properName(names)
}

// literalText is the text of a literal, in single or double quotes.
func literalText(e saql.Expr) (string, bool) {
	switch e := bare(e).(type) {
	case *saql.Literal:
		return e.Str, e.Kind == saql.LitString
	case *saql.Path:
		if len(e.Names) == 1 && e.Names[0].Quote == '"' {
			return e.Names[0].Text, true
		}
	}
	return "", false
}

// splitPath splits a.b or [a].[b]; nil if it is neither. In brackets ]] stands for ].
func splitPath(s string) []string {
	var names []string
	for {
		s = strings.TrimSpace(s)
		var name string
		if strings.HasPrefix(s, "[") {
			end := 1
			for ; end < len(s); end++ {
				if s[end] == ']' {
					if !strings.HasPrefix(s[end:], "]]") {
						break
					}
					end++
				}
			}
			if end >= len(s) {
				return nil
			}
			name, s = strings.ReplaceAll(s[1:end], "]]", "]"), strings.TrimSpace(s[end+1:])
		} else {
			end := strings.IndexByte(s, '.')
			if end < 0 {
				end = len(s)
			}
			name, s = strings.TrimSpace(s[:end]), s[end:]
		}
		if name == "" {
			return nil
		}
		names = append(names, name)
		if s == "" {
			return names
		}
		if s[0] != '.' {
			return nil
		}
		s = s[1:]
	}
}

// properties are the names of metadata that have no name behind them, or several; nil
// stands for any name (saql.md 7.9).
var properties = []struct {
	name  string
	parts []string
}{
	{"EventHub", []string{"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId", "Offset", "SequenceNumber", "PartitionKey", "Publisher",
		"IoTConnectionDeviceId", "IoTAuthMethod", "IoTAuthGenerationId", "IoTEnqueueTime", "IoTMessageSource", "IoTConnectionModuleId", "IoTInterfaceName"}},
	{"IoTHub", []string{"ConnectionDeviceId", "AuthMethod", "AuthGenerationId", "EnqueueTime", "MessageSource", "ConnectionModuleId", "InterfaceName",
		"CorrelationId", "MessageId", "ConnectionDeviceGenerationId"}},
	{"BlobName", []string{}},
	{"BlobLastModifiedUtcTime", []string{}},
	{"PartitionId", []string{}},
	{"EventId", []string{}},
	{"User", nil},
	{"Kafka", []string{"Topic", "Partition", "Offset", "Key", "Headers"}},
	{"Mqtt", []string{"Topic", "Qos", "Retain"}},
}

// properName is a property as it is spelt in saql.md 7.9, "Group.Name" with both; false if
// there is none.
func properName(names []string) (string, bool) {
	for _, p := range properties {
		if !sameName(p.name, names[0]) {
			continue
		}
		if len(names) == 1 {
			return p.name, true
		}
		if p.parts == nil {
			return p.name + "." + names[1], true
		}
		part := names[1]
		if p.name == "IoTHub" && sameName(part, "EnqueuedTime") {
			part = "EnqueueTime"
		}
		for _, known := range p.parts {
			if sameName(known, part) {
				return p.name + "." + known, true
			}
		}
	}
	return "", false
}
