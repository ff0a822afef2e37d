package suite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/testkit"
)

// pair is an expected row and the row that stands for it. Either may be missing.
type pair struct {
	want *row
	got  *testkit.Row
}

// difference is how a stream differs from what is expected of it.
type difference struct {
	e     *expectation
	pairs []pair // the rows that differ
	got   []testkit.Row
	// matched tells for each row of got which expected row is equal to it, or -1.
	matched []int
}

// compare holds the rows of a stream against an expectation; nil says that all is well.
func (e *expectation) compare(got []testkit.Row) *difference {
	d := &difference{e: e, got: got, matched: make([]int, len(got))}
	for i := range d.matched {
		d.matched[i] = -1
	}
	if e.checkRows {
		if e.exact {
			d.inOrder()
		} else {
			d.anyOrder()
		}
	}
	if len(d.pairs) == 0 && (e.count < 0 || e.count == len(got)) {
		return nil
	}
	return d
}

// same tells whether a row is what is expected. Of a system stream only the columns that
// the expected row has are compared.
func (e *expectation) same(want *row, got *testkit.Row) bool {
	if e.kind == systemStream {
		for i, name := range want.Names {
			if g, ok := got.Get(name); !ok || !equal(want.Items[i], g) {
				return false
			}
		}
		return true
	}
	return equal(e.seen(want.Value), e.seen(*got))
}

// seen is a row with the columns that are compared.
func (e *expectation) seen(v testkit.Value) testkit.Value {
	if len(e.columns) == 0 && len(e.ignore) == 0 {
		return v
	}
	return without(v, func(name string) bool {
		_, ignored := find(e.ignore, name)
		return ignored || len(e.columns) > 0 && !slices.Contains(e.columns, name)
	})
}

func (d *difference) inOrder() {
	for i := range max(len(d.e.rows), len(d.got)) {
		var p pair
		if i < len(d.e.rows) {
			p.want = &d.e.rows[i]
		}
		if i < len(d.got) {
			p.got = &d.got[i]
		}
		if p.want != nil && p.got != nil && d.e.same(p.want, p.got) {
			d.matched[i] = i
			continue
		}
		d.pairs = append(d.pairs, p)
	}
}

// maxPairings bounds the work of finding, for rows that differ, the row that is most alike.
const maxPairings = 1_000_000

// anyOrder leaves out what is equal and pairs the rest with what is most alike.
func (d *difference) anyOrder() {
	left, leftGot := d.equals()
	pairing := len(left)*len(leftGot) <= maxPairings
	for _, w := range left {
		p := pair{want: &d.e.rows[w]}
		if at := d.mostAlike(w, leftGot); pairing && at >= 0 {
			p.got = &d.got[leftGot[at]]
			leftGot = slices.Delete(leftGot, at, at+1)
		}
		d.pairs = append(d.pairs, p)
	}
	for _, g := range leftGot {
		d.pairs = append(d.pairs, pair{got: &d.got[g]})
	}
}

// equals takes off the rows that are equal: by a text that equal rows share, then, for
// numbers that differ by rounding and parts of rows, one by one.
func (d *difference) equals() (left, leftGot []int) {
	at := map[string][]int{}
	if d.e.kind != systemStream {
		for i := range d.got {
			k := keyOf(d.e.seen(d.got[i]))
			at[k] = append(at[k], i)
		}
	}
	var some []int
	for w := range d.e.rows {
		k := keyOf(d.e.seen(d.e.rows[w].Value))
		if list := at[k]; len(list) > 0 {
			d.matched[list[0]], at[k] = w, list[1:]
		} else {
			some = append(some, w)
		}
	}
	for i, m := range d.matched {
		if m < 0 {
			leftGot = append(leftGot, i)
		}
	}
	if len(some)*len(leftGot) > maxPairings {
		return some, leftGot
	}
	for _, w := range some {
		i := slices.IndexFunc(leftGot, func(g int) bool { return d.e.same(&d.e.rows[w], &d.got[g]) })
		if i < 0 {
			left = append(left, w)
			continue
		}
		d.matched[leftGot[i]] = w
		leftGot = slices.Delete(leftGot, i, i+1)
	}
	return left, leftGot
}

// mostAlike is the position in left of the row that has the most cells of an expected row,
// -1 if none has any.
func (d *difference) mostAlike(want int, left []int) int {
	w := d.e.seen(d.e.rows[want].Value)
	at, best := -1, 0
	for i, g := range left {
		got, same := d.e.seen(d.got[g]), 0
		for c, name := range w.Names {
			if v, ok := got.Get(name); ok && equal(w.Items[c], v) {
				same++
			}
		}
		if same > best {
			at, best = i, same
		}
	}
	if at < 0 && len(left) == 1 && len(d.e.rows) == 1 && len(d.got) == 1 {
		return 0 // there is nothing else to compare them with
	}
	return at
}

// keyOf is a text that equal values share, unless they differ by rounding.
func keyOf(v testkit.Value) string {
	var b strings.Builder
	writeKey(&b, &v)
	return b.String()
}

func writeKey(b *strings.Builder, v *testkit.Value) {
	switch v.Kind {
	case testkit.Number:
		if x, err := strconv.ParseFloat(v.Raw, 64); err == nil {
			fmt.Fprintf(b, "%g", x)
			return
		}
		b.WriteString(v.Raw)
	case testkit.String:
		if t, ok := momentOf(v.Text); ok {
			fmt.Fprintf(b, "T%d", t)
			return
		}
		b.WriteString(strconv.Quote(v.Text))
	case testkit.Array:
		b.WriteByte('[')
		for i := range v.Items {
			writeKey(b, &v.Items[i])
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case testkit.Object:
		order := make([]int, len(v.Names))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.Names[i], v.Names[j]) })
		b.WriteByte('{')
		for _, i := range order {
			b.WriteString(strconv.Quote(v.Names[i]) + ":")
			writeKey(b, &v.Items[i])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.Raw)
	}
}
