package mqtt

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/disk"
	"weir/internal/hub"
)

// FuzzConnection sends bytes before CONNECT or, if their first one is odd, behind it. The
// connection must end with its peer, and no other one.
func FuzzConnection(f *testing.F) {
	broker, err := hub.Open(hub.Options{FS: disk.NewMem(1).Boot()})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := broker.Create(hub.Config{Name: "plain", Partitions: 1, RetentionBytes: 1 << 20}); err != nil {
		f.Fatal(err)
	}
	w := &world{t: f, broker: broker}
	s := New(Options{Broker: broker})
	f.Cleanup(func() {
		s.Close()
		if err := broker.Close(); err != nil {
			f.Error(err)
		}
	})
	connect := map[byte][]byte{
		4: w.connect5("", w.root().Name, w.root().Primary, func(pk *packets.Packet) { pk.ProtocolVersion = 4 }),
		5: w.connect5("c", w.root().Name, w.root().Primary, nil),
	}
	f.Add(connect[4])
	f.Add(append([]byte{1, 5}, publish5(f, "hubs/plain/messages/a=b", "x", 1, 7, func(pk *packets.Packet) {
		pk.Properties.User = []packets.UserProperty{{Key: "u", Val: "v"}}
		pk.Properties.ContentType = "t"
		pk.Properties.CorrelationData = []byte{1}
	})...))
	f.Add(append([]byte{1, 4}, 0x32, 24, 0, 19, 'h', 'u', 'b', 's', '/', 'p', 'l', 'a', 'i', 'n', '/', 'm', 'e', 's', 's', 'a', 'g', 'e', 's', 0, 1, 'x'))
	f.Add(append([]byte{1, 4}, 0x82, 22, 0, 1, 0, 17, 'h', 'u', 'b', 's', '/', 'p', 'l', 'a', 'i', 'n', '/', 'e', 'v', 'e', 'n', 't', 's', 1, 0xc0, 0, 0xe0, 0))
	f.Add([]byte{1, 5, 0x82, 3, 0, 1, 0, 0xa2, 5, 0, 1, 0, 0, 0, 0x40, 2, 0, 1, 0xf0, 2, 0x18, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var first []byte
		if len(b) > 1 && b[0]&1 == 1 {
			first, b = connect[4+b[1]&1], b[2:]
		}
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.Serve(context.Background(), theirs) }()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_ = ours.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(ours, io.MultiReader(bytes.NewReader(first), bytes.NewReader(b)))
		ours.Close()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Error("the connection has not ended")
		}
	})
}
