package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/web"
)

func TestBodiesOfManyValues(t *testing.T) {
	s := open(t, web.Options{})
	f := func(status int, body string) web.Problem {
		t.Helper()
		var p web.Problem
		began := time.Now()
		s.want(status, &p, "POST", "/api/v1/query:check", body)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if len(p.Errors) > 20 {
			t.Errorf("%d errors", len(p.Errors))
		}
		for _, e := range p.Errors {
			if len(e.Message)+len(e.Location) > 1000 {
				t.Errorf("an error of %d bytes", len(e.Message)+len(e.Location))
			}
		}
		return p
	}
	f(413, `{"query":[`+strings.Repeat("[],", 3_000_000)+"1]}")
	f(413, `{"query":[`+strings.Repeat("{},", 20_000)+"1]}")
	f(422, `{"query":[`+strings.Repeat("{},", 5_000)+"1]}")
	var keys []string
	for i := range 15_000 {
		keys = append(keys, fmt.Sprintf(`"%x":"secret"`, i))
	}
	if p := f(422, "{"+strings.Join(keys, ",")+"}"); len(p.Errors) == 0 || strings.Contains(fmt.Sprint(p), "secret") {
		t.Errorf("%d errors, %.200v", len(p.Errors), p)
	}
	f(422, `{"`+strings.Repeat("x", 1<<20)+`":1}`)
	f(400, `{"query":`+strings.Repeat("1", 1<<20)+`}`)
	// What stands in texts counts once.
	f(200, `{"query":"SELECT a INTO o FROM i -- `+strings.Repeat(`,{[\\\"`, 30_000)+`"}`)
}

func TestBodiesTakeSoMuchMemory(t *testing.T) {
	s := open(t, web.Options{})
	text := strings.Repeat("a", 3<<20)
	for s.ctx.Err() == nil { // 4 MiB each, and none is complete
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST /api/v1/query:check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", len(text)+1, text); err != nil {
			break // it was refused
		}
		if status, head, body := s.ask("POST", "/api/v1/query:check", `{"query":"`+strings.Repeat(" ", 60<<10)+`"}`); status == http.StatusServiceUnavailable {
			if head.Get("Retry-After") == "" || !strings.Contains(body, "too many requests") {
				t.Errorf("%v %s", head, body)
			}
			break
		}
	}
	if s.ctx.Err() != nil {
		t.Error("all were taken")
	}
	s.want(200, nil, "GET", "/api/v1/jobs", nil) // what has no body has its place
}

func TestConnectionsHaveALimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = web.Limit(l, 2)
	served := make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })}
	go func() { served <- srv.Serve(l) }()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	get := func(c net.Conn) (string, error) {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		return bufio.NewReader(c).ReadString('\n')
	}
	a, b, c := dial(), dial(), dial()
	for _, x := range []net.Conn{a, b} {
		if line, err := get(x); err != nil || !strings.Contains(line, "204") {
			t.Errorf("%q, %v", line, err)
		}
	}
	got := make(chan string, 1)
	go func() { line, _ := get(c); got <- line }()
	select {
	case line := <-got:
		t.Errorf("the third was let in: %q", line)
	case <-time.After(50 * time.Millisecond):
	}
	a.Close()
	if line := <-got; !strings.Contains(line, "204") {
		t.Errorf("the third, once there was room: %q", line)
	}
	srv.Close()
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
}
