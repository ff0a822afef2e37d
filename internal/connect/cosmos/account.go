package cosmos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/connect"
)

const (
	// requestTimeout is how long one request may take.
	requestTimeout = 60 * time.Second
	connectTimeout = 5 * time.Second
)

// container is a container of an account that was reached.
type container struct {
	*azcosmos.ContainerClient
	client    *azcosmos.Client
	transport *http.Transport
	where     string // for people: "container teams of database shop at https://..."
	rid       string // of the service's own: another one is another container
	// keys are the paths of the partition key: "/TeamId".
	keys  []string
	clean *strings.Replacer // takes the secrets out of errors
}

// dial reaches a container and reads what it is. Its client is new: one that could not read the
// account answers with the same error for five minutes.
func dial(ctx context.Context, c connect.Config, conns int) (*container, error) {
	out, err := reach(c, conns)
	if err != nil {
		return nil, err
	}
	r, err := out.Read(ctx, nil)
	if err == nil && r.ContainerProperties == nil {
		err = errors.New("the answer has no properties of the container")
	}
	if err != nil {
		return nil, errors.Join(out.startError(err), out.Close())
	}
	out.rid, out.keys = r.ContainerProperties.ResourceID, r.ContainerProperties.PartitionKeyDefinition.Paths
	return out, nil
}

// reach makes a client of the library for a container, which it does not ask for yet.
func reach(c connect.Config, conns int) (*container, error) {
	a, bad := addressOf(c)
	if len(bad) > 0 {
		return nil, connect.Permanent(fmt.Errorf("%s; %s", bad[0].Text, bad[0].Hint))
	}
	t, err := newTransport(c.Text("tls_ca"), conns)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	o := &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: t, Timeout: requestTimeout},
		// Who calls knows what to repeat and for how long.
		Retry:           policy.RetryOptions{MaxRetries: -1},
		PerCallPolicies: []policy.Policy{plainHeaders{}},
		Telemetry:       policy.TelemetryOptions{ApplicationID: "weir"},
	}}
	out := &container{transport: t, where: fmt.Sprintf("container %s of database %s at %s", c.Text("container"), c.Text("database"), strings.TrimSuffix(a.endpoint, "/"))}
	secrets := []string{}
	for _, s := range []string{c.Secret("connection_string").Expose(), c.Secret("key").Expose(), a.key} {
		if len(s) > 3 {
			secrets = append(secrets, s, "***")
		}
	}
	out.clean = strings.NewReplacer(secrets...)
	if out.client, err = newClient(a, o); err != nil {
		return nil, connect.Permanent(fmt.Errorf("%s: %s", out.where, out.clean.Replace(err.Error())))
	}
	if out.ContainerClient, err = out.client.NewContainer(c.Text("database"), c.Text("container")); err != nil {
		return nil, errors.Join(connect.Permanent(err), out.Close())
	}
	return out, nil
}

// newClient makes a client of the library; it does not reach for the account yet.
func newClient(a address, o *azcosmos.ClientOptions) (*azcosmos.Client, error) {
	if a.key == "" {
		cred, err := azidentity.NewDefaultAzureCredential(nil)
		if err != nil {
			return nil, err
		}
		return azcosmos.NewClient(a.endpoint, cred, o)
	}
	cred, err := azcosmos.NewKeyCredential(a.key)
	if err != nil {
		return nil, err
	}
	return azcosmos.NewClientWithKey(a.endpoint, cred, o)
}

// newTransport makes connections to an account, as the library's own does.
func newTransport(ca string, conns int) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if ca == "" {
		return t, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca: %s has no certificate in PEM", ca)
	}
	return t, nil
}

// Close frees the connections.
func (c *container) Close() error {
	c.client.Close()
	c.transport.CloseIdleConnections()
	return nil
}

// plainHeaders repairs two headers of the library: text in a partition key is quoted as Go does
// it, which is no JSON for control characters and for characters beyond 16 bits; and times are
// given in "UTC", where HTTP knows "GMT" only.
type plainHeaders struct{}

const (
	partitionKeyHeader = "X-Ms-Documentdb-Partitionkey"
	sinceHeader        = "If-Modified-Since"
)

// Do implements policy.Policy.
func (plainHeaders) Do(r *policy.Request) (*http.Response, error) {
	h := r.Raw().Header
	if v := h.Get(partitionKeyHeader); strings.Contains(v, `\`) {
		if text, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")); err == nil {
			h.Set(partitionKeyHeader, "["+asciiJSON(text)+"]")
		}
	}
	if v, ok := strings.CutSuffix(h.Get(sinceHeader), " UTC"); ok {
		h.Set(sinceHeader, v+" GMT")
	}
	return r.Next()
}

// asciiJSON is a text in JSON, with nothing but ASCII: headers hold nothing else.
func asciiJSON(s string) string {
	b := []byte{'"'}
	for _, u := range utf16.Encode([]rune(s)) {
		switch {
		case u == '"' || u == '\\':
			b = append(b, '\\', byte(u))
		case u >= ' ' && u < 0x7f:
			b = append(b, byte(u))
		default:
			b = fmt.Appendf(b, `\u%04x`, u)
		}
	}
	return string(append(b, '"'))
}
