package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/service"
)

type recvCmd struct {
	eventHubFlags `embed:""`
	From          string `placeholder:"WHERE" help:"start, end, a time, -10m (write --from=-10m), seq:N or offset:X. Default: start, and end with --follow."`
	Partition     []int  `placeholder:"N" help:"Only these partitions; may be repeated."`
	Group         string `default:"$$Default" placeholder:"NAME" help:"The consumer group. Default ${default}."`
	Follow        bool   `short:"f" help:"Go on with what comes, until interrupted. Without it: what is there."`
	Max           int    `short:"n" placeholder:"N" help:"End after N events."`
	Where         string `placeholder:"CONDITION" help:"Only events for which it holds, as in a query."`
	Select        string `placeholder:"LIST" help:"These columns, as in a query. Default: all."`
	Properties    bool   `help:"Show partition, sequence number, offset, time, key and properties of each event beside its body."`
	Quiet         bool   `short:"q" help:"Say nothing but errors."`
}

// Help shows examples before the flags.
func (recvCmd) Help() string {
	return `Examples:
  weir recv downtime
  weir recv downtime --follow --where "TeamId = 'a'"
  weir recv downtime --from=-10m --properties
  weir recv alerts --from seq:1200 --partition 0 -n 10
  WEIR_CONNECTION="$(cat azure.txt)" weir recv clicks --follow --group audit

Events are a table on a terminal and JSON lines in a pipe. They are read over AMQP, with the
SDK of Event Hubs, from Weir or from Azure; nothing is committed. The order is kept within
each partition.`
}

// Run shows events until there are no more, enough, or it is interrupted.
func (c *recvCmd) Run(ctx context.Context, con *console) error {
	if c.Max < 0 {
		return usage("-n is at least 1")
	}
	start, err := c.start()
	if err != nil {
		return err
	}
	r := &receiver{recvCmd: c, con: con, begin: start, came: make(chan []received)}
	if c.Where != "" || c.Select != "" {
		if r.filter, err = newTapFilter(con, "event", c.Select, c.Where); err != nil {
			return err
		}
	}
	if r.hub, err = c.eventHub(ctx, "listen"); err != nil {
		return err
	}
	r.consumer, err = azeventhubs.NewConsumerClientFromConnectionString(r.hub.connection, r.hub.name, c.Group,
		&azeventhubs.ConsumerClientOptions{ApplicationID: "weir", TLSConfig: r.hub.tls, NewWebSocketConn: r.hub.dial, RetryOptions: sdkRetries})
	if err != nil {
		return r.hub.failure("receive from", err)
	}
	err = r.run(ctx)
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()
	_ = r.consumer.Close(closing) // it was only read
	return err
}

// startAt is where reading begins.
type startAt struct {
	position azeventhubs.StartPosition
	// reached reports whether a partition has nothing at or behind the place.
	reached func(p azeventhubs.PartitionProperties) bool
}

// start reads --from.
func (c *recvCmd) start() (startAt, error) {
	yes := true
	from := c.From
	if from == "" {
		if from = "start"; c.Follow {
			from = "end"
		}
	}
	kind, value, _ := strings.Cut(from, ":")
	switch {
	case from == "start":
		return startAt{azeventhubs.StartPosition{Earliest: &yes}, func(azeventhubs.PartitionProperties) bool { return false }}, nil
	case from == "end":
		return startAt{azeventhubs.StartPosition{Latest: &yes}, func(azeventhubs.PartitionProperties) bool { return true }}, nil
	case kind == "seq":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return startAt{}, usage("--from seq:%s: it is no sequence number", value)
		}
		return startAt{azeventhubs.StartPosition{SequenceNumber: &n, Inclusive: true},
			func(p azeventhubs.PartitionProperties) bool { return p.LastEnqueuedSequenceNumber < n }}, nil
	case kind == "offset":
		if value == "" {
			return startAt{}, usage("--from offset: needs an offset, as weir recv --properties shows them")
		}
		return startAt{azeventhubs.StartPosition{Offset: &value, Inclusive: true}, func(p azeventhubs.PartitionProperties) bool {
			n, err := strconv.ParseInt(value, 10, 64)
			last, e := strconv.ParseInt(p.LastEnqueuedOffset, 10, 64)
			return err == nil && e == nil && last < n
		}}, nil
	}
	at, err := service.StartAt(from, time.Now())
	if err != nil || at.At.IsZero() {
		return startAt{}, usage("--from %q: it is start, end, a time such as 2024-05-01T12:00:00Z, -10m, seq:N or offset:X", from)
	}
	t := at.At.UTC()
	return startAt{azeventhubs.StartPosition{EnqueuedTime: &t, Inclusive: true},
		func(p azeventhubs.PartitionProperties) bool {
			return p.LastEnqueuedOn.Before(t.Truncate(time.Millisecond))
		}}, nil
}

// receiver reads the partitions and shows what comes.
type receiver struct {
	*recvCmd
	con      *console
	hub      *eventHub
	consumer *azeventhubs.ConsumerClient
	begin    startAt
	filter   *tapFilter
	came     chan []received
	told     atomic.Bool // that the event hub is away
	seen     int         // events that came
	shown    int
	failed   int64
}

// received is an event of a partition.
type received struct {
	partition string
	event     *azeventhubs.ReceivedEventData
}

// run reads all partitions at once and shows what comes.
func (r *receiver) run(ctx context.Context) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts, err := r.partitions(reading)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, p := range parts {
		wg.Go(func() {
			if err := r.partition(reading, p); err != nil && reading.Err() == nil {
				cancel(err)
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wg.Wait()
	}()
	err = r.show(ended)
	cancel(nil)
	<-ended
	switch cause := context.Cause(reading); {
	case errors.Is(err, errEnough):
		err = nil
	case err == nil && ctx.Err() == nil && !errors.Is(cause, context.Canceled):
		err = cause
	}
	if r.shown == 0 && err == nil && ctx.Err() == nil && r.con.outTTY && !r.Quiet {
		fmt.Fprintln(r.con.err, r.con.paint(r.con.errColor, dim, r.nothing()))
	}
	if r.failed > 0 {
		fmt.Fprintf(r.con.err, "%s failed the filter: %s\n", plural(r.failed, "event"), r.filter.failure)
	}
	return err
}

// nothing says why nothing is shown.
func (r *receiver) nothing() string {
	switch {
	case r.seen > 0:
		return fmt.Sprintf("none of %s of %s is shown", plural(int64(r.seen), "event"), r.hub.name)
	case r.From == "" && len(r.Partition) == 0:
		return r.hub.name + " has no events"
	}
	return r.hub.name + " has no events there"
}

// partitions are those to be read.
func (r *receiver) partitions(ctx context.Context) ([]string, error) {
	p, err := r.consumer.GetEventHubProperties(ctx, nil)
	if err != nil {
		return nil, r.hub.failure("receive from", err)
	}
	if len(r.Partition) == 0 {
		return p.PartitionIDs, nil
	}
	var list []string
	for _, n := range r.Partition {
		id := strconv.Itoa(n)
		found := false
		for _, have := range p.PartitionIDs {
			found = found || have == id
		}
		if !found {
			return nil, usage("--partition %d: %s has 0 to %d", n, r.hub.name, len(p.PartitionIDs)-1)
		}
		list = append(list, id)
	}
	return list, nil
}

// receiveAtOnce is how many events are taken from a partition at a time at most.
const receiveAtOnce = 500

// partition reads a partition: to where it ends now, or for ever with --follow.
func (r *receiver) partition(ctx context.Context, id string) error {
	last := int64(-1)
	if !r.Follow {
		p, err := r.consumer.GetPartitionProperties(ctx, id, nil)
		if err != nil {
			return r.hub.failure("receive from", err)
		}
		if p.IsEmpty || r.begin.reached(p) {
			return nil
		}
		last = p.LastEnqueuedSequenceNumber
	}
	c, err := r.consumer.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{StartPosition: r.begin.position, Prefetch: 2 * receiveAtOnce})
	if err != nil {
		return r.hub.failure("receive from", err)
	}
	defer func() {
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer stop()
		_ = c.Close(closing) // it was only read
	}()
	for {
		list, err := r.receive(ctx, c)
		some := make([]received, 0, len(list))
		for _, e := range list {
			if r.Follow || e.SequenceNumber <= last {
				some = append(some, received{id, e})
			}
		}
		if len(some) > 0 {
			select {
			case r.came <- some:
			case <-ctx.Done():
				return nil
			}
		}
		if n := len(list); err == nil && !r.Follow && n > 0 && list[n-1].SequenceNumber >= last {
			return nil
		}
		if err != nil {
			if ctx.Err() != nil || !r.Follow || exitCodeOf(err) != exitAway {
				return err
			}
			r.away(ctx, err)
		}
	}
}

// away waits a while for an event hub that does not answer, and says so once.
func (r *receiver) away(ctx context.Context, err error) {
	if !r.told.Swap(true) && !r.Quiet {
		fmt.Fprintf(r.con.err, "%v; it is tried again\n", err)
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

// receiveFor is how long more events are waited for once there is one.
const receiveFor = 20 * time.Millisecond

// receive gives at least one event.
func (r *receiver) receive(ctx context.Context, c *azeventhubs.PartitionClient) ([]*azeventhubs.ReceivedEventData, error) {
	list, err := c.ReceiveEvents(ctx, 1, nil)
	if err == nil {
		soon, cancel := context.WithTimeout(ctx, receiveFor)
		defer cancel()
		more, e := c.ReceiveEvents(soon, receiveAtOnce-1, nil)
		list = append(list, more...)
		if soon.Err() == nil {
			err = e
		}
	}
	if err != nil && ctx.Err() == nil {
		return list, r.hub.failure("receive from", err)
	}
	if err == nil {
		err = ctx.Err()
	}
	return list, err
}

// show draws what comes until nobody reads any more.
func (r *receiver) show(ended <-chan struct{}) error {
	out := newTapPrinter(r.con)
	for {
		select {
		case list := <-r.came:
			err := r.print(out, list)
			if err == nil {
				err = out.flush()
			}
			if err != nil {
				return errors.Join(err, out.close())
			}
		case <-ended:
			return out.close()
		}
	}
}

// print shows events.
func (r *receiver) print(out *tapPrinter, list []received) error {
	for _, x := range list {
		r.seen++
		rows, failed, err := r.rows(x)
		r.failed += failed
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		if err := out.rows(rows); err != nil {
			return err
		}
		if r.shown++; r.Max > 0 && r.shown == r.Max {
			return errEnough
		}
	}
	return nil
}

// rows are what is shown of an event: its body or, of an array, its elements.
func (r *receiver) rows(x received) (rows []json.RawMessage, failed int64, err error) {
	rows = bodyRows(x.event.Body)
	if r.filter != nil {
		if rows, failed, err = r.filter.apply(rows); err != nil || len(rows) == 0 {
			return nil, failed, err
		}
	}
	if !r.Properties {
		return rows, failed, nil
	}
	body := json.RawMessage(nil)
	switch len(rows) {
	case 0:
	case 1:
		body = rows[0]
	default:
		if body, err = json.Marshal(rows); err != nil {
			return nil, failed, err
		}
	}
	e := x.event
	b, err := plainJSON(struct {
		Partition  string          `json:"partition"`
		Sequence   int64           `json:"sequence"`
		Enqueued   *time.Time      `json:"enqueued"`
		Key        *string         `json:"key,omitempty"`
		Body       json.RawMessage `json:"body,omitempty"` // before what a terminal may have no room for
		Properties map[string]any  `json:"properties,omitempty"`
		Offset     string          `json:"offset"`
		System     map[string]any  `json:"system,omitempty"`
	}{x.partition, e.SequenceNumber, e.EnqueuedTime, e.PartitionKey, body, e.Properties, e.Offset, e.SystemProperties})
	return []json.RawMessage{b}, failed, err
}
