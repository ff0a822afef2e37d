package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	eventBytes  = 200
	batchEvents = 500
	partitions  = 4
)

// flow is how fast events went and what each side used.
type flow struct {
	events         int64
	took           time.Duration
	client, server time.Duration // processor time
}

func (b *bench) say(client, what, log string, f flow) {
	per := func(d time.Duration) string {
		return fmt.Sprintf("%.2f", float64(d.Microseconds())/float64(max(f.events, 1)))
	}
	b.row(client, what, log, thousands(float64(f.events)/f.took.Seconds()), per(f.client), per(f.server))
}

// amqp sends and receives with both SDKs, with the log on the disk and in memory.
func (b *bench) amqp(ctx context.Context) error {
	b.row("client", "", "log", "events/s", "CPU of the client", "of the program")
	for _, place := range []struct{ dir, fsync, name string }{{"", "always", "disk, fsync"}, {b.memory, "none", "memory"}} {
		p, err := b.start(ctx, place.dir, place.fsync)
		if err != nil {
			return err
		}
		err = b.goSDK(ctx, p, place.name)
		if err == nil && b.js != "" {
			err = b.jsSDK(ctx, p, place.name)
		}
		if err = errors.Join(err, p.close()); err != nil {
			return err
		}
	}
	return nil
}

// goSDK: a producer and a consumer of each partition, at first one alone.
func (b *bench) goSDK(ctx context.Context, p *program, log string) error {
	for _, n := range []int{1, partitions} {
		hub := fmt.Sprintf("go%d", n)
		if err := p.makeHub(ctx, hub, n); err != nil {
			return err
		}
		var sent, received atomic.Int64
		f, err := b.timed(ctx, p, n, &sent, func(ctx context.Context, i int) error { return sendGo(ctx, p, hub, i, &sent) })
		if err != nil {
			return err
		}
		b.say(fmt.Sprintf("Go, %d connections", n), "in", log, f)
		all := sent.Load()
		whole, stop := context.WithCancel(ctx)
		f, err = b.timed(whole, p, n, &received, func(ctx context.Context, i int) error {
			return receiveGo(ctx, p, hub, i, func(k int) {
				if received.Add(int64(k)) >= all {
					stop()
				}
			})
		})
		stop()
		if err != nil {
			return err
		}
		b.say(fmt.Sprintf("Go, %d connections", n), "out", log, f)
	}
	return nil
}

// timed runs n workers until the time is over or ctx ends, and measures what they count.
func (b *bench) timed(ctx context.Context, p *program, n int, count *atomic.Int64, work func(ctx context.Context, i int) error) (flow, error) {
	ctx, stop := context.WithTimeout(ctx, b.span)
	defer stop()
	server, err := p.cpu()
	if err != nil {
		return flow{}, err
	}
	client, began := ownCPU(), time.Now()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := work(ctx, i); err != nil && ctx.Err() == nil {
				errs[i] = err
				stop()
			}
		})
	}
	<-ctx.Done()
	f := flow{events: count.Load(), took: time.Since(began), client: ownCPU() - client}
	after, err := p.cpu()
	f.server = after - server
	wg.Wait()
	return f, errors.Join(append(errs, err)...)
}

func sendGo(ctx context.Context, p *program, hub string, partition int, sent *atomic.Int64) error {
	c, err := azeventhubs.NewProducerClientFromConnectionString(p.connection, hub, nil)
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	id, body := strconv.Itoa(partition), make([]byte, eventBytes)
	for ctx.Err() == nil {
		batch, err := c.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &id})
		if err != nil {
			return err
		}
		for range batchEvents {
			if err := batch.AddEventData(&azeventhubs.EventData{Body: body}, nil); err != nil {
				return err
			}
		}
		if err := c.SendEventDataBatch(ctx, batch, nil); err != nil {
			return err
		}
		sent.Add(batchEvents)
	}
	return nil
}

func receiveGo(ctx context.Context, p *program, hub string, partition int, got func(n int)) error {
	c, err := azeventhubs.NewConsumerClientFromConnectionString(p.connection, hub, azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	earliest := true
	pc, err := c.NewPartitionClient(strconv.Itoa(partition), &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: &earliest}, Prefetch: 5000})
	if err != nil {
		return err
	}
	defer pc.Close(context.Background())
	for ctx.Err() == nil {
		wait, stop := context.WithTimeout(ctx, time.Second)
		list, err := pc.ReceiveEvents(wait, batchEvents, nil)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		got(len(list))
	}
	return nil
}

// jsSDK: one process of node, which sends to and receives from all partitions.
func (b *bench) jsSDK(ctx context.Context, p *program, log string) error {
	if err := p.makeHub(ctx, "js", partitions); err != nil {
		return err
	}
	for _, what := range []string{"in", "out"} {
		server, err := p.cpu()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "node", "bench.mjs", what)
		cmd.Dir, cmd.Stderr = b.js, os.Stderr
		cmd.Env = append(os.Environ(), "WEIR_BENCH="+fmt.Sprintf(`{"connection":%q,"hub":"js","span":%d,"bytes":%d,"batch":%d}`, p.connection, b.span.Milliseconds(), eventBytes, batchEvents))
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("node bench.mjs: %w; make peers installs the clients", err)
		}
		var said struct{ Events, Millis, CPU int64 }
		if err := json.Unmarshal(out, &said); err != nil {
			return fmt.Errorf("node bench.mjs says %q: %w", out, err)
		}
		after, err := p.cpu()
		if err != nil {
			return err
		}
		b.say("JavaScript", what, log, flow{said.Events, time.Duration(said.Millis) * time.Millisecond, time.Duration(said.CPU) * time.Microsecond, after - server})
	}
	return nil
}
