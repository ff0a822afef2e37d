package amqp

import (
	"testing"
	"time"
)

// stranger is a handler that knows a client when it attaches a link of the name "known".
type stranger struct{ *recorder }

func (s stranger) Authenticate(c *Conn, mechanism string, response []byte) error {
	c.Stranger(true)
	return s.recorder.Authenticate(c, mechanism, response)
}

func (s stranger) Incoming(l *Link) (Incoming, error) {
	if l.Name == "known" {
		l.Conn.Stranger(false)
	}
	return s.recorder.Incoming(l)
}

// part is a transfer that is not the last of its message.
func (p *peer) part(handle uint32, bytes int) {
	p.t.Helper()
	p.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	p.transfer(0, string(make([]byte, bytes)), handle, handle, []byte{1}, uint32(0), false, true)
}

// A client that nobody knows makes the server hold next to nothing: no messages of which the
// end does not come, and no links without end.
func TestStrangersHoldLittle(t *testing.T) {
	attach := func(p *peer, handle uint32, name string) {
		t.Helper()
		p.send(0, codeAttach, name, handle, false, nil, nil, source(), target(), nil, nil, uint32(0))
		p.expect(codeAttach, 14)
		p.expect(codeFlow, 11)
	}
	s := &Server{Handler: stranger{&recorder{}}}
	p := connectTCP(t, s).hello().begin(0)
	for handle := range uint32(3) {
		attach(p, handle, "unknown")
	}
	p.part(0, 30_000)
	p.part(1, 30_000)
	p.part(2, 30_000)
	p.closes(ResourceLimitExceeded)

	p = connectTCP(t, s).hello().begin(0)
	attach(p, 0, "unknown")
	attach(p, 1, "known")
	for range 10 {
		p.part(0, 60_000)
	}
	p.goodbye()

	p = connectTCP(t, s).hello().begin(0)
	for handle := range uint32(100) {
		p.send(0, codeAttach, "unknown", handle, false, nil, nil, source(), target(), nil, nil, uint32(0))
		p.expect(codeAttach, 14)
		if _, _, body, err := p.read(); err != nil {
			t.Fatal(err)
		} else if body[2] == codeDetach {
			if handle > 20 {
				t.Errorf("%d links", handle)
			}
			break
		} else if handle == 99 {
			t.Error("as many links as it likes")
		}
	}
	p.goodbye()
	if held := s.pending.Load(); held != 0 {
		t.Errorf("%d bytes are held for nobody", held)
	}
}

// When all connections together hold too much, those that hold more than little are cut, and
// the others are not.
func TestAllConnectionsTogether(t *testing.T) {
	s := &Server{Handler: &recorder{}, Limits: Limits{AllPending: 500_000}}
	small := connectTCP(t, s).hello().begin(0).sender(0, 0)
	small.part(0, 20_000)
	large := connectTCP(t, s).hello().begin(0).sender(0, 0)
	for range 8 {
		large.part(0, 60_000)
	}
	large.part(0, 60_000)
	large.closes(ResourceLimitExceeded)
	small.part(0, 20_000)
	small.goodbye()
	if held := s.pending.Load(); held != 0 {
		t.Errorf("%d bytes are held for nobody", held)
	}
}
