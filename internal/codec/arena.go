package codec

// arena copies short texts into shared chunks. A chunk is never reused: it lives as long
// as a text in it does.
type arena struct {
	chunk []byte
	size  int // of a chunk
}

// keep is a copy of s that nobody changes.
func (a *arena) keep(s []byte) string {
	if len(s) > a.size/4 {
		return string(s)
	}
	if len(s) > cap(a.chunk)-len(a.chunk) {
		a.chunk = make([]byte, 0, a.size)
	}
	at := len(a.chunk)
	a.chunk = append(a.chunk, s...)
	return text(a.chunk[at:])
}
