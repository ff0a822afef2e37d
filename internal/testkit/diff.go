package testkit

import (
	"fmt"
	"slices"
	"strings"
)

// maxDifferences is how many differing rows of an output are shown.
const maxDifferences = 10

// Diff says how rows differ from what c expects, or gives "". Rows of an output that the
// case does not name are a difference.
func (c *Case) Diff(got map[string][]Row) string {
	var b strings.Builder
	for _, want := range c.Expected {
		diffOutput(&b, want.Name, want.Rows, got[want.Name], c.Ordered)
	}
	var extra []string
	for name, rows := range got {
		known := slices.ContainsFunc(c.Expected, func(o Output) bool { return o.Name == name })
		if !known && len(rows) > 0 {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	for _, name := range extra {
		diffOutput(&b, name, nil, got[name], false)
	}
	return b.String()
}

// pair is a row that was expected and the row that stands for it. Either may be
// missing; number is the position in the list of the one that is there, from 1.
type pair struct {
	want, got *Row
	number    int
}

func diffOutput(b *strings.Builder, name string, want, got []Row, ordered bool) {
	var pairs []pair
	if ordered {
		pairs = pairInOrder(want, got)
	} else {
		pairs = pairAnyOrder(want, got)
	}
	if len(pairs) == 0 {
		return
	}
	order := "in any order"
	if ordered {
		order = "in this order"
	}
	fmt.Fprintf(b, "output %q: %s, %s expected %s\n", name, count(len(got), "row"), count(len(want), "row"), order)
	for i, p := range pairs {
		if i == maxDifferences {
			fmt.Fprintf(b, "  and %d more\n", len(pairs)-i)
			break
		}
		p.write(b)
	}
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (p *pair) write(b *strings.Builder) {
	switch {
	case p.got == nil:
		fmt.Fprintf(b, "  row %d is missing:    %s\n", p.number, p.want.compact())
	case p.want == nil:
		fmt.Fprintf(b, "  row %d is unexpected: %s\n", p.number, p.got.compact())
	default:
		fmt.Fprintf(b, "  row %d: %s\n", p.number, p.got.compact())
		for _, cell := range cells(*p.want, *p.got) {
			fmt.Fprintf(b, "    %s\n", cell)
		}
	}
}

// cells lists the differing cells of two rows.
func cells(want, got Row) []string {
	var list []string
	for i, name := range want.Names {
		g, ok := got.Get(name)
		switch {
		case !ok:
			list = append(list, fmt.Sprintf("%s: is absent, want %s", name, want.Items[i].compact()))
		case !Equal(g, want.Items[i]):
			list = append(list, fmt.Sprintf("%s: %s, want %s", name, g.compact(), want.Items[i].compact()))
		}
	}
	for i, name := range got.Names {
		if _, ok := want.Get(name); !ok {
			list = append(list, fmt.Sprintf("%s: %s, want no such column", name, got.Items[i].compact()))
		}
	}
	return list
}

func pairInOrder(want, got []Row) []pair {
	var pairs []pair
	for i := range max(len(want), len(got)) {
		p := pair{number: i + 1}
		if i < len(want) {
			p.want = &want[i]
		}
		if i < len(got) {
			p.got = &got[i]
		}
		if p.want == nil || p.got == nil || !Equal(*p.want, *p.got) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// pairAnyOrder leaves out what is equal and pairs the rest with what is most alike.
func pairAnyOrder(want, got []Row) []pair {
	leftWant, leftGot := unmatchedByKey(want, got)
	leftWant, leftGot = unmatched(want, got, leftWant, leftGot)
	var pairs []pair
	for _, w := range leftWant {
		p := pair{want: &want[w], number: w + 1}
		if i := mostAlike(want[w], got, leftGot); i >= 0 {
			p.got, p.number = &got[leftGot[i]], leftGot[i]+1
			leftGot = slices.Delete(leftGot, i, i+1)
		}
		pairs = append(pairs, p)
	}
	for _, g := range leftGot {
		pairs = append(pairs, pair{got: &got[g], number: g + 1})
	}
	return pairs
}

// unmatchedByKey takes off the rows that are equal to the letter, which are nearly all.
func unmatchedByKey(want, got []Row) (leftWant, leftGot []int) {
	at := map[string][]int{}
	for i := range got {
		k := rowKey(&got[i])
		at[k] = append(at[k], i)
	}
	for i := range want {
		k := rowKey(&want[i])
		if list := at[k]; len(list) > 0 {
			at[k] = list[1:]
		} else {
			leftWant = append(leftWant, i)
		}
	}
	for _, list := range at {
		leftGot = append(leftGot, list...)
	}
	slices.Sort(leftGot)
	return leftWant, leftGot
}

// unmatched takes off the rows that are equal within the tolerance.
func unmatched(want, got []Row, leftWant, leftGot []int) ([]int, []int) {
	var left []int
	for _, w := range leftWant {
		i := slices.IndexFunc(leftGot, func(g int) bool { return Equal(want[w], got[g]) })
		if i < 0 {
			left = append(left, w)
			continue
		}
		leftGot = slices.Delete(leftGot, i, i+1)
	}
	return left, leftGot
}

// mostAlike is the position in left of the row that has the most cells of want, or -1 if
// none has any.
func mostAlike(want Row, got []Row, left []int) int {
	at, best := -1, 0
	for i, g := range left {
		if same := sameCells(want, got[g]); same > best {
			at, best = i, same
		}
	}
	return at
}

func rowKey(r *Row) string {
	var b strings.Builder
	r.key(&b)
	return b.String()
}

func sameCells(a, b Row) int {
	n := 0
	for i, name := range a.Names {
		if v, ok := b.Get(name); ok && Equal(a.Items[i], v) {
			n++
		}
	}
	return n
}

// compact is the value on one line, cut when it is very long.
func (v *Value) compact() string {
	var b strings.Builder
	v.write(&b)
	const limit = 400
	if s := b.String(); len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return b.String()
}

func (v *Value) write(b *strings.Builder) {
	switch v.Kind {
	case Array:
		b.WriteByte('[')
		for i := range v.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			v.Items[i].write(b)
		}
		b.WriteByte(']')
	case Object:
		b.WriteByte('{')
		for i, name := range v.Names {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q: ", name)
			v.Items[i].write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.Raw)
	}
}
