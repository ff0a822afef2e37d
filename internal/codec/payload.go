package codec

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"weir/internal/codec/avro"
	"weir/internal/codec/jsonline"
	"weir/internal/codec/protobuf"
)

// PayloadFormat says how to read messages of a binary format.
type PayloadFormat struct {
	Type    string // "avro" or "protobuf"
	Schema  string // path of a schema file; "" if there is none
	Message string // of a schema of Protobuf
	// Registry, if set, gives the schemas that messages name by a number.
	Registry Registry
}

// RegisteredSchema is a schema of a registry.
type RegisteredSchema struct {
	Type string // "avro", "protobuf", "json"
	Text string
	// Others are the texts of the schemas that it refers to, each behind those that it refers
	// to itself, and Names what it calls them.
	Others, Names []string
}

// ErrNoSchema is the error of a number that a registry does not know.
var ErrNoSchema = errors.New("the schema registry has no schema of this number")

// Registry is a registry of schemas. An error but ErrNoSchema is one that may pass.
type Registry interface {
	Schema(ctx context.Context, number uint32) (RegisteredSchema, error)
}

// Payload turns messages of Avro and Protobuf into lines of JSON. One goroutine at a time uses
// it.
//
// A message of Avro is an object container file, which has its schema with it; or a value of the
// schema in the file, alone or as a single object with its fingerprint; or begins with the number
// of its schema in the registry. A message of Protobuf is one of the schema's, or begins with the
// number of its schema and its place in it.
type Payload struct {
	f      PayloadFormat
	avro   *avro.Schema
	proto  *protobuf.Decoder
	known  map[uint32]*registered
	opened bufio.Reader
	files  *avro.Reader
}

// registered is what is known of a number.
type registered struct {
	avro  *avro.Schema
	proto *protobuf.Schema
	parts map[string]*protobuf.Decoder // of proto, by where the message is in it
	bad   string                       // why messages with it cannot be read
}

// maxRegistered bounds the schemas of an input that are kept. Messages of further ones cannot be
// read: what was learned is needed by messages that wait.
const maxRegistered = 10_000

// NewPayload reads the schema file. Its errors are those of the settings.
func NewPayload(f PayloadFormat) (*Payload, error) {
	p := &Payload{f: f, known: map[uint32]*registered{}}
	switch {
	case f.Type == "protobuf" && f.Schema != "":
		s, err := protobuf.Load(f.Schema, f.Message)
		if err != nil {
			return nil, err
		}
		p.proto = s.NewDecoder()
	case f.Type == "protobuf" && f.Registry == nil:
		return nil, errors.New("messages of Protobuf need a schema: a .proto file or a descriptor set, or a registry")
	case f.Type == "avro" && f.Schema != "":
		b, err := readSchema(f.Schema)
		if err != nil {
			return nil, err
		}
		if p.avro, err = avro.Parse(string(b)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func readSchema(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, avro.MaxSchemaBytes+1))
}

// number is the number of the schema that a message begins with.
func (p *Payload) number(body []byte) (uint32, bool) {
	if p.f.Registry == nil || len(body) < 5 || body[0] != 0 {
		return 0, false
	}
	return binary.BigEndian.Uint32(body[1:]), true
}

// Known reports whether Append need not ask the registry for a message.
func (p *Payload) Known(body []byte) bool {
	n, ok := p.number(body)
	return !ok || p.known[n] != nil
}

// Learn asks the registry for the schema of a message. The error is one that may pass.
func (p *Payload) Learn(ctx context.Context, body []byte) error {
	if p.Known(body) {
		return nil
	}
	if len(p.known) >= maxRegistered {
		p.Forget() // messages of theirs are bad anyway
	}
	if len(p.known) >= maxRegistered {
		return nil // Append says so
	}
	n, _ := p.number(body)
	s, err := p.f.Registry.Schema(ctx, n)
	if err != nil && !errors.Is(err, ErrNoSchema) {
		return fmt.Errorf("the schema %d of a message: %w", n, err)
	}
	if err != nil {
		p.known[n] = &registered{bad: fmt.Sprintf("the schema registry has no schema %d", n)}
		return nil
	}
	p.known[n] = p.register(n, s)
	return nil
}

// Forget has schemas asked for again that the registry did not have.
func (p *Payload) Forget() {
	for n, r := range p.known {
		if r.bad != "" {
			delete(p.known, n)
		}
	}
}

func (p *Payload) register(n uint32, s RegisteredSchema) *registered {
	r := &registered{}
	var err error
	switch {
	case s.Type != p.f.Type:
		err = fmt.Errorf("it is one of %s, not of %s", s.Type, p.f.Type)
	case s.Type == "avro":
		r.avro, err = avro.Parse(s.Text, s.Others...)
	default:
		imports := map[string]string{}
		for i, name := range s.Names {
			imports[name] = s.Others[i]
		}
		r.proto, err = protobuf.FromRegistry(s.Text, imports)
		r.parts = map[string]*protobuf.Decoder{}
	}
	if err != nil {
		r.bad = fmt.Sprintf("the schema %d of the registry cannot be used: %v", n, err)
	}
	return r
}

// Append appends the events of a message, each a line. A message that cannot be read is an error
// line.
func (p *Payload) Append(dst, body []byte) []byte {
	if p.f.Type == "avro" && bytes.HasPrefix(body, []byte(avro.Magic)) {
		return p.container(dst, body)
	}
	value, bad := body, ""
	schema, message := p.avro, p.proto
	if p.f.Registry != nil {
		if schema, message, value, bad = p.registered(body); bad != "" {
			return jsonline.AppendError(dst, InvalidData, bad, body)
		}
	}
	start := len(dst)
	var err error
	switch {
	case p.f.Type == "protobuf":
		dst, bad, err = message.AppendJSON(dst, value, MaxEventBytes)
	case schema == nil:
		bad = "the message is no Avro file with its schema, and the input has neither a schema nor a registry"
	default:
		if len(value) >= 10 && value[0] == 0xc3 && value[1] == 1 && bytes.Equal(value[2:10], schema.Fingerprint[:]) {
			value = value[10:]
		}
		dst, value, bad, err = schema.AppendJSON(dst, value, MaxEventBytes)
		if err == nil && bad == "" && len(value) > 0 {
			bad = fmt.Sprintf("%d bytes follow the value: it is of another schema", len(value))
		}
	}
	if err != nil {
		bad = err.Error()
	}
	if bad != "" {
		return jsonline.AppendError(dst[:start], InvalidData, bad, body)
	}
	return append(dst, '\n')
}

// registered is the schema that a message names, and its value.
func (p *Payload) registered(body []byte) (a *avro.Schema, m *protobuf.Decoder, value []byte, bad string) {
	n, ok := p.number(body)
	if !ok {
		return nil, nil, nil, "the message does not begin with the number of its schema: 0 and four bytes"
	}
	r := p.known[n]
	if r == nil {
		return nil, nil, nil, fmt.Sprintf("the schema %d is not known; an input keeps %d of the registry", n, maxRegistered)
	}
	value = body[5:]
	if r.bad != "" || p.f.Type == "avro" {
		return r.avro, nil, value, r.bad
	}
	path, size, err := messagePath(value)
	if err != nil {
		return nil, nil, nil, err.Error()
	}
	key := string(value[:size])
	if m = r.parts[key]; m == nil {
		s, err := r.proto.Indexed(path)
		if err != nil {
			return nil, nil, nil, err.Error()
		}
		if len(r.parts) >= maxRegistered {
			clear(r.parts)
		}
		m = s.NewDecoder()
		r.parts[key] = m
	}
	return nil, m, value[size:], ""
}

// maxMessagePath is how deep messages are declared in each other.
const maxMessagePath = 32

// messagePath is where a message is declared in its schema; it stands before its bytes.
func messagePath(b []byte) (path []int, size int, err error) {
	bad := errors.New("the message does not say which message of its schema it is")
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > maxMessagePath {
		return nil, 0, bad
	}
	size = n
	if count == 0 {
		return []int{0}, size, nil
	}
	for range count {
		i, n := binary.Varint(b[size:])
		if n <= 0 || i < 0 || i > 1<<20 {
			return nil, 0, bad
		}
		size += n
		path = append(path, int(i))
	}
	return path, size, nil
}

// maxPayloadText bounds the text that one message becomes.
const maxPayloadText = 64 << 20

// container appends the events of an object container file.
func (p *Payload) container(dst, body []byte) []byte {
	p.opened.Reset(bytes.NewReader(body))
	if p.files == nil {
		p.files = avro.NewReader(&p.opened, MaxEventBytes, InvalidData)
	}
	r := p.files
	r.Reset(&p.opened)
	start := len(dst)
	for {
		dst = slices.Grow(dst, 4096)
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == nil && len(dst)-start > maxPayloadText {
			end := start + bytes.LastIndexByte(dst[start:], '\n') + 1
			return jsonline.AppendError(dst[:end], InvalidData, "the events of one message are longer than 64 MiB; those behind are lost", nil)
		}
		if err == io.EOF {
			return dst
		}
		if err != nil {
			return jsonline.AppendError(dst, InvalidData, err.Error(), body)
		}
	}
}
