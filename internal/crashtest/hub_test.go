package crashtest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

var hubKills = flag.Int("hubkills", 12, "how often the program is killed under the load of clients of the hub")

// TestHubKill: kill -9 under the load of official clients. What was acknowledged is there; what
// was acknowledged the first time it was sent is there once, and all that an idempotent
// producer has sent; the events of a sender are in order; and what a reader has seen stays at
// its place.
func TestHubKill(t *testing.T) {
	h := newHubCrash(t, t.TempDir(), "always")
	for _, problem := range h.run(func(int) {}) {
		t.Error(problem)
	}
}

// The load: senders of each protocol, each with a partition of a hub of its own.
const (
	hubSenders    = 3
	hubPartitions = 2 // of each hub: two of the three senders share one
)

// hubCrash is a run of the hub that is interrupted.
type hubCrash struct {
	t          *testing.T
	dir, bin   string
	amqp       string // addresses
	kafka      string
	fsync      string
	connection string
	cmd        *exec.Cmd
	exited     chan error
	log        string

	acked atomic.Int64
	ctx   context.Context // of the load
	stop  context.CancelFunc
	amqps []*amqpSender
	kafks []*kafkaSender
	seen  *seen
}

func newHubCrash(t *testing.T, dir, fsync string) *hubCrash {
	t.Helper()
	h := &hubCrash{t: t, dir: dir, fsync: fsync, bin: filepath.Join(t.TempDir(), "weir"), seen: &seen{at: map[place]string{}}}
	h.log = filepath.Join(filepath.Dir(h.bin), "log")
	if out, err := exec.Command("go", "build", "-o", h.bin, "weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, to := range []*string{&h.amqp, &h.kafka} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*to = strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
		defer l.Close()
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// begin starts the program and returns when it takes clients.
func (h *hubCrash) begin() (api string) {
	h.t.Helper()
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	ready := filepath.Join(filepath.Dir(h.bin), "ready")
	os.Remove(ready)
	at := func(a string) string { return strings.Replace(a, "localhost", "127.0.0.1", 1) }
	h.cmd = exec.Command(h.bin, "hub", "serve", "--data", filepath.Join(h.dir, "data"), "--listen", "127.0.0.1:0", "--ready", ready,
		"--amqp", at(h.amqp), "--kafka", at(h.kafka), "--https", "off", "--mqtt", "off", "--forward", "off", "--hub-fsync", h.fsync)
	h.cmd.Stderr, h.cmd.Stdout = log, io.Discard
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(h.cmd, h.exited)
	for {
		if b, err := os.ReadFile(ready); err == nil && len(b) > 0 {
			return strings.TrimSpace(string(b))
		}
		h.alive()
		pause(time.Millisecond)
	}
}

func (h *hubCrash) alive() {
	h.t.Helper()
	select {
	case err := <-h.exited:
		b, _ := os.ReadFile(h.log)
		h.t.Fatalf("the program ended by itself: %v\n%s", err, b)
	default:
	}
}

func (h *hubCrash) kill() {
	h.t.Helper()
	h.alive()
	if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	<-h.exited
}

// ask asks the REST interface.
func (h *hubCrash) ask(method, url, body string, answer any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		h.t.Fatalf("%s %s: %s %s %v", method, url, res.Status, text, err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		h.t.Fatal(err)
	}
}

// run kills the program as often as was asked, and says what is wrong in the end. after is
// called while the program is dead.
func (h *hubCrash) run(after func(i int)) []string {
	h.t.Helper()
	began := time.Now()
	api := h.begin()
	var keys struct {
		Keys []struct{ Name, Primary string }
	}
	h.ask("GET", api+"/api/v1/hubs/-/keys", "", &keys)
	h.connection = fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", h.amqp, keys.Keys[0].Name, keys.Keys[0].Primary)
	for _, name := range []string{"amqp", "kafka"} {
		var made struct{}
		h.ask("POST", api+"/api/v1/hubs", fmt.Sprintf(`{"name":%q,"partitions":%d}`, name, hubPartitions), &made)
	}
	var load sync.WaitGroup
	for i := range hubSenders {
		a := &amqpSender{hubCrash: h, name: fmt.Sprintf("a%d", i), partition: i % hubPartitions}
		k := &kafkaSender{hubCrash: h, name: fmt.Sprintf("k%d", i), partition: int32(i % hubPartitions)}
		h.amqps, h.kafks = append(h.amqps, a), append(h.kafks, k)
		load.Go(a.run)
		load.Go(k.run)
	}
	load.Go(h.watch)
	r := rand.New(rand.NewPCG(*seed, 2))
	for i := range *hubKills {
		h.letRun(r)
		h.kill()
		after(i)
		h.begin()
	}
	h.letRun(r)
	h.stop()
	load.Wait()
	problems := h.check()
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	if err := <-h.exited; err != nil {
		problems = append(problems, fmt.Sprintf("stopped with %v", err))
	}
	h.t.Logf("%d events acknowledged, %d kills, %d sends repeated, %.1f s", h.acked.Load(), *hubKills, h.repeated(), time.Since(began).Seconds())
	return problems
}

// letRun waits until some events have been acknowledged in this life, by all senders together,
// and then some milliseconds.
func (h *hubCrash) letRun(r *rand.Rand) {
	h.t.Helper()
	until := h.acked.Load() + 1 + r.Int64N(2000)
	for end := time.Now().Add(*patience); h.acked.Load() < until; pause(time.Millisecond) {
		h.alive()
		if time.Now().After(end) {
			h.stop()
			b, _ := os.ReadFile(h.log)
			h.t.Fatalf("no events are acknowledged any more\n%s", b[max(0, len(b)-4000):])
		}
	}
	longest := 40 * time.Millisecond
	if r.IntN(4) == 0 {
		longest = 300 * time.Millisecond
	}
	pause(time.Duration(r.Int64N(int64(longest))))
}

func (h *hubCrash) repeated() (n int) {
	for _, a := range h.amqps {
		for _, tries := range a.tries {
			if tries > 1 {
				n++
			}
		}
	}
	return n
}

// amqpSender sends batches of numbered events with the SDK for Go, which tries each once; what
// was not acknowledged it sends again.
type amqpSender struct {
	*hubCrash
	name      string
	partition int
	tries     []int // of each batch
	sizes     []int // events of each batch
}

func (a *amqpSender) run() {
	r := rand.New(rand.NewPCG(*seed, uint64(100+len(a.name)*a.partition)))
	var client *azeventhubs.ProducerClient
	part := strconv.Itoa(a.partition)
	n := 0
	for a.ctx.Err() == nil {
		size := 1 + r.IntN(50)
		a.tries, a.sizes = append(a.tries, 0), append(a.sizes, size)
		for {
			if a.ctx.Err() != nil {
				return // this batch may be there or not
			}
			var err error
			if client == nil {
				client, err = azeventhubs.NewProducerClientFromConnectionString(a.connection, "amqp", &azeventhubs.ProducerClientOptions{RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1}})
			}
			if err == nil {
				err = a.send(client, part, n, size)
			}
			if err == nil {
				break
			}
			if client != nil {
				closing, stop := context.WithTimeout(context.Background(), time.Second)
				_ = client.Close(closing) // the program may be dead
				stop()
				client = nil
			}
			pause(2 * time.Millisecond)
		}
		n += size
		a.acked.Add(int64(size))
	}
	if client != nil {
		_ = client.Close(context.Background())
	}
}

func (a *amqpSender) send(client *azeventhubs.ProducerClient, part string, n, size int) error {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	batch, err := client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &part})
	if err != nil {
		return err
	}
	for i := range size {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: eventBody(a.name, n+i)}, nil); err != nil {
			return err
		}
	}
	a.tries[len(a.tries)-1]++
	return client.SendEventDataBatch(ctx, batch, nil)
}

// eventBody is some bytes with a sender and a number.
func eventBody(sender string, n int) []byte {
	return fmt.Appendf(nil, "%s %d %s", sender, n, strings.Repeat("x", n%300))
}

// kafkaSender is an idempotent producer: it repeats what it must, and all is there once.
type kafkaSender struct {
	*hubCrash
	name      string
	partition int32
	sent      int
	ackedHere atomic.Int64 // without a hole: those before are acknowledged
	failed    atomic.Pointer[error]
}

func (h *hubCrash) kafkaClient(more ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(h.kafka), kgo.SASL(plain.Auth{User: "$ConnectionString", Pass: h.connection}.AsMechanism()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }), kgo.RequestRetries(1 << 20), kgo.RetryTimeout(time.Hour), kgo.MetadataMinAge(10 * time.Millisecond)}, more...)...)
	if err != nil {
		panic(err) // the options are wrong
	}
	return c
}

func (k *kafkaSender) run() {
	c := k.kafkaClient(kgo.DefaultProduceTopic("kafka"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1), kgo.MaxBufferedRecords(500))
	defer c.Close()
	for ; k.ctx.Err() == nil; k.sent++ {
		c.Produce(context.Background(), &kgo.Record{Partition: k.partition, Value: eventBody(k.name, k.sent)}, func(_ *kgo.Record, err error) {
			if err != nil {
				k.failed.CompareAndSwap(nil, &err)
				return
			}
			k.ackedHere.Add(1)
			k.acked.Add(1)
		})
		if k.sent%50 == 49 {
			pause(time.Millisecond)
		}
	}
	last, stop := context.WithTimeout(context.Background(), *patience)
	defer stop()
	if err := c.Flush(last); err != nil {
		k.failed.CompareAndSwap(nil, &err)
	}
}
