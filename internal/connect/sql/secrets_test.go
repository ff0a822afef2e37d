package sql

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"weir/internal/connect"
	"weir/internal/disk"
)

const canary = "CANARY k3y;'@/%{}"

// hides checks that a text has the canary in no form.
func hides(t testing.TB, text string) {
	t.Helper()
	for _, form := range []string{"CANARY", url.QueryEscape(canary), url.PathEscape(canary), base64.StdEncoding.EncodeToString([]byte("CANARY")), hex.EncodeToString([]byte("CANARY"))} {
		if strings.Contains(text, form) {
			t.Errorf("the password shows: %s", text)
		}
	}
}

// TestSecretsStayHidden breaks connections and connection strings of every dialect.
func TestSecretsStayHidden(t *testing.T) {
	escaped := url.QueryEscape(canary)
	f := func(d *dialect, values map[string]any) {
		t.Helper()
		values["table"], values["timeout"] = "t", defaultTimeout
		c := connect.Config{Values: values}
		var log bytes.Buffer
		env := connect.SinkEnv{Job: "j", Output: "o", Instance: "i", State: disk.NewMem(1).Boot(), Columns: connect.Columns{Names: []string{"n"}},
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		spec, _ := connect.Find(d.name)
		for _, p := range append(spec.Check(c, false), spec.Check(c, true)...) {
			hides(t, fmt.Sprint(p))
		}
		s, err := spec.Sink(context.Background(), c, env)
		if err == nil {
			_, err = s.Committed(context.Background())
			s.Close()
		}
		if err == nil {
			t.Errorf("%s: %v: no error", d.name, values)
			return
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			hides(t, fmt.Sprintf("%v %+v %#v %q", e, e, e, e.Error()))
		}
		src, err := spec.Source(context.Background(), c, connect.SourceEnv{Reference: true, Log: env.Log})
		if err == nil {
			_, err = src.Open(context.Background(), "2026-03-05T12:00:00.0000000Z", "")
			src.Close()
		}
		if err == nil {
			t.Errorf("%s: %v: reading gives no error", d.name, values)
			return
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			hides(t, fmt.Sprintf("%v %+v %#v %q", e, e, e, e.Error()))
		}
		hides(t, log.String())
		text, _ := json.Marshal(values)
		hides(t, string(text)+fmt.Sprintf("%v %+v %#v", c, c, c))
	}
	fields := func() map[string]any {
		return map[string]any{"host": "127.0.0.1", "port": int64(1), "user": "weir", "database": "d", "password": secret(canary)}
	}
	for _, d := range []*dialect{postgresDialect, mysqlDialect, sqlserverDialect} {
		f(d, fields())
		with := fields()
		with["host"] = "no host \x00"
		f(d, with)
	}
	for d, dsns := range map[*dialect][]string{
		postgresDialect: {
			"postgres://weir:" + escaped + "@127.0.0.1:1/d?sslmode=disable", "postgres://weir:" + canary + "@127.0.0.1:x/d", "postgres://weir:" + escaped + "@127.0.0.1:1/d?sslmode=" + escaped,
			"host=127.0.0.1 port=1 password='CANARY' sslmode=disable", "host=127.0.0.1 port=x password=CANARY", "host=127.0.0.1 password = 'CANARY", "password=CANARY=x y",
			"postgres://CANARY:CANARY@[::1/d",
		},
		mysqlDialect: {
			"mysql://weir:" + escaped + "@127.0.0.1:1/d", "mysql://weir:" + canary + "@127.0.0.1:x/d", "mysql://weir:" + escaped + "@127.0.0.1:1/d?tls=" + escaped,
			"weir:CANARY@tcp(127.0.0.1:1)/d", "weir:CANARY@tcp(127.0.0.1:1/d", "weir:CANARY@127.0.0.1/d?x=%zz", "weir:CANARY@strange(127.0.0.1:1)/d", "weir:CANARY",
		},
		sqlserverDialect: {
			"sqlserver://weir:" + escaped + "@127.0.0.1:1?database=d&encrypt=disable", "sqlserver://weir:" + canary + "@127.0.0.1:x", "server=127.0.0.1;port=1;user id=weir;password=CANARY;encrypt=disable",
			"Server=127.0.0.1;Port=x;User Id=weir;Password=CANARY", "odbc:server=127.0.0.1;port=1;uid=weir;pwd={CANARY", "Password=CANARY", "server=127.0.0.1;port=1;password=CANARY;encrypt=CANARY",
		},
	} {
		for _, dsn := range dsns {
			f(d, map[string]any{"dsn": secret(dsn)})
		}
	}
}

func TestPasswordIn(t *testing.T) {
	f := func(dsn string, want ...string) {
		t.Helper()
		got := passwordIn(dsn)
		for _, w := range want {
			found := false
			for _, g := range got {
				found = found || g == w
			}
			if !found {
				t.Errorf("%s: %q has no %q", dsn, got, w)
			}
		}
		if len(want) == 0 && len(got) != 0 {
			t.Errorf("%s: %q", dsn, got)
		}
	}
	f("")
	f("postgres://h/d")
	f("postgres://u:p%40ss@h/d", "p%40ss", "p@ss")
	f("mysql://u:p@ss@h/d", "p@ss", "p")
	f("u:secret@tcp(h:1)/d", "secret")
	f("host=h password = 'a b' x=1", "a b")
	f("Server=h;PWD={a;b};x=1", "a;b")
	f("server=h;Password=abc;x=1", "abc")
	f("password=abc", "abc")
}
