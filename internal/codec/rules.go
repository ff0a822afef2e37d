package codec

import (
	"strings"

	"weir/internal/vec"
)

// Rules are what the compatibility levels before 1.2 read in another way (saql.md 3.9). The
// zero value is level 1.2.
type Rules struct {
	// LowerNames turns the names of fields into lower case; two equal ones make an event bad.
	LowerNames bool
	// Dates turns texts of JSON that are ISO 8601 dates or times into datetimes.
	Dates bool
	// BitsAsInts turns true and false of JSON into the bigints 1 and 0.
	BitsAsInts bool
}

// slow reports whether events need to be looked at whole.
func (r Rules) slow() bool { return r.LowerNames || r.Dates }

// parse is the value of a JSON text by the rules.
func (r Rules) parse(text []byte) (vec.Value, error) {
	parse := vec.ParseJSON
	if r.LowerNames {
		parse = vec.ParseJSONLower
	}
	v, err := parse(text)
	if err == nil && r.Dates {
		readDates(&v)
	}
	return v, err
}

// readDates turns the texts in v that are dates into datetimes.
func readDates(v *vec.Value) {
	switch v.Kind {
	case vec.String:
		if looksLikeDate(v.Str) {
			if t, ok := vec.ParseTime(v.Str); ok {
				*v = vec.TimeValue(t)
			}
		}
	case vec.Record, vec.Array:
		for i := range v.Rec.Vals {
			readDates(&v.Rec.Vals[i])
		}
	}
}

// looksLikeDate reports whether a text starts with a year and a hyphen. Digits alone are
// rather a number than a date in basic form.
func looksLikeDate(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) >= 10 && s[0]-'0' <= 9 && s[4] == '-'
}

// bitsToInts turns the bits of a column that the decoder has made, and those in its records,
// into bigints. Nobody else has seen the records yet.
func bitsToInts(v *vec.Vec) {
	if v.Kind == vec.Bit {
		v.Kind = vec.Int
	}
	for i, k := range v.Tag {
		if k == vec.Bit {
			v.Tag[i] = vec.Int
		}
	}
	for _, r := range v.Rec {
		intsIn(r)
	}
}

func intsIn(r *vec.Rec) {
	if r == nil {
		return
	}
	for i := range r.Vals {
		switch v := &r.Vals[i]; v.Kind {
		case vec.Bit:
			v.Kind = vec.Int
		case vec.Record, vec.Array:
			intsIn(v.Rec)
		}
	}
}
