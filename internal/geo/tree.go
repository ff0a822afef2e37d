package geo

import (
	"math"
	"slices"
)

// box is a box in space, along the axes.
type box struct{ lo, hi dir }

func emptyBox() box {
	inf := math.Inf(1)
	return box{dir{inf, inf, inf}, dir{-inf, -inf, -inf}}
}

// add makes b hold p.
func (b *box) add(p dir) { b.join(box{p, p}) }

// join makes b hold c.
func (b *box) join(c box) {
	b.lo = dir{min(b.lo.x, c.lo.x), min(b.lo.y, c.lo.y), min(b.lo.z, c.lo.z)}
	b.hi = dir{max(b.hi.x, c.hi.x), max(b.hi.y, c.hi.y), max(b.hi.z, c.hi.z)}
}

// wider is b with a margin.
func (b box) wider(by float64) box {
	m := dir{by, by, by}
	return box{b.lo.minus(m), b.hi.plus(m)}
}

// meets reports whether two boxes share a point.
func (b *box) meets(c *box) bool {
	return b.lo.x <= c.hi.x && c.lo.x <= b.hi.x &&
		b.lo.y <= c.hi.y && c.lo.y <= b.hi.y &&
		b.lo.z <= c.hi.z && c.lo.z <= b.hi.z
}

// distance2 is the square of the distance from p to b.
func (b *box) distance2(p dir) float64 {
	x := max(b.lo.x-p.x, 0, p.x-b.hi.x)
	y := max(b.lo.y-p.y, 0, p.y-b.hi.y)
	z := max(b.lo.z-p.z, 0, p.z-b.hi.z)
	return x*x + y*y + z*z
}

// leafSize is how many items a leaf of a tree may have.
const leafSize = 4

// maxDepth bounds the depth of a tree: each level halves the items.
const maxDepth = 48

// tree finds the boxes that meet a box, or come near a point, without looking at all of
// them.
type tree struct {
	nodes []treeNode
	items []int32 // positions of boxes, those of a leaf together
	boxes []box   // of the items, in their order
}

// treeNode holds the items from first on if it is a leaf, else its two parts: the next
// node and nodes[first].
type treeNode struct {
	box   box
	first int32
	count int32 // 0: no leaf
}

// newTree makes a tree of boxes. The result depends on the boxes and their order only.
func newTree(boxes []box) *tree {
	t := &tree{items: make([]int32, len(boxes)), boxes: make([]box, len(boxes))}
	for i := range t.items {
		t.items[i] = int32(i)
	}
	if len(boxes) > 0 {
		t.nodes = make([]treeNode, 0, 2*(len(boxes)/leafSize)+1)
		t.build(boxes, 0, len(boxes))
	}
	for i, item := range t.items {
		t.boxes[i] = boxes[item]
	}
	return t
}

// build adds the node of items[from:to] and all below it.
func (t *tree) build(boxes []box, from, to int) {
	b, centres := emptyBox(), emptyBox()
	for _, i := range t.items[from:to] {
		b.join(boxes[i])
		centres.add(boxes[i].centre())
	}
	at := len(t.nodes)
	t.nodes = append(t.nodes, treeNode{box: b, first: int32(from), count: int32(to - from)})
	if to-from <= leafSize {
		return
	}
	axis := centres.longest()
	slices.SortFunc(t.items[from:to], func(i, j int32) int {
		x, y := boxes[i].centre().axis(axis), boxes[j].centre().axis(axis)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return int(i - j)
	})
	mid := (from + to) / 2
	t.build(boxes, from, mid)
	t.nodes[at].first, t.nodes[at].count = int32(len(t.nodes)), 0
	t.build(boxes, mid, to)
}

func (b *box) centre() dir { return b.lo.plus(b.hi) } // twice the centre

// longest is the axis along which b is longest.
func (b *box) longest() int {
	d := b.hi.minus(b.lo)
	switch {
	case d.x >= d.y && d.x >= d.z:
		return 0
	case d.y >= d.z:
		return 1
	}
	return 2
}

func (a dir) axis(k int) float64 { return [3]float64{a.x, a.y, a.z}[k] }

// search appends the positions of the boxes that meet q, in no useful order.
func (t *tree) search(found []int32, q *box) []int32 {
	if len(t.nodes) == 0 {
		return found
	}
	var stack [maxDepth]int32
	open := 1 // the root is node 0
	for open > 0 {
		open--
		at := stack[open]
		n := &t.nodes[at]
		if !n.box.meets(q) {
			continue
		}
		if n.count == 0 {
			stack[open], stack[open+1] = n.first, at+1
			open += 2
			continue
		}
		for i := n.first; i < n.first+n.count; i++ {
			if t.boxes[i].meets(q) {
				found = append(found, t.items[i])
			}
		}
	}
	return found
}

// farther is more than the square of any distance between points of the sphere.
const farther = 5.0

// nearest is the edge nearest to p, as arc.distance2 tells it. The tree is one of edges.
func (t *tree) nearest(p dir, edges []arc) (best float64, edge int32, end int) {
	best = farther
	var stack [maxDepth]int32
	open := 1
	for open > 0 {
		open--
		at := stack[open]
		n := &t.nodes[at]
		if n.box.distance2(p) >= best {
			continue
		}
		if n.count > 0 {
			for i := n.first; i < n.first+n.count; i++ {
				if t.boxes[i].distance2(p) >= best {
					continue
				}
				if d, which := edges[t.items[i]].distance2(p); d < best {
					best, edge, end = d, t.items[i], which
				}
			}
			continue
		}
		near, far := at+1, n.first
		if t.nodes[far].box.distance2(p) < t.nodes[near].box.distance2(p) {
			near, far = far, near
		}
		stack[open], stack[open+1] = far, near
		open += 2
	}
	return best, edge, end
}
