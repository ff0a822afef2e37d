package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"weir/internal/disk"
)

// CertificateOptions say where the certificate of the ports comes from.
type CertificateOptions struct {
	// CertFile and KeyFile are PEM files of the operator's own; they are read again when they
	// change.
	CertFile, KeyFile string
	// FS is the directory where a development CA and a certificate of it are kept, and made
	// when they are needed, if there are no files.
	FS disk.FS
	// Hosts are names and addresses for the development certificate, besides localhost, the
	// loopback addresses and the name of this machine.
	Hosts []string
	Log   *slog.Logger
	Now   func() time.Time
}

// Certificates are what the ports show to clients that use TLS. Any number of goroutines may
// use them.
type Certificates struct {
	o      CertificateOptions
	config *tls.Config

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	looked  time.Time // when it was last seen whether it is still good
	files   [2]fileMark
}

// lookEvery is how often a handshake looks whether the files have changed, or whether the
// development certificate has to be renewed.
const lookEvery = 2 * time.Second

// OpenCertificates reads the certificate, or makes a development CA and one of it.
func OpenCertificates(o CertificateOptions) (*Certificates, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("a certificate needs its key: give both files, the certificate and the key")
	}
	c := &Certificates{o: o}
	c.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate(), nil }}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config is how to answer TLS. It must not be changed.
func (c *Certificates) Config() *tls.Config { return c.config }

// CA is the file of the development CA; "" if the certificate is the operator's own.
func (c *Certificates) CA() string {
	if c.o.CertFile != "" {
		return ""
	}
	return c.o.FS.Path(CAFile)
}

// Reload reads the certificate anew. After an error the one that was in force stays.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = c.o.Now()
	return c.load()
}

// load puts the certificate into force. c.mu is held.
func (c *Certificates) load() error {
	if c.o.CertFile == "" {
		d, err := openDevelopment(c.o)
		if err != nil {
			return fmt.Errorf("the development certificate: %w", err)
		}
		c.current = d
		return nil
	}
	marks := [2]fileMark{markOf(c.o.CertFile), markOf(c.o.KeyFile)}
	pair, err := tls.LoadX509KeyPair(c.o.CertFile, c.o.KeyFile)
	if err != nil {
		return fmt.Errorf("the certificate %s and its key %s cannot be used: %w", c.o.CertFile, c.o.KeyFile, err)
	}
	c.current, c.files = &pair, marks
	return nil
}

// certificate is the one to show, after a look whether it is still the right one.
func (c *Certificates) certificate() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	if now.Sub(c.looked) < lookEvery && !now.Before(c.looked) {
		return c.current
	}
	c.looked = now
	if !c.stale(now) {
		return c.current
	}
	if err := c.load(); err != nil {
		c.o.Log.Warn("the certificate could not be renewed; the one before stays in force", "error", err)
	} else {
		c.o.Log.Info("the certificate was renewed", "until", c.current.Leaf.NotAfter)
	}
	return c.current
}

// stale reports whether the files have changed or a development certificate is near its end.
func (c *Certificates) stale(now time.Time) bool {
	if c.o.CertFile == "" {
		return now.After(c.current.Leaf.NotAfter.Add(-renewBefore))
	}
	return c.files != [2]fileMark{markOf(c.o.CertFile), markOf(c.o.KeyFile)}
}

// fileMark tells whether a file has changed.
type fileMark struct {
	size  int64
	mtime time.Time
}

func markOf(name string) fileMark {
	i, err := os.Stat(name)
	if err != nil {
		return fileMark{}
	}
	return fileMark{i.Size(), i.ModTime()}
}
