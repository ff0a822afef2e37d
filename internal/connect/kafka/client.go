package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/connect"
	"weir/internal/hub/sas"
)

// The ways to sign in.
const (
	saslNone     = "none"
	saslPlain    = "plain"
	saslScram256 = "scram-sha-256"
	saslScram512 = "scram-sha-512"
	saslEntra    = "entra"
)

var (
	mechanisms   = []string{saslNone, saslPlain, saslScram256, saslScram512, saslEntra}
	compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}
)

// The ports that are meant if none is named, and the user that Event Hubs knows a connection
// string by.
const (
	portPlain     = "9092"
	portEventHubs = "9093"
	stringUser    = "$ConnectionString"
)

const (
	dialLimit = 10 * time.Second
	// askLimit is how long what is asked of the brokers may take, and retryLimit for how long a
	// request is made again.
	askLimit   = 15 * time.Second
	retryLimit = 5 * time.Second
)

// link is how to reach the brokers.
type link struct {
	brokers []string
	topics  []string
	tls     *tls.Config
	sign    sasl.Mechanism
	secrets []string // which no text for people may have
}

// linkOf reads the settings. Its errors are those that no retry heals.
func linkOf(c connect.Config, input bool) (*link, error) {
	if p := check(c, input); len(p) > 0 {
		return nil, connect.Permanent(fmt.Errorf("%s; %s", p[0].Text, p[0].Hint))
	}
	l := &link{topics: c.List("topic")}
	for _, b := range c.List("brokers") {
		a, err := address(b)
		if err != nil {
			return nil, connect.Permanent(err)
		}
		l.brokers = append(l.brokers, a)
	}
	encrypt := c.Bool("tls") || c.Has("tls_ca") || c.Has("tls_cert")
	if text := c.Secret("connection_string").Expose(); text != "" {
		cs, err := sas.ParseConnectionString(text)
		if err != nil {
			return nil, connect.Permanent(err)
		}
		l.eventHubs(text, cs)
		if !c.Has("tls") {
			encrypt = !cs.Development
		}
	}
	switch user, password := c.Text("user"), c.Secret("password").Expose(); c.Text("sasl") {
	case saslPlain:
		l.sign = plain.Auth{User: user, Pass: password}.AsMechanism()
	case saslScram256:
		l.sign = scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case saslScram512:
		l.sign = scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	case saslEntra:
		var err error
		if l.sign, err = entra(l.brokers[0]); err != nil {
			return nil, connect.Permanent(err)
		}
	}
	if p := c.Secret("password").Expose(); p != "" {
		l.secrets = append(l.secrets, p)
	}
	if !encrypt {
		return l, nil
	}
	var err error
	if l.tls, err = tlsOf(c); err != nil {
		return nil, connect.Permanent(err)
	}
	return l, nil
}

// eventHubs takes what a connection string says and the settings leave open.
func (l *link) eventHubs(text string, cs sas.ConnectionString) {
	l.secrets = append(l.secrets, text)
	for _, s := range []string{cs.Key, cs.Token} {
		if s != "" {
			l.secrets = append(l.secrets, s)
		}
	}
	if len(l.brokers) == 0 {
		port := portEventHubs
		if cs.Development {
			port = portPlain
		}
		l.brokers = []string{net.JoinHostPort(cs.Hostname(), port)}
	}
	if len(l.topics) == 0 {
		l.topics = []string{cs.Entity}
	}
	l.sign = plain.Auth{User: stringUser, Pass: text}.AsMechanism()
}

// address is a broker with its port.
func address(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), portPlain
		if strings.Count(host, ":") == 1 {
			host = "" // host: without a port, or worse
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" || strings.ContainsAny(host, "/@ ") {
		return "", fmt.Errorf("%.80q is no address of a broker", s)
	}
	return net.JoinHostPort(host, port), nil
}

// tlsOf is how connections are encrypted.
func tlsOf(c connect.Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := c.Text("tls_ca"); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("tls_ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("tls_ca: %s has no certificate in PEM", path)
		}
	}
	if c.Has("tls_cert") {
		pair, err := tls.LoadX509KeyPair(c.Text("tls_cert"), c.Text("tls_key"))
		if err != nil {
			return nil, fmt.Errorf("tls_cert and tls_key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// client makes a client; it does not connect yet. Its log says nothing: what matters comes back
// as an error.
func (l *link) client(h *health, opts ...kgo.Opt) (*kgo.Client, error) {
	all := []kgo.Opt{
		kgo.SeedBrokers(l.brokers...), kgo.ClientID("weir"), kgo.DialTimeout(dialLimit), kgo.DisableClientMetrics(),
		kgo.RetryTimeout(retryLimit), kgo.RetryBackoffFn(backoff), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(time.Minute),
	}
	if h != nil {
		all = append(all, kgo.WithHooks(h))
	}
	if l.tls != nil {
		all = append(all, kgo.DialTLSConfig(l.tls.Clone()))
	}
	if l.sign != nil {
		all = append(all, kgo.SASL(l.sign))
	}
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, connect.Permanent(l.scrub(err))
	}
	return cl, nil
}

// backoff is the pause before a request is made again: 50 ms at first, 2 s at last, and a part
// by chance, so that many clients do not come back at once.
func backoff(tries int) time.Duration {
	d := min(50*time.Millisecond<<min(max(tries-1, 0), 6), 2*time.Second)
	return d/2 + rand.N(d/2)
}

// at names the place for people: the brokers that were asked first, and what of them.
func (l *link) at(what string) string {
	return fmt.Sprintf("Kafka at %s, %s", strings.Join(l.brokers, ", "), what)
}

// minSecret is the length of the shortest secret that is looked for in texts: a shorter one is
// in any text.
const minSecret = 4

// scrub takes secrets out of an error's text. What the error wraps stays.
func (l *link) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, s := range l.secrets {
		if len(s) < minSecret {
			continue
		}
		clean = strings.ReplaceAll(clean, s, "***")
	}
	if clean == text {
		return err
	}
	return &scrubbed{clean, err}
}

type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string { return s.text }

// Is and As look into the error without showing its text.
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

func (s *scrubbed) As(target any) bool { return errors.As(s.err, target) }

// limited is a context with the time that a request may take.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, askLimit)
}
