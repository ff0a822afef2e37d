package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// TestManual: the page of the manual has the example and the settings as they are declared.
func TestManual(t *testing.T) {
	t.Parallel()
	connecttest.Manual(t, spec, "../../../docs/connectors/kafka.md")
}

const namespace = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey=planted+key="

// TestLink: what the settings come to.
func TestLink(t *testing.T) {
	t.Parallel()
	f := func(given map[string]any, want string) {
		t.Helper()
		l, err := linkOf(connect.Config{Values: given}, true)
		got := ""
		if err != nil {
			got = "error: " + err.Error()
			if !connect.IsPermanent(err) {
				t.Errorf("%v is not permanent", err)
			}
		} else {
			sign := "none"
			if l.sign != nil {
				sign = l.sign.Name()
			}
			got = fmt.Sprintf("%v %v tls=%v %s", l.brokers, l.topics, l.tls != nil, sign)
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	list := func(s ...string) []string { return s }
	secret := connect.NewHidden
	f(map[string]any{"brokers": list("a", "b:1", "::1", "[::1]:2"), "topic": list("x")}, "[a:9092 b:1 [::1]:9092 [::1]:2] [x] tls=false none")
	f(map[string]any{"connection_string": secret(namespace + ";EntityPath=orders")}, "[shop.servicebus.windows.net:9093] [orders] tls=true PLAIN")
	f(map[string]any{"connection_string": secret(namespace + ";EntityPath=orders"), "topic": list("x")}, "[shop.servicebus.windows.net:9093] [x] tls=true PLAIN")
	f(map[string]any{"connection_string": secret(namespace + ";UseDevelopmentEmulator=true"), "topic": list("x")}, "[shop.servicebus.windows.net:9092] [x] tls=false PLAIN")
	f(map[string]any{"connection_string": secret(namespace), "topic": list("x"), "tls": false, "brokers": list("localhost:19092")}, "[localhost:19092] [x] tls=false PLAIN")
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "tls": true, "sasl": "scram-sha-512", "user": "u", "password": secret("p")}, "[a:9092] [x] tls=true SCRAM-SHA-512")
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "tls": true, "sasl": "entra"}, "[a:9092] [x] tls=true OAUTHBEARER")

	f(map[string]any{"topic": list("x")}, "error: there are no brokers; write brokers: [host:9092], or a connection_string")
	f(map[string]any{"brokers": list("a")}, "error: there is no topic; write topic: orders")
	f(map[string]any{"connection_string": secret(namespace)}, "error: there is no topic; write topic: orders")
	f(map[string]any{"brokers": list("http://a/"), "topic": list("x")}, `error: "http://a/" is no address of a broker; write host:port, such as kafka-1.example.com:9092`)
	f(map[string]any{"brokers": list("a"), "topic": list("a/b")}, `error: "a/b" is no name of a topic; a name has letters, digits, dots, _ and -, and 249 of them at most`)
	f(map[string]any{"brokers": list("a"), "topic": list("a", "a")}, `error: "a" stands twice; remove one of them`)
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "sasl": "plain", "user": "u"}, "error: plain needs a user and a password; write user and password")
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "user": "u"}, `error: there is a user or a password, and "sasl" does not say what for; write sasl: plain, or scram-sha-512, as the brokers want it`)
	f(map[string]any{"connection_string": secret("planted"), "topic": list("x")},
		"error: a part of the connection string is not one of Endpoint, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, EntityPath and UseDevelopmentEmulator; copy it from the service as it is: Endpoint=sb://...;SharedAccessKeyName=...;SharedAccessKey=...")
	f(map[string]any{"connection_string": secret(namespace), "topic": list("x"), "password": secret("p")}, `error: a connection string signs in, and so does "password"; remove one of them`)
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "tls_cert": "c.pem"}, "error: a certificate and its key belong together; write both tls_cert and tls_key")
	f(map[string]any{"brokers": list("a"), "topic": list("x"), "tls_ca": "/none/ca.pem"}, "error: tls_ca: open /none/ca.pem: no such file or directory")

	if p := check(connect.Config{Values: map[string]any{"brokers": list("a"), "topic": list("x", "y"), "pack_bytes": int64(1)}}, false); len(p) != 1 || p[0].Field != "topic" {
		t.Errorf("an output of two topics: %v", p)
	}
}

// TestSecrets: no error shows a password or a key, whatever a broker says.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const password = "planted-password"
	c := fakes(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "root", "root"))
	c.fake.ControlKey(int16(kmsg.SASLAuthenticate), func(q kmsg.Request) (kmsg.Response, error, bool) {
		c.fake.KeepControl()
		r := q.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		r.ErrorCode = kerr.SaslAuthenticationFailed.Code
		r.ErrorMessage = kmsg.StringPtr("refused: " + string(q.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes))
		return r, nil, true
	})
	f := func(what string, given map[string]any, permanent bool) {
		t.Helper()
		config := c.config("topic", given)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, in := openSource(ctx, config, connect.SourceEnv{Input: "in"})
		_, out := openSink(ctx, config, connect.SinkEnv{Output: "out", Columns: connecttest.Columns(), State: disk.NewMem(1).Boot()})
		texts := []string{fmt.Sprint(in), fmt.Sprintf("%+v %#v", out, out)}
		for _, input := range []bool{true, false} {
			problems := spec.Probe(ctx, config, connect.ProbeEnv{Input: input})
			if len(problems) != 1 {
				t.Errorf("%s: %d problems", what, len(problems))
			}
			texts = append(texts, fmt.Sprintf("%+v", problems))
		}
		for _, x := range texts {
			if strings.Contains(x, "planted") || strings.Contains(x, "\n") {
				t.Errorf("%s: %s", what, x)
			}
		}
		if in == nil || out == nil || connect.IsPermanent(in) != permanent || connect.IsPermanent(out) != permanent {
			t.Errorf("%s: %v, %v", what, in, out)
		}
	}
	f("refused", map[string]any{"sasl": "plain", "user": "u", "password": connect.NewHidden(password)}, true)
	f("connection string", map[string]any{"connection_string": connect.NewHidden(namespace), "tls": false}, true)
	f("nobody there", map[string]any{"sasl": "plain", "user": "u", "password": connect.NewHidden(password), "brokers": []string{"127.0.0.1:1"}}, false)
	f("no TLS there", map[string]any{"sasl": "plain", "user": "u", "password": connect.NewHidden(password), "tls": true}, false)
	if text := fmt.Sprint(c.config("topic", map[string]any{"password": connect.NewHidden(password)})); strings.Contains(text, "planted") {
		t.Error(text)
	}
}

// TestProbe: one line for each thing that is wrong, with what to do.
func TestProbe(t *testing.T) {
	t.Parallel()
	c := fakes(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "root", "root"), kfake.EnableACLs(),
		kfake.User("PLAIN", "reader", "r", kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "orders", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationRead, Allow: true}),
		kfake.SeedTopics(2, "orders", "hidden"))
	f := func(topic string, input bool, given map[string]any, want string) {
		t.Helper()
		all := map[string]any{"sasl": "plain", "user": "root", "password": connect.NewHidden("root")}
		for k, v := range given {
			all[k] = v
		}
		var lines []string
		for _, p := range spec.Probe(c.within(), c.config(topic, all), connect.ProbeEnv{Input: input}) {
			lines = append(lines, p.Field+": "+strings.ReplaceAll(p.Text, c.addrs[0], "HOST")+" -> "+p.Hint)
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	reader := map[string]any{"user": "reader", "password": connect.NewHidden("r")}
	f("orders", true, nil, "")
	f("orders", true, map[string]any{"brokers": []string{"127.0.0.1:9"}}, ": Kafka at 127.0.0.1:9, brokers: unable to dial: dial tcp 127.0.0.1:9: connect: connection refused -> nothing listens there; start the broker, or correct brokers")
	f("orders", false, nil, "")
	f("orders", true, reader, "")
	f("orders", false, reader, "topic: Kafka at HOST, topic orders: the user has no right to write -> grant the user Write of the topic")
	f("none", true, nil, "topic: Kafka at HOST, topic none: UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition. -> there is no such topic, or the user may not see it; make the topic, or correct its name")
	f("none", false, map[string]any{"create": true}, "")
	f("hidden", true, reader, "topic: Kafka at HOST, topic hidden: TOPIC_AUTHORIZATION_FAILED: Not authorized to access topics: [Topic authorization failed.] -> grant the user the right to the topic: Read and Describe for an input, Write and Describe for an output, and Read for one with transactions")
}
