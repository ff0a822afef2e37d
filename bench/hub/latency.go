package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// latency sends an event, waits until the receiver has it, and pauses, so that nothing but
// the way is measured.
func (b *bench) latency(ctx context.Context) (err error) {
	p, err := b.start(ctx, "", "always")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.makeHub(ctx, "latency", 1); err != nil {
		return err
	}
	out, err := azeventhubs.NewProducerClientFromConnectionString(p.connection, "latency", nil)
	if err != nil {
		return err
	}
	defer out.Close(context.Background())
	in, err := azeventhubs.NewConsumerClientFromConnectionString(p.connection, "latency", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		return err
	}
	defer in.Close(context.Background())
	earliest, zero := true, "0"
	pc, err := in.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
	if err != nil {
		return err
	}
	defer pc.Close(context.Background())
	alone, err := os.Create(filepath.Join(p.dir, "alone"))
	if err != nil {
		return err
	}
	defer alone.Close()
	var way, ack, bare []time.Duration
	for i := 0; i < 20+int(b.span/(10*time.Millisecond)); i++ {
		batch, err := out.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &zero})
		if err == nil {
			err = batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, eventBytes)}, nil)
		}
		if err != nil {
			return err
		}
		began := time.Now()
		acked := make(chan error, 1)
		var took time.Duration
		go func() {
			err := out.SendEventDataBatch(ctx, batch, nil)
			took = time.Since(began)
			acked <- err
		}()
		if _, err := pc.ReceiveEvents(ctx, 1, nil); err != nil {
			return err
		}
		d := time.Since(began)
		if err := <-acked; err != nil {
			return err
		}
		if i >= 20 { // links are open by then
			way, ack = append(way, d), append(ack, took)
		}
		// The same disk in the same moments: what a write of as many bytes and its fsync take.
		began = time.Now()
		if _, err := alone.Write(make([]byte, eventBytes)); err != nil {
			return err
		}
		if err := alone.Sync(); err != nil {
			return err
		}
		bare = append(bare, time.Since(began))
		time.Sleep(5 * time.Millisecond)
	}
	slices.Sort(way)
	slices.Sort(ack)
	slices.Sort(bare)
	b.row("", "p50", "p99", "most", "of")
	for _, r := range []struct {
		name string
		d    []time.Duration
	}{{"publish to receiver", way}, {"publish to acknowledgement", ack}, {"a write and an fsync alone", bare}} {
		b.row(r.name, ms(quantile(r.d, 0.5)), ms(quantile(r.d, 0.99)), ms(r.d[len(r.d)-1]), fmt.Sprint(len(r.d)))
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// perDevice is how often a device sends.
const perDevice = 100 * time.Millisecond

// mqtt has devices send ten messages a second each, by a clock: one that falls behind sends
// late, which counts in its delay.
func (b *bench) mqtt(ctx context.Context) (err error) {
	p, err := b.start(ctx, "", "always")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.makeHub(ctx, "devices", partitions); err != nil {
		return err
	}
	clients := make([]mqtt.Client, b.devs)
	for i := range clients {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + p.mqtt).SetClientID(fmt.Sprintf("device-%d", i)).SetUsername(p.keyName).SetPassword(p.key).SetAutoReconnect(false)
		clients[i] = mqtt.NewClient(o)
		if t := clients[i].Connect(); t.Wait() && t.Error() != nil {
			return t.Error()
		}
		defer clients[i].Disconnect(0)
	}
	resident, err := p.resident()
	if err != nil {
		return err
	}
	delays := make([][]time.Duration, b.devs)
	errs := make([]error, b.devs)
	server, err := p.cpu()
	if err != nil {
		return err
	}
	client, began := ownCPU(), time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			next := began.Add(perDevice * time.Duration(i) / time.Duration(b.devs)) // spread
			for ; next.Before(began.Add(b.span)) && ctx.Err() == nil; next = next.Add(perDevice) {
				time.Sleep(time.Until(next))
				t := c.Publish("hubs/devices/messages/kind=bench", 1, false, make([]byte, eventBytes))
				if t.Wait(); t.Error() != nil {
					errs[i] = t.Error()
					return
				}
				delays[i] = append(delays[i], time.Since(next))
			}
		})
	}
	wg.Wait()
	took, client := time.Since(began), ownCPU()-client
	after, err := p.cpu()
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	all := slices.Concat(delays...)
	slices.Sort(all)
	b.row("devices", "messages/s", "asked", "p50 to the acknowledgement", "p99", "CPU of the clients", "of the program", "program, MB")
	b.row(fmt.Sprint(b.devs), thousands(float64(len(all))/took.Seconds()), thousands(float64(b.devs)/perDevice.Seconds()), ms(quantile(all, 0.5)), ms(quantile(all, 0.99)),
		fmt.Sprintf("%.0f %%", 100*client.Seconds()/took.Seconds()), fmt.Sprintf("%.0f %%", 100*(after-server).Seconds()/took.Seconds()), fmt.Sprint(resident>>20))
	return nil
}
