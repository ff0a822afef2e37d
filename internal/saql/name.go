package saql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold maps a text so that two texts are equal without case (saql.md 1.2: Unicode
// simple case folding) when their folds are equal.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

// foldRune picks one rune for all that are equal without case: the lower letter for
// ASCII, the smallest for the rest.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' { // the Kelvin sign is a k, the long s an s
		least += 'a' - 'A'
	}
	return least
}

// reserved are the words that must be bracketed to be names (saql.md 1.7), folded.
var reserved = wordSet(`and as between by case create cross distinct else end from full group
	having in inner into is join left like not null on or order outer over right select then
	union when where with`)

// windowNames are windows when a GROUP BY item starts with them and "(" (saql.md 2.5).
var windowNames = map[string]WindowKind{
	"tumblingwindow": Tumbling, "tumbling": Tumbling,
	"hoppingwindow": Hopping, "hopping": Hopping,
	"slidingwindow": Sliding, "sliding": Sliding,
	"sessionwindow": Session, "session": Session,
}

// windowParts are the functions that may stand as arguments of windows (saql.md 2.5).
var windowParts = wordSet("duration hop offset timeout maxduration")

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// IsReserved tells whether a word must be bracketed to be a name (saql.md 1.7).
func IsReserved(word string) bool { return reserved[Fold(word)] }

// IsBareName tells whether a text can be written as a name without brackets
// (saql.md 1.3).
func IsBareName(text string) bool {
	for i, r := range text {
		if !(isNameStart(r) || i > 0 && isNamePart(r)) {
			return false
		}
	}
	return text != "" && !IsReserved(text)
}

// Quote writes a text as a name, in brackets where it must be.
func Quote(text string) string {
	if IsBareName(text) {
		return text
	}
	return "[" + strings.ReplaceAll(text, "]", "]]") + "]"
}

func isNameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == '@' || r == '#'
	}
	return unicode.In(r, unicode.L, unicode.Nl)
}

func isNamePart(r rune) bool {
	if r < utf8.RuneSelf {
		return isNameStart(r) || '0' <= r && r <= '9' || r == '$'
	}
	return isNameStart(r) || unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc)
}

// isSpace is saql.md 1.1: the White_Space property, U+FEFF and U+200B.
func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || '\t' <= r && r <= '\r'
	}
	return r == 0xFEFF || r == 0x200B || unicode.Is(unicode.White_Space, r)
}
