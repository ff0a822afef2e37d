//go:build services

package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// variable is what scripts/services.sh sets.
func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set; run it with scripts/services.sh", name)
	}
	return v
}

// real is the broker of scripts/services/kafka.sh.
func real(t testing.TB) *cluster {
	t.Helper()
	return clusterOf(t, nil, variable(t, "WEIR_TEST_KAFKA"))
}

// control stops, kills or starts the broker.
func control(t testing.TB, verb string) {
	t.Helper()
	if out, err := exec.Command(variable(t, "WEIR_TEST_KAFKA_CONTROL"), verb).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
}

// answers waits until the broker answers again.
func (c *cluster) answers() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, err := kadm.NewClient(c.client).Metadata(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			c.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestServiceSinkSuite(t *testing.T) { sinks(t, false, real) }

func TestServiceSourceSuite(t *testing.T) {
	t.Run("suite", func(t *testing.T) { sources(t, real) })
}

// TestServiceBrokerDies: the broker is killed, or stopped, while an epoch is on its way, and is
// away for a while. Each row comes once, and a reader that was open goes on.
func TestServiceBrokerDies(t *testing.T) {
	c := real(t)
	t.Cleanup(func() { control(t, "start"); c.answers() })
	for _, verb := range []string{"kill", "stop"} {
		t.Run(verb, func(t *testing.T) {
			c := real(t)
			topic := c.topic(3)
			o := c.mustWrite(topic, nil, map[string]any{"partition_key": "id"})
			var rows []connecttest.Row
			for i := range 40_000 {
				rows = append(rows, connecttest.Row{ID: int64(i), Text: strings.Repeat("x", 200)})
			}
			o.write(1, rows[:100])
			o.commit(1)
			s := c.open(topic, nil, connect.SourceEnv{})
			r := s.reading(t, "0", "")
			before := until(t, r, lines(1))

			o.write(2, rows[100:30_000])
			died := make(chan struct{})
			go func() {
				defer close(died)
				control(t, verb)
			}()
			errs := 0
			for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
				err := o.Commit(context.Background(), 2)
				if err == nil {
					break
				}
				if errs++; connect.IsPermanent(err) {
					t.Fatal(err)
				}
				time.Sleep(200 * time.Millisecond)
			}
			<-died
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				chunk, err := r.Read(context.Background(), 1<<20, "")
				if err != nil {
					if connect.IsPermanent(err) || errors.Is(err, connect.ErrGone) {
						t.Fatal(err)
					}
					break
				}
				before.add(&chunk)
				if time.Now().After(end) {
					t.Fatal("a reader does not tell that the broker is away")
				}
			}
			r.Close()
			control(t, "start")
			o.commit(2)
			o.write(3, rows[30_000:])
			o.commit(3)
			list, err := c.committed(topic)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rowsOf(list)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b connecttest.Row) int { return int(a.ID - b.ID) })
			if !slices.Equal(got, rows) {
				t.Errorf("%d rows, and must be %d, each once", len(got), len(rows))
			}
			want := 0
			for _, r := range list {
				if r.Partition == 0 {
					want++
				}
			}
			left := want - strings.Count(before.text, "\n")
			after := until(t, s.reading(t, "0", before.next), lines(left))
			if n := strings.Count(after.text, "\n"); n != left {
				t.Errorf("%d events are read behind the failure, and must be %d", n, left)
			}
			t.Logf("%d attempts failed", errs)
		})
	}
}

// TestServiceTimeout: a transaction that the broker has ended is written again.
func TestServiceTimeout(t *testing.T) {
	c := real(t)
	topic := c.topic(1)
	o := c.mustWrite(topic, nil, map[string]any{"transaction_timeout": time.Second})
	rows := connecttest.Rows(1, 20)
	o.write(1, rows[:10])
	o.commit(1)
	if err := o.p.session.cl.BeginTransaction(); err != nil { // one that takes too long
		t.Fatal(err)
	}
	c2 := o.p.session.cl
	if err := c2.ProduceSync(c.within(), &kgo.Record{Topic: topic, Value: []byte(`{"id":-1}`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o.p.session.open = true
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		ends, err := kadm.NewClient(c.client).ListCommittedOffsets(c.within(), topic)
		if err == nil && ends[topic][0].Offset == c.ends(topic)[0] {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the broker does not end it")
		}
	}
	o.write(2, rows[10:])
	errs := o.commit(2)
	for _, err := range errs {
		t.Log(err)
	}
	c.shows(topic, rows)
}

// TestServiceZombie: a process that was replaced does not write.
func TestServiceZombie(t *testing.T) {
	c := real(t)
	topic := c.topic(1)
	state := disk.NewMem(1)
	rows := connecttest.Rows(1, 20)
	first := c.mustWrite(topic, state, nil)
	first.write(1, rows[:10])
	first.commit(1)
	second := c.mustWrite(topic, state, nil)
	first.write(2, rows[10:])
	var err error
	for range 3 {
		if err = first.Commit(context.Background(), 2); err == nil || connect.IsPermanent(err) {
			break
		}
	}
	if !errors.Is(err, errTwice) {
		t.Errorf("the first process: %v", err)
	}
	second.write(2, rows[10:])
	second.commit(2)
	c.shows(topic, rows)
}

// TestServiceSignIn: TLS and each way to sign in; what is refused is said, without secrets.
func TestServiceSignIn(t *testing.T) {
	c := real(t)
	topic := c.topic(1)
	c.put(topic, 0, `{"n":1}`)
	addr, password, ca := variable(t, "WEIR_TEST_KAFKA_SASL"), variable(t, "WEIR_TEST_KAFKA_PASSWORD"), variable(t, "WEIR_TEST_KAFKA_CA")
	given := func(mechanism, password, ca string) map[string]any {
		m := map[string]any{"brokers": []string{addr}, "sasl": mechanism, "user": "weir", "password": connect.NewHidden(password)}
		if ca != "" {
			m["tls_ca"] = ca
		} else {
			m["tls"] = true
		}
		return m
	}
	for _, mechanism := range []string{saslPlain, saslScram256, saslScram512} {
		s := c.open(topic, given(mechanism, password, ca), connect.SourceEnv{})
		if got := until(t, s.reading(t, "0", ""), lines(1)); got.text != text(`{"n":1}`) {
			t.Errorf("%s: %q", mechanism, got.text)
		}
	}
	const secret = "planted-secret"
	f := func(what string, m map[string]any, want string) {
		t.Helper()
		_, err := openSource(c.within(), c.config(topic, m), connect.SourceEnv{})
		if !connect.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("wrong password", given(saslScram256, secret, ca), "check the user and the password")
	f("wrong password, plain", given(saslPlain, secret, ca), "check the user and the password")
	f("unknown authority", given(saslPlain, password, ""), "tls_ca")
	m := given("none", password, ca)
	delete(m, "user")
	delete(m, "password")
	if _, err := openSource(c.within(), c.config(topic, m), connect.SourceEnv{}); err == nil {
		t.Error("it opens without signing in")
	} else {
		t.Log(err)
	}
}

// TestServiceLimit: a row that the topic does not take is rejected, and one that it just takes is
// not.
func TestServiceLimit(t *testing.T) {
	c := real(t)
	const limit = 10_000
	topic := c.topic(1, "max.message.bytes", fmt.Sprint(limit))
	for _, given := range []map[string]any{nil, {"transactional": "off"}} {
		o := c.mustWrite(topic, nil, given)
		var rows []connecttest.Row
		for i := range 40 {
			rows = append(rows, connecttest.Row{ID: int64(i), Text: strings.Repeat("x", limit-600+20*i)})
		}
		o.write(1, rows)
		if len(o.bad) == 0 || len(o.bad) == len(rows) {
			t.Fatalf("%d rows are rejected", len(o.bad))
		}
		if err := o.Commit(c.within(), 1); errors.Is(err, kerr.MessageTooLarge) || err != nil {
			t.Error(err)
		}
	}
}
