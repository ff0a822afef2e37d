package kafka

import "sync"

// buffers is memory of large requests and answers that is used again: without it, half of
// the work of a connection that sends much is the collector's.
var buffers sync.Pool

// minBuffer is the least that is worth keeping, and maxBuffer the most, in bytes.
const (
	minBuffer = 32 << 10
	maxBuffer = 4 << 20
)

// takeBuffer gives an empty buffer with room for n bytes, or more.
func takeBuffer(n int) []byte {
	if n >= minBuffer {
		if p, _ := buffers.Get().(*[]byte); p != nil && cap(*p) >= n {
			return (*p)[:0]
		}
	}
	return make([]byte, 0, n)
}

// giveBuffer gives a buffer back that nobody looks at any more.
func giveBuffer(b []byte) {
	if cap(b) >= minBuffer && cap(b) <= maxBuffer {
		b = b[:0]
		buffers.Put(&b)
	}
}
