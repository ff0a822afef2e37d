package diag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Nearest is the candidate that name was probably meant to be: at most 2 edits away, a
// swap of neighbours counting as one, and at most a third of its length. A candidate
// that differs only by case comes first (saql.md 13.1). Of equals the first one wins.
func Nearest(name string, candidates []string) (string, bool) {
	for _, c := range candidates {
		if c != name && strings.EqualFold(c, name) {
			return c, true
		}
	}
	limit := min(2, utf8.RuneCountInString(name)/3)
	best, found := "", false
	from := folded(name)
	for _, c := range candidates {
		if c == name {
			continue
		}
		if d, ok := distance(from, folded(c), limit); ok {
			best, found, limit = c, true, d-1
		}
	}
	return best, found
}

// folded is the text without case.
func folded(s string) []rune {
	rs := []rune(s)
	for i, r := range rs {
		rs[i] = unicode.ToLower(unicode.ToUpper(r))
	}
	return rs
}

// distance is the number of edits from a to b, if it is limit or less: insertions,
// deletions, changes, and swaps of neighbours (optimal string alignment).
func distance(a, b []rune, limit int) (int, bool) {
	if limit < 0 || len(a)-len(b) > limit || len(b)-len(a) > limit {
		return 0, false
	}
	var rows [3][]int
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, above2 := rows[i%3], rows[(i-1)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], above2[j-2]+1)
			}
		}
	}
	d := rows[len(a)%3][len(b)]
	return d, d <= limit
}
