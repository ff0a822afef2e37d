package http

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"weir/internal/disk"
)

// BenchmarkPosts: 64 clients on loopback that post one event of 110 bytes, or 100 of them,
// each time, answered when they are on the disk.
func BenchmarkPosts(b *testing.B) {
	event := `{"TeamId":"Team01","ServiceId":"Team01POI","Date":"2018-01-10T10:10:10.123Z","StatusCode":404,"Status":false}` + "\n"
	for _, events := range []int{1, 100} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			fs, err := disk.At(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			in := newInput(b, fs, map[string]any{"listen": "127.0.0.1:0", "path": "/e"})
			const clients = 64
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
			defer client.CloseIdleConnections()
			body := strings.Repeat(event, events)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					for n := i; n < b.N; n += clients {
						resp, err := client.Post("http://"+in.Addr()+"/e", "application/json", strings.NewReader(body))
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode != http.StatusAccepted {
							b.Errorf("status %d", resp.StatusCode)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
