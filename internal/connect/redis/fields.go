package redis

import (
	"encoding/json"
	"fmt"
)

// field is a column of a row: its value as text, strings without quotes, records and arrays as
// JSON. null is a NULL.
type field struct {
	name, value string
	null        bool
}

// fieldsOf are the columns of a row that was written as a JSON object by the encoder: the text
// is whole and has no spaces between its tokens.
func fieldsOf(dst []field, row []byte) ([]field, error) {
	bad := fmt.Errorf("a row is no JSON object: %.100q", row)
	if len(row) < 2 || row[0] != '{' {
		return dst, bad
	}
	for pos := 1; row[pos] != '}'; {
		if row[pos] == ',' {
			pos++
		}
		end := textEnd(row, pos)
		if end >= len(row) || row[end] != ':' {
			return dst, bad
		}
		f := field{name: plain(row[pos:end])}
		pos = end + 1
		if end = valueEnd(row, pos); end >= len(row) {
			return dst, bad
		}
		switch v := row[pos:end]; {
		case string(v) == "null":
			f.null = true
		case v[0] == '"':
			f.value = plain(v)
		default:
			f.value = string(v)
		}
		dst, pos = append(dst, f), end
	}
	return dst, nil
}

// plain is the text of a JSON string.
func plain(quoted []byte) string {
	for _, c := range quoted {
		if c == '\\' {
			var s string
			if json.Unmarshal(quoted, &s) == nil {
				return s
			}
			break
		}
	}
	return string(quoted[1 : len(quoted)-1])
}

// textEnd is behind the string that begins at pos.
func textEnd(b []byte, pos int) int {
	for pos++; pos < len(b); pos++ {
		switch b[pos] {
		case '\\':
			pos++
		case '"':
			return pos + 1
		}
	}
	return len(b)
}

// valueEnd is behind the value that begins at pos.
func valueEnd(b []byte, pos int) int {
	depth := 0
	for pos < len(b) {
		switch b[pos] {
		case '"':
			pos = textEnd(b, pos)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return pos
			}
			depth--
		case ',':
			if depth == 0 {
				return pos
			}
		}
		pos++
	}
	return len(b)
}
