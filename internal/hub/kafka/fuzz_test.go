package kafka

import (
	"context"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/disk"
	"weir/internal/hub"
)

// FuzzConnection writes bytes to a connection that is let in. Whatever they are, the
// connection ends when they do, and leaves nothing behind.
func FuzzConnection(f *testing.F) {
	broker, err := hub.Open(hub.Options{FS: disk.NewMem(1).Boot(), MaxHubs: 10})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := broker.Create(hub.Config{Name: "hub", Partitions: 1}); err != nil {
		f.Fatal(err)
	}
	s, err := New(Options{Broker: broker, AllowAnonymous: true, AutoCreate: true,
		Limits: Limits{Request: 1 << 16, Produce: 1 << 16, Inflated: 1 << 16, Wait: time.Millisecond, Gather: time.Millisecond, Members: 5}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close(); broker.Close() })
	form := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))
	r := rand.New(rand.NewPCG(7, 8))
	for _, a := range apis {
		if a.request != nil {
			q := a.request()
			fill(r, reflect.ValueOf(q).Elem())
			q.SetVersion(a.max)
			f.Add(form.AppendRequest(nil, q, 1))
		}
	}
	f.Add(form.AppendRequest(form.AppendRequest(nil, produceOf(0, 1, batchOf(nil, "a")), 1), fetchOf(12, 0), 2))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<17 {
			return
		}
		client, server := newPipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Serve(context.Background(), server)
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, client)
		}()
		client.Write(b) // the server may have gone
		client.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the connection does not end")
		}
		<-read
		if n := s.Stats(); n.Connections != 0 || n.InMemory != 0 || n.OutMemory != 0 {
			t.Fatalf("%+v", n)
		}
	})
}
