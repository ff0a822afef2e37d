package hub

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
)

// through has a job read messages from a hub and write rows to another one, until there are so
// many rows and dead letters. It gives both.
func through(t *testing.T, query string, o job.LiveInput, metadata []string, messages []hub.Event, rows, letters int) (out []string, dead []job.DeadLetter) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{disk: disk.NewMem(1), made: hub.Config{Name: "in", Partitions: 1}}
		w.disk.Clock(time.Now)
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		defer w.broker.Close()
		script, list := saql.Parse(query)
		p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
		if list.HasErrors() || more.HasErrors() {
			t.Fatal(list, more)
		}
		state, err := w.disk.Sub("job")
		if err != nil {
			t.Fatal(err)
		}
		o.Name = "e"
		o.Open = func(env connect.SourceEnv) (connect.Source, error) {
			env.Metadata = metadata
			return openSource(w.ctx(), config(true, map[string]any{"hub": "in"}), env)
		}
		l, err := job.OpenLive(t.Context(), state, job.LiveSpec{Name: "j", Plan: p, Late: 5 * time.Second, Start: job.StartBeginning, Inputs: []job.LiveInput{o},
			Outputs: []job.LiveOutput{{Name: "o", OnError: job.OnErrorStop, Open: func(env connect.SinkEnv) (connect.Sink, error) {
				return openSink(w.ctx(), config(false, map[string]any{"hub": "out", "create": true, "partitions": int64(1)}), env)
			}}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		h, err := w.broker.Hub("in")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if _, err := h.Partitions()[0].Append([]hub.Event{m}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			n := 0
			for _, c := range l.Stats().Dead {
				n += int(c)
			}
			if out, _ = bodies(w.broker, "out"); len(out) >= rows && n >= letters {
				break
			}
		}
		if dead, err = l.DeadLetters(0, 100); err != nil {
			t.Error(err)
		}
	})
	return out, dead
}

func made(m amqp.Message) hub.Event { return hub.Event{Message: m.Append(nil)} }

// TestMetadata: a query sees what messages carry beside their bodies.
func TestMetadata(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the clock of a bubble begins then
	all := []hub.Event{
		made(amqp.Message{Application: []amqp.Pair{{Key: "tenant", Value: "a"}, {Key: "n", Value: int64(7)}}, Body: []byte(`[{"x":1},{"x":2}]`)}),
		{Key: []byte("red"), Message: (&amqp.Message{Body: []byte(`{"x":3,"PartitionId":"mine"}`)}).Append(nil)},
		made(amqp.Message{Annotations: []amqp.Pair{{Key: "iothub-connection-device-id", Value: "d1"}, {Key: "iothub-enqueuedtime", Value: at}},
			Properties: amqp.Properties{MessageID: "m1"}, Body: []byte(`{"x":4}`)}),
	}
	f := func(query string, metadata []string, columns bool, want ...string) {
		t.Helper()
		out, _ := through(t, query, job.LiveInput{MetaColumns: columns}, metadata, all, len(want), 0)
		if !slices.Equal(out, want) {
			t.Errorf("%s\n got %s\nwant %s", query, strings.Join(out, "\n     "), strings.Join(want, "\n     "))
		}
	}
	f(`SELECT x, GetMetadataPropertyValue(e, '[User].[tenant]') AS t, GetMetadataPropertyValue(e, 'User') AS u INTO o FROM e`, []string{"User", "User.tenant"}, false,
		`{"x":1,"t":"a","u":{"tenant":"a","n":7}}`, `{"x":2,"t":"a","u":{"tenant":"a","n":7}}`, `{"x":3,"t":null,"u":null}`, `{"x":4,"t":null,"u":null}`)
	f(`SELECT x, PartitionId, EventEnqueuedUtcTime AS q, GetMetadataPropertyValue(e, 'EventHub.SequenceNumber') AS s, GetMetadataPropertyValue(e, 'EventHub.PartitionKey') AS k INTO o FROM e`,
		nil, false,
		`{"x":1,"PartitionId":0,"q":"2000-01-01T00:00:00.0000000Z","s":0,"k":null}`, `{"x":2,"PartitionId":0,"q":"2000-01-01T00:00:00.0000000Z","s":0,"k":null}`,
		`{"x":3,"PartitionId":0,"q":"2000-01-01T00:00:00.0000000Z","s":1,"k":"red"}`, `{"x":4,"PartitionId":0,"q":"2000-01-01T00:00:00.0000000Z","s":2,"k":null}`)
	f(`SELECT x, IoTHub.ConnectionDeviceId AS d, GetMetadataPropertyValue(e, 'IoTHub.MessageId') AS m, GetMetadataPropertyValue(e, 'EventHub.IoTConnectionDeviceId') AS i INTO o FROM e WHERE x > 2`,
		[]string{"EventHub.IoTConnectionDeviceId", "IoTHub", "IoTHub.MessageId"}, false,
		`{"x":3,"d":null,"m":null,"i":null}`, `{"x":4,"d":"d1","m":"m1","i":"d1"}`)
	f(`SELECT * INTO o FROM e WHERE x = 3`, []string{"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId"}, true,
		`{"x":3,"PartitionId":0,"EventProcessedUtcTime":"2000-01-01T00:00:00.0000000Z","EventEnqueuedUtcTime":"2000-01-01T00:00:00.0000000Z"}`)
	f(`SELECT x, GetMetadataPropertyValue(e, 'EventHub') AS h INTO o FROM e WHERE x = 3`, []string{"EventHub"}, false,
		`{"x":3,"h":{"EventEnqueuedUtcTime":"2000-01-01T00:00:00.0000000Z","EventProcessedUtcTime":"2000-01-01T00:00:00.0000000Z","PartitionId":0,"Offset":"111","SequenceNumber":1,"PartitionKey":"red"}}`)
	f(`SELECT x INTO o FROM e WHERE x < 3`, []string{}, false, `{"x":1}`, `{"x":2}`)
}

// TestCSVThroughJob: messages of CSV with several headers, and one that does not end.
func TestCSVThroughJob(t *testing.T) {
	var all []hub.Event
	for _, body := range []string{"a,b\n1,2\n3,4", "a,b\n5,6", "b,c\n7,8\n", "a,b\n9,\"x", "a,b\n10,11"} {
		all = append(all, made(amqp.Message{Body: []byte(body)}))
	}
	out, dead := through(t, `SELECT a, b INTO o FROM e`, job.LiveInput{Format: connect.Format{Type: "csv"}}, []string{}, all, 5, 1)
	want := []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`, `{"a":"5","b":"6"}`, `{"a":null,"b":"7"}`, `{"a":"10","b":"11"}`}
	if !slices.Equal(out, want) {
		t.Errorf("got %q", out)
	}
	if len(dead) != 1 || dead[0].Offset != 3 || dead[0].Payload != `9,"x` {
		t.Errorf("dead letters: %+v", dead)
	}
}

// TestBadMessages: each is one dead letter with its number, and harms no other.
func TestBadMessages(t *testing.T) {
	all := []hub.Event{
		made(amqp.Message{Body: []byte(`{"x":1}`)}), made(amqp.Message{Body: []byte("{\n\"x\": 2,\n\"y\": \n")}), made(amqp.Message{Body: nil}),
		made(amqp.Message{Body: []byte("\x1f\x8bnonsense")}), made(amqp.Message{Body: []byte("{\"x\":\"\xff\"}")}), {Message: []byte("no message at all")},
		made(amqp.Message{Body: []byte(`{"x":3}`)}),
	}
	out, dead := through(t, `SELECT x INTO o FROM e`, job.LiveInput{}, []string{}, all, 2, 4)
	if !slices.Equal(out, []string{`{"x":1}`, `{"x":3}`}) {
		t.Errorf("got %q", out)
	}
	var at []int64
	for _, d := range dead {
		at = append(at, d.Offset)
	}
	if !slices.Equal(at, []int64{1, 3, 4, 5}) {
		t.Errorf("dead letters: %+v", dead)
	}
}
