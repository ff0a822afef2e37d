package codec

import (
	"bytes"
	"encoding/binary"
)

// A layouts is the tree of the shapes of events that the fast decoder has seen. Events
// whose shapes begin alike share steps, so an optional field costs one more step, not
// another tree.
type layouts struct {
	first *step // the steps that an event may begin with, linked by alt
	steps int
	// off counts down the events that are not tried because bets were lost too often.
	off int
	// tried and missed count the events of the current trial.
	tried, missed int
}

// Limits of the tree, and of the patience with it.
const (
	maxSteps = 2048
	// maxAlts bounds the steps that are tried at one place.
	maxAlts = 12
	// layoutTrial events after which bets are judged: when more than half were lost, the
	// tree is forgotten and layoutPause events pass before the next trial.
	layoutTrial = 1024
	layoutPause = 16 * layoutTrial
)

// stepOp is what a step does with the value behind its literal bytes.
type stepOp uint8

const (
	opSkipString stepOp = iota
	opSkipNumber
	opSkipWord
	opString // one column wants the value
	opTime   // one column wants the datetime
	opBoth   // one column wants the datetime, and one the text
	opNumber
	opWord
	opValue // all that the other operations do not do
	opField // a field of an event that is wanted as a whole
	opEnd   // no value: the event is over
)

// step is a run of literal bytes of an event, and the value behind them. A string begins
// behind its opening quote and ends before its closing quote, which belongs to the
// literal of the next step.
type step struct {
	// The first 16 bytes of the literal, and masks for those that exist.
	w0, m0, w1, m1 uint64
	n              int    // length of the literal
	rest           []byte // the literal from byte 16 on, or nil
	col            *column
	text           *column // opBoth: the column that wants the text; col wants the datetime
	next           *step   // the first step behind the value
	alt            *step   // what else may stand here
	op             stepOp
	class          class
	depth          int // of the object that it stands in
	literal        []byte
	cols           []*column // all that want the value
	absent         []*column // opEnd: the columns whose fields the event lacks
	// For events that are wanted as a whole: opField has the position of the field and
	// what else is wanted of it, or nil; opEnd has the names of all fields.
	index int
	want  *wanted
	names []string
}

// newStep makes a step for a literal.
func newStep(literal []byte) *step {
	s := &step{n: len(literal), literal: bytes.Clone(literal)}
	var b, m [16]byte
	for i := range min(len(literal), 16) {
		b[i], m[i] = literal[i], 0xff
	}
	s.w0, s.w1 = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	s.m0, s.m1 = binary.LittleEndian.Uint64(m[:]), binary.LittleEndian.Uint64(m[8:])
	if len(literal) > 16 {
		s.rest = s.literal[16:]
	}
	return s
}

// choose sets the operation for a value of class cl that cols want.
func (s *step) choose(cl class, cols []*column) {
	s.class, s.cols = cl, cols
	s.op = opValue
	if len(cols) == 0 {
		switch cl {
		case classString:
			s.op = opSkipString
		case classNumber:
			s.op = opSkipNumber
		case classWord:
			s.op = opSkipWord
		}
		return
	}
	if len(cols) == 2 && cl == classString && (cols[0].want == 0) != (cols[1].want == 0) {
		s.op, s.col, s.text = opBoth, cols[0], cols[1]
		if s.col.want == 0 {
			s.col, s.text = s.text, s.col
		}
		return
	}
	if len(cols) > 1 {
		return
	}
	s.col = cols[0]
	timed := s.col.want != 0
	switch {
	case cl == classString && timed:
		s.op = opTime
	case timed:
	case cl == classString:
		s.op = opString
	case cl == classNumber:
		s.op = opNumber
	case cl == classWord:
		s.op = opWord
	}
}

// step finds the step with that literal and class, or adds it. It is nil when the tree
// is full.
func (l *layouts) step(at **step, literal []byte, end bool, cl class) *step {
	n := 0
	for ; *at != nil; at = &(*at).alt {
		if s := *at; (s.op == opEnd) == end && s.class == cl && bytes.Equal(s.literal, literal) {
			return s
		}
		n++
	}
	if n >= maxAlts || l.steps >= maxSteps {
		return nil
	}
	l.steps++
	s := newStep(literal)
	s.class = cl
	if end {
		s.op = opEnd
	} else {
		s.choose(cl, nil)
	}
	*at = s
	return s
}

// judge counts the events of a run and looks whether betting still pays.
func (l *layouts) judge(won int, missed bool) {
	l.tried += won
	if missed {
		l.tried++
		l.missed++
	}
	if l.tried < layoutTrial {
		return
	}
	if l.missed > l.tried/2 {
		*l = layouts{off: layoutPause}
		return
	}
	l.tried, l.missed = 0, 0
}

// learn adds the shape of the event data[start:end], which p has just scanned. tail is
// where the literal after the last value ends: behind the line end in lines mode.
func (l *layouts) learn(p *projector, data []byte, start, tail int) {
	if !p.plainNames(-1, p.root) || p.shallow && !p.distinctNames() {
		return
	}
	owners := p.owners()
	at := &l.first
	pos := start
	for i := range p.members {
		m := &p.members[i]
		if m.opened {
			continue // its bytes are part of the literal of what follows
		}
		s := l.step(at, data[pos:m.start], false, m.class)
		if s == nil {
			return
		}
		if s.next == nil {
			s.depth = int(m.depth)
			if p.shallow {
				s.op, s.index, s.want = opField, i, owners[i]
			} else {
				s.choose(m.class, owners[i].columns())
			}
		}
		at = &s.next
		pos = int(m.end)
	}
	s := l.step(at, data[pos:tail], true, 0)
	if s == nil || s.names != nil {
		return
	}
	s.absent = p.absent(nil, -1, p.root)
	s.names = make([]string, len(p.members))
	for i := range p.members {
		s.names[i] = string(p.members[i].name)
	}
}

// columns are the columns that want the value itself.
func (w *wanted) columns() []*column {
	if w == nil {
		return nil
	}
	return w.cols
}

// distinctNames reports whether no name of the event comes twice.
func (p *projector) distinctNames() bool {
	seen := make(map[string]bool, len(p.members))
	for i := range p.members {
		seen[string(p.members[i].name)] = true
	}
	return len(seen) == len(p.members)
}

// plainNames reports whether every wanted name stands for at most one member of parent:
// else what a member means depends on later ones, and a tree of steps cannot tell.
func (p *projector) plainNames(parent int32, w *wanted) bool {
	for _, k := range w.kids {
		found := -1
		for i := range p.members {
			m := &p.members[i]
			if m.parent != parent || !equalFold(m.name, k.name) {
				continue
			}
			if found >= 0 {
				return false
			}
			found = i
		}
		if found >= 0 && p.members[found].opened && !p.plainNames(int32(found), k) {
			return false
		}
		if found >= 0 && p.members[found].opened && len(k.cols) > 0 {
			return false // the record and its parts: a step reads one or the other
		}
	}
	return true
}

// owners gives what is wanted of each member, nil for nothing.
func (p *projector) owners() []*wanted {
	owners := make([]*wanted, len(p.members))
	p.own(owners, -1, p.root)
	return owners
}

func (p *projector) own(owners []*wanted, parent int32, w *wanted) {
	for _, k := range w.kids {
		i := p.find(parent, k)
		if i < 0 {
			continue
		}
		owners[i] = k.and(owners[i])
		if p.members[i].opened {
			p.own(owners, int32(i), k)
		}
	}
}

// and is what w or other want of the same value.
func (w *wanted) and(other *wanted) *wanted {
	if other == nil {
		return w
	}
	return &wanted{
		cols: append(append([]*column{}, w.cols...), other.cols...),
		kids: append(append([]*wanted{}, w.kids...), other.kids...),
	}
}

// absent adds the columns whose fields the event lacks.
func (p *projector) absent(cols []*column, parent int32, w *wanted) []*column {
	for _, k := range w.kids {
		i := p.find(parent, k)
		switch {
		case i < 0:
			cols = k.all(cols)
		case p.members[i].opened:
			cols = p.absent(cols, int32(i), k)
		case p.shallow: // the parts are looked up in the value
		default:
			for _, kk := range k.kids {
				cols = kk.all(cols)
			}
		}
	}
	return cols
}

// all adds the columns of w and its parts.
func (w *wanted) all(cols []*column) []*column {
	cols = append(cols, w.cols...)
	for _, k := range w.kids {
		cols = k.all(cols)
	}
	return cols
}
