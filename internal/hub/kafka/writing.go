package kafka

import (
	"strconv"

	"weir/internal/hub"
)

// writing is the records of a batch on their way into a partition: one append as a rule, and
// several if they are more than one append may have.
type writing struct {
	parts   []*hub.Appending
	records int
	bytes   int
	squash  int64 // of memory of what was decompressed
}

// producerID is how a producer of Kafka is known in the broker.
func producerID(id int64) string { return "kafka:" + strconv.FormatInt(id, 10) }

// sequences is how many numbers a producer counts before it begins again with 0.
const sequences = 1 << 31

// start gives events their turn. What a producer has sent before is left out, so that a batch
// of which a part was taken goes on behind that part.
func (w *writing) start(to *hub.Partition, batch recordBatch, list []hub.Event, broker *hub.Broker) error {
	_, limit := broker.Limits()
	if batch.producer < 0 {
		return w.appendAll(to, nil, list, limit)
	}
	from := &hub.Producer{ID: producerID(batch.producer), Epoch: int32(batch.epoch), First: int64(batch.first), Strict: true}
	if epoch, last, known := to.Last(from.ID); known && epoch == from.Epoch {
		from.First = unwrap(batch.first, last+1)
		if done := last + 1 - from.First; done > 0 && done < int64(len(list)) {
			list, from.First = list[done:], last+1
		}
	}
	return w.appendAll(to, from, list, limit)
}

// unwrap is the number of a record, counted on where the producer began again with 0: the one
// that is nearest to what is expected.
func unwrap(number int32, expected int64) int64 {
	d := (int64(number) - expected) % sequences
	if d < -sequences/2 {
		d += sequences
	} else if d >= sequences/2 {
		d -= sequences
	}
	return max(expected+d, 0)
}

func (w *writing) appendAll(to *hub.Partition, from *hub.Producer, list []hub.Event, limit int) error {
	for len(list) > 0 {
		n, size := fitting(list, limit)
		if from != nil {
			from.Last = from.First + int64(n) - 1
		}
		a, err := to.Start(list[:n], from)
		if err != nil {
			w.wait() // what was started; its producer sends all of it again
			return err
		}
		w.parts = append(w.parts, a)
		w.records += n
		w.bytes += size
		if from != nil {
			from = &hub.Producer{ID: from.ID, Epoch: from.Epoch, First: from.Last + 1, Strict: true}
		}
		list = list[n:]
	}
	return nil
}

// fitting is how many events from the first on go into one append, one at least, and how
// many bytes they have with their keys.
func fitting(list []hub.Event, limit int) (n, size int) {
	messages := 0
	for i := range list {
		e := &list[i]
		if messages += len(e.Message); messages > limit && i > 0 {
			return i, size
		}
		size += len(e.Message) + len(e.Key)
	}
	return len(list), size
}

// wait waits until all is durable. The place is that of the first.
func (w *writing) wait() (first hub.Appended, err error) {
	for i, p := range w.parts {
		a, e := p.Wait()
		if err == nil {
			err = e
		}
		if i == 0 {
			first = a
		} else if !a.Duplicate {
			first.Duplicate = false
		}
	}
	return first, err
}
