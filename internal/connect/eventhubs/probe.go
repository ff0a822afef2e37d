package eventhubs

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/namespace"
)

// probeWait is how long a partition without events is listened to: what is wrong is said
// sooner.
const probeWait = 2 * time.Second

// probe implements connect.Spec.Probe.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	at, bad := endpointOf(c)
	if bad = append(bad, check(c, env.Input)...); len(bad) > 0 {
		return bad
	}
	doing := "open it for sending"
	err := error(nil)
	if env.Input {
		doing = "read it as the consumer group " + at.group
		err = tryInput(ctx, at)
	} else {
		err = tryOutput(ctx, c, at)
	}
	if err == nil {
		return nil
	}
	return []connect.Problem{at.Problem("event hub "+at.hub, doing, err, hints)}
}

// tryInput asks for the partitions and receives from the first one.
func tryInput(ctx context.Context, at *endpoint) error {
	s := &source{at: at, clock: time.Now}
	s.events.Make, s.asks.Make = at.consumer, at.producer
	defer s.Close()
	if err := s.list(ctx); err != nil {
		return err
	}
	part := s.parts[0]
	x, err := s.extent(ctx, part)
	if err != nil {
		return err
	}
	client, err := s.events.Get()
	if err != nil {
		return err
	}
	start := azeventhubs.StartPosition{Earliest: new(bool)}
	*start.Earliest = true
	p, err := client.NewPartitionClient(part, &azeventhubs.PartitionClientOptions{StartPosition: start, Prefetch: 1})
	if err != nil {
		return err
	}
	defer namespace.Shut(p)
	within := at.within
	if x.first == x.next {
		within = probeWait
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if _, err = p.ReceiveEvents(limited, 1, nil); x.first == x.next && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// tryOutput opens the link as the job does; nothing is sent.
func tryOutput(ctx context.Context, c connect.Config, at *endpoint) error {
	p := &publisher{at: at}
	p.sends.Make = at.producer
	defer p.Close()
	_, err := p.open(ctx, c.Text("routing") == routeClient)
	return err
}
