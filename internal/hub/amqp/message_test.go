package amqp

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMessageThereAndBack(t *testing.T) {
	f := func(m Message) {
		t.Helper()
		b := m.Append([]byte("before"))[6:]
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%#v\ncame back as\n%#v", m, got)
		}
		body, err := Body(b)
		if err != nil || !bytes.Equal(body, m.Body) {
			t.Errorf("the body is %q, %v", body, err)
		}
	}
	f(Message{Body: []byte{}})
	f(Message{Body: []byte("x")})
	f(Message{Body: []byte("x"), Properties: Properties{UserID: []byte{}}})
	f(Message{Body: []byte("x"), Properties: Properties{ReplyToGroupID: "z"}})
	f(Message{
		Annotations: []Pair{{"x-opt-partition-key", "k"}, {"n", int64(5)}},
		Properties: Properties{
			MessageID: uint64(7), CorrelationID: UUID{1}, UserID: []byte("me"), To: "to", Subject: "s", ReplyTo: "r",
			ContentType: "application/json", ContentEncoding: "gzip", GroupID: "g", ReplyToGroupID: "rg",
			Expires: time.UnixMilli(1).UTC(), Created: time.UnixMilli(2).UTC(), GroupSequence: 9,
		},
		Application: []Pair{{"a", 1.5}, {"b", nil}, {"c", []byte{0}}},
		Body:        bytes.Repeat([]byte("body"), 100),
	})
}

func TestEmptyPartsOfAMessageAreLeftOut(t *testing.T) {
	m := Message{Body: []byte("x")}
	if got := m.Append(nil); string(got) != "\x00\x53\x75\xa0\x01x" {
		t.Errorf("% x", got)
	}
}

// sections builds a message: a code and an encoded value in turn.
func sections(parts ...any) []byte {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		b = AppendValue(AppendSection(b, byte(parts[i].(int))), parts[i+1])
	}
	return b
}

func TestSplit(t *testing.T) {
	b := sections(0x70, []any{true}, 0x71, []Pair{}, 0x72, []Pair{{"a", "b"}}, 0x73, []any{},
		0x74, []Pair{}, 0x75, []byte("one"), 0x75, []byte("two"), 0x78, []Pair{})
	s, err := Split(b)
	if err != nil {
		t.Fatal(err)
	}
	joined := bytes.Join([][]byte{s.Header, s.DeliveryAnnotations, s.MessageAnnotations, s.Properties,
		s.ApplicationProperties, s.Body, s.Footer}, nil)
	if !bytes.Equal(joined, b) {
		t.Errorf("% x\nis split into\n% x", b, joined)
	}
	if cap(s.Body) != len(s.Body) {
		t.Error("appending to the body would write over the footer")
	}
	data, rest, ok := NextData(s.Body)
	if string(data) != "one" || !ok {
		t.Errorf("%q %v", data, ok)
	}
	if data, rest, ok = NextData(rest); string(data) != "two" || len(rest) != 0 || !ok {
		t.Errorf("%q %q %v", data, rest, ok)
	}
	if _, _, ok = NextData(rest); ok {
		t.Error("data behind the end")
	}
	if body, err := Body(b); string(body) != "onetwo" || err != nil {
		t.Errorf("%q %v", body, err)
	}
}

func TestSplitRefuses(t *testing.T) {
	f := func(b []byte, want string) {
		t.Helper()
		if _, err := Split(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("% x: %v, want %q", b, err, want)
		}
	}
	f([]byte("hello"), "without the descriptor")
	f([]byte{0}, "beyond the end")
	f([]byte{0, 0x53, 0x75}, "beyond the end")
	f([]byte{0, 0x53, 0x75, 0xb0, 0xff, 0xff, 0xff, 0xff}, "beyond the end")
	f([]byte{0, 0, 0x40, 0x40, 0x40}, "itself described")
	f(sections(0x79, nil), "that AMQP does not have")
	f(sections(0x6f, nil), "that AMQP does not have")
	f(sections(0x73, []any{}, 0x72, []Pair{}), "the section 0x72 behind the section 0x73")
	f(sections(0x73, []any{}, 0x73, []any{}), "the section 0x73 behind the section 0x73")
	f(sections(0x75, []byte{}, 0x77, nil), "the section 0x77 behind")
	f(sections(0x77, nil, 0x77, nil), "the section 0x77 behind")
	f(sections(0x75, []byte{}, 0x78, []Pair{}, 0x75, []byte{}), "the section 0x75 behind")
}

func TestSplitTakesSymbolsAndLongCodes(t *testing.T) {
	b := AppendValue(nil, Described{Symbol("amqp:application-properties:map"), []Pair{{"a", "b"}}})
	b = append(b, 0, codeUlong, 0, 0, 0, 0, 0, 0, 0, 0x75, codeBin8, 1, 'x')
	m, err := Decode(b)
	if err != nil || string(m.Body) != "x" || !reflect.DeepEqual(m.Application, []Pair{{"a", "b"}}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestBodyOfOtherKinds(t *testing.T) {
	f := func(b []byte, want string) {
		t.Helper()
		if got, err := Body(b); string(got) != want || err != nil {
			t.Errorf("% x: % x, %v; want % x", b, got, err, want)
		}
	}
	f(nil, "")
	f(sections(0x77, "text"), "text")
	f(sections(0x77, []byte("bin")), "bin")
	f(sections(0x77, Symbol("sym")), "sym")
	f(sections(0x77, nil), "")
	f(sections(0x77, int32(5)), "\x00\x53\x77\x54\x05")
	f(sections(0x77, Described{uint64(5), "x"}), "\x00\x53\x77\x00\x53\x05\xa1\x01x")
	f(sections(0x76, []any{int32(5)}), "\x00\x53\x76\xc0\x03\x01\x54\x05")
	f(sections(0x75, []byte("a"), 0x75, []byte("b"), 0x75, []byte("c")), "abc")
	if _, err := Body(sections(0x75, "text")); err == nil {
		t.Error("a data section with a string passed")
	}
	if _, err := Body(sections(0x75, []byte("a"), 0x75, "text")); err == nil {
		t.Error("a second data section with a string passed")
	}
}

func TestBodyDoesNotAllocate(t *testing.T) {
	m := Message{Annotations: []Pair{{"a", "b"}}, Application: []Pair{{"a", "b"}}, Body: []byte("body")}
	b := m.Append(nil)
	if n := testing.AllocsPerRun(100, func() { Body(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Quirk 5 of eventhubs.md 1.2: the Python client sends a token as a described value with a
// binary as its descriptor, and a number as message-id.
func TestQuirk5LenientValues(t *testing.T) {
	b := sections(0x73, []any{uint64(1), nil, Symbol("$cbs"), nil, []byte("reply")},
		0x74, []Pair{{"security_token", Described{[]byte("x"), "SharedAccessSignature"}}},
		0x77, "token")
	m, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.Properties.MessageID != uint64(1) || m.Properties.To != "$cbs" || m.Properties.ReplyTo != "reply" {
		t.Errorf("%+v", m.Properties)
	}
	if !reflect.DeepEqual(m.Application[0].Value, Described{[]byte("x"), "SharedAccessSignature"}) {
		t.Errorf("%#v", m.Application)
	}
}

func TestDecodeRefuses(t *testing.T) {
	f := func(b []byte, want string) {
		t.Helper()
		if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("% x: %v, want %q", b, err, want)
		}
	}
	f(sections(0x72, []any{}), "where a map was expected")
	f(sections(0x74, "x"), "where a map was expected")
	f(sections(0x73, "x"), "where a list was expected")
	f(sections(0x73, []any{nil, 5.5}), "where a text was expected")
	f(sections(0x73, []any{nil, nil, []byte{0xff}}), "not UTF-8")
	f(sections(0x73, []any{nil, nil, nil, nil, nil, nil, nil, nil, "x"}), "where a time was expected")
	f(sections(0x73, []any{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, int32(-1)}), "negative")
	f(sections(0x73, []any{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, uint64(1 << 40)}), "too large")
	f(sections(0x73, []any{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, "x"}), "where a number was expected")
}

func TestWalkEntries(t *testing.T) {
	section := AppendFields(AppendSection(nil, SectionMessageAnnotations), []Pair{{"a", "b"}, {"c", []any{int32(1)}}})
	n, entries, err := MapEntries(section)
	if n != 2 || err != nil {
		t.Fatal(n, err)
	}
	key, value, entry, rest, err := NextEntry(entries)
	if string(key) != "a" || string(Text(value)) != "b" || string(entry) != "\xa3\x01a\xa1\x01b" || err != nil {
		t.Errorf("%q %q %q %v", key, value, entry, err)
	}
	key, value, _, rest, err = NextEntry(rest)
	if string(key) != "c" || Text(value) != nil || len(rest) != 0 || err != nil {
		t.Errorf("%q %q %q %v", key, value, rest, err)
	}
	if n, entries, err := MapEntries(nil); n != 0 || entries != nil || err != nil {
		t.Error(n, entries, err)
	}
}
