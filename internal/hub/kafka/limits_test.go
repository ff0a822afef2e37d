package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is too slow ends in its time, and is counted.
func TestSlowClients(t *testing.T) {
	f := func(name string, after time.Duration, stalled int64, do func(r *raw)) {
		t.Helper()
		bubble(t, Limits{Login: 5 * time.Second, Frame: 20 * time.Second, Idle: 100 * time.Second}, func(t *testing.T, s *site, connect func() *raw) {
			s.server.o.AllowAnonymous = !strings.HasPrefix(name, "stranger")
			start := time.Now()
			r := connect()
			done := make(chan struct{})
			go func() { defer close(done); do(r) }()
			defer func() { r.nc.Close(); <-done }()
			err := <-s.ended
			if d := time.Since(start); d != after || (err == nil) != (stalled == 0) {
				t.Errorf("%s: %v after %s; want %s", name, err, d, after)
			}
			if n := s.server.Stats().Stalled; n != stalled {
				t.Errorf("%s: %d are counted; want %d", name, n, stalled)
			}
		})
	}
	trickle := func(r *raw) {
		r.nc.Write([]byte{0, 0, 1, 0, 0, 3}) // a request of 256 bytes
		for range 200 {
			time.Sleep(time.Second)
			if _, err := r.nc.Write([]byte{0}); err != nil {
				return
			}
		}
	}
	f("silent", 100*time.Second, 0, func(*raw) {})
	f("trickling", 20*time.Second, 1, trickle)
	f("a byte of the size", 20*time.Second, 1, func(r *raw) { r.nc.Write([]byte{0}) })
	f("stranger, silent", 5*time.Second, 1, func(*raw) {})
	f("stranger, trickling", 5*time.Second, 1, trickle)
	f("busy and then silent", 160*time.Second, 0, func(r *raw) {
		for range 3 {
			time.Sleep(20 * time.Second)
			r.ask(kmsg.NewPtrMetadataRequest())
		}
	})
	f("stranger, asking on and on", 5*time.Second, 1, func(r *raw) {
		for range 20 {
			if !r.trySend(kmsg.NewPtrApiVersionsRequest()) {
				return
			}
			if _, err := r.frame(); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})
}

// A consumer that does not take what it has asked for is given up, and does not keep others
// from theirs.
func TestAConsumerThatDoesNotRead(t *testing.T) {
	bubble(t, Limits{Fetch: 1 << 20, OutMemory: 1, Write: 30 * time.Second}, func(t *testing.T, s *site, connect func() *raw) {
		h := s.hub("hub", 1)
		for range 8 {
			put(t, h.Partitions()[0], strings.Repeat("x", 500_000))
		}
		deaf := connect()
		defer deaf.nc.Close()
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 { // none of the answers is read
				deaf.trySend(fetchOf(12, 0))
			}
		}()
		synctest.Wait()
		if n, most := s.server.out.inUse(), s.server.l.OutMemory/share; n == 0 || n > most {
			t.Errorf("a connection holds %d bytes; %d is the most", n, most)
		}
		other := connect()
		defer other.nc.Close()
		if got := told(t, other.ask(fetchOf(12, 7)), 0); !strings.HasPrefix(got, "7:xxx") {
			t.Errorf("%.20q", got)
		}
		if err := <-s.ended; err == nil || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if n := s.server.Stats(); n.Stalled != 1 || n.OutMemory != 0 {
			t.Errorf("%+v", n)
		}
		<-done
	})
}

// Many consumers of that kind have all the memory there is for answers, and others theirs all
// the same.
func TestManyConsumersThatDoNotRead(t *testing.T) {
	bubble(t, Limits{Fetch: 1 << 20, OutMemory: 1, Write: 30 * time.Second}, func(t *testing.T, s *site, connect func() *raw) {
		h := s.hub("hub", 1)
		for range 8 {
			put(t, h.Partitions()[0], strings.Repeat("x", 500_000))
		}
		var all sync.WaitGroup
		var deaf []*raw
		for range 2 * share {
			r := connect()
			deaf = append(deaf, r)
			all.Go(func() {
				for range 20 {
					r.trySend(fetchOf(12, 0))
				}
			})
		}
		synctest.Wait()
		other := connect()
		start := time.Now()
		for seq := range 3 {
			if got := told(t, other.ask(fetchOf(12, int64(seq))), 0); !strings.HasPrefix(got, fmt.Sprint(seq, ":xxx")) {
				t.Errorf("%.20q", got)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("another consumer has waited for %s", took)
		}
		other.nc.Close()
		for _, r := range deaf {
			r.nc.Close()
		}
		all.Wait()
	})
}

func TestTooManyConnections(t *testing.T) {
	bubble(t, Limits{Connections: 2}, func(t *testing.T, s *site, connect func() *raw) {
		a, b := connect(), connect()
		defer a.nc.Close()
		defer b.nc.Close()
		synctest.Wait()
		c := connect()
		c.ended()
		if err := <-s.ended; !errors.Is(err, errTooMany) {
			t.Error(err)
		}
		if n := s.server.Stats(); n.Refused != 1 || n.Connections != 2 {
			t.Errorf("%+v", n)
		}
		a.ask(kmsg.NewPtrMetadataRequest())
	})
}

// When the server is closed, what was begun is answered.
func TestClose(t *testing.T) {
	bubble(t, Limits{}, func(t *testing.T, s *site, connect func() *raw) {
		s.hub("hub", 1)
		r := connect()
		q := fetchOf(12, 0)
		q.MinBytes, q.MaxWaitMillis = 1, 30_000
		r.send(q)
		synctest.Wait()
		start := time.Now()
		go s.server.Close()
		if got := told(t, r.answer(q, r.id), 0); got != "" {
			t.Errorf("%q", got)
		}
		r.ended()
		if d := time.Since(start); d != 0 {
			t.Errorf("after %s", d)
		}
		if err := s.server.Serve(context.Background(), pipeConn{r.nc}); !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
	})
}

// Memory goes to who asks first, and comes back from who gives up.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory{size: 10}
		ctx, cancel := context.WithCancel(context.Background())
		var got []string
		take := func(ctx context.Context, name string, n int64) {
			go func() {
				if m.take(ctx, n) == nil {
					got = append(got, name)
				}
			}()
			synctest.Wait()
		}
		f := func(want string, used int64) {
			t.Helper()
			synctest.Wait()
			if fmt.Sprint(got) != want || m.inUse() != used {
				t.Errorf("%v, %d in use; want %s, %d", got, m.inUse(), want, used)
			}
		}
		take(context.Background(), "a", 6)
		take(ctx, "large", 9)
		take(context.Background(), "b", 3) // does not pass the large one by
		f("[a]", 6)
		cancel() // the large one gives up
		f("[a b]", 9)
		take(context.Background(), "c", 5)
		m.give(6)
		f("[a b c]", 8)
		m.give(8)
		f("[a b c]", 0)
	})
}
