package amqp

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// errHeader is that a client does not begin with what the server speaks.
var errHeader = errors.New("the protocol header is not one that is served")

// handshake takes a connection from its first byte to the end of its open.
func (c *Conn) handshake() error {
	c.conn.SetReadDeadline(time.Now().Add(c.limits.Handshake))
	if err := c.header(headerSASL); err != nil {
		return err
	}
	if err := c.sasl(); err != nil {
		return err
	}
	if err := c.header(headerAMQP); err != nil {
		return err
	}
	return c.open()
}

// header reads a protocol header and answers with want, which it must be (amqp-core 2.2). A
// client that begins without SASL, or asks for TLS inside of the connection, is told by the
// answer what is wanted.
func (c *Conn) header(want string) error {
	b, err := c.in.take(len(want))
	if err != nil {
		return err
	}
	got := string(b)
	c.mu.Lock()
	c.out.buf = append(c.out.take(c.server), want...)
	c.mu.Unlock()
	if got != want {
		return fmt.Errorf("%w: %q where %q was expected", errHeader, got, want)
	}
	return nil
}

// reply appends to the output what the caller builds.
func (c *Conn) reply(build func(dst []byte) []byte) {
	c.mu.Lock()
	c.out.buf = build(c.out.take(c.server))
	c.mu.Unlock()
	c.server.stats.framesOut.Add(1)
}

// sasl authenticates the client (amqp-core 5.3).
func (c *Conn) sasl() error {
	c.reply(func(dst []byte) []byte {
		dst, mark := startFrame(dst, frameSASL, 0, codeSASLMechanisms, 1)
		list := make(Array, len(c.server.Mechanisms))
		for i, m := range c.server.Mechanisms {
			list[i] = Symbol(m)
		}
		return endFrame(AppendValue(dst, list), mark)
	})
	f, err := c.saslFrame(codeSASLInit)
	if err != nil {
		return err
	}
	mechanism := f.text()
	response := f.bytes()
	if f.err != nil {
		return f.err
	}
	if !slices.Contains(c.server.Mechanisms, mechanism) {
		return c.refuse(fmt.Errorf("the mechanism %.20q is not offered", mechanism))
	}
	if response == nil && mechanism == "PLAIN" {
		if response, err = c.challenge(); err != nil {
			return err
		}
	}
	if err := c.server.Handler.Authenticate(c, mechanism, response); err != nil {
		return c.refuse(err)
	}
	c.outcome(0)
	return nil
}

// challenge asks for the response that a client may leave out of its init.
func (c *Conn) challenge() ([]byte, error) {
	c.reply(func(dst []byte) []byte {
		dst, mark := startFrame(dst, frameSASL, 0, codeSASLChallenge, 1)
		return endFrame(AppendBinary(dst, nil), mark)
	})
	f, err := c.saslFrame(codeSASLResponse)
	if err != nil {
		return nil, err
	}
	response := f.bytes()
	return response, f.err
}

// refuse tells the client that it is not let in.
func (c *Conn) refuse(err error) error {
	c.outcome(1)
	return &Error{Condition: UnauthorizedAccess, Description: err.Error()}
}

// outcome writes the end of SASL: 0 is ok, 1 auth.
func (c *Conn) outcome(code byte) {
	c.reply(func(dst []byte) []byte {
		dst, mark := startFrame(dst, frameSASL, 0, codeSASLOutcome, 2)
		return endFrame(append(dst, codeUbyte, code, codeNull), mark)
	})
}

func (c *Conn) saslFrame(want uint64) (fields, error) {
	frame, err := c.in.next(c.limits.Response)
	if err != nil {
		return fields{}, err
	}
	c.server.stats.framesIn.Add(1)
	if frame.kind != frameSASL {
		return fields{}, framing("a frame of type %d during SASL", frame.kind)
	}
	code, list, err := descriptor(frame.body)
	if err != nil {
		return fields{}, err
	}
	if code != want {
		return fields{}, &Error{Condition: NotAllowed, Description: fmt.Sprintf("a frame 0x%02x during SASL", code)}
	}
	f, _, err := composite(list)
	return f, err
}

// open takes the open of the client and answers it (amqp-core 2.4.1).
func (c *Conn) open() error {
	frame, err := c.in.next(maxOpen)
	if err != nil {
		return err
	}
	c.server.stats.framesIn.Add(1)
	code, list, err := descriptor(frame.body)
	switch {
	case err != nil:
		return err
	case frame.kind != frameAMQP || code != codeOpen:
		return &Error{Condition: NotAllowed, Description: "a connection that does not begin with open"}
	}
	f, _, err := composite(list)
	if err != nil {
		return err
	}
	c.container = f.text()
	c.hostname = f.text()
	maxFrame, given := f.uint()
	f.raw() // channel-max: channels are the client's
	idle, _ := f.uint()
	if f.err != nil {
		return f.err
	}
	c.sayOpen()
	if given && maxFrame < minMaxFrame {
		return &Error{Condition: InvalidField, Description: fmt.Sprintf("max-frame-size is %d; the least is %d", maxFrame, minMaxFrame)}
	}
	if given {
		c.maxFrame = int(min(maxFrame, uint32(c.limits.MaxFrame)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fatal != nil {
		return c.fatal
	}
	c.conn.SetReadDeadline(time.Time{})
	c.in.early = false
	c.startIdle(time.Duration(idle) * time.Millisecond)
	return nil
}

func (c *Conn) sayOpen() {
	c.reply(func(dst []byte) []byte {
		dst, mark := startFrame(dst, frameAMQP, 0, codeOpen, 10)
		dst = AppendString(dst, c.server.Container)
		if c.hostname == "" {
			dst = append(dst, codeNull)
		} else {
			dst = AppendString(dst, c.hostname)
		}
		dst = AppendUint(dst, uint32(c.limits.MaxFrame))
		dst = AppendValue(dst, uint16(c.limits.Sessions-1))
		dst = AppendUint(dst, uint32(c.limits.Idle/time.Millisecond))
		dst = append(dst, codeNull, codeNull, codeNull, codeNull) // locales, capabilities
		return endFrame(AppendFields(dst, nil), mark)
	})
	c.mu.Lock()
	c.opened = true
	c.mu.Unlock()
}

// decodeError decodes an error that a peer sends; nil is none.
func decodeError(b []byte) (*Error, error) {
	if b == nil {
		return nil, nil
	}
	_, list, err := descriptor(b)
	if err != nil {
		return nil, err
	}
	f, _, err := composite(list)
	if err != nil {
		return nil, err
	}
	return &Error{Condition: f.text(), Description: f.text()}, f.err
}
