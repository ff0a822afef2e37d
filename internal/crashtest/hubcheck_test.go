package crashtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// place is where an event is.
type place struct {
	hub       string
	partition int32
	offset    int64
}

// seen is what a reader was given while the program was killed again and again.
type seen struct {
	mu sync.Mutex
	at map[place]string // sender and number
}

// watch reads both hubs until the load ends.
func (h *hubCrash) watch() {
	h.read(h.ctx, func(r *kgo.Record) {
		h.seen.mu.Lock()
		defer h.seen.mu.Unlock()
		h.seen.at[place{r.Topic, r.Partition, r.Offset}] = label(r.Value)
	})
}

// label is the sender and the number of an event.
func label(body []byte) string {
	s := string(body)
	return s[:max(0, strings.LastIndexByte(s, ' '))]
}

// read reads both hubs from their beginning, until ctx ends.
func (h *hubCrash) read(ctx context.Context, each func(*kgo.Record)) {
	parts := map[string]map[int32]kgo.Offset{}
	for _, hub := range []string{"amqp", "kafka"} {
		parts[hub] = map[int32]kgo.Offset{}
		for p := range int32(hubPartitions) {
			parts[hub][p] = kgo.NewOffset().AtStart()
		}
	}
	c := h.kafkaClient(kgo.ConsumePartitions(parts), kgo.FetchMaxWait(100*time.Millisecond))
	defer c.Close()
	for ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(each)
	}
}

// check reads all there is and says what is wrong with it.
func (h *hubCrash) check() (problems []string) {
	h.t.Helper()
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	all := map[string][]int{} // numbers of each sender, in the order of its partition
	now := map[place]string{}
	ends := map[place]bool{}
	ctx, stop := context.WithTimeout(context.Background(), *patience)
	defer stop()
	left := hubPartitions * 2
	h.mark()
	h.read(ctx, func(r *kgo.Record) {
		at := place{r.Topic, r.Partition, r.Offset}
		if string(r.Value) == endMark {
			if end := (place{r.Topic, r.Partition, 0}); !ends[end] {
				ends[end] = true
				if left--; left == 0 {
					stop()
				}
			}
			return
		}
		l := label(r.Value)
		if old, ok := now[at]; ok && old != l {
			bad("%v is read as %q and as %q", at, old, l)
		}
		now[at] = l
		sender, number, _ := strings.Cut(l, " ")
		n, err := strconv.Atoi(number)
		if err != nil || string(r.Value) != string(eventBody(sender, n)) {
			bad("%v holds something that nobody sent: %.50q", at, r.Value)
			return
		}
		all[sender] = append(all[sender], n)
	})
	if left > 0 {
		bad("%d partitions could not be read to their end", left)
	}
	for at, l := range h.seen.at {
		if now[at] != l {
			bad("a reader has seen %q at %v, where %q is now", l, at, now[at])
			break
		}
	}
	for _, a := range h.amqps {
		problems = append(problems, a.check(all[a.name])...)
	}
	for _, k := range h.kafks {
		problems = append(problems, k.check(all[k.name])...)
	}
	return problems
}

// endMark is an event behind all others.
const endMark = "end"

// mark puts the end mark into every partition.
func (h *hubCrash) mark() {
	h.t.Helper()
	c := h.kafkaClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer c.Close()
	ctx, stop := context.WithTimeout(context.Background(), *patience)
	defer stop()
	for _, hub := range []string{"amqp", "kafka"} {
		for p := range int32(hubPartitions) {
			if err := c.ProduceSync(ctx, &kgo.Record{Topic: hub, Partition: p, Value: []byte(endMark)}).FirstErr(); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// check holds the events of a sender to what was acknowledged: each batch as a whole, once if
// it was sent once and at most as often as it was sent, and batches in their order. The last
// batch may be missing.
func (a *amqpSender) check(got []int) (problems []string) {
	at, n := 0, 0
	for i, size := range a.sizes {
		times := 0
		for at < len(got) && got[at] == n {
			for k := range size {
				if at+k >= len(got) || got[at+k] != n+k {
					return []string{fmt.Sprintf("%s: batch %d, events %d to %d, is there in part: it ends at event %d", a.name, i, n, n+size-1, n+k-1)}
				}
			}
			at += size
			times++
		}
		if last := i == len(a.sizes)-1; times > a.tries[i] || times == 0 && !last {
			next := "the end"
			if at < len(got) {
				next = fmt.Sprint("event ", got[at])
			}
			return []string{fmt.Sprintf("%s: batch %d, events %d to %d, was sent %d times and is there %d times; then comes %s", a.name, i, n, n+size-1, a.tries[i], times, next)}
		}
		n += size
	}
	if at < len(got) {
		return []string{fmt.Sprintf("%s: event %d comes behind all that was sent", a.name, got[at])}
	}
	return nil
}

// check: all that the idempotent producer was given is there once and in order.
func (k *kafkaSender) check(got []int) (problems []string) {
	if err := k.failed.Load(); err != nil {
		problems = append(problems, fmt.Sprintf("%s: a record was refused: %v", k.name, *err))
	}
	for i, n := range got {
		if n != i {
			return append(problems, fmt.Sprintf("%s: event %d stands where event %d should be", k.name, n, i))
		}
	}
	if len(got) != k.sent {
		problems = append(problems, fmt.Sprintf("%s: %d events are there and %d were acknowledged of %d", k.name, len(got), k.ackedHere.Load(), k.sent))
	}
	return problems
}
