package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"weir/internal/connect"
)

// probe asks whether the address of an input is free, or whether the server of an output is
// reached, with TLS if it has that. Nothing is posted.
func probe(ctx context.Context, c connect.Config, env connect.ProbeEnv) []connect.Problem {
	if env.Input {
		return probeListen(ctx, c.Text("listen"))
	}
	u, err := url.Parse(c.Text("url"))
	if err != nil || u.Host == "" {
		return []connect.Problem{{Field: "url", Text: "it is no URL"}}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	var dialer net.Dialer
	if c.Text("egress") == "public" {
		dialer.Control = onlyPublic
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		var dns *net.DNSError
		hint := "does the server run, and does a firewall let us through?"
		if errors.As(err, &dns) {
			hint = "there is no such name: check the host of the URL"
		}
		return []connect.Problem{{Field: "url", Text: fmt.Sprintf("%s is not reached: %v", address, err), Hint: hint}}
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	t := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := t.HandshakeContext(ctx); err != nil {
		return []connect.Problem{{Field: "url", Text: fmt.Sprintf("%s: %v", address, err), Hint: "the certificate of the server has to be one that this system trusts"}}
	}
	return nil
}

// probeListen tries an address and lets it go again.
func probeListen(ctx context.Context, address string) []connect.Problem {
	if address == NoListener || address == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		l.Close()
		return nil
	}
	hint := "listen on an address of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program listens there, or this job runs already: take another port, or stop that one"
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 need rights: take a higher one"
	}
	return []connect.Problem{{Field: "listen", Text: fmt.Sprintf("%s cannot be listened on: %v", address, err), Hint: hint}}
}
