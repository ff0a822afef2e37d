package parquet

import (
	"encoding/binary"
	"errors"
)

// walker goes over bytes of Thrift's compact protocol, in which footers and page headers are
// written, and decodes next to nothing: it finds out how much there is.
type walker struct {
	b     []byte
	parts int // values that have been seen
	limit int // of them
	depth int
}

var (
	errThriftShort = errors.New("it is cut off")
	errThriftWrong = errors.New("it is damaged")
	errThriftMany  = errors.New("it has too many parts")
)

// The types of the compact protocol.
const (
	typeTrue   = 1
	typeFalse  = 2
	typeByte   = 3
	typeI16    = 4
	typeI32    = 5
	typeI64    = 6
	typeDouble = 7
	typeBinary = 8
	typeList   = 9
	typeSet    = 10
	typeMap    = 11
	typeStruct = 12
)

// maxThriftDepth is deeper than what Parquet has.
const maxThriftDepth = 16

func (w *walker) uvarint() (uint64, error) {
	n, size := binary.Uvarint(w.b)
	if size <= 0 {
		if size < 0 {
			return 0, errThriftWrong
		}
		return 0, errThriftShort
	}
	w.b = w.b[size:]
	return n, nil
}

func (w *walker) varint() (int64, error) {
	u, err := w.uvarint()
	return int64(u>>1) ^ -int64(u&1), err
}

func (w *walker) drop(n uint64) error {
	if n > uint64(len(w.b)) {
		return errThriftShort
	}
	w.b = w.b[n:]
	return nil
}

// structure goes over the fields of a struct. field, which may be nil, is called for each, and
// says whether it has gone over the value.
func (w *walker) structure(field func(id int16, typ byte) (done bool, err error)) error {
	if w.depth++; w.depth > maxThriftDepth {
		return errThriftWrong
	}
	defer func() { w.depth-- }()
	id := int16(0)
	for {
		if len(w.b) == 0 {
			return errThriftShort
		}
		head := w.b[0]
		w.b = w.b[1:]
		if head == 0 {
			return nil
		}
		if delta := int16(head >> 4); delta != 0 {
			id += delta
		} else {
			n, err := w.varint()
			if err != nil {
				return err
			}
			id = int16(n)
		}
		done, err := false, error(nil)
		if field != nil {
			done, err = field(id, head&15)
		}
		if err == nil && !done {
			err = w.skip(head&15, true)
		}
		if err != nil {
			return err
		}
	}
}

// skip goes over a value. A bit that is a field has its value in the type.
func (w *walker) skip(typ byte, isField bool) error {
	if w.parts++; w.parts > w.limit {
		return errThriftMany
	}
	switch typ {
	case typeTrue, typeFalse:
		if isField {
			return nil
		}
		return w.drop(1)
	case typeByte:
		return w.drop(1)
	case typeI16, typeI32, typeI64:
		_, err := w.uvarint()
		return err
	case typeDouble:
		return w.drop(8)
	case typeBinary:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.drop(n)
	case typeStruct:
		return w.structure(nil)
	case typeList, typeSet:
		return w.list()
	case typeMap:
		return w.dictionary()
	}
	return errThriftWrong
}

func (w *walker) list() error {
	if len(w.b) == 0 {
		return errThriftShort
	}
	head := w.b[0]
	w.b = w.b[1:]
	n := uint64(head >> 4)
	if n == 15 {
		var err error
		if n, err = w.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.b)) { // each takes a byte at least
		return errThriftShort
	}
	for range n {
		if err := w.skip(head&15, false); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) dictionary() error {
	n, err := w.uvarint()
	if err != nil || n == 0 {
		return err
	}
	if n > uint64(len(w.b)) {
		return errThriftShort
	}
	types := w.b[0]
	w.b = w.b[1:]
	for range n {
		if err := w.skip(types>>4, false); err != nil {
			return err
		}
		if err := w.skip(types&15, false); err != nil {
			return err
		}
	}
	return nil
}

// page is what is asked of the header of a page.
type page struct {
	kind         int64 // 0 data, 1 index, 2 dictionary, 3 data of version 2
	uncompressed int64
	compressed   int64
	values       int64
}

// pageHeader reads the header of a page, and gives its length.
func pageHeader(b []byte) (p page, size int, err error) {
	w := walker{b: b, limit: 1000}
	number := func(typ byte, to *int64) (bool, error) {
		if typ != typeI32 {
			return false, errThriftWrong
		}
		var err error
		*to, err = w.varint()
		return true, err
	}
	err = w.structure(func(id int16, typ byte) (bool, error) {
		switch id {
		case 1:
			return number(typ, &p.kind)
		case 2:
			return number(typ, &p.uncompressed)
		case 3:
			return number(typ, &p.compressed)
		case 5, 7, 8: // data, dictionary, data of version 2: each has its number of values first
			if typ != typeStruct {
				return false, errThriftWrong
			}
			return true, w.structure(func(id int16, typ byte) (bool, error) {
				if id == 1 {
					return number(typ, &p.values)
				}
				return false, nil
			})
		}
		return false, nil
	})
	return p, len(b) - len(w.b), err
}
