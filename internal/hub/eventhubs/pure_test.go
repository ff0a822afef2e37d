package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

// newBroker is a broker in memory with the hub "Orders" of 4 partitions and the group "g1".
func newBroker(t testing.TB, o hub.Options) *hub.Broker {
	t.Helper()
	if o.FS == nil {
		o.FS = disk.NewMem(1).Boot()
	}
	b, err := hub.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Create(hub.Config{Name: "Orders", Partitions: 4, Groups: []string{"g1"}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// condition is that of an error, with its text.
func condition(err error) string {
	var e *amqp.Error
	if errors.As(err, &e) {
		return e.Condition
	}
	return fmt.Sprint(err)
}

func TestAddress(t *testing.T) {
	f := func(text string, want address) {
		t.Helper()
		got, err := parseAddress(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	orders := address{hub: "Orders", partition: -1, path: "orders"}
	f("Orders", orders)
	f("/Orders", orders)
	f("/Orders/", orders)
	f("sb://localhost/Orders", orders)
	f("amqps://localhost:5671/Orders", orders)
	f("amqps://localhost:5671/Orders?x=1", orders)
	f("Orders/Partitions/12", address{hub: "Orders", partition: 12, path: "orders/partitions/12"})
	f("sb://h/Orders/PARTITIONS/0", address{hub: "Orders", partition: 0, path: "orders/partitions/0"})
	f("Orders/Publishers/p-1", address{hub: "Orders", partition: -1, publisher: "p-1", path: "orders/publishers/p-1"})
	group := address{hub: "Orders", group: "$Default", partition: 3, path: "orders/consumergroups/$default/partitions/3"}
	f("Orders/ConsumerGroups/$Default/Partitions/3", group)
	f("/Orders/ConsumerGroups/$Default/Partitions/3", group)
	f("amqps://h/Orders/consumergroups/%24Default/partitions/3", group)
	f("$cbs", address{node: "$cbs", partition: -1, path: "$cbs"})
	f("/$management", address{node: "$management", partition: -1, path: "$management"})
	f("Orders/$management", address{node: "$management", hub: "Orders", partition: -1, path: "orders/$management"})

	bad := func(text, want string) {
		t.Helper()
		if _, err := parseAddress(text); condition(err) != want {
			t.Errorf("%.40q: %v; want %s", text, err, want)
		}
	}
	bad("", condNotFound)
	bad("sb://localhost", condNotFound)
	bad("a/b", condNotFound)
	bad("a//b", condNotFound)
	bad("a/Publishers/", condNotFound)
	bad("a/ConsumerGroups/g", condNotFound)
	bad("a/ConsumerGroups//Partitions/1", condNotFound)
	bad("a%zz", condNotFound)
	bad(strings.Repeat("a", MaxAddress+1), condNotFound)
	bad("a/Partitions/x", condOutOfRange)
	bad("a/Partitions/-1", condOutOfRange)
	bad("a/Partitions/+1", condOutOfRange)
	bad("a/Partitions/01", condOutOfRange)
	bad("a/Partitions/99999999999999999999", condOutOfRange)
}

func TestPlace(t *testing.T) {
	b := newBroker(t, hub.Options{})
	f := func(text, want string) {
		t.Helper()
		a, err := parseAddress(text)
		if err == nil {
			_, _, err = a.place(b)
		}
		if condition(err) != want {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
	f("orders", "<nil>")
	f("ORDERS/partitions/3", "<nil>")
	f("orders/partitions/4", condOutOfRange)
	f("nope", condNotFound)
}

func TestSelector(t *testing.T) {
	f := func(text string, want hub.Position) {
		t.Helper()
		got, err := parseSelector(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	f("amqp.annotation.x-opt-offset > '-1'", hub.Position{Where: hub.Earliest})
	f("amqp.annotation.x-opt-offset >= '-1'", hub.Position{Where: hub.Earliest})
	f("amqp.annotation.x-opt-offset > '@latest'", hub.Position{Where: hub.Latest})
	f("amqp.annotation.x-opt-offset >= '@latest'", hub.Position{Where: hub.Latest})
	f("amqp.annotation.x-opt-offset > '4096'", hub.Position{Where: hub.AtOffset, Value: 4096, After: true})
	f("amqp.annotation.x-opt-offset >= '4096'", hub.Position{Where: hub.AtOffset, Value: 4096})
	f("amqp.annotation.x-opt-offset>4096", hub.Position{Where: hub.AtOffset, Value: 4096, After: true})
	f("  AMQP.Annotation.X-Opt-Sequence-Number  >=  12 ", hub.Position{Where: hub.AtSequence, Value: 12})
	f("amqp.annotation.x-opt-sequence-number > '-1'", hub.Position{Where: hub.Earliest})
	f("amqp.annotation.x-opt-enqueued-time >= '1795312604789'", hub.Position{Where: hub.AtTime, Time: time.UnixMilli(1795312604789)})
	f("amqp.annotation.x-opt-enqueued-time > '1795312604789'", hub.Position{Where: hub.AtTime, Time: time.UnixMilli(1795312604790)})

	bad := func(text, why string) {
		t.Helper()
		_, err := parseSelector(text)
		if condition(err) != condArgument || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60q: %v; want %s with %q", text, err, condArgument, why)
		}
	}
	bad("", "it has no > or >=")
	bad("amqp.annotation.x-opt-offset = '1'", "it has no > or >=")
	bad("amqp.annotation.x-opt-offset < '1'", "it has no > or >=")
	bad("amqp.annotation.x-opt-offset > ", "not one text in single quotes")
	bad("amqp.annotation.x-opt-offset > ''", "not one text in single quotes")
	bad("amqp.annotation.x-opt-offset > '1", "not one text in single quotes")
	bad("amqp.annotation.x-opt-offset > '1' OR 1=1", "not one text in single quotes")
	bad("amqp.annotation.x-opt-offset > '1:2:3'", "not a whole number")
	bad("amqp.annotation.x-opt-offset > '-2'", "not a whole number")
	bad("amqp.annotation.x-opt-enqueued-time > '@latest'", "not a whole number")
	bad("amqp.annotation.x-opt-offset > '99999999999999999999'", "not a whole number")
	bad("amqp.annotation.x-opt-publisher > '1'", "no such annotation")
	bad(strings.Repeat("a", MaxFilter+1), "too long")
}

func TestFilters(t *testing.T) {
	const text = "amqp.annotation.x-opt-offset > '7'"
	at := hub.Position{Where: hub.AtOffset, Value: 7, After: true}
	f := func(want hub.Position, cond string, filters ...amqp.Filter) {
		t.Helper()
		got, err := positionOf(filters)
		if cond != "" && condition(err) != cond || cond == "" && (err != nil || got != want) {
			t.Errorf("%v: %+v, %v", filters, got, err)
		}
	}
	f(hub.Position{Where: hub.Earliest}, "")
	f(at, "", amqp.Filter{Name: selectorName, Descriptor: uint64(selectorCode), Value: text})
	f(at, "", amqp.Filter{Name: "selector", Descriptor: amqp.Symbol(selectorName), Value: text}) // proton
	f(at, "", amqp.Filter{Name: selectorName, Value: text})
	f(at, condNotImplemented, amqp.Filter{Name: "other", Descriptor: uint64(7), Value: text})
	f(at, condNotImplemented, amqp.Filter{Name: selectorName, Descriptor: uint64(selectorCode), Value: int64(1)})
	f(at, condNotImplemented, amqp.Filter{Name: selectorName, Value: text}, amqp.Filter{Name: "b", Value: text})
}

func TestWithin(t *testing.T) {
	f := func(path, above string, want bool) {
		t.Helper()
		if got := within(path, above); got != want {
			t.Errorf("%q within %q: %v", path, above, got)
		}
	}
	f("hub1", "hub1", true)
	f("Hub1/Partitions/1", "hub1/", true)
	f("hub1", "", true)
	f("hub10", "hub1", false)
	f("hub1", "hub1/Partitions/1", false)
}

func TestClaims(t *testing.T) {
	now := time.Unix(2_000_000_000, 0)
	b := newBroker(t, hub.Options{Now: func() time.Time { return now }})
	root := b.Rules("")[0]
	token := func(resource string, life time.Duration) string {
		return sas.Sign(resource, root.Name, root.Primary, now.Add(life))
	}
	c := &claims{}
	put := func(audience, token, want string) {
		t.Helper()
		if err := c.put(b, audience, token, now); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("put %s: %v; want %q", audience, err, want)
		}
	}
	may := func(address string, want string, life time.Duration) {
		t.Helper()
		a, err := parseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		until, err := c.may(hub.Listen, a, now)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", address, err, want)
			}
		} else if err != nil || !until.Equal(now.Add(life)) {
			t.Errorf("%s: until %v, %v; want %v", address, until, err, now.Add(life))
		}
	}
	may("orders", "no token was put", 0)
	const group, other = "Orders/ConsumerGroups/$Default/Partitions/1", "orders/ConsumerGroups/g1/Partitions/1"
	put("sb://h/"+group, token("sb://h/"+group, time.Hour), "")
	may(group, "", time.Hour)
	may("orders", "no token was put", 0)
	may(other, "no token was put", 0)
	put("sb://h/orders", token("sb://h/orders/partitions/1", time.Hour), "another resource")
	put("sb://h/orders", token("sb://h/order", time.Hour), "another resource")
	put("sb://h/orders", token("sb://h/orders", 30*time.Minute), "")
	may(group, "", time.Hour)
	may(other, "", 30*time.Minute)
	put("sb://h/orders", token("sb://h/", 2*time.Hour), "") // the namespace's is good for its hubs
	may(group, "", 2*time.Hour)
	put("sb://h/orders", sas.Sign("sb://h/orders", root.Name, "wrong", now.Add(time.Hour)), "signature")
	may(group, "", 2*time.Hour) // what was refused takes nothing away
	now = now.Add(2 * time.Hour)
	may(group, "expired", 0)
	if c.forget(now); len(c.tokens) != 0 {
		t.Errorf("%d tokens are kept that have expired", len(c.tokens))
	}
}

func TestClaimsLimit(t *testing.T) {
	now := time.Unix(2_000_000_000, 0)
	b := newBroker(t, hub.Options{Now: func() time.Time { return now }})
	root := b.Rules("")[0]
	token := sas.Sign("sb://h/", root.Name, root.Primary, now.Add(time.Hour))
	c := &claims{}
	for i := range MaxClaims {
		if err := c.put(b, fmt.Sprintf("sb://h/h%d", i), token, now); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := c.put(b, "sb://h/more", token, now); !errors.Is(err, hub.ErrTooMany) {
		t.Errorf("one more than MaxClaims: %v", err)
	}
	if err := c.put(b, "sb://h/h0", token, now); err != nil {
		t.Errorf("an audience that is known: %v", err)
	}
}

func TestReaders(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	place := readerPlace{h.Partitions()[0], "g1"}
	var r readers
	life, end := context.WithCancel(t.Context())
	gone := map[string]string{}
	add := func(name string, epoch int64, want string) *reader {
		t.Helper()
		n := &reader{place: place, name: name, epoch: epoch, life: life, detach: func(e *amqp.Error) { gone[name] = e.Condition + ": " + e.Description }}
		if err := r.add(n); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s with %d: %v; want %q", name, epoch, err, want)
		}
		return n
	}
	var plain []*reader
	for i := range MaxReaders {
		plain = append(plain, add(fmt.Sprint("n", i), -1, ""))
	}
	add("n6", -1, "amqp:resource-limit-exceeded: Exceeded the maximum number of allowed receivers per partition in a consumer group which is 5. List of connected receivers - n0, n1, n2, n3, n4.")
	r.remove(plain[2])
	add("n7", -1, "")
	first := add("a", 0, "") // takes the place of all without a level
	if len(gone) != 5 || gone["n0"] != "amqp:link:stolen: New receiver 'a' with higher epoch of '0' is created hence current receiver 'n0' with epoch 'nil' is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used." {
		t.Errorf("displaced: %v", gone)
	}
	for _, p := range plain {
		r.remove(p) // their ends come later, and change nothing
	}
	add("n8", -1, "amqp:link:stolen: At least one receiver for the endpoint is created with epoch of '0'")
	second := add("b", 5, "")
	if !strings.Contains(gone["a"], "higher epoch of '5'") {
		t.Errorf("a: %q", gone["a"])
	}
	r.remove(first)
	add("c", 4, "amqp:link:stolen: Receiver 'b' with a higher epoch '5' already exists. Receiver 'c' with epoch 4 cannot be created.")
	third := add("d", 5, "")
	if !strings.Contains(gone["b"], "New receiver 'd'") {
		t.Errorf("b: %q", gone["b"])
	}
	r.remove(second)
	r.remove(third)
	if len(r.open) != 0 {
		t.Errorf("%d places are kept without a reader", len(r.open))
	}
	add("n9", -1, "")

	// Of a link that has ended the client knows before its goroutine is through.
	add("e", 7, "")
	end()
	life = t.Context()
	add("n10", -1, "")
}

func TestRefusal(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		e := refusal(fmt.Errorf("append to /secret/place: %w", err))
		if e.Condition != want {
			t.Errorf("%v: %s; want %s", err, e.Condition, want)
		}
		if want == condBusy && (strings.Contains(e.Description, "/secret") || !strings.Contains(e.Description, "try again")) {
			t.Errorf("%v: %s", err, e.Description)
		}
	}
	f(disk.ErrFull, condBusy)
	f(hub.ErrTooLarge, condTooLarge)
	f(hub.ErrFenced, condProducerStolen)
	f(hub.ErrGap, condOutOfOrder)
	f(hub.ErrForbidden, condUnauthorized)
	f(hub.ErrClosed, condForced)
	f(errors.New("I/O error"), condInternal)
	f(&amqp.Error{Condition: condArgument}, condArgument)
}
