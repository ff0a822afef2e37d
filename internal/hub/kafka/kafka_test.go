package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/internal/disk"
	"weir/internal/hub"
)

// site is a broker with a Kafka port, for clients over TCP.
type site struct {
	t      testing.TB
	broker *hub.Broker
	server *Server
	addr   string
	log    *logText
	ln     net.Listener
	served sync.WaitGroup
	fs     disk.FS
	skip   atomic.Int64 // how far the broker's clock is ahead, in nanoseconds
	ended  chan error   // why connections have ended
}

// logText keeps what is logged.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	s := &site{t: t, ended: make(chan error, 100)}
	s.start(o, "127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

// open opens broker and server, without a port.
func (s *site) open(o Options) {
	s.t.Helper()
	if s.fs == nil {
		s.fs = disk.NewMem(1).Boot()
	}
	now := func() time.Time { return time.Now().Add(time.Duration(s.skip.Load())) }
	var err error
	if s.broker, err = hub.Open(hub.Options{FS: s.fs, Now: now}); err != nil {
		s.t.Fatal(err)
	}
	s.log = &logText{}
	o.Broker = s.broker
	o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	if s.server, err = New(o); err != nil {
		s.t.Fatal(err)
	}
}

// start opens all and listens on a port.
func (s *site) start(o Options, addr string) {
	s.t.Helper()
	s.open(o)
	var err error
	if s.ln, err = net.Listen("tcp", addr); err != nil {
		s.t.Fatal(err)
	}
	s.addr = s.ln.Addr().String()
	s.served.Go(func() {
		for {
			nc, err := s.ln.Accept()
			if err != nil {
				return
			}
			s.served.Go(func() {
				err := s.server.Serve(context.Background(), nc)
				select {
				case s.ended <- err:
				default:
				}
			})
		}
	})
}

func (s *site) stop() {
	s.ln.Close()
	s.shut()
}

// shut closes server and broker, of which nothing may be left.
func (s *site) shut() {
	s.server.Close()
	s.served.Wait()
	if n := s.server.Stats(); n.Connections != 0 || n.InMemory != 0 || n.OutMemory != 0 || s.server.open.n.Load() != 0 {
		s.t.Errorf("the server is closed and has %+v, %d readers", n, s.server.open.n.Load())
	}
	if err := s.broker.Close(); err != nil {
		s.t.Error(err)
	}
}

// restart closes broker and server and opens them again on the same port.
func (s *site) restart(o Options) {
	s.t.Helper()
	s.stop()
	s.start(o, s.addr)
}

// why is why the next connection has ended that was not asked for yet.
func (s *site) why() string {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return fmt.Sprint(err)
	case <-time.After(20 * time.Second):
		s.t.Fatal("no connection ends")
	}
	return ""
}

// hub makes a hub.
func (s *site) hub(name string, partitions int) *hub.Hub {
	s.t.Helper()
	h, err := s.broker.Create(hub.Config{Name: name, Partitions: partitions})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// key is the primary key of the namespace.
func (s *site) key() string { return s.broker.Rules("")[0].Primary }

// client makes a client that is let in with all rights.
func (s *site) client(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	return s.clientAs(hub.RootRule, s.key(), opts...)
}

func (s *site) clientAs(user, password string, opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(s.addr), kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()), kgo.RetryTimeout(5 * time.Second)}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}

func patience(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// fetch reads records until there are n.
func fetch(t *testing.T, cl *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx := patience(t)
	var got []*kgo.Record
	for len(got) < n {
		f := cl.PollFetches(ctx)
		for _, e := range f.Errors() {
			t.Fatalf("after %d of %d records: %s/%d: %v", len(got), n, e.Topic, e.Partition, e.Err)
		}
		got = append(got, f.Records()...)
	}
	return got
}

func TestProduceAndConsume(t *testing.T) {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		for _, idempotent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/idempotent=%v", name, idempotent), func(t *testing.T) {
				s := newSite(t, Options{})
				s.hub("Orders", 3)
				opts := []kgo.Opt{kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(codec)}
				if !idempotent {
					opts = append(opts, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
				}
				cl := s.client(opts...)
				var want []*kgo.Record
				for i := range 500 {
					r := kgo.StringRecord(fmt.Sprintf("value %d %s", i, strings.Repeat("x", i)))
					if i%3 > 0 {
						r.Key = fmt.Appendf(nil, "key %d", i)
					}
					if i%2 == 0 {
						r.Headers = []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}, {Key: "binary", Value: []byte{0xff, 0, 0xfe}}, {Key: "null"}}
					}
					if i%7 == 0 {
						r.Value = nil
					}
					want = append(want, r)
				}
				for _, r := range cl.ProduceSync(patience(t), want...) {
					if r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				reader := s.client(kgo.ConsumeTopics("Orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
				got := fetch(t, reader, len(want))
				type place struct {
					partition int32
					offset    int64
				}
				byPlace := map[place]*kgo.Record{}
				for _, r := range got {
					byPlace[place{r.Partition, r.Offset}] = r
				}
				for i, w := range want {
					g := byPlace[place{w.Partition, w.Offset}]
					if g == nil {
						t.Fatalf("record %d, which was acknowledged at %d/%d, is not there", i, w.Partition, w.Offset)
					}
					if string(g.Key) != string(w.Key) || (g.Key == nil) != (w.Key == nil) || string(g.Value) != string(w.Value) || (g.Value == nil) != (w.Value == nil) || fmt.Sprint(g.Headers) != fmt.Sprint(w.Headers) {
						t.Errorf("record %d: %q %q %v; want %q %q %v", i, g.Key, g.Value, g.Headers, w.Key, w.Value, w.Headers)
					}
					if g.Timestamp.IsZero() || g.Attrs.TimestampType() != 1 {
						t.Errorf("record %d has the time %v of kind %d", i, g.Timestamp, g.Attrs.TimestampType())
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d records; want %d", len(got), len(want))
				}
			})
		}
	}
}
