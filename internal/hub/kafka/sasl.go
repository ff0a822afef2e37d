package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// mechanism is the one that is offered. Clients send a connection string as the password of
// the user $ConnectionString, or the name of a key and the key.
const mechanism = "PLAIN"

const connectionStringUser = "$ConnectionString"

// login is what a connection may do.
type login struct {
	grant  hub.Grant
	in     bool
	chosen bool // SaslHandshake has named the mechanism
	raw    bool // the next frame is a response without a header, after SaslHandshake v0
	// failed ends the connection when the client has been told.
	failed error
}

// anonymous gives all rights.
func (l *login) anonymous() {
	l.in = true
	l.grant = hub.Grant{Rule: "anonymous", Rights: hub.Send | hub.Listen | hub.Manage}
}

// check says why requests are not served now.
func (l *login) check(h header, now time.Time) error {
	switch {
	case !l.in:
		return bad("%s comes before a password; the client needs security.protocol SASL_PLAINTEXT or SASL_SSL and sasl.mechanism %s", kmsg.NameForKey(h.key), mechanism)
	case l.grant.Revoked() != nil:
		return bad("%s", l.grant.Revoked())
	case !l.grant.Expires.IsZero() && !l.grant.Expires.After(now):
		return bad("the token of the client has expired, and it goes on without a new one")
	}
	return nil
}

// may says why the client may not do something to a hub.
func (c *conn) may(right hub.Right, name string) error {
	return c.login.grant.May(right, name, c.s.now())
}

// mayGroups says why the client may not use groups, which are no hub's.
func (c *conn) mayGroups(right hub.Right) error {
	if err := c.login.grant.May(right, c.login.grant.Hub, c.s.now()); err != nil {
		return &codeError{errGroupAuthorization, err.Error()}
	}
	return nil
}

// mayAny says why the client may not see a hub at all.
func (c *conn) mayAny(name string) error {
	return c.may(hub.Send|hub.Listen|hub.Manage, name)
}

func saslHandshake(_ context.Context, c *conn, q *kmsg.SASLHandshakeRequest, r *kmsg.SASLHandshakeResponse) error {
	r.SupportedMechanisms = []string{mechanism}
	if !strings.EqualFold(q.Mechanism, mechanism) {
		r.ErrorCode = errUnsupportedMechanism
		return nil
	}
	c.login.chosen = true
	c.login.raw = q.Version == 0
	return nil
}

func saslAuthenticate(_ context.Context, c *conn, q *kmsg.SASLAuthenticateRequest, r *kmsg.SASLAuthenticateResponse) error {
	if !c.login.chosen {
		r.ErrorCode = errIllegalSASLState
		r.ErrorMessage = kmsg.StringPtr("SaslHandshake must come first")
		return nil
	}
	c.login.chosen = false
	if err := c.authenticate(q.SASLAuthBytes); err != nil {
		r.ErrorCode = errAuthenticationFailed
		r.ErrorMessage = kmsg.StringPtr(err.Error())
		return nil
	}
	if e := c.login.grant.Expires; !e.IsZero() {
		r.SessionLifetimeMillis = max(e.Sub(c.s.now()).Milliseconds(), 1)
	}
	return nil
}

// rawLogin takes a response that comes without a header. Its answer has none either, and
// there is none to a wrong one.
func (c *conn) rawLogin(body []byte) (*answer, error) {
	c.login.raw, c.login.chosen = false, false
	if err := c.authenticate(body); err != nil {
		return nil, err
	}
	return &answer{bytes: binary.BigEndian.AppendUint32(nil, 0)}, nil
}

// authenticate checks the response of PLAIN (RFC 4616).
func (c *conn) authenticate(response []byte) error {
	grant, err := c.s.grant(response)
	if err != nil {
		c.s.count.failed.Add(1)
		c.login = login{failed: fmt.Errorf("a wrong password: %w", err)}
		return err
	}
	c.login = login{grant: grant, in: true}
	c.admit()
	return nil
}

// grant is what a response of PLAIN allows. The error holds no part of the password.
func (s *Server) grant(response []byte) (hub.Grant, error) {
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return hub.Grant{}, errors.New("the response is not that of the mechanism PLAIN")
	}
	user, password := string(parts[1]), string(parts[2])
	if !strings.EqualFold(user, connectionStringUser) {
		return s.broker.Password(user, password)
	}
	fields := connectionString(password)
	if t := fields["sharedaccesssignature"]; t != "" {
		return whole(s.broker.Token(t))
	}
	name, key := fields["sharedaccesskeyname"], fields["sharedaccesskey"]
	if name == "" || key == "" {
		return hub.Grant{}, fmt.Errorf("%w: the user %s needs a connection string as its password: Endpoint=sb://<host>;SharedAccessKeyName=<name>;SharedAccessKey=<key>", hub.ErrUnauthorized, connectionStringUser)
	}
	return s.broker.Password(name, key)
}

// whole refuses a token that is for something in a hub, such as a partition or a publisher:
// Kafka has no way to hold a client to it.
func whole(g hub.Grant, err error) (hub.Grant, error) {
	if err == nil && g.Path != "" && g.Path != "messages" {
		return hub.Grant{}, fmt.Errorf("%w: the token is for %.80q, and clients of Kafka need one for a hub or the namespace", hub.ErrUnauthorized, g.Hub+"/"+g.Path)
	}
	return g, err
}

// connectionString has the fields of a connection string by their names in lower case.
func connectionString(s string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(part, "=")
		m[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return m
}
