package protobuf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"weir/internal/vec"
)

// Limits of schemas.
const (
	maxFileBytes = 8 << 20
	maxMessages  = 10_000
)

// Schema is how the bytes of messages are read. Several goroutines may use it.
type Schema struct {
	root *message
	file protoreflect.FileDescriptor
}

// Load reads a schema: a .proto file, with those beside it that it imports, or else a set of
// file descriptors as protoc writes it (--descriptor_set_out with --include_imports). name is
// the full name of the message, or its last part; it may be "" if there is only one.
func Load(path, name string) (*Schema, error) {
	if strings.EqualFold(filepath.Ext(path), ".proto") {
		files, err := compile(filepath.Base(path), func(file string) (io.ReadCloser, error) {
			f, err := os.Open(filepath.Join(filepath.Dir(path), filepath.FromSlash(file)))
			if err != nil {
				return nil, err
			}
			return limited{io.LimitReader(f, maxFileBytes), f}, nil
		})
		if err != nil {
			return nil, err
		}
		return find(files, name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return nil, err
	}
	return FromSet(b, name)
}

type limited struct {
	io.Reader
	io.Closer
}

// FromSet reads a set of file descriptors.
func FromSet(b []byte, name string) (*Schema, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil || len(set.File) == 0 {
		return nil, errors.New("the file is neither a .proto file nor a set of file descriptors, as protoc --descriptor_set_out --include_imports writes it")
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("the set of file descriptors is wrong: %w", err)
	}
	// The last file is the one that was compiled; those before it are its imports.
	last, err := files.FindFileByPath(set.File[len(set.File)-1].GetName())
	if err != nil {
		return nil, err
	}
	if name != "" {
		var found protoreflect.FileDescriptor
		files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			if messageIn(f, name) != nil {
				found = f
			}
			return found == nil
		})
		if found != nil {
			last = found
		}
	}
	return find(last, name)
}

// FromText reads the text of a .proto file. imports are the texts of others by their names.
func FromText(text string, imports map[string]string, name string) (*Schema, error) {
	f, err := compileText(text, imports)
	if err != nil {
		return nil, err
	}
	return find(f, name)
}

func compileText(text string, imports map[string]string) (protoreflect.FileDescriptor, error) {
	const self = "the schema.proto"
	return compile(self, func(file string) (io.ReadCloser, error) {
		if file == self {
			return io.NopCloser(strings.NewReader(text)), nil
		}
		if t, ok := imports[file]; ok {
			return io.NopCloser(strings.NewReader(t)), nil
		}
		return nil, os.ErrNotExist
	})
}

func compile(name string, open func(string) (io.ReadCloser, error)) (protoreflect.FileDescriptor, error) {
	c := protocompile.Compiler{MaxParallelism: 1, Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: open})}
	files, err := c.Compile(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("the .proto file is wrong: %w", err)
	}
	return files[0], nil
}

// messageIn is the message of a full name, or of a last part, in a file.
func messageIn(f protoreflect.FileDescriptor, name string) protoreflect.MessageDescriptor {
	return messageOf(f.Messages(), name)
}

func messageOf(list protoreflect.MessageDescriptors, name string) protoreflect.MessageDescriptor {
	for i := range list.Len() {
		m := list.Get(i)
		if string(m.FullName()) == name || string(m.Name()) == name {
			return m
		}
		if in := messageOf(m.Messages(), name); in != nil {
			return in
		}
	}
	return nil
}

// find compiles the message of a name.
func find(f protoreflect.FileDescriptor, name string) (*Schema, error) {
	list := f.Messages()
	var names []string
	for i := range list.Len() {
		names = append(names, string(list.Get(i).FullName()))
	}
	var m protoreflect.MessageDescriptor
	switch {
	case name != "":
		m = messageIn(f, name)
	case list.Len() == 1:
		m = list.Get(0)
	}
	if m == nil {
		slices.Sort(names)
		what := fmt.Sprintf("there is no message %q", name)
		if name == "" {
			what = "which message events are is not said"
		}
		return nil, fmt.Errorf("%s; there are %s", what, strings.Join(names[:min(len(names), 20)], ", "))
	}
	root, err := newCompiler().message(m)
	if err != nil {
		return nil, err
	}
	return &Schema{root: root, file: f}, nil
}

// Indexed is the schema of another message of the same file, by its place among the messages, as
// the Confluent framing names it: 1, 0 is the first message inside of the second.
func (s *Schema) Indexed(path []int) (*Schema, error) {
	list := s.file.Messages()
	var m protoreflect.MessageDescriptor
	for _, i := range path {
		if i < 0 || i >= list.Len() {
			return nil, fmt.Errorf("the schema has no message %v", path)
		}
		m = list.Get(i)
		list = m.Messages()
	}
	if m == nil {
		return nil, errors.New("the message does not say which it is")
	}
	root, err := newCompiler().message(m)
	if err != nil {
		return nil, err
	}
	return &Schema{root: root, file: s.file}, nil
}

// special are the messages that stand for something else.
type special uint8

const (
	plain special = iota
	timestamp
	duration
	wrapper // its only field
	structure
	anyValue
	listValue
)

var specials = map[protoreflect.FullName]special{
	"google.protobuf.Timestamp": timestamp, "google.protobuf.Duration": duration,
	"google.protobuf.Struct": structure, "google.protobuf.Value": anyValue, "google.protobuf.ListValue": listValue,
	"google.protobuf.DoubleValue": wrapper, "google.protobuf.FloatValue": wrapper, "google.protobuf.Int64Value": wrapper,
	"google.protobuf.UInt64Value": wrapper, "google.protobuf.Int32Value": wrapper, "google.protobuf.UInt32Value": wrapper,
	"google.protobuf.BoolValue": wrapper, "google.protobuf.StringValue": wrapper, "google.protobuf.BytesValue": wrapper,
}

// message is the compiled descriptor of a message.
type message struct {
	special special
	fields  []field
	numbers map[int32]int32 // field number to place in fields
	low     [32]int32       // the same for small numbers; -1 is none
	oneofs  int
}

type field struct {
	key      string // `"name":`, with a comma before all but the first
	name     string
	kind     protoreflect.Kind
	list     bool
	pairs    bool // a map
	presence bool // it is NULL if it is not there
	oneof    int  // which of the message's, from 1; 0 is none
	message  *message
	symbols  map[int32]string // of an enum, as JSON
	zero     string           // its default, as JSON
}

type compiler struct {
	known map[protoreflect.FullName]*message
}

func newCompiler() *compiler { return &compiler{known: map[protoreflect.FullName]*message{}} }

func (c *compiler) message(d protoreflect.MessageDescriptor) (*message, error) {
	if m, ok := c.known[d.FullName()]; ok {
		return m, nil
	}
	if len(c.known) >= maxMessages {
		return nil, fmt.Errorf("the schema has more than %d messages", maxMessages)
	}
	m := &message{special: specials[d.FullName()], numbers: map[int32]int32{}}
	c.known[d.FullName()] = m
	for i := range m.low {
		m.low[i] = -1
	}
	list := d.Fields()
	for i := range list.Len() {
		f, err := c.field(list.Get(i), i > 0)
		if err != nil {
			return nil, err
		}
		number := int32(list.Get(i).Number())
		m.numbers[number] = int32(i)
		if int(number) < len(m.low) {
			m.low[number] = int32(i)
		}
		m.oneofs = max(m.oneofs, f.oneof)
		m.fields = append(m.fields, f)
	}
	return m, nil
}

func (c *compiler) field(d protoreflect.FieldDescriptor, comma bool) (field, error) {
	f := field{name: string(d.Name()), kind: d.Kind(), list: d.IsList(), pairs: d.IsMap(), presence: d.HasPresence()}
	f.key = string(vec.AppendJSONString(nil, f.name)) + ":"
	if comma {
		f.key = "," + f.key
	}
	if o := d.ContainingOneof(); o != nil {
		f.oneof = o.Index() + 1
	}
	switch f.kind {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		m, err := c.message(d.Message())
		f.message = m
		return f, err
	case protoreflect.EnumKind:
		f.symbols = map[int32]string{}
		values := d.Enum().Values()
		for i := range values.Len() {
			n := int32(values.Get(i).Number())
			if _, ok := f.symbols[n]; !ok {
				f.symbols[n] = string(vec.AppendJSONString(nil, string(values.Get(i).Name())))
			}
		}
		f.zero = f.symbols[int32(d.Default().Enum())]
	case protoreflect.StringKind, protoreflect.BytesKind:
		f.zero = `""`
	case protoreflect.BoolKind:
		f.zero = "false"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		f.zero = "0.0"
	default:
		f.zero = "0"
	}
	return f, nil
}

// FromRegistry reads a schema of a registry, whose messages Indexed gives.
func FromRegistry(text string, imports map[string]string) (*Schema, error) {
	f, err := compileText(text, imports)
	if err != nil {
		return nil, err
	}
	return &Schema{file: f}, nil
}
