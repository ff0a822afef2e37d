package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
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
