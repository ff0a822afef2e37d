package fluent

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"weir/internal/disk"
	"weir/internal/hub"
)

// accessLog is an entry of a web server's log, about 250 bytes.
func accessLog(b testing.TB, i int) []byte {
	b.Helper()
	e := eventTime([]byte{0x92}, 1400000000, uint32(i))
	e, err := msgp.AppendIntf(e, map[string]any{"remote": "192.0.2.17", "host": "-", "user": "-", "method": "GET",
		"path": fmt.Sprintf("/articles/%d?page=2&sort=date", i), "code": int64(200), "size": int64(5120 + i), "referer": "https://example.org/",
		"agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)", "took": 0.0125})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkForward sends chunks of 1,000 events with ids to a hub on a real disk, each chunk
// when the one before is acknowledged, over 1 or 4 connections.
func BenchmarkForward(b *testing.B) {
	const each = 1000
	var packed []byte
	for i := range each {
		packed = append(packed, accessLog(b, i)...)
	}
	zipped := gzipped(b, packed)
	for _, mode := range []string{"packed", "gzip"} {
		for _, connections := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/connections=%d", mode, connections), func(b *testing.B) {
				addr := onDisk(b)
				b.ReportAllocs()
				b.ResetTimer()
				var all sync.WaitGroup
				for n := range connections {
					all.Go(func() {
						c, err := net.Dial("tcp", addr)
						if err != nil {
							b.Error(err)
							return
						}
						defer c.Close()
						r := msgp.NewReader(c)
						for i := range b.N {
							id := fmt.Sprintf("%d/%d", n, i)
							m := packedForward("access", packed, "chunk", id)
							if mode == "gzip" {
								m = packedForward("access", zipped, "chunk", id, "compressed", "gzip")
							}
							if _, err := c.Write(m); err != nil {
								b.Error(err)
								return
							}
							if err := r.Skip(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				events := float64(each * connections * b.N)
				b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
				b.SetBytes(int64(len(packed) * connections))
			})
		}
	}
}

func onDisk(b *testing.B) string {
	b.Helper()
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	broker, err := hub.Open(hub.Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := broker.Create(hub.Config{Name: "logs"}); err != nil {
		b.Fatal(err)
	}
	s := New(Options{Broker: broker, Hub: "logs"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = s.Serve(context.Background(), c) })
		}
	})
	b.Cleanup(func() {
		l.Close()
		s.Close()
		all.Wait()
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

// BenchmarkEncode makes messages of events, without a hub.
func BenchmarkEncode(b *testing.B) {
	e := accessLog(b, 1)
	c := &chunk{tag: "access", packed: e}
	l := &Limits{}
	l.complete()
	enc := newEncoder(&Options{}, c.tag, &room{})
	var out []byte
	b.SetBytes(int64(len(e)))
	b.ReportAllocs()
	for b.Loop() {
		it := entries{c: c, l: l, buf: c.packed, all: true}
		at, record, err := it.next()
		if err != nil || at.IsZero() {
			b.Fatal(err)
		}
		out = enc.append(out[:0], at, record)
	}
}
