package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// put appends events to a partition, all at once.
func put(t testing.TB, p *hub.Partition, values ...string) {
	t.Helper()
	var list []hub.Event
	for _, v := range values {
		m := amqp.Message{Body: []byte(v)}
		list = append(list, hub.Event{Message: m.Append(nil)})
	}
	if _, err := p.Append(list, nil); err != nil {
		t.Fatal(err)
	}
}

// fetchOf is a request for partitions of the topic "hub", from offsets on; it waits for nothing.
func fetchOf(version int16, offsets ...int64) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxBytes, q.MaxWaitMillis = version, 1<<20, 0
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "hub"
	for i, o := range offsets {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), o, 1<<20
		t.Partitions = append(t.Partitions, p)
	}
	q.Topics = append(q.Topics, t)
	return q
}

// told is what an answer says of a partition: offsets and texts of the records.
func told(t testing.TB, a kmsg.Response, partition int) string {
	t.Helper()
	p := a.(*kmsg.FetchResponse).Topics[0].Partitions[partition]
	if p.ErrorCode != 0 {
		return fmt.Sprint("code ", p.ErrorCode)
	}
	var list []string
	var m body
	for b := p.RecordBatches; len(b) > 0; {
		n := 12 + int(be.Uint32(b[8:]))
		batch, err := parseBatch(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		all, err := new(making).events(batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range all {
			m.read(e.Message)
			list = append(list, fmt.Sprintf("%d:%s", int64(be.Uint64(b))+int64(i), m.value))
		}
		b = b[n:]
	}
	return strings.Join(list, " ")
}

func TestFetchOfEveryVersion(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 2)
	put(t, h.Partitions()[0], "a", "b")
	put(t, h.Partitions()[0], "c")
	r := s.login()
	for v := int16(4); v <= 18; v++ {
		q := fetchOf(v, 1, 0)
		q.Topics[0].TopicID = s.server.topicID(h)
		a := r.ask(q)
		if got := told(t, a, 0); got != "1:b 2:c" {
			t.Errorf("v%d: %q", v, got)
		}
		p := a.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if p.HighWatermark != 3 || p.LastStableOffset != 3 || v >= 5 && p.LogStartOffset != 0 {
			t.Errorf("v%d: %+v", v, p)
		}
		if got := told(t, a, 1); got != "" {
			t.Errorf("v%d: %q", v, got)
		}
	}
}

func TestFetchErrors(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 1)
	put(t, h.Partitions()[0], "a", "b")
	r := s.login()
	f := func(change func(*kmsg.FetchRequest), want string) {
		t.Helper()
		q := fetchOf(12, 0)
		q.MaxWaitMillis, q.MinBytes = 60_000, 1<<20 // an error is told at once
		change(q)
		if got := told(t, r.ask(q), 0); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	f(func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].FetchOffset = 3 }, "code 1")
	f(func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].FetchOffset = -1 }, "code 1")
	f(func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].Partition = 1 }, "code 3")
	f(func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].CurrentLeaderEpoch = 1 }, "code 75")
	f(func(q *kmsg.FetchRequest) { q.Topics[0].Topic = "nothing" }, "code 3")
	f(func(q *kmsg.FetchRequest) { q.Version, q.Topics[0].TopicID = 13, [16]byte{1} }, "code 100")
	f(func(q *kmsg.FetchRequest) { q.MinBytes = 0 }, "0:a 1:b")

	q := fetchOf(12, 0)
	q.SessionID, q.SessionEpoch = 5, 3
	if a := r.ask(q).(*kmsg.FetchResponse); a.ErrorCode != errFetchSessionIDNotFound || a.SessionID != 0 {
		t.Errorf("%+v", a)
	}
	q.SessionID, q.SessionEpoch = 0, 0 // asks for a session, and gets none
	if a := r.ask(q).(*kmsg.FetchResponse); a.ErrorCode != 0 || a.SessionID != 0 || told(t, a, 0) != "0:a 1:b" {
		t.Errorf("%+v", a)
	}
}

// However small the pieces are in which a client reads, it gets all records, in order.
func TestFetchInPieces(t *testing.T) {
	s := newSite(t, Options{})
	h := s.hub("hub", 2)
	var want []string
	n := 0
	for _, batch := range []int{1, 100, 3, 50} {
		var list []string
		for range batch {
			list = append(list, fmt.Sprint(n, strings.Repeat("x", n%90)))
			want = append(want, fmt.Sprint(n, ":", list[len(list)-1]))
			n++
		}
		put(t, h.Partitions()[0], list...)
		put(t, h.Partitions()[1], list...)
	}
	for _, size := range []int32{1, 200, 700, 5000} {
		r := s.login()
		for partition := range 2 {
			var got []string
			at := [2]int64{int64(n), int64(n)}
			for at[partition] = 0; at[partition] < int64(n); {
				q := fetchOf(11, at[:]...)
				q.Topics[0].Partitions[partition].PartitionMaxBytes = size
				a := r.ask(q)
				piece := strings.Fields(told(t, a, partition))
				if len(piece) == 0 {
					t.Fatalf("pieces of %d bytes: nothing at %d", size, at)
				}
				if b := a.(*kmsg.FetchResponse).Topics[0].Partitions[partition].RecordBatches; len(piece) > 1 && len(b) > int(size) {
					t.Fatalf("pieces of %d bytes: one has %d", size, len(b))
				}
				got = append(got, piece...)
				at[partition] += int64(len(piece))
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("pieces of %d bytes: %.300s; want %.300s", size, got, want)
			}
		}
	}
	// The limit of the whole answer holds for all partitions together.
	q := fetchOf(11, 20, 20)
	q.MaxBytes = 1000
	a := s.login().ask(q)
	parts := a.(*kmsg.FetchResponse).Topics[0].Partitions
	if n := len(parts[0].RecordBatches) + len(parts[1].RecordBatches); told(t, a, 0) == "" || n > 1000 {
		t.Errorf("%d bytes: %q %q", n, told(t, a, 0), told(t, a, 1))
	}
}

// bubble runs a test in which time passes when nobody is busy, with a client over a pipe.
func bubble(t *testing.T, l Limits, f func(t *testing.T, s *site, connect func() *raw)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, ended: make(chan error, 100)}
		s.open(Options{Limits: l, AllowAnonymous: true})
		connect := func() *raw {
			client, server := newPipe()
			s.served.Go(func() { s.ended <- s.server.Serve(context.Background(), server) })
			return &raw{t: t, nc: client}
		}
		defer s.shut()
		f(t, s, connect)
	})
}

func TestFetchWaits(t *testing.T) {
	bubble(t, Limits{Wait: time.Minute}, func(t *testing.T, s *site, connect func() *raw) {
		h := s.hub("hub", 2)
		r := connect()
		defer r.nc.Close()
		f := func(least int32, wait time.Duration, offsets [2]int64, want string, after time.Duration, meanwhile func()) {
			t.Helper()
			q := fetchOf(12, offsets[:]...)
			q.MinBytes, q.MaxWaitMillis = least, int32(wait.Milliseconds())
			start := time.Now()
			r.send(q)
			go meanwhile()
			a := r.answer(q, r.id)
			if d := time.Since(start); d != after {
				t.Errorf("the answer comes after %s; want %s", d, after)
			}
			if got := told(t, a, 0) + ", " + told(t, a, 1); got != want {
				t.Errorf("%q; want %q", got, want)
			}
			synctest.Wait()
		}
		f(1, 5*time.Second, [2]int64{0, 0}, ", ", 5*time.Second, func() {})
		f(1, time.Hour, [2]int64{0, 0}, ", ", time.Minute, func() {}) // the server's limit
		f(1, 5*time.Second, [2]int64{0, 0}, ", 0:a", time.Second, func() {
			time.Sleep(time.Second)
			put(t, h.Partitions()[1], "a")
		})
		f(0, 5*time.Second, [2]int64{0, 1}, ", ", 0, func() {})
		// It waits for as many bytes as are asked for.
		long := strings.Repeat("x", 500)
		f(1000, 20*time.Second, [2]int64{0, 1}, "0:"+long+" 1:"+long+", 1:b", 4*time.Second, func() {
			time.Sleep(time.Second)
			put(t, h.Partitions()[0], long)
			time.Sleep(time.Second)
			put(t, h.Partitions()[1], "b")
			time.Sleep(2 * time.Second)
			put(t, h.Partitions()[0], long)
		})
		// And for no longer than is asked for, if there are fewer.
		f(1<<20, 3*time.Second, [2]int64{1, 2}, "1:"+long+", ", 3*time.Second, func() {})
	})
}

// A client that goes away while it waits leaves nothing behind.
func TestFetchOfAClientThatGoesAway(t *testing.T) {
	bubble(t, Limits{}, func(t *testing.T, s *site, connect func() *raw) {
		s.hub("hub", 1)
		r := connect()
		q := fetchOf(12, 0)
		q.MinBytes, q.MaxWaitMillis = 1, 30_000
		r.send(q)
		synctest.Wait()
		start := time.Now()
		r.nc.Close()
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("the connection ends after %s", d)
		}
	})
}
