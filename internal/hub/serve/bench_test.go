package serve

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/sas"
)

// BenchmarkPosts: 64 clients on loopback that post one event of 110 bytes each time, answered
// when it is on the disk: over connections that stay, plain and TLS, and over a new TLS
// connection each, as fluent-plugin-azureeventhubs does.
func BenchmarkPosts(b *testing.B) {
	for _, c := range []struct {
		name         string
		secure, once bool
	}{{"plain", false, false}, {"tls", true, false}, {"tls-each", true, true}} {
		b.Run(c.name, func(b *testing.B) { benchmarkPosts(b, c.secure, c.once) })
	}
}

func benchmarkPosts(b *testing.B, secure, once bool) {
	dir, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	broker, err := hub.Open(hub.Options{FS: must(dir.Sub("hub"))})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	if _, err := broker.Create(hub.Config{Name: "hub1"}); err != nil {
		b.Fatal(err)
	}
	certs := must(dir.Sub("certs"))
	o := Options{Broker: broker, HTTPS: anyPort}
	if o.Certificates, err = OpenCertificates(CertificateOptions{FS: certs}); err != nil {
		b.Fatal(err)
	}
	s, err := Start(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(certs.Path(CAFile))))
	const clients = 64
	t := &http.Transport{MaxIdleConnsPerHost: clients, DisableKeepAlives: once, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t}
	url := "http://" + s.Addresses()[0].Address + "/hub1/messages"
	if secure {
		url = "https" + strings.TrimPrefix(url, "http")
	}
	token := sas.Sign("sb://localhost/hub1", hub.RootRule, broker.Rules("")[0].Primary, time.Now().Add(time.Hour))
	event := `{"TeamId":"Team01","ServiceId":"Team01POI","Date":"2018-01-10T10:10:10.123Z","StatusCode":404,"Status":false}`
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for n := i; n < b.N; n += clients {
				r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(event))
				if err != nil {
					b.Error(err)
					return
				}
				r.Header.Set("Authorization", token)
				a, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, a.Body)
				a.Body.Close()
				if a.StatusCode != http.StatusCreated {
					b.Errorf("status %d", a.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
