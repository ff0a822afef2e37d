//go:build services

package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	outageFor  = flag.Duration("outage", 5*time.Second, "how long the services of the outputs are away")
	outageRate = flag.Int("outagerate", 2000, "events a second that come meanwhile")
)

const outageJob = `version: 1
job:
  name: outage
  query: |
    SELECT n, k INTO kafka FROM events
    SELECT n, k INTO redis FROM events
    SELECT n, k INTO blobs FROM events
  checkpoint: 1s
  time: {late_arrival: 5s, out_of_order: 0s, policy: adjust}
inputs:
  events: {type: file, path: in.jsonl, follow: true, format: {type: json}}
outputs:
  kafka:
    type: kafka
    brokers: ["${env:WEIR_TEST_KAFKA}"]
    topic: outage
    create: true
    partitions: 3
    partition_key: k
  redis:
    type: redis
    address: "${env:WEIR_TEST_REDIS}"
    password: "${env:WEIR_TEST_REDIS_PASSWORD}"
    mode: stream
    key: outage
  blobs:
    type: azure-blob
    connection_string: "${env:WEIR_TEST_AZURITE}"
    container: outage
    path: "rows/{n}{ext}"
    max_age: 2s
`

// TestServiceOutage: the services of all outputs are gone for a time while events come. The job
// waits without growing, goes on by itself when they are back, and has each row once.
func TestServiceOutage(t *testing.T) {
	blobs := azurite(t)
	if _, err := blobs.CreateContainer(t.Context(), "outage", nil); err != nil {
		t.Fatal(err)
	}
	r := newSteady(t, outageJob)
	r.begin()
	r.feed(3*time.Second, *outageRate)
	services := []string{"KAFKA", "REDIS", "AZURITE"}
	for _, name := range services {
		control(t, name, "kill")
	}
	gone := time.Now()
	before := r.memory()
	most := slices.Max(r.feed(*outageFor, *outageRate))
	for _, name := range services {
		control(t, name, "start")
	}
	away := time.Since(gone)
	r.feed(2*time.Second, *outageRate)
	want := r.written
	back := time.Now()
	targets := map[string]func(context.Context) ([]int, error){"kafka": kafkaRows, "redis": redisRows,
		"blobs": func(ctx context.Context) ([]int, error) { return blobRows(ctx, blobs) }}
	for name, rows := range targets {
		r.await(name, want, rows)
	}
	healed := time.Since(back)
	r.end()
	t.Logf("%d events; the services were away for %v; memory %d KiB before, %d KiB at most meanwhile; all rows were there %v after the last event",
		want, away.Round(time.Second), before, most, healed.Round(100*time.Millisecond))
	if most > before+128<<10 {
		t.Errorf("memory grew from %d to %d KiB", before, most)
	}
	for _, level := range []string{"level=ERROR", "panic"} {
		if strings.Contains(r.log(), level) {
			t.Errorf("the log has %s\n%s", level, r.log())
		}
	}
}

// control stops or starts a service.
func control(t *testing.T, name, verb string) {
	t.Helper()
	program := os.Getenv("WEIR_TEST_" + name + "_CONTROL")
	if program == "" {
		t.Fatalf("WEIR_TEST_%s_CONTROL is not set: run this with scripts/services.sh", name)
	}
	if out, err := exec.Command(program, verb).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, verb, err, out)
	}
}

// await waits until a target has rows 0 to want-1, each once.
func (r *steady) await(name string, want int, rows func(context.Context) ([]int, error)) {
	r.t.Helper()
	var got []int
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pause(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
		got, err = rows(ctx)
		cancel()
		if err == nil && len(got) >= want {
			break
		}
	}
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", name, err, r.log())
	}
	slices.Sort(got)
	for i, n := range got {
		if i != n {
			r.t.Fatalf("%s: row %d is %d: lost or twice; %d rows of %d\n%s", name, i, n, len(got), want, r.log())
		}
	}
	if len(got) != want {
		r.t.Fatalf("%s: %d rows of %d\n%s", name, len(got), want, r.log())
	}
}

// number is the n of a row.
func number(text []byte) (int, error) {
	var row struct {
		N *int `json:"n"`
	}
	if err := json.Unmarshal(text, &row); err != nil || row.N == nil {
		return 0, fmt.Errorf("%q is no row: %w", text, err)
	}
	return *row.N, nil
}

func kafkaRows(ctx context.Context) (list []int, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("WEIR_TEST_KAFKA")), kgo.ConsumeTopics("outage"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(300*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		quiet, cancel := context.WithTimeout(ctx, time.Second)
		f := c.PollFetches(quiet)
		cancel()
		if f.NumRecords() == 0 {
			return list, ctx.Err()
		}
		for _, rec := range f.Records() {
			n, err := number(rec.Value)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
	}
}

func redisRows(ctx context.Context) (list []int, err error) {
	c := redis.NewClient(&redis.Options{Addr: os.Getenv("WEIR_TEST_REDIS"), Password: os.Getenv("WEIR_TEST_REDIS_PASSWORD")})
	defer c.Close()
	all, err := c.XRange(ctx, "outage", "-", "+").Result()
	for _, m := range all {
		var n int
		if _, err := fmt.Sscan(fmt.Sprint(m.Values["n"]), &n); err != nil {
			return nil, fmt.Errorf("%v is no row: %w", m.Values, err)
		}
		list = append(list, n)
	}
	return list, err
}

func azurite(t *testing.T) *azblob.Client {
	c, err := azblob.NewClientFromConnectionString(os.Getenv("WEIR_TEST_AZURITE"), nil)
	if err != nil {
		t.Fatalf("WEIR_TEST_AZURITE: %v; run this with scripts/services.sh", err)
	}
	return c
}

func blobRows(ctx context.Context, c *azblob.Client) (list []int, err error) {
	for pages := c.NewListBlobsFlatPager("outage", nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			got, err := c.DownloadStream(ctx, "outage", *b.Name, nil)
			if err != nil {
				return nil, err
			}
			var text bytes.Buffer
			_, err = text.ReadFrom(got.Body)
			got.Body.Close()
			if err != nil {
				return nil, err
			}
			for line := range bytes.Lines(text.Bytes()) {
				n, err := number(line)
				if err != nil {
					return nil, err
				}
				list = append(list, n)
			}
		}
	}
	return list, nil
}
