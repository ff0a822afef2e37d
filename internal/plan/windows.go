package plan

import (
	"math"
	"strconv"
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
	"weir/internal/window"
)

// longestWindow is the limit of a window (saql.md 5.1).
const longestWindow = 7 * vec.Day

func snapshotSpec() window.Spec {
	return window.Spec{Kind: window.Snapshot, Size: 1, Hop: 1}
}

// window compiles a time window and adds it to the group.
func (g *grouping) window(w *saql.WindowSpec, id *saql.Literal) {
	spec := g.b.c.windowSpec(w)
	g.addWindow(spec, id)
	last := len(g.overs) - 1
	if spec.Kind == window.Session {
		// A partition has its sessions by itself (saql.md 4.6).
		g.overs[last] = append(g.overs[last], partitionKeys(g.b.sources)...)
	}
	for _, k := range w.Over {
		g.overs[last] = append(g.overs[last], foldConstants(g.b.exprs(inOver).valueOf(k)))
	}
}

func (g *grouping) addWindow(spec window.Spec, id *saql.Literal) {
	if id != nil {
		spec.ID, spec.HasID = id.Str, true
	}
	g.windows = append(g.windows, spec)
	g.overs = append(g.overs, nil)
}

// windowSet compiles Windows(...) (saql.md 5.7).
func (g *grouping) windowSet(set *saql.WindowSet) {
	c := g.b.c
	ids := map[string]diag.Span{}
	named := 0
	for _, e := range set.Entries {
		if e.ID != nil {
			named++
			if e.ID.Kind != saql.LitString {
				c.fail(diag.SA5008, e.ID.Span, "give all windows an id or none", "Window('name', ..)")
			} else if first, ok := ids[saql.Fold(e.ID.Str)]; ok {
				d := c.fail(diag.SA5009, e.ID.Span, "window id "+quote(e.ID.Str)+" is used twice", "ids ignore case")
				d.Related = []diag.Label{{Span: first, Text: "the first one"}}
			} else {
				ids[saql.Fold(e.ID.Str)] = e.ID.Span
			}
		}
		switch {
		case e.Nested != nil:
			c.fail(diag.SA5007, e.Nested.Span, "Windows(..) cannot be nested", "")
		case e.Window != nil:
			g.window(e.Window, e.ID)
		default:
			g.addWindow(snapshotSpec(), e.ID)
		}
	}
	if named > 0 && named < len(set.Entries) {
		for _, e := range set.Entries {
			if e.ID == nil {
				c.fail(diag.SA5008, e.Span, "give all windows an id or none", "Window('name', ..)")
				break
			}
		}
	}
}

// windowSpec gives the arguments of a window their meaning (saql.md 2.5): either a unit
// and numbers of it, or Duration(..), Hop(..) and so on.
func (c *compiler) windowSpec(w *saql.WindowSpec) window.Spec {
	a := &windowArgs{compiler: c, w: w, args: w.Args}
	var s window.Spec
	switch w.Kind {
	case saql.Tumbling:
		s.Kind = window.Tumbling
		a.parse(windowParam{"Duration", &s.Size}, windowParam{"Offset", &s.Offset})
		s.Hop = s.Size
	case saql.Hopping:
		s.Kind = window.Hopping
		a.parse(windowParam{"Duration", &s.Size}, windowParam{"Hop", &s.Hop}, windowParam{"Offset", &s.Offset})
	case saql.Sliding:
		s.Kind = window.Sliding
		a.parse(windowParam{"Duration", &s.Size})
	case saql.Session:
		s.Kind = window.Session
		a.parse(windowParam{"Timeout", &s.Timeout}, windowParam{"MaxDuration", &s.Max})
	}
	if s.Hop > 0 {
		s.Offset = (s.Offset%s.Hop + s.Hop) % s.Hop
	}
	return s
}

// windowArgs reads the arguments of a window.
type windowArgs struct {
	*compiler
	w    *saql.WindowSpec
	args []saql.WindowArg
}

// windowParam is a duration that a window takes: the name of its function form, and
// where it goes.
type windowParam struct {
	name string
	dst  *vec.Time
}

// parse fills the durations. Offset may be left out and may be negative or zero.
func (a *windowArgs) parse(into ...windowParam) {
	if len(a.args) == 0 {
		a.count(into, true)
		return
	}
	var unit *saql.Name
	args := a.args
	if args[0].Func == nil && args[0].Unit != nil {
		unit, args = args[0].Unit, args[1:]
	} else if args[0].Func == nil {
		a.fail(diag.SA5004, args[0].Span, quote(a.textAt(args[0].Span))+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
		return
	}
	length := vec.Time(0)
	if unit != nil {
		var ok bool
		if length, ok = a.unit(*unit); !ok {
			return
		}
	}
	for i, p := range into {
		if i == len(args) {
			if p.name != "Offset" {
				a.count(into, unit != nil)
			}
			return
		}
		if !a.arg(args[i], unit != nil, length, p.name, p.dst) {
			return
		}
	}
	if len(into) < len(args) {
		a.count(into, unit != nil)
	}
}

// arg reads one duration.
func (a *windowArgs) arg(arg saql.WindowArg, short bool, length vec.Time, name string, dst *vec.Time) bool {
	if short != (arg.Func == nil) || !short && !sameName(arg.Func.Text, name) {
		want := name + "(unit, number)"
		if short {
			want = "a number"
		}
		a.fail(diag.SA7016, arg.Span, "the "+sizeWord(name)+" of "+a.w.Name.Text+" must be "+want, a.signature())
		return false
	}
	if !short {
		var ok bool
		if arg.Unit == nil {
			a.fail(diag.SA5004, arg.Span, quote(a.textAt(arg.Span))+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
			return false
		}
		if length, ok = a.unit(*arg.Unit); !ok {
			return false
		}
	}
	if arg.Value == nil {
		a.fail(diag.SA7016, arg.Span, "the "+sizeWord(name)+" of "+a.w.Name.Text+" must be a number", a.signature())
		return false
	}
	t, ok := a.duration(arg.Value, length, name == "Offset")
	if !ok {
		a.fail(diag.SA5005, arg.Value.Pos(), "a window "+sizeWord(name)+" must be positive and a whole number of 100 ns ticks", "")
		return false
	}
	if t > longestWindow && name != "Offset" {
		a.fail(diag.SA5006, arg.Span, "a window may be at most 7 days", "aggregate to days in a step, then combine")
		return false
	}
	*dst = t
	return true
}

// sizeWord is what messages call the argument of a function form.
func sizeWord(name string) string {
	return map[string]string{"Duration": "size", "Hop": "hop", "Offset": "offset", "Timeout": "timeout", "MaxDuration": "maximum duration"}[name]
}

// count reports a wrong number of arguments; the short form has a unit in front.
func (a *windowArgs) count(into []windowParam, short bool) {
	hi := len(into)
	if short {
		hi++
	}
	lo := hi
	if into[len(into)-1].name == "Offset" {
		lo--
	}
	want := strconv.Itoa(lo)
	if hi > lo {
		want += " or " + strconv.Itoa(hi)
	}
	if want != "1" {
		want += " arguments"
	} else {
		want += " argument"
	}
	a.fail(diag.SA7002, a.w.Span, a.w.Name.Text+" takes "+want+", not "+strconv.Itoa(len(a.args)), a.signature())
}

func (a *windowArgs) signature() string {
	name := a.w.Name.Text
	return map[saql.WindowKind]string{
		saql.Tumbling: name + "(unit, size [, offset]) or " + name + "(Duration(unit, size) [, Offset(unit, offset)])",
		saql.Hopping:  name + "(unit, size, hop [, offset]) or " + name + "(Duration(unit, size), Hop(unit, hop) [, Offset(unit, offset)])",
		saql.Sliding:  name + "(unit, size) or " + name + "(Duration(unit, size))",
		saql.Session:  name + "(unit, timeout, maximum) or " + name + "(Timeout(unit, n), MaxDuration(unit, n))",
	}[a.w.Kind]
}

// unit is the length of a unit word (saql.md 1.8).
func (c *compiler) unit(n saql.Name) (vec.Time, bool) {
	if p, ok := fn.LookupUnit(n.Text); ok {
		return p.Info().Unit, true
	}
	d := c.fail(diag.SA5004, n.Span, quote(n.Text)+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
	p, isPart := fn.LookupPart(n.Text)
	switch {
	case strings.EqualFold(n.Text, "m"):
		d.Hint = "`m` means month; minute is `mi`, `n` or `minute`"
		d.Fix = []diag.Edit{{Span: n.Span, Text: "minute"}}
	case isPart && (p == fn.Week || p == fn.Month || p == fn.Year || p == fn.Quarter || p == fn.DayOfYear || p == fn.Weekday):
		d.Hint = "use day"
	default:
		if near, ok := diag.Nearest(n.Text, fn.UnitWords()); ok {
			d.Hint = "did you mean " + quote(near) + "?"
			d.Fix = []diag.Edit{{Span: n.Span, Text: near}}
		}
	}
	return 0, false
}

// duration is value * unit as ticks, if that is a whole number of them. Only an offset
// may be zero or negative.
func (c *compiler) duration(value saql.Expr, unit vec.Time, signed bool) (vec.Time, bool) {
	none := &block{c: c}
	before := c.errors()
	e := none.exprs(inGroupBy).value(value)
	if !isNumber(e) {
		return 0, isBad(e) && c.errors() > before // a name, which nothing here has, is no error yet
	}
	if _, ok := bare(value).(*saql.Literal); !ok && !signed {
		c.extension(value.Pos(), "a computed window size", "write the number")
	}
	var t vec.Time
	if e.Val.Kind == vec.Int {
		if e.Val.Int > int64(vec.MaxTime/unit) {
			return vec.MaxTime, true // too long, whatever it is for
		}
		if e.Val.Int < int64(vec.MinTime/unit) {
			return 0, false
		}
		t = vec.Time(e.Val.Int) * unit
	} else {
		f := e.Val.Float * float64(unit)
		if math.Abs(f) > 1<<53 || math.Abs(f-math.Round(f)) > 1e-6*max(1, math.Abs(f))*1e-6 {
			return 0, false
		}
		t = vec.Time(math.Round(f))
	}
	return t, signed || t > 0
}

// bare is e without parentheses.
func bare(e saql.Expr) saql.Expr {
	for {
		p, ok := e.(*saql.Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}
