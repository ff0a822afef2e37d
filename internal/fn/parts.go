package fn

import (
	"slices"

	"weir/internal/vec"
)

// PartInfo is what the language says of a date part (saql.md 1.8).
type PartInfo struct {
	Name     string
	Synonyms []string
	// Plural is the further spelling that is accepted where the part is a unit.
	Plural string
	// Unit is the length of the part where it is the unit of a window, a LIMIT DURATION
	// or a join; 0 if it cannot be one.
	Unit vec.Time
}

var parts = [...]PartInfo{
	Year:        {Name: "year", Synonyms: []string{"yy", "yyyy"}},
	Quarter:     {Name: "quarter", Synonyms: []string{"qq", "q"}},
	Month:       {Name: "month", Synonyms: []string{"mm", "m"}},
	DayOfYear:   {Name: "dayofyear", Synonyms: []string{"dy", "y"}},
	Day:         {Name: "day", Synonyms: []string{"dd", "d"}, Plural: "days", Unit: vec.Day},
	Week:        {Name: "week", Synonyms: []string{"wk", "ww"}},
	Weekday:     {Name: "weekday", Synonyms: []string{"dw", "w"}},
	Hour:        {Name: "hour", Synonyms: []string{"hh"}, Plural: "hours", Unit: vec.Hour},
	Minute:      {Name: "minute", Synonyms: []string{"mi", "n"}, Plural: "minutes", Unit: vec.Minute},
	Second:      {Name: "second", Synonyms: []string{"ss", "s"}, Plural: "seconds", Unit: vec.Second},
	Millisecond: {Name: "millisecond", Synonyms: []string{"ms"}, Plural: "milliseconds", Unit: vec.Millisecond},
	Microsecond: {Name: "microsecond", Synonyms: []string{"mcs"}, Plural: "microseconds", Unit: vec.Microsecond},
}

// Info is the table entry of p.
func (p Part) Info() PartInfo { return parts[p] }

// String is the name of p.
func (p Part) String() string { return parts[p].Name }

// LookupPart finds a date part by its name or a synonym, without case.
func LookupPart(word string) (Part, bool) {
	key := foldName(word)
	for i, info := range parts {
		if foldName(info.Name) == key || slices.ContainsFunc(info.Synonyms, func(s string) bool { return foldName(s) == key }) {
			return Part(i), true
		}
	}
	return 0, false
}

// LookupUnit finds a unit of windows, LIMIT DURATION and joins: a date part with a fixed
// length, or its plural (saql.md 1.8). A part that is no unit gives false; LookupPart
// tells whether the word is a part at all.
func LookupUnit(word string) (Part, bool) {
	p, ok := LookupPart(word)
	if !ok {
		key := foldName(word)
		i := slices.IndexFunc(parts[:], func(info PartInfo) bool { return info.Plural != "" && foldName(info.Plural) == key })
		if i < 0 {
			return 0, false
		}
		p = Part(i)
	}
	return p, parts[p].Unit != 0
}

// PartWords is every word that names a date part, for suggestions.
func PartWords() []string {
	var words []string
	for _, info := range parts {
		words = append(words, info.Name)
		words = append(words, info.Synonyms...)
	}
	return words
}

// UnitWords is every word that names a unit, for suggestions.
func UnitWords() []string {
	var words []string
	for _, info := range parts {
		if info.Unit != 0 {
			words = append(words, info.Name)
			words = append(words, info.Synonyms...)
			words = append(words, info.Plural)
		}
	}
	return words
}
