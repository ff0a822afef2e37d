package amqp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	. "weir/internal/hub/amqp"
)

// dial connects go-amqp, the client under Azure's SDK for Go.
func dial(t testing.TB, url string, opts *goamqp.ConnOptions) (*goamqp.Conn, *goamqp.Session) {
	t.Helper()
	var o goamqp.ConnOptions
	if opts != nil {
		o = *opts
	}
	o.SASLType = goamqp.SASLTypeAnonymous()
	c, err := goamqp.Dial(t.Context(), url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, begin(t, c)
}

func begin(t testing.TB, c *goamqp.Conn) *goamqp.Session {
	t.Helper()
	s, err := c.NewSession(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sender(t testing.TB, s *goamqp.Session, opts *goamqp.SenderOptions) *goamqp.Sender {
	t.Helper()
	l, err := s.NewSender(t.Context(), "hub", opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func receiver(t testing.TB, s *goamqp.Session, opts *goamqp.ReceiverOptions) *goamqp.Receiver {
	t.Helper()
	l, err := s.NewReceiver(t.Context(), "hub", opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t testing.TB, l *goamqp.Sender, body []byte) {
	t.Helper()
	if err := l.Send(t.Context(), goamqp.NewMessage(body), nil); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, l *goamqp.Receiver) *goamqp.Message {
	t.Helper()
	m, err := l.Receive(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSendAndReceive(t *testing.T) {
	b := newBroker()
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	out := sender(t, s, nil)
	for i := range 1000 {
		send(t, out, fmt.Appendf(nil, "message %d", i))
	}
	in := receiver(t, s, nil)
	for i := range 1000 {
		if got := string(receive(t, in).GetData()); got != fmt.Sprintf("message %d", i) {
			t.Fatalf("%q is message %d", got, i)
		}
	}
	for i, d := range b.await(t, 1000) {
		if body, err := Body(d.Message); string(body) != fmt.Sprintf("message %d", i) || err != nil {
			t.Fatalf("%q, %v is message %d", body, err, i)
		}
	}
	for _, l := range []interface{ Close(context.Context) error }{out, in, s} {
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestMessagesOfManyFrames(t *testing.T) {
	f := func(theirs uint32, ours int, window uint32) {
		t.Helper()
		b := newBroker()
		b.prefix = sections(0x72, []Pair{{"x-opt-offset", strings.Repeat("1", 700)}})
		_, url := serve(t, b, Limits{MaxFrame: ours, IncomingWindow: window})
		_, s := dial(t, url, &goamqp.ConnOptions{MaxFrameSize: theirs})
		out, in := sender(t, s, nil), receiver(t, s, nil)
		for _, size := range []int{0, 1, 400, 512, 1000, 65536, 300000, 1<<20 - 1000} {
			body := bytes.Repeat([]byte{byte(size)}, size)
			send(t, out, body)
			m := receive(t, in)
			if !bytes.Equal(m.GetData(), body) {
				t.Errorf("%d bytes came back as %d", size, len(m.GetData()))
			}
			if m.Annotations["x-opt-offset"] != strings.Repeat("1", 700) {
				t.Errorf("the annotations are %v", m.Annotations)
			}
		}
	}
	f(65536, 65536, 0)
	f(512, 512, 0)
	f(700, 1000, 10)
	f(1<<20, 4096, 2)
}

// sections builds a message: a code and an encoded value in turn.
func sections(parts ...any) []byte {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		b = AppendSection(b, byte(parts[i].(int)))
		if m, ok := parts[i+1].([]Pair); ok {
			b = AppendFields(b, m)
		} else {
			b = AppendValue(b, parts[i+1])
		}
	}
	return b
}

func TestRejectedMessages(t *testing.T) {
	b := newBroker()
	b.reject = func(m []byte) error {
		switch {
		case bytes.Contains(m, []byte("busy")):
			return &Error{Condition: "com.microsoft:server-busy", Description: "later", Info: []Pair{{"n", int32(1)}}}
		case bytes.Contains(m, []byte("broken")):
			return errors.New("the key hunter2 is wrong")
		}
		return nil
	}
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	out := sender(t, s, nil)
	f := func(body, condition, description string) {
		t.Helper()
		err := out.Send(t.Context(), goamqp.NewMessage([]byte(body)), nil)
		var e *goamqp.Error
		if condition == "" && err == nil {
			return
		}
		if !errors.As(err, &e) || string(e.Condition) != condition || e.Description != description {
			t.Errorf("%s: %v", body, err)
		}
	}
	f("good", "", "")
	f("busy", "com.microsoft:server-busy", "later")
	f("good", "", "")
	f("broken", InternalError, "the server failed; its log has the reason")
	f("good", "", "")
}

// Quirk 1 of eventhubs.md 1.2: go-amqp detaches when its settle modes are not echoed.
func TestQuirk1SettleModesAreEchoed(t *testing.T) {
	b := newBroker()
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	for _, snd := range []goamqp.SenderSettleMode{goamqp.SenderSettleModeUnsettled, goamqp.SenderSettleModeSettled, goamqp.SenderSettleModeMixed} {
		for _, rcv := range []goamqp.ReceiverSettleMode{goamqp.ReceiverSettleModeFirst, goamqp.ReceiverSettleModeSecond} {
			out := sender(t, s, &goamqp.SenderOptions{SettlementMode: &snd, RequestedReceiverSettleMode: &rcv})
			in := receiver(t, s, &goamqp.ReceiverOptions{RequestedSenderSettleMode: &snd, SettlementMode: &rcv})
			send(t, out, []byte("x"))
			m := receive(t, in)
			if snd == goamqp.SenderSettleModeUnsettled {
				if err := in.AcceptMessage(t.Context(), m); err != nil {
					t.Errorf("%v %v: %v", snd, rcv, err)
				}
			}
			if err := errors.Join(out.Close(t.Context()), in.Close(t.Context())); err != nil {
				t.Errorf("%v %v: %v", snd, rcv, err)
			}
		}
	}
}

// Quirk 2 of eventhubs.md 1.2: azeventhubs never settles. With unsettled deliveries, go-amqp
// gives no credit again, and nothing comes after the first of it.
func TestQuirk2DeliveriesAreSettled(t *testing.T) {
	b := newBroker()
	for range 50 {
		b.got = append(b.got, Delivery{Message: sections(0x75, []byte("x"))})
	}
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	in := receiver(t, s, &goamqp.ReceiverOptions{Credit: 3})
	for range 50 {
		receive(t, in)
	}
}

func TestReceiversThatSettle(t *testing.T) {
	b := newBroker()
	const n = 20
	for i := range n {
		b.got = append(b.got, Delivery{Message: sections(0x75, []byte{byte(i)})})
	}
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	for _, rcv := range []goamqp.ReceiverSettleMode{goamqp.ReceiverSettleModeFirst, goamqp.ReceiverSettleModeSecond} {
		in := receiver(t, s, &goamqp.ReceiverOptions{Credit: 3, RequestedSenderSettleMode: goamqp.SenderSettleModeUnsettled.Ptr(), SettlementMode: &rcv})
		for i := range n {
			m := receive(t, in)
			var err error
			switch i % 4 {
			case 0:
				err = in.AcceptMessage(t.Context(), m)
			case 1:
				err = in.ReleaseMessage(t.Context(), m)
			case 2:
				err = in.RejectMessage(t.Context(), m, &goamqp.Error{Condition: "x:y"})
			case 3:
				err = in.ModifyMessage(t.Context(), m, &goamqp.ModifyMessageOptions{DeliveryFailed: true})
			}
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		if err := in.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Quirk 9 of eventhubs.md 1.2.
func TestQuirk9RefusedLinks(t *testing.T) {
	b := newBroker()
	server, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	f := func(address, condition, description string) {
		t.Helper()
		_, err := s.NewSender(t.Context(), address, nil)
		var e *goamqp.Error
		if !errors.As(err, &e) || string(e.Condition) != condition || e.Description != description {
			t.Errorf("sending to %s: %v", address, err)
		}
		_, err = s.NewReceiver(t.Context(), address, nil)
		if !errors.As(err, &e) || string(e.Condition) != condition || e.Description != description {
			t.Errorf("receiving from %s: %v", address, err)
		}
	}
	for range 300 { // more than there are handles
		f("missing hub", NotFound, "there is no missing hub")
	}
	f("broken", InternalError, "the server failed; its log has the reason")
	// The session lives.
	send(t, sender(t, s, nil), []byte("x"))
	if st := server.Stats(); st.Links != 1 {
		t.Errorf("%+v", st)
	}
}

// Quirk 10 of eventhubs.md 1.2: credit that is drained is given back.
func TestQuirk10Drain(t *testing.T) {
	b := newBroker()
	b.got = []Delivery{{Message: sections(0x75, []byte("1"))}, {Message: sections(0x75, []byte("2"))}}
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	in := receiver(t, s, &goamqp.ReceiverOptions{Credit: -1})
	for round := range 3 {
		if err := in.IssueCredit(10); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			receive(t, in)
			receive(t, in)
		}
		if err := in.DrainCredit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	send(t, sender(t, s, nil), []byte("3"))
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if m, err := in.Receive(short, nil); err == nil {
		t.Errorf("%q came without credit", m.GetData())
	}
	if err := in.IssueCredit(1); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, in); string(m.GetData()) != "3" {
		t.Errorf("%q", m.GetData())
	}
}

func TestManyLinksAndSessions(t *testing.T) {
	b := newBroker()
	server, url := serve(t, b, Limits{})
	c, _ := dial(t, url, nil)
	done := make(chan error, 100)
	for range 10 {
		s := begin(t, c)
		for range 10 {
			out := sender(t, s, nil)
			go func() {
				for range 5 {
					if err := out.Send(t.Context(), goamqp.NewMessage(make([]byte, 70_000)), nil); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
	}
	for range 100 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got := b.await(t, 500); len(got) != 500 {
		t.Errorf("%d messages", len(got))
	}
	if st := server.Stats(); st.Links != 100 || st.Sessions != 11 || st.Connections != 1 || st.FramesIn < 1000 || st.BytesIn < 35_000_000 {
		t.Errorf("%+v", st)
	}
}

func TestDetachByTheServer(t *testing.T) {
	b := newBroker()
	links := make(chan *Link, 2)
	b.attach = func(l *Link) { links <- l }
	_, url := serve(t, b, Limits{})
	_, s := dial(t, url, nil)
	out, in := sender(t, s, nil), receiver(t, s, nil)
	send(t, out, []byte("x"))
	receive(t, in)
	for range 2 {
		l := <-links
		l.Detach(&Error{Condition: Stolen, Description: "another has come"})
		l.Detach(nil)
		<-l.Context().Done()
	}
	var e *goamqp.LinkError
	if _, err := in.Receive(t.Context(), nil); !errors.As(err, &e) || e.RemoteErr == nil || e.RemoteErr.Condition != Stolen {
		t.Errorf("receive: %v", err)
	}
	for {
		err := out.Send(t.Context(), goamqp.NewMessage([]byte("x")), nil)
		if err == nil {
			continue
		}
		if !errors.As(err, &e) || e.RemoteErr == nil || e.RemoteErr.Condition != Stolen {
			t.Errorf("send: %v", err)
		}
		break
	}
	// The handles are free again.
	b.attach = nil
	send(t, sender(t, s, nil), []byte("y"))
}

func TestCloseByTheServer(t *testing.T) {
	b := newBroker()
	conns := make(chan *Conn, 1)
	b.attach = func(l *Link) { conns <- l.Conn }
	server, url := serve(t, b, Limits{})
	c, s := dial(t, url, &goamqp.ConnOptions{HostName: "some.host", ContainerID: "me"})
	receiver(t, s, nil)
	conn := <-conns
	if conn.Hostname() != "some.host" || conn.Container() != "me" || conn.Secure() || conn.Remote() == nil {
		t.Errorf("%q %q %v %v", conn.Hostname(), conn.Container(), conn.Secure(), conn.Remote())
	}
	conn.Close(&Error{Condition: ConnectionForced, Description: "go away"})
	<-conn.Context().Done()
	<-c.Done()
	var e *goamqp.ConnError
	if !errors.As(c.Err(), &e) || e.RemoteErr == nil || e.RemoteErr.Description != "go away" {
		t.Errorf("%v", c.Err())
	}
	if n := server.Stats().Refused["forced"]; n != 1 {
		t.Errorf("%d forced", n)
	}
}

func TestAuthentication(t *testing.T) {
	b := newBroker()
	b.auth = func(mechanism string, response []byte) error {
		if mechanism == "PLAIN" && string(response) != "\x00key\x00secret" {
			return errors.New("the key is wrong")
		}
		return nil
	}
	server, url := serve(t, b, Limits{})
	f := func(sasl goamqp.SASLType, ok bool) {
		t.Helper()
		c, err := goamqp.Dial(t.Context(), url, &goamqp.ConnOptions{SASLType: sasl})
		if (err == nil) != ok {
			t.Errorf("%v", err)
		}
		if err == nil {
			c.Close()
		}
	}
	f(goamqp.SASLTypeAnonymous(), true)
	f(goamqp.SASLTypePlain("key", "secret"), true)
	f(goamqp.SASLTypePlain("key", "other"), false)
	f(goamqp.SASLTypeExternal(""), true)
	f(goamqp.SASLTypeXOAUTH2("", "", 512), false)
	if n := server.Stats().Refused["auth"]; n != 1 {
		// go-amqp itself gives up without XOAUTH2 being offered.
		t.Errorf("%d refused", n)
	}
}
