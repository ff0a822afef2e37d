package fn

import (
	"slices"
	"unicode/utf8"
)

// The matcher tries one way after the other and keeps the ways not tried on a stack of
// its own. Its effort is bounded by counting, not by the clock, so that the same row has
// the same outcome on every machine and in every replay (saql.md 7.4: "beyond it: query
// error"). Patterns that are regular in the mathematical sense never meet the limit: see
// regex_linear.go.

// Limits of the effort for one text.
const (
	regexSteps        = 1 << 20 // instructions, and code points passed by
	regexStepsPerByte = 16      // and these for each byte of the text
	regexFrames       = 1 << 20 // ways not tried
	regexKeepFrames   = 1 << 14 // what a matcher keeps for the next text
)

// regexMatcher is the memory of a match.
type regexMatcher struct {
	prog  *regexProgram
	text  string
	regs  []int
	stack []regexFrame
	steps int
	over  bool // the effort went beyond a limit
}

// regexFrame is a way not tried, or what to put back on the way to it.
type regexFrame struct {
	kind frameKind
	pc   int // where to go on; for frameReg: the register
	pos  int // the position there; for frameReg: the old value
	min  int // for frameRun: the position up to which it may give back
}

type frameKind uint8

const (
	frameWay frameKind = iota
	frameRun           // a run that can give back code points
	frameReg           // a register had another value
)

// find is the byte offset of the first match of prog in text, or -1. tooComplex says
// that it was not found out with so many steps.
func (m *regexMatcher) find(prog *regexProgram, text string, steps int) (at int, tooComplex bool) {
	m.prog, m.text = prog, text
	m.regs = append(m.regs[:0], make([]int, prog.regs)...)
	m.stack = m.stack[:0]
	m.steps = steps
	m.over = false
	at = m.search()
	m.text = ""
	if cap(m.stack) > regexKeepFrames {
		m.stack = nil
	}
	return at, m.over
}

func (m *regexMatcher) search() int {
	for pos := 0; ; {
		c, size := utf8.DecodeRuneInString(m.text[pos:])
		if m.prog.first == nil || size > 0 && m.prog.first.has(c) {
			for i := range m.regs {
				m.regs[i] = -1
			}
			m.stack = m.stack[:0]
			if _, ok := m.run(0, pos); ok {
				return pos
			}
			if m.over || m.prog.once {
				return -1
			}
		}
		if size == 0 {
			return -1
		}
		pos += size
	}
}

// run executes the program from pc at pos up to an iDone. It leaves the ways not tried
// above those that it found on the stack; if it fails there are none.
func (m *regexMatcher) run(pc, pos int) (end int, ok bool) {
	base := len(m.stack)
	for {
		if m.steps--; m.steps < 0 || len(m.stack) > regexFrames {
			m.over = true
			m.stack = m.stack[:base]
			return 0, false
		}
		i := &m.prog.code[pc]
		if i.op == iDone {
			return pos, true
		}
		if i.op == iSet { // by far the most frequent
			if c, size := m.peek(pos, i.back); size > 0 && i.set.has(c) {
				pc, pos = pc+1, move(pos, size, i.back)
				continue
			}
			if pc, pos, ok = m.backtrack(base); !ok {
				return 0, false
			}
			continue
		}
		next, to, ok := m.step(i, pc, pos)
		if !ok {
			if next, to, ok = m.backtrack(base); !ok {
				return 0, false
			}
		}
		pc, pos = next, to
	}
}

// step executes one instruction other than iSet: where to go on, or false.
func (m *regexMatcher) step(i *regexInst, pc, pos int) (next, to int, ok bool) {
	next = pc + 1
	switch i.op {
	case iRun:
		return m.takeRun(i, pc, pos)
	case iSplit:
		m.push(regexFrame{kind: frameWay, pc: i.x, pos: pos})
	case iJump:
		next = i.x
	case iReset:
		m.set(i.x, 0)
	case iLoop:
		count := m.regs[i.x]
		switch {
		case count < i.y:
		case count >= i.z:
			next = i.to
		case i.lazy:
			m.push(regexFrame{kind: frameWay, pc: next, pos: pos})
			next = i.to
		default:
			m.push(regexFrame{kind: frameWay, pc: i.to, pos: pos})
		}
	case iEnter:
		m.set(i.x, m.regs[i.x]+1)
		m.set(i.x+1, pos)
	case iLeave:
		return next, pos, m.regs[i.x] <= i.y || m.regs[i.x+1] != pos
	case iClear:
		for g := i.x; g < i.y; g++ {
			m.set(beginReg(g), -1)
			m.set(endReg(g), -1)
		}
	case iOpen:
		m.set(openReg(i.x), pos)
	case iClose:
		m.set(beginReg(i.x), min(m.regs[openReg(i.x)], pos))
		m.set(endReg(i.x), max(m.regs[openReg(i.x)], pos))
	case iBackref:
		to, ok = m.backref(i, pos)
		return next, to, ok
	case iLook:
		return i.to, pos, m.look(i, pc, pos)
	case iStart:
		return next, pos, pos == 0
	case iEnd:
		return next, pos, pos == len(m.text)
	case iWord:
		return next, pos, m.wordBorder(pos) != i.negate
	}
	return next, pos, true
}

// backtrack goes to the last way not tried above base.
func (m *regexMatcher) backtrack(base int) (pc, pos int, ok bool) {
	for len(m.stack) > base {
		f := &m.stack[len(m.stack)-1]
		switch f.kind {
		case frameReg:
			m.regs[f.pc] = f.pos
		case frameWay:
			m.stack = m.stack[:len(m.stack)-1]
			return f.pc, f.pos, true
		case frameRun:
			// Give back one code point; the frame stays while there are more.
			back := f.min > f.pos
			_, size := m.peek(f.pos, !back)
			f.pos = move(f.pos, size, !back)
			pc, pos = f.pc, f.pos
			if f.pos == f.min {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos, true
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return 0, 0, false
}

func (m *regexMatcher) push(f regexFrame) { m.stack = append(m.stack, f) }

// set changes a register; going back to an earlier way changes it back.
func (m *regexMatcher) set(reg, value int) {
	if old := m.regs[reg]; old != value {
		m.push(regexFrame{kind: frameReg, pc: reg, pos: old})
		m.regs[reg] = value
	}
}

// peek is the code point behind pos, or before it; size 0 at the end of the text.
func (m *regexMatcher) peek(pos int, back bool) (rune, int) {
	if back {
		if pos > 0 && m.text[pos-1] < utf8.RuneSelf {
			return rune(m.text[pos-1]), 1
		}
		return utf8.DecodeLastRuneInString(m.text[:pos])
	}
	if pos < len(m.text) && m.text[pos] < utf8.RuneSelf {
		return rune(m.text[pos]), 1
	}
	return utf8.DecodeRuneInString(m.text[pos:])
}

func move(pos, size int, back bool) int {
	if back {
		return pos - size
	}
	return pos + size
}

// takeRun takes as many code points of a set as it can.
func (m *regexMatcher) takeRun(i *regexInst, pc, pos int) (next, to int, ok bool) {
	least := pos
	for n := 0; n < i.y; n++ {
		c, size := m.peek(pos, i.back)
		if size == 0 || !i.set.has(c) {
			if n < i.x {
				return 0, 0, false
			}
			break
		}
		pos = move(pos, size, i.back)
		if n < i.x {
			least = pos
		}
		m.steps--
	}
	if pos != least {
		m.push(regexFrame{kind: frameRun, pc: pc + 1, pos: pos, min: least})
	}
	return pc + 1, pos, true
}

// backref passes by the text of a group, without case. A group without text matches the
// empty text.
func (m *regexMatcher) backref(i *regexInst, pos int) (int, bool) {
	begin, end := m.regs[beginReg(i.x)], m.regs[endReg(i.x)]
	if begin < 0 || end < 0 {
		return pos, true
	}
	for begin < end {
		at := begin
		if i.back {
			at = end
		}
		want, wantSize := m.peek(at, i.back)
		c, size := m.peek(pos, i.back)
		if size == 0 || !equalFold(c, want) {
			return 0, false
		}
		pos = move(pos, size, i.back)
		if i.back {
			end -= wantSize
		} else {
			begin += wantSize
		}
		m.steps--
	}
	return pos, true
}

// look reports whether a look-around holds. Groups keep what a positive one matched; no
// other way through it is tried.
func (m *regexMatcher) look(i *regexInst, pc, pos int) bool {
	base := len(m.stack)
	_, ok := m.run(pc+1, pos)
	if m.over {
		return false
	}
	if !ok {
		return i.negate
	}
	if i.negate {
		for _, f := range slices.Backward(m.stack[base:]) {
			if f.kind == frameReg {
				m.regs[f.pc] = f.pos
			}
		}
		m.stack = m.stack[:base]
		return false
	}
	kept := slices.DeleteFunc(m.stack[base:], func(f regexFrame) bool { return f.kind != frameReg })
	m.stack = m.stack[:base+len(kept)]
	return true
}

// wordBorder reports whether one of the code points around pos is of a word and the
// other is not.
func (m *regexMatcher) wordBorder(pos int) bool {
	before, n := m.peek(pos, true)
	after, k := m.peek(pos, false)
	return (n > 0 && wordSet.has(before)) != (k > 0 && wordSet.has(after))
}
