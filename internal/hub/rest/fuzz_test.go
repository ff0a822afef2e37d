package rest

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"unicode/utf8"

	"weir/internal/hub/amqp"
)

// FuzzBatch: whatever the body of a batch is, it is refused with a status, or every event of it
// is a message that can be read, all with the same key.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{`[]`, `[{"Body":"x"}]`, `[{"Body":"AA==","IsBodyBase64":true,"UserProperties":{"a":1,"b":"x","c":null,"d":true,"e":1e400}}]`,
		`[{"BrokerProperties":{"PartitionKey":"k","MessageId":"m"}},{"BrokerProperties":{"PartitionKey":"k"}}]`, `[[[[`, `[{"Body":"\ud800"}]`, `[{"UserProperties":{"":{}}}]`, "[null]", "[1", "{}", "\x00"} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), "p")
	}
	f.Fuzz(func(t *testing.T, body []byte, publisher string) {
		s := &room{body: body}
		if len(body) > 1<<16 || !utf8.ValidString(publisher) {
			return
		}
		err := s.decode(&http.Request{Header: http.Header{"Content-Type": {batchType}}}, publisher)
		check(t, s, err)
		if err == nil && len(s.events) == 0 {
			t.Fatal("no event and no error")
		}
	})
}

// FuzzBroker: the same for the headers of a single event.
func FuzzBroker(f *testing.F) {
	for _, s := range []string{`{}`, `{"PartitionKey":"k"}`, `{"partitionKEY":"k","MessageId":null}`, `null`, `[`, `{"PartitionKey":"\ud800"}`, "{\"PartitionKey\":\"\xff\"}"} {
		f.Add(s, "X-A", "1", []byte("x"))
		f.Add(s, "X-A", `"`, []byte{0})
	}
	f.Fuzz(func(t *testing.T, broker, name, value string, body []byte) {
		h := http.Header{"Brokerproperties": {broker}, http.CanonicalHeaderKey(name): {value}}
		if !utf8.ValidString(name) {
			return // net/http takes no such name
		}
		s := &room{body: body}
		check(t, s, s.decode(&http.Request{Header: h}, ""))
		if len(s.events) == 1 {
			if got, err := amqp.Body(s.events[0].Message); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("the body is %q, %v", got, err)
			}
		}
	})
}

func check(t *testing.T, s *room, err error) {
	t.Helper()
	if r, ok := errors.AsType[*refusal](err); err != nil && (!ok || r.status < 400 || !utf8.ValidString(r.text) || len(r.text) > 1000) {
		t.Fatalf("%v", err)
	}
	if err != nil {
		return
	}
	for i, e := range s.events {
		if _, err := amqp.Decode(e.Message); err != nil {
			t.Fatalf("event %d cannot be read: %v", i, err)
		}
		if !bytes.Equal(e.Key, s.key) || len(e.Key) > MaxKey {
			t.Fatalf("the key of event %d is %q", i, e.Key)
		}
	}
}
