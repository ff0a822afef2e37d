package eventhubs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	client "github.com/Azure/go-amqp"

	"weir/internal/hub"
)

// served is a server on a port of this machine.
type served struct {
	*Server
	t    testing.TB
	addr string
	root hub.Rule
	wrap atomic.Pointer[wrapper]
}

// wrapper sees the connections of a server before it does.
type wrapper struct{ f func(net.Conn) net.Conn }

// serve starts a server; b is a broker of its own if it is nil.
func serve(t testing.TB, b *hub.Broker) *served {
	t.Helper()
	return serveWith(t, Options{Broker: b}, nil)
}

func serveWith(t testing.TB, o Options, config *tls.Config) *served {
	t.Helper()
	if o.Broker == nil {
		o.Broker = newBroker(t, hub.Options{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Server: New(o), t: t, addr: fmt.Sprint("localhost:", ln.Addr().(*net.TCPAddr).Port), root: o.Broker.Rules("")[0]}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if w := s.wrap.Load(); w != nil {
				nc = w.f(nc)
			}
			wg.Go(func() { s.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		stop()
		ln.Close()
		wg.Wait()
	})
	return s
}

// testLog shows the server's log with the test.
type testLog struct{ t testing.TB }

func (w testLog) Write(b []byte) (int, error) {
	if _, bench := w.t.(*testing.B); !bench {
		w.t.Log(string(b))
	}
	return len(b), nil
}

// connection is a connection string for the emulator, which is plain TCP.
func (s *served) connection() string { return s.with(s.root.Name, s.root.Primary) }

func (s *served) with(name, key string) string {
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", s.addr, name, key)
}

// once makes a client try once.
var once = azeventhubs.RetryOptions{MaxRetries: -1}

// within is a context for what must not take long.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (s *served) producer(o *azeventhubs.ProducerClientOptions) *azeventhubs.ProducerClient {
	s.t.Helper()
	return s.producerOf(s.connection(), "orders", o)
}

func (s *served) producerOf(connection, name string, o *azeventhubs.ProducerClientOptions) *azeventhubs.ProducerClient {
	s.t.Helper()
	p, err := azeventhubs.NewProducerClientFromConnectionString(connection, name, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func (s *served) consumer(o *azeventhubs.ConsumerClientOptions) *azeventhubs.ConsumerClient {
	s.t.Helper()
	return s.consumerOf(s.connection(), "orders", "$Default", o)
}

func (s *served) consumerOf(connection, name, group string, o *azeventhubs.ConsumerClientOptions) *azeventhubs.ConsumerClient {
	s.t.Helper()
	if o == nil {
		o = &azeventhubs.ConsumerClientOptions{RetryOptions: once}
	}
	c, err := azeventhubs.NewConsumerClientFromConnectionString(connection, name, group, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// send sends texts in one batch.
func send(t testing.TB, p *azeventhubs.ProducerClient, o *azeventhubs.EventDataBatchOptions, texts ...string) {
	t.Helper()
	b, err := p.NewEventDataBatch(soon(t), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if err := b.AddEventData(&azeventhubs.EventData{Body: []byte(text)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.SendEventDataBatch(soon(t), b, nil); err != nil {
		t.Fatal(err)
	}
}

func to(partition string) *azeventhubs.EventDataBatchOptions {
	return &azeventhubs.EventDataBatchOptions{PartitionID: &partition}
}

// open opens a partition to read.
func open(t testing.TB, c *azeventhubs.ConsumerClient, partition string, o *azeventhubs.PartitionClientOptions) *azeventhubs.PartitionClient {
	t.Helper()
	if o == nil {
		o = &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: ptr(true)}}
	}
	p, err := c.NewPartitionClient(partition, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func ptr[T any](v T) *T { return &v }

// receive takes n events and gives their bodies.
func receive(t testing.TB, p *azeventhubs.PartitionClient, n int) []string {
	t.Helper()
	list, err := p.ReceiveEvents(soon(t), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return bodies(list)
}

func bodies(list []*azeventhubs.ReceivedEventData) []string {
	var texts []string
	for _, e := range list {
		texts = append(texts, string(e.Body))
	}
	return texts
}

// dial connects with the plain AMQP client: PLAIN with the root key, unless told otherwise.
func (s *served) dial(o *client.ConnOptions) *client.Session {
	s.t.Helper()
	if o == nil {
		o = &client.ConnOptions{SASLType: client.SASLTypePlain(s.root.Name, s.root.Primary)}
	}
	c, err := client.Dial(soon(s.t), "amqp://"+s.addr, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	session, err := c.NewSession(soon(s.t), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// refusedWith checks the condition of an error of the client.
func refusedWith(t testing.TB, err error, want string) {
	t.Helper()
	if got := clientCondition(err); got != want {
		t.Errorf("%v (%s); want %s", err, got, want)
	}
}

// certificate is one for localhost, and who trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost", "name.example"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
