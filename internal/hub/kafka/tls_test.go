package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// certificate is one for a name, and who trusts it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// A client over TLS is told the name that it came by, which is the one that its certificate
// has.
func TestTLS(t *testing.T) {
	s := newSite(t, Options{})
	s.hub("hub", 1)
	cert, pool := certificate(t, "broker.test")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.served.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.served.Go(func() { s.server.Serve(context.Background(), nc) })
		}
	})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	dialed := make(chan string, 100)
	cl := s.client(kgo.SeedBrokers("broker.test:"+port), kgo.DefaultProduceTopic("hub"), kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		dialed <- host
		name, _, _ := net.SplitHostPort(host)
		d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: name}}
		return d.DialContext(ctx, network, ln.Addr().String())
	}))
	if err := cl.ProduceSync(patience(t), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	close(dialed)
	for host := range dialed {
		if host != "broker.test:"+port {
			t.Errorf("the client connects to %s", host)
		}
	}
	cl.Close()
}

func TestAdvertisedAddress(t *testing.T) {
	f := func(o Options, tlsName string, want address) {
		t.Helper()
		s := &Server{}
		var err error
		if s.plain, err = parseAddress(o.Advertise); err != nil {
			t.Fatal(err)
		}
		if s.secure, err = parseAddress(o.AdvertiseTLS); err != nil {
			t.Fatal(err)
		}
		_, nc := newPipe()
		if tlsName != "" {
			nc = namedConn{nc, tlsName}
		}
		if got := s.advertised(&conn{nc: nc, tls: isTLS(nc)}); got != want {
			t.Errorf("%+v; want %+v", got, want)
		}
	}
	f(Options{}, "", address{"127.0.0.1", 9092})
	f(Options{}, "name", address{"name", 9092})
	f(Options{Advertise: "a:1"}, "", address{"a", 1})
	f(Options{Advertise: "a:1"}, "name", address{"a", 1})
	f(Options{Advertise: "a:1", AdvertiseTLS: "b:2"}, "name", address{"b", 2})
	f(Options{AdvertiseTLS: "[::1]:2"}, "", address{"127.0.0.1", 9092})
	for _, bad := range []string{"host", "host:x", ":1", "host:0", "host:99999"} {
		if _, err := New(Options{Advertise: bad}); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}

type namedConn struct {
	net.Conn
	name string
}

func (n namedConn) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{ServerName: n.name}
}
