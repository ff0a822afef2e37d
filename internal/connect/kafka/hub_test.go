package kafka

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/hub"
	server "weir/internal/hub/kafka"
	"weir/internal/hub/sas"
)

// ownHub is Weir's own Kafka endpoint, reached with a connection string as Event Hubs' is.
func ownHub(t testing.TB) *cluster {
	t.Helper()
	b, err := hub.Open(hub.Options{FS: disk.NewMem(1).Boot()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Broker: b, AutoCreate: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() { _ = s.Serve(context.Background(), nc) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.Close()
		served.Wait()
		b.Close()
	})
	rule := b.Rules("")[0]
	text := sas.ConnectionString{Host: "127.0.0.1", KeyName: rule.Name, Key: rule.Primary, Development: true}.Build()
	c := &cluster{t: t, addrs: []string{ln.Addr().String()}, prefix: "t-",
		given: map[string]any{"connection_string": connect.NewHidden(text)},
		opts:  []kgo.Opt{kgo.SASL(plain.Auth{User: stringUser, Pass: text}.AsMechanism())}}
	c.connect()
	return c
}

// TestOwnHub: Weir's own Kafka endpoint has no transactions, so rows come at least once, and are
// read exactly once.
func TestOwnHub(t *testing.T) {
	t.Parallel()
	c := ownHub(t)
	topic := c.topic(1)
	o := c.mustWrite(topic, nil, nil)
	if last, err := o.Committed(context.Background()); last != -1 || err != nil {
		t.Errorf("committed is %d, %v", last, err)
	}
	rows := connecttest.Rows(1, 300)
	o.write(1, rows[:100])
	o.commit(1)
	o.write(2, rows[100:])
	o.commit(2)
	c.shows(topic, rows)
	if _, err := c.writing(topic, nil, map[string]any{"transactional": "on"}); !connect.IsPermanent(err) {
		t.Errorf("with transactions: %v", err)
	}
	t.Run("source", func(t *testing.T) {
		connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
			topic := c.topic(1)
			f := &connecttest.Feed{Rows: connecttest.Rows(1, 100)}
			f.Add = func(rows []connecttest.Row) error { return c.putRows(topic, rows) }
			f.Open = func(env connect.SourceEnv) (connect.Source, error) {
				return openSource(context.Background(), c.config(topic, map[string]any{"consumer_group": "weir"}), env)
			}
			if err := f.Add(f.Rows); err != nil {
				t.Fatal(err)
			}
			return f
		}}.Run(t)
	})
}
