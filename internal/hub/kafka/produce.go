package kafka

import (
	"context"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
)

// produce takes records. They get their turn in all partitions before it returns; the answer
// is ready when all are as durable as the broker promises. body is the part of the frame
// behind the header.
func (c *conn) produce(ctx context.Context, h header, body []byte, f frame) (*answer, error) {
	p := &produceCall{c: c, header: h, cost: f.cost}
	if err := p.parse(body); err != nil {
		c.giveIn(f.cost)
		return nil, err
	}
	if p.acks < -1 || p.acks > 1 {
		c.giveIn(f.cost)
		return nil, bad("Produce with acks %d; it is 0, 1 or -1", p.acks)
	}
	var a *answer
	if p.acks != 0 {
		a = &answer{done: make(chan struct{})}
		p.answer = a
	}
	p.making = makings.Get().(*making)
	p.left.Store(1)
	for i := range p.topics {
		t := &p.topics[i]
		for j := range t.partitions {
			p.start(ctx, t, &t.partitions[j])
		}
	}
	p.making.free()
	giveBuffer(f.body) // nothing looks at it any more
	p.finish()
	return a, nil
}

// produceCall is a Produce request in work.
type produceCall struct {
	c      *conn
	header header
	cost   int64
	acks   int16
	topics []produceTopic
	txn    bool
	making *making

	left   atomic.Int64 // partitions in work, and one for the request itself
	answer *answer      // nil with acks 0
}

type produceTopic struct {
	name       string
	id         [16]byte
	partitions []producePartition
}

// producePartition is what a request brings for a partition, and what has become of it.
type producePartition struct {
	index   int32
	records []byte
	// The outcome.
	offset int64
	time   int64 // milliseconds
	start  int64
	err    error
}

// parse reads the request. It claims no memory for counts that it does not have.
func (p *produceCall) parse(b []byte) error {
	v := p.header.version
	flexible := v >= 9
	r := produceReader{kbin.Reader{Src: b}, flexible}
	p.txn = r.nullableText() != nil
	p.acks = r.Int16()
	r.Int32() // timeout
	entries := 0
	for range r.count(2) {
		t := produceTopic{}
		if v >= 13 {
			t.id = r.Uuid()
		} else if name := r.nullableText(); name != nil {
			t.name = *name
		}
		for range r.count(8) {
			part := producePartition{index: r.Int32(), records: r.blob()}
			r.tags()
			if entries++; entries > p.c.s.l.Entries {
				return bad("Produce has more than %d partitions", p.c.s.l.Entries)
			}
			t.partitions = append(t.partitions, part)
		}
		r.tags()
		if entries++; entries > p.c.s.l.Entries || !r.Ok() {
			break
		}
		p.topics = append(p.topics, t)
	}
	r.tags()
	if !r.Ok() || len(r.Src) > 0 {
		return bad("Produce v%d: %s", v, errShort)
	}
	return nil
}

// produceReader reads a Produce request.
type produceReader struct {
	kbin.Reader
	flexible bool
}

func (r *produceReader) nullableText() *string {
	if r.flexible {
		return r.CompactNullableString()
	}
	return r.NullableString()
}

func (r *produceReader) blob() []byte {
	if r.flexible {
		return r.CompactNullableBytes()
	}
	return r.NullableBytes()
}

// count is the length of an array whose entries take least bytes each. A wrong one makes the
// request bad.
func (r *produceReader) count(least int) int {
	n := 0
	if r.flexible {
		n = int(r.CompactArrayLen())
	} else {
		n = int(r.ArrayLen())
	}
	if n > len(r.Src)/min(least, 2) {
		r.Span(len(r.Src) + 1)
		return 0
	}
	return max(n, 0)
}

func (r *produceReader) tags() {
	if !r.flexible || !r.Ok() {
		return
	}
	w := walker{b: r.Src, left: 16}
	if w.tags(); w.bad {
		r.Span(len(r.Src) + 1)
		return
	}
	r.Src = w.b
}

// start begins to append the records of a partition, or says why not.
func (p *produceCall) start(ctx context.Context, t *produceTopic, part *producePartition) {
	w, err := p.begin(ctx, t, part)
	part.records = nil
	if err != nil {
		p.settle(part, hub.Appended{}, err)
		return
	}
	p.left.Add(1)
	p.c.appends.Add(1)
	go func() {
		defer p.c.appends.Done()
		a, err := w.wait()
		p.c.s.squash.give(w.squash)
		if err == nil && !a.Duplicate {
			p.c.s.count.recordsIn.Add(int64(w.records))
			p.c.s.count.bytesIn.Add(int64(w.bytes))
		}
		p.settle(part, a, err)
		p.finish()
	}()
}

// settle notes what has become of records.
func (p *produceCall) settle(part *producePartition, a hub.Appended, err error) {
	part.offset, part.time, part.start, part.err = -1, -1, -1, err
	switch {
	case err != nil:
		p.c.s.count.rejected.Add(1)
		if p.acks == 0 { // there is no answer that could say it
			p.c.cancel(bad("records sent with acks=0 cannot be taken: %s", err))
		}
	case a.Duplicate:
		p.c.s.count.duplicates.Add(1)
		part.offset = a.Seq
	default:
		part.offset, part.time = a.Seq, a.Enqueued.UnixMilli()
	}
}

// finish is called when a partition is done, and once for the request; the last one answers.
func (p *produceCall) finish() {
	if p.left.Add(-1) > 0 {
		return
	}
	p.c.giveIn(p.cost)
	if p.answer == nil {
		return
	}
	p.answer.bytes = encode(p.header.id, p.response()).bytes
	close(p.answer.done)
}

func (p *produceCall) response() kmsg.Response {
	r := kmsg.NewPtrProduceResponse()
	r.SetVersion(p.header.version)
	r.Topics = make([]kmsg.ProduceResponseTopic, len(p.topics))
	for i := range p.topics {
		t, rt := &p.topics[i], &r.Topics[i]
		rt.Default()
		rt.Topic, rt.TopicID = t.name, t.id
		rt.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(t.partitions))
		for j := range t.partitions {
			part, rp := &t.partitions[j], &rt.Partitions[j]
			rp.Default()
			rp.Partition, rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = part.index, part.offset, part.time, part.start
			if rp.ErrorCode, rp.ErrorMessage = codeOf(part.err); rp.ErrorCode == errUnknownServer {
				rp.ErrorCode = errStorage // which clients try again after
			}
		}
	}
	return r
}

// begin makes events of the records for a partition and gives them their turn.
func (p *produceCall) begin(ctx context.Context, t *produceTopic, part *producePartition) (*writing, error) {
	if p.txn {
		return nil, refuse(errTransactionalID, "there are no transactions here; take away transactional.id")
	}
	h, err := p.c.topic(t.name, t.id, p.header.version >= 13)
	if err != nil {
		return nil, err
	}
	if err := p.c.may(hub.Send, h.Name()); err != nil {
		return nil, err
	}
	to, err := h.Partition(int(part.index))
	if err != nil {
		return nil, err
	}
	batch, err := parseBatch(part.records)
	if err != nil {
		return nil, err
	}
	w := &writing{}
	if codec := batch.attributes & codecBits; codec != codecNone {
		limit := p.c.s.l.Inflated
		if err := p.c.s.squash.take(ctx, int64(limit)); err != nil {
			return nil, err
		}
		batch.records, err = inflate(codec, batch.records, limit)
		if err == nil {
			w.squash = int64(min(2*len(batch.records), limit))
		}
		p.c.s.squash.give(int64(limit) - w.squash)
		if err != nil {
			return nil, err
		}
	}
	list, err := p.making.events(batch)
	if err == nil {
		err = w.start(to, batch, list, p.c.s.broker)
	}
	if err != nil {
		p.c.s.squash.give(w.squash)
		return nil, err
	}
	return w, nil
}

// making is the memory in which events are made. It is used again for the next batch: the
// broker keeps nothing of what it was given.
type making struct {
	list   []hub.Event
	memory []byte
}

// events makes events of the records of a batch. They are valid until the next call.
func (m *making) events(batch recordBatch) ([]hub.Event, error) {
	if batch.count > len(batch.records)/minRecord {
		return nil, refuse(errInvalidRecord, "a batch says that it has %d records and has %d bytes of them", batch.count, len(batch.records))
	}
	if batch.count > cap(m.list) {
		m.list = make([]hub.Event, batch.count)
	}
	list := m.list[:batch.count]
	// A record without headers takes no more as a message than a few bytes above its value's.
	if n := len(batch.records) + 4*batch.count; n > cap(m.memory) {
		m.memory = make([]byte, 0, n)
	}
	memory := m.memory[:0]
	in := recordReader{b: batch.records}
	for i := range list {
		r, ok := in.read()
		if !ok {
			return nil, refuse(errInvalidRecord, "record %d of a batch cannot be read", i)
		}
		if !goodHeaders(&r) {
			return nil, refuse(errInvalidRecord, "record %d of a batch has a header whose name is not UTF-8", i)
		}
		if n := messageSize(&r); n > cap(memory)-len(memory) {
			memory = make([]byte, 0, max(n, len(in.b)+4*(batch.count-i)))
		}
		at := len(memory)
		memory = appendMessage(memory, &r)
		list[i] = hub.Event{Key: r.key, Message: memory[at:len(memory):len(memory)]}
	}
	if len(in.b) > 0 {
		return nil, refuse(errInvalidRecord, "%d bytes are left behind the last record of a batch", len(in.b))
	}
	return list, nil
}

// makings are those that no request uses.
var makings = sync.Pool{New: func() any { return new(making) }}

// free gives it back, unless it is very large.
func (m *making) free() {
	if cap(m.memory) <= maxBuffer {
		makings.Put(m)
	}
}

func goodHeaders(r *record) bool {
	in := recordReader{b: r.rest}
	for range r.headers {
		if key, _ := in.header(); !utf8.Valid(key) {
			return false
		}
	}
	return true
}
