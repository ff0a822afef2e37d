package sql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// What follows is as much of a server of the tabular data stream (MS-TDS, version 7.4) as the
// driver needs: prelogin, login, batches of SQL, and calls of sp_executesql with parameters.
// It runs no SQL: a test says what each statement answers.

// Packet types and tokens of the protocol.
const (
	tdsBatch     = 1
	tdsCall      = 3
	tdsReply     = 4
	tdsAttention = 6
	tdsLogin     = 16
	tdsPrelogin  = 18

	tokenColumns  = 0x81
	tokenRow      = 0xD1
	tokenError    = 0xAA
	tokenLoginAck = 0xAD
	tokenEnv      = 0xE3
	tokenDone     = 0xFD
)

// tdsAnswer is what a statement gives: an error, rows, or a count.
type tdsAnswer struct {
	number   int32 // of an error; 0: none
	message  string
	columns  int
	names    []string // of the columns; nil: each is "c"
	rows     [][]any  // int64, string, bool
	affected int64
	tran     int    // 1: a transaction begins, 2: it ends
	drop     bool   // the connection ends without an answer
	then     func() // called when the answer has been sent
}

// tdsServer is a server on loopback.
type tdsServer struct {
	listener net.Listener
	// login answers a login: the number of an error, 0 to let in; guarded by mu.
	login func(user, password string) int32
	// open starts a connection; its result answers statements, and is told of the end.
	open  func() tdsSession
	mu    sync.Mutex
	conns map[net.Conn]bool
	wait  sync.WaitGroup
}

// tdsSession answers the statements of a connection.
type tdsSession interface {
	run(text string, args []any, inTran bool) tdsAnswer
	end()
}

func newTDS(t testing.TB, open func() tdsSession) *tdsServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &tdsServer{listener: l, open: open, conns: map[net.Conn]bool{}, login: func(string, string) int32 { return 0 }}
	s.wait.Add(1)
	go s.accept()
	t.Cleanup(s.close)
	return s
}

// lets sets who may log in.
func (s *tdsServer) lets(login func(user, password string) int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = login
}

func (s *tdsServer) port() int64 { return int64(s.listener.Addr().(*net.TCPAddr).Port) }

func (s *tdsServer) accept() {
	defer s.wait.Done()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			_ = s.serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// hangUp ends all connections.
func (s *tdsServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *tdsServer) close() {
	s.listener.Close()
	s.hangUp()
	s.wait.Wait()
}

// message reads a message of one or more packets.
func message(c io.Reader) (kind byte, body []byte, err error) {
	for {
		var head [8]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return 0, nil, err
		}
		part := make([]byte, binary.BigEndian.Uint16(head[2:])-8)
		if _, err := io.ReadFull(c, part); err != nil {
			return 0, nil, err
		}
		body = append(body, part...)
		if head[1]&1 != 0 {
			return head[0], body, nil
		}
	}
}

// reply writes a message.
func reply(c io.Writer, body []byte) error {
	for first := true; first || len(body) > 0; first = false {
		n := min(len(body), 4000)
		head := []byte{tdsReply, 0, 0, 0, 0, 0, 0, 0}
		if n == len(body) {
			head[1] = 1
		}
		binary.BigEndian.PutUint16(head[2:], uint16(n+8))
		if _, err := c.Write(append(head, body[:n]...)); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

func (s *tdsServer) serve(c net.Conn) error {
	var session tdsSession
	defer func() {
		if session != nil {
			session.end()
		}
	}()
	for {
		kind, body, err := message(c)
		if err != nil {
			return err
		}
		var out []byte
		switch kind {
		case tdsPrelogin: // version, and no encryption
			out = []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2}
		case tdsLogin:
			user, password := loginNames(body)
			s.mu.Lock()
			login := s.login
			s.mu.Unlock()
			if n := login(user, password); n != 0 {
				return reply(c, done(tdsError(nil, n, "Login failed for user '"+user+"' with '"+password+"'."), 2, 0))
			}
			session = s.open()
			out = done(loginAck(nil), 0, 0)
		case tdsBatch, tdsCall:
			tran := binary.LittleEndian.Uint64(body[10:]) != 0
			text, args, err := statementOf(kind, body[binary.LittleEndian.Uint32(body):])
			if err != nil {
				return err
			}
			a := session.run(text, args, tran)
			if a.drop {
				return nil
			}
			out = a.encode()
			if err := reply(c, out); err != nil {
				return err
			}
			if a.then != nil {
				a.then()
			}
			continue
		case tdsAttention:
			out = done(nil, 0x20, 0)
		default:
			return fmt.Errorf("a packet of type %d", kind)
		}
		if err := reply(c, out); err != nil {
			return err
		}
	}
}

func ucs2(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func fromUCS2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// loginNames reads user and password of a login.
func loginNames(body []byte) (user, password string) {
	field := func(at int) []byte {
		from, n := binary.LittleEndian.Uint16(body[at:]), binary.LittleEndian.Uint16(body[at+2:])
		return body[from : int(from)+2*int(n)]
	}
	hidden := append([]byte(nil), field(44)...)
	for i, x := range hidden {
		x ^= 0xA5
		hidden[i] = x<<4 | x>>4
	}
	return fromUCS2(field(40)), fromUCS2(hidden)
}

func loginAck(dst []byte) []byte {
	name := ucs2("Microsoft SQL Server")
	dst = append(dst, tokenLoginAck)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(1+4+1+len(name)+4))
	dst = append(dst, 1, 0x74, 0, 0, 4, byte(len(name)/2))
	dst = append(dst, name...)
	return append(dst, 16, 0, 0, 0)
}

func tdsError(dst []byte, number int32, message string) []byte {
	text := ucs2(message)
	dst = append(dst, tokenError)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(4+1+1+2+len(text)+1+1+4))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(number))
	dst = append(dst, 1, 16)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(text)/2))
	dst = append(dst, text...)
	return append(dst, 0, 0, 1, 0, 0, 0)
}

func done(dst []byte, status uint16, count int64) []byte {
	dst = append(dst, tokenDone)
	dst = binary.LittleEndian.AppendUint16(dst, status)
	dst = append(dst, 0, 0)
	return binary.LittleEndian.AppendUint64(dst, uint64(count))
}

// encode makes the tokens of an answer.
func (a tdsAnswer) encode() []byte {
	var b []byte
	if a.number != 0 {
		if a.tran == 2 { // the error took the transaction with it
			b = append(b, tokenEnv, 11, 0, 10, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0)
		}
		b = tdsError(b, a.number, a.message)
		b = tdsError(b, 3621, "The statement has been terminated.")
		return done(b, 2, 0)
	}
	switch a.tran {
	case 1:
		b = append(b, tokenEnv, 11, 0, 8, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0)
	case 2:
		b = append(b, tokenEnv, 11, 0, 9, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0)
	}
	if a.columns == 0 {
		return done(b, 0x10, a.affected)
	}
	b = append(b, tokenColumns)
	b = binary.LittleEndian.AppendUint16(b, uint16(a.columns))
	for i := range a.columns {
		var x any = ""
		if len(a.rows) > 0 {
			x = a.rows[0][i]
		}
		b = append(b, 0, 0, 0, 0, 1, 0)
		switch x.(type) {
		case int64:
			b = append(b, 0x26, 8)
		case bool:
			b = append(b, 0x68, 1)
		default:
			b = append(b, 0xE7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34)
		}
		b = append(b, 1)
		if a.names != nil {
			b[len(b)-1] = byte(len(a.names[i]))
			b = append(b, ucs2(a.names[i])...)
			continue
		}
		b = append(b, ucs2("c")...)
	}
	for _, row := range a.rows {
		b = append(b, tokenRow)
		for _, x := range row {
			switch x := x.(type) {
			case int64:
				b = append(b, 8)
				b = binary.LittleEndian.AppendUint64(b, uint64(x))
			case bool:
				v := byte(0)
				if x {
					v = 1
				}
				b = append(b, 1, v)
			case string:
				text := ucs2(x)
				b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
				b = append(b, text...)
			}
		}
	}
	return done(b, 0x10, int64(len(a.rows)))
}

// statementOf reads the text and the parameters of a batch or call.
func statementOf(kind byte, body []byte) (string, []any, error) {
	if kind == tdsBatch {
		return fromUCS2(body), nil, nil
	}
	r := &tdsReader{b: body}
	if r.u16() != 0xffff || r.u16() != 10 {
		return "", nil, errors.New("a call of something else than sp_executesql")
	}
	r.u16()
	var values []any
	for len(r.b) > 0 && r.err == nil {
		r.take(2 * int(r.u8())) // name
		r.u8()
		values = append(values, r.value())
	}
	if r.err != nil {
		return "", nil, r.err
	}
	text, _ := values[0].(string)
	if len(values) < 2 {
		return text, nil, nil
	}
	return text, values[2:], nil
}

// tdsReader reads parameters.
type tdsReader struct {
	b   []byte
	err error
}

func (r *tdsReader) take(n int) []byte {
	if n > len(r.b) {
		r.err = io.ErrUnexpectedEOF
		r.b = nil
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *tdsReader) u8() byte    { return r.take(1)[0] }
func (r *tdsReader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *tdsReader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

// value reads the type and the value of a parameter.
func (r *tdsReader) value() any {
	switch kind := r.u8(); kind {
	case 0x1F:
		return nil
	case 0x26, 0x6D, 0x68: // integers, floats, bits
		r.u8()
		b := r.take(int(r.u8()))
		switch {
		case len(b) == 0:
			return nil
		case kind == 0x68:
			return b[0] != 0
		case kind == 0x6D:
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
		return int64(binary.LittleEndian.Uint64(b))
	case 0xE7: // nvarchar
		size := r.u16()
		r.take(5)
		if size == 0xffff {
			return r.parts()
		}
		n := r.u16()
		if n == 0xffff {
			return nil
		}
		return fromUCS2(r.take(int(n)))
	case 0x2B: // datetimeoffset
		r.u8()
		b := r.take(int(r.u8()))
		if len(b) == 0 {
			return nil
		}
		ticks := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32
		days := int(b[5]) | int(b[6])<<8 | int(b[7])<<16
		return time.Date(1, 1, 1+days, 0, 0, 0, 0, time.UTC).Add(time.Duration(ticks) * 100)
	default:
		r.err = fmt.Errorf("a parameter of type %#x", kind)
		return nil
	}
}

// parts reads a long text.
func (r *tdsReader) parts() any {
	total := binary.LittleEndian.Uint64(r.take(8))
	if total == 1<<64-1 {
		return nil
	}
	var b []byte
	for n := r.u32(); n != 0 && r.err == nil; n = r.u32() {
		b = append(b, r.take(int(n))...)
	}
	return fromUCS2(b)
}
