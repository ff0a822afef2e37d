package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestManual(t *testing.T) {
	connecttest.Manual(t, spec, "../../../docs/connectors/redis.md")
}

const secret = "s3cret-of-redis"

// fake answers each command with a text of the protocol: answer is given the command. It stands
// for servers that refuse, break off or do not answer; what streams do is tried on a real one.
func fake(t testing.TB, answer func(command []string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					command, err := readCommand(r)
					if err != nil {
						return
					}
					text := answer(command)
					if text == "" { // it does not answer
						<-ctx.Done()
						return
					}
					if _, err := c.Write([]byte(text)); err != nil || text == "cut" {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	return l.Addr().String()
}

func readCommand(r *bufio.Reader) (words []string, err error) {
	line := func(prefix byte) (n int, err error) {
		s, err := r.ReadString('\n')
		if err == nil && s[0] == prefix {
			_, err = fmt.Sscanf(s[1:], "%d", &n)
		}
		return n, err
	}
	n, err := line('*')
	for range n {
		size, e := line('$')
		if e != nil {
			return nil, e
		}
		b := make([]byte, size+2)
		if _, e := readFull(r, b); e != nil {
			return nil, e
		}
		words = append(words, string(b[:size]))
	}
	return words, err
}

func readFull(r *bufio.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// usual answers what a client asks at first, and hands the rest on.
func usual(then func(command []string) string) func([]string) string {
	return func(c []string) string {
		switch strings.ToUpper(c[0]) {
		case "HELLO":
			return "-ERR unknown command\r\n"
		case "AUTH", "SELECT", "CLIENT", "PING":
			return "+OK\r\n"
		}
		return then(c)
	}
}

// TestErrors: what a server answers becomes an error that says where and what to do, is
// permanent only if no retry heals it, and holds no secret.
func TestErrors(t *testing.T) {
	f := func(what string, answer func([]string) string, permanent bool, want string) {
		t.Helper()
		var logs bytes.Buffer
		env := sinkEnv(what)
		env.Log = slog.New(slog.NewTextHandler(&logs, nil))
		address := "127.0.0.1:1"
		if answer != nil {
			address = fake(t, answer)
		}
		values := map[string]any{"address": []string{address}, "key": "k", "password": connect.NewHidden(secret), "user": "weir", "timeout": 300 * time.Millisecond}
		s, err := openSink(t.Context(), config(t, values), env)
		if err == nil {
			defer s.Close()
			must(t, s.Write(t.Context(), 1, connecttest.Batch(connecttest.Rows(1, 3))))
			must(t, s.Prepare(t.Context(), 1, 0))
			err = s.Commit(t.Context(), 1)
		}
		if err == nil {
			t.Fatalf("%s: there is no error", what)
		}
		if connect.IsPermanent(err) != permanent {
			t.Errorf("%s: permanent is %v: %v", what, !permanent, err)
		}
		for _, text := range append(strings.Split(want, "|"), address) {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", what, err, text)
			}
		}
		problems := fmt.Sprint(probe(t.Context(), config(t, values), connect.ProbeEnv{}))
		for _, text := range []string{err.Error(), logs.String(), problems} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: the password is told: %s", what, text)
			}
		}
	}
	refuse := func(verb, text string) func([]string) string {
		return func(c []string) string {
			if strings.EqualFold(c[0], verb) {
				return text + "\r\n"
			}
			return usual(func(c []string) string { return "$-1\r\n" })(c)
		}
	}
	f("nobody listens", nil, false, "output out|connection refused")
	f("a wrong password", refuse("AUTH", "-WRONGPASS invalid username-password pair or user is disabled."), true, "WRONGPASS|see user and password")
	f("no password", refuse("GET", "-NOAUTH Authentication required."), true, "NOAUTH|see user and password")
	f("no right to read", refuse("GET", "-NOPERM this user has no permissions to run the 'get' command"), true, "NOPERM|+evalsha")
	f("no right to write", refuse("EVALSHA", "-NOPERM this user has no permissions to run the 'evalsha' command"), false, "NOPERM|+evalsha")
	f("a key of another kind", refuse("EVALSHA", "-WRONGTYPE Operation against a key holding the wrong kind of value"), false, "another key")
	f("no memory", refuse("EVALSHA", "-OOM command not allowed when used memory > 'maxmemory'."), false, "maxmemory")
	f("a node of a cluster", refuse("EVALSHA", "-MOVED 1234 127.0.0.1:7001"), false, "cluster: true")
	f("a server that breaks off", usual(func([]string) string { return "cut" }), false, "read what was committed")
	f("a server that does not answer", usual(func([]string) string { return "" }), false, "it does not answer")
	f("a key that is not ours", usual(func([]string) string { return "$5\r\nhello\r\n" }), true, "somebody else has written it")
}

// TestEnded: a call whose context has ended gives that error, and can be made again.
func TestEnded(t *testing.T) {
	address := fake(t, usual(func(c []string) string {
		if strings.EqualFold(c[0], "EVALSHA") {
			return ""
		}
		return "$-1\r\n"
	}))
	s, err := openSink(t.Context(), config(t, map[string]any{"address": []string{address}, "key": "k"}), sinkEnv("ended"))
	must(t, err)
	defer s.Close()
	must(t, s.Write(t.Context(), 1, connecttest.Batch(connecttest.Rows(1, 3))))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Commit(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || connect.IsPermanent(err) {
		t.Errorf("%v", err)
	}
}

// TestBadRows: rows without a key are dead letters.
func TestBadRows(t *testing.T) {
	address := fake(t, usual(func([]string) string { return "$-1\r\n" }))
	env := sinkEnv("bad")
	var bad []string
	env.Reject = func(e connect.RowError) error {
		bad = append(bad, string(e.Row)+" "+e.Name)
		return nil
	}
	s, err := openSink(t.Context(), config(t, map[string]any{"address": []string{address}, "key": "{text}"}), env)
	must(t, err)
	defer s.Close()
	must(t, s.Write(t.Context(), 1, connecttest.Batch([]connecttest.Row{{ID: 1, Text: "a"}, {ID: 2, Text: ""}})))
	must(t, s.Prepare(t.Context(), 1, 0))
	if len(bad) != 1 || !strings.Contains(bad[0], `{"id":2,"text":""} OutputDataConversionError`) {
		t.Errorf("%q", bad)
	}
}

func TestCheck(t *testing.T) {
	f := func(values map[string]any, want string) {
		t.Helper()
		all := map[string]any{"address": []string{"h:6379"}, "key": "k"}
		for k, v := range values {
			all[k] = v
		}
		var got []string
		for _, p := range check(config(t, all), false) {
			got = append(got, p.Field)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%v: %q, and must be %q", values, s, want)
		}
	}
	f(nil, "")
	f(map[string]any{"address": []string{"h"}}, "address")
	f(map[string]any{"address": []string{"redis://:pw@h:1"}}, "address")
	f(map[string]any{"address": []string{}}, "address")
	f(map[string]any{"address": []string{"a:1", "b:2"}, "db": int64(1)}, "db")
	f(map[string]any{"master": "m", "cluster": true}, "master")
	f(map[string]any{"master": "m", "db": int64(1)}, "")
	f(map[string]any{"tls_ca": "x"}, "tls")
	f(map[string]any{"tls": true, "tls_cert": "x"}, "tls_cert")
	f(map[string]any{"key": " "}, "key")
	f(map[string]any{"mode": modeHash, "max_len": int64(5)}, "max_len")
	f(map[string]any{"max_len": int64(-5)}, "max_len")
	f(map[string]any{"ttl": time.Hour}, "ttl")
	f(map[string]any{"mode": modeHash, "ttl": time.Hour}, "")
	f(map[string]any{"timeout": time.Duration(0)}, "timeout")
}
