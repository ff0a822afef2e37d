package vec

import "fmt"

// Check reports what is wrong with the lengths of b, if anything. The invariants build
// calls it between operators.
func (b *Batch) Check() error {
	if len(b.Time) != b.N {
		return fmt.Errorf("batch of %d rows has %d times", b.N, len(b.Time))
	}
	if b.Seq != nil && len(b.Seq) != b.N && len(b.Seq) != 0 {
		return fmt.Errorf("batch of %d rows has %d sequence numbers", b.N, len(b.Seq))
	}
	if b.Arrival != nil && len(b.Arrival) != b.N && len(b.Arrival) != 0 {
		return fmt.Errorf("batch of %d rows has %d arrival times", b.N, len(b.Arrival))
	}
	for c := range b.Cols {
		if b.Cols[c].N != b.N {
			return fmt.Errorf("column %d has %d rows, its batch %d", c, b.Cols[c].N, b.N)
		}
		if err := b.Cols[c].Check(); err != nil {
			return fmt.Errorf("column %d: %w", c, err)
		}
	}
	return nil
}

// Check reports what is wrong with the tags, lanes and codes of v, if anything.
func (v *Vec) Check() error {
	var has Kinds
	switch {
	case v.Tag == nil:
		has = KindsOf(v.Kind)
	case len(v.Tag) != v.N:
		return fmt.Errorf("%d rows, %d tags", v.N, len(v.Tag))
	default:
		for _, k := range v.Tag {
			if k >= NumKinds {
				return fmt.Errorf("no kind has the number %d", k)
			}
			has |= KindsOf(k)
		}
	}
	if v.N == 0 {
		has = 0
	}
	lane := func(name string, n int, kinds Kinds) error {
		if n != v.N && (n != 0 || has&kinds != 0) {
			return fmt.Errorf("%d rows, %d in the lane %s", v.N, n, name)
		}
		return nil
	}
	text := KindsOf(String)
	strs, codes := text, Kinds(0)
	if v.Dict != nil {
		strs, codes = codes, strs
		if len(v.Str) != 0 {
			return fmt.Errorf("strings beside a dictionary")
		}
	}
	for _, err := range []error{
		lane("Int", len(v.Int), KindsOf(Bit, Int, Datetime)),
		lane("Float", len(v.Float), KindsOf(Float)),
		lane("Str", len(v.Str), strs),
		lane("Code", len(v.Code), codes),
		lane("Rec", len(v.Rec), KindsOf(Record, Array)),
	} {
		if err != nil {
			return err
		}
	}
	return v.checkRows(has)
}

// checkRows checks codes and pointers.
func (v *Vec) checkRows(has Kinds) error {
	if has&KindsOf(String, Record, Array) == 0 {
		return nil
	}
	for i := range v.N {
		switch k := v.KindAt(i); k {
		case String:
			if v.Dict != nil && int(v.Code[i]) >= len(v.Dict.Vals) {
				return fmt.Errorf("row %d has code %d of %d", i, v.Code[i], len(v.Dict.Vals))
			}
		case Record, Array:
			r := v.Rec[i]
			if r == nil {
				return fmt.Errorf("row %d is a %v without content", i, k)
			}
			if k == Record && len(r.Names) != len(r.Vals) || k == Array && r.Names != nil {
				return fmt.Errorf("row %d is a %v with %d names and %d values", i, k, len(r.Names), len(r.Vals))
			}
		}
	}
	return nil
}
