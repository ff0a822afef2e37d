package serve

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"weir/internal/disk"
)

// The files of the development CA.
const (
	CAFile      = "ca.pem"     // what clients are to trust: a copy out of the next
	caKeyFile   = "ca-key.pem" // the CA: its certificate and its key
	serverFile  = "server.pem" // the certificate with the CA's behind it, and its key
	caYears     = 10
	serverTime  = 90 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
	// caMargin is how much longer than a new server certificate the CA must be good.
	caMargin = serverTime + 24*time.Hour
)

// authority is the development CA: it is good for the names that it was made for, and no
// others, so that trusting it gives away no more than they are.
type authority struct {
	cert *x509.Certificate
	pem  []byte
	key  crypto.Signer
}

// OpenAuthority makes sure that there is a development CA in a directory that is good for
// the hosts, besides those that are always there, and gives the path of its certificate.
func OpenAuthority(o CertificateOptions) (string, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	lock, err := o.FS.Lock("lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := ca(o.FS, o.Now(), hostsOf(o.Hosts), false); err != nil {
		return "", err
	}
	return o.FS.Path(CAFile), nil
}

// openDevelopment gives the server's certificate, and makes it, and the CA, if they are
// missing, near their end, or not for all hosts.
func openDevelopment(o CertificateOptions) (*tls.Certificate, error) {
	lock, err := o.FS.Lock("lock")
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	now, hosts := o.Now(), hostsOf(o.Hosts)
	a, err := ca(o.FS, now, hosts, true)
	if err != nil {
		return nil, err
	}
	if text, err := readFile(o.FS, serverFile); err == nil {
		if pair, err := tls.X509KeyPair(text, text); err == nil && goodServer(pair.Leaf, a, now, hosts) {
			return &pair, nil
		}
	}
	text, err := a.issue(now, hosts)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteWhole(o.FS, serverFile, text); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	return &pair, err
}

// hostsOf are the names that a certificate is for, sorted.
func hostsOf(more []string) []string {
	list := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && validName(strings.ToLower(name)) {
		list = append(list, strings.ToLower(name))
	}
	for _, h := range more {
		h = strings.ToLower(strings.Trim(h, "[]"))
		if ip, err := netip.ParseAddr(h); err == nil && !ip.IsUnspecified() && ip.Zone() == "" || err != nil && validName(h) {
			list = append(list, h)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// validName reports whether a name can stand in a certificate.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// ca reads the CA, or makes it. One that is there and is not for all hosts is made anew if
// widen is set: clients have to be told to trust it again.
func ca(dir disk.FS, now time.Time, hosts []string, widen bool) (*authority, error) {
	a, err := readCA(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case now.Add(caMargin).After(a.cert.NotAfter):
	case !widen || !slices.ContainsFunc(hosts, func(h string) bool { return !permits(a.cert, h) }):
		return a, nil
	}
	a, text, err := newCA(now, hosts)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteWhole(dir, caKeyFile, text); err != nil {
		return nil, err
	}
	return a, a.publish(dir)
}

// readCA reads the CA and sees to it that clients find the same one.
func readCA(dir disk.FS) (*authority, error) {
	text, err := readFile(dir, caKeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("%s is no certificate with its key; remove it, and a new CA is made: %w", dir.Path(caKeyFile), err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: the key cannot sign", dir.Path(caKeyFile))
	}
	a := &authority{pair.Leaf, pemText("CERTIFICATE", pair.Leaf.Raw), signer}
	return a, a.publish(dir)
}

// publish writes the certificate for clients, unless it is there.
func (a *authority) publish(dir disk.FS) error {
	if text, err := readFile(dir, CAFile); err == nil && bytes.Equal(text, a.pem) {
		return nil
	}
	return disk.WriteWhole(dir, CAFile, a.pem)
}

// permits reports whether a CA is good for a host.
func permits(cert *x509.Certificate, host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return slices.ContainsFunc(cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) })
	}
	return slices.Contains(cert.PermittedDNSDomains, host)
}

// newCA makes a CA, and the text of its file.
func newCA(now time.Time, hosts []string) (*authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "Weir development CA " + now.UTC().Format("2006-01-02 15:04:05")},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(caYears, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, PermittedDNSDomainsCritical: true}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.PermittedIPRanges = append(t.PermittedIPRanges, only(ip))
		} else {
			t.PermittedDNSDomains = append(t.PermittedDNSDomains, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	a := &authority{cert, pemText("CERTIFICATE", der), key}
	secret, err := keyText(key)
	return a, slices.Concat(a.pem, secret), err
}

// only is the range of one address.
func only(ip net.IP) *net.IPNet {
	if four := ip.To4(); four != nil {
		return &net.IPNet{IP: four, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

// issue makes a certificate for the hosts: it, the CA's, and its key.
func (a *authority) issue(now time.Time, hosts []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "Weir hub"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(serverTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	secret, err := keyText(key)
	return slices.Concat(pemText("CERTIFICATE", der), a.pem, secret), err
}

// goodServer reports whether a certificate can still be shown.
func goodServer(c *x509.Certificate, a *authority, now time.Time, hosts []string) bool {
	return c.CheckSignatureFrom(a.cert) == nil && now.Before(c.NotAfter.Add(-renewBefore)) && now.After(c.NotBefore) &&
		!slices.ContainsFunc(hosts, func(h string) bool { return c.VerifyHostname(h) != nil })
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b[:])
}

func pemText(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyText(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemText("PRIVATE KEY", der), err
}

// maxFile bounds a file of the CA, in bytes.
const maxFile = 1 << 20

func readFile(dir disk.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}
