package mqtt

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is a connection as mochi sees it: its deadlines are ours, and its first packet is
// known to be a CONNECT of a size that is allowed before mochi makes room for it.
type socket struct {
	net.Conn
	session *session
	first   []byte       // what was read and not yet given to mochi
	idle    atomic.Int64 // how long the next packet may take to come, in nanoseconds; 0 is for ever
	write   atomic.Int64 // how long a write may take, in nanoseconds

	wmu sync.Mutex // one packet at a time is written
}

// begin reads the fixed header of the first packet.
func (s *socket) begin(l Limits) error {
	s.write.CompareAndSwap(0, int64(l.WriteTime))
	if err := s.Conn.SetDeadline(time.Now().Add(l.ConnectTime)); err != nil {
		return err
	}
	var b [1]byte
	length, shift := 0, 0
	for i := 0; ; i++ {
		if _, err := s.Conn.Read(b[:]); err != nil {
			return fmt.Errorf("wait for CONNECT: %w", err)
		}
		s.first = append(s.first, b[0])
		switch {
		case i == 0 && b[0] != 0x10:
			return errors.New("the first packet is not CONNECT")
		case i == 0:
			continue
		case i > 4:
			return errors.New("the length of CONNECT is malformed")
		}
		length |= int(b[0]&0x7f) << shift
		shift += 7
		if b[0]&0x80 == 0 {
			break
		}
	}
	if length > l.ConnectBytes {
		return fmt.Errorf("CONNECT has %d bytes; %d is the most", length, l.ConnectBytes)
	}
	return nil
}

// Read gives what begin has read, and then what comes.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	return s.Conn.Read(p)
}

// Write writes whole packets. A client that does not take them in time is disconnected.
func (s *socket) Write(p []byte) (int, error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err := s.Conn.SetWriteDeadline(time.Now().Add(time.Duration(s.write.Load()))); err != nil {
		return 0, err
	}
	n, err := s.Conn.Write(p)
	if err != nil {
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			s.session.s.n.slow.Add(1)
		}
		s.Conn.Close() // a part may have been written, so nothing more can be
	}
	return n, err
}

// hurryTime is how long a connection that is to end has for what is written to it.
const hurryTime = time.Second

// hurry gives writes, those that wait too, no more than hurryTime.
func (s *socket) hurry() {
	s.write.Store(int64(hurryTime))
	_ = s.Conn.SetWriteDeadline(time.Now().Add(hurryTime)) // it fails on a closed connection only
}

// SetDeadline is called by mochi before each packet with a time that is wrong for long
// keep-alives; ours is for the next packet only, and leaves writing alone.
func (s *socket) SetDeadline(time.Time) error {
	idle := time.Duration(s.idle.Load())
	if idle <= 0 {
		return s.Conn.SetReadDeadline(time.Time{})
	}
	return s.Conn.SetReadDeadline(time.Now().Add(idle))
}
