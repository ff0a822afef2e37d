package connect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormatProblems(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := &Spec{Name: "files", FormatsIn: FileFormats, FormatsOut: FileFormats}
	messages := &Spec{Name: "messages", FormatsIn: MessageFormats}
	f := func(s *Spec, o Format, input bool, want string) {
		t.Helper()
		var got []string
		for _, p := range FormatProblems(s, o, input) {
			got = append(got, p.Field+": "+strings.ReplaceAll(p.Text, dir+string(filepath.Separator), ""))
		}
		if g := strings.Join(got, "; "); g != want {
			t.Errorf("%+v: %s\nwant %s", o, g, want)
		}
	}
	f(files, Format{}, true, "")
	f(files, Format{Type: "avro"}, true, "")
	f(files, Format{Type: "parquet"}, false, "")
	f(files, Format{Type: "protobuf"}, true, `type: inputs of the type "files" are not in "protobuf"`)
	f(messages, Format{Type: "parquet"}, true, `type: inputs of the type "messages" are not in "parquet"`)
	f(messages, Format{Type: "avro"}, false, `type: outputs of the type "messages" are not in "avro"`)
	f(messages, Format{Type: "csv", Schema: "x", Message: "m"}, true, `schema: "schema" is of inputs of messages in Avro or Protobuf; message: "message" is of inputs of messages in Avro or Protobuf`)
	f(files, Format{Type: "avro", Schema: "x"}, true, `schema: "schema" is of inputs of messages in Avro or Protobuf`)
	f(messages, Format{Type: "avro", Message: "x"}, true, `message: "message" is of inputs of messages in Avro or Protobuf`)
	f(messages, Format{Type: "avro"}, true, "")
	f(messages, Format{Type: "avro", Schema: file("a.avsc", `{"type":"record","name":"r","fields":[]}`)}, true, "")
	f(messages, Format{Type: "avro", Schema: file("b.avsc", `{"type":"record"}`)}, true, `schema: the Avro schema is wrong: invalid record name "": a name is empty`)
	f(messages, Format{Type: "avro", Schema: filepath.Join(dir, "none")}, true, `schema: open none: no such file or directory`)
	f(messages, Format{Type: "protobuf"}, true, `type: messages of Protobuf need a schema: a .proto file or a descriptor set, or a registry`)
	f(messages, Format{Type: "protobuf", Schema: file("a.proto", `syntax = "proto3"; message A {} message B {}`)}, true, `schema: which message events are is not said; there are A, B`)
	f(messages, Format{Type: "protobuf", Schema: filepath.Join(dir, "a.proto"), Message: "B"}, true, "")
	f(messages, Format{Type: "protobuf", Registry: NewHidden("http://x")}, true, "")
	f(messages, Format{Type: "protobuf", Schema: "x", Registry: NewHidden("http://x")}, true, "schema: messages have their schemas from a file or from a registry, not from both")
}
