package fn

// regexProgram is a pattern for the backtracking matcher: instructions over a position
// in the text and registers. Every group has three registers (begin, end, and where the
// iteration that is under way began); every counted or possibly endless repetition has
// two (iterations, and where the last one began).
type regexProgram struct {
	code []regexInst
	regs int
	// first is the set of code points that a match can begin with; nil if it can begin
	// with anything, or be empty.
	first *charSet
	// once means that a match, if any, is found at the first position that is tried.
	once bool
}

// instCode says what an instruction does.
type instCode uint8

const (
	iSet     instCode = iota // one code point of set, or fail
	iRun                     // as many of set as there are, x to y of them; gives them back one by one
	iSplit                   // go on behind this; if that fails, at x
	iJump                    // go on at x
	iReset                   // register x = 0
	iLoop                    // register x counts, y to z iterations; the exit is at to, an iteration behind this. lazy
	iEnter                   // an iteration of register x begins
	iLeave                   // fail if the iteration of register x was empty and not demanded (y)
	iClear                   // the groups x to y-1 forget their text
	iOpen                    // group x begins here
	iClose                   // group x ends here
	iBackref                 // the text of group x
	iLook                    // run what is behind this up to iDone, then go on at to; negate
	iDone                    // the end of a look-around or of the pattern
	iStart                   // at the start of the text
	iEnd                     // at the end
	iWord                    // at a border of a word; negate: not at one
)

type regexInst struct {
	op       instCode
	back     bool // reads the text backwards, inside a look-behind
	lazy     bool
	negate   bool
	set      *charSet
	x, y, to int
	z        int
}

// regexCompiler writes a program.
type regexCompiler struct {
	prog regexProgram
	back bool
}

// Registers of group g.
func beginReg(g int) int { return 3 * g }
func endReg(g int) int   { return 3*g + 1 }
func openReg(g int) int  { return 3*g + 2 }

// compileRegex writes the program of a pattern with a number of groups.
func compileRegex(root *regexNode, groups int) *regexProgram {
	c := regexCompiler{}
	c.prog.regs = 3 * (groups + 1)
	c.node(root)
	c.emit(regexInst{op: iDone})
	if set, empty := firstSet(root); !empty && !set.all() {
		c.prog.first = set
	}
	c.prog.once = startsOnce(root)
	return &c.prog
}

func (c *regexCompiler) emit(i regexInst) int {
	i.back = c.back
	c.prog.code = append(c.prog.code, i)
	return len(c.prog.code) - 1
}

// here is the place of the next instruction.
func (c *regexCompiler) here() int { return len(c.prog.code) }

func (c *regexCompiler) node(n *regexNode) {
	switch n.op {
	case reSet:
		c.emit(regexInst{op: iSet, set: n.set})
	case reConcat:
		for i := range n.subs {
			if c.back {
				i = len(n.subs) - 1 - i
			}
			c.node(n.subs[i])
		}
	case reAlt:
		c.alternatives(n)
	case reRepeat:
		c.repeat(n)
	case reCapture:
		c.emit(regexInst{op: iOpen, x: n.group})
		c.node(n.subs[0])
		c.emit(regexInst{op: iClose, x: n.group})
	case reBackref:
		c.emit(regexInst{op: iBackref, x: n.group})
	case reLook:
		look := c.emit(regexInst{op: iLook, negate: n.negate})
		outer := c.back
		c.back = n.behind
		c.node(n.subs[0])
		c.emit(regexInst{op: iDone})
		c.back = outer
		c.prog.code[look].to = c.here()
	case reStart:
		c.emit(regexInst{op: iStart})
	case reEnd:
		c.emit(regexInst{op: iEnd})
	case reWord, reNotWord:
		c.emit(regexInst{op: iWord, negate: n.op == reNotWord})
	}
}

func (c *regexCompiler) alternatives(n *regexNode) {
	var jumps []int
	for i, sub := range n.subs {
		if i == len(n.subs)-1 {
			c.node(sub)
			break
		}
		split := c.emit(regexInst{op: iSplit})
		c.node(sub)
		jumps = append(jumps, c.emit(regexInst{op: iJump}))
		c.prog.code[split].x = c.here()
	}
	for _, j := range jumps {
		c.prog.code[j].x = c.here()
	}
}

// repeat writes a repetition in the cheapest form that it allows.
func (c *regexCompiler) repeat(n *regexNode) {
	body := n.subs[0]
	hasGroups := n.firstGroup < n.endGroup
	switch {
	case n.max == 0:
	case body.op == reSet && !n.lazy:
		c.emit(regexInst{op: iRun, set: body.set, x: n.min, y: n.max})
	case n.min == 0 && n.max == repeatForever && !n.lazy && !canBeEmpty(body):
		split := c.emit(regexInst{op: iSplit})
		c.clearGroups(n, hasGroups)
		c.node(body)
		c.emit(regexInst{op: iJump, x: split})
		c.prog.code[split].x = c.here()
	default:
		reg := c.prog.regs
		c.prog.regs += 2
		c.emit(regexInst{op: iReset, x: reg})
		loop := c.emit(regexInst{op: iLoop, x: reg, y: n.min, z: n.max, lazy: n.lazy})
		c.emit(regexInst{op: iEnter, x: reg})
		c.clearGroups(n, hasGroups)
		c.node(body)
		if canBeEmpty(body) {
			c.emit(regexInst{op: iLeave, x: reg, y: n.min})
		}
		c.emit(regexInst{op: iJump, x: loop})
		c.prog.code[loop].to = c.here()
	}
}

func (c *regexCompiler) clearGroups(n *regexNode, hasGroups bool) {
	if hasGroups {
		c.emit(regexInst{op: iClear, x: n.firstGroup, y: n.endGroup})
	}
}

// canBeEmpty reports whether n can match the empty text.
func canBeEmpty(n *regexNode) bool {
	switch n.op {
	case reSet:
		return false
	case reConcat, reCapture:
		for _, sub := range n.subs {
			if !canBeEmpty(sub) {
				return false
			}
		}
		return true
	case reAlt:
		for _, sub := range n.subs {
			if canBeEmpty(sub) {
				return true
			}
		}
		return false
	case reRepeat:
		return n.min == 0 || canBeEmpty(n.subs[0])
	}
	return true
}

// firstSet is the code points that a match of n can begin with; empty says that it can
// also be empty, or begin in a way that is not known.
func firstSet(n *regexNode) (set *charSet, empty bool) {
	none := &charSet{}
	switch n.op {
	case reSet:
		return n.set, false
	case reConcat, reCapture:
		var ranges []charRange
		for _, sub := range n.subs {
			s, e := firstSet(sub)
			ranges = append(ranges, s.ranges...)
			if !e {
				return newCharSet(ranges), false
			}
			if sub.op == reBackref {
				return anySet, true
			}
		}
		return newCharSet(ranges), true
	case reAlt:
		var ranges []charRange
		for _, sub := range n.subs {
			s, e := firstSet(sub)
			ranges = append(ranges, s.ranges...)
			empty = empty || e
		}
		return newCharSet(ranges), empty
	case reRepeat:
		if n.max == 0 {
			return none, true
		}
		s, e := firstSet(n.subs[0])
		return s, e || n.min == 0
	case reBackref:
		return anySet, true
	}
	return none, true // assertions and the empty pattern take nothing
}

// startsOnce reports whether a match, if there is one, is found at the first position:
// the pattern begins with ^, or with .* that can take anything before the rest. Not with
// .* in a group, as what the group takes may matter.
func startsOnce(n *regexNode) bool {
	switch n.op {
	case reStart:
		return true
	case reRepeat:
		return n.min == 0 && n.max == repeatForever && n.subs[0].op == reSet && n.subs[0].set.all()
	case reConcat:
		return len(n.subs) > 0 && startsOnce(n.subs[0])
	case reAlt:
		for _, sub := range n.subs {
			if !startsOnce(sub) {
				return false
			}
		}
		return true
	}
	return false
}
