//go:build peers

package peertest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// kcat is the command line of librdkafka, as Debian has it.
func (w *world) kcat(t *testing.T, ssl bool, input string, more ...string) string {
	t.Helper()
	return w.tool(t, input, "kcat", append(w.kcatArgs(ssl), more...)...)
}

func (w *world) kcatArgs(ssl bool) []string {
	list := []string{"-q", "-b", w.Kafka, "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=$ConnectionString", "-X", "sasl.password=" + w.tls}
	if ssl {
		return append(list, "-X", "security.protocol=SASL_SSL", "-X", "ssl.ca.location="+w.caFile)
	}
	return append(list, "-X", "security.protocol=SASL_PLAINTEXT")
}

// kcatEvent is what kcat -J says of a message.
type kcatEvent struct {
	Partition int
	Offset    int64
	Headers   []string
	Key       *string
	Payload   string
}

func kcatEvents(t *testing.T, text string) []received {
	t.Helper()
	var list []received
	for line := range strings.Lines(text) {
		var e kcatEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("kcat says %q: %v", line, err)
		}
		body := encoded(e.Payload)
		r := received{Partition: fmt.Sprint(e.Partition), Seq: e.Offset, Base64: &body, Properties: map[string]any{}}
		if e.Key != nil {
			r.PartitionKey = *e.Key
		}
		for p := range slices.Chunk(e.Headers, 2) {
			r.Properties[p[0]] = p[1]
		}
		list = append(list, r)
	}
	return list
}

func TestKcat(t *testing.T) {
	w := program(t)
	for _, ssl := range []bool{false, true} {
		t.Run(fmt.Sprintf("ssl=%v", ssl), func(t *testing.T) {
			h := w.newHub(t, 3)
			var meta struct {
				Topics []struct {
					Topic      string
					Partitions []struct{ Partition int }
				}
			}
			if err := json.Unmarshal([]byte(w.kcat(t, ssl, "", "-L", "-J", "-t", h)), &meta); err != nil {
				t.Fatal(err)
			}
			if len(meta.Topics) != 1 || meta.Topics[0].Topic != h || len(meta.Topics[0].Partitions) != 3 {
				t.Errorf("kcat lists %+v", meta)
			}
			for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
				w.kcat(t, ssl, "key|"+codec+"\n", "-P", "-t", h, "-K", "|", "-H", "codec="+codec, "-H", "n=1", "-z", codec)
			}
			var want []event
			for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
				want = append(want, event{Text: codec, Key: "key", Properties: map[string]string{"codec": codec, "n": "1"}})
			}
			same(t, kcatEvents(t, w.kcat(t, ssl, "", "-C", "-t", h, "-o", "beginning", "-e", "-J")), want)
			// A group reads each once: the second time there is nothing left.
			group := []string{"-e", "-J", "-X", "auto.offset.reset=earliest", "-G", "group-" + h, h}
			same(t, kcatEvents(t, w.kcat(t, ssl, "", group...)), want)
			same(t, kcatEvents(t, w.kcat(t, ssl, "", group...)), nil)
		})
	}
	out, err := w.tryTool(t, "x\n", "kcat", "-b", w.Kafka, "-X", "sasl.mechanism=PLAIN", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.username=$ConnectionString",
		"-X", "sasl.password="+strings.Replace(w.tls, w.key, encoded("wrong"), 1), "-P", "-t", w.newHub(t, 1), "-X", "message.timeout.ms=3000")
	if err == nil || !strings.Contains(strings.ToLower(out), "authentication") {
		t.Errorf("a wrong key: %v, %s", err, out)
	}
}

// TestKafkaClients: four clients that share no code send and receive, over plain connections
// and TLS, with groups that commit what they have read.
func TestKafkaClients(t *testing.T) {
	w := program(t)
	js, py := javascript("kafka.mjs"), python("kafka_clients.py")
	f := func(c client, lib string, ssl, idempotent bool) {
		t.Helper()
		t.Run(fmt.Sprintf("%s ssl=%v", lib, ssl), func(t *testing.T) {
			h := w.newHub(t, 1)
			a := args{"lib": lib, "ssl": ssl, "idempotent": idempotent, "group": "g-" + lib}
			sent := []event{
				{Base64: encoded("one"), Key: "k1", Properties: map[string]string{"kind": "first", "größe": "3"}},
				{Base64: encoded("\x00\xff\x80 bytes"), Key: "k2"},
				{Base64: encoded("three")},
			}
			a["events"], a["count"] = sent, 3
			w.run(t, c, h, "send", a)
			same(t, w.run(t, c, h, "receive", a).events(t), sent)
			more := []event{{Base64: encoded("later"), Key: "k1"}}
			a["events"], a["count"] = more, 1
			w.run(t, c, h, "send", a)
			same(t, w.run(t, c, h, "receive", a).events(t), more)
			a["password"] = strings.Replace(w.tls, w.key, encoded("wrong"), 1)
			if !ssl && !strings.Contains(lib, "python") && lib != "confluent" { // those try for ever
				if _, err := w.try(t, c, h, "send", a); err == nil {
					t.Errorf("a wrong key was taken")
				}
			}
		})
	}
	f(js, "kafkajs", false, false)
	f(js, "kafkajs", true, true)
	f(js, "platformatic", false, true)
	f(js, "platformatic", true, false)
	f(py, "confluent", false, true)
	f(py, "confluent", true, false)
	f(py, "kafka-python", false, false)
	f(py, "kafka-python", true, true)
}

// TestFranz: franz-go, idempotent, with a group whose offsets another member goes on from.
func TestFranz(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 4)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	client := func(more ...kgo.Opt) *kgo.Client {
		t.Helper()
		c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.Kafka), kgo.DialTLSConfig(&tls.Config{RootCAs: w.pool}),
			kgo.SASL(plain.Auth{User: "$ConnectionString", Pass: w.tls}.AsMechanism())}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	const n = 1000
	p := client()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: h, Key: fmt.Appendf(nil, "k%d", i%50), Value: fmt.Append(nil, i), Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}}})
	}
	if err := p.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	read := func(count int) map[string]int {
		t.Helper()
		c := client(kgo.ConsumerGroup("franz"), kgo.ConsumeTopics(h), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		seen := map[string]int{}
		last := map[string]int64{}
		for got := 0; got < count; {
			fetches := c.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				got++
				seen[string(r.Value)]++
				if before, ok := last[string(r.Key)]; ok && r.Offset <= before {
					t.Errorf("key %s goes back to %d", r.Key, r.Offset)
				}
				last[string(r.Key)] = r.Offset
				if len(r.Headers) != 1 || string(r.Headers[0].Value) != string(r.Value) {
					t.Errorf("%s has headers %v", r.Value, r.Headers)
				}
			})
		}
		if err := c.CommitUncommittedOffsets(ctx); err != nil {
			t.Fatal(err)
		}
		c.Close()
		return seen
	}
	if seen := read(n); len(seen) != n {
		t.Errorf("%d different records of %d", len(seen), n)
	}
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: h, Value: []byte("later"), Headers: []kgo.RecordHeader{{Key: "n", Value: []byte("later")}}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if seen := read(1); seen["later"] != 1 {
		t.Errorf("the next member of the group has read %v", seen)
	}
	admin := kadm.NewClient(p)
	ends, err := admin.ListEndOffsets(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	if sum != n+1 {
		t.Errorf("the ends of the partitions are %d in all", sum)
	}
	late, err := admin.ListOffsetsAfterMilli(ctx, time.Now().Add(time.Hour).UnixMilli(), h)
	if err != nil {
		t.Fatal(err)
	}
	late.Each(func(o kadm.ListedOffset) {
		if end, _ := ends.Lookup(h, o.Partition); o.Offset != end.Offset && o.Offset != -1 {
			t.Errorf("partition %d begins at %d in an hour, its end is %d", o.Partition, o.Offset, end.Offset)
		}
	})
}
