package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How many messages of an appender are on their way at a time: JetStream acknowledges each
// message, so an appender that waits for each would measure the way and not the disk.
const (
	eventWindow = 200
	batchWindow = 16
	oneByOne    = 1
)

// subject is what all messages are published to.
const subject = "events"

// jetstreams are the ways to give batches to JetStream: a message for each event; a message
// for each batch, which the reader has to take apart itself; and JetStream's atomic batches,
// which are acknowledged as one.
func jetstreams() []engine {
	var list []engine
	for _, mode := range []struct {
		always bool
		text   string
	}{{true, "before the acknowledgement"}, {false, "every 2 min (default)"}} {
		for _, way := range []struct {
			name   string
			append func(*server.Server, *atomic.Int64, *atomic.Bool) error
		}{
			{"jetstream, message an event, window of 200", publishEvents},
			{"jetstream, message a batch, window of 16", publishBatches(batchWindow)},
			{"jetstream, message a batch, one by one", publishBatches(oneByOne)},
			{"jetstream, atomic batches, one by one", publishAtomic},
		} {
			list = append(list, engine{name: way.name, sync: mode.text, open: func(dir string) (func(*atomic.Int64, *atomic.Bool) error, func() error, error) {
				s, err := startNATS(dir, mode.always)
				if err != nil {
					return nil, nil, err
				}
				return func(acked *atomic.Int64, stop *atomic.Bool) error { return way.append(s, acked, stop) }, func() error { stopNATS(s); return nil }, nil
			}})
		}
	}
	return list
}

// startNATS starts a server without a port, with one stream in files.
func startNATS(dir string, always bool) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, SyncAlways: always, DontListen: true, NoLog: true, NoSigs: true, MaxPayload: 8 << 20})
	if err != nil {
		return nil, err
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the NATS server has not started")
	}
	c, js, err := connect(s, 0, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_, err = js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "bench", Subjects: []string{subject}, Storage: jetstream.FileStorage,
		AllowAtomicPublish: true, MaxBytes: 1 << 30, Discard: jetstream.DiscardOld})
	return s, err
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(s *server.Server, window int, failed *atomic.Pointer[error]) (*nats.Conn, jetstream.JetStream, error) {
	c, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, nil, err
	}
	var options []jetstream.JetStreamOpt
	if window > 0 {
		options = append(options, jetstream.WithPublishAsyncMaxPending(window),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.CompareAndSwap(nil, &err) }))
	}
	js, err := jetstream.New(c, options...)
	return c, js, err
}

// publishEvents publishes each event as a message, with a window of them.
func publishEvents(s *server.Server, acked *atomic.Int64, stop *atomic.Bool) error {
	return publish(s, event(0), 1, eventWindow, acked, stop)
}

// publishBatches publishes batches as a message each, so many of them at a time.
func publishBatches(window int) func(*server.Server, *atomic.Int64, *atomic.Bool) error {
	return func(s *server.Server, acked *atomic.Int64, stop *atomic.Bool) error {
		var b []byte
		for i := range batchEvents {
			b = append(append(b, eventBytes), event(i)...)
		}
		return publish(s, b, batchEvents, window, acked, stop)
	}
}

func publish(s *server.Server, message []byte, events int64, window int, acked *atomic.Int64, stop *atomic.Bool) error {
	var failed atomic.Pointer[error]
	c, js, err := connect(s, window, &failed)
	if err != nil {
		return err
	}
	defer c.Close()
	waiting := make([]jetstream.PubAckFuture, window) // a ring
	first, next := 0, 0                               // of it
	// settle takes the oldest acknowledgement, and waits for it if it must. It tells whether
	// there was one.
	settle := func(must bool) (bool, error) {
		f := waiting[first%window]
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return false, err
		default:
			if !must {
				return false, nil
			}
			select {
			case <-f.Ok():
			case err := <-f.Err():
				return false, err
			case <-time.After(30 * time.Second):
				return false, errors.New("no acknowledgement within 30 s")
			}
		}
		acked.Add(events)
		first++
		return true, nil
	}
	drain := func(must bool) error {
		for first < next {
			if ok, err := settle(must); err != nil || !ok {
				return err
			}
		}
		return nil
	}
	for !stop.Load() {
		if err := drain(false); err != nil {
			return err
		}
		if next-first == window {
			if _, err := settle(true); err != nil {
				return err
			}
		}
		if waiting[next%window], err = js.PublishAsync(subject, message); err != nil {
			return err
		}
		next++
	}
	return drain(true)
}

// publishAtomic publishes batches that are stored and acknowledged as a whole.
func publishAtomic(s *server.Server, acked *atomic.Int64, stop *atomic.Bool) error {
	c, _, err := connect(s, 0, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	e, id := event(0), nats.NewInbox()
	for n := 0; !stop.Load(); n++ {
		for i := range batchEvents {
			m := nats.NewMsg(subject)
			m.Data = e
			m.Header["Nats-Batch-Id"] = []string{id[len(id)-22:] + strconv.Itoa(n)}
			m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
			if i < batchEvents-1 {
				if err := c.PublishMsg(m); err != nil {
					return err
				}
				continue
			}
			m.Header["Nats-Batch-Commit"] = []string{"1"}
			answer, err := c.RequestMsg(m, 30*time.Second)
			if err != nil {
				return err
			}
			if err := ackError(answer.Data); err != nil {
				return err
			}
		}
		acked.Add(batchEvents)
	}
	return nil
}

// fillNATS publishes what readNATS reads.
func fillNATS(s *server.Server) error {
	var acked atomic.Int64
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() { done <- publishEvents(s, &acked, &stop) }()
	for acked.Load() < readEventsNATS {
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop.Store(true)
	return <-done
}

// readNATS reads the stream from its start with an ordered consumer.
func readNATS(s *server.Server, events int64) error {
	c, js, err := connect(s, 0, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := context.Background()
	consumer, err := js.OrderedConsumer(ctx, "bench", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(10_000))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for n := int64(0); n < events; n++ {
		m, err := messages.Next()
		if err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
		if len(m.Data()) != eventBytes {
			return fmt.Errorf("message %d has %d bytes", n, len(m.Data()))
		}
	}
	return nil
}
