package mqtt

import (
	"net"
	"sync"
	"time"
)

// maxHeld is how many bytes wait to be written at most.
const maxHeld = 64 << 10

// wire is a connection that packets are written to. paho writes a packet in pieces, between
// Lock and Unlock: here it leaves in one, or with others while it is corked. A peer that does
// not read ends the connection when the time is up.
type wire struct {
	net.Conn
	timeout time.Duration

	mu     sync.Mutex
	buf    []byte
	corked bool
	err    error // of a write: nothing is written any more
}

// Lock implements sync.Locker: see packets.NewThreadSafeConn.
func (w *wire) Lock() { w.mu.Lock() }

// Unlock implements sync.Locker. It writes what has come since Lock.
func (w *wire) Unlock() {
	if !w.corked {
		w.flush()
	}
	w.mu.Unlock()
}

// Write implements net.Conn; the lock is held.
func (w *wire) Write(p []byte) (int, error) {
	if w.buf = append(w.buf, p...); len(w.buf) >= maxHeld {
		w.flush()
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// flush writes what waits. The lock is held.
func (w *wire) flush() {
	if len(w.buf) == 0 || w.err != nil {
		w.buf = w.buf[:0]
		return
	}
	w.err = w.SetWriteDeadline(time.Now().Add(w.timeout))
	if w.err == nil {
		_, w.err = w.Conn.Write(w.buf)
	}
	if w.buf = w.buf[:0]; w.err != nil {
		_ = w.Close() // what reads hears of it
	}
}

// cork says whether packets wait for others; uncorking writes them.
func (w *wire) cork(on bool) {
	w.mu.Lock()
	w.corked = on
	w.Unlock()
}
