package geo

import "slices"

// Index finds the geographies that may share a point with another one.
type Index struct {
	tree *tree
	ids  []int32 // by position in the tree
}

// NewIndex makes an index of geographies; nil ones are never found.
func NewIndex(gs []*Geography) *Index {
	x := &Index{}
	var boxes []box
	for i, g := range gs {
		if g != nil {
			boxes = append(boxes, g.bounds())
			x.ids = append(x.ids, int32(i))
		}
	}
	x.tree = newTree(boxes)
	return x
}

// Search appends the positions, in order, of the geographies that may share a point with g.
func (x *Index) Search(found []int32, g *Geography) []int32 {
	b := g.bounds()
	n := len(found)
	found = x.tree.search(found, &b)
	for i, at := range found[n:] {
		found[n+i] = x.ids[at]
	}
	slices.Sort(found[n:])
	return found
}
