package eventhubs

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/Azure/go-amqp"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

// ask sends a request to a node and gives the answer.
func ask(t *testing.T, session *client.Session, node string, m *client.Message, o *client.ReceiverOptions) *client.Message {
	t.Helper()
	r, err := session.NewReceiver(soon(t), node, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(soon(t))
	sender, err := session.NewSender(soon(t), node, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close(soon(t))
	if err := sender.Send(soon(t), m, nil); err != nil {
		t.Fatal(err)
	}
	got, err := r.Receive(soon(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// put is a request to put a token.
func put(audience, kind string, token any) *client.Message {
	return &client.Message{Value: token, Properties: &client.MessageProperties{MessageID: "1"},
		ApplicationProperties: map[string]any{"operation": "put-token", "type": kind, "name": audience}}
}

var anonymous = &client.ConnOptions{SASLType: client.SASLTypeAnonymous()}

func TestPutToken(t *testing.T) {
	s := serve(t, nil)
	session := s.dial(anonymous)
	f := func(m *client.Message, status int32, text string) {
		t.Helper()
		a := ask(t, session, "$cbs", m, nil).ApplicationProperties
		if a["status-code"] != status || !strings.Contains(fmt.Sprint(a["status-description"]), text) {
			t.Errorf("%v; want %d %s", a, status, text)
		}
	}
	root := s.token("sb://h/")
	f(put("sb://h/orders", typeSAS, root), 202, "Accepted")
	f(put("sb://h/orders", typeJWT, root), 202, "Accepted") // Python
	f(put("sb://h/orders", typeJWT, "eyJhbGciOi.eyJzdWIi.c2ln"), 401, "a JSON web token was put, and this hub takes shared access signatures only")
	f(put("sb://h/orders", typeSAS, s.token("sb://h/others")), 401, "for another resource")
	f(put("sb://h/orders", typeSAS, "rubbish"), 401, "does not begin with SharedAccessSignature")
	f(put("sb://h/orders", typeSAS, strings.Replace(root, "sig=", "sig=A", 1)), 401, "the signature of the token")
	f(put("sb://h/orders", typeSAS, strings.Repeat("x", 5000)), 401, "4096 is the most")
	f(put("sb://h/orders", "saml", root), 400, "token type")
	f(put("", typeSAS, root), 400, "name")
	m := put("sb://h/orders", typeSAS, root)
	m.ApplicationProperties["operation"] = "delete-token"
	f(m, 501, "delete-token")
	if a := ask(t, session, "$cbs", put("sb://h/orders", typeSAS, "rubbish"), nil); a.ApplicationProperties["error-condition"] != "amqp:unauthorized-access" {
		t.Errorf("%v", a.ApplicationProperties)
	}
}

// TestQuirkLenient sends ids of each type, which come back as they were.
func TestQuirkLenient(t *testing.T) {
	s := serve(t, nil)
	session := s.dial(anonymous)
	for _, id := range []any{"text", uint64(0), uint64(1 << 40), client.UUID{1, 2, 3}, []byte{9, 8}} {
		m := put("sb://h/orders", typeJWT, s.token("sb://h/orders"))
		m.Properties.MessageID = id
		if got := ask(t, session, "$cbs", m, nil).Properties.CorrelationID; fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", id, id) {
			t.Errorf("%T %v comes back as %T %v", id, id, got, got)
		}
	}
	// A token in a binary, and one that Python's SDK 5.11 makes: the descriptor of an expiry.
	m := put("sb://h/orders", typeJWT, nil)
	m.Value, m.Data = nil, [][]byte{[]byte(s.token("sb://h/orders"))}
	equal(t, ask(t, session, "$cbs", m, nil).ApplicationProperties["status-code"], 202)
	c := &conn{s: s.Server}
	r := request{fields: []amqp.Pair{{Key: "operation", Value: "READ"}, {Key: "type", Value: typeHub}, {Key: "name", Value: "orders"},
		{Key: "security_token", Value: amqp.Described{Descriptor: []byte(s.token("sb://h/orders")), Value: int64(1795319808)}}}}
	equal(t, c.read(r).status, 200)
}

func TestTextOf(t *testing.T) {
	f := func(v any, want string) {
		t.Helper()
		equal(t, textOf(v), want)
	}
	f("a", "a")
	f(amqp.Symbol("a"), "a")
	f([]byte("a"), "a")
	f(amqp.Described{Descriptor: []byte("token"), Value: int64(1)}, "token")
	f(amqp.Described{Descriptor: uint64(1), Value: "a"}, "a")
	f(int64(1), "")
	f(nil, "")
}

// TestQuirkReplyLink finds the link for the answer in the three ways that clients have.
func TestQuirkReplyLink(t *testing.T) {
	s := serve(t, nil)
	f := func(replyTo *string, o *client.ReceiverOptions) {
		t.Helper()
		session := s.dial(anonymous)
		// Another link of the node, which is not the one: in a session of its own.
		other := s.dial(anonymous)
		if _, err := other.NewReceiver(soon(t), "$cbs", nil); err != nil {
			t.Fatal(err)
		}
		m := put("sb://h/orders", typeSAS, s.token("sb://h/orders"))
		m.Properties.ReplyTo = replyTo
		equal(t, ask(t, session, "$cbs", m, o).ApplicationProperties["status-code"], 202)
	}
	f(ptr("client-address"), &client.ReceiverOptions{TargetAddress: "client-address"}) // Go
	f(ptr("link-name"), &client.ReceiverOptions{Name: "link-name"})                    // JavaScript
	f(nil, nil)                                                                        // Python
	f(ptr("$cbs"), &client.ReceiverOptions{TargetAddress: "$cbs"})

	session := s.dial(anonymous)
	sender, err := session.NewSender(soon(t), "$cbs", nil)
	if err != nil {
		t.Fatal(err)
	}
	refusedWith(t, sender.Send(soon(t), put("sb://h/orders", typeSAS, "x"), nil), "amqp:not-found")
}

func TestManagement(t *testing.T) {
	b := newBroker(t, hub.Options{})
	listen, err := b.AddRule(hub.Rule{Name: "listen", Hub: "orders", Rights: hub.Listen})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(hub.Config{Name: "others"}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, b)
	session := s.dial(nil)
	read := func(pairs ...string) (*client.Message, map[string]any) {
		t.Helper()
		m := &client.Message{Value: []byte("[]"), Properties: &client.MessageProperties{MessageID: "1"}, ApplicationProperties: map[string]any{"operation": "READ"}}
		for i := 0; i < len(pairs); i += 2 {
			m.ApplicationProperties[pairs[i]] = pairs[i+1]
		}
		a := ask(t, session, "$management", m, nil)
		return a, a.ApplicationProperties
	}
	f := func(status int, cond string, pairs ...string) {
		t.Helper()
		_, p := read(pairs...)
		want := fmt.Sprint(cond)
		if fmt.Sprint(p["status-code"]) != fmt.Sprint(status) || cond != "" && fmt.Sprint(p["error-condition"]) != want {
			t.Errorf("%v: %v; want %d %s", pairs, p, status, cond)
		}
	}
	f(200, "", "type", typeHub, "name", "ORDERS")
	f(404, "amqp:not-found", "type", typeHub, "name", "nope")
	f(404, "amqp:not-found", "type", typeHub)
	f(404, "amqp:not-found", "type", typeHub, "name", "orders/Partitions/1")
	f(400, "com.microsoft:argument-error", "type", "com.microsoft:consumergroup", "name", "orders")
	f(400, "com.microsoft:argument-error", "type", typeHub, "name", "orders", "operation", "DELETE")
	f(400, "com.microsoft:argument-out-of-range", "type", typePartition, "name", "orders", "partition", "4")
	f(400, "com.microsoft:argument-out-of-range", "type", typePartition, "name", "orders", "partition", "01")
	f(400, "com.microsoft:argument-out-of-range", "type", typePartition, "name", "orders")
	own := sas.Sign("sb://h/orders", listen.Name, listen.Primary, time.Now().Add(time.Hour))
	f(200, "", "type", typeHub, "name", "orders", "security_token", own)
	f(401, "amqp:unauthorized-access", "type", typeHub, "name", "others", "security_token", own)
	f(401, "amqp:unauthorized-access", "type", typeHub, "name", "orders", "security_token", "eyJhbGciOi.eyJzdWIi.c2ln")
	f(401, "amqp:unauthorized-access", "type", typeHub, "name", "orders", "security_token", s.token("sb://h/others"))

	a, _ := read("type", typePartition, "name", "orders", "partition", "0")
	types := map[string]string{}
	for k, v := range a.Value.(map[string]any) {
		types[k] = fmt.Sprintf("%T", v)
	}
	equal(t, types, map[string]string{"name": "string", "type": "string", "partition": "string", "begin_sequence_number": "int64", "last_enqueued_sequence_number": "int64",
		"last_enqueued_offset": "string", "last_enqueued_time_utc": "time.Time", "is_partition_empty": "bool"})
	a, _ = read("type", typeHub, "name", "orders")
	types = map[string]string{}
	for k, v := range a.Value.(map[string]any) {
		types[k] = fmt.Sprintf("%T", v)
	}
	equal(t, types, map[string]string{"name": "string", "type": "string", "created_at": "time.Time", "partition_count": "int32", "partition_ids": "[]string", "georeplication_factor": "int32"})
}

// TestSignIn opens links with each mechanism, and with each right.
func TestSignIn(t *testing.T) {
	b := newBroker(t, hub.Options{})
	key := func(name string, rights hub.Right) hub.Rule {
		r, err := b.AddRule(hub.Rule{Name: name, Hub: "orders", Rights: rights})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	sendOnly, listenOnly := key("send", hub.Send), key("listen", hub.Listen)
	if _, err := b.Create(hub.Config{Name: "orders2"}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, b)
	f := func(o *client.ConnOptions, audience, token, node, want string) {
		t.Helper()
		session := s.dial(o)
		if token != "" {
			equal(t, ask(t, session, "$cbs", put(audience, typeSAS, token), nil).ApplicationProperties["status-code"], 202)
		}
		var err error
		if strings.Contains(node, "ConsumerGroups") {
			_, err = session.NewReceiver(soon(t), node, nil)
		} else {
			_, err = session.NewSender(soon(t), node, nil)
		}
		refusedWith(t, err, want)
	}
	const in, out = "orders", "orders/ConsumerGroups/$Default/Partitions/0"
	plain := func(r hub.Rule) *client.ConnOptions {
		return &client.ConnOptions{SASLType: client.SASLTypePlain(r.Name, r.Primary)}
	}
	no := "amqp:unauthorized-access"
	f(anonymous, "", "", in, no)
	f(anonymous, "", "", out, no)
	f(anonymous, "", "", "$management", "") // requests are refused one by one
	f(&client.ConnOptions{SASLType: client.SASLTypeExternal("")}, "", "", in, no)
	f(&client.ConnOptions{SASLType: client.SASLTypeExternal("")}, "sb://h/orders", s.token("sb://h/orders"), in, "")
	f(plain(sendOnly), "", "", in, "")
	f(plain(sendOnly), "", "", out, no)
	f(plain(listenOnly), "", "", in, no)
	f(plain(listenOnly), "", "", out, "")
	f(plain(listenOnly), "", "", "$management", "")
	f(plain(sendOnly), "", "", "orders2", no)
	token := func(r hub.Rule, resource string) string {
		return sas.Sign(resource, r.Name, r.Primary, time.Now().Add(time.Hour))
	}
	f(anonymous, "sb://h/orders", token(sendOnly, "sb://h/orders"), in, "")
	f(anonymous, "sb://h/orders", token(sendOnly, "sb://h/orders"), out, no)
	f(anonymous, "sb://h/orders", token(sendOnly, "sb://h/orders"), "orders2", no)
	f(anonymous, "amqps://h:5671/orders/Publishers/p1", token(sendOnly, "sb://h/orders/Publishers/p1"), "orders/publishers/p1", "")
	f(anonymous, "amqps://h:5671/orders/Publishers/p1", token(sendOnly, "sb://h/orders/Publishers/p1"), "orders/publishers/p10", no)
	f(anonymous, "amqps://h:5671/orders/Publishers/p1", token(sendOnly, "sb://h/orders/Publishers/p1"), in, no)

	_, err := client.Dial(soon(t), "amqp://"+s.addr, &client.ConnOptions{SASLType: client.SASLTypePlain("send", listenOnly.Primary)})
	if err == nil || strings.Contains(err.Error(), listenOnly.Primary) {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestExpiry has a clock of its own: links end with their tokens, unless others were put.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, hub.Options{})
		defer b.Close()
		s := New(Options{Broker: b})
		root := b.Rules("")[0]
		c := s.conn(&amqp.Conn{})
		defer c.close()
		putFor := func(audience string, life time.Duration) {
			t.Helper()
			if err := c.put(audience, sas.Sign(audience, root.Name, root.Primary, time.Now().Add(life))); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		ended := map[string]string{}
		start := time.Now()
		link := func(path string) {
			t.Helper()
			a, err := parseAddress(path)
			if err != nil {
				t.Fatal(err)
			}
			g, err := c.grantFor(hub.Send, a, func(e *amqp.Error) {
				mu.Lock()
				defer mu.Unlock()
				ended[path] = fmt.Sprintf("%s after %v", e.Condition, time.Since(start))
			})
			if err != nil || g == nil {
				t.Fatal(path, err)
			}
		}
		putFor("sb://h/orders", time.Minute)
		putFor("sb://h/orders/partitions/1", time.Hour)
		link("orders")
		link("orders/partitions/1")
		link("orders/partitions/2")
		time.Sleep(30 * time.Second)
		putFor("sb://h/orders/partitions/2", time.Hour) // in time
		time.Sleep(59*time.Minute + 45*time.Second)
		synctest.Wait()
		const end = "amqp:unauthorized-access after "
		told := func() map[string]string {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(ended)
		}
		equal(t, told(), map[string]string{"orders": end + "1m0s", "orders/partitions/1": end + "1h0m0s"})
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, told()["orders/partitions/2"], end+"1h0m30s")
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.links) != 0 || len(c.claims.tokens) != 0 || c.timer != nil {
			t.Errorf("%d links, %d tokens and the timer %v are left", len(c.links), len(c.claims.tokens), c.timer)
		}
	})
}

// TestExpiryOnTheWire is what a client sees of it.
func TestExpiryOnTheWire(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	session := s.dial(anonymous)
	token := sas.Sign("sb://h/orders", s.root.Name, s.root.Primary, time.Now().Add(2*time.Second))
	equal(t, ask(t, session, "$cbs", put("sb://h/orders", typeSAS, token), nil).ApplicationProperties["status-code"], 202)
	r, err := session.NewReceiver(soon(t), "orders/ConsumerGroups/$Default/Partitions/0", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Receive(soon(t), nil)
	refusedWith(t, err, "amqp:unauthorized-access")
	if !strings.Contains(fmt.Sprint(err), "expired") {
		t.Errorf("%v", err)
	}
	_, err = session.NewSender(context.Background(), "orders", nil)
	refusedWith(t, err, "amqp:unauthorized-access")
}

// A client that puts no token does not stay, however alive it keeps itself; one with a key
// does.
func TestSignInHasATime(t *testing.T) {
	s := serveWith(t, Options{SignIn: 50 * time.Millisecond}, nil)
	known := s.dialRaw()
	c, err := client.Dial(soon(t), "amqp://"+s.addr, &client.ConnOptions{SASLType: client.SASLTypeAnonymous()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case <-c.Done():
		if err := c.Err(); err == nil || !strings.Contains(err.Error(), "No token was put") {
			t.Error(err)
		}
	case <-soon(t).Done():
		t.Fatal("the connection stays")
	}
	known.receiver("hub1/ConsumerGroups/$Default/Partitions/0")
}

// TestRevoked has a clock of its own: links end with the key that let them in, soon after.
func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, hub.Options{})
		defer b.Close()
		s := New(Options{Broker: b})
		root := b.Rules("")[0]
		key, err := b.Password(root.Name, root.Secondary)
		if err != nil {
			t.Fatal(err)
		}
		var ended []string
		for _, from := range []string{"key", "token"} {
			c := s.conn(&amqp.Conn{})
			defer c.close()
			if from == "key" {
				c.claims.key = &key
			} else if err := c.put("sb://h/orders", sas.Sign("sb://h/orders", root.Name, root.Primary, time.Now().Add(time.Hour))); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := c.grantFor(hub.Send, address{hub: "orders", path: "orders"}, func(e *amqp.Error) {
				ended = append(ended, fmt.Sprintf("%s: %s after %v", from, e.Condition, time.Since(start)))
			}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(hub.KeyCheck + time.Second)
		replace := func(which hub.Which, want string) {
			t.Helper()
			if _, err := b.Regenerate("", root.Name, which); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * hub.KeyCheck)
			synctest.Wait()
			equal(t, ended, []string{want})
			ended = nil
		}
		replace(hub.Secondary, "key: amqp:unauthorized-access after 20s")
		replace(hub.Primary, "token: amqp:unauthorized-access after 40s")
	})
}
