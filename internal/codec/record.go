package codec

import (
	"math/bits"
	"unsafe"

	"weir/internal/vec"
)

// records builds the records of whole events. Records outlive the batch and may be kept
// by whoever reads them, so they and their texts lie in slabs that are never used twice;
// the slabs are small, for one kept record keeps its slab alive.
type records struct {
	vals []vec.Value // the free rest of a slab; the current event is built at its start
	recs []vec.Rec   // the free rest of another
}

// The sizes of slabs, in values and in records.
const (
	slabVals = 256
	slabRecs = 64
)

// at is the place of value i of the current event.
func (r *records) at(i int) *vec.Value {
	if i >= len(r.vals) {
		vals := make([]vec.Value, max(slabVals, 2*(i+1)))
		copy(vals, r.vals[:min(i, len(r.vals))])
		r.vals = vals
	}
	return &r.vals[i]
}

// take is the record of the values given to at.
func (r *records) take(names []string) *vec.Rec {
	if len(r.recs) == 0 {
		r.recs = make([]vec.Rec, slabRecs)
	}
	n := len(names)
	rec := &r.recs[0]
	rec.Names, rec.Vals = names, r.vals[:n:n]
	r.recs, r.vals = r.recs[1:], r.vals[n:]
	return rec
}

// recordValue takes a value of an event that is wanted as a whole. It returns the position
// behind it, or a negative number.
func (d *JSONDecoder) recordValue(data []byte, base unsafe.Pointer, q, safe, row int, s *step) int {
	v := d.at(s.index)
	switch s.class {
	case classString:
		end := q
		m := stringStops(load8(base, end))
		for m == 0 && end <= safe {
			end += 8
			m = stringStops(load8(base, end))
		}
		end += bits.TrailingZeros64(m) >> 3
		if m == 0 || load1(base, end) != '"' {
			var escaped bool
			if end, escaped = scanString(data, q); end < 0 {
				return end
			}
			*v = vec.Value{Kind: vec.String, Str: d.ownString(data[q:end], escaped)}
		} else {
			*v = vec.Value{Kind: vec.String, Str: d.texts.keep(data[q:end])}
		}
		q = end
	case classNumber:
		y := load8(base, q) ^ zeroDigits
		n := bits.TrailingZeros64(digitStops(y)) >> 3
		if c := load1(base, q+n); n == 0 || n == 8 || y&0xff == 0 && n > 1 || c == '.' || c|0x20 == 'e' {
			if q = d.scannedValue(data, q, s, v); q < 0 {
				return q
			}
			break
		}
		*v = vec.Value{Kind: vec.Int, Int: int64(digits8(y << (64 - 8*uint(n))))}
		q += n
	default:
		if q = d.scannedValue(data, q, s, v); q < 0 {
			return q
		}
	}
	if s.want != nil {
		s.want.fromValue(row, *v)
	}
	return q
}

// finishRecord puts the record of an event that ends with s.
func (d *JSONDecoder) finishRecord(row int, s *step) {
	d.at(len(s.names)) // an event without fields takes place too
	r := d.take(s.names)
	for _, c := range d.root.cols {
		c.put(row, vec.RecordValue(r))
	}
}

// ownString is the text of a string in memory of its own.
func (d *JSONDecoder) ownString(s []byte, escaped bool) string {
	if escaped {
		d.scratch = unescape(d.scratch[:0], s)
		s = d.scratch
	}
	return d.texts.keep(s)
}

// scannedValue reads a value that is no string, by way of its extent.
func (d *JSONDecoder) scannedValue(data []byte, q int, s *step, v *vec.Value) int {
	end, flag := d.extent(data, q, s)
	if end >= 0 {
		*v = d.projector.value(data, s.class, flag, q, end)
	}
	return end
}

// fromValue puts v and its parts into the columns that want them.
func (w *wanted) fromValue(row int, v vec.Value) {
	for _, c := range w.cols {
		c.put(row, v)
	}
	for _, k := range w.kids {
		part := vec.Value{}
		if v.Kind == vec.Record {
			part, _ = v.Rec.Get(k.name)
		}
		k.fromValue(row, part)
	}
}
