package codec

import (
	"unsafe"

	"weir/internal/vec"
)

// text is b as a string, without a copy. The caller makes sure that b does not change
// while the string is in use.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clockCache parses times. It remembers the last minute, for most events share it with
// the event before.
type clockCache struct {
	lo, hi uint64   // the first 16 bytes of the last text: YYYY-MM-DDThh:mm
	minute vec.Time // the time that they stand for
}

func (c *clockCache) parse(s []byte) (vec.Time, bool) {
	return vec.ParseTime(text(s))
}

// bytesOf is s as bytes, without a copy. Nobody may write to them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
