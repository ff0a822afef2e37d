package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/service"
	"weir/internal/web"
)

// operated is a service with the job "flow": events of a file go through the step "evens" to
// the output "rows".
type operated struct {
	t   *testing.T
	svc *service.Service
	url string
	dir string
	ctx context.Context
	n   int
}

func operate(t *testing.T) *operated {
	t.Helper()
	fs, err := disk.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	svc, err := service.Open(service.Options{FS: fs, Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	svc.Resume()
	server := httptest.NewServer(web.New(svc, web.Options{}).Handler())
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	o := &operated{t: t, svc: svc, url: server.URL, dir: t.TempDir(), ctx: ctx}
	o.write("in.jsonl", "")
	o.write("weir.yaml", `version: 1
job:
  name: flow
  query: |
    WITH evens AS (SELECT n, name FROM events WHERE n % 2 = 0)
    SELECT n, name INTO rows FROM evens
inputs:
  events: {type: file, path: in.jsonl}
outputs:
  rows: {type: file, path: rows.jsonl}
`)
	if _, err := svc.Deploy(ctx, "flow", service.Deployment{Path: o.dir, By: "test", Start: true, StartOptions: service.StartOptions{From: job.StartBeginning}}); err != nil {
		t.Fatal(err)
	}
	o.until("the job runs", func() bool { return o.state() == job.Running })
	return o
}

func (o *operated) state() job.State {
	v, err := o.svc.Job("flow")
	if err != nil {
		o.t.Fatal(err)
	}
	return v.State
}

// write appends to a file of the job.
func (o *operated) write(name, text string) {
	o.t.Helper()
	f, err := os.OpenFile(filepath.Join(o.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		o.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		o.t.Fatal(err)
	}
}

// events adds some events.
func (o *operated) events(n int) {
	o.t.Helper()
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, `{"n":%d,"name":"東京"}`+"\n", o.n)
		o.n++
	}
	o.write("in.jsonl", b.String())
}

// until waits for something.
func (o *operated) until(what string, f func() bool) {
	o.t.Helper()
	for !f() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-o.ctx.Done():
			o.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// typed is a verb that runs in the background.
type typed struct {
	*operated
	out, err *textOf
	cancel   context.CancelFunc
	done     chan int
}

// textOf is what was written so far.
type textOf struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *textOf) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *textOf) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start types a verb.
func (o *operated) start(tty bool, args ...string) *typed {
	ctx, cancel := context.WithCancel(o.ctx)
	v := &typed{o, &textOf{}, &textOf{}, cancel, make(chan int, 1)}
	con := &console{in: strings.NewReader(""), out: v.out, err: v.err, width: 80, outTTY: tty}
	go func() { v.done <- run(ctx, append(args, "--server", o.url), con) }()
	o.t.Cleanup(cancel)
	return v
}

// end waits for the end of a verb and gives its status.
func (v *typed) end() int {
	v.t.Helper()
	select {
	case code := <-v.done:
		return code
	case <-v.ctx.Done():
		v.t.Fatalf("it does not end\n%s%s", v.out, v.err)
	}
	return -1
}

// until adds events until f holds.
func (v *typed) until(what string, f func() bool) {
	v.t.Helper()
	v.operated.until(what, func() bool {
		if f() {
			return true
		}
		v.events(2)
		return false
	})
}

// run types a verb and waits for its end, which has to have the status want.
func (o *operated) run(want int, args ...string) (out, said string) {
	o.t.Helper()
	v := o.start(false, args...)
	if code := v.end(); code != want {
		o.t.Errorf("%v ends with %d\n%s%s", args, code, v.out, v.err)
	}
	return v.out.String(), v.err.String()
}

// serviceStart goes on where the job was.
var serviceStart = service.StartOptions{}
