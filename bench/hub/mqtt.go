package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// perDevice is how often a device sends.
const perDevice = 100 * time.Millisecond

// inFlight is how many messages of a device may wait for their acknowledgement.
const inFlight = 50

// publish is a message that was sent, and when it should have been.
type publish struct {
	at    time.Time
	token mqtt.Token
}

// mqtt has devices send ten messages a second each, by a clock, whether the one before is
// acknowledged or not; a delay begins when the message should have been sent.
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
		sent := make(chan publish, inFlight)
		first := began.Add(perDevice * time.Duration(i) / time.Duration(b.devs)) // spread
		wg.Go(func() {
			defer close(sent)
			for at := first; at.Before(began.Add(b.span)) && ctx.Err() == nil; at = at.Add(perDevice) {
				time.Sleep(time.Until(at))
				sent <- publish{at, c.Publish("hubs/devices/messages/kind=bench", 1, false, make([]byte, eventBytes))}
			}
		})
		wg.Go(func() {
			for p := range sent {
				if p.token.Wait(); p.token.Error() != nil {
					errs[i] = p.token.Error()
				}
				delays[i] = append(delays[i], time.Since(p.at))
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
