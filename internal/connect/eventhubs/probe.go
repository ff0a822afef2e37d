package eventhubs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
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
	hint := hints[kindOf(err)]
	text := strings.TrimSuffix(at.failed(false, doing, err).Error(), "; "+hint)
	if hint == "" {
		hint = "check the namespace, the network on the way to it, and the port"
	}
	return []connect.Problem{{Text: text, Hint: hint}}
}

// tryInput asks for the partitions and receives from the first one.
func tryInput(ctx context.Context, at *endpoint) error {
	s := &source{at: at, clock: time.Now}
	s.events.make, s.asks.make = at.consumer, at.producer
	defer s.Close()
	if err := s.list(ctx); err != nil {
		return err
	}
	part := s.parts[0]
	x, err := s.extent(ctx, part)
	if err != nil {
		return err
	}
	client, err := s.events.get()
	if err != nil {
		return err
	}
	start := azeventhubs.StartPosition{Earliest: new(bool)}
	*start.Earliest = true
	p, err := client.NewPartitionClient(part, &azeventhubs.PartitionClientOptions{StartPosition: start, Prefetch: 1})
	if err != nil {
		return err
	}
	defer shut(p)
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
	p.sends.make = at.producer
	defer p.Close()
	_, err := p.open(ctx, c.Text("routing") == routeClient)
	return err
}
