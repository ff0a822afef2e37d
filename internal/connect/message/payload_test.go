package message

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lib "github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"weir/internal/codec/jsonline"
	"weir/internal/connect"
)

const avroSchema = `{"type":"record","name":"r","namespace":"n","fields":[{"name":"a","type":"long"},{"name":"b","type":["null","string"]}]}`

// cutLines is what a cutter makes of messages; what is no event shows as "! reason".
func cutLines(t *testing.T, c *Cutter, bodies ...[]byte) string {
	t.Helper()
	var text []byte
	for _, b := range bodies {
		if err := c.Prepare(context.Background(), b); err != nil {
			return "error: " + err.Error()
		}
		var ends bool
		if text, ends = c.Append(&connect.Chunk{}, text, b); ends {
			t.Fatal("binary messages belong to any chunk")
		}
	}
	var out []string
	for line := range bytes.Lines(text) {
		if name, reason, _, ok := jsonline.ParseError(line); ok {
			if !strings.HasPrefix(name, "InputDeserializerError.") {
				t.Errorf("the name is %q", name)
			}
			out = append(out, "! "+reason)
			continue
		}
		out = append(out, strings.TrimSuffix(string(line), "\n"))
	}
	return strings.Join(out, " ")
}

func container(t *testing.T, rows ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, lib.MustParse(avroSchema), ocf.WithCodec(ocf.SnappyCodec()))
	for _, r := range rows {
		if err == nil {
			err = w.Encode(r)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func row(a int64, b any) map[string]any { return map[string]any{"a": a, "b": b} }

// TestAvroMessages: files with their schema, as Event Hubs has them, and values of a schema file.
func TestAvroMessages(t *testing.T) {
	schema := filepath.Join(t.TempDir(), "r.avsc")
	if err := os.WriteFile(schema, []byte(avroSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	s := lib.MustParse(avroSchema)
	value, err := s.Encode(row(7, "x"))
	if err != nil {
		t.Fatal(err)
	}
	single, err := s.AppendSingleObject(nil, row(8, nil))
	if err != nil {
		t.Fatal(err)
	}
	f := func(o connect.Format, want string, bodies ...[]byte) {
		t.Helper()
		if got := cutLines(t, NewCutter(o, ""), bodies...); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	avro := connect.Format{Type: "avro"}
	f(avro, `{"a":1,"b":"x"} {"a":2,"b":null} {"a":3,"b":null}`, container(t, row(1, "x"), row(2, nil)), container(t, row(3, nil)))
	f(avro, `! the header of the Avro file is cut off {"a":3,"b":null}`, container(t)[:40], container(t, row(3, nil)))
	f(avro, `! the message is no Avro file with its schema, and the input has neither a schema nor a registry`, value)
	f(avro, ``, nil)
	with := connect.Format{Type: "avro", Schema: schema}
	f(with, `{"a":7,"b":"x"} {"a":8,"b":null} {"a":3,"b":null}`, value, single, container(t, row(3, nil)))
	f(with, `! b: a union has no member 5`, []byte("\x02\x0a"))
	f(with, `! 1 bytes follow the value: it is of another schema`, append(bytes.Clone(value), 0))
	f(connect.Format{Type: "avro", Schema: schema, Compression: "gzip"}, `{"a":7,"b":"x"} ! the message cannot be unpacked`, []byte(gzipped(string(value))), value)

	if err := Check(connect.Format{Type: "avro", Schema: schema + "x"}); err == nil {
		t.Error("there is no such file")
	}
	if err := Check(connect.Format{Type: "parquet"}); err == nil {
		t.Error("messages are not Parquet")
	}
	if got := cutLines(t, NewCutter(connect.Format{Type: "protobuf"}, ""), value); !strings.Contains(got, "messages of Protobuf need a schema") {
		t.Error(got)
	}
}

// schemas is a registry, as Confluent's answers.
type schemas struct {
	*httptest.Server
	byID  map[string]map[string]any
	asked int
	down  bool
	auth  string
}

func newSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{byID: map[string]map[string]any{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked++
		user, password, _ := r.BasicAuth()
		switch found, ok := s.byID[r.URL.Path]; {
		case s.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case s.auth != "" && user+":"+password != s.auth:
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"error_code":40403,"message":"Schema not found"}`))
		default:
			json.NewEncoder(w).Encode(found)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func framed(id uint32, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), rest...)
}

// TestRegistry: messages name their schemas by number; a schema is asked for once.
func TestRegistry(t *testing.T) {
	s := newSchemas(t)
	s.byID["/schemas/ids/5"] = map[string]any{"schema": avroSchema}
	s.byID["/schemas/ids/6"] = map[string]any{"schema": `{"type":"record","name":"w","fields":[{"name":"in","type":"n.r"}]}`,
		"references": []any{map[string]any{"name": "n.r", "subject": "r-value", "version": 2}}}
	s.byID["/subjects/r-value/versions/2"] = map[string]any{"schema": avroSchema, "subject": "r-value", "version": 2, "id": 5}
	s.byID["/schemas/ids/7"] = map[string]any{"schema": `syntax = "proto3"; import "b.proto"; message A { B b = 1; } message C { message D { int64 y = 1; } }`, "schemaType": "PROTOBUF",
		"references": []any{map[string]any{"name": "b.proto", "subject": "b", "version": 1}}}
	s.byID["/subjects/b/versions/1"] = map[string]any{"schema": `syntax = "proto3"; message B { int32 n = 1; }`, "schemaType": "PROTOBUF", "subject": "b", "version": 1, "id": 9}
	s.byID["/schemas/ids/8"] = map[string]any{"schema": `{"type":"recor`}

	value, err := lib.MustParse(avroSchema).Encode(row(7, "x"))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCutter(connect.Format{Type: "avro", Registry: connect.NewHidden(s.URL)}, "")
	f := func(c *Cutter, asked int, want string, bodies ...[]byte) {
		t.Helper()
		s.asked = 0
		if got := cutLines(t, c, bodies...); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if s.asked != asked {
			t.Errorf("the registry was asked %d times, not %d", s.asked, asked)
		}
	}
	f(c, 1, `{"a":7,"b":"x"} {"a":7,"b":"x"}`, framed(5, value...), framed(5, value...))
	f(c, 2, `{"in":{"a":7,"b":"x"}}`, framed(6, value...))
	f(c, 2, `! the schema 7 of the registry cannot be used: it is one of protobuf, not of avro`, framed(7, value...))
	f(c, 1, `! the schema 8 of the registry cannot be used: the Avro schema is wrong: invalid schema json: unterminated string at offset 14: unexpected EOF`, framed(8, value...))
	f(c, 1, `! the schema registry has no schema 99 ! the schema registry has no schema 99`, framed(99, 1), framed(99, 1))
	f(c, 0, `! the message does not begin with the number of its schema: 0 and four bytes`, []byte("hello"))
	f(c, 0, `{"a":3,"b":null}`, container(t, row(3, nil)))

	p := NewCutter(connect.Format{Type: "protobuf", Registry: connect.NewHidden(s.URL)}, "")
	f(p, 2, `{"b":{"n":5}} {"b":{"n":5}} {"y":3}`, framed(7, 0, 0x0a, 2, 8, 5), framed(7, 2, 0, 0x0a, 2, 8, 5), framed(7, 4, 2, 0, 8, 3))
	f(p, 0, `! the schema has no message [9]`, framed(7, 2, 18))
	f(p, 1, `! the schema 5 of the registry cannot be used: it is one of avro, not of protobuf`, framed(5, value...))
}

// TestRegistryDown: no event becomes a dead letter because a registry is away, and no password
// shows.
func TestRegistryDown(t *testing.T) {
	s := newSchemas(t)
	s.byID["/schemas/ids/5"] = map[string]any{"schema": avroSchema}
	s.auth = "me:planted-secret"
	with := strings.Replace(s.URL, "http://", "http://me:planted-secret@", 1)
	body := framed(5, 2, 0)
	f := func(url, want string) {
		t.Helper()
		got := cutLines(t, NewCutter(connect.Format{Type: "avro", Registry: connect.NewHidden(url)}, ""), body)
		if strings.Contains(got, "planted-secret") {
			t.Errorf("the password shows: %s", got)
		}
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	f(with, `{"a":1,"b":null}`)
	f(s.URL, "error: the schema 5 of a message: the schema registry at "+s.URL+" does not let us in: Unauthorized; put user:password@ before the host in its URL")
	s.down = true
	f(with, "error: the schema 5 of a message: the schema registry at "+s.URL+" answers 503")
	s.Close()
	f(with, "error: the schema 5 of a message: the schema registry at "+s.URL+" cannot be reached: ")
	if err := Check(connect.Format{Type: "avro", Registry: connect.NewHidden("host:planted-secret@x:1:2")}); err == nil || strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("%v", err)
	}
}
