package cosmos

import (
	"bytes"
	"slices"
	"strconv"
)

// appendItem adds a document of the feed to dst, on one line, without the fields that the service
// adds if they are not to be kept; seconds is its _ts, 0 if it has none. doc is one object of
// valid JSON.
func appendItem(dst, doc []byte, system bool) (line []byte, seconds int64) {
	start := len(dst)
	dst = append(dst, '{')
	for name, member := range members(doc) {
		if string(name) == "_ts" {
			_, value, _ := bytes.Cut(member, []byte(":"))
			seconds, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		}
		if !system && len(name) > 0 && name[0] == '_' && slices.Contains(systemFields, string(name)) {
			continue
		}
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
		dst = append(dst, member...)
	}
	dst = append(dst, '}')
	for i, c := range dst[start:] { // they stand between tokens
		if c == '\n' || c == '\r' {
			dst[start+i] = ' '
		}
	}
	return dst, seconds
}

// members gives the members of an object: the name between its quotes, and name and value as they
// stand.
func members(doc []byte) func(yield func(name, member []byte) bool) {
	return func(yield func(name, member []byte) bool) {
		pos := bytes.IndexByte(doc, '{') + 1
		for {
			from := bytes.IndexByte(doc[pos:], '"')
			if from < 0 {
				return
			}
			from += pos
			nameEnd := stringEnd(doc, from)
			end := memberEnd(doc, nameEnd)
			if !yield(doc[from+1:nameEnd-1], bytes.TrimSpace(doc[from:end])) || end == len(doc) {
				return
			}
			pos = end + 1
		}
	}
}

// stringEnd is behind the string that starts at from.
func stringEnd(doc []byte, from int) int {
	for i := from + 1; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

// memberEnd is where a member ends: the comma behind it, or the brace that ends the object.
func memberEnd(doc []byte, pos int) int {
	depth := 0
	for i := pos; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(doc)
}
