package fluent

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// handshake asks the client for the shared key, and for a user and its password if there are
// users (forward protocol v1, Handshake Messages): HELO, PING, PONG.
func (p *peer) handshake() error {
	s := p.s
	var nonce, salt [16]byte
	rand.Read(nonce[:]) // never fails
	rand.Read(salt[:])
	auth := salt[:]
	if len(s.o.Users) == 0 {
		auth = nil
	}
	b := msgp.AppendArrayHeader(nil, 2)
	b = msgp.AppendString(b, "HELO")
	b = msgp.AppendMapHeader(b, 3)
	b = msgp.AppendBytes(msgp.AppendString(b, "nonce"), nonce[:])
	b = msgp.AppendBytes(msgp.AppendString(b, "auth"), auth)
	b = msgp.AppendBool(msgp.AppendString(b, "keepalive"), true)
	if err := p.write(b); err != nil {
		return err
	}
	limit := p.limit
	p.limit = s.o.Limits.HandshakeBytes
	message, err := p.read(0, s.o.Limits.HandshakeTime)
	p.limit = limit
	if err != nil {
		return err
	}
	ping, err := parsePing(message)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	p.buf = p.buf[:copy(p.buf, p.buf[len(message):])]
	ok := p.check(ping, nonce[:], auth)
	answer := msgp.AppendArrayHeader(nil, 5)
	answer = msgp.AppendString(answer, "PONG")
	answer = msgp.AppendBool(answer, ok)
	if !ok {
		answer = msgp.AppendString(answer, ErrUnauthorized.Error())
		answer = msgp.AppendString(msgp.AppendString(answer, ""), "")
		return errors.Join(ErrUnauthorized, p.write(answer))
	}
	answer = msgp.AppendString(answer, "")
	answer = msgp.AppendString(answer, s.o.Hostname)
	answer = msgp.AppendString(answer, digest(ping.salt, s.o.Hostname, string(nonce[:]), s.o.SharedKey))
	return p.write(answer)
}

// ping is what a client answers to HELO.
type ping struct{ hostname, salt, digest, user, password string }

func parsePing(message []byte) (ping, error) {
	parts, err := items(message, 6)
	if err != nil {
		return ping{}, err
	}
	var texts [6]string
	for i, part := range parts {
		t, ok := text(part)
		if h, _ := readHead(part); !ok && h.kind != kindNil {
			return ping{}, errors.New("a part of PING is not a text")
		}
		texts[i] = t
	}
	if len(parts) != 6 || texts[0] != "PING" {
		return ping{}, errors.New("the answer to HELO is not PING")
	}
	return ping{texts[1], texts[2], texts[3], texts[4], texts[5]}, nil
}

// check compares the digests in constant time, those of an unknown user too.
func (p *peer) check(g ping, nonce, auth []byte) bool {
	o := &p.s.o
	ok := same(g.digest, digest(g.salt, g.hostname, string(nonce), o.SharedKey))
	if len(o.Users) == 0 {
		return ok == 1
	}
	password, known := o.Users[g.user]
	right := same(g.password, digest(string(auth), g.user, password))
	return known && ok&right == 1
}

func same(a, b string) int { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) }

// digest is the hexadecimal SHA-512 of texts one behind the other.
func digest(texts ...string) string {
	h := sha512.New()
	for _, t := range texts {
		h.Write([]byte(t))
	}
	return hex.EncodeToString(h.Sum(nil))
}
