package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// config is settings with the defaults of the others.
func config(input bool, given map[string]any) connect.Config {
	values := map[string]any{"hub": "events", "create": false, "partitions": int64(4), "retention": 24 * time.Hour,
		"consumer_group": hub.DefaultGroup, "metadata_columns": true}
	if !input {
		values["pack"], values["pack_bytes"] = message.PackOne, int64(64<<10)
	}
	for k, v := range given {
		values[k] = v
	}
	return connect.Config{Values: values}
}

// world is a disk with a broker that comes back after every crash.
type world struct {
	disk   *disk.Mem
	broker *hub.Broker
	made   hub.Config
}

// open makes the broker of a process that begins now.
func (w *world) open() error {
	if w.broker != nil {
		w.broker.Close() // if its process has ended this fails
		w.broker = nil
	}
	fs, err := w.disk.Boot().Sub("hub")
	if err != nil {
		return err
	}
	b, err := hub.Open(hub.Options{FS: fs})
	if err != nil {
		return err
	}
	w.broker = b
	if _, err := b.Hub(w.made.Name); err != nil {
		_, err = b.Create(w.made)
		return err
	}
	return nil
}

func (w *world) ctx() context.Context { return With(context.Background(), w.broker) }

// bodies are the payloads of a hub, partition by partition.
func bodies(b *hub.Broker, name string) (list []string, err error) {
	err = messagesOf(b, name, func(_ int, key []byte, m amqp.Message) { list = append(list, string(m.Body)) })
	return list, err
}

// messagesOf goes through the messages of a hub.
func messagesOf(b *hub.Broker, name string, do func(partition int, key []byte, m amqp.Message)) error {
	h, err := b.Hub(name)
	if err != nil {
		return err
	}
	for _, p := range h.Partitions() {
		r, err := p.Read(p.Range().First)
		if err != nil {
			return err
		}
		for {
			batch, err := r.Next()
			if err != nil {
				return err
			}
			if batch == nil {
				break
			}
			for _, rec := range batch.Records {
				m, err := amqp.Decode(rec.Value)
				if err != nil {
					return err
				}
				do(p.ID(), rec.Key, m)
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

func (w *world) rows() (list []connecttest.Row, err error) {
	texts, err := bodies(w.broker, w.made.Name)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		var e []event
		if t[0] != '[' {
			t = "[" + t + "]"
		}
		if err := json.Unmarshal([]byte(t), &e); err != nil {
			return nil, err
		}
		for _, x := range e {
			list = append(list, connecttest.Row(x))
		}
	}
	return list, nil
}

// TestSinkSuite: with one partition an epoch is there at once; with several, as soon as it is
// committed, in the order of each partition.
func TestSinkSuite(t *testing.T) {
	f := func(name string, partitions int, given map[string]any) {
		t.Run(name, func(t *testing.T) {
			connecttest.Sinks{Unordered: partitions > 1, Early: partitions > 1, Stride: 3, New: func(t testing.TB) *connecttest.Target {
				w := &world{disk: disk.NewMem(1), made: hub.Config{Name: "events", Partitions: partitions}}
				t.Cleanup(func() {
					if w.broker != nil {
						w.broker.Close()
					}
				})
				return &connecttest.Target{Disk: w.disk, Rows: w.rows,
					Open: func(env connect.SinkEnv) (connect.Sink, error) {
						if err := w.open(); err != nil {
							return nil, err
						}
						return openSink(w.ctx(), config(false, given), env)
					}}
			}}.Run(t)
		})
	}
	f("one", 1, nil)
	f("keys", 3, map[string]any{"partition_key": "text"})
	f("packed", 2, map[string]any{"pack": message.PackArray, "pack_bytes": int64(300)})
}

// TestSourceSuite: what was appended is read as the contract says.
// TestWaiting: how many events are behind a position, of those that are kept.
func TestWaiting(t *testing.T) {
	w := &world{disk: disk.NewMem(1), made: hub.Config{Name: "events", Partitions: 1}}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.broker.Close() })
	s, err := openSource(w.ctx(), config(true, nil), connect.SourceEnv{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(partition string, after connect.Position, want int64, known bool) {
		t.Helper()
		if n, ok := s.(connect.Backlog).Waiting(partition, after); n != want || ok != known {
			t.Errorf("%s behind %q: %d, %v", partition, after, n, ok)
		}
	}
	f("0", "", 0, true)
	h, err := w.broker.Hub("events")
	if err != nil {
		t.Fatal(err)
	}
	e := hub.Event{Message: (&amqp.Message{Body: []byte("{}")}).Append(nil)}
	if _, err := h.Partitions()[0].Append([]hub.Event{e, e, e}, nil); err != nil {
		t.Fatal(err)
	}
	f("0", "", 3, true)
	f("0", "1", 2, true)
	f("0", "3", 0, true)
	f("0", "9", 0, true)
	f("0", "x", 0, false)
	f("7", "", 0, false)
}

func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		w := &world{disk: disk.NewMem(1), made: hub.Config{Name: "events", Partitions: 1}}
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.broker.Close() })
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Add = func(rows []connecttest.Row) error {
			h, err := w.broker.Hub("events")
			if err != nil {
				return err
			}
			for some := range slices.Chunk(rows, 7) {
				var list []hub.Event
				for i, r := range some {
					body, err := json.Marshal(event(r))
					if err != nil {
						return err
					}
					if i%3 == 1 { // an array, and white space
						body = fmt.Appendf(nil, " [\n%s\n] \r\n", body)
					}
					list = append(list, hub.Event{Message: (&amqp.Message{Body: body}).Append(nil)})
				}
				if _, err := h.Partitions()[0].Append(list, nil); err != nil {
					return err
				}
			}
			return nil
		}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return openSource(w.ctx(), config(true, nil), env)
		}
		if err := f.Add(f.Rows); err != nil {
			t.Fatal(err)
		}
		return f
	}}.Run(t)
}
