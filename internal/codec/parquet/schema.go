package parquet

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"weir/internal/codec/jsonline"
	"weir/internal/vec"
)

// kind is what the values of a node become.
type kind uint8

const (
	kindGroup  kind = iota // an object
	kindList               // a repeated node or a group around one: an array
	kindMap                // an object, of a list of pairs
	kindInt                // of its physical type
	kindUint32             // INT32
	kindUint64             // INT64
	kindBit
	kindFloat
	kindDouble
	kindHalf    // FIXED_LEN_BYTE_ARRAY(2)
	kindText    // BYTE_ARRAY
	kindBinary  // base64
	kindUUID    // FIXED_LEN_BYTE_ARRAY(16)
	kindSpan    // FIXED_LEN_BYTE_ARRAY(12): months, days, milliseconds
	kindDecimal // of its physical type
	kindTime    // of its physical type, in unit; INT96 is a day and nanoseconds
	kindUnknown // always NULL
)

// node is a column or a group of them.
type node struct {
	key      string // `"name":`, with a comma before all but the first
	name     string
	kind     kind
	unit     jsonline.Unit
	scale    int
	def, rep int // levels at which it is there
	// optional: it may be NULL. Of a list or map that says something of the group around.
	optional bool
	children []*node // of a list its elements; of a map keys and values
	listDef  int     // of a list or map: the level at which it has an element
	leaf     int     // number of the (first) column in it
	leaves   int
}

var errSchema = errors.New("its schema is damaged")

// builder makes nodes of the elements of a schema, which come depth first.
type builder struct {
	list []format.SchemaElement
	at   int
	leaf int
}

// tree is the schema of a file.
func tree(list []format.SchemaElement) (*node, error) {
	b := &builder{list: list}
	if len(list) == 0 || list[0].Type.Valid {
		return nil, errSchema
	}
	root := &node{kind: kindGroup}
	b.at = 1
	if err := b.children(root, int(list[0].NumChildren.V), 0); err != nil {
		return nil, err
	}
	if root.leaves == 0 {
		return nil, errors.New("it has no columns")
	}
	if b.at != len(list) {
		return nil, errSchema
	}
	return root, nil
}

func (b *builder) children(parent *node, count, depth int) error {
	if count < 0 || count > len(b.list)-b.at {
		return errSchema
	}
	parent.leaf = b.leaf
	for range count {
		c, err := b.next(parent.def, parent.rep, depth+1)
		if err != nil {
			return err
		}
		parent.children = append(parent.children, c)
	}
	for i, c := range parent.children {
		c.setKey(i > 0)
	}
	parent.leaves = b.leaf - parent.leaf
	return nil
}

func (n *node) setKey(comma bool) {
	n.key = string(vec.AppendJSONString(nil, n.name)) + ":"
	if comma {
		n.key = "," + n.key
	}
}

// next makes the node of the element at hand.
func (b *builder) next(def, rep, depth int) (*node, error) {
	if b.at >= len(b.list) {
		return nil, errSchema
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("its columns lie more than %d deep in each other", maxNesting)
	}
	e := &b.list[b.at]
	b.at++
	n := &node{name: e.Name, def: def, rep: rep, leaf: b.leaf}
	repeated := false
	switch e.RepetitionType.V {
	case format.Optional:
		n.def++
		n.optional = true
	case format.Repeated:
		n.def++
		n.rep++
		repeated = true
	}
	if !e.Type.Valid {
		n.kind = kindGroup
		if err := b.children(n, int(e.NumChildren.V), depth); err != nil {
			return nil, err
		}
		if n.leaves == 0 {
			return nil, fmt.Errorf("group %q is empty", e.Name)
		}
		if !repeated {
			n.annotated(e)
		}
	} else {
		b.leaf++
		n.leaves = 1
		if err := n.values(e); err != nil {
			return nil, err
		}
	}
	if repeated { // not in a group that says LIST: a list of its own, that is never NULL
		return &node{name: n.name, kind: kindList, def: def, rep: rep, leaf: n.leaf, leaves: n.leaves, children: []*node{n}, listDef: n.def}, nil
	}
	return n, nil
}

// annotated makes a list or a map of a group that says that it is one.
func (n *node) annotated(e *format.SchemaElement) {
	logical := e.LogicalType.Value
	_, isList := logical.(*format.ListType)
	_, isMap := logical.(*format.MapType)
	if logical == nil && e.ConvertedType.Valid {
		isList = e.ConvertedType.V == deprecated.List
		isMap = e.ConvertedType.V == deprecated.Map || e.ConvertedType.V == deprecated.MapKeyValue
	}
	if len(n.children) != 1 || n.children[0].kind != kindList {
		return
	}
	inner := n.children[0]
	item := inner.children[0]
	switch {
	case isMap && item.kind == kindGroup && len(item.children) == 2 && !item.children[0].nested():
		n.kind, n.children, n.listDef = kindMap, item.children, inner.listDef
	case isList:
		// The element is the repeated node itself in what old writers wrote.
		if item.kind == kindGroup && len(item.children) == 1 && item.name != "array" && item.name != n.name+"_tuple" {
			item = item.children[0]
		}
		n.kind, n.children, n.listDef = kindList, []*node{item}, inner.listDef
	}
}

func (n *node) nested() bool { return n.kind <= kindMap }

// values finds out what the values of a column become.
func (n *node) values(e *format.SchemaElement) error {
	switch e.Type.V {
	case format.Boolean:
		n.kind = kindBit
	case format.Int32, format.Int64:
		n.kind = kindInt
	case format.Int96:
		n.kind = kindTime
	case format.Float:
		n.kind = kindFloat
	case format.Double:
		n.kind = kindDouble
	case format.ByteArray, format.FixedLenByteArray:
		n.kind = kindBinary
	default:
		return fmt.Errorf("column %q has the unknown type %d", e.Name, e.Type.V)
	}
	if e.LogicalType.Value != nil {
		n.logical(e)
	} else if e.ConvertedType.Valid {
		n.converted(e)
	}
	return nil
}

func (n *node) logical(e *format.SchemaElement) {
	switch l := e.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		n.text(e)
	case *format.UUIDType:
		n.fixed(e, 16, kindUUID)
	case *format.Float16Type:
		n.fixed(e, 2, kindHalf)
	case *format.DecimalType:
		n.decimal(e, int(l.Scale))
	case *format.DateType:
		n.time(e, format.Int32, jsonline.Days)
	case *format.TimestampType:
		switch l.Unit.Value.(type) {
		case *format.MilliSeconds:
			n.time(e, format.Int64, jsonline.Millis)
		case *format.MicroSeconds:
			n.time(e, format.Int64, jsonline.Micros)
		case *format.NanoSeconds:
			n.time(e, format.Int64, jsonline.Nanos)
		}
	case *format.IntType:
		n.integer(e, !l.IsSigned)
	case *format.NullType:
		n.kind = kindUnknown
	}
}

func (n *node) converted(e *format.SchemaElement) {
	switch e.ConvertedType.V {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		n.text(e)
	case deprecated.Decimal:
		n.decimal(e, int(e.Scale.V))
	case deprecated.Date:
		n.time(e, format.Int32, jsonline.Days)
	case deprecated.TimestampMillis:
		n.time(e, format.Int64, jsonline.Millis)
	case deprecated.TimestampMicros:
		n.time(e, format.Int64, jsonline.Micros)
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		n.integer(e, true)
	case deprecated.Interval:
		n.fixed(e, 12, kindSpan)
	}
}

func (n *node) text(e *format.SchemaElement) {
	if e.Type.V == format.ByteArray || e.Type.V == format.FixedLenByteArray {
		n.kind = kindText
	}
}

func (n *node) fixed(e *format.SchemaElement, size int32, k kind) {
	if e.Type.V == format.FixedLenByteArray && e.TypeLength.V == size {
		n.kind = k
	}
}

func (n *node) decimal(e *format.SchemaElement, scale int) {
	switch e.Type.V {
	case format.Int32, format.Int64, format.ByteArray, format.FixedLenByteArray:
		n.kind, n.scale = kindDecimal, scale
	}
}

func (n *node) time(e *format.SchemaElement, of format.Type, unit jsonline.Unit) {
	if e.Type.V == of {
		n.kind, n.unit = kindTime, unit
	}
}

func (n *node) integer(e *format.SchemaElement, unsigned bool) {
	switch {
	case unsigned && e.Type.V == format.Int32:
		n.kind = kindUint32
	case unsigned && e.Type.V == format.Int64:
		n.kind = kindUint64
	}
}
