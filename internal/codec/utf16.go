package codec

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Reader turns UTF-16 into UTF-8. A surrogate without its partner and half a code
// unit at the end become U+FFFD.
type utf16Reader struct {
	src  io.Reader
	big  bool
	in   []byte // bytes not converted yet
	out  []byte // text not read yet
	high rune   // a first surrogate that waits for the second, or 0
	err  error
}

// utf16Piece is how many bytes are converted at a time.
const utf16Piece = 16 << 10

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// fill reads and converts a piece.
func (u *utf16Reader) fill() {
	if u.in == nil {
		u.in = make([]byte, 0, utf16Piece)
	}
	n, err := u.src.Read(u.in[len(u.in):cap(u.in)])
	u.in, u.err = u.in[:len(u.in)+n], err
	out := u.out[:0]
	i := 0
	for ; i+2 <= len(u.in); i += 2 {
		unit := rune(u.in[i]) | rune(u.in[i+1])<<8
		if u.big {
			unit = rune(u.in[i])<<8 | rune(u.in[i+1])
		}
		out = u.unit(out, unit)
	}
	u.in = u.in[:copy(u.in, u.in[i:])]
	if err != nil && (u.high != 0 || len(u.in) > 0) {
		out = utf8.AppendRune(out, utf8.RuneError)
		u.high, u.in = 0, u.in[:0]
	}
	u.out = out
}

// unit converts a code unit.
func (u *utf16Reader) unit(out []byte, unit rune) []byte {
	if u.high != 0 {
		high := u.high
		u.high = 0
		if r := utf16.DecodeRune(high, unit); r != utf8.RuneError {
			return utf8.AppendRune(out, r)
		}
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	if unit >= 0xD800 && unit < 0xDC00 {
		u.high = unit
		return out
	}
	return utf8.AppendRune(out, unit) // a lone second surrogate becomes U+FFFD
}
