//go:build services

package redis

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

func env(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run this by scripts/services.sh", name)
	}
	return v
}

// server is a real one (scripts/services/redis.sh).
type server struct {
	address, password string
	cluster           bool
	client            goredis.UniversalClient // of the judge
}

func newServer(t testing.TB, cluster bool) *server {
	t.Helper()
	s := &server{address: env(t, "WEIR_TEST_REDIS"), password: env(t, "WEIR_TEST_REDIS_PASSWORD"), cluster: cluster}
	if cluster {
		s.address = env(t, "WEIR_TEST_REDIS_CLUSTER")
	}
	s.client = goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: []string{s.address}, Password: s.password, IsClusterMode: cluster, Protocol: 2})
	t.Cleanup(func() { s.client.Close() })
	return s
}

var made int

// unique is a key that no other test has.
func unique() string {
	made++
	return fmt.Sprintf("t%d-%d", time.Now().UnixNano(), made)
}

// config is the settings of an output over the server.
func (s *server) config(t testing.TB, values map[string]any) connect.Config {
	all := map[string]any{"address": []string{s.address}, "password": connect.NewHidden(s.password), "cluster": s.cluster}
	for k, v := range values {
		all[k] = v
	}
	return config(t, all)
}

// row makes a row of fields.
func row(id, text any) (connecttest.Row, error) {
	n, err := strconv.ParseInt(fmt.Sprint(id), 10, 64)
	return connecttest.Row{ID: n, Text: fmt.Sprint(text)}, err
}

// stream is what a stream holds, in its order.
func (s *server) stream(key string) (list []connecttest.Row, err error) {
	messages, err := s.client.XRange(context.Background(), key, "-", "+").Result()
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		r, err := row(m.Values["id"], m.Values["text"])
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// keys are those that begin with a text.
func (s *server) keys(prefix string) (keys []string, err error) {
	ctx := context.Background()
	var mu sync.Mutex
	scan := func(ctx context.Context, c *goredis.Client) error {
		it := c.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for it.Next(ctx) {
			mu.Lock()
			keys = append(keys, it.Val())
			mu.Unlock()
		}
		return it.Err()
	}
	if c, ok := s.client.(*goredis.ClusterClient); ok {
		return keys, c.ForEachMaster(ctx, scan)
	}
	return keys, scan(ctx, s.client.(*goredis.Client))
}

func (s *server) sinks(given map[string]any, key, column string, shared bool) connecttest.Sinks {
	return connecttest.Sinks{Unordered: column != "", Stride: 4, New: func(t testing.TB) *connecttest.Target {
		name := unique()
		values := map[string]any{"key": strings.ReplaceAll(key, "NAME", name)}
		for k, v := range given {
			values[k] = v
		}
		return &connecttest.Target{
			Open: func(e connect.SinkEnv) (connect.Sink, error) {
				e.Job = name
				sink, err := openSink(context.Background(), s.config(t, values), e)
				if err == nil {
					t.Cleanup(func() { sink.Close() })
				}
				return sink, err
			},
			Rows: func() ([]connecttest.Row, error) {
				if column == "" {
					return s.stream(name)
				}
				keys, err := s.keys(name)
				if err != nil {
					return nil, err
				}
				var list []connecttest.Row
				for _, k := range keys {
					if shared {
						rows, err := s.stream(k)
						if err != nil {
							return nil, err
						}
						list = append(list, rows...)
						continue
					}
					m, err := s.client.HGetAll(context.Background(), k).Result()
					if err != nil {
						return nil, err
					}
					r, err := row(m["id"], m["text"])
					if err != nil {
						return nil, err
					}
					list = append(list, r)
				}
				return list, nil
			},
		}
	}}
}

func TestServiceSuite(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster ", cluster), func(t *testing.T) {
			s := newServer(t, cluster)
			t.Run("stream", s.sinks(nil, "NAME", "", false).Run)
			t.Run("streams", s.sinks(nil, "NAME:{id}", "id", true).Run)
			t.Run("hash", s.sinks(map[string]any{"mode": modeHash}, "NAME:{id}", "id", false).Run)
		})
	}
}

// control stops, kills or starts the server.
func control(t testing.TB, verb string) {
	t.Helper()
	if out, err := exec.Command(env(t, "WEIR_TEST_REDIS_CONTROL"), verb).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
}

// sink opens a sink of a job.
func (s *server) sink(t testing.TB, job string, values map[string]any) connect.Sink {
	t.Helper()
	out, err := openSink(t.Context(), s.config(t, values), sinkEnv(job))
	must(t, err)
	t.Cleanup(func() { out.Close() })
	return out
}

// insist does something until it succeeds, as the runner does.
func insist(t testing.TB, do func() error) (failures int) {
	t.Helper()
	until := time.Now().Add(30 * time.Second)
	for err := do(); err != nil; err = do() {
		if failures++; connect.IsPermanent(err) || time.Now().After(until) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return failures
}

// TestServiceKilled: the server is killed again and again while epochs are committed; each row is
// there once.
func TestServiceKilled(t *testing.T) {
	s := newServer(t, false)
	key := unique()
	values := map[string]any{"key": key, "timeout": 2 * time.Second}
	sink := s.sink(t, key, values)
	var want []connecttest.Row
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(20+i*7%60) * time.Millisecond):
			}
			control(t, "kill")
			control(t, "start")
			for i := 1; s.client.Ping(context.Background()).Err() != nil; i++ { // it reads its file
				time.Sleep(5 * time.Millisecond)
				if i%200 == 0 { // one that found the port taken has ended
					control(t, "start")
				}
			}
		}
	})
	failures := 0
	began := time.Now()
	for epoch := int64(1); epoch <= 40 || failures < 5 && time.Since(began) < 15*time.Second; epoch++ {
		rows := connecttest.Rows(len(want)+1, 700)
		must(t, sink.Write(t.Context(), epoch, connecttest.Batch(rows)))
		must(t, sink.Prepare(t.Context(), epoch, 0))
		failures += insist(t, func() error { return sink.Commit(t.Context(), epoch) })
		want = append(want, rows...)
		if epoch%7 == 0 { // another process takes over
			must(t, sink.Close())
			insist(t, func() (err error) {
				sink, err = openSink(t.Context(), s.config(t, values), sinkEnv(key))
				return err
			})
			last, err := sink.Committed(t.Context())
			if err != nil || last != epoch {
				t.Fatalf("committed is %d, %v, and must be %d", last, err, epoch)
			}
		}
	}
	close(stop)
	wg.Wait()
	var got []connecttest.Row
	insist(t, func() (err error) { got, err = s.stream(key); return err })
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows of %d, or in another order", len(got), len(want))
	}
	if failures == 0 {
		t.Error("no commit has failed: the test shows nothing")
	}
	t.Logf("%d rows, %d failed commits", len(want), failures)
	must(t, sink.Close())
}
