package protobuf

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weir/internal/codec/jsonline"
)

// Limits of a message, which hostile bytes meet.
const (
	maxDepth = 100
	// maxSteps is how many fields one event has at most, those that are not there with them.
	maxSteps = 4 << 20
)

var (
	errDeep  = errors.New("the message is nested too deeply")
	errSteps = errors.New("the message has too many parts")
)

// found is a field that was found in the bytes of a message.
type found struct {
	next  int32 // the one of the same field behind it, -1 if there is none
	typ   protowire.Type
	bytes []byte // of its value; of a message what is inside
	num   uint64 // value of a number
}

// slot is a field of a message that is being read: its first and last found.
type slot struct{ first, last int32 }

// Decoder writes messages as JSON. One goroutine uses it.
type Decoder struct {
	root  *message
	dst   []byte
	start int
	limit int
	steps int
	depth int
	bad   string
	// found and slots are stacks of the messages around the one at hand.
	found []found
	slots []slot
}

// NewDecoder is a decoder of the schema's message.
func (s *Schema) NewDecoder() *Decoder { return &Decoder{root: s.root} }

// AppendJSON appends a message as JSON text: all of its fields in the order of the schema, those
// that are not there as NULL, or as the default of what has no presence. bad, if not "", says why it
// is no event. An error says that the bytes are no message. limit is the longest text.
func (d *Decoder) AppendJSON(dst, src []byte, limit int) (text []byte, bad string, err error) {
	*d = Decoder{root: d.root, dst: dst, start: len(dst), limit: limit, found: d.found[:0], slots: d.slots[:0]}
	err = d.message(d.root, src)
	if err == nil && (len(d.dst) == d.start || d.dst[d.start] != '{') {
		d.note("an event is a message with fields")
	}
	text, d.dst = d.dst, nil
	return text, d.bad, err
}

func (d *Decoder) note(reason string) {
	if d.bad == "" {
		d.bad = reason
	}
}

// full drops the text of an event that is too long.
func (d *Decoder) full() {
	if len(d.dst)-d.start > d.limit {
		d.note("the event is too long")
		d.dst = append(d.dst[:d.start], '{')
	}
}

func (m *message) place(number protowire.Number) int32 {
	if int(number) < len(m.low) {
		return m.low[number]
	}
	if i, ok := m.numbers[int32(number)]; ok {
		return i
	}
	return -1
}

// message appends a message.
func (d *Decoder) message(m *message, src []byte) error {
	if d.depth++; d.depth > maxDepth {
		return errDeep
	}
	slots, kept := len(d.slots), len(d.found)
	if err := d.scan(m, src); err != nil {
		return err
	}
	if err := d.write(m, slots); err != nil {
		return err
	}
	d.slots, d.found = d.slots[:slots], d.found[:kept]
	d.depth--
	return nil
}

// scan finds the fields of a message.
func (d *Decoder) scan(m *message, src []byte) error {
	base := len(d.slots)
	for range m.fields {
		d.slots = append(d.slots, slot{-1, -1})
	}
	var few [16]int32
	oneofs := few[:] // the field of each that came last, from 1
	if m.oneofs > len(few) {
		oneofs = make([]int32, m.oneofs)
	}
	for len(src) > 0 {
		number, typ, n := protowire.ConsumeTag(src)
		if n < 0 {
			return protowire.ParseError(n)
		}
		src = src[n:]
		x := found{next: -1, typ: typ}
		switch typ {
		case protowire.VarintType:
			x.num, n = protowire.ConsumeVarint(src)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(src)
			x.num = uint64(v)
		case protowire.Fixed64Type:
			x.num, n = protowire.ConsumeFixed64(src)
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(src)
		case protowire.StartGroupType:
			x.bytes, n = protowire.ConsumeGroup(number, src)
		default:
			return fmt.Errorf("field %d has the wire type %d", number, typ)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		src = src[n:]
		at := m.place(number)
		if at < 0 || !m.fields[at].takes(typ) {
			continue // a field that the schema does not have
		}
		if o := m.fields[at].oneof; o > 0 {
			if was := oneofs[o-1]; was > 0 && was != at+1 {
				d.slots[base+int(was-1)] = slot{-1, -1}
			}
			oneofs[o-1] = at + 1
		}
		d.add(base+int(at), x)
	}
	return nil
}

func (d *Decoder) add(at int, x found) {
	i := int32(len(d.found))
	d.found = append(d.found, x)
	s := &d.slots[at]
	if s.first < 0 {
		s.first = i
	} else {
		d.found[s.last].next = i
	}
	s.last = i
}

// takes reports whether a field can come in a wire type: numbers of a list also come packed.
func (f *field) takes(typ protowire.Type) bool {
	want := wireType(f.kind)
	return typ == want || f.list && typ == protowire.BytesType && want != protowire.StartGroupType
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

// write appends the fields that were found, from slots[base] on.
func (d *Decoder) write(m *message, base int) error {
	if m.special != plain {
		return d.special(m, base)
	}
	d.dst = append(d.dst, '{')
	for i := range m.fields {
		f := &m.fields[i]
		if d.steps++; d.steps > maxSteps {
			return errSteps
		}
		d.dst = append(d.dst, f.key...)
		was := d.bad
		if err := d.field(f, d.slots[base+i]); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if was == "" && d.bad != "" {
			d.bad = f.name + ": " + d.bad
		}
	}
	d.dst = append(d.dst, '}')
	d.full()
	return nil
}

// field appends the value of a field.
func (d *Decoder) field(f *field, s slot) error {
	switch {
	case f.pairs:
		return d.pairs(f, s)
	case f.list:
		return d.list(f, s)
	case s.first < 0 && f.presence:
		d.dst = append(d.dst, "null"...)
		return nil
	case s.first < 0:
		d.dst = append(d.dst, f.zero...)
		return nil
	case f.message != nil && s.first != s.last: // parts of one message
		var whole []byte
		for i := s.first; i >= 0; i = d.found[i].next {
			whole = append(whole, d.found[i].bytes...)
		}
		return d.message(f.message, whole)
	}
	return d.value(f, d.found[s.last])
}

// list appends a repeated field, whose numbers may come packed.
func (d *Decoder) list(f *field, s slot) error {
	d.dst = append(d.dst, '[')
	first := true
	one := func(x found) error {
		if d.steps++; d.steps > maxSteps {
			return errSteps
		}
		if !first {
			d.dst = append(d.dst, ',')
		}
		first = false
		err := d.value(f, x)
		d.full()
		return err
	}
	for i := s.first; i >= 0; i = d.found[i].next {
		x := d.found[i]
		want := wireType(f.kind)
		if x.typ == want {
			if err := one(x); err != nil {
				return err
			}
			continue
		}
		for b := x.bytes; len(b) > 0; {
			var n int
			x := found{typ: want}
			switch want {
			case protowire.Fixed32Type:
				var v uint32
				v, n = protowire.ConsumeFixed32(b)
				x.num = uint64(v)
			case protowire.Fixed64Type:
				x.num, n = protowire.ConsumeFixed64(b)
			default:
				x.num, n = protowire.ConsumeVarint(b)
			}
			if n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			if err := one(x); err != nil {
				return err
			}
		}
	}
	d.dst = append(d.dst, ']')
	return nil
}

// pairs appends a map as an object.
func (d *Decoder) pairs(f *field, s slot) error {
	d.dst = append(d.dst, '{')
	entry := f.message
	for i := s.first; i >= 0; i = d.found[i].next {
		if d.steps++; d.steps > maxSteps {
			return errSteps
		}
		if i != s.first {
			d.dst = append(d.dst, ',')
		}
		slots, kept := len(d.slots), len(d.found)
		if err := d.scan(entry, d.found[i].bytes); err != nil {
			return err
		}
		at := len(d.dst)
		key, value := &entry.fields[0], &entry.fields[1]
		if d.slots[slots].first < 0 {
			d.dst = append(d.dst, key.zero...)
		} else if err := d.value(key, d.found[d.slots[slots].last]); err != nil {
			return err
		}
		if at < len(d.dst) && d.dst[at] != '"' {
			d.dst = append(d.dst, `""`...)
			copy(d.dst[at+1:], d.dst[at:len(d.dst)-2])
			d.dst[at] = '"'
		}
		d.dst = append(d.dst, ':')
		v := d.slots[slots+1]
		var err error
		if v.first < 0 && value.message != nil {
			err = d.message(value.message, nil)
		} else {
			f := *value
			f.presence = false
			err = d.field(&f, v)
		}
		if err != nil {
			return err
		}
		d.slots, d.found = d.slots[:slots], d.found[:kept]
		d.full()
	}
	d.dst = append(d.dst, '}')
	return nil
}

// value appends one value.
func (d *Decoder) value(f *field, x found) error {
	switch f.kind {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return d.message(f.message, x.bytes)
	case protoreflect.StringKind:
		d.text(x.bytes, jsonline.AppendString)
	case protoreflect.BytesKind:
		d.text(x.bytes, jsonline.AppendBase64)
	case protoreflect.BoolKind:
		d.dst = strconv.AppendBool(d.dst, x.num != 0)
	case protoreflect.EnumKind:
		if s, ok := f.symbols[int32(x.num)]; ok {
			d.dst = append(d.dst, s...)
		} else {
			d.dst = strconv.AppendInt(d.dst, int64(int32(x.num)), 10)
		}
	case protoreflect.Int32Kind:
		d.dst = strconv.AppendInt(d.dst, int64(int32(x.num)), 10)
	case protoreflect.Sint32Kind:
		d.dst = strconv.AppendInt(d.dst, protowire.DecodeZigZag(x.num&math.MaxUint32), 10)
	case protoreflect.Sfixed32Kind:
		d.dst = strconv.AppendInt(d.dst, int64(int32(x.num)), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		d.dst = strconv.AppendUint(d.dst, uint64(uint32(x.num)), 10)
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		d.dst = strconv.AppendInt(d.dst, int64(x.num), 10)
	case protoreflect.Sint64Kind:
		d.dst = strconv.AppendInt(d.dst, protowire.DecodeZigZag(x.num), 10)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if x.num > math.MaxInt64 {
			d.note("the number " + strconv.FormatUint(x.num, 10) + " is no bigint")
		}
		d.dst = strconv.AppendUint(d.dst, x.num, 10)
	case protoreflect.FloatKind:
		d.dst = jsonline.AppendFloat(d.dst, float64(math.Float32frombits(uint32(x.num))))
	case protoreflect.DoubleKind:
		d.dst = jsonline.AppendFloat(d.dst, math.Float64frombits(x.num))
	}
	return nil
}

func (d *Decoder) text(b []byte, form func(dst, b []byte) []byte) {
	if len(b) > d.limit {
		d.note("the event is too long")
		b = nil
	}
	d.dst = form(d.dst, b)
	d.full()
}

// number is the value of a field that is a number, 0 if it is not there.
func (d *Decoder) number(s slot) int64 {
	if s.last < 0 {
		return 0
	}
	return int64(d.found[s.last].num)
}

const ticksPerSecond = 10_000_000

// special appends a message that stands for something else.
func (d *Decoder) special(m *message, base int) error {
	switch m.special {
	case timestamp, duration:
		seconds, nanos := d.number(d.slots[base]), int64(int32(d.number(d.slots[base+1])))
		if m.special == duration {
			d.dst = jsonline.AppendFloat(d.dst, float64(seconds)+float64(nanos)/1e9)
			return nil
		}
		ok := seconds > -1e12 && seconds < 1e12 && nanos >= 0 && nanos < 1e9
		if ok {
			d.dst, ok = jsonline.AppendTicks(d.dst, seconds*ticksPerSecond+nanos/100)
		}
		if !ok {
			d.note(fmt.Sprintf("the timestamp %d is no datetime", seconds))
		}
		return nil
	case anyValue:
		for i := range m.fields {
			s := d.slots[base+i]
			if s.first < 0 {
				continue
			}
			if m.fields[i].kind == protoreflect.EnumKind {
				break
			}
			return d.field(&m.fields[i], s)
		}
		d.dst = append(d.dst, "null"...)
		return nil
	}
	// Wrappers, lists and structures are their only field.
	return d.field(&m.fields[0], d.slots[base])
}
