package s3

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
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"weir/internal/connect"
)

// The values of sign_in.
const (
	signAuto        = "auto"
	signKey         = "key"
	signEnvironment = "environment"
	signRole        = "role"
	signNobody      = "anonymous"
)

const (
	dialTimeout = 15 * time.Second
	// stallTimeout is how long a connection may be without a byte in either direction while it is
	// used: a server that hangs is an error then.
	stallTimeout = time.Minute
	// roleTimeout is how long to wait for the service of the machine that gives roles.
	roleTimeout = 10 * time.Second
)

// endpointOf takes apart the setting endpoint.
func endpointOf(text string) (host string, secure bool, err error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", false, errors.New("is no address") // the error has the whole text
	case u.Scheme != "http" && u.Scheme != "https":
		return "", false, fmt.Errorf("begins with %s://, which is neither https:// nor http://", u.Scheme)
	case u.User != nil:
		return "", false, errors.New("has a name or a password in it: these are access_key and secret_key")
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", false, errors.New("is more than the address of a host")
	}
	return u.Host, u.Scheme == "https", nil
}

// open makes a store. It asks nothing of the service.
func open(c connect.Config) (*store, error) {
	host, secure, err := endpointOf(c.Text("endpoint"))
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("endpoint %w", err))
	}
	transport, err := transportOf(secure, c.Text("tls_ca"), stallTimeout)
	if err != nil {
		return nil, connect.Permanent(err)
	}
	lookup := minio.BucketLookupAuto
	if c.Bool("path_style") {
		lookup = minio.BucketLookupPath
	}
	// Whoever called tries again, the library need not.
	client, err := minio.New(host, &minio.Options{Creds: credentialsOf(c), Secure: secure, Transport: transport, Region: c.Text("region"), BucketLookup: lookup, MaxRetries: 1})
	if err != nil {
		return nil, connect.Permanent(fmt.Errorf("endpoint %s: %w", host, err))
	}
	s := &store{core: minio.Core{Client: client}, transport: transport, bucket: c.Text("bucket"), where: client.EndpointURL().String() + "/" + c.Text("bucket"), part: partSize}
	for _, name := range []string{"secret_key", "session_token"} {
		if secret := c.Secret(name).Expose(); secret != "" {
			s.secrets = append(s.secrets, secret)
		}
	}
	return s, nil
}

func credentialsOf(c connect.Config) *credentials.Credentials {
	sign := c.Text("sign_in")
	if sign == signAuto {
		if c.Text("access_key") != "" {
			sign = signKey
		} else {
			sign = signEnvironment
		}
	}
	switch sign {
	case signKey:
		return credentials.NewStaticV4(c.Text("access_key"), c.Secret("secret_key").Expose(), c.Secret("session_token").Expose())
	case signRole:
		return credentials.New(role())
	case signNobody:
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	}
	return credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, role()})
}

func role() *credentials.IAM {
	return &credentials.IAM{Client: &http.Client{Timeout: roleTimeout, Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}}
}

func transportOf(secure bool, ca string, stall time.Duration) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return lively{c, stall}, nil
		},
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       stall / 2,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // an object is its bytes
		WriteBufferSize:       64 << 10,
	}
	if secure {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if ca == "" {
		return t, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca: %s has no certificate in PEM", ca)
	}
	if !secure {
		return nil, errors.New("tls_ca is for TLS, and endpoint begins with http://")
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// lively is a connection that fails when nothing moves on it for a time.
type lively struct {
	net.Conn
	stall time.Duration
}

func (c lively) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c lively) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
