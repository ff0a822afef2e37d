package fn

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/state"
	"weir/internal/vec"
)

// orderedCall is a call of an aggregate that sees the order of rows.
type orderedCall struct {
	name string
	desc []bool // its keys
	most int64
	back bool
}

var orderedCalls = []orderedCall{
	{name: "Collect"},
	{name: "TopOne", desc: []bool{false}}, {name: "TopOne", desc: []bool{true}}, {name: "TopOne", desc: []bool{true, false}},
	{name: "CollectTop", desc: []bool{false}, most: 1}, {name: "CollectTop", desc: []bool{true}, most: 3},
	{name: "CollectTop", desc: []bool{false, true}, most: 7}, {name: "CollectTop", desc: []bool{false}, most: 1 << 40},
	{name: "CollectTop", desc: []bool{false}, most: 2, back: true}, {name: "CollectTop", desc: []bool{true, false}, most: 5, back: true},
}

func (c orderedCall) String() string { return fmt.Sprint(c.name, c.most, c.desc, c.back) }

func (c orderedCall) acc(t testing.TB) Acc {
	t.Helper()
	spec := AggSpec{Args: []Types{Any}, Desc: c.desc, Const: vec.IntValue(c.most), Back: c.back}
	for range c.desc {
		spec.Args = append(spec.Args, Any)
	}
	return mustAgg(t, c.name).New(spec)
}

// orderedRow is a value and its keys.
type orderedRow struct {
	value vec.Value
	keys  []vec.Value
}

// orderedRows makes rows whose keys are equal often. misfits says that some keys are texts.
func (c orderedCall) rows(r *rand.Rand, n int, misfits bool) []orderedRow {
	rows := make([]orderedRow, n)
	mixes := []rowMix{rowMixes[0], rowMixes[2], rowMixes[3], rowMixes[5]}
	value, key := rowMixes[r.IntN(len(rowMixes))], mixes[r.IntN(len(mixes))]
	for i := range rows {
		rows[i].value = value.value(r)
		for range c.desc {
			k := key.value(r)
			if misfits && r.IntN(8) == 0 {
				k = rowMixes[6].value(r)
			}
			rows[i].keys = append(rows[i].keys, k)
		}
	}
	return rows
}

// columns is rows as the arguments of the call.
func (c orderedCall) columns(r *rand.Rand, rows []orderedRow) []*vec.Vec {
	cols := make([][]vec.Value, 1+len(c.desc))
	for _, row := range rows {
		cols[0] = append(cols[0], row.value)
		for j, k := range row.keys {
			cols[1+j] = append(cols[1+j], k)
		}
	}
	var out []*vec.Vec
	for _, vals := range cols {
		out = append(out, column(r, vals))
	}
	return out
}

// feed calls add with rows in random batches, all of one slot.
func (c orderedCall) feed(r *rand.Rand, add func([]int32, []*vec.Vec), rows []orderedRow, slot int32) {
	for len(rows) > 0 {
		n := 1 + r.IntN(len(rows))
		slots := make([]int32, n)
		for i := range slots {
			slots[i] = slot
		}
		add(slots, c.columns(r, rows[:n]))
		rows = rows[n:]
	}
}

// want is the result over rows in order, and whether it is an error.
func (c orderedCall) want(rows []orderedRow) (string, bool) {
	failed := false
	rows = slices.DeleteFunc(slices.Clone(rows), func(row orderedRow) bool {
		bad := slices.ContainsFunc(row.keys, func(k vec.Value) bool {
			return k.Kind == vec.String || k.Kind == vec.Record || k.Kind == vec.Array
		})
		failed = failed || bad
		return bad
	})
	slices.SortStableFunc(rows, func(a, b orderedRow) int {
		for j, k := range a.keys {
			x := modelOrder(k, b.keys[j])
			if c.desc[j] {
				x = -x
			}
			if x != 0 {
				return x
			}
		}
		return 0
	})
	vals := []vec.Value{}
	for i, row := range rows {
		v := row.value
		if v.Kind == vec.Missing {
			v = vec.NullValue()
		}
		if c.name == "CollectTop" {
			if int64(i) == c.most {
				break
			}
			v = vec.RecordValue(&vec.Rec{Names: []string{"rank", "value"}, Vals: []vec.Value{vec.IntValue(int64(i + 1)), v}})
		}
		vals = append(vals, v)
	}
	if c.name == "TopOne" {
		if len(vals) == 0 {
			return vec.NullValue().String(), failed
		}
		return vals[0].String(), failed
	}
	return vec.ArrayValue(&vec.Rec{Vals: vals}).String(), failed
}

// modelOrder orders NULL, numbers, datetimes.
func modelOrder(a, b vec.Value) int {
	class := func(v vec.Value) int {
		switch {
		case v.Kind.IsNull():
			return 0
		case v.Kind == vec.Datetime:
			return 2
		}
		return 1
	}
	if c := cmp.Compare(class(a), class(b)); c != 0 || class(a) == 0 {
		return c
	}
	c, ok := vec.Compare(a, b)
	if !ok {
		panic(fmt.Sprint("the model cannot compare ", a, " with ", b))
	}
	return c
}

func (c orderedCall) check(t *testing.T, a Acc, slot int32, rows []orderedRow) {
	t.Helper()
	got, message := aggResult(t, a, slot)
	want, failed := c.want(rows)
	if failed != (message != "") || !failed && got.String() != want {
		t.Fatalf("%v over %v: got %v %q, want %s, error %v", c, rows, got, message, want, failed)
	}
}

// eachOrdered runs check for every call over random rows.
func eachOrdered(t *testing.T, misfits bool, check func(t *testing.T, r *rand.Rand, c orderedCall, rows []orderedRow)) {
	for _, c := range orderedCalls {
		t.Run(c.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(21, 22))
			for range 150 {
				check(t, r, c, c.rows(r, r.IntN(24), misfits))
			}
		})
	}
}

// TestOrderedMerge: panes that are merged in order give what one pane gives.
func TestOrderedMerge(t *testing.T) {
	eachOrdered(t, true, func(t *testing.T, r *rand.Rand, c orderedCall, rows []orderedRow) {
		a := c.acc(t)
		a.Grow(2)
		const panes = 4
		a.Grow(panes + 2)
		left := rows
		for p := range panes {
			n := r.IntN(len(left) + 1)
			if p == panes-1 {
				n = len(left)
			}
			c.feed(r, a.Add, left[:n], int32(p))
			left = left[n:]
		}
		a.Merge([]int32{panes, panes, panes}, []int32{0, 1, 2})
		a.Merge([]int32{panes}, []int32{3})
		c.check(t, a, panes, rows)
		// From the newest back to the oldest, as a stack of panes.
		for p := panes - 2; p >= 0; p-- {
			a.Merge([]int32{int32(p)}, []int32{int32(p + 1)})
		}
		c.check(t, a, 0, rows)
		c.check(t, a, panes+1, nil)
		a.Reset([]int32{0, 1, 2, 3, panes})
		if h, ok := a.(Holder); ok && h.Held() != 0 {
			t.Fatalf("%d values held after Reset", h.Held())
		}
		c.feed(r, a.Add, rows, 2)
		c.check(t, a, 2, rows)
	})
}

// TestOrderedInverse takes back the oldest rows, one by one and by the pane. Results that
// were given before stay what they were.
func TestOrderedInverse(t *testing.T) {
	eachOrdered(t, true, func(t *testing.T, r *rand.Rand, c orderedCall, rows []orderedRow) {
		a, ok := c.acc(t).(Inverse)
		if !ok {
			if c.back || c.name == "Collect" {
				t.Fatal("no Inverse")
			}
			return
		}
		a.Grow(3)
		type given struct {
			v    vec.Value
			want string
		}
		var all []given
		from, to := 0, 0
		for to < len(rows) || from < to {
			if n := r.IntN(4); r.IntN(2) == 0 && to < len(rows) {
				n = min(n, len(rows)-to)
				if r.IntN(2) == 0 {
					c.feed(r, a.Add, rows[to:to+n], 0)
				} else {
					c.feed(r, a.Add, rows[to:to+n], 1)
					a.Merge([]int32{0}, []int32{1})
					a.Reset([]int32{1})
				}
				to += n
			} else if n = min(n, to-from); r.IntN(2) == 0 {
				c.feed(r, a.Remove, rows[from:from+n], 0)
				from += n
			} else {
				c.feed(r, a.Add, rows[from:from+n], 2)
				a.Unmerge([]int32{0}, []int32{2})
				a.Reset([]int32{2})
				from += n
			}
			c.check(t, a, 0, rows[from:to])
			if v, failed := aggResult(t, a, 0); failed == "" {
				want, _ := c.want(rows[from:to])
				all = append(all, given{v, want})
			}
		}
		if got, want := saved(a, 0), saved(a, 1); !bytes.Equal(got, want) {
			t.Fatalf("an emptied slot is saved as %x, an empty one as %x", got, want)
		}
		a.Reset([]int32{0})
		c.feed(r, a.Add, rows, 0)
		for _, g := range all {
			if g.v.String() != g.want {
				t.Fatalf("a result has become %v, it was %s", g.v, g.want)
			}
		}
	})
}

// TestOrderedSave: a slot that is loaded goes on like the one that was saved, and damaged
// snapshots are refused.
func TestOrderedSave(t *testing.T) {
	eachOrdered(t, true, func(t *testing.T, r *rand.Rand, c orderedCall, rows []orderedRow) {
		cut := r.IntN(len(rows) + 1)
		a, b := c.acc(t), c.acc(t)
		a.Grow(1)
		b.Grow(3)
		c.feed(r, a.Add, rows[:cut], 0)
		snapshot := saved(a, 0)
		rd := state.NewReader(snapshot)
		b.Load(2, rd)
		if rd.Err() != nil || rd.Rest() != 0 {
			t.Fatalf("load: %v, %d bytes left", rd.Err(), rd.Rest())
		}
		c.feed(r, b.Add, rows[cut:], 2)
		c.check(t, b, 2, rows)
		if b.Bytes() <= 0 {
			t.Fatal("no bytes")
		}
		if n := r.IntN(len(snapshot)); n > 0 {
			d := c.acc(t)
			d.Grow(1)
			rd := state.NewReader(snapshot[:n])
			d.Load(0, rd)
			if rd.Err() == nil {
				t.Fatalf("%d of %d bytes load", n, len(snapshot))
			}
		}
	})
}

// FuzzOrderedLoad loads damaged snapshots and then uses the slot.
func FuzzOrderedLoad(f *testing.F) {
	r := rand.New(rand.NewPCG(25, 26))
	for n, c := range orderedCalls {
		a := c.acc(f)
		a.Grow(1)
		c.feed(r, a.Add, c.rows(r, 9, true), 0)
		f.Add(uint8(n), saved(a, 0))
	}
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		c := orderedCalls[int(n)%len(orderedCalls)]
		a := c.acc(t)
		a.Grow(2)
		rd := state.NewReader(b)
		a.Load(0, rd)
		rows := c.rows(rand.New(rand.NewPCG(1, 1)), 5, false)
		c.feed(rand.New(rand.NewPCG(2, 2)), a.Add, rows, 0)
		a.Merge([]int32{1}, []int32{0})
		aggResult(t, a, 0)
		saved(a, 1)
		a.Reset([]int32{0, 1})
	})
}

// TestOrderedOwnsText changes the memory of a batch after Add.
func TestOrderedOwnsText(t *testing.T) {
	for _, c := range orderedCalls {
		a := c.acc(t)
		a.Grow(1)
		buf := []byte("abc")
		cols := []*vec.Vec{{N: 1, Kind: vec.String, Str: []string{unsafeText(buf)}}}
		for range c.desc {
			cols = append(cols, &vec.Vec{N: 1, Kind: vec.Int, Int: []int64{1}})
		}
		a.Add([]int32{0}, cols)
		copy(buf, "xyz")
		want, _ := c.want([]orderedRow{{vtext("abc"), make([]vec.Value, len(c.desc))}})
		if got, _ := aggResult(t, a, 0); got.String() != want {
			t.Errorf("%v: got %v, want %s", c, got, want)
		}
	}
}

func TestOrderedErrors(t *testing.T) {
	f := func(c orderedCall, want string, keys ...vec.Value) {
		t.Helper()
		a := c.acc(t)
		a.Grow(1)
		for i, k := range keys {
			v, key := vec.Ints(int64(i)), vec.Values(k)
			a.Add([]int32{0}, []*vec.Vec{&v, &key}[:1+len(c.desc)])
		}
		if _, got := aggResult(t, a, 0); got != want {
			t.Errorf("%v over %v: %q, want %q", c, keys, got, want)
		}
	}
	one, top := orderedCalls[1], orderedCalls[4]
	f(one, "the key in ORDER BY of TopOne has type nvarchar(max); bigint, float or datetime wanted", vint(1), vtext("2"))
	f(top, "the key in ORDER BY of CollectTop has type record; bigint, float or datetime wanted", vrec("a", vint(1)))
	f(one, "", vint(1), vtime(2), vnull(), vfloat(0.5), vbit(true))
	p := func(name, want string, vals ...vec.Value) {
		t.Helper()
		if _, got := aggResult(t, aggOver(t, name, Any, vals), 0); got != want {
			t.Errorf("%s over %v: %q, want %q", name, vals, got, want)
		}
	}
	p("PERCENTILE_DISC", "the key in ORDER BY of PERCENTILE_DISC has type nvarchar(max); bigint, float or datetime wanted", vtext("2"))
	p("PERCENTILE_DISC", "the key in ORDER BY of PERCENTILE_DISC mixes datetime with numbers", vtime(2), vint(1))
	p("PERCENTILE_DISC", "", vtime(2), vnull())
	p("PERCENTILE_CONT", "the key in ORDER BY of PERCENTILE_CONT has type datetime; bigint or float wanted", vtime(2), vint(1))
}
