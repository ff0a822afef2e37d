package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
)

// Rules of TIMESTAMP BY ... OVER keys (saql.md 4.5).

// overRule remembers which uses of inputs have OVER.
type overRule struct {
	with, without []diag.Span
}

// noteOver notes a use of an input.
func (c *compiler) noteOver(by *saql.TimestampBy, at diag.Span) {
	if c.muted > 0 {
		return
	}
	if by != nil && len(by.Over) > 0 {
		c.over.with = append(c.over.with, by.Span)
	} else {
		c.over.without = append(c.over.without, at)
	}
}

// checkOverRules demands OVER on all inputs or on none.
func (c *compiler) checkOverRules() {
	if len(c.over.with) == 0 || len(c.over.without) == 0 {
		return
	}
	d := c.fail(diag.SA5014, c.over.without[0], "TIMESTAMP BY .. OVER must be used on all inputs or on none", "")
	d.Related = []diag.Label{{Span: c.over.with[0], Text: "OVER is used here"}}
}

// overKey is a key of OVER as a relation shows it: the path of its column, nil if the
// relation has none for it.
type overKey struct {
	label string
	path  []string
}

// overKeys follows the keys of OVER from the input to a relation.
func overKeys(r relation) []overKey {
	switch r := r.(type) {
	case *named:
		return overKeys(r.relation)
	case *timeline:
		var keys []overKey
		for _, k := range r.over {
			key := overKey{label: r.in.c.textAt(k.Span)}
			if k.ref != nil && k.ref.kind == refField {
				key.path = k.ref.path
			}
			keys = append(keys, key)
		}
		return keys
	case *union:
		return overKeys(r.branches[0])
	case *matching:
		return r.overKeys()
	case *block:
		return r.overKeys()
	}
	return nil
}

// overKeys are the keys of OVER as the columns of the block.
func (b *block) overKeys() []overKey {
	var out []overKey
	for _, k := range overKeys(b.sources[0].rel) {
		shown := overKey{label: k.label}
		for _, it := range b.items {
			if it.splice && it.src != nil {
				shown.path = k.path
				break
			}
			if it.splice || k.path == nil {
				continue
			}
			e := it.expr
			if e.ref != nil && e.ref.kind == refKey && b.group != nil {
				e = b.group.keys[e.ref.n]
			}
			if e.ref != nil && e.ref.kind == refField && slices.EqualFunc(e.ref.path, k.path, sameName) {
				shown.path = []string{it.name}
				break
			}
		}
		out = append(out, shown)
	}
	return out
}

// checkOverKeys demands the keys of OVER among the keys of GROUP BY.
func (b *block) checkOverKeys() {
	if b.group == nil || b.joined || len(b.sources) == 0 {
		return
	}
	for _, k := range overKeys(b.sources[0].rel) {
		found := slices.ContainsFunc(b.group.keys, func(g *Expr) bool {
			return g.ref != nil && g.ref.kind == refField && k.path != nil && slices.EqualFunc(g.ref.path, k.path, sameName)
		})
		if !found {
			b.c.fail(diag.SA5015, b.sel.GroupPos, quote(k.label)+" of TIMESTAMP BY .. OVER is missing in this GROUP BY", "add it")
		}
	}
}

// checkSubstreams demands the keys of OVER in the PARTITION BY of an analytic function. With
// a join those of any side will do, for ON equates them.
func (x *exprs) checkSubstreams(e *saql.Call, call *historyCall) {
	if len(x.b.sources) == 0 {
		return
	}
	for i, k := range overKeys(x.b.sources[0].rel) {
		found := slices.ContainsFunc(call.keys, func(p *Expr) bool {
			return p.ref != nil && p.ref.kind == refField && slices.ContainsFunc(x.b.sources, func(s *source) bool {
				keys := overKeys(s.rel)
				return s == p.ref.src && i < len(keys) && keys[i].path != nil && slices.EqualFunc(p.ref.path, keys[i].path, sameName)
			})
		})
		if !found {
			x.fail(diag.SA5015, e.Span, quote(k.label)+" of TIMESTAMP BY .. OVER is missing in this PARTITION BY", "add it")
		}
	}
}

// lastName is the last part of a path as written.
func lastName(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		path = path[i+1:]
	}
	return strings.Trim(strings.TrimSpace(path), `[]"`)
}

// checkPartitionedSubstreams demands that the substreams of an input with several
// partitions are kept apart by partition too: PartitionId among the keys of OVER and
// PARTITION BY (saql.md 4.5).
func (c *compiler) checkPartitionedSubstreams(t *saql.Source) {
	in, ok := c.declaredInput(t.Name.Text)
	if !ok || in.Partitions < 2 || t.TimestampBy == nil || len(t.TimestampBy.Over) == 0 {
		return
	}
	byPartition := func(keys []saql.Expr) bool {
		return slices.ContainsFunc(keys, func(k saql.Expr) bool {
			p, ok := bare(k).(*saql.Path)
			return ok && sameName(p.Names[len(p.Names)-1].Text, "PartitionId")
		})
	}
	if byPartition(t.TimestampBy.Over) && t.PartitionBy != nil && byPartition(t.PartitionBy.Keys) {
		return
	}
	c.fail(diag.SA5016, t.Name.Span, "input "+quote(t.Name.Text)+" has "+itoa(in.Partitions)+" partitions",
		"TIMESTAMP BY .. OVER "+c.text(t.TimestampBy.Over[0])+", PartitionId PARTITION BY PartitionId")
}
