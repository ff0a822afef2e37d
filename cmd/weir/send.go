package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/vec"
)

type sendCmd struct {
	eventHubFlags `embed:""`
	Files         []string          `arg:"" optional:"" placeholder:"FILE" help:"What to send. Default: standard input."`
	Format        string            `enum:"auto,lines,json,csv" default:"auto" placeholder:"FORMAT" help:"${enum}. lines: an event a line. json: the elements of arrays, or values one after another. csv: an object for each row. auto goes by the name and the first byte. Default ${default}."`
	Key           string            `placeholder:"FIELD" help:"The field of each event that is its partition key: events of one key stay in their order."`
	Partition     string            `placeholder:"N" help:"Send all to this partition, in their order."`
	Property      map[string]string `short:"p" placeholder:"K=V" help:"A property of every event; may be repeated."`
	ContentType   string            `placeholder:"TYPE" help:"The content type of the events."`
	Rate          float64           `placeholder:"N" help:"Send at most N events a second."`
	Quiet         bool              `short:"q" help:"Say nothing but errors."`
}

// Help shows examples before the flags.
func (sendCmd) Help() string {
	return `Examples:
  weir generate accesslog --rate 100/s | weir send hub/access
  weir send downtime events.jsonl --key TeamId
  weir send readings readings.csv --rate 50 -p site=a
  WEIR_CONNECTION="$(cat azure.txt)" weir send clicks events.json

Events go over AMQP, with the SDK of Event Hubs, to Weir or to Azure. The status is 0 only if
every event was acknowledged.`
}

// The ways in which events are sent.
const (
	sendLanes = 4
	// laneEvents is how many events wait for a lane, and go together at most.
	laneEvents = 1000
	// sendGrace is how long what was read may take to be sent after an interrupt.
	sendGrace = 10 * time.Second
	// maxSent is the longest event that is read.
	maxSent = 4 << 20
)

// outgoing is an event to be sent.
type outgoing struct {
	body []byte
	key  string
	has  bool // a key
	at   string
}

// Run sends all events.
func (c *sendCmd) Run(ctx context.Context, con *console) error {
	switch {
	case c.Key != "" && c.Partition != "":
		return usage("--key chooses the partition; give it or --partition")
	case c.Rate < 0:
		return usage("--rate is more than 0")
	}
	if c.Partition != "" {
		if _, err := strconv.Atoi(c.Partition); err != nil {
			return usage("--partition %q is no number", c.Partition)
		}
	}
	h, err := c.eventHub(ctx, "send")
	if err != nil {
		return err
	}
	p, err := azeventhubs.NewProducerClientFromConnectionString(h.connection, h.name, &azeventhubs.ProducerClientOptions{ApplicationID: "weir", TLSConfig: h.tls, NewWebSocketConn: h.dial, RetryOptions: sdkRetries})
	if err != nil {
		return h.failure("send to", err)
	}
	s := &sender{sendCmd: c, hub: h, producer: p, seed: maphash.MakeSeed(), progress: newProgress(con, "event")}
	err = s.all(ctx, con)
	s.progress.clear()
	acked, read := s.acked.Load(), s.read.Load()
	if !c.Quiet || err != nil {
		text := plural(acked, "event") + " sent to " + h.name
		if acked < read {
			text += fmt.Sprintf("; %s not acknowledged", plural(read-acked, "event"))
		}
		if s.keyless > 0 {
			text += fmt.Sprintf("; %s without a key, as the field %q is not there or NULL", plural(s.keyless, "event"), c.Key)
		}
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, text))
	}
	return err
}

// sender sends events in lanes: the events of a lane stay in their order.
type sender struct {
	*sendCmd
	hub      *eventHub
	producer *azeventhubs.ProducerClient
	seed     maphash.Seed
	progress *progress
	lanes    []chan outgoing
	keyless  int64 // events without the field of --key, read by files
	read     atomic.Int64
	acked    atomic.Int64
}

// all reads the files and sends what is in them. Its error says why not all was sent.
func (s *sender) all(ctx context.Context, con *console) error {
	// What was read is sent to its end, also when nothing more is to be read.
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		t := time.AfterFunc(sendGrace, func() { cancel(errInterrupted) })
		context.AfterFunc(work, func() { t.Stop() })
	})()
	n := 1 // without keys all stay in their order, as far as the partitions have one
	if s.Key != "" {
		n = sendLanes
	}
	var wg sync.WaitGroup
	for range n {
		lane := make(chan outgoing, laneEvents)
		s.lanes = append(s.lanes, lane)
		wg.Go(func() {
			if err := s.lane(work, lane); err != nil {
				cancel(err)
			}
		})
	}
	err := s.files(ctx, work, con)
	for _, lane := range s.lanes {
		close(lane)
	}
	wg.Wait()
	if cause := context.Cause(work); cause != nil {
		err = cause
	}
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()
	_ = s.producer.Close(closing) // all that counts was acknowledged
	return err
}

// files reads the events of the files.
func (s *sender) files(ctx, work context.Context, con *console) error {
	names := s.Files
	if len(names) == 0 {
		names = []string{"-"}
	}
	began := time.Now()
	give := func(e outgoing) error {
		if s.Rate > 0 {
			due := began.Add(time.Duration(float64(s.read.Load()) / s.Rate * float64(time.Second)))
			if d := time.Until(due); d > 0 {
				select {
				case <-time.After(d):
				case <-ctx.Done():
				case <-work.Done():
				}
			}
		}
		if s.Key != "" {
			if e.key, e.has = keyOf(e.body, s.Key); !e.has {
				s.keyless++
			}
		}
		select {
		case s.lanes[s.laneOf(e)] <- e:
			s.read.Add(1)
			return nil
		case <-ctx.Done():
			return errInterrupted
		case <-work.Done():
			return context.Cause(work)
		}
	}
	for _, name := range names {
		in := con.in
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return usage("%w", err)
			}
			defer f.Close()
			in = f
		}
		err := readEvents(in, name, s.Format, give)
		if errors.Is(err, context.Canceled) {
			err = errInterrupted
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// laneOf is the lane of an event.
func (s *sender) laneOf(e outgoing) int {
	if !e.has {
		return 0
	}
	return int(maphash.String(s.seed, e.key) % uint64(len(s.lanes)))
}

// keyOf is a field of an event as text; false if it has none.
func keyOf(body []byte, field string) (string, bool) {
	v, _, err := vec.ScanJSON(body, 0)
	if err != nil || v.Kind != vec.Record {
		return "", false
	}
	k, ok := v.Rec.Get(field)
	switch {
	case !ok || k.Kind.IsNull():
		return "", false
	case k.Kind == vec.String:
		return k.Str, true
	}
	return k.String(), true
}

// lane sends what comes: all that waits goes together, by key.
func (s *sender) lane(ctx context.Context, in <-chan outgoing) error {
	for e := range in {
		list := []outgoing{e}
	more:
		for len(list) < laneEvents {
			select {
			case e, ok := <-in:
				if !ok {
					break more
				}
				list = append(list, e)
			default:
				break more
			}
		}
		for _, group := range byKey(list) {
			if err := s.send(ctx, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// byKey parts events into those of each key, in the order of the first of each.
func byKey(list []outgoing) [][]outgoing {
	var groups [][]outgoing
	at := map[string]int{}
	for _, e := range list {
		k := ""
		if e.has {
			k = "k" + e.key
		}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// send sends events of one key in as few batches as can be.
func (s *sender) send(ctx context.Context, list []outgoing) error {
	o := &azeventhubs.EventDataBatchOptions{}
	switch {
	case s.Partition != "":
		o.PartitionID = &s.Partition
	case list[0].has:
		o.PartitionKey = &list[0].key
	}
	var properties map[string]any
	if len(s.Property) > 0 {
		properties = map[string]any{}
		for k, v := range s.Property {
			properties[k] = v
		}
	}
	var contentType *string
	if s.ContentType != "" {
		contentType = &s.ContentType
	}
	for len(list) > 0 {
		b, err := s.producer.NewEventDataBatch(ctx, o)
		if err != nil {
			return s.why(ctx, err)
		}
		n := 0
		for n < len(list) {
			err := b.AddEventData(&azeventhubs.EventData{Body: list[n].body, Properties: properties, ContentType: contentType}, nil)
			if errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
				break
			}
			if err != nil {
				return fmt.Errorf("%s: %w", list[n].at, err)
			}
			n++
		}
		if n == 0 {
			return &exitError{exitRuntime, fmt.Errorf("%s: the event has %d bytes; the event hub does not take that much", list[0].at, len(list[0].body))}
		}
		if err := s.producer.SendEventDataBatch(ctx, b, nil); err != nil {
			return s.why(ctx, err)
		}
		list = list[n:]
		s.progress.update(0, 0, s.acked.Add(int64(n)))
	}
	return nil
}

// why is the error of a send: that of another lane, if it has ended this one.
func (s *sender) why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return s.hub.failure("send to", err)
}

// nameOf is a file in messages.
func nameOf(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// readEvents gives the events of a text.
func readEvents(r io.Reader, name, format string, give func(outgoing) error) error {
	in := newEventReader(r)
	if format == "auto" {
		format = in.detect(strings.ToLower(name))
	}
	switch format {
	case "csv":
		return in.csv(nameOf(name), give)
	case "json":
		return in.json(nameOf(name), give)
	}
	return in.lines(nameOf(name), give)
}
