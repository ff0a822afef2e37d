package hub

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/vec"
)

// The names of rows that cannot be messages (saql.md 3.11).
const (
	errType = "OutputDataConversionError.TypeConversionError"
	errSize = "OutputDataConversionError.RecordExceededSizeLimit"
)

// messages makes messages of rows.
type messages struct {
	row   bool     // rows are records: column names are those of their fields
	names []string // of the columns
	keep  []int    // columns of the payload
	leave []string // names of the columns that are properties
	props []int    // where they stand; -1 if there is none of the name
	key   string   // column of the partition key
	keyAt int

	csv         bool
	array       bool // the payload is a JSON array
	pack        bool
	packBytes   int
	contentType string
	limit       int // of a message in bytes

	encode *codec.Encoder
	doc    *codec.Encoder // rows as JSON, for those that are rejected
	text   []byte         // of a batch or a row
	buf    []byte         // a message
	one    vec.Batch      // a row
	open   packed
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

func newMessages(c connect.Config, env connect.SinkEnv, limit int) (*messages, error) {
	m := &messages{row: env.Columns.Row, names: env.Columns.Names, leave: c.List("property_columns"), key: c.Text("partition_key"), keyAt: -1,
		csv: env.Format.Type == "csv", array: env.Format.Array || c.Text("pack") == packArray, pack: c.Text("pack") != packOne && c.Text("pack") != "",
		contentType: c.Text("content_type"), limit: limit}
	m.packBytes = min(int(c.Int("pack_bytes")), limit/2)
	switch {
	case m.csv && m.array:
		return nil, fmt.Errorf("an array is JSON; remove the format csv, or write pack: lines")
	case len(m.leave) > 0:
		m.pack = false
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
	if env.Format.Delimiter != 0 {
		m.encode.Delimiter(env.Format.Delimiter)
	}
	m.doc = codec.NewEncoder(codec.JSONLines, m.names, m.row)
	return m, nil
}

// column is where a column stands, -1 if there is none of the name.
func (m *messages) column(name string) int {
	if m.row {
		return -1
	}
	return slices.IndexFunc(m.names, func(n string) bool { return strings.EqualFold(n, name) })
}

// add adds the messages of rows to those of the epoch. One that is being filled stays open.
func (m *messages) add(b *vec.Batch, to *frames) {
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
func (m *messages) addCSV(b, payload *vec.Batch, to *frames) {
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
func (m *messages) payload(b *vec.Batch) *vec.Batch {
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
func (m *messages) value(b *vec.Batch, row, at int, name string) vec.Value {
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
func (m *messages) message(b *vec.Batch, row int, body []byte, to *frames) {
	bad := func(name, column, format string, args ...any) {
		m.one.N, m.one.Cols = 1, slices.Grow(m.one.Cols[:0], len(b.Cols))[:len(b.Cols)]
		for c := range b.Cols {
			m.one.Cols[c].Gather(&b.Cols[c], []int32{int32(row)})
		}
		to.add(frame{time: b.Time[row], message: bytes.TrimSuffix(m.doc.Encode(nil, &m.one), newline), bad: name, column: column, reason: fmt.Sprintf(format, args...)})
	}
	var key []byte
	if m.key != "" {
		v := m.value(b, row, m.keyAt, m.key)
		text, ok := textOf(v)
		if !ok {
			bad(errType, m.key, "a partition key cannot be %s", v.Kind)
			return
		}
		if key = text; len(key) > hub.MaxKey {
			bad(errSize, m.key, "a partition key of %d bytes; %d is the most", len(key), hub.MaxKey)
			return
		}
	}
	var properties []amqp.Pair
	size := len(body) + len(m.contentType) + messageOverhead
	for i, name := range m.leave {
		v := m.value(b, row, m.props[i], name)
		x, ok := propertyOf(v)
		if !ok {
			bad(errType, name, "a property cannot be %s", v.Kind)
			return
		}
		if x != nil {
			properties = append(properties, amqp.Pair{Key: name, Value: x})
			size += len(name) + len(v.Str) + messageOverhead
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
		m.send(b.Time[row], key, properties, body, to)
		return
	}
	m.fill(b.Time[row], key, body, to)
}

// fill adds a row to the message that is open, or opens another one.
func (m *messages) fill(t vec.Time, key, body []byte, to *frames) {
	o := &m.open
	if o.rows > 0 && ((o.key == nil) != (key == nil) || !bytes.Equal(o.key, key) || len(o.body)+len(body)+2 > m.packBytes) {
		m.seal(to)
	}
	if m.csv && o.rows > 0 { // the header row is there
		head := bytes.IndexByte(body, '\n')
		if !bytes.HasPrefix(o.body, body[:head+1]) {
			m.seal(to)
		} else {
			body = body[head+1:]
		}
	}
	switch {
	case o.rows == 0:
		o.time, o.body = t, o.body[:0]
		if o.key = nil; key != nil {
			o.key = append([]byte{}, key...)
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

// seal ends the message that is open.
func (m *messages) seal(to *frames) {
	o := &m.open
	if o.rows == 0 {
		return
	}
	if m.array {
		o.body = append(o.body, ']')
	}
	m.send(o.time, o.key, nil, o.body, to)
	o.rows = 0
}

// drop forgets the message that is open.
func (m *messages) drop() { m.open.rows = 0 }

// send adds a message to those of the epoch.
func (m *messages) send(t vec.Time, key []byte, properties []amqp.Pair, body []byte, to *frames) {
	msg := amqp.Message{Properties: amqp.Properties{ContentType: m.contentType}, Application: properties, Body: body}
	m.buf = msg.Append(m.buf[:0])
	to.add(frame{time: t, key: key, message: m.buf})
}

// textOf is a value as a partition key: texts as they are, others as JSON has them; NULL is
// no key.
func textOf(v vec.Value) (text []byte, ok bool) {
	switch v.Kind {
	case vec.String:
		return append([]byte{}, v.Str...), true
	case vec.Datetime:
		return []byte(vec.Time(v.Int).String()), true
	case vec.Int, vec.Float, vec.Bit:
		return []byte(v.String()), true
	}
	return nil, v.Kind.IsNull()
}

// propertyOf is a value as a property; nil if it is NULL.
func propertyOf(v vec.Value) (x any, ok bool) {
	switch v.Kind {
	case vec.String:
		return strings.ToValidUTF8(strings.Clone(v.Str), "\uFFFD"), true
	case vec.Datetime:
		return vec.Time(v.Int).String(), true
	case vec.Int:
		return v.Int, true
	case vec.Float:
		return v.Float, true
	case vec.Bit:
		return v.Int != 0, true
	}
	return nil, v.Kind.IsNull()
}
