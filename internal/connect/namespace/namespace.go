// Package namespace is how a namespace of Azure's messaging is reached, Event Hubs and Service
// Bus alike: the settings for it, and what they come to. It opens nothing.
package namespace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/coder/websocket"

	"weir/internal/connect"
	"weir/internal/hub/sas"
)

// The ways to sign in, and to connect.
const (
	signInKey   = "key"
	signInEntra = "entra"

	transportAMQP       = "amqp"
	transportWebSockets = "websockets"
)

// Fields are the settings that Read reads; a connector adds them to its own.
func Fields() []connect.Field {
	return []connect.Field{
		{Name: "connection_string", Type: connect.Secret,
			Doc: "The connection string as Azure's portal shows it, with `EntityPath` or without, and with `UseDevelopmentEmulator=true` for emulators. It takes the place of `namespace`, `key_name` and `key`."},
		{Name: "namespace", Type: connect.Text,
			Doc: "The namespace: `shop`, which is `shop.servicebus.windows.net`, or a whole host name, with a port if it is not the usual one."},
		{Name: "key_name", Type: connect.Text, Doc: "The name of the shared access policy whose key it is."},
		{Name: "key", Type: connect.Secret, Doc: "The key of the policy."},
		{Name: "sign_in", Type: connect.Enum, Values: []string{signInKey, signInEntra}, Default: signInKey,
			Doc: "`key`: with the key or the connection string. `entra`: as Microsoft Entra knows this process, in the order of its SDKs: the variables `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, a workload or managed identity, or the user of its command line."},
		{Name: "transport", Type: connect.Enum, Values: []string{transportAMQP, transportWebSockets}, Default: transportAMQP,
			Doc: "`amqp`: AMQP, port 5671. `websockets`: AMQP in WebSockets, port 443, for networks that let nothing else out."},
		{Name: "tls_ca", Type: connect.Path,
			Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it: that of `weir hub certs`."},
	}
}

// Reach is how a namespace is reached.
type Reach struct {
	Host string // with a port if it is not the usual one
	// String is a connection string without an entity; "" with Entra.
	String string
	Entity string // of the connection string; "" if it has none
	Entra  bool
	// Plain: no TLS, as emulators have it.
	Plain     bool
	WebSocket bool

	ca      string
	secrets []string
}

// Read makes a Reach of settings. The problems show no secret.
func Read(c connect.Config) (*Reach, []connect.Problem) {
	var bad []connect.Problem
	add := func(field, text, hint string) {
		bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	r := &Reach{Entra: c.Text("sign_in") == signInEntra, WebSocket: c.Text("transport") == transportWebSockets, ca: c.Text("tls_ca")}
	text, host, key := c.Secret("connection_string").Expose(), c.Text("namespace"), c.Secret("key").Expose()
	r.hide(text, key)
	switch {
	case text != "" && (host != "" || key != "" || c.Text("key_name") != ""):
		add("connection_string", "the connection string says where to go and who we are, and so do namespace, key_name and key", "give the one or the others")
	case text != "" && r.Entra:
		add("sign_in", "a connection string has a key, and Entra needs none", "write namespace: NAME in its place, or remove sign_in")
	case text != "":
		if p := r.parse(text); p != nil {
			bad = append(bad, *p)
		}
	case host == "":
		add("namespace", "nothing says which namespace it is", "write connection_string: ${env:NAME}, or namespace: NAME with key_name and key")
	case strings.ContainsAny(host, "/;=?#@ "):
		add("namespace", fmt.Sprintf("%q is no name of a namespace", host), "write the name alone, or its host: shop.servicebus.windows.net")
	case !r.Entra && (c.Text("key_name") == "" || key == ""):
		add("key", "there is no key to sign in with", "give key_name and key, a connection_string, or sign_in: entra")
	case r.Entra && (c.Text("key_name") != "" || key != ""):
		add("sign_in", "Entra needs no key", "remove key_name and key, or sign_in")
	default:
		if r.Host = host; !strings.ContainsAny(host, ".:") && host != "localhost" {
			r.Host += ".servicebus.windows.net"
		}
		if !r.Entra {
			r.String = sas.ConnectionString{Host: r.Host, KeyName: c.Text("key_name"), Key: key}.Build()
			r.hide(r.String)
		}
	}
	if r.Plain && r.WebSocket {
		add("transport", "WebSockets go over TLS, and UseDevelopmentEmulator is without", "remove the one or the other")
	}
	return r, bad
}

// parse reads a connection string.
func (r *Reach) parse(text string) *connect.Problem {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "hostname=") {
		return &connect.Problem{Field: "connection_string", Text: "this is the connection string of an IoT Hub itself",
			Hint: "take the one of its endpoint that is compatible with Event Hubs: in the portal under Built-in endpoints, beginning with Endpoint=sb://"}
	}
	s, err := sas.ParseConnectionString(text)
	if err != nil {
		return &connect.Problem{Field: "connection_string", Text: err.Error(), Hint: "copy it from the portal, under Shared access policies"}
	}
	r.Host, r.Entity, r.Plain = s.Host, s.Entity, s.Development
	s.Entity = ""
	r.String = s.Build()
	r.hide(s.Key, s.Token, r.String)
	return nil
}

// TLS is the configuration of TLS; nil is the system's.
func (r *Reach) TLS() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = ""
	}
	if r.Plain || r.ca == "" && host == "" {
		return nil, nil
	}
	// Without it the clients compare the certificate with the host and its port.
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if r.ca == "" {
		return c, nil
	}
	pem, err := os.ReadFile(r.ca)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca: %s has no certificate in PEM", r.ca)
	}
	return c, nil
}

// Credential signs in with Entra.
func (r *Reach) Credential() (*azidentity.DefaultAzureCredential, error) {
	return azidentity.NewDefaultAzureCredential(nil)
}

// Dial makes connections of AMQP in WebSockets to a URL; nil if they go another way.
func (r *Reach) Dial(config *tls.Config) func(ctx context.Context, url string) (net.Conn, error) {
	if !r.WebSocket {
		return nil
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}
	return func(ctx context.Context, url string) (net.Conn, error) {
		c, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"amqp"}, HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
				return nil, fmt.Errorf("%s answered %s to a WebSocket", r.Host, resp.Status)
			}
			return nil, err
		}
		c.SetReadLimit(-1) // AMQP has frames of its own
		return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
	}
}
