package fn

import (
	"unicode/utf8"

	"weir/internal/vec"
)

// Kernels for functions of texts. Positions count code points, from 1 (saql.md 7).

// putText makes s the text of row i. A text beyond the limit is a query error.
func putText(c *Call, out *vec.Vec, i int, s string) {
	if len(s) > MaxTextBytes {
		failSize(c, out, i)
		return
	}
	out.Str[i] = s
}

// failSize reports a text beyond MaxTextBytes.
func failSize(c *Call, out *vec.Vec, i int) {
	c.Fail(i, "result too large")
	out.SetNull(i)
}

// failLength reports a negative length.
func failLength(c *Call, out *vec.Vec, i int, function string) {
	c.Fail(i, function+": length must not be negative")
	out.SetNull(i)
}

// mapText is the Eval of a function of one text.
func mapText(f func(string) string) func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	return perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		x := args[0]
		out.Fixed(vec.String, n)
		for i := range n {
			if !c.Skip(i) {
				putText(c, out, i, f(x.StrAt(i)))
			}
		}
	})
}

// skipRunes is the byte offset of s behind its first n code points, or len(s) if there
// are not so many.
func skipRunes(s string, n int64) int {
	if n >= int64(len(s)) {
		return len(s)
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}

// skipLastRunes is the byte offset of the last n code points of s, or 0 if there are not
// so many.
func skipLastRunes(s string, n int64) int {
	if n >= int64(len(s)) {
		return 0
	}
	i := len(s)
	for ; n > 0 && i > 0; n-- {
		if s[i-1] < utf8.RuneSelf {
			i--
			continue
		}
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return i
}

// textBuilder collects the texts that a kernel makes for a batch, so that they take one
// piece of memory and not one each.
type textBuilder struct {
	buf  []byte
	from int // where the text of the next row begins
	rows []builtText
}

// builtText is the place in buf of the text of a row; end is before start if it was too
// large.
type builtText struct{ row, start, end int }

// start empties b; its memory is used again.
func (b *textBuilder) start() {
	b.buf, b.rows = b.buf[:0], b.rows[:0]
	b.from = 0
}

// add ends the text of row i, which has been appended to buf since the last one.
func (b *textBuilder) add(i int) {
	t := builtText{i, b.from, len(b.buf)}
	if t.end-t.start > MaxTextBytes {
		b.buf = b.buf[:t.start]
		t.end = -1
	}
	b.from = len(b.buf)
	b.rows = append(b.rows, t)
}

// finish sets the rows of out, which must have the lane of texts.
func (b *textBuilder) finish(c *Call, out *vec.Vec) {
	all := string(b.buf)
	for _, t := range b.rows {
		if t.end < t.start {
			failSize(c, out, t.row)
			continue
		}
		out.Str[t.row] = all[t.start:t.end]
	}
	if cap(b.buf) > builderKeepBytes {
		*b = textBuilder{}
	}
}

// builderKeepBytes is how much memory a builder keeps for the next batch.
const builderKeepBytes = 1 << 20
