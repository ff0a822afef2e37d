//go:build services

package mqtt

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// service is the real broker (scripts/services/mosquitto.sh).
func service(t testing.TB) peer {
	t.Helper()
	return peer{env(t, "WEIR_TEST_MQTT"), env(t, "WEIR_TEST_MQTT_USER"), env(t, "WEIR_TEST_MQTT_PASSWORD"), nil}
}

func env(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: run this by scripts/services.sh", name)
	}
	return v
}

func TestServiceSinkSuite(t *testing.T) {
	p := service(t)
	t.Run("one", p.sinks(nil).Run)
	t.Run("packed", p.sinks(map[string]any{"pack": "array", "qos": "2", "window": int64(3)}).Run)
}

func TestServiceSourceSuite(t *testing.T) {
	p := service(t)
	t.Run("one", p.sources(nil).Run)
	t.Run("twice", p.sources(map[string]any{"qos": "2", "window": int64(7)}).Run)
}

// control stops, kills or starts the broker.
func control(t testing.TB, verb string) {
	t.Helper()
	if out, err := exec.Command(env(t, "WEIR_TEST_MQTT_CONTROL"), verb).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
}

// up waits until the broker takes connections.
func (p peer) up(t testing.TB) {
	t.Helper()
	wait(t, func() bool {
		c, err := net.Dial("tcp", p.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// TestServiceStopped: the broker is stopped and started again while rows go through it, from an
// output to an input: none is missing, whatever came twice.
func TestServiceStopped(t *testing.T) {
	p := service(t)
	below := unique(t)
	var logs bytes.Buffer
	in := p.input(t, disk.NewMem(1).Boot(), &logs, map[string]any{"topics": []string{below + "/#"}, "client_id": below})
	defer in.Close()
	out := p.sink(t, map[string]any{"topic": below + "/rows", "timeout": 5 * time.Second})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(50+i*37%100) * time.Millisecond):
			}
			control(t, "stop") // it writes its sessions down
			control(t, "start")
			p.up(t)
		}
	})
	failures, n := 0, 0
	began := time.Now()
	for epoch := int64(1); epoch <= 8 || failures == 0 && time.Since(began) < 20*time.Second; epoch++ {
		failures += commit(t, out, epoch, connecttest.Rows(n+1, 500))
		n += 500
	}
	close(stop)
	wg.Wait()
	ids, _ := count(t, in, n)
	twice := 0
	for _, c := range ids {
		twice += c - 1
	}
	t.Logf("%d rows, %d failed commits, %d copies", n, failures, twice)
	if failures == 0 {
		t.Error("nothing has failed: the test shows nothing")
	}
}

// TestServiceAway: what comes while the job is away is there when it comes back.
func TestServiceAway(t *testing.T) {
	p := service(t)
	below := unique(t)
	var logs bytes.Buffer
	d := disk.NewMem(1)
	values := map[string]any{"topics": []string{below + "/#"}, "client_id": below}
	must(t, p.input(t, d.Boot(), &logs, values).Close())
	out := p.sink(t, map[string]any{"topic": below + "/rows"})
	commit(t, out, 1, connecttest.Rows(1, 5000))
	in := p.input(t, d.Boot(), &logs, values)
	defer in.Close()
	ids, _ := count(t, in, 5000)
	for id, c := range ids {
		if c != 1 {
			t.Fatalf("row %d came %d times", id, c)
		}
	}
}

// TestServiceWays: the ways to a broker, and what is wrong with one.
func TestServiceWays(t *testing.T) {
	p := service(t)
	f := func(url string, values map[string]any, want string) {
		t.Helper()
		below := unique(t)
		all := map[string]any{"url": url, "topics": []string{below + "/#"}, "topic": below + "/rows"}
		for k, v := range values {
			all[k] = v
		}
		for _, input := range []bool{true, false} {
			problems := probe(t.Context(), p.config(t, input, all), connect.ProbeEnv{Input: input})
			if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Text, want)) {
				t.Errorf("%s: the probe says %v", url, problems)
			}
		}
		if want != "" {
			_, err := openSink(t.Context(), p.config(t, false, all), sinkEnv())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", url, err)
			}
			return
		}
		w := p.watch(t, below)
		commit(t, p.sink(t, all), 1, connecttest.Rows(1, 50))
		texts, err := w.all()
		must(t, err)
		if got := firsts(t, texts); len(got) != 50 {
			t.Errorf("%s: %d rows", url, len(got))
		}
	}
	ca := env(t, "WEIR_TEST_MQTT_CA")
	f("mqtts://"+env(t, "WEIR_TEST_MQTT_TLS"), map[string]any{"tls_ca": ca}, "")
	f("mqtts://"+env(t, "WEIR_TEST_MQTT_TLS"), nil, "certificate")
}

// TestServiceForbidden: topics without a right.
func TestServiceForbidden(t *testing.T) {
	p := service(t)
	if got := probe(t.Context(), p.config(t, true, map[string]any{"topics": []string{"forbidden/x"}}), connect.ProbeEnv{Input: true}); len(got) != 0 && !strings.Contains(got[0].Text, "not authorized") {
		t.Errorf("%v", got)
	}
	s := p.sink(t, map[string]any{"topic": "forbidden/rows"})
	must(t, s.Write(t.Context(), 1, connecttest.Batch(connecttest.Rows(1, 3))))
	must(t, s.Prepare(t.Context(), 1, 0))
	if err := s.Commit(t.Context(), 1); err == nil || connect.IsPermanent(err) || !strings.Contains(err.Error(), `"forbidden/rows": not authorized`) {
		t.Errorf("%v", err)
	}
}

// benchRows is how many rows an epoch of the benchmarks has, of about 110 bytes.
const benchRows = 5000

func benchBatch() *vec.Batch {
	rows := connecttest.Rows(1, benchRows)
	for i := range rows {
		rows[i].Text = "2018-01-10T10:10:10.123Z Team01 Team01POI 404 the service did not answer in time"
	}
	return connecttest.Batch(rows)
}

// BenchmarkServiceOut: epochs of 5000 rows, QoS 1.
func BenchmarkServiceOut(b *testing.B) {
	p := service(b)
	s := p.sink(b, map[string]any{"topic": unique(b) + "/rows"})
	batch := benchBatch()
	for i := int64(1); b.Loop(); i++ {
		must(b, s.Write(b.Context(), i, batch))
		must(b, s.Prepare(b.Context(), i, 0))
		must(b, s.Commit(b.Context(), i))
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkServiceOutPaho: paho alone, its way: 100 goroutines that publish and wait.
func BenchmarkServiceOutPaho(b *testing.B) {
	p := service(b)
	for _, async := range []bool{false, true} {
		b.Run(fmt.Sprint("async ", async), func(b *testing.B) {
			conn, err := net.Dial("tcp", p.address)
			must(b, err)
			c := paho.NewClient(paho.ClientConfig{Conn: conn, ClientID: unique(b), PacketTimeout: time.Minute})
			_, err = c.Connect(b.Context(), &paho.Connect{ClientID: unique(b), CleanStart: true, KeepAlive: 30, UsernameFlag: true, Username: p.user, PasswordFlag: true, Password: []byte(p.password)})
			must(b, err)
			defer c.Disconnect(&paho.Disconnect{})
			topic := unique(b) + "/rows"
			body := []byte(`{"id":1234,"text":"2018-01-10T10:10:10.123Z Team01 Team01POI 404 the service did not answer in time"}`)
			for b.Loop() {
				var wg sync.WaitGroup
				work := make(chan struct{}, benchRows)
				for range benchRows {
					work <- struct{}{}
				}
				close(work)
				workers, method := 100, paho.PublishMethod_Blocking
				if async { // the last one is waited for
					workers, method = 1, paho.PublishMethod_AsyncSend
				}
				for range workers {
					wg.Go(func() {
						for range work {
							if _, err := c.PublishWithOptions(b.Context(), &paho.Publish{QoS: 1, Topic: topic, Payload: body}, paho.PublishOptions{Method: method}); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				if _, err := c.Publish(b.Context(), &paho.Publish{QoS: 1, Topic: topic, Payload: body}); err != nil {
					b.Error(err)
				}
			}
			b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkServiceIn: messages that wait at the broker, read by the input into its log, QoS 1.
func BenchmarkServiceIn(b *testing.B) {
	p := service(b)
	for _, alone := range []bool{false, true} {
		b.Run(fmt.Sprint("paho alone ", alone), func(b *testing.B) {
			below := unique(b)
			out := p.sink(b, map[string]any{"topic": below + "/rows"})
			batch := benchBatch()
			const total = 8 * benchRows
			for n := range b.N {
				b.StopTimer()
				id := fmt.Sprint(below, n)
				fs, err := disk.At(b.TempDir())
				must(b, err)
				var logs bytes.Buffer
				values := map[string]any{"topics": []string{below + "/#"}, "client_id": id}
				must(b, p.input(b, fs, &logs, values).Close())
				for i := range int64(8) {
					epoch := int64(n)*8 + i + 1
					must(b, out.Write(b.Context(), epoch, batch))
					must(b, out.Prepare(b.Context(), epoch, 0))
					must(b, out.Commit(b.Context(), epoch))
				}
				b.StartTimer()
				if alone {
					p.receive(b, id, total)
					continue
				}
				in := p.input(b, fs, &logs, values).(*source)
				for {
					if _, next, _ := in.Range(); next >= total {
						break
					}
					time.Sleep(time.Millisecond)
				}
				must(b, in.Close())
			}
			b.ReportMetric(float64(b.N)*total/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// receive takes messages with paho alone, and keeps nothing.
func (p peer) receive(b *testing.B, id string, n int) {
	conn, err := net.Dial("tcp", p.address)
	must(b, err)
	done := make(chan struct{})
	c := paho.NewClient(paho.ClientConfig{Conn: conn, ClientID: id, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(paho.PublishReceived) (bool, error) {
			if n--; n == 0 {
				close(done)
			}
			return true, nil
		}}})
	_, err = c.Connect(b.Context(), &paho.Connect{ClientID: id, KeepAlive: 30, UsernameFlag: true, Username: p.user, PasswordFlag: true, Password: []byte(p.password)})
	must(b, err)
	<-done
	must(b, c.Disconnect(&paho.Disconnect{}))
}
