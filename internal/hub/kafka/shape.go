package kafka

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// entryCost bounds the memory that the decoder takes for an entry of an array, in bytes.
const entryCost = 160

// field is a part of a request.
type field struct {
	kind     kind
	from, to int16 // versions that have it
	of       []field
	array    bool // of kind, or of structs if kind is structure
}

type kind uint8

const (
	structure kind = iota
	fixed1
	fixed2
	fixed4
	fixed8
	fixed16
	text
	blob
)

var kinds = map[string]kind{"i8": fixed1, "i16": fixed2, "i32": fixed4, "i64": fixed8, "uuid": fixed16, "str": text, "bytes": blob}

// size is the least that a value takes, in bytes.
func (k kind) size(flexible bool) int {
	switch {
	case k >= fixed1 && k <= fixed16:
		return 1 << (k - fixed1)
	case flexible || k == structure:
		return 1
	case k == text:
		return 2
	}
	return 4
}

// shape is a request as the walker knows it.
type shape struct {
	flexible int16
	fields   []field
}

// parsed has the shapes by the keys of their requests.
var parsed = func() map[int16]shape {
	m := map[int16]shape{}
	for key, s := range shapes {
		tokens := strings.Fields(s.fields)
		fields, rest := parseFields(tokens)
		if len(rest) > 0 {
			panic("kafka: shape " + strconv.Itoa(int(key)) + " does not end")
		}
		m[key] = shape{s.flexible, fields}
	}
	return m
}()

func parseFields(tokens []string) (fields []field, rest []string) {
	for len(tokens) > 0 {
		t := tokens[0]
		tokens = tokens[1:]
		if t == "]" {
			return fields, tokens
		}
		f := field{to: math.MaxInt16}
		if versions, name, ok := strings.Cut(t, ":"); ok {
			t = name
			from, to, _ := strings.Cut(versions, "-")
			f.from = parseVersion(from)
			if to != "" {
				f.to = parseVersion(to)
			}
		}
		if t == "[" {
			f.array = true
			f.of, tokens = parseFields(tokens)
		} else {
			t, f.array = strings.CutPrefix(t, "[]")
			k, ok := kinds[t]
			if !ok {
				panic("kafka: there is no field " + t)
			}
			f.kind = k
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func parseVersion(s string) int16 {
	n, err := strconv.ParseInt(s, 10, 16)
	if err != nil {
		panic("kafka: version " + s + " of a shape")
	}
	return int16(n)
}

// check walks a request and says how many entries its arrays have. An error says that it
// claims more than it has or than the limit, or that something is left.
func (s shape) check(key, version int16, body []byte, limit int) (entries int, err error) {
	w := walker{b: body, version: version, flexible: version >= s.flexible, client: key == int16(kmsg.Fetch), left: limit}
	w.structure(s.fields)
	switch {
	case w.left < 0:
		return 0, fmt.Errorf("it has more than %d entries", limit)
	case w.bad:
		return 0, errShort
	case len(w.b) > 0:
		return 0, fmt.Errorf("%d bytes are left behind it", len(w.b))
	}
	return limit - w.left, nil
}

type shapeError string

func (e shapeError) Error() string { return string(e) }

const errShort = shapeError("it ends too early, or claims to be longer than it is")

// walker goes through a request and believes nothing.
type walker struct {
	b        []byte
	version  int16
	flexible bool
	client   bool // refuses followerTag
	left     int  // entries that there may yet be
	bad      bool
}

func (w *walker) structure(fields []field) {
	for i := range fields {
		f := &fields[i]
		if w.version < f.from || w.version > f.to {
			continue
		}
		if f.array {
			w.array(f)
		} else {
			w.value(f.kind)
		}
		if w.bad {
			return
		}
	}
	if w.flexible {
		w.tags()
	}
}

func (w *walker) array(f *field) {
	n := w.length(4)
	if n < 0 { // null
		return
	}
	if n > len(w.b)/f.kind.size(w.flexible) {
		w.bad = true
		return
	}
	if w.left -= n; w.left < 0 {
		w.bad = true
		return
	}
	for range n {
		if f.kind == structure {
			w.structure(f.of)
		} else {
			w.value(f.kind)
		}
		if w.bad {
			return
		}
	}
}

func (w *walker) value(k kind) {
	switch k {
	case text:
		w.skip(max(w.length(2), 0))
	case blob:
		w.skip(max(w.length(4), 0))
	default:
		w.skip(k.size(w.flexible))
	}
}

// tags are the tagged fields behind a structure. Each is an entry, because the decoder puts
// them into a map. Those of structures that only brokers send are no client's.
func (w *walker) tags() {
	n := w.uvarint()
	if n > len(w.b)/2 {
		w.bad = true
		return
	}
	if w.left -= n; w.left < 0 {
		w.bad = true
		return
	}
	for i := 0; i < n && !w.bad; i++ {
		if key := w.uvarint(); w.client && key == followerTag {
			w.bad = true
			return
		}
		if size := w.uvarint(); size > maxTag {
			w.bad = true
		} else {
			w.skip(size)
		}
	}
}

// maxTag bounds a tagged field, in bytes. Those that clients send are short.
const maxTag = 256

// followerTag are the tagged fields of Fetch that only a broker that follows another one
// sends. The decoder looks into them, where the walker does not.
const followerTag = 1

// length reads a length of 2 or 4 bytes, or a compact one; -1 is null.
func (w *walker) length(size int) int {
	if w.flexible {
		return w.uvarint() - 1
	}
	if len(w.b) < size {
		w.bad = true
		return 0
	}
	n := 0
	if size == 2 {
		n = int(int16(binary.BigEndian.Uint16(w.b)))
	} else {
		n = int(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[size:]
	if n < -1 {
		w.bad = true
	}
	return n
}

func (w *walker) uvarint() int {
	x, n := binary.Uvarint(w.b)
	if n <= 0 || n > 5 || x > math.MaxInt32 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return int(x)
}

func (w *walker) skip(n int) {
	if n < 0 || n > len(w.b) {
		w.bad = true
		return
	}
	w.b = w.b[n:]
}
