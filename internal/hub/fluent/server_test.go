package fluent

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"
	"github.com/tinylib/msgp/msgp"

	"weir/internal/disk"
	"weir/internal/hub/amqp"
)

// TestLogger runs fluent-logger-golang, with and without acknowledgements.
func TestLogger(t *testing.T) {
	for _, ack := range []bool{false, true} {
		for _, async := range []bool{false, true} {
			w := start(t)
			f, err := fluent.New(fluent.Config{FluentHost: "127.0.0.1", FluentPort: w.addr.Port, RequestAck: ack, Async: async, SubSecondPrecision: true, TagPrefix: "app"})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				if err := f.PostWithTime("web", time.Unix(1400000000, int64(i)), map[string]any{"i": i, "s": "ä"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			until(t, "all events are stored", func() bool { return w.s.Stats().Events == 20 })
			for i, e := range w.stored("logs") { // in order: they are in one partition
				want := event{"", "app.web", fmt.Sprintf("2014-05-13T16:53:20.%09dZ", i), fmt.Sprintf(`{"i":%d,"s":"ä"}`, i)}
				other := fmt.Sprintf(`{"s":"ä","i":%d}`, i)
				if e.body == other {
					e.body = want.body
				}
				if e != want {
					t.Errorf("ack %v, async %v: event %d is %+v", ack, async, i, e)
				}
			}
		}
	}
}

func TestModes(t *testing.T) {
	tag := msgp.AppendString(nil, "app.web")
	record := func(i int) []byte { return msgp.AppendInt(msgp.AppendString([]byte{0x81}, "i"), i) }
	f := func(what string, want int, message []byte) {
		t.Helper()
		w := start(t)
		c := w.raw()
		c.send(message)
		c.send(packedForward("app.web", entriesOf(want, want+1), "chunk", "last"))
		if got := c.ack(); got != "last" {
			t.Fatalf("%s: the answer is %q; %s", what, got, w.log)
		}
		got := w.stored("logs")
		slices.SortFunc(got, func(a, b event) int { return strings.Compare(a.body, b.body) })
		if len(got) != want+1 {
			t.Fatalf("%s: %d events", what, len(got))
		}
		for i, e := range got {
			if e.tag != "app.web" || e.body != fmt.Sprintf(`{"i":%d}`, i) || !strings.HasPrefix(e.time, "2014-05-13T16:53:20.") {
				t.Errorf("%s: event %d is %+v", what, i, e)
			}
		}
	}
	at := msgp.AppendInt(nil, 1400000000)
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	f("message", 1, join([]byte{0x93}, tag, at, record(0)))
	f("message with EventTime", 1, join([]byte{0x93}, tag, eventTime(nil, 1400000000, 5), record(0)))
	f("message with options", 1, join([]byte{0x94}, tag, at, record(0), options(nil)))
	f("message with no options", 1, join([]byte{0x94}, tag, at, record(0), []byte{0xc0}))
	f("message of Fluent Bit", 1, join([]byte{0x93}, tag, []byte{0x92}, eventTime(nil, 1400000000, 0), []byte{0x80}, record(0)))
	f("forward", 3, join([]byte{0x92}, tag, []byte{0x93}, entriesOf(0, 3)))
	f("forward of two", 2, join([]byte{0x92}, tag, []byte{0x92}, entriesOf(0, 2)))
	f("forward of none", 0, join([]byte{0x92}, tag, []byte{0x90}))
	f("forward with options", 2, join([]byte{0x93}, tag, []byte{0x92}, entriesOf(0, 2), options(nil, "size", "2")))
	f("packed", 3, join([]byte{0x92}, tag, msgp.AppendBytes(nil, entriesOf(0, 3))))
	f("packed in a text", 3, join([]byte{0x92}, tag, msgp.AppendString(nil, string(entriesOf(0, 3)))))
	f("packed of Fluent Bit", 1, join([]byte{0x92}, tag, msgp.AppendBytes(nil, join([]byte{0x92, 0x92}, eventTime(nil, 1400000000, 0), []byte{0x80}, record(0)))))
	f("packed of none", 0, packedForward("app.web", nil, "compressed", "text"))
	f("gzip", 3, packedForward("app.web", gzipped(t, entriesOf(0, 3)), "compressed", "gzip"))
	f("gzip of several members", 4, packedForward("app.web", gzipped(t, entriesOf(0, 1), nil, entriesOf(1, 4)), "compressed", "gzip"))
	f("zstd", 3, packedForward("app.web", zstded(t, entriesOf(0, 3)), "compressed", "zstd"))
	f("heartbeat", 0, []byte{0xc0, 0xc0})
}

// TestLargeChunk: a chunk of several batches keeps its order, in one partition.
func TestLargeChunk(t *testing.T) {
	w := start(t)
	const n = 50_000
	c := w.raw()
	c.send(packedForward("t", gzipped(t, entriesOf(0, n)), "compressed", "gzip", "chunk", "x"))
	if got := c.ack(); got != "x" {
		t.Fatalf("%q; %s", got, w.log)
	}
	got := w.stored("logs")
	if len(got) != n {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got {
		if e.body != fmt.Sprintf(`{"i":%d}`, i) {
			t.Fatalf("event %d is %s", i, e.body)
		}
	}
	if st := w.s.Stats(); st.Events != n || st.Chunks != 1 {
		t.Errorf("%+v", st)
	}
}

func TestChunkAgain(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Chunks = 2 })
	f := func(message []byte, id string, want int) {
		t.Helper()
		c := w.raw()
		c.send(message)
		if got := c.ack(); got != id {
			t.Fatalf("%q; %s", got, w.log)
		}
		if got := len(w.stored("logs")); got != want {
			t.Errorf("%d events, want %d", got, want)
		}
	}
	a := packedForward("t", entriesOf(0, 10), "chunk", "a")
	f(a, "a", 10)
	f(a, "a", 10)
	f(packedForward("t", entriesOf(10, 20), "chunk", "a"), "a", 20) // the same id of other bytes
	f(a, "a", 20)
	f(packedForward("t", entriesOf(20, 21), "chunk", "b"), "b", 21)
	f(packedForward("t", entriesOf(21, 22), "chunk", "c"), "c", 22)
	f(a, "a", 32) // forgotten
	if st := w.s.Stats(); st.Repeated != 2 {
		t.Errorf("%+v", st)
	}
}

// TestChunkGoesOn: what of a chunk is durable already when it fails is not stored again when
// it comes again.
func TestChunkGoesOn(t *testing.T) {
	for _, key := range []string{"", "i"} {
		w := start(t, func(o *Options) { o.Key = key })
		const n = 50_000
		chunk := packedForward("t", entriesOf(0, n), "chunk", "x")
		writes := 0
		w.mem.Hook(func(op disk.Op, _ string) error {
			if op == disk.OpWrite {
				if writes++; writes > 2 {
					return errors.New("the disk is broken")
				}
			}
			return nil
		})
		c := w.raw()
		c.send(chunk)
		if got := c.ack(); got != "" {
			t.Fatalf("a chunk that failed is acknowledged: %q", got)
		}
		w.mem.Hook(nil)
		some := len(w.stored("logs"))
		if some == 0 || some == n {
			t.Fatalf("%d events are stored before it goes on", some)
		}
		c = w.raw()
		c.send(chunk)
		if got := c.ack(); got != "x" {
			t.Fatalf("%q; %s", got, w.log)
		}
		seen := map[string]bool{}
		for _, e := range w.stored("logs") {
			if seen[e.body] {
				t.Fatalf("%s is there twice", e.body)
			}
			seen[e.body] = true
		}
		if len(seen) != n {
			t.Errorf("%d events", len(seen))
		}
		if st := w.s.Stats(); st.Events != n || st.Failed != 1 || st.Unacked != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// A message that comes byte by byte does not come for ever.
func TestDrip(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.StallTime = 300 * time.Millisecond })
	c := w.raw()
	defer c.Close()
	begin := time.Now()
	for _, err := c.Write([]byte{0xdb, 0, 1, 0, 0}); err == nil; _, err = c.Write([]byte{'a'}) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the connection is still there")
		}
		runtime.Gosched()
		if _, late := readSome(c, 10*time.Millisecond); !late {
			break
		}
	}
}

// readSome waits for a byte; late says that none has come in time.
func readSome(c net.Conn, wait time.Duration) (n int, late bool) {
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Read(make([]byte, 1))
	return n, errors.Is(err, os.ErrDeadlineExceeded)
}

func TestBadMessages(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits.ChunkBytes, o.Limits.EventBytes, o.Limits.UnpackedBytes = 4<<20, 1<<20, 64<<20
		o.Limits.StallTime = 500 * time.Millisecond
	})
	bystander := w.raw()
	f := func(what string, b []byte) {
		t.Helper()
		before := w.s.Stats().Bad
		c := w.raw()
		_, _ = c.Write(b) // it may be cut off
		if got := c.ack(); got != "" {
			t.Errorf("%s: the answer is %q", what, got)
		}
		c.Close()
		if got := w.s.Stats().Bad - before; got != 1 {
			t.Errorf("%s: %d are counted", what, got)
		}
	}
	hex := func(s string) []byte { return unhex(t, s) }
	good := entriesOf(0, 3)
	f("array of 2^32-1", hex("ddffffffff"))
	f("map of 2^32-1", hex("dfffffffff"))
	f("binary of 2^32-1", hex("c6ffffffff"))
	f("a million arrays", bytes.Repeat([]byte{0x91}, 1<<20))
	f("0xc1", hex("c1"))
	f("a number", hex("05"))
	f("HTTP", []byte("GET / HTTP/1.1\r\n"))
	f("no tag", hex("92 01 90"))
	f("an empty array", hex("90"))
	f("a tag alone", hex("91 a1 61"))
	f("five parts", hex("95 a161 01 80 80 80"))
	f("no record", hex("92 a161 01"))
	f("a record that is none", hex("93 a161 01 a162"))
	f("a time that is none", hex("93 a161 a162 80"))
	f("an entry that is none", packedForward("t", append(good, 5), "chunk", "x"))
	f("an entry of three", packedForward("t", append(good, hex("93018080")...), "chunk", "x"))
	f("an entry cut off", packedForward("t", good[:len(good)-1], "chunk", "x"))
	f("an entry that is too deep", packedForward("t", append(good, bytes.Repeat([]byte{0x91}, 100)...), "chunk", "x"))
	f("array of 2^32-1 within", packedForward("t", hex("9201 ddffffffff"), "chunk", "x"))
	f("array of 2^32-1 within gzip", packedForward("t", gzipped(t, hex("9201 ddffffffff")), "chunk", "x", "compressed", "gzip"))
	f("a long tag", packedForward(strings.Repeat("t", 1025), good, "chunk", "x"))
	f("a long id", packedForward("t", good, "chunk", strings.Repeat("x", 257)))
	f("no gzip", packedForward("t", good, "chunk", "x", "compressed", "gzip"))
	f("gzip cut off", packedForward("t", gzipped(t, entriesOf(0, 100))[:60], "chunk", "x", "compressed", "gzip"))
	f("no zstd", packedForward("t", good, "chunk", "x", "compressed", "zstd"))
	f("unknown packing", packedForward("t", good, "chunk", "x", "compressed", "lz4"))
	f("options that are none", hex("93 a161 90 05"))
	f("metrics of Fluent Bit", append(hex("93 a161 c400 81"), append(msgp.AppendString(nil, "fluent_signal"), 1)...))
	f("a gzip bomb of one event", packedForward("t", bomb(t, append(hex("9201 81a161 db04000000"), 'x'), 64<<20), "chunk", "x", "compressed", "gzip"))
	f("larger than a chunk", packedForward("t", make([]byte, 5<<20), "chunk", "x"))
	// A good event before the end of a batch, and the bad one behind it.
	f("bad behind a batch", packedForward("t", append(entriesOf(0, 60_000), 5), "chunk", "x"))
	if got := w.stored("logs"); len(got) != 0 {
		t.Errorf("%d events are stored", len(got))
	}
	stalled := w.raw()
	stalled.send(packedForward("t", good, "chunk", "x")[:10])
	if got := stalled.ack(); got != "" {
		t.Errorf("a stalled client is answered: %q", got)
	}
	bystander.send(packedForward("t", good, "chunk", "y"))
	if got := bystander.ack(); got != "y" {
		t.Errorf("the bystander is answered %q", got)
	}
}

// bomb is the gzip of some bytes and then zeros.
func bomb(t testing.TB, begin []byte, zeros int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	block := make([]byte, 1<<20)
	if _, err := z.Write(begin); err != nil {
		t.Fatal(err)
	}
	for ; zeros > 0; zeros -= len(block) {
		if _, err := z.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBombs: what unpacks to a thousand times its size needs no more memory than what it is made of.
func TestBombs(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.UnpackedBytes = 32 << 20 })
	packed := bomb(t, nil, 64<<20) // zeros are numbers and no events: found at once
	big := bytes.Repeat(append(unhex(t, "92 01 81 a161 da8000"), make([]byte, 0x8000)...), 32)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for range 48 {
		if _, err := z.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, p := range [][]byte{packed, out.Bytes()} {
		c := w.raw()
		c.send(packedForward("t", p, "chunk", "x", "compressed", "gzip"))
		if got := c.ack(); got != "" {
			t.Errorf("the answer is %q", got)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if got := w.stored("logs"); len(got) != 0 || w.s.Stats().Bad != 2 {
		t.Errorf("%d events, %+v", len(got), w.s.Stats())
	}
}

func TestTooLargeEvent(t *testing.T) {
	w := start(t)
	most, _ := w.broker.Limits()
	big := eventTime([]byte{0x92}, 1, 0)
	big = msgp.AppendString(msgp.AppendString(append(big, 0x81), "s"), strings.Repeat("x", most))
	c := w.raw()
	c.send(packedForward("t", slices.Concat(entry(0), big, entry(1)), "chunk", "x"))
	if got := c.ack(); got != "x" {
		t.Fatalf("%q; %s", got, w.log)
	}
	if got := w.stored("logs"); len(got) != 2 || w.s.Stats().TooLarge != 1 {
		t.Errorf("%d events, %+v", len(got), w.s.Stats())
	}
	if !strings.Contains(w.log.String(), "too large for a hub") {
		t.Error(w.log)
	}
}

func TestTagsAndKeys(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Hub, o.Key = "", KeyTag
		o.Tags = []Route{{"app", "logs"}, {"app.web", "other"}, {"x", "missing"}}
		o.IncludeTag, o.IncludeTime = "tag", "time"
	})
	f := func(tag, want string) {
		t.Helper()
		before := len(w.stored("logs")) + len(w.stored("other"))
		c := w.raw()
		c.send(packedForward(tag, entriesOf(0, 1), "chunk", "x"+tag))
		got := c.ack()
		if want == "" {
			if got != "" || len(w.stored("logs"))+len(w.stored("other")) != before {
				t.Errorf("%s: %q", tag, got)
			}
			return
		}
		list := w.stored(want)
		found := slices.ContainsFunc(list, func(e event) bool {
			return e.key == tag && e.body == fmt.Sprintf(`{"i":0,"tag":"%s","time":1400000000}`, tag)
		})
		if got == "" || !found {
			t.Errorf("%s: %q, %v", tag, got, list)
		}
	}
	f("app", "logs")
	f("app.y", "logs")
	f("app.web", "other")
	f("app.web.z", "other")
	f("app.webber", "logs")
	f("apple", "")
	f("x", "")
	if st := w.s.Stats(); st.Failed != 2 {
		t.Errorf("%+v", st)
	}
}

func TestKeyOfARecord(t *testing.T) {
	w := start(t, func(o *Options) { o.Key = "i" })
	c := w.raw()
	other := slices.Concat(eventTime([]byte{0x92}, 1, 0), []byte{0x80})
	c.send(packedForward("t", slices.Concat(entry(1), entry(2), other, entry(1)), "chunk", "x"))
	if got := c.ack(); got != "x" {
		t.Fatalf("%q", got)
	}
	keys := map[string]int{}
	for _, e := range w.stored("logs") {
		keys[e.key]++
	}
	if fmt.Sprint(keys) != "map[:1 1:2 2:1]" {
		t.Errorf("%v", keys)
	}
}

func TestHandshake(t *testing.T) {
	w := start(t, func(o *Options) {
		o.SharedKey, o.Users = "s3cret", map[string]string{"ann": "pass"}
	})
	try := func(key, user, password string) (answer []any, c *raw, nonce string) {
		t.Helper()
		c = w.raw()
		helo, err := c.r.ReadIntf()
		if err != nil {
			t.Fatal(err)
		}
		parts := helo.([]any)
		opts := parts[1].(map[string]any)
		if parts[0] != "HELO" || opts["keepalive"] != true {
			t.Fatalf("%v", helo)
		}
		nonce = string(opts["nonce"].([]byte))
		b := msgp.AppendArrayHeader(nil, 6)
		for _, s := range []string{"PING", "client", "salt", digest("salt", "client", nonce, key), user, digest(string(opts["auth"].([]byte)), user, password)} {
			b = msgp.AppendString(b, s)
		}
		c.send(append(b, packedForward("t", entriesOf(0, 1), "chunk", "x"+user)...))
		pong, err := c.r.ReadIntf()
		if err != nil {
			t.Fatal(err)
		}
		return pong.([]any), c, nonce
	}
	pong, c, nonce := try("s3cret", "ann", "pass")
	if pong[0] != "PONG" || pong[1] != true || pong[3] != "weir" || pong[4] != digest("salt", "weir", nonce, "s3cret") {
		t.Fatalf("%v", pong)
	}
	if got := c.ack(); got != "xann" {
		t.Fatalf("%q", got)
	}
	for _, bad := range [][3]string{{"wrong", "ann", "pass"}, {"s3cret", "ann", "wrong"}, {"s3cret", "bob", "pass"}, {"s3cret", "bob", ""}, {"", "", ""}} {
		pong, c, _ := try(bad[0], bad[1], bad[2])
		if pong[1] != false || pong[2] == "" || c.ack() != "" {
			t.Errorf("%v: %v", bad, pong)
		}
	}
	f := func(what string, b []byte) {
		t.Helper()
		c := w.raw()
		if _, err := c.r.ReadIntf(); err != nil {
			t.Fatal(err)
		}
		c.send(b)
		if got := c.ack(); got != "" {
			t.Errorf("%s: %q", what, got)
		}
	}
	f("events before PING", packedForward("t", entriesOf(0, 1), "chunk", "x"))
	f("a large PING", unhex(t, "96 a450494e47 c6000f4240"))
	f("a short PING", unhex(t, "91 a450494e47"))
	f("numbers", unhex(t, "96 01 01 01 01 01 01"))
	if got := w.stored("logs"); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
	if st := w.s.Stats(); st.Refused != 9 {
		t.Errorf("%+v", st)
	}
	if strings.Contains(w.log.String(), "s3cret") || strings.Contains(w.log.String(), "pass\"") {
		t.Error("the log has a secret in it")
	}
}

// far is a connection from another machine.
type far struct{ net.Conn }

func (far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func TestOtherMachinesNeedAKey(t *testing.T) {
	w := start(t)
	a, b := net.Pipe()
	defer a.Close()
	if err := w.s.Serve(context.Background(), far{b}); !errors.Is(err, ErrNoKey) {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits.Connections, o.Limits.BufferedBytes = 2, 1<<20
	})
	c := w.raw()
	if _, err := c.Write(packedForward("t", make([]byte, 3<<20))); err == nil {
		if got := c.ack(); got != "" {
			t.Errorf("%q", got)
		}
	}
	until(t, "the connection is closed", func() bool { return w.s.Stats().Connections == 0 })
	if st := w.s.Stats(); st.Overflow != 1 || w.s.held.Load() != 0 {
		t.Errorf("%+v, %d bytes are held", st, w.s.held.Load())
	}
	w.raw()
	w.raw()
	until(t, "two are connected", func() bool { return w.s.Stats().Connections == 2 })
	if got := w.raw().ack(); got != "" {
		t.Errorf("a third one is served: %q", got)
	}
}

func FuzzForward(f *testing.F) {
	f.Add(packedForward("t", entriesOf(0, 3), "chunk", "x"))
	f.Add(packedForward("t", gzipped(f, entriesOf(0, 3)), "compressed", "gzip"))
	f.Add(packedForward("t", zstded(f, entriesOf(0, 3)), "compressed", "zstd"))
	f.Add(slices.Concat([]byte{0x93, 0xa1, 't', 0x92}, eventTime(nil, 1, 0), []byte{0x80, 0x80}))
	f.Add(slices.Concat([]byte{0x92, 0xa1, 't', 0x92}, entriesOf(0, 2)))
	for _, s := range []string{"ddffffffff", "92a161dfffffffff", "92a161c6ffffffff", "93a16101818080"} {
		f.Add(unhex(f, s))
	}
	l := &Limits{EventBytes: 1 << 16, UnpackedBytes: 1 << 20}
	l.complete()
	f.Fuzz(func(t *testing.T, b []byte) {
		var s scanner
		if ok, err := s.scan(b, 1<<20); err != nil || !ok {
			return
		}
		c, err := parseChunk(b[:s.pos])
		if err != nil {
			return
		}
		bad := c.check(l)
		e, err := c.open(l)
		if err != nil {
			return
		}
		defer e.Close()
		enc := newEncoder(&Options{}, c.tag, &room{})
		for {
			at, record, err := e.next()
			if err != nil {
				if (err == io.EOF) != (bad == nil) {
					t.Errorf("%v and %v", err, bad)
				}
				return
			}
			m := enc.append(nil, at, record)
			if _, err := amqp.Decode(m); err != nil {
				t.Errorf("%x: %v", m, err)
			}
		}
	})
}
