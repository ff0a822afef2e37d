package codec

import "unsafe"

// marks tells of each byte of a text whether a string stops there (a quote, or a byte that
// keeps a string off the fast path) and whether a line ends there, a bit a byte. With
// them the end of a string or of an event is a shift and a count of zeros away, and the
// next event can be begun before this one is read to its end.
//
// They are made by vector instructions. Without such instructions they would cost more
// than they bring, and the decoder does without them (run instead of walk).
type marks struct {
	stops, lines []uint64
	n            int // bytes that are marked
}

// marker is vector code that marks words times 64 bytes of data.
type marker struct {
	name string
	mark func(data *byte, words int, stops, lines *uint64)
}

// minMarked is the least text that is worth marking.
const minMarked = 1024

// mark marks data, whole words of 64 bytes only.
func (m *marks) mark(data []byte, with marker) {
	words := len(data) / 64
	// A window reads up to 8 bytes behind the word that it starts in.
	m.stops, m.lines = sized(m.stops, words+1), sized(m.lines, words+1)
	m.stops[words], m.lines[words] = 0, 0
	m.n = words * 64
	if words > 0 {
		with.mark(&data[0], words, &m.stops[0], &m.lines[0])
	}
}

// windowBits is how many marks a window has at least.
const windowBits = 57

// window is the marks from byte pos on, as many as windowBits at least; marks that are
// not in the window are zero.
func window(bits unsafe.Pointer, pos int) uint64 {
	return load8(bits, pos>>3) >> (uint(pos) & 7)
}
