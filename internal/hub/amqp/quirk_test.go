package amqp

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

// The tests here are named after the rows of eventhubs.md 1.2. Rows 1, 2, 9 and 10 are tried
// with go-amqp in client_test.go, row 5 for messages in message_test.go; row 11 is not of
// this package.

// Quirk 3: every field of every performative is there, since clients read them by place. Row 4:
// the answer to an attach has source, target, properties and an initial count. Row 6: it
// says how large a message may be.
func TestQuirk3And4And6EveryFieldIsWritten(t *testing.T) {
	r := &recorder{
		run: func(ctx context.Context, l *Link) error {
			l.Send(ctx, 0, []byte("m"))
			l.Flush()
			for ctx.Err() == nil {
				changed := l.Changed()
				if l.Draining() {
					l.Drained()
				}
				<-changed
			}
			return nil
		},
		deliver: func(_ context.Context, list []Delivery) {
			for i := range list {
				if string(list[i].Message) == "bad" {
					list[i].Err = &Error{Condition: "a:b", Description: "c"}
				}
			}
		},
	}
	p := connectTCP(t, &Server{Handler: r, Container: "weir", Mechanisms: []string{"ANONYMOUS"}})
	p.write([]byte(headerSASL))
	p.header(headerSASL)
	f := func(code uint64, want ...any) {
		t.Helper()
		got, _ := p.expect(code, len(want))
		for i := range want {
			if want[i] != any("?") && !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("0x%x: field %d is %#v, want %#v", code, i, got[i], want[i])
			}
		}
	}
	f(codeSASLMechanisms, Array{Symbol("ANONYMOUS")})
	p.write(performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS")))
	f(codeSASLOutcome, uint8(0), nil)
	p.write([]byte(headerAMQP))
	p.header(headerAMQP)
	p.send(0, codeOpen, "c", "host")
	f(codeOpen, "weir", "host", uint32(65536), uint16(2047), uint32(120000), nil, nil, nil, nil, []Pair{})
	p.send(3, codeBegin, nil, uint32(7), uint32(5000), uint32(5000))
	f(codeBegin, uint16(3), uint32(0), uint32(5000), uint32(5000), uint32(254), nil, nil, []Pair{})
	p.send(3, codeAttach, "out", uint32(1), false)
	emptySource := Described{uint64(codeSource), []any{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil}}
	emptyTarget := Described{uint64(codeTarget), []any{nil, nil, nil, nil, nil, nil, nil}}
	f(codeAttach, "out", uint32(1), true, nil, nil, emptySource, emptyTarget, nil, false, uint32(0), uint64(1<<20), nil, nil, []Pair{})
	f(codeFlow, uint32(7), uint32(5000), uint32(0), uint32(5000), uint32(1), uint32(0), uint32(300), nil, false, false, nil)
	p.send(3, codeAttach, "in", uint32(2), true)
	f(codeAttach, "in", uint32(2), false, nil, nil, emptySource, emptyTarget, nil, false, uint32(0), uint64(1<<20+64<<10), nil, nil, []Pair{})
	p.send(3, codeFlow, uint32(0), uint32(10), uint32(0), uint32(10), uint32(2), uint32(0), uint32(2))
	f(codeTransfer, uint32(2), uint32(0), []byte{0, 0, 0, 0, 0, 0, 0, 0}, uint32(0), true, false, nil, nil, false, false, false)
	p.send(3, codeFlow, uint32(1), uint32(10), uint32(0), uint32(10), uint32(2), uint32(0), uint32(2), nil, true)
	f(codeFlow, uint32(7), uint32(5000), uint32(1), uint32(5000), uint32(2), uint32(2), uint32(0), nil, true, false, nil)
	p.transfer(3, "good", uint32(1), uint32(0), []byte{0})
	f(codeDisposition, true, uint32(0), uint32(0), true, Described{uint64(codeAccepted), []any{}}, false)
	p.transfer(3, "bad", uint32(1), uint32(1), []byte{1})
	f(codeDisposition, true, uint32(1), uint32(1), true, Described{uint64(codeRejected),
		[]any{Described{uint64(codeError), []any{Symbol("a:b"), "c", nil}}}}, false)
	p.send(3, codeDetach, uint32(1), true)
	f(codeDetach, uint32(1), true, nil)
	p.send(3, codeDetach, uint32(2))
	f(codeDetach, uint32(2), false, nil)
	p.send(3, codeEnd)
	f(codeEnd, any(nil))
	p.send(0, codeClose)
	f(codeClose, any(nil))
}

// Quirk 4: all that a handler says of a link is in the answer, which echoes the rest.
func TestQuirk4TheAnswerToAnAttach(t *testing.T) {
	r := &recorder{attached: func(l *Link) error {
		l.Offered = append(l.Desired, "more")
		l.Reply = []Pair{{"com.microsoft:x", "y"}}
		l.MaxMessage = 5
		if l.Source.Dynamic {
			l.Source.Address = "made-up"
		}
		return nil
	}}
	p := connectTCP(t, &Server{Handler: r}).hello().begin(0)
	filter := []Pair{
		{"apache.org:selector-filter:string", Described{uint64(0x468C00000004), "x > '1'"}},
		{"named", Described{Symbol("d"), int32(1)}},
		{"plain", true},
	}
	src := []any{nil, uint32(2), Symbol("never"), uint32(9), true, []Pair{}, Symbol("move"), filter,
		Described{uint64(codeReleased), []any{}}, Array{Symbol("amqp:accepted:list")}, Array{Symbol("queue"), Symbol("other")}}
	p.send(0, codeAttach, "in", uint32(0), true, uint8(2), uint8(1), Described{uint64(codeSource), src},
		Described{uint64(codeTarget), []any{"t"}}, nil, nil, nil, uint64(99), nil, Symbol("wanted"), []Pair{{"p", int64(3)}})
	got, _ := p.expect(codeAttach, 14)
	src[0] = "made-up"
	want := []any{"in", uint32(0), false, uint8(2), uint8(1), Described{uint64(codeSource), src},
		Described{uint64(codeTarget), []any{"t", nil, nil, nil, nil, nil, nil}}, nil, false, uint32(0), uint64(5),
		Array{Symbol("wanted"), Symbol("more")}, nil, []Pair{{"com.microsoft:x", "y"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	l := r.links[0]
	if l.Name != "in" || l.Unsettled() || !reflect.DeepEqual(l.Desired, []string{"wanted"}) ||
		!reflect.DeepEqual(l.Properties, []Pair{{"p", int64(3)}}) || l.Target.Address != "t" ||
		!reflect.DeepEqual(l.Source.Capabilities, []string{"queue", "other"}) ||
		!reflect.DeepEqual(l.Source.Filters, []Filter{
			{"apache.org:selector-filter:string", uint64(0x468C00000004), "x > '1'"},
			{"named", Symbol("d"), int32(1)}, {"plain", nil, true}}) {
		t.Errorf("%+v", l)
	}
	p.goodbye()
}

// Quirk 5: clients write numbers, texts and descriptors in other types than the standard has.
func TestQuirk5LenientPerformatives(t *testing.T) {
	r := &recorder{}
	p := connectTCP(t, &Server{Handler: r}).hello(Symbol("c"), []byte("host"), uint64(4096), uint32(10), int32(60000))
	b := performative(frameAMQP, 0, 0, nil)[:8]
	b = AppendValue(b, Described{Symbol("amqp:begin:list"), []any{nil, uint64(0), uint16(100), int64(5)}})
	b[3] = byte(len(b))
	p.write(b)
	p.expect(codeBegin, 8)
	p.send(0, codeAttach, []byte("out"), uint64(0), false, uint32(0), nil, nil, Described{uint64(codeTarget), []any{Symbol("/hub/")}}, nil, nil, nil, nil,
		nil, []any{Symbol("a")}, []Pair{{"security_token", Described{[]byte("x"), "t"}}})
	p.expect(codeAttach, 14)
	p.expect(codeFlow, 11)
	if l := r.links[0]; l.Target.Address != "/hub/" || l.Name != "out" || !reflect.DeepEqual(l.Desired, []string{"a"}) || l.Conn.Hostname() != "host" {
		t.Errorf("%+v", l)
	}
	p.transfer(0, "x", uint8(0), uint64(0), "tag", uint64(0))
	p.expect(codeDisposition, 6)
	p.goodbye()
}

// Quirk 7: a handler finds the link for a reply by its target, its name, or its session's
// source: all are told. Quirk 8: addresses come as they were written.
func TestQuirk7And8AddressesAndNames(t *testing.T) {
	r := &recorder{}
	p := connectTCP(t, &Server{Handler: r}).hello().begin(0)
	f := func(handle uint32, name string, source, target any) {
		t.Helper()
		p.send(0, codeAttach, name, handle, true, nil, nil, source, target)
		p.expect(codeAttach, 14)
	}
	f(0, "cbs-1", Described{uint64(codeSource), []any{"$cbs"}}, Described{uint64(codeTarget), []any{}})
	f(1, "x", Described{uint64(codeSource), []any{"$management"}}, Described{uint64(codeTarget), []any{"reply-1"}})
	f(2, "y", Described{uint64(codeSource), []any{"/Hub1/ConsumerGroups/$default/Partitions/0"}}, nil)
	want := []string{"cbs-1|$cbs|", "x|$management|reply-1", "y|/Hub1/ConsumerGroups/$default/Partitions/0|"}
	for i, l := range r.links {
		if got := l.Name + "|" + l.Source.Address + "|" + l.Target.Address; got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
		if l.Session() != r.links[0].Session() || l.Session() == nil {
			t.Error("links of one session have different ones")
		}
	}
	p.begin(1)
	p.send(1, codeAttach, "z", uint32(0), true, nil, nil, source(), target())
	p.expect(codeAttach, 14)
	if r.links[3].Session() == r.links[0].Session() {
		t.Error("links of two sessions have one")
	}
	p.goodbye()
}

// Quirk 12: what is sent until the flush is written at once.
func TestQuirk12WritesAreCoalesced(t *testing.T) {
	r := &recorder{run: func(ctx context.Context, l *Link) error {
		for range 500 {
			if err := l.Send(ctx, 0, []byte(strings.Repeat("x", 20))); err != nil {
				return nil
			}
		}
		l.Flush()
		<-ctx.Done()
		return nil
	}}
	p := connect(t, &Server{Handler: r}).hello().begin(0).receiver(0, 0, 500)
	// A read of a pipe returns what one write brought, as far as it has room.
	b := make([]byte, 1<<20)
	writes, got := 0, 0
	for want := 500 * (transferHead + 20); got < want; writes++ {
		n, err := p.conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if writes > 5 {
		t.Errorf("%d writes", writes)
	}
	p.conn.Close()
	p.end()
}
