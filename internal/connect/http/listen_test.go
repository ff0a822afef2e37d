package http

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
)

// certificate makes a certificate of 127.0.0.1 and gives the files of it and of its key.
func certificate(t testing.TB) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, &x509.Certificate{SerialNumber: big.NewInt(1)}, private.Public(), private)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

// TestTLS: events come encrypted, and with TLS 1.2 at least.
func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	in := newInput(t, disk.NewMem(1), map[string]any{"listen": "127.0.0.1:0", "path": "/e", "tls_cert": cert, "tls_key": key, "token": connect.NewHidden("secret")})
	post := func(scheme string, most uint16) (int, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: most}}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequest("POST", scheme+"://"+in.Addr()+"/e", strings.NewReader("{}"))
		must(t, err)
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if status, err := post("https", tls.VersionTLS13); status != 202 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	if _, err := post("https", tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	if status, _ := post("http", 0); status == 202 {
		t.Error("a request that is not encrypted was taken")
	}
	if _, err := tryInput(t, disk.NewMem(1), map[string]any{"listen": "127.0.0.1:0", "tls_cert": key, "tls_key": cert}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a wrong certificate: %v", err)
	}
}

// TestCloseFinishesRequests: a request that is under way when the input closes is taken and
// answered.
func TestCloseFinishesRequests(t *testing.T) {
	fs := disk.NewMem(1)
	in := newInput(t, fs, map[string]any{"listen": "127.0.0.1:0", "path": "/e"})
	c, err := net.Dial("tcp", in.Addr())
	must(t, err)
	defer c.Close()
	// The server asks for the body when the input has the request.
	_, err = io.WriteString(c, "POST /e HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n")
	must(t, err)
	b := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = io.ReadFull(c, b)
	must(t, err)
	closed := make(chan error)
	go func() { closed <- in.Close() }()
	for { // until the port is closed
		other, err := net.Dial("tcp", in.Addr())
		if err != nil {
			break
		}
		other.Close()
	}
	_, err = io.WriteString(c, `{"a":1}`)
	must(t, err)
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 202") {
		t.Errorf("%q, %v", answer, err)
	}
	must(t, <-closed)
	if got := newInput(t, fs, nil).lines("", 100); len(got) != 1 {
		t.Errorf("events %q", got)
	}
}
