// Package avro reads and writes Avro: object container files, messages that carry the number
// or the fingerprint of their schema, and values alone. Values become JSON text at once, with
// no Go value in between; schemas are read by github.com/twmb/avro.
package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	lib "github.com/twmb/avro"

	"weir/internal/vec"
)

// MaxSchemaBytes is the longest schema that is read.
const MaxSchemaBytes = 4 << 20

// kind is what a value is in bytes and what it becomes.
type kind uint8

const (
	kindNull kind = iota
	kindBit
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindRecord
	kindEnum
	kindArray
	kindMap
	kindUnion
	kindFixed
	kindDate     // int
	kindMillis   // long
	kindMicros   // long
	kindNanos    // long
	kindDecimal  // bytes
	kindFixedDec // fixed
	kindFixedID  // fixed of 16 bytes: a UUID
	kindSpan     // fixed of 12 bytes: months, days, milliseconds
)

// node is the compiled schema of a value.
type node struct {
	kind    kind
	fields  []field
	items   *node    // of an array or map
	members []*node  // of a union
	symbols []string // of an enum, as JSON
	size    int      // of a fixed
	scale   int      // of a decimal
}

type field struct {
	key  string // `"name":`, with a comma before all but the first
	name string
	node *node
}

// Schema is how the bytes of values are read. Several goroutines may use it.
type Schema struct {
	root *node
	text string
	// Fingerprint is the CRC-64-AVRO of its canonical form, as single objects carry it.
	Fingerprint [8]byte
}

// Parse reads a schema of Avro in JSON. others are schemas whose types it names, in an order in
// which each knows those that it names itself.
func Parse(text string, others ...string) (*Schema, error) {
	var cache lib.SchemaCache
	c := compiler{named: map[string]*node{}}
	var s *lib.Schema
	var root *node
	for _, text := range append(slices.Clone(others), text) {
		var err error
		if len(text) > MaxSchemaBytes {
			return nil, fmt.Errorf("the Avro schema is longer than %d MiB", MaxSchemaBytes>>20)
		}
		if s, err = cache.Parse(text, lib.WithLaxNames(anyName)); err == nil {
			root, err = c.compile(s.Root(), "", 0)
		}
		if err != nil {
			return nil, fmt.Errorf("the Avro schema is wrong: %w", err)
		}
	}
	out := &Schema{root: root, text: text}
	sum := lib.NewRabin()
	sum.Write(s.Canonical())
	binary.LittleEndian.PutUint64(out.Fingerprint[:], sum.Sum64())
	return out, nil
}

// anyName takes the names that others wrote, whatever the specification says of them.
func anyName(name string) error {
	if name == "" {
		return errors.New("a name is empty")
	}
	return nil
}

// compiler makes nodes and knows those that have names.
type compiler struct {
	named map[string]*node
}

// maxSchemaDepth bounds how deep a schema lies in itself.
const maxSchemaDepth = 1000

func (c *compiler) compile(s *lib.SchemaNode, space string, depth int) (*node, error) {
	if depth > maxSchemaDepth {
		return nil, errors.New("it is nested too deeply")
	}
	switch s.Type {
	case "record", "error":
		return c.record(s, depth)
	case "enum":
		n := &node{kind: kindEnum}
		for _, x := range s.Symbols {
			n.symbols = append(n.symbols, string(vec.AppendJSONString(nil, x)))
		}
		c.keep(s, n)
		return n, nil
	case "fixed":
		n := fixed(s)
		c.keep(s, n)
		return n, nil
	case "array", "map":
		n, of := &node{kind: kindArray}, s.Items
		if s.Type == "map" {
			n.kind, of = kindMap, s.Values
		}
		var err error
		n.items, err = c.compile(of, space, depth+1)
		return n, err
	case "union":
		n := &node{kind: kindUnion}
		for i := range s.Branches {
			m, err := c.compile(&s.Branches[i], space, depth+1)
			if err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
		return n, nil
	}
	if n := primitive(s); n != nil {
		return n, nil
	}
	if n, ok := c.named[s.Type]; ok {
		return n, nil
	}
	if n, ok := c.named[space+"."+s.Type]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("there is no type %q", s.Type)
}

// record compiles a record, which may have itself inside.
func (c *compiler) record(s *lib.SchemaNode, depth int) (*node, error) {
	n := &node{kind: kindRecord}
	c.keep(s, n)
	for i, f := range s.Fields {
		of, err := c.compile(&f.Type, s.Namespace, depth+1)
		if err != nil {
			return nil, err
		}
		var key []byte
		if i > 0 {
			key = append(key, ',')
		}
		key = append(vec.AppendJSONString(key, f.Name), ':')
		n.fields = append(n.fields, field{key: string(key), name: f.Name, node: of})
	}
	return n, nil
}

func (c *compiler) keep(s *lib.SchemaNode, n *node) {
	name := s.Name
	if s.Namespace != "" {
		name = s.Namespace + "." + name
	}
	c.named[name] = n
	if _, ok := c.named[s.Name]; !ok {
		c.named[s.Name] = n
	}
}

func fixed(s *lib.SchemaNode) *node {
	n := &node{kind: kindFixed, size: s.Size}
	switch {
	case s.LogicalType == "decimal":
		n.kind, n.scale = kindFixedDec, s.Scale
	case s.LogicalType == "uuid" && s.Size == 16:
		n.kind = kindFixedID
	case s.LogicalType == "duration" && s.Size == 12:
		n.kind = kindSpan
	}
	return n
}

// primitive is nil if the type is none. Times of day stay numbers: SAQL has no such type.
func primitive(s *lib.SchemaNode) *node {
	switch s.Type {
	case "null":
		return &node{kind: kindNull}
	case "boolean":
		return &node{kind: kindBit}
	case "int":
		if s.LogicalType == "date" {
			return &node{kind: kindDate}
		}
		return &node{kind: kindInt}
	case "long":
		switch s.LogicalType {
		case "timestamp-millis", "local-timestamp-millis":
			return &node{kind: kindMillis}
		case "timestamp-micros", "local-timestamp-micros":
			return &node{kind: kindMicros}
		case "timestamp-nanos", "local-timestamp-nanos":
			return &node{kind: kindNanos}
		}
		return &node{kind: kindLong}
	case "float":
		return &node{kind: kindFloat}
	case "double":
		return &node{kind: kindDouble}
	case "string":
		return &node{kind: kindString}
	case "bytes":
		if s.LogicalType == "decimal" {
			return &node{kind: kindDecimal, scale: s.Scale}
		}
		return &node{kind: kindBytes}
	}
	return nil
}
