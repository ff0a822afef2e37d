// Package http takes events that are posted to us and posts rows to others.
//
// # Input
//
// An input is a path of a listener. What is posted there lands in a log (hub/log) in the
// state directory of the input, and the answer comes when it is durable: from then on a
// crash of ours loses nothing. The log is the source that the job reads, so positions,
// replay and start times work as for any other source.
//
// A client that hears no answer does not know whether its events were taken. It posts them
// again with the same Idempotency-Key: the key lies in the log with the events, so they
// count once, also across our restarts.
//
// # Output
//
// Rows of an epoch are posted in requests whose bodies and keys are a function of the epoch
// alone. They are sent when the epoch is decided (Prepare), in their order. What was sent
// and not remembered is sent again after a crash with the same Idempotency-Key.
package http

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"weir/internal/connect"
)

// The limits that no setting changes.
const (
	// MaxRequestEvents is how many events one request may hold.
	MaxRequestEvents = 100_000
	// MaxIntake is how many bytes of requests an input holds in memory, in all; further
	// ones are told to come again.
	MaxIntake = 256 << 20
	// MaxKeys is how many idempotency keys an input remembers; the oldest go first.
	MaxKeys = 100_000
	// MaxKeyBytes is the length of an idempotency key.
	MaxKeyBytes = 256
	// MaxConnections is how many connections a listener has at a time; others wait.
	MaxConnections = 2048
	maxHeaderBytes = 16 << 10
	headerTimeout  = 5 * time.Second
	idleTimeout    = 2 * time.Minute
	// shutdownTimeout is how long requests are waited for when the last input of a listener
	// is closed.
	shutdownTimeout = 10 * time.Second
)

var spec = &connect.Spec{
	Name:    "http",
	Summary: "Takes events that are posted to us; posts rows to others.",
	Source:  openSource,
	Sink:    openSink,
	In:      "exactly once: an event that was answered with 202 is in the log; a retry with the same Idempotency-Key counts once",
	Out:     "at least once, with an idempotency key",
	Check:   check,
	Probe:   probe,
	Example: `type: http
url: https://example.com/rows
token: ${env:ROWS_TOKEN}
`,
	Fields: []connect.Field{
		{Name: "listen", Type: connect.Text, Default: "127.0.0.1:8085", Input: true,
			Doc: "Address and port to listen on; inputs with different paths may share it. Other than loopback needs a token. `none`: no listener of its own."},
		{Name: "path", Type: connect.Text, Default: "/events", Input: true, Doc: "The path that events are posted to."},
		{Name: "token", Type: connect.Secret,
			Doc: "The secret of `Authorization: Bearer`, which clients must send to an input, and an output sends."},
		{Name: "tls_cert", Type: connect.Path, Input: true, Doc: "TLS certificate chain, PEM."},
		{Name: "tls_key", Type: connect.Path, Input: true, Doc: "Private key of the certificate, PEM."},
		{Name: "max_body", Type: connect.Size, Default: "4MiB", Input: true,
			Doc: "The largest request, packed and unpacked; larger ones are answered with 413."},
		{Name: "read_timeout", Type: connect.Duration, Default: "30s", Input: true, Doc: "How long a request may take to arrive."},
		{Name: "lenient", Type: connect.Bool, Default: "false", Input: true,
			Doc: "Take requests that are no JSON too: each line becomes an event, and what cannot be read a dead letter. Without it they are answered with 400, and nothing of them is kept."},
		{Name: "retention", Type: connect.Duration, Default: "10m", Input: true,
			Doc: "How long events are kept after the job is done with them, and idempotency keys are remembered, as far as max_log allows."},
		{Name: "max_log", Type: connect.Size, Default: "4GiB", Input: true,
			Doc: "How much may wait to be read; beyond it requests are answered with 503."},
		{Name: "fsync", Type: connect.Enum, Values: []string{"always", "interval", "none"}, Default: "always", Input: true,
			Doc: "`always`: events are on the disk when the answer comes. `interval`: a loss of power may take the last 200 ms of answered events. `none`: it may take all that the system had not written yet."},

		{Name: "url", Type: connect.Text, Required: true, Output: true, Doc: "Where rows are posted."},
		{Name: "method", Type: connect.Enum, Values: []string{"POST", "PUT", "PATCH"}, Default: "POST", Output: true, Doc: "The method of requests."},
		{Name: "headers", Type: connect.Map, Output: true, Doc: "Further headers; they are not shown anywhere."},
		{Name: "api_key", Type: connect.Secret, Output: true, Doc: "A secret that is sent in the header that api_key_header names."},
		{Name: "api_key_header", Type: connect.Text, Default: "x-functions-key", Output: true, Doc: "The header of api_key."},
		{Name: "body", Type: connect.Enum, Values: []string{"array", "lines", "single"}, Default: "array", Output: true,
			Doc: "`array`: a JSON array of rows. `lines`: a row a line. `single`: one row a request."},
		{Name: "batch_rows", Type: connect.Int, Default: "100", Output: true, Doc: "The most rows of a request."},
		{Name: "batch_bytes", Type: connect.Size, Default: "256KiB", Output: true, Doc: "The largest body of a request of several rows."},
		{Name: "timeout", Type: connect.Duration, Default: "30s", Output: true, Doc: "How long a request may take."},
		{Name: "attempts", Type: connect.Int, Default: "4", Output: true,
			Doc: "How often a request is tried before the job counts as degraded; it is tried until it succeeds all the same."},
		{Name: "egress", Type: connect.Enum, Values: []string{"any", "public"}, Default: "any", Output: true,
			Doc: "`public`: connect to public addresses only, never to loopback, private or link-local ones."},
	},
}

func init() { connect.Register(spec) }

// check finds what single fields cannot tell.
func check(c connect.Config, input bool) []connect.Problem {
	if input {
		return checkInput(c)
	}
	return checkOutput(c)
}

func checkInput(c connect.Config) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	if listen := c.Text("listen"); listen != NoListener {
		host, port, err := net.SplitHostPort(listen)
		switch {
		case err != nil || port == "":
			add("listen", fmt.Sprintf("%q is no address with a port", listen), "write listen: 127.0.0.1:8085")
		case !isLoopback(host) && c.Secret("token").Expose() == "":
			add("listen", fmt.Sprintf("%q can be reached by others, and there is no token", listen), "write token: ${env:NAME}, or listen on 127.0.0.1")
		}
	}
	if p := c.Text("path"); !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?#{} \t") {
		add("path", fmt.Sprintf("%q is no path", p), "write path: /events")
	}
	if (c.Text("tls_cert") == "") != (c.Text("tls_key") == "") {
		add("tls_cert", "tls_cert and tls_key go together", "give both, or none for plain HTTP")
	}
	atLeast := func(field string, least int64, hint string) {
		if c.Int(field) < least {
			add(field, fmt.Sprintf("%q is too small", field), hint)
		}
	}
	atLeast("max_body", 1<<10, "the least is 1KiB")
	if c.Int("max_body") > 64<<20 {
		add("max_body", "\"max_body\" is too large", "the most is 64MiB; post more requests")
	}
	atLeast("max_log", max(1<<20, 4*c.Int("max_body")), "the least is 1MiB, and four times max_body")
	if c.Duration("read_timeout") <= 0 {
		add("read_timeout", "\"read_timeout\" must be more than 0", "write read_timeout: 30s")
	}
	return out
}

func checkOutput(c connect.Config) []connect.Problem {
	var out []connect.Problem
	add := func(field, text, hint string) {
		out = append(out, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	u, err := url.Parse(c.Text("url"))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		add("url", "\"url\" is no http or https address", "write url: https://HOST/PATH") // not quoted: it may hold a secret
	case u.User != nil:
		add("url", "\"url\" holds a user or a password", "give a token, or an api_key, instead: they are not shown")
	}
	for name := range c.Map("headers") {
		if !isHeaderName(name) {
			add("headers", fmt.Sprintf("%q is no name of a header", name), "letters, digits and -")
		} else if reserved[strings.ToLower(name)] {
			add("headers", fmt.Sprintf("the header %q is set by the output", name), "remove it")
		}
	}
	if h := c.Text("api_key_header"); !isHeaderName(h) || reserved[strings.ToLower(h)] {
		add("api_key_header", fmt.Sprintf("%q is no name of a header that can be set", h), "write api_key_header: x-api-key")
	}
	for _, f := range []string{"batch_rows", "batch_bytes", "attempts"} {
		if c.Int(f) < 1 {
			add(f, fmt.Sprintf("%q must be at least 1", f), "remove it: there is a default")
		}
	}
	if c.Duration("timeout") <= 0 {
		add("timeout", "\"timeout\" must be more than 0", "write timeout: 30s")
	}
	return out
}

// reserved are headers of an output that its settings cannot set.
var reserved = map[string]bool{"idempotency-key": true, "weir-epoch": true, "content-length": true, "content-type": true,
	"transfer-encoding": true, "host": true, "connection": true}

func isHeaderName(s string) bool {
	for _, c := range s {
		if !(c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// isLoopback reports whether a host of an address reaches this machine only.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
