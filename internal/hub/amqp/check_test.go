package amqp_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	. "weir/internal/hub/amqp"
)

// checked splits a message and checks it.
func checked(message []byte) error {
	s, err := Split(message)
	if err != nil {
		return err
	}
	return s.Check()
}

func TestCheck(t *testing.T) {
	good := func(m *goamqp.Message) {
		t.Helper()
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := checked(b); err != nil {
			t.Errorf("%x: %v", b, err)
		}
	}
	text := "ä"
	good(goamqp.NewMessage(nil))
	good(&goamqp.Message{Data: [][]byte{{1}, {2}}})
	good(&goamqp.Message{Sequence: [][]any{{int8(1), "a"}, {}}})
	good(&goamqp.Message{Value: map[string]any{"a": []string{"b", "ä"}, "c": []any{nil, true, int64(1) << 40, 1.5, time.UnixMilli(7)}, "d": map[any]any{"e": "f"}}})
	good(&goamqp.Message{Annotations: goamqp.Annotations{"a": uint8(1), int64(4): "x"}, ApplicationProperties: map[string]any{"p": goamqp.UUID{1}},
		Footer: goamqp.Annotations{"f": []byte{1}},
		Properties: &goamqp.MessageProperties{MessageID: uint64(300), UserID: []byte{1}, To: &text, Subject: &text, ReplyTo: &text, CorrelationID: goamqp.UUID{2},
			ContentType: &text, ContentEncoding: &text, AbsoluteExpiryTime: &time.Time{}, GroupID: &text, GroupSequence: new(uint32), ReplyToGroupID: &text}})

	bad := func(why string, message ...byte) {
		t.Helper()
		if err := checked(message); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%x: %v; want %q", message, err, why)
		}
	}
	value := func(v ...byte) []byte { return append([]byte{0, 0x53, 0x77}, v...) }
	bad("UTF-8", value(0xa1, 1, 0xff)...)
	bad("UTF-8", value(0xa3, 1, 0xff)...)
	bad("boolean", value(0x56, 2)...)
	bad("no constructor", value(0x57, 2)...)
	bad("beyond the end", value(0xc0, 3, 1, 0xa1, 9)...)
	bad("behind the last element", value(0xc0, 3, 1, 0x40, 0x40)...)
	bad("key without a value", value(0xc1, 2, 1, 0x40)...)
	bad("of an array", value(0xe0, 4, 1, 0x50, 1, 2)...)
	bad("beyond the end", value(0xe0, 3, 1, 0x60, 1)...)
	bad("array of", value(0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40)...)
	bad("nested deeper", value(append(bytes.Repeat([]byte{0}, 100), bytes.Repeat([]byte{0x40}, 101)...)...)...)
	bad("not binary", 0, 0x53, 0x75, 0xa1, 0)
	bad("no list", 0, 0x53, 0x76, 0x40)
	bad("a map was expected", 0, 0x53, 0x74, 0x45)
	bad("no text", 0, 0x53, 0x74, 0xc1, 3, 2, 0x44, 0x40)
	bad("a key of the type 0x54", 0, 0x53, 0x72, 0xc1, 4, 2, 0x54, 1, 0x40)
	bad("behind the last entry", 0, 0x53, 0x78, 0xc1, 5, 2, 0xa3, 0, 0x40, 0x40)
	bad("properties that are no list", 0, 0x53, 0x73, 0xc1, 1, 0)
	bad("the property at 1", 0, 0x53, 0x73, 0xc0, 4, 2, 0x40, 0xa1, 0)
	bad("14 properties", append([]byte{0, 0x53, 0x73, 0xc0, 15, 14}, bytes.Repeat([]byte{0x40}, 14)...)...)

	deep := value(0x40)
	for range 100 {
		v := deep[3:]
		deep = value(append([]byte{0xd0, 0, 0, byte((len(v) + 4) >> 8), byte(len(v) + 4), 0, 0, 0, 1}, v...)...)
	}
	bad("nested deeper", deep...)
}

func TestCheckAllocates(t *testing.T) {
	m := &goamqp.Message{Annotations: goamqp.Annotations{"a": "b"}, Properties: &goamqp.MessageProperties{MessageID: "id"}, ApplicationProperties: map[string]any{"n": int32(7)}, Data: [][]byte{[]byte("x")}}
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := checked(b); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCheck says that what passes can be decoded, by us and by the client of Azure's SDK for
// Go, except for types that the client does not have.
func FuzzCheck(f *testing.F) {
	for _, m := range []*goamqp.Message{
		goamqp.NewMessage([]byte("body")),
		{Value: map[string]any{"a": []string{"b"}, "c": int64(1)}},
		{Annotations: goamqp.Annotations{"a": "b"}, Properties: &goamqp.MessageProperties{MessageID: "id", CorrelationID: uint64(9)}, ApplicationProperties: map[string]any{"n": int32(7), "t": time.UnixMilli(1)}, Sequence: [][]any{{"x", nil}}},
	} {
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Split(b)
		if err != nil || s.Header != nil || s.DeliveryAnnotations != nil || s.Check() != nil {
			return
		}
		if _, err := Decode(b); err != nil {
			t.Fatalf("%x passes and cannot be decoded: %v", b, err)
		}
		if bytes.ContainsAny(b, "\x73\x74\x84\x94\xe0\xf0\x00") && strange(b) {
			return
		}
		if err := new(goamqp.Message).UnmarshalBinary(b); err != nil {
			t.Fatalf("%x passes and the client says: %v", b, err)
		}
	})
}

// strange reports whether a message may have what the client for Go does not take: decimals,
// characters, arrays, described values in values, several entries with the same key.
func strange(b []byte) bool {
	m, err := Decode(b)
	if err != nil {
		return true
	}
	s, _ := Split(b)
	v, _, _ := DecodeValueBody(s.Body)
	odd := false
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case Char, Decimal, Array, Described:
			odd = true
		case []any:
			for _, e := range v {
				look(e)
			}
		case []Pair:
			odd = true // its keys have become texts
		}
	}
	look(v)
	for _, list := range [][]Pair{m.Annotations, m.Application} {
		for _, p := range list {
			look(p.Value)
		}
	}
	return odd || len(s.Footer) > 0 || bytes.Contains(b, []byte{0x53, 0x76})
}
