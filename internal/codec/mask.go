package codec

import "math/bits"

// masks marks bytes of a text, a bit a byte: where a string may end, where a line ends,
// and the bytes that keep a string off the fast path. With them the end of a string or an
// event is a shift and a count of zeros away, and an event does not have to be read to
// its end before the next one can begin.
//
// They are made by vector instructions, 32 or 64 bytes at a time. Without such
// instructions they would cost more than they bring, and the decoder does without them.
type masks struct {
	quotes, newlines, specials []uint64
	n                          int  // bytes that are marked
	clean                      bool // there is no special byte
}

// mark marks the bytes of data, whole words of 64 bytes only.
func (m *masks) mark(data []byte, classify func(data *byte, words int, quotes, newlines, specials *uint64) uint64) {
	words := len(data) / 64
	// A window reads one word more than it starts in.
	m.quotes = sized(m.quotes, words+2)
	m.newlines = sized(m.newlines, words+2)
	m.specials = sized(m.specials, words+2)
	m.n = words * 64
	m.clean = true
	if words > 0 {
		m.clean = classify(&data[0], words, &m.quotes[0], &m.newlines[0], &m.specials[0]) == 0
	}
	for i := words; i < words+2; i++ {
		m.quotes[i], m.newlines[i], m.specials[i] = 0, 0, 0
	}
}

// window is the 64 marks from byte pos on.
func window(marks []uint64, pos int) uint64 {
	i, s := pos>>6, uint(pos&63)
	return marks[i]>>s | marks[i+1]<<(64-s)
}

// distance is how far the first mark at or after pos is, at most limit; limit if there is
// none.
func distance(marks []uint64, pos, limit int) int {
	for d := 0; d < limit; d += 64 {
		if w := window(marks, pos+d); w != 0 {
			return min(d+bits.TrailingZeros64(w), limit)
		}
		if pos+d+128 > len(marks)*64 {
			break
		}
	}
	return limit
}

// classifyPlain is what the vector code does, a byte at a time. Tests hold them equal.
func classifyPlain(data []byte, quotes, newlines, specials []uint64) (any uint64) {
	for i, c := range data {
		bit := uint64(1) << (i & 63)
		switch {
		case c == '"':
			quotes[i>>6] |= bit
		case c == '\n':
			newlines[i>>6] |= bit
		case c == '\\' || c < 0x20 || c >= 0x80:
			specials[i>>6] |= bit
			any |= bit
		}
	}
	return any
}
