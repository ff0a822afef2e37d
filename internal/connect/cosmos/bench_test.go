package cosmos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
)

// benchRows is how many rows an epoch of a benchmark has.
const benchRows = 2000

func benchEpoch(epoch int) []connecttest.Row {
	text := strings.Repeat("some text of a row ", 10)
	rows := make([]connecttest.Row, benchRows)
	for i := range rows {
		rows[i] = connecttest.Row{ID: int64(epoch*benchRows + i + 1), Text: text}
	}
	return rows
}

// benchmarkSink writes epochs of new documents.
func benchmarkSink(b *testing.B, s connect.Sink) {
	epoch := 0
	for b.Loop() {
		epoch++
		if err := s.Write(b.Context(), int64(epoch), connecttest.Batch(benchEpoch(epoch))); err != nil {
			b.Fatal(err)
		}
		if err := s.Prepare(b.Context(), int64(epoch), 0); err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(b.Context(), int64(epoch)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "docs/s")
}

// benchmarkLibrary writes the same documents with the library alone, by as many goroutines as the
// sink has writers.
func benchmarkLibrary(b *testing.B, endpoint, key, name string, transport *http.Transport) {
	cred, err := azcosmos.NewKeyCredential(key)
	if err != nil {
		b.Fatal(err)
	}
	client, err := azcosmos.NewClientWithKey(endpoint, cred, &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	c, err := client.NewContainer("shop", name)
	if err != nil {
		b.Fatal(err)
	}
	epoch := 0
	for b.Loop() {
		epoch++
		rows := make(chan connecttest.Row)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for r := range rows {
					doc, err := json.Marshal(map[string]string{"id": fmt.Sprint(r.ID), "text": r.Text})
					if err == nil {
						_, err = c.UpsertItem(b.Context(), azcosmos.NewPartitionKeyString(fmt.Sprint(r.ID)), doc, nil)
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		for _, r := range benchEpoch(epoch) {
			rows <- r
		}
		close(rows)
		wg.Wait()
	}
	b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "docs/s")
}

// BenchmarkSink writes to the fake: alone, as the library does, and in transactions of up to 100.
func BenchmarkSink(b *testing.B) {
	f := func(name, keyPath string) {
		b.Run(name, func(b *testing.B) {
			fake := newFake(b)
			fake.container("shop", "teams", keyPath)
			env := envOf(connecttest.Columns())
			s, err := openSink(b.Context(), fake.config(false, map[string]any{"document_id": "id"}), env)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			benchmarkSink(b, s)
		})
	}
	f("alone", "/id")
	f("batches", "/text")
}

// BenchmarkLibrary does what BenchmarkSink does alone, with the library alone.
func BenchmarkLibrary(b *testing.B) {
	fake := newFake(b)
	fake.container("shop", "teams", "/id")
	transport, err := newTransport("", 16)
	if err != nil {
		b.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	benchmarkLibrary(b, fake.URL, fake.key, "teams", transport)
}
