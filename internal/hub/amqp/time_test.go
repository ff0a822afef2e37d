package amqp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The handshake has a time, whatever the client says meanwhile.
func TestHandshakeTime(t *testing.T) {
	f := func(name string, do func(p *peer)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := &Server{Handler: &recorder{}}
			p := connect(t, s)
			began := time.Now()
			do(p)
			io.Copy(io.Discard, p.conn)
			if took := time.Since(began); took < DefaultHandshake || took > DefaultHandshake+DefaultClose {
				t.Errorf("%s: %v", name, took)
			}
			p.conn.Close()
			if err := p.end(); err == nil {
				t.Errorf("%s: no error", name)
			}
			if s.Stats().Refused["handshake"] != 1 {
				t.Errorf("%s: %v", name, s.Stats().Refused)
			}
			time.Sleep(time.Second) // for the last byte to be refused
		})
	}
	f("nothing", func(p *peer) {})
	f("half a header", func(p *peer) { p.write([]byte("AMQP")) })
	f("no init", func(p *peer) { p.write([]byte(headerSASL)) })
	f("half an init", func(p *peer) { p.write([]byte(headerSASL + "\x00\x00\x01\x00\x02\x01\x00\x00")) })
	f("a byte a second", func(p *peer) {
		go func() {
			for _, b := range []byte(headerSASL + "\x00\x00\x01\x00\x02\x01\x00\x00") {
				if _, err := p.conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
	})
	f("no open", func(p *peer) {
		p.write([]byte(headerSASL))
		p.header(headerSASL)
		p.expect(codeSASLMechanisms, 1)
		p.write(performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS")))
		p.expect(codeSASLOutcome, 2)
		p.write([]byte(headerAMQP))
		p.header(headerAMQP)
	})
}

// Empty frames keep a client from closing, at half of what it allows but not more often than
// MinIdle asks for.
func TestHeartbeats(t *testing.T) {
	f := func(idle uint32, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, &Server{Handler: &recorder{}}).hello("c", nil, nil, nil, idle)
			last := time.Now()
			for range 5 {
				_, _, body, err := p.read()
				if took := time.Since(last); err != nil || len(body) != 0 || took != want {
					t.Errorf("idle-time-out %d: % x, %v after %v, want an empty frame after %v", idle, body, err, took, want)
				}
				last = time.Now()
			}
			p.goodbye()
		})
	}
	f(60_000, 30*time.Second)
	f(3_000, 1500*time.Millisecond)
	f(1_000, 500*time.Millisecond)
	f(1, 500*time.Millisecond)
}

func TestFramesTakeThePlaceOfHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, &Server{Handler: &recorder{}}).hello("c", nil, nil, nil, uint32(10_000)).begin(0)
		began := time.Now()
		time.Sleep(4 * time.Second)
		p.send(0, codeFlow, uint32(0), uint32(0), uint32(0), uint32(0), nil, nil, nil, nil, nil, true)
		if _, _, body, err := p.read(); err != nil || len(body) == 0 {
			t.Errorf("% x %v", body, err)
		}
		if _, _, body, _ := p.read(); len(body) != 0 || time.Since(began) != 9*time.Second {
			t.Errorf("% x after %v", body, time.Since(began))
		}
		p.goodbye()
	})
}

// A client that falls silent is cut, with an error that says why, and its links end.
func TestSilentClientIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := &Server{Handler: r, Limits: Limits{Idle: 10 * time.Second}}
		p := connect(t, s).hello().begin(0).sender(0, 0).receiver(0, 1, 10)
		began := time.Now()
		for range 3 { // empty frames are a sign of life
			time.Sleep(19 * time.Second)
			p.write(appendEmptyFrame(nil))
		}
		list, _ := p.expect(codeClose, 1)
		if took := time.Since(began); condition(list[0]) != ResourceLimitExceeded || took != 3*19*time.Second+20*time.Second {
			t.Errorf("%v after %v", list, took)
		}
		if _, _, _, err := p.read(); err != io.EOF {
			t.Error(err)
		}
		p.end()
		if s.Stats().Refused["idle"] != 1 || r.told != 1 || r.ended != 1 || r.closed != 1 {
			t.Errorf("%v %+v", s.Stats().Refused, r)
		}
	})
}

// A client that does not read stops its own links only, holds a bounded amount of memory, and
// is cut in the end.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{run: sendAll(100, 10_000)}
		s := &Server{Handler: r, Limits: Limits{WriteBuffer: 100_000}}
		p := connect(t, s).hello().begin(0)
		p.receiver(0, 0, 1000)
		began := time.Now()
		synctest.Wait()
		c := r.links[0].Conn
		c.mu.Lock()
		if size := c.out.size(); size > 200_000 {
			t.Errorf("%d bytes are held", size)
		}
		c.mu.Unlock()
		other := connect(t, s).hello().begin(0).sender(0, 0)
		other.transfer(0, "x", uint32(0), uint32(0), []byte{0})
		other.expect(codeDisposition, 6)
		err := p.end()
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") || took < DefaultWrite || took > DefaultWrite+2*DefaultClose {
			t.Errorf("%v after %v", err, took)
		}
		if s.Stats().Refused["slow"] != 1 || r.ended != 1 {
			t.Errorf("%v %d", s.Stats().Refused, r.ended)
		}
		other.goodbye()
	})
}

// Requests whose replies are not read are not read either.
func TestRepliesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: &recorder{}, Limits: Limits{ReplyBuffer: 10_000}}
		p := connect(t, s).hello().begin(0)
		echo := performative(frameAMQP, 0, codeFlow, nil, uint32(0), uint32(0), uint32(0), uint32(0), nil, nil, nil, nil, nil, true)
		n := 0
		for ; n < 100_000; n++ {
			p.conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := p.conn.Write(echo); err != nil {
				break
			}
		}
		if n > 2000 {
			t.Errorf("%d echoes were taken", n)
		}
		if err := p.end(); err == nil {
			t.Error("no error")
		}
	})
}

// A handler that does not come back stops reading; in the end the connection is given up.
func TestStalledConnectionIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{deliver: func(ctx context.Context, _ []Delivery) { <-ctx.Done() }}
		s := &Server{Handler: r, Limits: Limits{ConnPending: 1000}}
		p := connect(t, s).hello().begin(0).sender(0, 0)
		began := time.Now()
		go func() {
			for i := range uint32(100) {
				p.conn.Write(performative(frameAMQP, 0, codeTransfer, make([]byte, 100), uint32(0), i, []byte{0}, nil, true))
			}
		}()
		list, _ := p.expect(codeClose, 1)
		if took := time.Since(began); condition(list[0]) != ResourceLimitExceeded || took != DefaultStall {
			t.Errorf("%v after %v", list, took)
		}
		p.conn.Close()
		p.end()
		if s.Stats().Refused["slow"] != 1 || r.told != 1 {
			t.Errorf("%v %d", s.Stats().Refused, r.told)
		}
	})
}

// What was sent settled is delivered though the client is gone already, and the handler has
// time for it.
func TestCloseWaitsForDeliveries(t *testing.T) {
	f := func(name string, leave func(p *peer)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{deliver: func(ctx context.Context, list []Delivery) {
				time.Sleep(DefaultClose / 3)
				if ctx.Err() != nil {
					t.Errorf("%s: the context ended before the delivery", name)
				}
			}}
			p := connect(t, &Server{Handler: r}).hello().begin(0).sender(0, 0)
			p.transfer(0, "x", uint32(0), uint32(0), []byte{0}, nil, true)
			p.transfer(0, "y", uint32(0), uint32(1), []byte{0}, nil, true)
			go io.Copy(io.Discard, p.conn)
			leave(p)
			p.conn.Close()
			p.end()
			if len(r.got) != 2 || r.told != 1 || r.closed != 1 {
				t.Errorf("%s: %q, %d told", name, r.got, r.told)
			}
		})
	}
	f("detach", func(p *peer) { p.send(0, codeDetach, uint32(0), true) })
	f("end", func(p *peer) { p.send(0, codeEnd) })
	f("close", func(p *peer) { p.send(0, codeClose) })
	f("nothing", func(p *peer) {})
}

// The answers to detach and end come after the last delivery.
func TestDetachAndEndAreAnsweredLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{deliver: func(ctx context.Context, list []Delivery) { time.Sleep(time.Second) }}
		p := connect(t, &Server{Handler: r}).hello().begin(0).sender(0, 0).sender(0, 1)
		p.transfer(0, "x", uint32(0), uint32(0), []byte{0})
		p.send(0, codeDetach, uint32(0), true)
		p.expect(codeDisposition, 6)
		p.expect(codeDetach, 3)
		p.transfer(0, "x", uint32(1), uint32(1), []byte{0})
		p.send(0, codeEnd)
		p.expect(codeDisposition, 6)
		p.expect(codeEnd, 1)
		synctest.Wait()
		if r.told != 2 {
			t.Errorf("%d links told of their end", r.told)
		}
		p.begin(0)
		p.goodbye()
	})
}

func TestServerShutsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := &Server{Handler: r, Mechanisms: []string{"ANONYMOUS"}}
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		p := &peer{t, ours, make(chan error, 1)}
		go func() { p.done <- s.Serve(ctx, theirs) }()
		p.hello().begin(0).sender(0, 0).receiver(0, 1, 1)
		cancel()
		list, _ := p.expect(codeClose, 1)
		if condition(list[0]) != ConnectionForced {
			t.Error(list)
		}
		p.conn.Close()
		p.end()
		if r.told != 1 || r.ended != 1 || r.closed != 1 {
			t.Errorf("%+v", r)
		}
	})
}
