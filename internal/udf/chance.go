package udf

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"weir/internal/fn"
)

// Unrepeatable finds what in a script asks for the time or for chance (W7003): the first of
// Math.random, Date.now, and Date without arguments. It reads words, not the language: what
// stands in a comment or a text does not count.
func Unrepeatable(script string) fn.ScriptPlace {
	s := scanner{text: script, line: 1, column: 1}
	var before, last word // the two words before the one at hand
	for {
		w := s.next()
		switch {
		case w.text == "":
			return fn.ScriptPlace{}
		case before.text == "Math" && last.text == "." && w.text == "random":
			return fn.ScriptPlace{What: "Math.random()", Line: before.line, Column: before.column}
		case before.text == "Date" && last.text == "." && w.text == "now":
			return fn.ScriptPlace{What: "Date.now()", Line: before.line, Column: before.column}
		case before.text == "Date" && last.text == "(" && w.text == ")":
			return fn.ScriptPlace{What: "Date()", Line: before.line, Column: before.column}
		case last.text == "new Date" && w.text != "(" && w.text != ".":
			return fn.ScriptPlace{What: "new Date", Line: last.line, Column: last.column}
		}
		if last.text == "new" && w.text == "Date" {
			w = word{"new Date", last.line, last.column}
		}
		if before.text == "new Date" && last.text == "(" && w.text == ")" {
			return fn.ScriptPlace{What: "new Date()", Line: before.line, Column: before.column}
		}
		before, last = last, w
	}
}

// word is a name, or a single character that is none.
type word struct {
	text         string
	line, column int
}

// scanner reads the words of a script.
type scanner struct {
	text         string
	line, column int
}

func (s *scanner) skip(n int) {
	for _, r := range s.text[:n] {
		if s.column++; r == '\n' {
			s.line, s.column = s.line+1, 1
		}
	}
	s.text = s.text[n:]
}

// next gives the next word, an empty one at the end.
func (s *scanner) next() word {
	for s.text != "" {
		r, n := utf8.DecodeRuneInString(s.text)
		w := word{"", s.line, s.column}
		switch {
		case unicode.IsSpace(r):
			s.skip(n)
		case strings.HasPrefix(s.text, "//"):
			s.skip(until(s.text, 2, "\n"))
		case strings.HasPrefix(s.text, "/*"):
			s.skip(until(s.text, 2, "*/"))
		case r == '\'' || r == '"' || r == '`':
			w.text = "text"
			s.skip(quotedLength(s.text, byte(r)))
			return w
		case isNameRune(r):
			end := strings.IndexFunc(s.text, func(r rune) bool { return !isNameRune(r) })
			if end < 0 {
				end = len(s.text)
			}
			w.text = s.text[:end]
			s.skip(end)
			return w
		default:
			w.text = s.text[:n]
			s.skip(n)
			return w
		}
	}
	return word{}
}

func isNameRune(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// until is the length of text up to and with end, which is looked for from a position on.
func until(text string, from int, end string) int {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}

// quotedLength is the length of a quoted text with its quotes.
func quotedLength(text string, quote byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(text)
}
