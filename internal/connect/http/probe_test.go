package http

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/internal/connect"
)

func TestProbe(t *testing.T) {
	f := func(input bool, setting, value, want string) {
		t.Helper()
		got := ""
		for _, p := range spec.Probe(context.Background(), connect.Config{Values: map[string]any{setting: value}}, connect.ProbeEnv{Input: input}) {
			got += p.Field + ": " + p.Text + " | " + p.Hint
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s finds %q, want %q", value, got, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().String()
	f(true, "listen", taken, "another program listens there, or this job runs already")
	f(true, "listen", "192.0.2.1:80", "listen: 192.0.2.1:80 cannot be listened on: ")
	l.Close()
	f(true, "listen", taken, "")
	f(true, "listen", taken, "")
	f(true, "listen", NoListener, "")
	f(false, "url", "http://"+taken+"/x", "url: "+taken+" is not reached: ")
	f(false, "url", "http://no-such-host.invalid/x", "there is no such name")
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	f(false, "url", s.URL+"/x", "the certificate of the server has to be one that this system trusts")
	p := httptest.NewServer(nil)
	defer p.Close()
	f(false, "url", p.URL+"/x", "")
}
