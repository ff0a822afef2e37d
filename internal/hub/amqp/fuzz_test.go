package amqp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"reflect"
	"testing"
	"time"
)

// FuzzDecodeValue: what can be decoded comes back the same when it is encoded.
func FuzzDecodeValue(f *testing.F) {
	for _, v := range []any{nil, uint64(300), "text", Symbol("s"), []byte{1}, []any{int32(1), nil}, []Pair{{"a", 1.5}},
		Array{"a", "b"}, Described{Symbol("d"), []any{}}, Array{Described{uint64(1), int32(5)}}, time.UnixMilli(1), UUID{}, Char('x')} {
		f.Add(AppendValue(nil, v))
	}
	f.Add([]byte("\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40"))
	f.Add([]byte("\xd0\x00\x00\x00\x04\xff\xff\xff\xff"))
	f.Add(nestedLists(100))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeValue(b)
		behind, skipErr := skip(b)
		if err != nil {
			return
		}
		if skipErr != nil || len(behind) != len(rest) {
			t.Fatalf("decoding left %d bytes, skipping %d; %v", len(rest), len(behind), skipErr)
		}
		if unlike(v) {
			return
		}
		again := AppendValue(nil, v)
		w, rest, err := DecodeValue(again)
		if err != nil || len(rest) != 0 || !same(v, w) {
			t.Fatalf("%#v came back as %#v, %v", v, w, err)
		}
	})
}

// unlike tells of arrays that are not written as they were read: of described values with
// several types under them.
func unlike(v any) bool {
	switch v := v.(type) {
	case Array:
		for _, e := range v {
			if d, ok := e.(Described); ok {
				if _, twice := d.Value.(Described); twice {
					return true
				}
			}
			if unlike(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if unlike(e) {
				return true
			}
		}
	case []Pair:
		for _, e := range v {
			if unlike(e.Value) {
				return true
			}
		}
	case Described:
		return unlike(v.Descriptor) || unlike(v.Value)
	}
	return false
}

// same is reflect.DeepEqual for values, for which NaN is the same as NaN.
func same(v, w any) bool {
	if reflect.DeepEqual(v, w) {
		return true
	}
	a, b := AppendValue(nil, v), AppendValue(nil, w)
	return bytes.Equal(a, b)
}

// FuzzMessageSplit: the sections of a message are the message, and what Body and Decode say of
// it agrees.
func FuzzMessageSplit(f *testing.F) {
	f.Add(sections(0x70, []any{true}, 0x71, []Pair{}, 0x72, []Pair{{"a", "b"}}, 0x73, []any{"id"},
		0x74, []Pair{{"k", int32(1)}}, 0x75, []byte("one"), 0x75, []byte("two"), 0x78, []Pair{}))
	f.Add(sections(0x77, "text"))
	f.Add(sections(0x76, []any{}, 0x76, []any{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Split(b)
		if err != nil {
			return
		}
		joined := bytes.Join([][]byte{s.Header, s.DeliveryAnnotations, s.MessageAnnotations, s.Properties,
			s.ApplicationProperties, s.Body, s.Footer}, nil)
		if !bytes.Equal(joined, b) {
			t.Fatalf("% x is split into % x", b, joined)
		}
		body, err := Body(b)
		m, decodeErr := Decode(b)
		if decodeErr == nil && (err != nil || !bytes.Equal(m.Body, body)) {
			t.Fatalf("Body says %q, %v; Decode %q", body, err, m.Body)
		}
		_, entries, err := MapEntries(s.MessageAnnotations)
		for err == nil && len(entries) > 0 {
			_, _, _, entries, err = NextEntry(entries)
		}
		if decodeErr != nil {
			return
		}
		again, err := Decode(m.Append(nil))
		if err != nil || !bytes.Equal(again.Body, m.Body) || len(again.Application) != len(m.Application) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

// FuzzFrame gives a frame's body to a connection with a session and two links.
func FuzzFrame(f *testing.F) {
	for _, b := range goodFrames() {
		f.Add(b[8:], uint16(0))
	}
	f.Add([]byte{0, 0x53, 0x12, 0x45}, uint16(9))
	f.Fuzz(func(t *testing.T, body []byte, channel uint16) {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
		frame = append(frame, 2, 0, byte(channel>>8), byte(channel))
		frame = append(frame, body...)
		feed(t, bytes.Join(append(goodFrames(), frame, performative(frameAMQP, 0, codeClose, nil)), nil), true)
	})
}

// FuzzConnection gives bytes to a server that has said nothing yet.
func FuzzConnection(f *testing.F) {
	hello := append([]byte(headerSASL), performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS"))...)
	hello = append(hello, headerAMQP...)
	f.Add(hello)
	f.Add(append(hello, bytes.Join(goodFrames(), nil)...))
	f.Add([]byte(headerAMQP))
	f.Fuzz(func(t *testing.T, b []byte) { feed(t, b, false) })
}

// goodFrames are an open, a session with a link in each direction, and a transfer.
func goodFrames() [][]byte {
	return [][]byte{
		performative(frameAMQP, 0, codeOpen, nil, "c", "h"),
		performative(frameAMQP, 0, codeBegin, nil, nil, uint32(0), uint32(100), uint32(100)),
		performative(frameAMQP, 0, codeAttach, nil, "out", uint32(0), false, uint8(0), uint8(0), source(), target(), nil, nil, uint32(0)),
		performative(frameAMQP, 0, codeAttach, nil, "in", uint32(1), true, uint8(0), nil, source(), target()),
		performative(frameAMQP, 0, codeFlow, nil, uint32(0), uint32(9), uint32(0), uint32(9), uint32(1), uint32(0), uint32(3)),
		performative(frameAMQP, 0, codeTransfer, sections(0x75, []byte("x")), uint32(0), uint32(0), []byte{0}, uint32(0), false, true),
		performative(frameAMQP, 0, codeTransfer, sections(0x75, []byte("y")), uint32(0)),
		performative(frameAMQP, 0, codeDisposition, nil, true, uint32(0), uint32(0), false, Described{uint64(codeAccepted), []any{}}),
		performative(frameAMQP, 0, codeDetach, nil, uint32(1), true),
	}
}

// memory is a connection whose client has said all that it says, and takes everything.
type memory struct {
	net.Conn
	in      *bytes.Reader
	written int
}

func (m *memory) Read(b []byte) (int, error)       { return m.in.Read(b) }
func (m *memory) Write(b []byte) (int, error)      { m.written += len(b); return len(b), nil }
func (m *memory) Close() error                     { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }
func (m *memory) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// feed serves a client that says b, and checks that nothing is left and no link is forgotten.
func feed(t *testing.T, b []byte, hello bool) {
	if hello {
		start := append([]byte(headerSASL), performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS"))...)
		b = append(append(start, headerAMQP...), b...)
	}
	r := &recorder{run: sendAll(2, 600)}
	s := &Server{Handler: r, Mechanisms: []string{"ANONYMOUS", "PLAIN"}, Log: slog.New(slog.DiscardHandler),
		Limits: Limits{Close: time.Second}}
	m := &memory{in: bytes.NewReader(b)}
	err := s.Serve(context.Background(), m)
	if err == io.ErrNoProgress {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Connections != 0 || st.Sessions != 0 || st.Links != 0 {
		t.Fatalf("left: %+v", st)
	}
	if r.told+r.ended != len(r.links) || r.closed != 1 {
		t.Fatalf("%d links, %d and %d told of their end; %d closed", len(r.links), r.told, r.ended, r.closed)
	}
	if m.written > 1000*len(b)+10_000 {
		t.Fatalf("%d bytes in reply to %d", m.written, len(b))
	}
}
