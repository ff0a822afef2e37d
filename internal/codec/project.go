package codec

import (
	"bytes"
	"strings"

	"weir/internal/vec"
)

// wanted is the tree of the fields' paths: what is wanted of an object.
type wanted struct {
	name string
	cols []*column // that want the value itself
	kids []*wanted // parts of the value that are wanted too
}

// newWanted builds the tree. The columns of the root want the whole event.
func newWanted(fields []vec.Field, cols []column) *wanted {
	root := &wanted{}
	for i, f := range fields {
		if f.Meta != "" {
			continue
		}
		n := root
		for _, name := range f.Path {
			n = n.kid(name)
		}
		n.cols = append(n.cols, &cols[i])
	}
	return root
}

// simple reports whether no two names with parts, side by side, are equal without case:
// a member could belong to both, and only the generic decoder gets that right.
func (w *wanted) simple() bool {
	for i, a := range w.kids {
		for _, b := range w.kids[:i] {
			if len(a.kids) > 0 && len(b.kids) > 0 && strings.EqualFold(a.name, b.name) {
				return false
			}
		}
		if !a.simple() {
			return false
		}
	}
	return true
}

// kid is the part with exactly that name.
func (w *wanted) kid(name string) *wanted {
	for _, k := range w.kids {
		if k.name == name {
			return k
		}
	}
	k := &wanted{name: name}
	w.kids = append(w.kids, k)
	return k
}

// deep reports whether name, a name in an event, may lead to a part of a part.
func (w *wanted) deep(name []byte) *wanted {
	for _, k := range w.kids {
		if len(k.kids) > 0 && (string(name) == k.name || equalFold(name, k.name)) {
			return k
		}
	}
	return nil
}

// member is a field of an event, found by a scan.
type member struct {
	name   []byte
	start  int32 // of the value; of its first byte after the quote, for a string
	end    int32 // behind the value; of the closing quote, for a string
	parent int32 // position of the member that it belongs to, -1 for the event
	depth  int32 // of the object that it stands in: 1 is the event
	class  class
	flag   bool // a string with escapes, a number that is a float
	opened bool // its own members follow
}

// projector scans events and converts what is wanted of them.
type projector struct {
	root *wanted
	// shallow says that whole events are wanted: then members are never opened.
	shallow bool
	members []member
	scratch []byte
	texts   arena
}

// scan reads the event data[start:end]. It is false if it is not a valid object: then the
// generic decoder says why.
func (p *projector) scan(data []byte, start, end int) bool {
	p.members = p.members[:0]
	if data[start] != '{' {
		return false
	}
	next := p.object(data[:end], start, -1, 1, p.root)
	return next >= 0 && skipSpace(data[:end], next) == end
}

// object scans the object at i and lists its members. w is what is wanted of it.
func (p *projector) object(data []byte, i int, parent int32, depth int, w *wanted) (end int) {
	if depth > vec.MaxJSONDepth {
		return -1
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return i + 1
	}
	for {
		if i = p.member(data, i, parent, depth, w); i < 0 {
			return -1
		}
		i = skipSpace(data, i)
		if i == len(data) {
			return -1
		}
		if data[i] == '}' {
			return i + 1
		}
		if data[i] != ',' {
			return -1
		}
		i = skipSpace(data, i+1)
	}
}

// member scans a name and its value.
func (p *projector) member(data []byte, i int, parent int32, depth int, w *wanted) (end int) {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	nameEnd, escaped := scanString(data, i+1)
	if nameEnd < 0 {
		return -1
	}
	m := member{name: data[i+1 : nameEnd], parent: parent, depth: int32(depth)}
	if escaped {
		m.name = unescape(nil, m.name)
	}
	if i = scanColon(data, nameEnd+1); i < 0 || i == len(data) {
		return -1
	}
	var ok bool
	if m.class, ok = classOf(data[i]); !ok {
		return -1
	}
	at := int32(len(p.members))
	m.start = int32(i)
	switch m.class {
	case classString:
		m.start++
		if end, m.flag = scanString(data, i+1); end < 0 {
			return -1
		}
		m.end = int32(end)
		end++
	case classNumber:
		end, m.flag = scanNumber(data, i)
		m.end = int32(end)
	case classWord:
		end = scanWord(data, i)
		m.end = int32(end)
	case classObject, classArray:
		if k := w.deep(m.name); k != nil && m.class == classObject && !p.shallow {
			m.opened = true
			p.members = append(p.members, m)
			end = p.object(data, i, at, depth+1, k)
			p.members[at].end = int32(end)
			return end
		}
		end = scanNested(data, i, depth+1)
		m.end = int32(end)
	}
	p.members = append(p.members, m)
	return end
}

// find is the position of the member of parent that w names: the exact name, else the
// first name that is equal without case; of members of one name the last. -1: none.
func (p *projector) find(parent int32, w *wanted) int {
	found := -1
	for i := range p.members {
		if m := &p.members[i]; m.parent == parent && string(m.name) == w.name {
			found = i
		}
	}
	if found >= 0 {
		return found
	}
	for i := range p.members {
		m := &p.members[i]
		switch {
		case m.parent != parent:
		case found < 0:
			if equalFold(m.name, w.name) {
				found = i
			}
		case bytes.Equal(m.name, p.members[found].name):
			found = i
		}
	}
	return found
}

// put converts what w wants of the members of parent, which stand in data, into row.
func (p *projector) put(data []byte, row int, parent int32, w *wanted) {
	for _, k := range w.kids {
		i := p.find(parent, k)
		if i < 0 {
			k.missing(row)
			continue
		}
		m := &p.members[i]
		if len(k.cols) > 0 {
			p.convert(data, row, m.class, m.flag, int(m.start), int(m.end), k.cols)
		}
		if m.opened {
			p.put(data, row, int32(i), k)
			continue
		}
		for _, kk := range k.kids {
			kk.missing(row)
		}
	}
}

// missing says that an event lacks w.
func (w *wanted) missing(row int) {
	for _, c := range w.cols {
		c.putNull(row, vec.Missing)
	}
	for _, k := range w.kids {
		k.missing(row)
	}
}

// convert puts the scanned value data[start:end] into cols. flag is that of a member.
func (p *projector) convert(data []byte, row int, cl class, flag bool, start, end int, cols []*column) {
	if cl == classString {
		p.convertString(data[start:end], row, flag, cols)
		return
	}
	v := p.value(data, cl, flag, start, end)
	for _, c := range cols {
		c.put(row, v)
	}
}

func (p *projector) convertString(s []byte, row int, escaped bool, cols []*column) {
	if escaped {
		p.scratch = unescape(p.scratch[:0], s)
		s = p.scratch
	}
	for _, c := range cols {
		switch {
		case c.want == vec.AsDatetime:
			c.putTime(row, s)
		case escaped:
			c.putScratch(row, s, &p.texts)
		default:
			c.putString(row, s)
		}
	}
}

// value is a value other than a string.
func (p *projector) value(data []byte, cl class, flag bool, start, end int) vec.Value {
	switch cl {
	case classNumber:
		return parseNumber(data[start:end], flag)
	case classWord:
		return wordValue(data[start])
	}
	v, err := vec.ParseJSON(data[start:end])
	if err != nil {
		panic("codec: scanned JSON does not parse: " + err.Error())
	}
	return v
}

// wordValue is the value of the word that starts with c.
func wordValue(c byte) vec.Value {
	if c == 'n' {
		return vec.NullValue()
	}
	return vec.BitValue(c == 't')
}
