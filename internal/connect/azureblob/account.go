package azureblob

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"weir/internal/connect"
)

// The ways to sign in.
const (
	signInKey     = "key"
	signInEntra   = "entra"
	signInManaged = "managed_identity"
)

// development is what "UseDevelopmentStorage=true" stands for: the account of emulators, which
// every one of them has with this key.
const development = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"

// accountFields are the settings that say which container it is, and how to get in.
func accountFields() []connect.Field {
	return []connect.Field{
		{Name: "container", Type: connect.Text, Required: true, Doc: "The container; of Data Lake Storage, the file system."},
		{Name: "connection_string", Type: connect.Secret, Doc: "The connection string of the storage account as the portal shows it, with a key or a shared access signature, or `UseDevelopmentStorage=true`. It takes the place of `account`, `account_key` and `sas_token`."},
		{Name: "account", Type: connect.Text, Doc: "The name of the storage account."},
		{Name: "account_key", Type: connect.Secret, Doc: "A key of the account."},
		{Name: "sas_token", Type: connect.Secret, Doc: "A shared access signature of the account or the container. To read it needs the permissions read and list, to write also create, write and delete."},
		{Name: "sign_in", Type: connect.Enum, Values: []string{signInKey, signInEntra, signInManaged}, Default: signInKey,
			Doc: "`key`: with the connection string, the key or the signature. `entra`: as Microsoft Entra knows this process, in the order of its SDKs: the variables `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, a workload or managed identity, or the user of its command line. `managed_identity`: as the managed identity of this machine."},
		{Name: "client_id", Type: connect.Text, Doc: "With `managed_identity`: which one, if the machine has several."},
		{Name: "endpoint", Type: connect.Text, Doc: "Where the blobs of the account are, if not at `https://ACCOUNT.blob.core.windows.net`: another cloud, a private address or an emulator."},
		{Name: "tls_ca", Type: connect.Path, Doc: "A PEM file of the authority that signed the server's certificate, if the system does not know it."},
	}
}

// account is how a container is reached.
type account struct {
	url    string // of the container, without a signature
	name   string // of the account
	key    string
	sas    string
	signIn string
	client string
	ca     string
	scrub  scrubber
}

// readAccount makes an account of settings. The problems show no secret.
func readAccount(c connect.Config) (*account, []connect.Problem) {
	var bad []connect.Problem
	add := func(field, text, hint string) {
		bad = append(bad, connect.Problem{Field: field, Text: text, Hint: hint})
	}
	a := &account{name: c.Text("account"), key: c.Secret("account_key").Expose(), sas: strings.TrimPrefix(c.Secret("sas_token").Expose(), "?"),
		signIn: c.Text("sign_in"), client: c.Text("client_id"), ca: c.Text("tls_ca")}
	endpoint, text := c.Text("endpoint"), c.Secret("connection_string").Expose()
	a.scrub.hide(text, a.key, a.sas)
	if a.signIn == "" {
		a.signIn = signInKey
	}
	switch {
	case text != "" && (a.name != "" || a.key != "" || a.sas != ""):
		add("connection_string", "the connection string says which account it is and how to sign in, and so do account, account_key and sas_token", "give the one or the others")
	case text != "" && a.signIn != signInKey:
		add("sign_in", "a connection string has a key, and Entra needs none", "write account: NAME in its place, or remove sign_in")
	case text != "":
		from, p := a.parse(text)
		if p != nil {
			bad = append(bad, *p)
		}
		if endpoint == "" {
			endpoint = from
		}
	case a.name == "" && endpoint == "":
		add("account", "nothing says which storage account it is", "write connection_string: ${env:NAME}, or account: NAME with account_key, sas_token or sign_in: entra")
	case a.signIn == signInKey && a.key == "" && a.sas == "":
		add("account_key", "there is no key to sign in with", "give account_key, sas_token, a connection_string, or sign_in: entra")
	case a.signIn == signInKey && a.key != "" && a.sas != "":
		add("sas_token", "there are a key and a signature", "give the one or the other")
	case a.signIn == signInKey && a.key != "" && a.name == "":
		add("account", "a key needs the name of its account", "write account: NAME")
	case a.signIn != signInKey && (a.key != "" || a.sas != ""):
		add("sign_in", "Entra needs no key", "remove account_key and sas_token, or sign_in")
	}
	if _, err := base64.StdEncoding.DecodeString(a.key); err != nil {
		add("account_key", "the key is not one of a storage account: those are base64", "copy it from the portal, under Access keys")
	}
	if a.client != "" && a.signIn != signInManaged {
		add("client_id", "says which managed identity it is, and sign_in is not managed_identity", "write sign_in: managed_identity")
	}
	if len(bad) > 0 {
		return a, bad
	}
	if endpoint == "" {
		endpoint = "https://" + a.name + ".blob.core.windows.net"
	}
	u, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		add("endpoint", "is no address of blobs", "write https://HOST")
		return a, bad
	}
	name := c.Text("container")
	if strings.ContainsAny(name, "/?#%\\ ") || name == "" {
		add("container", fmt.Sprintf("%q is no name of a container", name), "write the name alone; what is in it goes into path")
	}
	a.url = u.JoinPath(name).String()
	return a, bad
}

// parse reads a connection string, and gives the address of the blobs.
func (a *account) parse(text string) (endpoint string, p *connect.Problem) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok {
			fields[strings.ToLower(name)] = value
		}
	}
	if strings.EqualFold(fields["usedevelopmentstorage"], "true") {
		return a.parse(development)
	}
	a.name, a.key, a.sas = fields["accountname"], fields["accountkey"], strings.TrimPrefix(fields["sharedaccesssignature"], "?")
	a.scrub.hide(a.key, a.sas)
	endpoint = fields["blobendpoint"]
	if endpoint == "" && a.name != "" {
		scheme, suffix := fields["defaultendpointsprotocol"], fields["endpointsuffix"]
		if scheme == "" {
			scheme = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		endpoint = scheme + "://" + a.name + ".blob." + suffix
	}
	if endpoint == "" || a.sas == "" && (a.key == "" || a.name == "") {
		return "", &connect.Problem{Field: "connection_string", Text: "this is no connection string of a storage account",
			Hint: "it begins with DefaultEndpointsProtocol= or BlobEndpoint=, and has AccountKey= or SharedAccessSignature="}
	}
	return endpoint, nil
}

// Limits of what is waited for.
const (
	dialTimeout   = 10 * time.Second
	answerTimeout = time.Minute // until an answer begins
)

// transport makes connections. The SDK's own waits for an answer for ever.
func (a *account) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: 200 * time.Millisecond,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if a.ca == "" {
		return t, nil
	}
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca: %s has no certificate in PEM", a.ca)
	}
	return t, nil
}

// open makes a client of the container. It asks nothing of the service yet.
func (a *account) open() (*store, error) {
	t, err := a.transport()
	if err != nil {
		return nil, connect.Permanent(err)
	}
	// Whoever calls tries again for as long as it takes, and says so: here only a connection
	// that was closed while it was idle is.
	o := &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: t},
		Retry:     policy.RetryOptions{MaxRetries: 1, RetryDelay: 20 * time.Millisecond, MaxRetryDelay: time.Second, StatusCodes: []int{}},
		Telemetry: policy.TelemetryOptions{ApplicationID: "weir"}}}
	s := &store{where: a.url, scrub: a.scrub, transport: t}
	switch {
	case a.signIn != signInKey:
		var cred azcore.TokenCredential
		if cred, err = a.credential(); err == nil {
			o.InsecureAllowCredentialWithHTTP = strings.HasPrefix(a.url, "http://127.0.0.1")
			s.c, err = container.NewClient(a.url, cred, o)
		}
	case a.sas != "":
		s.c, err = container.NewClientWithNoCredential(a.url+"?"+a.sas, o)
	default:
		var cred *container.SharedKeyCredential
		if cred, err = container.NewSharedKeyCredential(a.name, a.key); err == nil {
			s.c, err = container.NewClientWithSharedKeyCredential(a.url, cred, o)
		}
	}
	if err != nil {
		return nil, connect.Permanent(a.scrub.error(err))
	}
	return s, nil
}

// credential signs in with Entra.
func (a *account) credential() (azcore.TokenCredential, error) {
	if a.signIn != signInManaged {
		return azidentity.NewDefaultAzureCredential(nil)
	}
	o := &azidentity.ManagedIdentityCredentialOptions{}
	if a.client != "" {
		o.ID = azidentity.ClientID(a.client)
	}
	return azidentity.NewManagedIdentityCredential(o)
}
