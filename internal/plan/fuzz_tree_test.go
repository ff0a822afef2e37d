package plan

import (
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"

	"weir/internal/diag"
	"weir/internal/saql"
)

// trees makes syntax trees that no parser would: it grafts parts of some queries into
// others, drops and doubles elements of lists, and swaps names, numbers and kinds.
type trees struct {
	*rand.Rand
	queries []string
	stock   map[reflect.Type][]reflect.Value // parts of all queries, by the type of their place
	names   []string
}

func newTrees(t testing.TB, seed uint64) *trees {
	m := &trees{Rand: rand.New(rand.NewPCG(seed, 1)), queries: seeds(t), stock: map[reflect.Type][]reflect.Value{}}
	for _, q := range m.queries {
		if script, list := saql.Parse(q); !list.HasErrors() {
			m.collect(reflect.ValueOf(script).Elem())
		}
	}
	return m
}

// places are the interfaces of the tree: any of their nodes may stand in such a place.
var places = []reflect.Type{reflect.TypeFor[saql.Expr](), reflect.TypeFor[saql.TableExpr](),
	reflect.TypeFor[saql.QueryExpr](), reflect.TypeFor[saql.Pattern]()}

// optional are the pointers that the parser leaves nil where nothing was written.
var optional = []reflect.Type{reflect.TypeFor[*saql.Name](), reflect.TypeFor[*saql.PartitionBy](),
	reflect.TypeFor[*saql.TimestampBy](), reflect.TypeFor[*saql.MatchRecognize](), reflect.TypeFor[*saql.Top](),
	reflect.TypeFor[*saql.Over](), reflect.TypeFor[*saql.Limit](), reflect.TypeFor[*saql.TypeName]()}

func (m *trees) collect(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if slices.Contains(places, v.Type()) || slices.Contains(optional, v.Type()) {
			m.stock[v.Type()] = append(m.stock[v.Type()], v)
		}
		m.collect(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			m.collect(v.Index(i))
		}
	case reflect.Struct:
		if n, ok := v.Interface().(saql.Name); ok {
			m.names = append(m.names, n.Text)
		}
		for i := range v.NumField() {
			m.collect(v.Field(i))
		}
	}
}

// tree is a query with some changes. All places in it lie in its text.
func (m *trees) tree() *saql.Script {
	for {
		script, list := saql.Parse(m.queries[m.IntN(len(m.queries))])
		if list.HasErrors() {
			continue
		}
		for range 1 + m.IntN(4) {
			var spots []reflect.Value
			spotsOf(reflect.ValueOf(script).Elem(), &spots)
			m.change(spots[m.IntN(len(spots))], script)
		}
		return script
	}
}

// spotsOf lists what can be changed: what is set and is no place of the text.
func spotsOf(v reflect.Value, spots *[]reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			*spots = append(*spots, v)
			spotsOf(v.Elem(), spots)
		}
	case reflect.Slice:
		*spots = append(*spots, v)
		for i := range v.Len() {
			spotsOf(v.Index(i), spots)
		}
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[diag.Span]():
		case reflect.TypeFor[saql.Name]():
			*spots = append(*spots, v.FieldByName("Text"))
		default:
			for i := range v.NumField() {
				if v.Type().Field(i).Name != "Star" { // exactly one of Star and Expr is set
					spotsOf(v.Field(i), spots)
				}
			}
		}
	case reflect.Bool, reflect.Int64:
		*spots = append(*spots, v)
	case reflect.Uint8:
		if _, ok := kinds[v.Type()]; ok {
			*spots = append(*spots, v)
		}
	}
}

// kinds are the enumerations of the tree, with their lengths.
var kinds = map[reflect.Type]int{reflect.TypeFor[saql.WindowKind](): 4, reflect.TypeFor[saql.JoinKind](): 2,
	reflect.TypeFor[saql.LiteralKind](): 6}

func (m *trees) change(v reflect.Value, script *saql.Script) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		m.graft(v, script)
	case reflect.Slice:
		m.resize(v)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 1 << 62, v.Int() + 1}[m.IntN(5)])
	case reflect.Uint8:
		v.SetUint(uint64(m.IntN(kinds[v.Type()])))
	case reflect.String:
		v.SetString(m.names[m.IntN(len(m.names))])
	}
}

// graft puts a copy of another part in the place of one, or leaves an optional one out.
func (m *trees) graft(v reflect.Value, script *saql.Script) {
	list := m.stock[v.Type()]
	if len(list) == 0 || slices.Contains(optional, v.Type()) && m.IntN(3) == 0 {
		if slices.Contains(optional, v.Type()) {
			v.SetZero()
		}
		return
	}
	at := diag.Span{End: min(1, len(script.Src))}
	if p, ok := v.Interface().(interface{ Pos() diag.Span }); ok {
		at = p.Pos()
	}
	v.Set(copyTo(list[m.IntN(len(list))], at))
}

// copyTo copies a part of a tree, all of it at one place.
func copyTo(v reflect.Value, at diag.Span) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(copyTo(v.Elem(), at))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(copyTo(v.Elem(), at))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(copyTo(v.Index(i), at))
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[diag.Span]() {
			out.Set(reflect.ValueOf(at))
			break
		}
		for i := range v.NumField() {
			out.Field(i).Set(copyTo(v.Field(i), at))
		}
	default:
		out.Set(v)
	}
	return out
}

// resize drops an element of a list that has more, doubles one, or swaps two.
func (m *trees) resize(v reflect.Value) {
	n := v.Len()
	if n == 0 {
		return
	}
	i := m.IntN(n)
	switch m.IntN(3) {
	case 0:
		if n > 1 {
			v.Set(reflect.AppendSlice(v.Slice3(0, i, i), v.Slice(i+1, n)))
		}
	case 1:
		v.Set(reflect.Append(v.Slice3(0, n, n), v.Index(i)))
	default:
		a, b := v.Index(i), v.Index(m.IntN(n))
		x := reflect.New(a.Type()).Elem()
		x.Set(a)
		a.Set(b)
		b.Set(x)
	}
}

// tryTree compiles a tree: no panic, and errors at places of the text.
func tryTree(t *testing.T, script *saql.Script, about uint64) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("seed %d of %s\npanic: %v\n%s", about, script.Src, r, debug.Stack())
		}
	}()
	p, list := Compile(script, testEnv())
	if (p == nil) != list.HasErrors() {
		t.Fatalf("seed %d of %s\nplan %v with findings %v", about, script.Src, p != nil, list)
	}
	for _, d := range list {
		if d.Span.Start < 0 || d.Span.End < d.Span.Start || d.Span.End > len(script.Src) {
			t.Fatalf("seed %d of %s\n%v is at %v", about, script.Src, d, d.Span)
		}
	}
	if p != nil {
		checkPlan(t, p)
	}
}

// TestChangedTrees compiles trees that no text gives.
func TestChangedTrees(t *testing.T) {
	m := newTrees(t, 0)
	for seed := range uint64(3000) {
		m.Rand = rand.New(rand.NewPCG(seed, 1))
		tryTree(t, m.tree(), seed)
	}
}

func FuzzPlanner(f *testing.F) {
	m := newTrees(f, 0)
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m.Rand = rand.New(rand.NewPCG(seed, 1))
		tryTree(t, m.tree(), seed)
	})
}
