package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

// The names of rows that cannot be messages (saql.md 3.11).
const (
	errType = "OutputDataConversionError.TypeConversionError"
	errSize = "OutputDataConversionError.RecordExceededSizeLimit"
)

// The ways of laying rows into messages.
const (
	PackOne   = "one"   // a message for each row
	PackLines = "lines" // several rows of one key, a row a line
	PackArray = "array" // the same as a JSON array
)

// Options say how rows become messages.
type Options struct {
	Columns    connect.Columns
	Format     connect.Format
	Key        string   // column of the key; "" for none
	Properties []string // columns that leave the payload and become properties
	// To is where a message goes: text with columns in braces, "teams/{TeamId}". "" leaves
	// Message.To empty.
	To string
	// CheckTo says why a message cannot go to a name that To has made; "" if it can. nil: it can.
	CheckTo   func(to []byte) string
	Pack      string // "" is PackOne
	PackBytes int    // size at which a packed message is full
	Limit     int    // of a message in bytes
	MaxKey    int    // of a key in bytes; 0 is no limit
	// Refuse says why a service cannot take the message of a row, and because of which column; it
	// becomes a row that is rejected. It may keep nothing of the message.
	Refuse func(m *Message) (column, reason string)
	// Repeats is how often the key and the properties of a message stand in what is sent: twice
	// if an envelope has them too. 0 is once.
	Repeats int
}

// Fields are the settings of outputs that Options.Config reads; a connector adds them to its own.
func Fields() []connect.Field {
	return []connect.Field{
		{Name: "property_columns", Type: connect.List, Output: true,
			Doc: "Columns that leave the payload and become properties of the message. They hold no records and arrays."},
		{Name: "pack", Type: connect.Enum, Values: []string{PackOne, PackLines, PackArray}, Default: PackOne, Output: true,
			Doc: "`one`: a message for each row. `lines`: several rows of one partition key in a message, a row a line. `array`: the same as a JSON array. Rows with properties are always alone."},
		{Name: "pack_bytes", Type: connect.Size, Default: "64KiB", Output: true, Doc: "With `lines` and `array`: the size at which a message is full."},
	}
}

// CheckFields finds what is wrong with the settings of Fields.
func CheckFields(c connect.Config) (out []connect.Problem) {
	columns := c.List("property_columns")
	for i, k := range columns {
		if slices.ContainsFunc(columns[:i], func(o string) bool { return strings.EqualFold(o, k) }) {
			out = append(out, connect.Problem{Field: "property_columns", Text: fmt.Sprintf("%q stands twice", k), Hint: "remove one of them"})
		}
	}
	if n := c.Int("pack_bytes"); n < 1 || n > math.MaxInt32 {
		out = append(out, connect.Problem{Field: "pack_bytes", Text: "\"pack_bytes\" is too small or too large", Hint: "remove it: there is a default"})
	}
	return out
}

// FromConfig are the options that the settings of Fields say, and "partition_key".
func FromConfig(c connect.Config, env connect.SinkEnv, limit int) Options {
	return Options{Columns: env.Columns, Format: env.Format, Key: c.Text("partition_key"), Properties: c.List("property_columns"),
		Pack: c.Text("pack"), PackBytes: int(c.Int("pack_bytes")), Limit: limit}
}

// Rows makes messages of rows.
type Rows struct {
	row    bool     // rows are records: column names are those of their fields
	names  []string // of the columns
	keep   []int    // columns of the payload
	leave  []string // names of the columns that are properties
	props  []int    // where they stand; -1 if there is none of the name
	key    string   // column of the partition key
	keyAt  int
	maxKey int
	times  int // that key and properties count for the size
	refuse func(m *Message) (column, reason string)
	to     *template
	able   func(to []byte) string

	csv       bool
	array     bool // the payload is a JSON array
	pack      bool
	packBytes int
	limit     int // of a message in bytes

	encode     *codec.Encoder
	doc        *codec.Encoder // rows as JSON, for those that are rejected
	text       []byte         // of a batch or a row
	toText     []byte
	keyText    []byte // never nil: "" is a key
	properties []Property
	one        vec.Batch // a row
	open       packed
}

// packed is a message that is being filled.
type packed struct {
	rows int
	time vec.Time // of the first row
	key  []byte   // nil if it has none
	body []byte
}

// messageOverhead is about what a message has beside its payload, key and properties.
const messageOverhead = 64

// NewRows says what is wrong with the options: an error that no retry heals.
func NewRows(o Options) (*Rows, error) {
	if p := o.Format.Compression; p != "" && p != "none" {
		return nil, fmt.Errorf("messages are not compressed; remove the compression %q", p)
	}
	m := &Rows{row: o.Columns.Row, names: o.Columns.Names, leave: o.Properties, key: o.Key, keyAt: -1, maxKey: o.MaxKey, times: max(o.Repeats, 1), refuse: o.Refuse,
		keyText: []byte{}, csv: o.Format.Type == "csv", array: o.Format.Array || o.Pack == PackArray, pack: o.Pack != PackOne && o.Pack != "", limit: o.Limit, able: o.CheckTo}
	m.packBytes = min(o.PackBytes, o.Limit/2)
	switch {
	case m.csv && m.array:
		return nil, errors.New("an array is JSON; remove the format csv, or write pack: lines")
	case len(m.leave) > 0 || o.To != "":
		m.pack = false
	}
	var err error
	if m.to, err = m.parseTemplate(o.To); err != nil {
		return nil, err
	}
	var kept []string
	for i, name := range m.names {
		if m.row || !slices.ContainsFunc(m.leave, func(l string) bool { return strings.EqualFold(l, name) }) {
			m.keep, kept = append(m.keep, i), append(kept, name)
		}
	}
	for _, name := range m.leave {
		at := m.column(name)
		if at < 0 && !m.row {
			return nil, fmt.Errorf("the rows have no column %q, which property_columns names", name)
		}
		m.props = append(m.props, at)
	}
	if m.key != "" {
		if m.keyAt = m.column(m.key); m.keyAt < 0 && !m.row {
			return nil, fmt.Errorf("the rows have no column %q, which partition_key names", m.key)
		}
	}
	kind := codec.JSONLines
	if m.csv {
		kind = codec.CSV
	}
	m.encode = codec.NewEncoder(kind, kept, m.row)
	if o.Format.Delimiter != 0 {
		m.encode.Delimiter(o.Format.Delimiter)
	}
	m.doc = codec.NewEncoder(codec.JSONLines, m.names, m.row)
	return m, nil
}

// column is where a column stands, -1 if there is none of the name.
func (m *Rows) column(name string) int {
	if m.row {
		return -1
	}
	return slices.IndexFunc(m.names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Add adds the messages of rows to those of the epoch. One that is being filled stays open.
func (m *Rows) Add(b *vec.Batch, to *Spool) {
	payload := m.payload(b)
	if m.csv {
		m.addCSV(b, payload, to)
		return
	}
	m.text = m.encode.Encode(m.text[:0], payload)
	i := 0
	for line := range bytes.Lines(m.text) {
		m.message(b, i, bytes.TrimSuffix(line, newline), to)
		i++
	}
	if cap(m.text) > maxBuffered {
		m.text = nil
	}
}

var newline = []byte("\n")

// addCSV adds rows of CSV: each message has the header row.
func (m *Rows) addCSV(b, payload *vec.Batch, to *Spool) {
	for i := range b.N {
		m.one.N = 1
		m.one.Cols = slices.Grow(m.one.Cols[:0], len(payload.Cols))[:len(payload.Cols)]
		for c := range payload.Cols {
			m.one.Cols[c].Gather(&payload.Cols[c], []int32{int32(i)})
		}
		m.encode.Restart()
		m.text = m.encode.Encode(m.text[:0], &m.one)
		m.message(b, i, bytes.TrimSuffix(m.text, newline), to)
	}
}

// payload is a batch without the columns that are properties.
func (m *Rows) payload(b *vec.Batch) *vec.Batch {
	if len(m.leave) == 0 {
		return b
	}
	p := &vec.Batch{N: b.N, Time: b.Time}
	if !m.row {
		for _, i := range m.keep {
			p.Cols = append(p.Cols, b.Cols[i])
		}
		return p
	}
	col := vec.Vec{}
	for i := range b.N {
		v := b.Cols[0].At(i)
		if v.Kind == vec.Record {
			r := &vec.Rec{}
			for f, name := range v.Rec.Names {
				if !slices.ContainsFunc(m.leave, func(l string) bool { return strings.EqualFold(l, name) }) {
					r.Names, r.Vals = append(r.Names, name), append(r.Vals, v.Rec.Vals[f])
				}
			}
			v = vec.RecordValue(r)
		}
		col.Append(v)
	}
	p.Cols = []vec.Vec{col}
	return p
}

// value is a column of a row by its place or, in a record, its name.
func (m *Rows) value(b *vec.Batch, row, at int, name string) vec.Value {
	if !m.row {
		return b.Cols[at].At(row)
	}
	v := b.Cols[0].At(row)
	if v.Kind != vec.Record {
		return vec.Value{}
	}
	found := vec.Value{}
	for i, n := range v.Rec.Names {
		if n == name {
			return v.Rec.Vals[i]
		}
		if found.Kind == vec.Missing && strings.EqualFold(n, name) {
			found = v.Rec.Vals[i]
		}
	}
	return found
}

// message adds a row to the message that is open, or as one of its own.
func (m *Rows) message(b *vec.Batch, row int, body []byte, to *Spool) {
	bad := func(name, column, format string, args ...any) {
		m.one.N, m.one.Cols = 1, slices.Grow(m.one.Cols[:0], len(b.Cols))[:len(b.Cols)]
		for c := range b.Cols {
			m.one.Cols[c].Gather(&b.Cols[c], []int32{int32(row)})
		}
		to.add(frame{Message: Message{Time: b.Time[row], Body: bytes.TrimSuffix(m.doc.Encode(nil, &m.one), newline)}, bad: name, column: column, reason: fmt.Sprintf(format, args...)})
	}
	var key []byte
	if m.key != "" {
		v := m.value(b, row, m.keyAt, m.key)
		text, ok := appendText(m.keyText[:0], v)
		if !ok {
			bad(errType, m.key, "a partition key cannot be %s", v.Kind)
			return
		}
		if m.keyText = text; !v.Kind.IsNull() {
			key = text
		}
		if m.maxKey > 0 && len(key) > m.maxKey {
			bad(errSize, m.key, "a partition key of %d bytes; %d is the most", len(key), m.maxKey)
			return
		}
	}
	to0, column, kind := m.to.append(m.toText[:0], m, b, row)
	if m.toText = to0; column != "" {
		bad(errType, column, "a name cannot be %s", kind)
		return
	}
	if m.able != nil && m.to != nil {
		if why := m.able(to0); why != "" {
			bad(errType, "", "%s", why)
			return
		}
	}
	m.properties = m.properties[:0]
	size := len(body) + m.times*len(key) + len(to0) + messageOverhead
	for i, name := range m.leave {
		v := m.value(b, row, m.props[i], name)
		v, ok := propertyOf(v)
		if !ok {
			bad(errType, name, "a property cannot be %s", v.Kind)
			return
		}
		if !v.Kind.IsNull() {
			m.properties = append(m.properties, Property{Name: name, Value: v})
			size += m.times*(len(name)+len(v.Str)) + messageOverhead
		}
	}
	if size > m.limit {
		bad(errSize, "", "the message would have %d bytes; %d is the most", size, m.limit)
		return
	}
	if !m.pack {
		if m.array {
			body = append(append([]byte{'['}, body...), ']')
		}
		out := Message{Time: b.Time[row], To: to0, Key: key, Properties: m.properties, Body: body}
		if m.refuse != nil {
			if column, reason := m.refuse(&out); reason != "" {
				bad(errType, column, "%s", reason)
				return
			}
		}
		to.add(frame{Message: out})
		return
	}
	m.fill(b.Time[row], key, body, to)
}

// fill adds a row to the message that is open, or opens another one.
func (m *Rows) fill(t vec.Time, key, body []byte, to *Spool) {
	o := &m.open
	if o.rows > 0 && ((o.key == nil) != (key == nil) || !bytes.Equal(o.key, key) || len(o.body)+len(body)+2 > m.packBytes) {
		m.Seal(to)
	}
	if m.csv && o.rows > 0 { // the header row is there
		head := bytes.IndexByte(body, '\n')
		if !bytes.HasPrefix(o.body, body[:head+1]) {
			m.Seal(to)
		} else {
			body = body[head+1:]
		}
	}
	switch {
	case o.rows == 0:
		o.time, o.body = t, o.body[:0]
		if o.key = nil; key != nil {
			o.key = append([]byte{}, key...) // "" is a key
		}
		if m.array {
			o.body = append(o.body, '[')
		}
	case m.array:
		o.body = append(o.body, ',')
	default:
		o.body = append(o.body, '\n')
	}
	o.body = append(o.body, body...)
	o.rows++
}

// Seal ends the message that is open.
func (m *Rows) Seal(to *Spool) {
	o := &m.open
	if o.rows == 0 {
		return
	}
	if m.array {
		o.body = append(o.body, ']')
	}
	to.add(frame{Message: Message{Time: o.time, Key: o.key, Body: o.body}})
	o.rows = 0
}

// Drop forgets the message that is open.
func (m *Rows) Drop() { m.open.rows = 0 }

// appendText adds a value as a partition key: texts as they are, others as JSON has them; NULL
// adds nothing. A record or array is none.
func appendText(dst []byte, v vec.Value) (text []byte, ok bool) {
	switch v.Kind {
	case vec.String:
		return append(dst, v.Str...), true
	case vec.Datetime:
		return vec.AppendTime(dst, vec.Time(v.Int)), true
	case vec.Int, vec.Float, vec.Bit:
		return vec.AppendJSON(dst, v), true
	}
	return dst, v.Kind.IsNull()
}

// propertyOf is a value as a property.
func propertyOf(v vec.Value) (p vec.Value, ok bool) {
	switch v.Kind {
	case vec.String:
		return vec.StringValue(strings.ToValidUTF8(strings.Clone(v.Str), "\uFFFD")), true
	case vec.Datetime:
		return vec.StringValue(vec.Time(v.Int).String()), true
	case vec.Int, vec.Float, vec.Bit:
		return v, true
	}
	return v, v.Kind.IsNull()
}
