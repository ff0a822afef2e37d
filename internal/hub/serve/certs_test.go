package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func openTest(t *testing.T, dir string, c *clock, hosts ...string) *Certificates {
	t.Helper()
	f, err := disk.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := OpenCertificates(CertificateOptions{FS: f, Hosts: hosts, Now: c.time})
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// trusted says why a client that trusts the CA of a directory does not take a certificate.
func trusted(t *testing.T, dir string, cert *tls.Certificate, host string, at time.Time) error {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at})
	return err
}

func TestDevelopmentCA(t *testing.T) {
	dir := t.TempDir()
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	certs := openTest(t, dir, c, "hub.example", "192.0.2.7", "[fd00::1]", "0.0.0.0", "::", "not a name", "fe80::1%eth0", "")
	cert := certs.certificate()
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "hub.example", "192.0.2.7", "fd00::1"} {
		if err := trusted(t, dir, cert, host, c.now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"example", "evil.example", "192.0.2.8"} {
		if trusted(t, dir, cert, host, c.now) == nil {
			t.Errorf("%s is trusted", host)
		}
	}
	// The CA is good for its names only, whoever has its key.
	f, err := disk.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := readCA(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.issue(c.now, []string{"evil.example"})
	if err != nil {
		t.Fatal(err)
	}
	evil, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	if trusted(t, dir, &evil, "evil.example", c.now) == nil {
		t.Error("the CA can sign for others")
	}
	for _, name := range []string{CAFile, caKeyFile, serverFile} {
		if i, err := os.Stat(filepath.Join(dir, name)); err != nil || i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, i.Mode(), err)
		}
	}
}

// TestRenew: the server's certificate is renewed before its end while the ports are open, and
// the CA that clients trust stays; a name that is added needs a new one.
func TestRenew(t *testing.T) {
	dir := t.TempDir()
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	certs := openTest(t, dir, c)
	first, before := certs.certificate(), read(t, dir, CAFile)
	c.now = first.Leaf.NotAfter.Add(-renewBefore)
	if certs.certificate() != first {
		t.Error("renewed too early")
	}
	c.now = c.now.Add(lookEvery)
	second := certs.certificate()
	if second == first || !second.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Error("not renewed")
	}
	if err := trusted(t, dir, second, "localhost", c.now); err != nil {
		t.Error(err)
	}
	again := openTest(t, dir, c)
	if !again.certificate().Leaf.Equal(second.Leaf) || read(t, dir, CAFile) != before {
		t.Error("made anew without need")
	}
	if err := trusted(t, dir, openTest(t, dir, c, "new.example").certificate(), "new.example", c.now); err != nil || read(t, dir, CAFile) == before {
		t.Errorf("%v", err)
	}
	if _, err := OpenAuthority(CertificateOptions{FS: must(disk.At(dir)), Now: c.time, Hosts: []string{"x.example"}}); err != nil || strings.Contains(read(t, dir, CAFile), before) {
		t.Errorf("%v", err)
	}
	c.now = c.now.AddDate(caYears, 0, 0)
	if err := trusted(t, dir, openTest(t, dir, c).certificate(), "localhost", c.now); err != nil {
		t.Errorf("after the end of the CA: %v", err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestDamagedCA: a CA that cannot be read is told and not replaced: clients trust it. A server
// certificate that cannot be read, or a copy of the CA's, is made anew.
func TestDamagedCA(t *testing.T) {
	dir := t.TempDir()
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	openTest(t, dir, c)
	damage := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := read(t, dir, CAFile)
	damage(serverFile)
	damage(CAFile)
	if err := trusted(t, dir, openTest(t, dir, c).certificate(), "localhost", c.now); err != nil || read(t, dir, CAFile) != before {
		t.Error(err)
	}
	damage(caKeyFile)
	if _, err := OpenCertificates(CertificateOptions{FS: must(disk.At(dir)), Now: c.time}); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("%v", err)
	}
}

// TestPowerCA: whatever operation a loss of power cuts off, of a first start or of one with
// another name, the next start finds or makes a CA and a certificate of it.
func TestPowerCA(t *testing.T) {
	for n := int64(1); ; n++ {
		mem := disk.NewMem(uint64(n))
		open := func(hosts ...string) error {
			c, err := OpenCertificates(CertificateOptions{FS: mem.Boot(), Hosts: hosts})
			if err == nil {
				var a *authority
				if a, err = readCA(mem.Boot()); err == nil {
					err = c.certificate().Leaf.CheckSignatureFrom(a.cert)
				}
			}
			return err
		}
		mem.CrashAt(n)
		err := open()
		if err == nil {
			err = open("other.example")
		}
		mem.Restart()
		if again := open("other.example"); again != nil {
			t.Fatalf("operation %d: %v", n, again)
		}
		if err == nil {
			return
		}
	}
}

// TestOwnCertificate: files of the operator are read again when they change; files that are
// wrong leave what was in force.
func TestOwnCertificate(t *testing.T) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	one, two := t.TempDir(), t.TempDir()
	openTest(t, one, c)
	openTest(t, two, c)
	file := filepath.Join(t.TempDir(), "own.pem")
	put := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, c.now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	put(read(t, one, serverFile), 3*time.Hour)
	certs, err := OpenCertificates(CertificateOptions{CertFile: file, KeyFile: file, Now: c.time})
	if err != nil {
		t.Fatal(err)
	}
	of := func(dir string) bool {
		return trusted(t, dir, certs.certificate(), "localhost", c.now) == nil
	}
	if !of(one) || certs.CA() != "" {
		t.Error("not the first")
	}
	put("nonsense", 2*time.Hour)
	c.now = c.now.Add(lookEvery)
	if !of(one) || certs.Reload() == nil {
		t.Error("the first has gone")
	}
	put(read(t, two, serverFile), time.Hour)
	c.now = c.now.Add(lookEvery)
	if !of(two) {
		t.Error("not the second")
	}
	put(read(t, one, serverFile), 0)
	if err := certs.Reload(); err != nil || !of(one) {
		t.Errorf("not read at once: %v", err)
	}
	if _, err := OpenCertificates(CertificateOptions{CertFile: file}); err == nil {
		t.Error("no key")
	}
	if _, err := OpenCertificates(CertificateOptions{CertFile: file, KeyFile: file + "x"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestOldTLS: what is older than TLS 1.2 is not spoken.
func TestOldTLS(t *testing.T) {
	s := newSite(t, Options{HTTPS: anyPort}, nil)
	c := s.trust()
	c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", s.address("https"), c); err == nil {
		conn.Close()
		t.Error("it is")
	}
}

// TestDefaults is row 17 of the security table (reliability.md 6): by default this machine
// only.
func TestDefaults(t *testing.T) {
	for _, p := range slices.Concat(DefaultAMQP, DefaultHTTPS, DefaultKafka, DefaultMQTT, DefaultForward) {
		if host, _, err := net.SplitHostPort(p); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s %v", p, err)
		}
	}
}
