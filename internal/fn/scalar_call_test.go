package fn

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/vec"
)

// callReader reads a call over constants, NAME(1, 'text', NULL, NAME(..)), as the
// examples of the functions are written.
type callReader struct {
	t    *testing.T
	all  string
	s    string
	once bool // evaluate in plain columns only
}

// evalCall evaluates a call in all shapes of columns and gives the result as JSON text,
// or "error: " and the message.
func evalCall(t *testing.T, call string) string {
	t.Helper()
	return (&callReader{t: t, all: call, s: call}).result()
}

// evalPlain evaluates a call in plain columns only, for large texts.
func evalPlain(t *testing.T, call string) string {
	t.Helper()
	return (&callReader{t: t, all: call, s: call, once: true}).result()
}

func (r *callReader) result() string {
	r.t.Helper()
	v, err := r.value()
	if r.s != "" {
		r.t.Fatalf("%s: rest %q", r.all, r.s)
	}
	if err != "" {
		return "error: " + err
	}
	return v.String()
}

func (r *callReader) space() { r.s = strings.TrimLeft(r.s, " ") }

func (r *callReader) take(c byte) bool {
	r.space()
	if r.s != "" && r.s[0] == c {
		r.s = r.s[1:]
		return true
	}
	return false
}

// word takes letters, digits and what else stands in names and numbers.
func (r *callReader) word() string {
	r.space()
	n := strings.IndexFunc(r.s, func(c rune) bool { return strings.ContainsRune("(),' ", c) })
	if n < 0 {
		n = len(r.s)
	}
	w := r.s[:n]
	r.s = r.s[n:]
	return w
}

func (r *callReader) value() (vec.Value, string) {
	r.t.Helper()
	if r.take('\'') {
		var text strings.Builder
		for {
			piece, rest, ok := strings.Cut(r.s, "'")
			if !ok {
				r.t.Fatalf("%s: open text", r.all)
			}
			text.WriteString(piece)
			r.s = rest
			if !strings.HasPrefix(r.s, "'") {
				return vec.StringValue(text.String()), ""
			}
			text.WriteByte('\'')
			r.s = r.s[1:]
		}
	}
	w := r.word()
	if r.take('(') {
		return r.call(w)
	}
	switch w {
	case "NULL":
		return vec.NullValue(), ""
	case "TRUE", "FALSE":
		return vec.BitValue(w == "TRUE"), ""
	}
	if v, ok := vec.ParseNumber(w); ok {
		return v, ""
	}
	r.t.Fatalf("%s: no value %q", r.all, w)
	return vec.Value{}, ""
}

func (r *callReader) call(name string) (vec.Value, string) {
	r.t.Helper()
	s, ok := LookupScalar(name)
	if !ok {
		r.t.Fatalf("%s: no function %s", r.all, name)
	}
	var part Part
	if s.Part {
		if part, ok = LookupPart(r.word()); !ok {
			r.t.Fatalf("%s: no date part", r.all)
		}
		r.take(',')
	}
	var args []vec.Value
	failed := ""
	for !r.take(')') {
		if len(args) > 0 && !r.take(',') {
			r.t.Fatalf("%s: comma wanted at %q", r.all, r.s)
		}
		v, err := r.value()
		if err != "" {
			failed = err
		}
		args = append(args, v)
	}
	if n := len(args); n < s.Min || s.MaxArgs() >= 0 && n > s.MaxArgs() {
		r.t.Fatalf("%s: %s takes %s arguments", r.all, s.Name, s.ArgCount())
	}
	if failed != "" {
		return vec.Value{}, failed
	}
	shapes := shapesOf(args)
	if r.once {
		shapes = shapes[:1]
	}
	return runShapes(r.t, s, part, args, shapes)
}

// runShapes runs s over args in columns of many shapes, which must all give the same.
func runShapes(t *testing.T, s *Scalar, part Part, args []vec.Value, shapes []shape) (vec.Value, string) {
	t.Helper()
	var first vec.Value
	firstErr := ""
	for n, shape := range shapes {
		c := &Call{Part: part}
		for round := range 2 { // the second finds what the first has kept
			v, err := runShape(t, s, c, shape)
			if n == 0 && round == 0 {
				first, firstErr = v, err
				checkType(t, s, args, v)
				continue
			}
			if v.String() != first.String() || err != firstErr {
				t.Errorf("%s%v: shape %s, round %d gives %v %q, plain columns %v %q",
					s.Name, args, shape.name, round, v, err, first, firstErr)
			}
		}
	}
	return first, firstErr
}

// checkType compares a result with the static type that is declared.
func checkType(t *testing.T, s *Scalar, args []vec.Value, v vec.Value) {
	t.Helper()
	types := make([]Types, len(args))
	nulls := false
	for i, a := range args {
		types[i] = Of(a.Kind)
		nulls = nulls || a.Kind.IsNull()
	}
	if !s.Result(types).Has(v.Kind) && !v.Kind.IsNull() {
		t.Errorf("%s%v gives %s, its declared type is %b", s.Name, args, v.Kind, s.Result(types))
	}
	if !s.KeepNull && nulls && !v.Kind.IsNull() {
		t.Errorf("%s%v is not NULL", s.Name, args)
	}
}

// shape is columns that hold the arguments of a call in row of n rows.
type shape struct {
	name string
	cols []*vec.Vec
	rows []int // that hold the arguments
	n    int
}

// shapesOf gives the arguments in plain columns, with tags, among NULLs, among values of
// other kinds, and texts with a dictionary.
func shapesOf(args []vec.Value) []shape {
	plain := shape{name: "plain", rows: []int{0, 1, 2}, n: 3}
	tagged := shape{name: "tagged", rows: []int{0, 1, 2}, n: 3}
	nulls := shape{name: "nulls", rows: []int{1, 3}, n: 4}
	mixed := shape{name: "mixed", rows: []int{1}, n: 3}
	dict := shape{name: "dict", rows: []int{0, 2}, n: 4}
	oneDict := shape{name: "one dict", rows: []int{0, 2}, n: 4}
	bigDict := shape{name: "big dict", rows: []int{0}, n: 1}
	haveDict := false
	for _, a := range args {
		p := vec.Values(a, a, a)
		g := vec.Values(a, a, a)
		g.Untype()
		u := vec.Values(vec.NullValue(), a, vec.Value{Kind: vec.Missing}, a)
		m := vec.Values(vec.RecordValue(&vec.Rec{Names: []string{"x"}, Vals: []vec.Value{vec.IntValue(1)}}), a, vec.StringValue("§"))
		d, big := vec.Values(a, a, a, a), vec.Values(a)
		if a.Kind == vec.String {
			d = dictColumn(&vec.Dict{Vals: []string{"", "other", a.Str, "§"}}, 2, 1, 2, 3)
			many := make([]string, 3*entryAhead)
			many[7] = a.Str
			big = dictColumn(&vec.Dict{Vals: many}, 7)
		}
		one := vec.Values(a, a, a, a)
		if a.Kind == vec.String && !haveDict {
			haveDict = true
			one = dictColumn(d.Dict, 2, 1, 2, 0)
		}
		plain.cols = append(plain.cols, &p)
		tagged.cols = append(tagged.cols, &g)
		nulls.cols = append(nulls.cols, &u)
		mixed.cols = append(mixed.cols, &m)
		dict.cols = append(dict.cols, &d)
		oneDict.cols = append(oneDict.cols, &one)
		bigDict.cols = append(bigDict.cols, &big)
	}
	all := []shape{plain, tagged, nulls, mixed, dict, oneDict, bigDict}
	if haveDict { // each text in turn with a dictionary, the others constant
		for j, a := range args {
			if a.Kind == vec.String {
				s := shape{name: fmt.Sprintf("dict of argument %d", j), rows: plain.rows, n: 3, cols: append([]*vec.Vec(nil), plain.cols...)}
				d := dictColumn(&vec.Dict{Vals: []string{"a", a.Str}}, 1, 1, 1)
				s.cols[j] = &d
				all = append(all, s)
			}
		}
	}
	return all
}

func dictColumn(d *vec.Dict, codes ...uint32) vec.Vec {
	return vec.Vec{N: len(codes), Kind: vec.String, Dict: d, Code: codes}
}

func runShape(t *testing.T, s *Scalar, c *Call, sh shape) (vec.Value, string) {
	t.Helper()
	errs := make([]string, sh.n)
	c.OnError = func(row int, message string) {
		if errs[row] != "" {
			t.Errorf("%s reports row %d twice: %q, %q", s.Name, row, errs[row], message)
		}
		errs[row] = message
	}
	var out vec.Vec
	s.Run(c, &out, sh.cols, make([]vec.Vec, len(sh.cols)), sh.n)
	if err := out.Check(); err != nil || out.N != sh.n {
		t.Fatalf("%s, shape %s: %d rows of %d, %v", s.Name, sh.name, out.N, sh.n, err)
	}
	for i, message := range errs {
		if message != "" && !out.KindAt(i).IsNull() {
			t.Errorf("%s, shape %s: row %d failed and is not NULL", s.Name, sh.name, i)
		}
	}
	v, err := out.At(sh.rows[0]), errs[sh.rows[0]]
	for _, row := range sh.rows[1:] {
		if w := out.At(row); w.String() != v.String() || w.Kind.IsNull() != v.Kind.IsNull() || errs[row] != err {
			t.Errorf("%s, shape %s: row %d is %v %q, row %d %v %q", s.Name, sh.name, sh.rows[0], v, err, row, w, errs[row])
		}
	}
	return v, err
}

func TestScalarExamples(t *testing.T) {
	for _, s := range Scalars() {
		for _, e := range s.Doc.Examples {
			if got := evalCall(t, e.In); got != e.Want {
				t.Errorf("%s = %s, the manual says %s", e.In, got, e.Want)
			}
		}
	}
}
