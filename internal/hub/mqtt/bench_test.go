package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/log"
)

// onDisk is a server whose hub is on a real disk.
func onDisk(b *testing.B, fsync log.Fsync) *world {
	b.Helper()
	w := &world{t: b, log: &texts{}}
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if w.broker, err = hub.Open(hub.Options{FS: fs, Fsync: fsync}); err != nil {
		b.Fatal(err)
	}
	if _, err := w.broker.Create(hub.Config{Name: "iothub"}); err != nil {
		b.Fatal(err)
	}
	w.s = New(Options{Broker: w.broker})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	w.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = w.s.Serve(context.Background(), c) })
		}
	})
	b.Cleanup(func() {
		l.Close()
		w.s.Close()
		all.Wait()
		if err := w.broker.Close(); err != nil {
			b.Error(err)
		}
	})
	return w
}

// light is a device that needs little of the machine: it sends the same packet each time.
type light struct {
	c      net.Conn
	r      *bufio.Reader
	packet []byte
	at     int // of the packet id
}

func (w *world) light(id string, body int) *light {
	w.t.Helper()
	c := w.raw()
	if err := c.SetDeadline(time.Time{}); err != nil {
		w.t.Fatal(err)
	}
	pk := packets.Packet{ProtocolVersion: 4, FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: id,
			UsernameFlag: true, Username: []byte("localhost/" + id + "/?api-version=2021-04-12"),
			PasswordFlag: true, Password: []byte(w.deviceToken(id, in(time.Hour)))}}
	var b bytes.Buffer
	if err := pk.ConnectEncode(&b); err != nil {
		w.t.Fatal(err)
	}
	mustWrite(w.t, c, b.Bytes())
	var ack [4]byte
	if _, err := io.ReadFull(c, ack[:]); err != nil || ack[3] != 0 {
		w.t.Fatalf("CONNACK %x %v", ack, err)
	}
	topic := "devices/" + id + "/messages/events/"
	pub := packets.Packet{ProtocolVersion: 4, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: topic, PacketID: 1, Payload: make([]byte, body)}
	var p bytes.Buffer
	if err := pub.PublishEncode(&p); err != nil {
		w.t.Fatal(err)
	}
	return &light{c, bufio.NewReader(c), p.Bytes(), bytes.Index(p.Bytes(), []byte(topic)) + len(topic)}
}

func (l *light) send(id uint16) error {
	binary.BigEndian.PutUint16(l.packet[l.at:], id)
	_, err := l.c.Write(l.packet)
	return err
}

func (l *light) ack() (uint16, error) {
	var b [4]byte
	_, err := io.ReadFull(l.r, b[:])
	return binary.BigEndian.Uint16(b[2:]), err
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDevices has 1,000 devices send 10 messages of 200 bytes a second each, and
// measures how long they wait for PUBACK. The CPU is that of the devices too. Run it with
// -benchtime=100000x for 10 seconds.
func BenchmarkDevices(b *testing.B) {
	for _, fsync := range []log.Fsync{log.Always, log.Interval} {
		b.Run("fsync="+string(fsync), func(b *testing.B) { devices(b, fsync) })
	}
}

func devices(b *testing.B, fsync log.Fsync) {
	const devices, pause = 1000, 100 * time.Millisecond
	w := onDisk(b, fsync)
	list := make([]*light, devices)
	for i := range list {
		list[i] = w.light(fmt.Sprintf("dev-%d", i), 200)
	}
	each := max(b.N/devices, 1)
	waits := make([][]time.Duration, devices)
	var all sync.WaitGroup
	b.ResetTimer()
	began, used := time.Now(), cpu()
	for i, d := range list {
		first := began.Add(pause * time.Duration(i) / devices)
		sent := make([]time.Time, each+1)
		var mu sync.Mutex
		all.Go(func() {
			for n := 1; n <= each; n++ {
				time.Sleep(time.Until(first.Add(time.Duration(n-1) * pause)))
				mu.Lock()
				sent[n] = time.Now()
				mu.Unlock()
				if err := d.send(uint16(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for range each {
				id, err := d.ack()
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				waits[i] = append(waits[i], time.Since(sent[id]))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	took, used := time.Since(began), cpu()-used
	b.StopTimer()
	flat := slices.Concat(waits...)
	slices.Sort(flat)
	at := func(p float64) float64 { return float64(flat[int(p*float64(len(flat)-1))].Microseconds()) / 1000 }
	b.ReportMetric(float64(len(flat))/took.Seconds(), "msg/s")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(float64(used.Microseconds())/float64(len(flat)), "cpu-µs/msg")
	b.ReportMetric(used.Seconds()/took.Seconds(), "cores")
}

// BenchmarkOneDevice has one device send as fast as it may have messages unacknowledged.
func BenchmarkOneDevice(b *testing.B) {
	for _, window := range []int{1, 20, 1000} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			w := onDisk(b, log.Always)
			d := w.light("dev", 200)
			free := make(chan struct{}, window)
			var all sync.WaitGroup
			b.ResetTimer()
			all.Go(func() {
				for range b.N {
					if _, err := d.ack(); err != nil {
						b.Error(err)
						return
					}
					<-free
				}
			})
			for i := range b.N {
				free <- struct{}{}
				if err := d.send(uint16(i%60000 + 1)); err != nil {
					b.Fatal(err)
				}
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkIdle says how much memory a connection needs that does nothing.
func BenchmarkIdle(b *testing.B) {
	w := onDisk(b, log.Always)
	before := heap()
	list := make([]*light, b.N)
	for i := range list {
		list[i] = w.light(fmt.Sprintf("dev-%d", i), 10)
	}
	b.ReportMetric(float64(heap()-before)/float64(b.N)/1024, "KiB/conn")
	for _, l := range list {
		l.c.Close()
	}
}

// heap is the bytes of the heap and of the stacks that are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
