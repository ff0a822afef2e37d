package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

// eventHubFlags say which event hub a verb talks to: one of Weir or of Azure, over AMQP.
type eventHubFlags struct {
	serverFlags `embed:""`
	Hub         string `arg:"" placeholder:"HUB" help:"The event hub: NAME, hub/NAME, or sb://HOST:PORT/NAME."`
	Connection  string `placeholder:"FILE" help:"A file with the connection string. Or put the string into $$WEIR_CONNECTION. Without it the service gives its own (--server)."`
	Websocket   bool   `help:"Go by WebSockets, port 443."`
	CA          string `name:"ca" placeholder:"FILE" help:"Also trust the certificates in FILE (PEM)."`
}

// connectionVariable has a connection string.
const connectionVariable = "WEIR_CONNECTION"

// sdkRetries are the tries of the SDK: what does not answer is told within seconds.
var sdkRetries = azeventhubs.RetryOptions{MaxRetries: 3, RetryDelay: 300 * time.Millisecond, MaxRetryDelay: 2 * time.Second}

// eventHub is an event hub and how to get there.
type eventHub struct {
	connection string // a secret
	name       string
	tls        *tls.Config
	dial       func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error)
	local      bool // the service gave the connection string
}

// eventHub finds the event hub. right is what is wanted of it: "send" or "listen".
func (f *eventHubFlags) eventHub(ctx context.Context, right string) (*eventHub, error) {
	h := &eventHub{}
	endpoint, name, err := hubName(f.Hub)
	if err != nil {
		return nil, err
	}
	h.name = name
	if h.connection, err = f.connectionString(); err != nil {
		return nil, err
	}
	if h.connection == "" {
		if endpoint != "" {
			return nil, usage("%s needs a key: put the connection string into $%s or into a file that --connection names", f.Hub, connectionVariable)
		}
		if h.connection, err = f.serviceConnection(ctx, name, right); err != nil {
			return nil, err
		}
		h.local = true
	}
	if err := h.complete(endpoint); err != nil {
		return nil, err
	}
	if f.CA != "" {
		if err := h.trust(f.CA); err != nil {
			return nil, err
		}
	}
	if f.Websocket {
		h.dial = h.dialWebSocket
	}
	return h, nil
}

// hubName reads the HUB of a command line.
func hubName(s string) (endpoint, name string, err error) {
	if strings.HasPrefix(strings.ToLower(s), "endpoint=") {
		return "", "", usage("a connection string holds a key, and others see command lines: put it into $%s, or into a file that --connection names", connectionVariable)
	}
	if !strings.Contains(s, "://") {
		name = strings.TrimPrefix(s, "hub/")
		if name == "" || strings.ContainsAny(name, "/;=") {
			return "", "", usage("%q is no name of an event hub", s)
		}
		return "", name, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return "", "", usage("HUB is no address; write sb://HOST:PORT/NAME, without a key in it")
	}
	switch u.Scheme {
	case "sb", "amqp", "amqps":
	default:
		return "", "", usage("%q: an event hub is at sb://HOST:PORT/NAME; %s is not known", s, u.Scheme)
	}
	name = strings.Trim(u.Path, "/")
	if name == "" || strings.Contains(name, "/") {
		return "", "", usage("%q names no event hub; write sb://%s/NAME", s, u.Host)
	}
	return "sb://" + u.Host + "/", name, nil
}

// connectionString is that of the file or the environment, "" if there is none.
func (f *eventHubFlags) connectionString() (string, error) {
	text, where := os.Getenv(connectionVariable), "$"+connectionVariable
	if f.Connection != "" {
		b, err := os.ReadFile(f.Connection)
		if err != nil {
			return "", usage("--connection: %w", err)
		}
		text, where = string(b), f.Connection
	}
	text = strings.TrimSpace(text)
	if text == "" && f.Connection == "" {
		return "", nil
	}
	if _, err := azeventhubs.ParseConnectionString(text); err != nil { // its words may hold the key
		return "", usage("%s holds no connection string of an event hub: Endpoint=sb://HOST/;SharedAccessKeyName=NAME;SharedAccessKey=KEY", where)
	}
	return text, nil
}

// complete brings the connection string and the name together.
func (h *eventHub) complete(endpoint string) error {
	p, err := azeventhubs.ParseConnectionString(h.connection)
	if err != nil {
		return errors.New("the connection string that the service gave cannot be read")
	}
	if p.EntityPath != nil && *p.EntityPath != "" && !strings.EqualFold(*p.EntityPath, h.name) {
		return usage("the connection string is for the event hub %q, not for %q", *p.EntityPath, h.name)
	}
	var parts []string
	for _, part := range strings.Split(h.connection, ";") {
		key, _, _ := strings.Cut(part, "=")
		switch key = strings.ToLower(strings.TrimSpace(key)); {
		case key == "entitypath", key == "":
			continue
		case key == "endpoint" && endpoint != "":
			part = "Endpoint=" + endpoint
		}
		parts = append(parts, part)
	}
	h.connection = strings.Join(parts, ";")
	h.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if p, err = azeventhubs.ParseConnectionString(h.connection); err != nil {
		return usage("%s is no address of an event hub", endpoint)
	}
	// The SDK takes a port for a part of the name that the certificate must have.
	if host, _, err := net.SplitHostPort(p.FullyQualifiedNamespace); err == nil {
		h.tls.ServerName = host
	}
	return nil
}

// serviceKeys are the keys of a hub as the service gives them, as far as they are of concern.
type serviceKeys struct {
	Keys []struct {
		Name    string   `json:"name"`
		Rights  []string `json:"rights"`
		Connect []struct {
			Settings string `json:"settings"`
		} `json:"connect"`
	} `json:"keys"`
}

// serviceConnection asks the service for a connection string: one without TLS if the hub is on
// this machine.
func (f *eventHubFlags) serviceConnection(ctx context.Context, name, right string) (string, error) {
	api, err := f.client()
	if err != nil {
		return "", err
	}
	var list serviceKeys
	if err := api.do(ctx, http.MethodGet, apiPath("hubs", name, "keys"), nil, &list); err != nil {
		return "", err
	}
	found := ""
	for _, k := range list.Keys {
		if !slices.ContainsFunc(k.Rights, func(r string) bool { return strings.EqualFold(r, right) || strings.EqualFold(r, "Manage") }) {
			continue
		}
		for _, c := range k.Connect {
			plain := strings.Contains(c.Settings, ";UseDevelopmentEmulator=true")
			if _, err := azeventhubs.ParseConnectionString(c.Settings); err == nil && (found == "" || plain) {
				if found = c.Settings; plain {
					return found, nil
				}
			}
		}
	}
	if found == "" {
		return "", usage("the event hub %q has no key with the right to %s that AMQP clients can use; \"weir hub keys %[1]s\" shows them", name, right)
	}
	return found, nil
}

// trust has the certificates of a file count beside the system's.
func (h *eventHub) trust(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return usage("--ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(b) {
		return usage("--ca: %s has no certificate in PEM", file)
	}
	h.tls.RootCAs = pool
	return nil
}

// dialWebSocket connects by WebSockets.
func (h *eventHub) dialWebSocket(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error) {
	o := &websocket.DialOptions{Subprotocols: []string{"amqp"}, HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: h.tls, Proxy: http.ProxyFromEnvironment}}}
	c, _, err := websocket.Dial(ctx, params.Host, o)
	if err != nil {
		return nil, err
	}
	return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
}

// failure is an error of the event hub for people, without what the SDK says of its inside.
func (h *eventHub) failure(what string, err error) error {
	code := exitRuntime
	var known *azeventhubs.Error
	text := firstLine(err.Error())
	said := described.FindStringSubmatch(text)
	if said != nil {
		text = said[1]
	}
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeUnauthorizedAccess:
		code = exitUsage
		if said == nil {
			text = "the key is not taken, or does not give the right"
		}
	case errors.As(err, &unknown):
		code = exitUsage
		text = "the certificate is of an authority that this machine does not trust; --ca FILE trusts the one of \"weir hub certs\""
	case errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeConnectionLost:
		code = exitAway
	case errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeOwnershipLost:
		text = "another receiver has taken the partition over"
	case isRefused(err):
		code = exitAway
	}
	if m := rpcFailed.FindStringSubmatch(text); m != nil { // $cbs and $management answer in their own way
		if text = m[2]; m[1] == "401" || m[1] == "404" {
			code = exitUsage
		}
	}
	return &exitError{code, fmt.Errorf("%s %s: %s", what, h.name, text)}
}

// described is the description in the text of an error of AMQP; what the SDK makes of one does
// not always unwrap to it.
var described = regexp.MustCompile(`Description: (.+), Info: map\[`)

var rpcFailed = regexp.MustCompile(`status code (\d+) and description: (.*)$`)

func isRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// firstLine is a text up to its first line end.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
