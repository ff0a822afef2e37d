package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
	"weir/internal/hub/log"
)

// fetch brings records. It answers when there are MinBytes of them, when MaxWaitMillis are
// over, or when something is wrong with a partition.
//
// There are no fetch sessions (KIP-227): a client that asks for one is told so by the session
// 0 and goes on without.
func (c *conn) fetch(ctx context.Context, h header, q *kmsg.FetchRequest) (*answer, error) {
	f := &fetchCall{c: c, header: h, q: q}
	if q.SessionID != 0 && q.SessionEpoch > 0 || q.ReplicaID >= 0 {
		f.code = errFetchSessionIDNotFound
		return f.encode(), nil
	}
	f.resolve()
	f.limit = min(c.s.l.Fetch, max(int(q.MaxBytes), 1))
	least := min(max(int(q.MinBytes), 0), f.limit)
	wait := min(max(time.Duration(q.MaxWaitMillis)*time.Millisecond, 0), c.s.l.Wait)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	defer f.watch()()
	for over := wait == 0; ; {
		grown := f.grown()
		if over || f.wrong || least <= 0 || grown > 0 && f.got+int(grown) >= least {
			a, err := f.read(ctx)
			if err != nil {
				return nil, err
			}
			if over || f.wrong || f.got >= least {
				return a, nil
			}
			giveBuffer(a.bytes)
			c.giveOut(a.cost, a.spare) // too few: they are read again when there are more
		}
		select {
		case <-f.ready:
		case <-deadline.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
}

// fetchCall is a Fetch request in work.
type fetchCall struct {
	c      *conn
	header header
	q      *kmsg.FetchRequest
	code   int16
	limit  int // bytes of records
	parts  []fetchPartition
	wrong  bool // a partition has an error, which the client should know at once
	ready  chan struct{}

	got  int   // bytes that were read last
	seen int64 // offset of all partitions up to which that was
	end  int64 // up to which there is something now
}

// fetchPartition is what is asked of a partition, and what of it is told.
type fetchPartition struct {
	topic, index int // in the request
	q            *kmsg.FetchRequestTopicPartition
	from         *hub.Partition // nil with an error
	err          error
	rg           log.Range
}

// resolve finds the partitions and says what is wrong with them.
func (f *fetchCall) resolve() {
	for i := range f.q.Topics {
		t := &f.q.Topics[i]
		for j := range t.Partitions {
			q := &t.Partitions[j]
			p := fetchPartition{topic: i, index: j, q: q}
			p.from, p.err = f.c.readable(t.Topic, t.TopicID, f.header.version >= 13, q.Partition, q.CurrentLeaderEpoch)
			if p.err != nil {
				p.from = nil
			}
			f.parts = append(f.parts, p)
		}
	}
	for i := range f.parts {
		p := &f.parts[i]
		if p.err == nil {
			p.rg = p.from.Range()
			p.err = inRange(p.q.FetchOffset, p.rg)
		}
		f.wrong = f.wrong || p.err != nil
	}
}

func inRange(offset int64, rg log.Range) error {
	if offset < rg.First || offset > rg.Next {
		return refuse(errOffsetOutOfRange, "offset %d is asked for; %d to %d are there", offset, rg.First, rg.Next)
	}
	return nil
}

// watch lets f.ready be signalled when there may be more to read, until the function that it
// gives is called.
func (f *fetchCall) watch() (stop func()) {
	f.ready = make(chan struct{}, 1)
	var stops []func()
	if f.q.MaxWaitMillis > 0 && f.q.MinBytes > 0 && !f.wrong {
		for i := range f.parts {
			stops = append(stops, f.parts[i].from.Watch(f.ready))
		}
	}
	return func() {
		for _, s := range stops {
			s()
		}
	}
}

// grown is how many bytes have come to the partitions since they were read last. Before that
// it is those behind the offsets, as far as that is known: 1 if there are any.
func (f *fetchCall) grown() int64 {
	end, more := int64(0), int64(0)
	for i := range f.parts {
		p := &f.parts[i]
		if p.from == nil {
			continue
		}
		p.rg = p.from.Range()
		end += p.rg.NextOffset
		if p.q.FetchOffset < p.rg.Next {
			more = 1
		}
	}
	f.end = end
	if f.got == 0 {
		return more * int64(f.limit)
	}
	return end - f.seen
}

// spareFetch is how many bytes of records an answer has when there is no memory for more.
const spareFetch = 64 << 10

// read reads what there is into an answer. It waits for memory, and takes it for as long as
// the answer is not written.
func (f *fetchCall) read(ctx context.Context) (*answer, error) {
	budget, limit := f.budget(), f.limit
	err := f.c.takeOut(ctx, budget)
	spare := errors.Is(err, errCrowded)
	if spare {
		f.limit = min(f.limit, spareFetch)
		defer func() { f.limit = limit }()
		budget = f.budget()
		err = f.c.takeSpare(ctx, budget)
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	} else if err != nil {
		return &answer{}, nil // nobody is there any more
	}
	f.seen = f.end
	a := f.encode()
	a.cost, a.spare = min(budget, int64(cap(a.bytes))), spare
	f.c.giveOut(budget-a.cost, spare)
	return a, nil
}

// budget bounds the bytes of the answer.
func (f *fetchCall) budget() int64 {
	budget := int64(0)
	for i := range f.parts {
		if p := &f.parts[i]; p.err == nil && p.q.FetchOffset < p.rg.Next {
			budget += int64(max(p.q.PartitionMaxBytes, 0)) + recordRoom
		}
	}
	budget = min(budget, int64(f.limit)+recordRoom)
	// A first record may be larger than all limits of the client.
	if budget > 0 {
		message, _ := f.c.s.broker.Limits()
		budget += int64(message)
	}
	return budget
}

// room is how large an answer may become, as far as can be told without reading; it grows if
// need be.
func (f *fetchCall) room() int {
	n := 256
	for i := range f.parts {
		n += 64
		if p := &f.parts[i]; p.err == nil && p.q.FetchOffset < p.rg.Next {
			// No event takes less than a few bytes; most take more.
			n += int(min(int64(max(p.q.PartitionMaxBytes, 0)), (p.rg.Next-p.q.FetchOffset)*64))
		}
	}
	return min(n, f.limit+recordRoom)
}

// recordRoom is what is added to the bytes of records for the headers of batches.
const recordRoom = 4 << 10

// encode makes the answer. It is written by hand, because records go into it as they are
// read.
func (f *fetchCall) encode() *answer {
	v := f.header.version
	e := encoder{flexible: v >= 12, b: takeBuffer(f.room())}
	e.int32(0)
	e.int32(f.header.id)
	e.tags()
	e.int32(0) // throttled for
	if v >= 7 {
		e.int16(f.code)
		e.int32(0) // no session
	}
	f.got = 0
	next := 0
	topics := f.q.Topics
	if f.code != 0 {
		topics = nil
	}
	e.count(len(topics))
	for i := range topics {
		t := &topics[i]
		if v >= 13 {
			e.b = append(e.b, t.TopicID[:]...)
		} else {
			e.text(t.Topic)
		}
		e.count(len(t.Partitions))
		for range t.Partitions {
			f.partition(&e, &f.parts[next])
			next++
		}
		e.tags()
	}
	e.tags()
	be.PutUint32(e.b, uint32(len(e.b)-4))
	return &answer{bytes: e.b}
}

// partition adds a partition with its records.
func (f *fetchCall) partition(e *encoder, p *fetchPartition) {
	e.int32(p.q.Partition)
	head := len(e.b)
	e.int16(0)
	e.int64(-1) // high watermark
	e.int64(-1) // last stable offset
	if f.header.version >= 5 {
		e.int64(-1) // log start
	}
	e.nothing() // aborted transactions
	if f.header.version >= 11 {
		e.int32(-1) // no other replica is preferred
	}
	mark := e.startBytes()
	if p.err == nil {
		room := min(int(p.q.PartitionMaxBytes), f.limit-f.got)
		if room > 0 || f.got == 0 {
			start := len(e.b)
			e.b, p.err = f.c.records(e.b, p, room, f.got == 0)
			f.got += len(e.b) - start
		}
	}
	e.endBytes(mark)
	e.tags()
	f.wrong = f.wrong || p.err != nil
	code, _ := codeOf(p.err)
	be.PutUint16(e.b[head:], uint16(code))
	if p.from == nil {
		return
	}
	rg := p.from.Range()
	be.PutUint64(e.b[head+2:], uint64(rg.Next))
	be.PutUint64(e.b[head+10:], uint64(rg.Next))
	if f.header.version >= 5 {
		be.PutUint64(e.b[head+18:], uint64(rg.First))
	}
}

// records adds records of a partition to b: as many as fit into room, and one in any case if
// first is set.
func (c *conn) records(b []byte, p *fetchPartition, room int, first bool) ([]byte, error) {
	if p.q.FetchOffset >= p.rg.Next {
		return b, nil
	}
	r, err := c.cache.take(p.from, p.q.FetchOffset)
	if err != nil {
		if errors.Is(err, log.ErrGone) {
			err = inRange(p.q.FetchOffset, p.from.Range())
		}
		return b, err
	}
	start := len(b)
	w := batchWriter{b: b}
	count := 0
	for err == nil {
		var batch *log.Batch
		if batch, err = r.batch(); err != nil || batch == nil {
			break
		}
		millis := batch.Enqueued.UnixMilli()
		for r.next < len(batch.Records) {
			rec := &batch.Records[r.next]
			if size := batchHeader + len(rec.Key) + len(rec.Value) + 32; len(w.b)-start+size > room && (count > 0 || !first) {
				err = errFull
				break
			}
			offset := batch.Seq + int64(r.next)
			if !w.fits(offset, millis) {
				w.end()
				w.begin(offset, millis)
			}
			r.body.read(rec.Value)
			w.add(rec.Key, &r.body)
			r.next++
			count++
		}
	}
	w.end()
	if err != nil && !errors.Is(err, errFull) {
		c.cache.drop(r)
		c.s.log.Warn("records could not be read for a Kafka client", "hub", p.from.Hub().Name(), "partition", p.from.ID(), "offset", p.q.FetchOffset, "error", err)
		return w.b[:start], err
	}
	c.s.count.recordsOut.Add(int64(count))
	c.s.count.bytesOut.Add(int64(len(w.b) - start))
	p.from.CountRead(int64(count), int64(len(w.b)-start))
	c.cache.put(r)
	return w.b, nil
}

// errFull ends the reading of a partition: the answer has no room for more.
var errFull = errors.New("the answer is full")

// encoder writes an answer by hand.
type encoder struct {
	b        []byte
	flexible bool
}

func (e *encoder) int16(v int16) { e.b = be.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32) { e.b = be.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = be.AppendUint64(e.b, uint64(v)) }

func (e *encoder) tags() {
	if e.flexible {
		e.b = append(e.b, 0)
	}
}

// nothing is an empty array.
func (e *encoder) nothing() { e.count(0) }

func (e *encoder) count(n int) {
	if e.flexible {
		e.b = appendUvarint(e.b, n+1)
	} else {
		e.int32(int32(n))
	}
}

func (e *encoder) text(s string) {
	if e.flexible {
		e.b = appendUvarint(e.b, len(s)+1)
	} else {
		e.int16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

// lengthRoom is what is kept free for the length of bytes that is not known yet.
const lengthRoom = 4

// startBytes keeps room for a length; endBytes fills it in.
func (e *encoder) startBytes() (mark int) {
	e.b = append(e.b, make([]byte, lengthRoom)...)
	return len(e.b)
}

func (e *encoder) endBytes(mark int) {
	n := len(e.b) - mark
	if !e.flexible {
		be.PutUint32(e.b[mark-lengthRoom:], uint32(n))
		return
	}
	var length [5]byte
	size := len(appendUvarint(length[:0], n+1))
	if size > lengthRoom {
		e.b = append(e.b, 0)
	}
	at := mark - lengthRoom
	copy(e.b[at+size:], e.b[mark:mark+n])
	copy(e.b[at:], length[:size])
	e.b = e.b[:at+size+n]
}

func appendUvarint(b []byte, n int) []byte {
	u := uint(n)
	for ; u >= 0x80; u >>= 7 {
		b = append(b, byte(u)|0x80)
	}
	return append(b, byte(u))
}
