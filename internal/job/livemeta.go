package job

import (
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// addedColumns are the columns that live inputs add to their events (saql.md 7.9), as far as
// the source gives the properties.
var addedColumns = []string{"EventProcessedUtcTime", "PartitionId", "EventEnqueuedUtcTime", "IoTHub", "BlobName", "BlobLastModifiedUtcTime"}

// AddedColumns are the names of these columns.
func AddedColumns() []string { return slices.Clone(addedColumns) }

const (
	processedName = "EventProcessedUtcTime"
	eventIDName   = "EventId"
)

// metaColumns are the fields of an input that are not in the text of the events, or that a
// column which the input adds replaces.
type metaColumns struct {
	fields []metaField
	names  []string // of the record at hand, with the added columns
	of     []string // the names that they were made from
	ids    properties
}

type metaField struct {
	col   int // of the input
	name  string
	path  []string // below it
	whole bool     // the event itself: columns are added to the record
	added bool     // a column, not GetMetadataPropertyValue
}

// newMetaColumns finds the fields of an input that the runner fills.
func newMetaColumns(p *plan.Plan, input int, chosen []int, whole bool) metaColumns {
	var m metaColumns
	for _, c := range chosen {
		f := p.Inputs[input].Fields[c]
		switch {
		case f.Meta != "":
			m.fields = append(m.fields, metaField{col: c, name: f.Meta})
		case len(f.Path) == 0:
			if whole {
				m.fields = append(m.fields, metaField{col: c, whole: true})
			}
		default:
			for _, name := range addedColumns {
				if strings.EqualFold(name, f.Path[0]) {
					m.fields = append(m.fields, metaField{col: c, name: name, path: f.Path[1:], added: true})
				}
			}
		}
	}
	return m
}

// usedFields are the fields of an input that the plan reads, in order.
func usedFields(p *plan.Plan, input int) []int {
	var chosen []int
	for c, used := range exec.UsedColumns(p)[input] {
		if used {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// metadata fills the columns of the decoded batch that are not in the text.
func (l *Live) metadata(in *liveInput, p *livePart, c *connect.Chunk, d *decoder) {
	for i := range in.meta.fields {
		f := &in.meta.fields[i]
		out := &d.out.Cols[f.col]
		if f.name == eventIDName && !f.added {
			out.Fixed(vec.String, d.out.N)
			in.eventIDs(out, p, c, d)
			continue
		}
		if c.Marks == nil {
			if c.Properties == nil {
				continue
			}
			if f.whole {
				l.addColumns(in, out, d.out.N, func(int) map[string]vec.Value { return c.Properties })
				continue
			}
			if v, ok := l.property(f, c.Properties); ok {
				fill(out, d.out.N, v)
			}
			continue
		}
		of := func(row int) map[string]vec.Value {
			if m := c.Marks[p.text.marks[row]].Properties; m != nil {
				return m
			}
			return c.Properties
		}
		if f.whole {
			l.addColumns(in, out, d.out.N, of)
			continue
		}
		values := vec.Vec{}
		for row := range d.out.N {
			v, ok := l.property(f, of(row))
			if !ok {
				v = out.At(row)
			}
			values.Append(v)
		}
		*out = values
	}
}

func fill(out *vec.Vec, n int, v vec.Value) {
	*out = vec.Vec{}
	out.Fixed(v.Kind, n)
	for i := range n {
		out.Set(i, v)
	}
}

// property looks up what a field wants. A group such as "User" may be one record, or each of
// its names may stand for itself: "User.tenant".
func (l *Live) property(f *metaField, from map[string]vec.Value) (vec.Value, bool) {
	if from == nil {
		return vec.Value{}, false
	}
	v, ok := from[f.name]
	if !ok && f.added && f.name == processedName {
		v, ok = vec.TimeValue(l.clock), true
	}
	if group, name, dotted := strings.Cut(f.name, "."); !ok && dotted {
		if r, is := from[group]; is && r.Rec != nil {
			v, ok = r.Rec.Get(name)
		} else if group == "EventHub" {
			v, ok = from[name]
			if !ok && name == processedName {
				v, ok = vec.TimeValue(l.clock), true
			}
		}
		if !ok {
			return vec.NullValue(), true
		}
	}
	if !ok && !f.added {
		if f.name == "EventHub" {
			return l.eventHub(from), true
		}
		return groupOf(f.name, from), true
	}
	for _, name := range f.path {
		if v.Rec == nil {
			return vec.Value{Kind: vec.Missing}, ok
		}
		if v, _ = v.Rec.Get(name); v.Kind == vec.Missing {
			return v, ok
		}
	}
	return v, ok
}

// eventHub is the record of what an event hub knows of an event; NULL if it is of none.
func (l *Live) eventHub(from map[string]vec.Value) vec.Value {
	r := &vec.Rec{}
	for _, name := range []string{"EventEnqueuedUtcTime", processedName, "PartitionId", "Offset", "SequenceNumber", "PartitionKey", "Publisher",
		"IoTConnectionDeviceId", "IoTAuthMethod", "IoTAuthGenerationId", "IoTEnqueueTime", "IoTMessageSource", "IoTConnectionModuleId", "IoTInterfaceName"} {
		v, ok := from[name]
		if name == processedName {
			v, ok = vec.TimeValue(l.clock), true
		}
		if ok {
			r.Names, r.Vals = append(r.Names, name), append(r.Vals, v)
		}
	}
	if _, ok := from["SequenceNumber"]; !ok {
		return vec.NullValue()
	}
	return vec.RecordValue(r)
}

// groupOf is the record of all properties "group.name"; NULL if there are none.
func groupOf(group string, from map[string]vec.Value) vec.Value {
	r := &vec.Rec{}
	for _, k := range sortedNames(from) {
		if name, ok := strings.CutPrefix(k, group+"."); ok {
			r.Names, r.Vals = append(r.Names, name), append(r.Vals, from[k])
		}
	}
	if len(r.Names) == 0 {
		return vec.NullValue()
	}
	return vec.RecordValue(r)
}

// addColumns adds the columns that the input knows to each record; a field of the same name
// is replaced.
func (l *Live) addColumns(in *liveInput, out *vec.Vec, n int, of func(row int) map[string]vec.Value) {
	for row := range n {
		from := of(row)
		v := out.At(row)
		if from == nil || v.Rec == nil || v.Kind != vec.Record {
			continue
		}
		r := &vec.Rec{Names: v.Rec.Names, Vals: append(make([]vec.Value, 0, len(v.Rec.Vals)+3), v.Rec.Vals...)}
		var more []string
		for _, name := range addedColumns {
			x, ok := l.property(&metaField{name: name, added: true}, from)
			if !ok {
				continue
			}
			if at := indexOf(r.Names, name); at >= 0 {
				r.Vals[at] = x
			} else {
				more, r.Vals = append(more, name), append(r.Vals, x)
			}
		}
		r.Names = in.meta.join(r.Names, more)
		out.Rec[row] = r
	}
}

// join is names with more behind them; records of one shape share it.
func (m *metaColumns) join(names, more []string) []string {
	n := len(names)
	if n > 0 && len(m.of) == n && &m.of[0] == &names[0] && len(m.names) == n+len(more) {
		return m.names
	}
	m.of = names
	m.names = append(append(make([]string, 0, n+len(more)), names...), more...)
	return m.names
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// eventIDs fills the column of EventId (saql.md 7.9).
func (in *liveInput) eventIDs(out *vec.Vec, p *livePart, c *connect.Chunk, d *decoder) {
	last, index := -1, int64(0)
	for i := range out.Str {
		if c.Marks == nil {
			offset, _, _ := d.Row(i)
			out.Str[i] = in.meta.ids.eventID(in.spec.Name, p.idSpace(c), offset, 0)
			continue
		}
		m := p.text.marks[i]
		if index++; m != last {
			last, index = m, 0
		}
		out.Str[i] = in.meta.ids.eventID(in.spec.Name, p.idSpace(c), c.Marks[m].Offset, index)
	}
}

// idSpace is the partition as event ids have it: its number, or that of its text.
func (p *livePart) idSpace(c *connect.Chunk) int64 {
	if c.Object == "" {
		return int64(p.index)
	}
	return int64(objectHash(c.Object))
}
