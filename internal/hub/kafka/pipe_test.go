package kafka

import "net"

// pipeConn is an end of a pipe that has an address of this machine.
type pipeConn struct{ net.Conn }

func (p pipeConn) LocalAddr() net.Addr  { return fakeAddr("127.0.0.1:9092") }
func (p pipeConn) RemoteAddr() net.Addr { return fakeAddr("127.0.0.1:50000") }

// newPipe is a connection that is not buffered and whose deadlines go by the clock of the
// bubble.
func newPipe() (client, server net.Conn) {
	client, server = net.Pipe()
	return client, pipeConn{server}
}
