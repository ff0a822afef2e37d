package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/vec"
)

// timeEvery is how often an idle job lets its outputs see that time moves: files that are
// complete can be closed.
const timeEvery = time.Second

// reading is a chunk that an epoch pushes.
type reading struct {
	in    *liveInput
	p     *livePart
	chunk connect.Chunk
}

// step makes an epoch of what there is. It reports false if there was nothing.
func (l *Live) step() (worked bool, err error) {
	began := l.now()
	rec := l.begin(max(l.clock, timeOf(began)))
	added, err := l.discover()
	if err != nil {
		return false, err
	}
	reads, err := l.readAll(rec)
	if err != nil {
		return false, err
	}
	if l.careful > 0 {
		reads = l.one(rec, reads)
	}
	if reads, err = l.endings(rec, reads, &added); err != nil {
		return false, err
	}
	rec.Redriven, l.redriven = l.redriven, nil
	if err := l.tickAll(rec); err != nil {
		return false, err
	}
	// Behind the ticks, also those of steps that were no epochs: the watermark that a partition
	// takes when it is added must be the one that it will have when the epoch is made again.
	for _, a := range added {
		if err := l.addPart(l.inputs[a.Input], a.Name); err != nil {
			return false, err
		}
	}
	rec.Added = added
	for _, a := range l.takeArrived(rec) {
		l.enforce(l.references[a.Input], &a)
	}
	intended, done := l.careful > 0 && len(reads) > 0, func() error { return nil }
	if intended {
		l.careful--
		if err := l.intend(rec); err != nil {
			return false, err
		}
		if done, err = l.try(rec.N); err != nil {
			return false, err
		}
	}
	for i := range reads {
		if err := l.apply(&reads[i]); err != nil {
			return false, err
		}
	}
	for i := range rec.Redriven {
		if err := l.redriveNow(&rec.Redriven[i]); err != nil {
			return false, err
		}
	}
	if !l.counts(rec, len(reads) > 0) {
		l.epoch--
		l.polled = l.now().Sub(began)
		return false, nil
	}
	return true, errors.Join(l.commit(rec, intended), done())
}

// begin starts an epoch.
func (l *Live) begin(clock vec.Time) *epochRecord {
	l.epoch++
	l.clock, l.newest, l.wrote, l.read = clock, 0, false, 0
	l.letters = l.letters[:0]
	for _, out := range l.outputs {
		out.rows, out.touched, out.refused = 0, false, out.refusals()
	}
	return &epochRecord{N: l.epoch, Clock: clock}
}

// counts reports whether the epoch has to be kept. One that has only let time pass, and no row
// come out, is no epoch: its ticks become part of the next one.
func (l *Live) counts(rec *epochRecord, read bool) bool {
	if read || len(rec.Added) > 0 || len(rec.References) > 0 || len(rec.Redriven) > 0 || l.wrote || len(l.letters) > 0 {
		return true
	}
	if l.now().Sub(l.committed) < timeEvery {
		return false
	}
	for _, out := range l.outputs {
		if watermarkOf(l.graph, out.index) > out.told {
			return true
		}
	}
	return false
}

// discover asks the sources for new partitions now and then.
func (l *Live) discover() (found []addedPartition, err error) {
	now := l.now()
	for _, in := range l.inputs {
		if in == nil || in.ended() || now.Sub(in.listed) < listEvery {
			continue
		}
		if _, err := l.ask(in, &found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ask asks a source for new partitions. It reports false if it does not answer.
func (l *Live) ask(in *liveInput, found *[]addedPartition) (ok bool, err error) {
	in.listed = l.now()
	added, err := l.list(l.work, in)
	if connect.IsPermanent(err) {
		return false, fmt.Errorf("%s: %w", in.what(), err)
	}
	if err != nil {
		in.unlisted = true
		l.board.degrade(in.what(), err)
		return false, nil
	}
	if in.unlisted {
		in.unlisted = false
		l.board.heal(in.what())
	}
	for _, name := range added {
		if a := (addedPartition{in.index, name}); !slices.Contains(*found, a) {
			*found = append(*found, a)
		}
	}
	return true, nil
}

// endings sees to it that no input ends that has partitions which nobody knows yet: where the
// last known ones are to end, the source is asked once more. If it does not answer, they do not
// end in this epoch.
func (l *Live) endings(rec *epochRecord, reads []reading, found *[]addedPartition) ([]reading, error) {
	for _, in := range l.inputs {
		if in == nil || !in.wouldEnd(reads) {
			continue
		}
		ok, err := l.ask(in, found)
		if err != nil {
			return nil, err
		}
		if ok {
			continue
		}
		kept, ranges := reads[:0], rec.Ranges[:0]
		for i, r := range reads {
			if r.in == in && r.chunk.End {
				r.chunk.End, rec.Ranges[i].End = false, false
				if len(r.chunk.Data) == 0 && r.chunk.Next == r.p.pos {
					continue
				}
			}
			kept, ranges = append(kept, r), append(ranges, rec.Ranges[i])
		}
		reads, rec.Ranges = kept, ranges
	}
	return reads, nil
}

// wouldEnd reports whether the chunks end the last partitions of an input.
func (in *liveInput) wouldEnd(reads []reading) bool {
	open, ends := 0, 0
	for _, p := range in.parts {
		if !p.ended {
			open++
		}
	}
	for i := range reads {
		if reads[i].in == in && reads[i].chunk.End {
			ends++
		}
	}
	return ends > 0 && ends == open
}

func (in *liveInput) what() string { return fmt.Sprintf("input %q", in.spec.Name) }

// readAll reads a chunk of each partition that has something, and notes it in the record.
func (l *Live) readAll(rec *epochRecord) ([]reading, error) {
	var out []reading
	size := min(max(epochBytes/max(l.reading(), 1), minChunk), maxChunk)
	if l.careful > 0 {
		size = 1 // an event
	}
	ahead := l.aheadOf()
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			if p.ended || l.graph.PartitionWatermark(in.index, p.index) > ahead && p.more {
				continue
			}
			c, err := l.readPart(in, p, size)
			if err != nil {
				return nil, err
			}
			if c.Next == p.pos && len(c.Data) == 0 && !c.End {
				if c.Clock != 0 && p.retry.IsZero() {
					p.source = c.Clock
				}
				continue
			}
			rec.Ranges = append(rec.Ranges, readRange{in.index, p.index, p.pos, c.Next, c.End})
			l.read += len(c.Data)
			out = append(out, reading{in, p, c})
		}
	}
	return out, nil
}

// reading is how many partitions may have something to read.
func (l *Live) reading() int {
	n := 0
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			if !p.ended && p.more {
				n++
			}
		}
	}
	return n
}

// aheadOf is the watermark beyond which a partition waits for those that are behind and have
// more to read.
func (l *Live) aheadOf() vec.Time {
	low := vec.MaxTime
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			if !p.ended && p.more {
				low = min(low, l.graph.PartitionWatermark(in.index, p.index))
			}
		}
	}
	if low > vec.MaxTime-maxSkew {
		return vec.MaxTime
	}
	return low + maxSkew
}

// readPart reads a partition, if there may be something. A source that does not answer is tried
// again later; the others go on, and time stands still for what it feeds.
func (l *Live) readPart(in *liveInput, p *livePart, size int) (connect.Chunk, error) {
	none := connect.Chunk{Next: p.pos}
	now := l.now()
	if !p.retry.IsZero() && now.Before(p.retry) {
		return none, nil
	}
	if p.signals && !p.signal.Swap(false) && !p.more && p.tried == 0 && now.Sub(p.last) < readAnyway {
		return none, nil
	}
	p.last = now
	err := error(nil)
	if p.reader == nil {
		err = l.openPart(l.work, in, p)
	}
	c := none
	if err == nil {
		c, err = p.reader.Read(l.work, size, "")
	}
	if err == nil {
		if p.tried > 0 {
			p.tried, p.retry = 0, time.Time{}
			l.board.heal(in.what())
			l.log.Info("it works again", "what", in.what(), "partition", p.name)
		}
		p.more = len(c.Data) > 0
		return c, nil
	}
	if errors.Is(err, connect.ErrGone) && !connect.IsPermanent(err) {
		err = l.gone(in, p, err)
	}
	if connect.IsPermanent(err) {
		return none, fmt.Errorf("%s: %w", in.what(), err)
	}
	if l.ctx.Err() != nil {
		return none, errStopped
	}
	if p.tried++; p.tried == 1 {
		l.log.Warn("it cannot be read and is tried again", "what", in.what(), "partition", p.name, "error", err)
	}
	l.board.degrade(in.what(), err)
	p.retry, p.more = now.Add(pauseAfter(p.tried)), false
	p.close()
	return none, nil
}

// tickAll moves time on in the partitions that have nothing to read (saql.md 4.4), and notes
// all ticks that are in no record yet.
func (l *Live) tickAll(rec *epochRecord) error {
	if l.spec.Late < 0 {
		return nil // time moves by events only
	}
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.ticking() {
			if !p.ended && !p.more && p.tried == 0 && !ranged(rec, in, p) {
				if t := l.clockOf(in, p); t > p.clock {
					p.clock, p.untold = t, true
					if err := l.graph.Tick(in.index, p.index, t); err != nil {
						return l.failure(err)
					}
				}
			}
			if p.untold {
				rec.Ticks = append(rec.Ticks, tickedPartition{in.index, p.index, p.clock})
			}
		}
	}
	return nil
}

// ticking are the partitions whose time may pass: of an input that has none yet, the one that
// the graph has in any case.
func (in *liveInput) ticking() []*livePart {
	if len(in.parts) == 0 {
		return []*livePart{in.none}
	}
	return in.parts
}

func ranged(rec *epochRecord, in *liveInput, p *livePart) bool {
	for i := range rec.Ranges {
		if r := &rec.Ranges[i]; r.Input == in.index && r.Part == p.index {
			return true
		}
	}
	return false
}

func (l *Live) clockOf(in *liveInput, p *livePart) vec.Time {
	if p.source != 0 {
		return p.source
	}
	return l.estimate(in, p, l.clock)
}

// apply pushes a chunk.
func (l *Live) apply(r *reading) error {
	if err := l.pushChunk(r.in, r.p, &r.chunk); err != nil {
		return err
	}
	r.p.pos = r.chunk.Next
	if !r.chunk.End {
		return nil
	}
	r.p.ended = true
	r.p.close()
	return l.failure(l.graph.ClosePartition(r.in.index, r.p.index))
}

// queryFailure is a query error that ends a job. It unwraps to the *exec.QueryError.
type queryFailure struct {
	text string
	err  *exec.QueryError
}

func (e *queryFailure) Error() string { return e.text }
func (e *queryFailure) Unwrap() error { return e.err }

// failure gives an error of the graph the words for people.
func (l *Live) failure(err error) error {
	var q *exec.QueryError
	if errors.As(err, &q) {
		text := q.In(l.spec.Plan.Src)
		if at := &l.at; at.c != nil {
			text += fmt.Sprintf(" (input %q, partition %q, in the events behind position %q)", at.in.spec.Name, at.p.name, at.p.pos)
		}
		return &queryFailure{text, q}
	}
	return err
}

// commit makes an epoch durable and visible. again says that it is in the manifest already.
func (l *Live) commit(rec *epochRecord, again bool) error {
	if !again {
		rec.Acked = l.acked()
		if err := l.insist(l.ctx, "the manifest", nil, func(context.Context) error { return l.manifest.append(rec) }); err != nil {
			return err
		}
	}
	for _, in := range l.inputs {
		if in != nil {
			for _, p := range in.ticking() {
				p.untold = false
			}
		}
	}
	for _, out := range l.outputs {
		w := watermarkOf(l.graph, out.index)
		if rec.N <= out.committed || !out.touched && w <= out.told {
			continue
		}
		out.touched = true
		if err := l.callSink(out, func(ctx context.Context) error { return out.sink.Prepare(ctx, rec.N, w) }); err != nil {
			return err
		}
		out.told = w
	}
	if err := l.insist(l.ctx, "the dead letters", nil, func(context.Context) error { return l.dead.commit(rec.N, l.letters, rec.redrivenIDs()) }); err != nil {
		return err
	}
	for _, out := range l.outputs {
		if out.touched {
			if err := l.commitSink(out, rec.N); err != nil {
				return err
			}
			out.committed = rec.N
		}
		if taken := out.rows - (out.refusals() - out.refused); taken > 0 {
			out.total, out.wrote = out.total+taken, rec.N
		}
		if out.rows > 0 {
			out.lastTime = out.last
		}
	}
	l.committed = l.now()
	if !again {
		l.observe()
	}
	for _, a := range l.answer {
		a <- nil
	}
	l.answer = nil
	return nil
}

// commitSink commits an epoch in a sink. A transaction that was lost since Prepare is made
// again, and may find rows that the target takes no more: their letters come behind those that
// are kept.
func (l *Live) commitSink(out *liveOutput, epoch int64) error {
	kept := len(l.letters)
	if err := l.callSink(out, func(ctx context.Context) error { return out.sink.Commit(ctx, epoch) }); err != nil {
		return err
	}
	if len(l.letters) == kept {
		return nil
	}
	return l.insist(l.ctx, "the dead letters", nil, func(context.Context) error { return l.dead.add(epoch, l.letters[kept:], nil) })
}

// acked are the last epochs of the sinks that cannot tell.
func (l *Live) acked() []int64 {
	var list []int64
	for i, out := range l.outputs {
		if out.forgetful {
			if list == nil {
				list = make([]int64, len(l.outputs))
			}
			list[i] = out.committed
		}
	}
	return list
}

// observe notes how long the newest event of the epoch took.
func (l *Live) observe() {
	if l.newest == 0 {
		return
	}
	took := time.Duration(timeOf(l.committed)-l.newest) * 100
	for _, out := range l.outputs {
		if out.rows > 0 {
			out.latency.add(max(took, 0))
		}
	}
}

// replay makes the epochs of the manifest again that are behind the checkpoint.
func (l *Live) replay() error {
	if len(l.pending) == 0 {
		return nil
	}
	l.log.Info("epochs behind the checkpoint are made again", "job", l.spec.Name, "first", l.pending[0].N, "last", l.pending[len(l.pending)-1].N)
	l.board.replaying(true)
	defer l.board.replaying(false)
	from, refs := l.restored.inputsOf(l), l.restored.referencesOf(l)
	poisoned := l.poisoned(l.pending[len(l.pending)-1])
	for _, rec := range l.pending {
		if l.ctx.Err() != nil {
			return errStopped
		}
		done := func() error { return nil }
		if rec.Careful && !poisoned && rec == l.pending[len(l.pending)-1] {
			var err error
			if done, err = l.try(rec.N); err != nil {
				return err
			}
		}
		if err := l.again(rec, from, refs); err != nil {
			return fmt.Errorf("epoch %d, made again: %w", rec.N, err)
		}
		if err := done(); err != nil {
			return err
		}
		l.publish(false)
	}
	l.pending = nil
	if poisoned { // the next start must not decide anew
		return l.first()
	}
	return nil
}

// again makes an epoch of the manifest again. from and refs are the inputs by the numbers that it
// uses; those that the job no longer has are nil.
func (l *Live) again(rec *epochRecord, from []*liveInput, refs []*liveReference) error {
	if begun := l.begin(rec.Clock); begun.N != rec.N {
		panic(fmt.Sprintf("job: epoch %d is made again as %d", rec.N, begun.N))
	}
	of := func(i int) *liveInput {
		if i >= 0 && i < len(from) {
			return from[i]
		}
		return nil
	}
	for _, t := range rec.Ticks {
		if in := of(t.Input); in != nil && t.Part < len(in.ticking()) {
			in.ticking()[t.Part].clock = t.Clock
			if err := l.graph.Tick(in.index, t.Part, t.Clock); err != nil {
				return l.failure(err)
			}
		}
	}
	for _, a := range rec.Added {
		if in := of(a.Input); in != nil {
			if err := l.addPart(in, a.Name); err != nil {
				return err
			}
		}
	}
	for _, r := range rec.References {
		if r.Input >= 0 && r.Input < len(refs) && refs[r.Input] != nil {
			l.enforce(refs[r.Input], &arrivedVersion{referenceRecord: r})
		}
	}
	for _, r := range rec.Ranges {
		if in := of(r.Input); in != nil && r.Part < len(in.parts) {
			if err := l.rangeAgain(in, in.parts[r.Part], r, l.poisoned(rec)); err != nil {
				return err
			}
		}
	}
	for i := range rec.Redriven {
		r := &rec.Redriven[i]
		if err := l.redrive(r, of(r.Input), l.restored.outputOf(l, r.Output)); err != nil {
			return err
		}
	}
	return l.commit(rec, true)
}

// rangeAgain reads a range as it once was, and pushes it unless it is poison.
func (l *Live) rangeAgain(in *liveInput, p *livePart, r readRange, poison bool) error {
	if p.pos != r.After {
		return &DamageError{l.fs.Path(manifestDir), 0, fmt.Sprintf("epoch %d reads input %q, partition %q, behind %q, and the partition is at %q", l.epoch, in.spec.Name, p.name, r.After, p.pos)}
	}
	got := reading{in: in, p: p, chunk: connect.Chunk{Next: r.Until, End: r.End}}
	if r.Until != r.After {
		err := l.insist(l.ctx, in.what(), nil, func(ctx context.Context) (err error) {
			if p.reader == nil {
				if err := l.openPart(ctx, in, p); err != nil {
					return err
				}
			}
			if got.chunk, err = p.reader.Read(ctx, maxChunk, r.Until); err != nil {
				p.close()
				if errors.Is(err, connect.ErrGone) {
					return l.gone(in, p, err)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if got.chunk.Next != r.Until {
		return connect.Permanent(fmt.Errorf("input %q, partition %q does not give the same events again: it ends at %q where %q was", in.spec.Name, p.name, got.chunk.Next, r.Until))
	}
	got.chunk.End = r.End
	if poison {
		l.pass(&got)
	}
	return l.apply(&got)
}
